"""A real server on loopback that answers as it is told to."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


def completion(content="3", *, finish="stop", logprobs=None):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [choice | {"logprobs": logprobs}],
    }


class LoopbackServer:
    """``answer(body, n)`` gives ``(status, headers, payload)`` for the n-th request, from 1."""

    def __init__(self):
        self.requests, self.headers = [], []
        self.active = self.most_active = 0
        self.lock = threading.Lock()
        self.answer = lambda body, n: (200, {}, completion())
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.requests.append(body)
                    outer.headers.append({key.lower(): value for key, value in self.headers.items()})
                    outer.active += 1
                    outer.most_active = max(outer.most_active, outer.active)
                    number = len(outer.requests)
                status, headers, payload = outer.answer(body, number)
                with outer.lock:
                    outer.active -= 1
                data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                self.send_response(status)
                for key, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
                    self.send_header(key, str(value))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def slow(self, seconds):
        def answer(body, n):
            time.sleep(seconds)
            return 200, {}, completion(body["messages"][-1]["content"])

        self.answer = answer


@pytest.fixture
def server(serve):
    loopback = LoopbackServer()
    serve(loopback.http)
    return loopback


@pytest.fixture
def complete():
    return completion
