"""A launched server is there when it is asked and gone when its job is, however the job went."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tropism.endpoint import EndpointError
from tropism.endpoint.launch import launched

SERVER = """
import http.server, os, subprocess, sys, time
port, mode = int(sys.argv[1]), sys.argv[2]
print("started as", os.getpid(), "key", os.environ.get("OPENAI_API_KEY"), "loading", sys.argv[3:], flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
if mode == "dies":
    sys.exit("no such model")
ready = time.monotonic() + 0.5
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if mode == "works" and time.monotonic() > ready else 503)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "server.py").write_text(SERVER)
    return lambda mode, *more: " ".join([sys.executable, str(tmp_path / "server.py"), "{port}", mode, *more])


def pids(log: Path) -> list[int]:
    words = log.read_text().split()
    return [int(words[words.index("as") + 1]), int(words[words.index("child") + 1])]


def gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_it_is_ready_when_given_and_ended_after_with_its_log_kept(command, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-a-server-of-ours")
    log = tmp_path / "logs" / "server.log"
    with launched(command("works", "{model}"), {"model": "a b"}, log=log, ready_s=20) as url:
        with urllib.request.urlopen(url.removesuffix("/v1") + "/health") as answer:
            assert answer.status == 200
        assert not gone(pids(log)[0], 0)
    assert all(gone(pid) for pid in pids(log))
    assert "loading ['a b']" in log.read_text()
    assert "key None" in log.read_text(), "a server started here needs no key and gets none"


def test_a_failing_job_ends_it_too(command, tmp_path):
    with (
        pytest.raises(RuntimeError, match="the job failed"),
        launched(command("works"), {}, log=tmp_path / "s.log", ready_s=20),
    ):
        raise RuntimeError("the job failed")
    assert all(gone(pid) for pid in pids(tmp_path / "s.log"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_job_ends_it_too(command, tmp_path, how):
    script = (
        "import sys, time; from pathlib import Path; from tropism.endpoint.launch import launched\n"
        f"with launched({command('works')!r}, {{}}, log=Path({str(tmp_path / 's.log')!r}), ready_s=30):\n"
        f"    Path({str(tmp_path / 'ready')!r}).touch(); time.sleep(600)\n"
    )
    job = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": "workflow"})
    while not (tmp_path / "ready").exists() and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(how)
    job.wait()
    assert all(gone(pid, 20) for pid in pids(tmp_path / "s.log"))


def test_one_that_ends_by_itself_says_why(command, tmp_path):
    with (
        pytest.raises(EndpointError, match=r"(?s)ended with code 1 before it was ready; .*s\.log ends:.*no such model"),
        launched(command("dies"), {}, log=tmp_path / "s.log", ready_s=20),
    ):
        pass
    assert all(gone(pid) for pid in pids(tmp_path / "s.log"))


def test_one_that_is_never_ready_is_given_up_and_ended(command, tmp_path):
    with (
        pytest.raises(EndpointError, match=r"not ready within 1 s \(`ready_s`\)"),
        launched(command("sleeps"), {}, log=tmp_path / "s.log", ready_s=1),
    ):
        pass
    assert all(gone(pid) for pid in pids(tmp_path / "s.log"))
