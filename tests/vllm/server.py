"""A real vLLM on the CPU: a server per set of words, started by the words of our own plan."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends import vllm
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import context_with

READY_S = 300.0


@dataclass(frozen=True)
class Server:
    """One that runs: where, and what it has printed so far."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def ask(self, path: str, body: dict[str, Any] | None = None, key: str = "") -> tuple[int, bytes]:
        """One request: status and body."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        content = None if body is None else json.dumps(body)
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60.0)) as line:
            line.request("GET" if body is None else "POST", path, content, headers)
            answer = line.getresponse()
            return answer.status, answer.read()

    def chat(self, text: str = "hi", **more: Any) -> tuple[int, bytes]:
        """One short answer."""
        body = {"model": "tiny", "messages": [{"role": "user", "content": text}], "max_tokens": 6, **more}
        return self.ask("/v1/chat/completions", body)

    def lines(self) -> list[str]:
        """Its log."""
        return self.log.read_text("utf-8", "replace").replace("\r", "\n").splitlines()


def planned_words(**asked: Any) -> list[str]:
    """What our plan puts behind `vllm serve MODEL`."""
    request = LaunchRequest(
        engine="vllm", model="sparkdesk/tiny", served_name="tiny", nodes=("node-1",), port=_free_port(),
        context_tokens=1024, concurrency=4, memory_fraction=0.1, **asked,
    )  # fmt: skip
    plan = vllm.backend.plan(request, context_with(None))
    put = next(action for action in plan.playbook.stages[0].steps[0].apply if action.path.endswith("spec.json"))
    argv = json.loads(put.content)["argv"]
    return list(argv[argv.index("serve") + 2 :])


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


@contextmanager
def serving(python: str, model: Path, log: Path, words: list[str], **more: str) -> Iterator[Server]:
    """A server with these words; ready, unless it ended before."""
    env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    env |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "0", **more}
    argv = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), *words]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True)
    server = Server(int(words[words.index("--port") + 1]), log, process)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20.0)


def _wait_until_ready(server: Server) -> None:
    until = time.monotonic() + READY_S
    while server.process.poll() is None and time.monotonic() < until:
        try:
            if server.ask("/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.5)
    assert server.process.poll() is not None, "\n".join(server.lines()[-20:])
