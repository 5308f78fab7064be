"""A server on loopback that misbehaves on purpose, and knows which requests it has answered in earnest."""

import json
import random
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

FAULTS = ("rate", "crash", "hang", "truncated", "malformed", "schema", "reset", "drip")


def right_score(body: dict) -> str:
    """What the model would say: a digit that depends on the judged text alone."""
    data = json.loads(body["messages"][1]["content"].split("\n")[1])
    return str(1 + sum(data["answer"].encode()) % 5)


class FaultServer:
    """Answers each distinct request truly, after the faults that ``plan(body)`` lists for it."""

    def __init__(self):
        self.plan = lambda body: []
        self.tries, self.answered, self.keys = {}, {}, set()
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body, name = json.loads(raw), raw.decode()
                with outer.lock:
                    number = outer.tries[name] = outer.tries.get(name, 0) + 1
                faults = outer.plan(body)
                if number <= len(faults):
                    getattr(self, faults[number - 1])(body)
                    return
                with outer.lock:
                    outer.answered[name] = outer.answered.get(name, 0) + 1
                self.send(200, outer.completion(right_score(body)))

            def send(self, status, payload, declared=None, **headers):
                data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                self.send_response(status)
                headers |= {"Content-Type": "application/json", "Content-Length": declared or len(data)}
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.write(data)

            def rate(self, body):
                self.send(429, {"error": {"message": "slow down"}}, Retry_After="0.05")

            def crash(self, body):
                self.send(500, {"error": {"message": "oops"}}, Retry_After="0.05")

            def hang(self, body):
                time.sleep(3)
                self.close_connection = True

            def truncated(self, body):
                data = json.dumps(outer.completion("1")).encode()
                self.send(200, data[: len(data) // 2], declared=len(data))
                self.close_connection = True

            def malformed(self, body):
                data = json.dumps(outer.completion("1")).encode()
                self.send(200, data[: len(data) // 2])

            def schema(self, body):
                self.send(200, {"object": "chat.completion", "choices": [{"message": {"content": {"score": 1}}}]})

            def reset(self, body):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            def drip(self, body):
                """One byte at a time, without end: each arrives in time, the whole never does."""
                self.send(200, b"", declared=10_000)
                for _ in range(60):
                    try:
                        self.wfile.write(b" ")
                        self.wfile.flush()
                    except OSError:
                        return
                    time.sleep(0.05)

            def log_message(self, *arguments):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                """Connections break here all the time."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    @staticmethod
    def completion(content):
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }

    def misbehave(self, faults, share=0.5, most=2, seed=0):
        """A share of requests meet one to ``most`` of ``faults`` before their answer, by their own text."""

        def plan(body):
            draw = random.Random(f"{seed}/{json.dumps(body)}")
            return draw.choices(faults, k=draw.randint(1, most)) if draw.random() < share else []

        self.plan = plan


@pytest.fixture
def faulty(serve):
    server = FaultServer()
    serve(server.http)
    return server
