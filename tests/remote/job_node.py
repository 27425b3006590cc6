"""A home folder with jobs in it and real processes behind them, for tests of what runs on a node for a job."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"

# A server that answers as a model server does: 503 while "loading", then 200; it says what it does on its output.
ENGINE = """
import http.server, json, os, sys, time
ready_at = time.monotonic() + float(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        loading = time.monotonic() < ready_at
        self.answer(503 if loading else 200, {"status": "loading model" if loading else "ok"})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "")
        text = "OK " + asked["model"] + " " + key
        self.answer(200, {"choices": [{"message": {"content": text}}], "usage": {"completion_tokens": 2}})
    def log_message(self, *_): pass
print("listening", os.environ.get("ENGINE_WORD", ""), flush=True)
http.server.HTTPServer((sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


# Crashes as soon as it was called ready: told by the folder's own mark.
CRASHES = (
    'until [ -e "$0/proved.json" ]; do sleep 0.05; done; echo attempt; echo "E: RuntimeError: out of luck"; exit 3'
)


class Node:
    """A home folder with jobs in it, and the Python that runs them."""

    def __init__(self, home: Path, python: str) -> None:
        self.home = home
        self.python = python
        self.env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        self.jobs = home / ".local/state/sparkdesk/jobs"

    def put(self, job_id: str, argv: list[str], **more: Any) -> Path:
        """Write a job's folder as a plan does."""
        folder = self.jobs / job_id
        folder.mkdir(parents=True)
        for name in ("job.py", "guard.py", "gauge.py", "proof.py"):
            (folder / name).write_bytes((REMOTE / name).read_bytes())
        spec = {"schema": 1, "job_id": job_id, "argv": argv, "owner": "ada@desk", "stop_grace_s": 1.0, **more}
        (folder / "spec.json").write_text(json.dumps(spec))
        return folder

    def run(self, verb: str, folder: Path, *, code: int = 0) -> dict[str, Any]:
        """One verb of the job's program, in a session of its own as sshd gives it."""
        done = subprocess.run(
            [self.python, str(folder / "job.py"), verb, str(folder)],
            env=self.env, capture_output=True, timeout=60, start_new_session=True,
        )  # fmt: skip
        assert done.returncode == code, (done.stdout, done.stderr)
        assert done.stdout.count(b"\n") == 1
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def list(self) -> dict[str, Any]:
        """What jobs.py lists."""
        source = (REMOTE / "jobs.py").read_bytes()
        done = subprocess.run([self.python, "-", "list"], input=source, env=self.env, capture_output=True, timeout=60)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def session_of(leader: int) -> list[int]:
    """Processes of a session that are not zombies."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[3]) == leader and words[0] != "Z":
            found.append(int(name))
    return found


def wait_for(check: Callable[[], Any]) -> Any:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def put_engine(node: Node, job_id: str = "engine", load_s: float = 0.3, **more: Any) -> Path:
    port = free_port()
    where = {"host": "127.0.0.1", "port": port}
    more = {
        "ready": {"kind": "http", **where, "path": "/health"},
        "token": {**where, "path": "/v1/chat/completions", "model": "tiny"},
        **more,
    }
    return node.put(job_id, [node.python, "-c", ENGINE, str(port), str(load_s)], **more)


def state_of(node: Node, folder: Path) -> str:
    return str(node.run("status", folder)["state"])


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def clean(node: Node) -> None:
    """Leave no process of its jobs behind."""
    for folder in node.jobs.glob("*"):
        try:
            record = json.loads((folder / "job.json").read_text())
        except (OSError, ValueError):
            continue
        for pid in (record.get("guard_pid"), *session_of(record.get("pid") or -1)):
            if pid:
                kill(pid)
