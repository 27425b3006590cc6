"""A server is ready by the way its plan names, and proved only by an answer that holds what it is for."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.remote.job_node import Node, clean, free_port, wait_for
from tests.remote.python_version import PYTHONS

CHAT = {"choices": [{"message": {"content": "OK"}}], "usage": {"completion_tokens": 2}}


class Server(HTTPServer):
    """Answers each path with what the test says, and keeps what it was asked."""

    answers: dict[str, tuple[int, Any]]
    asked: list[tuple[str, Any]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = {}, []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def where(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.server_port, "path": "/v1/chat/completions", "model": "tiny"}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        code, value = self.server.answers.get(self.path, (404, {"error": "no such path"}))
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, sys.executable)
    yield made
    clean(made)


def prove(node: Node, server: Server, proof: str, path: str, answer: Any, *, status: int = 200, code: int = 0) -> Any:
    """What `token` says to this answer."""
    server.answers[path] = (status, answer)
    folder = node.jobs / proof
    if not folder.exists():
        node.put(proof, ["sleep", "600"], token={**server.where, "proof": proof})
    return node.run("token", folder, code=code)


def test_each_purpose_is_proved_by_its_own_answer(node: Node, server: Server) -> None:
    assert prove(node, server, "chat", "/v1/chat/completions", CHAT)["text"] == "OK"
    seen = prove(node, server, "vision", "/v1/chat/completions", CHAT)
    assert (seen["ok"], seen["tokens"]) == (True, 2)
    vector = {"data": [{"embedding": [0.25, -0.5, 0.0]}], "usage": {"prompt_tokens": 3}}
    assert prove(node, server, "embed", "/v1/embeddings", vector)["text"] == "a vector of 3 numbers"
    scores = {"results": [{"index": 0, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.1}]}
    assert prove(node, server, "rerank", "/v1/rerank", scores)["text"] == "2 scores"
    assert [path for path, _ in server.asked] == [
        "/v1/chat/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/rerank",
    ]  # fmt: skip
    assert all(body["model"] == "tiny" for _, body in server.asked)


def test_the_picture_is_a_real_one(node: Node, server: Server) -> None:
    qt = pytest.importorskip("PySide6.QtGui")
    prove(node, server, "vision", "/v1/chat/completions", CHAT)
    url = server.asked[0][1]["messages"][0]["content"][1]["image_url"]["url"]
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    image = qt.QImage.fromData(__import__("base64").b64decode(data), "PNG")
    assert (image.width(), image.height()) == (64, 64)
    assert image.pixelColor(30, 30).red() > 150


@pytest.mark.parametrize("python", PYTHONS)
def test_a_server_that_needs_no_proof_is_believed(python: str, tmp_path: Path) -> None:
    node = Node(tmp_path, python)
    folder = node.put("none", ["true"], token={"proof": "none", "port": 1})
    assert node.run("token", folder)["ok"] is True


@pytest.mark.parametrize(
    ("proof", "path", "answer"),
    [
        ("chat", "/v1/chat/completions", {"error": {"message": "EngineCore encountered an issue"}}),
        ("chat", "/v1/chat/completions", {"object": "error", "message": "dead", "choices": CHAT["choices"]}),
        ("chat", "/v1/chat/completions", {"choices": [{"message": {"content": ""}}], "usage": {}}),
        ("chat", "/v1/chat/completions", b"data: not json"),
        ("embed", "/v1/embeddings", {"data": [{"embedding": [0.0, 0.0]}]}),
        ("embed", "/v1/embeddings", b'{"data": [{"embedding": [NaN, 1.0]}]}'),
        ("embed", "/v1/embeddings", {"data": []}),
        ("rerank", "/v1/rerank", {"results": []}),
        ("rerank", "/v1/rerank", CHAT),
    ],
)
def test_an_answer_without_what_it_is_for_proves_nothing(
    node: Node, server: Server, proof: str, path: str, answer: Any
) -> None:
    said = prove(node, server, proof, path, answer, code=1)
    assert said["error"].startswith("no token was generated: HTTP 200" if proof == "chat" else f"no {proof} answer")
    assert not (node.jobs / proof / "proved.json").exists()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"message": "EngineCore encountered\nan issue", "code": 500}}, "EngineCore encountered an issue"),
        ({"error": "model runner has stopped"}, "model runner has stopped"),
        ({"object": "error", "message": "dead", "code": 500}, "dead"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"data": []}, "an answer without content or words"),
        (b"upstream is gone", "upstream is gone"),
    ],
)
def test_why_no_vector_came_is_said_in_the_servers_words_without_its_json(
    node: Node, server: Server, answer: Any, words: str
) -> None:
    said = prove(node, server, "embed", "/v1/embeddings", answer, code=1)
    assert said["error"] == f"no embed answer came: HTTP 200: {words}"


def test_a_log_line_is_a_way_to_be_ready_and_an_earlier_try_does_not_count(node: Node) -> None:
    script = 'echo one two; until [ -e "$0/go" ]; do sleep 0.05; done; echo the model is up; sleep 600'
    where = {"kind": "log", "words": "model is up", "host": "127.0.0.1", "port": free_port()}
    folder = node.put("said", ["sh", "-c", script, "{folder}"], ready=where)
    node.run("start", folder)
    assert node.run("ready", folder)["ready"] is False
    (folder / "go").touch()
    assert wait_for(lambda: node.run("ready", folder)["ready"])
    node.run("stop", folder)
    (folder / "go").unlink()
    node.run("start", folder)
    assert any(b"the model is up" in path.read_bytes() for path in folder.glob("log-*"))
    assert node.run("ready", folder)["ready"] is False, "that line was said by the run before"
    node.run("stop", folder)


def test_what_an_earlier_try_said_in_the_same_file_does_not_count(node: Node) -> None:
    where = {"kind": "log", "words": "model is up", "host": "127.0.0.1", "port": 1}
    folder = node.put("tries", ["sleep", "600"], ready=where)
    node.run("start", folder)
    (folder / "log").write_text("the model is up\n")
    assert node.run("ready", folder)["ready"] is True
    record = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**record, "log_from": 16}))
    assert node.run("ready", folder)["ready"] is False
    node.run("stop", folder)


def test_an_open_port_is_a_way_to_be_ready(node: Node, server: Server) -> None:
    folder = node.put("open", ["sleep", "600"], ready={**server.where, "kind": "port"})
    node.run("start", folder)
    assert node.run("ready", folder) == {"ready": True, "detail": "its port is open", "ended": False, "guarded": True}
    node.run("stop", folder)
    closed = node.put("closed", ["sleep", "600"], ready={**server.where, "kind": "port", "port": free_port()})
    node.run("start", closed)
    assert "refused" in node.run("ready", closed)["detail"]
    node.run("stop", closed)
