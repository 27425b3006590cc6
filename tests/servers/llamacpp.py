"""A real llama.cpp server in a child process, with a model of 612 KB that is ready in a fifth of a second.

The one rule: real HTTP from the real program. Whoever needs a model server in a test starts this one. Run as a program
(`python tests/servers/llamacpp.py MODEL --port 0`) it prints one line, the address, and serves until it is ended.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TINY_MODEL = Path(__file__).resolve().parents[1] / "data" / "models" / "tinytool.gguf"
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """A running server."""

    host: str
    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def busy_slots(self) -> int:
        """How many sequences the server computes now, by its own count."""
        return sum(bool(slot.get("is_processing")) for slot in self.get("/slots"))

    def wait_idle(self, timeout_s: float = 30.0) -> bool:
        """Wait until the server computes nothing."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if self.busy_slots() == 0:
                return True
            time.sleep(0.02)
        return False

    def kill(self) -> None:
        """End it without a word, as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def llama_server(
    *,
    model: Path = TINY_MODEL,
    context_tokens: int = 4096,
    slots: int = 1,
    api_key: str = "",
    is_endless: bool = False,
    makes_vectors: bool = False,
    port: int = 0,
) -> Iterator[LlamaServer]:
    """Start a server on a free port of this computer, or on `port`; it is killed at the end of the block.

    `is_endless`: an answer ends only at `max_tokens` or where the context is full, so that a test can stop it.
    `makes_vectors`: it answers /v1/embeddings too.
    """
    command = [sys.executable, __file__, str(model), "--context", str(context_tokens), "--slots", str(slots)]
    command += ["--port", str(port)]
    if api_key:
        command += ["--api-key", api_key]
    if is_endless:
        command.append("--endless")
    if makes_vectors:
        command.append("--embeddings")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        host, port = _wait_address(process)
        server = LlamaServer(host, port, process)
        _wait_ready(server)
        yield server
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _wait_address(process: subprocess.Popen[bytes]) -> tuple[str, int]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"listening "):
            host, _, port = line.split()[1].decode().rpartition(":")
            return host, int(port)
    raise RuntimeError("the llama.cpp server ended before it listened; does this processor have AVX2?")


def _wait_ready(server: LlamaServer) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            if server.get("/health") == {"status": "ok"}:
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.02)
    raise RuntimeError("the llama.cpp server was not ready in time")


def _with_long_context(model: str) -> str:
    """A copy of the model whose header allows 65,536 tokens: what it says then is nonsense, but for long enough."""
    data = bytearray(Path(model).read_bytes())
    key = b"llama.context_length"
    # GGUF: after the key, the type (4 = uint32) and the value, each of four bytes, little-endian.
    at = data.index(key) + len(key) + 4
    data[at : at + 4] = (65_536).to_bytes(4, "little")
    with tempfile.NamedTemporaryFile(suffix=".gguf", delete=False) as copy:
        copy.write(data)
    return copy.name


def serve(arguments: argparse.Namespace) -> None:
    """Run the server in this process until SIGTERM, or until the parent is gone."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = _with_long_context(arguments.model) if arguments.endless else arguments.model
    parameters.hostnames = [arguments.host]
    parameters.port = arguments.port
    parameters.n_ctx = arguments.context
    parameters.n_parallel = arguments.slots
    # More than one thread is 35 times slower as soon as another program is busy.
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_metrics = parameters.endpoint_slots = parameters.endpoint_props = True
    parameters.use_jinja = True
    parameters.sampling.ignore_eos = arguments.endless
    if arguments.embeddings:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        parameters.n_batch = parameters.n_ubatch = arguments.context  # a text is taken whole or not at all
    if arguments.api_key:
        parameters.api_keys = [arguments.api_key]
    server = xllamacpp.Server(parameters)
    if arguments.endless:
        os.unlink(parameters.model.path)
    print("listening", str(server.listening_address).removeprefix("http://"), flush=True)
    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number) if arguments.graceful else os._exit(0))
    parent = os.getppid()
    while os.getppid() == parent and not asked_to_end:
        time.sleep(0.2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as llama-server does: a second one ends it at once
    del server  # waits for open streams


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--endless", action="store_true")
    parser.add_argument("--embeddings", action="store_true", help="make vectors")
    parser.add_argument("--graceful", action="store_true", help="end on SIGTERM as llama-server does")
    serve(parser.parse_args())
