"""Requests per second of the endpoint client against a server that answers each after a fixed time.

Nothing can be faster than concurrency / latency. The server is a process of its own; what is written is what a judge
writes, answers kept on disk included, against the same without.

    python benchmarks/endpoint.py --concurrency 32 --latency 0.5
"""

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

from tropism.endpoint import Answers, Server, chat

MESSAGE = {"role": "assistant", "content": '{"score": 3}'}
ANSWER = {
    "id": "x", "object": "chat.completion", "created": 0, "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 400, "completion_tokens": 7, "total_tokens": 407},
}  # fmt: skip


def serve(latency: float, port: Any) -> None:
    """Answer every request after ``latency`` seconds, however many there are."""
    body = json.dumps(ANSWER).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
            await reader.readexactly(length)
            await asyncio.sleep(latency)
            writer.write(reply)
            await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def rate(server: Server, requests: list[list[dict[str, str]]], answers: Answers | None) -> float:
    """Replies per second, the first connections included."""
    begin = time.perf_counter()
    asyncio.run(chat(server, requests, max_tokens=16, answers=answers))
    return len(requests) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="requests one after another of each of the many")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds")
    settings = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(settings.latency, theirs), daemon=True)
    process.start()
    server = Server(f"http://127.0.0.1:{ours.recv()}/v1", "m", concurrency=settings.concurrency)
    text = "A response of usual length that a judge is given to read. " * 25
    count = settings.rounds * settings.concurrency  # so that all are busy to the end
    requests = [[{"role": "user", "content": f"{number} {text}"}] for number in range(count)]
    bound = settings.concurrency / settings.latency
    with tempfile.TemporaryDirectory() as folder, Answers(Path(folder) / "answers.sqlite") as answers:
        plain = rate(server, requests, None)
        begin = time.process_time()
        kept = rate(server, requests, answers)
        busy = (time.process_time() - begin) / count
    process.terminate()
    print(
        json.dumps(
            {
                "bound_per_s": round(bound, 1),
                "without_keeping_per_s": round(plain, 1),
                "kept_per_s": round(kept, 1),
                "ratio_kept_to_bound": round(kept / bound, 3),
                "cpu_ms_per_request": round(1000 * busy, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
