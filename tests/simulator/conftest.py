"""A real simulator in a child process, and a real SSH client to its nodes."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

TINY_MODEL = Path(__file__).resolve().parents[1] / "data" / "models" / "tinytool.gguf"
PROJECT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0
READY_TIMEOUT_S = 100.0


@dataclass
class Simulator:
    """A running simulator and the line it printed."""

    process: subprocess.Popen[bytes]
    line: dict[str, Any]
    state: Path

    def node(self, index: int) -> dict[str, Any]:
        """What the line says about a node."""
        row: dict[str, Any] = self.line["nodes"][index]
        return row

    def connect(self, index: int = 0, **options: Any) -> Any:
        """A connection to a node, for `async with`; only its own host key is trusted."""
        node = self.node(index)
        settings = {
            "username": node["user"],
            "client_keys": [str(self.state / "client_ed25519")],
            "known_hosts": trust(node["host_key"]),
            "config": [],
            "connect_timeout": 60,
            "login_timeout": 60,
        }
        return asyncssh.connect(node["address"], node["port"], **(settings | options))

    def control(self, way: str, fault: str, node: str) -> subprocess.CompletedProcess[bytes]:
        """Switch a fault at run time, as a person would."""
        words = ["simulate", "--state", str(self.state), "--control", way, fault, node]
        return subprocess.run([sys.executable, "-m", "sparkdesk", *words], cwd=PROJECT, capture_output=True, timeout=90)


def trust(host_key: str) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
    """Known hosts with this one key."""
    return [asyncssh.import_public_key(host_key)], [], []


def environment(home: Path) -> dict[str, str]:
    """A simulator's environment: nothing of the person who runs the tests."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "SPARKDESK_HOME": str(home / "sparkdesk"), "LANG": "C.UTF-8"}


def spawn(home: Path, state: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start `simulate` with an open standard input."""
    return subprocess.Popen(
        [sys.executable, "-m", "sparkdesk", "simulate", "--state", str(state), *words],
        cwd=PROJECT,
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_line(process: subprocess.Popen[bytes]) -> bytes:
    """The first line of its output; empty when it ended or time ran out."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(START_TIMEOUT_S) else b""


@contextmanager
def running(home: Path, state: Path, *words: str) -> Iterator[Simulator]:
    """A simulator while the block runs."""
    process = spawn(home, state, *words)
    try:
        line = read_line(process)
        if not line:
            process.kill()
            pytest.fail(f"the simulator did not start: {process.communicate()[1].decode()}")
        yield Simulator(process, json.loads(line), state)
    finally:
        process.terminate()
        process.wait(timeout=90)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


async def ask(connection: asyncssh.SSHClientConnection, port: int, path: str, body: Any = None) -> tuple[int, bytes]:
    """One HTTP request through a forward: status and body. Raises ChannelOpenError when nobody listens."""
    reader, writer = await connection.open_connection("127.0.0.1", port, encoding=None)
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = await reader.read()
    writer.close()
    head_bytes, _blank, rest = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), rest


async def until_ready(connection: asyncssh.SSHClientConnection, port: int, container: str = "") -> None:
    """Wait until /health says 200; a container that ends meanwhile is told with its log."""
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            try:
                if (await ask(connection, port, "/health"))[0] == 200:
                    return
            except asyncssh.ChannelOpenError:
                pass
            if container and "exited" in str((await connection.run(f"docker inspect {container}")).stdout):
                pytest.fail(str((await connection.run(f"docker logs {container} 2>&1")).stdout))
            await asyncio.sleep(0.2 if container else 0.05)


@asynccontextmanager
async def llama(connection: asyncssh.SSHClientConnection, port: int, *words: str) -> AsyncIterator[Any]:
    """A running llama-server with the tiny model."""
    command = f"exec llama-server -m models/tinytool.gguf --alias tiny --host 127.0.0.1 --port {port} {' '.join(words)}"
    process = await connection.create_process(command)
    try:
        await until_ready(connection, port)
        yield process
    finally:
        process.close()


StartSimulator = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> StartSimulator:
    """Start a simulator of one's own: `with start("--nodes", "1") as simulator`."""

    def begin(*words: str, state: str = "state") -> Any:
        return running(tmp_path, tmp_path / state, *words)

    return begin


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Two nodes for all tests that leave them as they were; skipped where namespaces are not allowed."""
    home = tmp_path_factory.mktemp("simulator")
    with running(home, home / "state", "--nodes", "2", "--model", str(TINY_MODEL)) as simulator:
        if not simulator.line["confined"]:
            if os.environ.get("CI"):
                pytest.fail(f"namespaces are needed: {simulator.line['reason']}")
            pytest.skip(f"namespaces are not allowed here: {simulator.line['reason']}")
        yield simulator
