"""A real llama.cpp server that is writing an answer is stopped: it waits for its reader half a minute, we do not."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.job_node import REMOTE, Node, clean, free_port, session_of, wait_for

SERVER = REMOTE.parents[1] / "tests" / "servers" / "llamacpp.py"
MODEL = REMOTE.parents[1] / "tests" / "data" / "models" / "tinytool.gguf"
SILENCE_S = 30.0
"""So long a llama.cpp server waits for a reader after SIGTERM. Seen with build b11434 and xllamacpp."""
ASKED = json.dumps({
    "messages": [{"role": "user", "content": "ping"}], "stream": True, "max_tokens": 50_000, "temperature": 1.0
})  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, sys.executable)
    yield made
    clean(made)


def test_a_server_that_writes_an_answer_ends_by_the_second_signal_and_its_reader_sees_a_cut(node: Node) -> None:
    port = free_port()
    words = [sys.executable, str(SERVER), str(MODEL), "--port", str(port), "--endless", "--graceful"]
    ready = {"kind": "http", "host": "127.0.0.1", "port": port, "path": "/health"}
    folder = node.put("writer", [*words, "--context", "60000"], ready=ready, stop_grace_s=SILENCE_S)
    pid = node.run("start", folder)["pid"]
    wait_for(lambda: node.run("ready", folder)["ready"])
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request("POST", "/v1/chat/completions", ASKED, {"Content-Type": "application/json"})
    answer = line.getresponse()
    assert answer.readline().startswith(b"data: ")
    begun = time.monotonic()
    assert node.run("stop", folder) == {"stopped": True}
    assert time.monotonic() - begun < SILENCE_S / 2, "it waited for the reader"
    assert session_of(pid) == []
    rest = b""
    try:
        while piece := answer.read1(65536):
            rest += piece
    except (http.client.IncompleteRead, ConnectionError):
        pass
    assert b"[DONE]" not in rest
    assert b'"finish_reason":"' not in rest
    line.close()
    ended = node.run("status", folder)
    assert (ended["state"], ended["reason"]) == ("ended", "stopped by user")
    assert json.loads((folder / "exit.json").read_text())["signal"] != 9, "it was not killed"
