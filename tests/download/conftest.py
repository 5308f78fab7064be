"""A hub on loopback: what the real client asks of one, for small repositories held in memory."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000  # files from this size on are listed as large files, with their sha256


@dataclass
class Repository:
    files: dict[str, bytes]
    gated: int | None = None  # the status that everyone gets
    listed: dict[str, bytes] = field(default_factory=dict)  # what the list says, where it is not the truth


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.cut: dict[str, int] = {}  # a file whose next answer ends after so many bytes

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def downloads(self) -> list[str]:
        return [path for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def answer(self):
        hub = self.server
        path = self.path.partition("?")[0]
        hub.requests.append((self.command, path, self.headers.get("Range")))
        api = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(/revision/[^/]+|/tree/.*)?", path)
        file = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        name = (api or file)[2] if api or file else ""
        repository = hub.repositories.get(name)
        if repository is None:
            return self.send(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        if repository.gated:
            return self.send(repository.gated, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        if api:
            revision = (api[3] or "/revision/main").split("/")[2]
            if revision not in ("main", COMMIT):
                return self.send(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
            return self.send(
                200, json.dumps(self.facts(name, repository, api[3] or "")).encode(), Content_Type="application/json"
            )
        content = repository.files.get(file[4])
        if content is None:
            return self.send(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
        self.content(file[4], content)

    def content(self, name, content):
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"ETag": etag, "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        start = int(re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range") or "bytes=0-")[1])
        part = content[start:]
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        bytes_to_send = self.server.cut.pop(name, None) if self.command == "GET" else None
        if bytes_to_send is None:
            return self.send(206 if start else 200, part, **headers)
        self.send_response(206 if start else 200)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[:bytes_to_send])
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    @staticmethod
    def facts(name, repository, wanted):
        entries = []
        for path, content in {**repository.files, **repository.listed}.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry = {"rfilename": path, "size": len(content), "blobId": blob}
            if len(content) >= LARGE:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        if wanted.startswith("/tree"):
            return [{"type": "file", "path": e["rfilename"], "size": e["size"], "oid": e["blobId"]} for e in entries]
        return {
            "_id": "1",
            "id": name,
            "sha": COMMIT,
            "siblings": entries,
            "private": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
        }


@pytest.fixture
def hub(serve):
    server = Hub()
    serve(server)
    return server
