"""A small HTTP server that speaks Ollama's documented API, with faults to order: for the keeper of a model.

Source of the forms: Ollama's docs/api.md. No model runs here: what is loaded is a row with the time until it goes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "smollm2:135m"
TOTAL = 100_000_000
LAYER = "sha256:2bada8a7450677000f678be90653b85d364de7db25eb5ea54136ada5f3933730"


class StandIn:
    """The service's state, and what befalls it."""

    def __init__(self) -> None:
        self.has_model = False
        self.loaded_until_s = 0.0
        self.context = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.cut_pulls = 0
        """So many downloads break off at 90 %."""
        self.is_never_whole = False
        self.pull_error = ""
        self.load_error = ""
        self.pull_lines = 10
        self.pull_wait_s = 0.0
        self.unload_wait_s = 0.0
        self.port = 0

    @property
    def is_loaded(self) -> bool:
        """Whether it is in memory."""
        return time.monotonic() < self.loaded_until_s

    def posts(self, path: str) -> list[dict[str, Any]]:
        """The bodies that came to one path."""
        return [body for found, body in self.asked if found == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: StandIn

    def do_GET(self) -> None:
        """Version and the two lists."""
        row = {"name": MODEL, "model": MODEL, "size": 270_898_672}
        if self.path == "/api/version":
            self._answer(200, {"version": "0.12.6"})
        elif self.path == "/api/tags":
            self._answer(200, {"models": [row] if self.state.has_model else []})
        elif self.path == "/api/ps":
            live = {**row, "size_vram": 270_898_672, "context_length": self.state.context}
            self._answer(200, {"models": [live] if self.state.is_loaded else []})
        else:
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        """Pull, load, renew, unload."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.state.asked.append((self.path, body))
        if self.path == "/api/pull":
            self._pull()
        elif self.state.load_error:
            self._answer(500, {"error": self.state.load_error})
        elif not self.state.has_model:
            self._answer(404, {"error": f"model '{body['model']}' not found"})
        else:
            time.sleep(0.0 if body["keep_alive"] else self.state.unload_wait_s)
            self.state.context = (body.get("options") or {}).get("num_ctx", self.state.context)
            self.state.loaded_until_s = time.monotonic() + float(body["keep_alive"])
            self._answer(200, {"model": MODEL, "response": "", "done": True, "done_reason": "load"})

    def _pull(self) -> None:
        state = self.state
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._line({"status": "pulling manifest"})
        if state.pull_error:
            self._line({"error": state.pull_error})
            return self._end()
        for part in range(1, state.pull_lines + 1):
            time.sleep(state.pull_wait_s)
            if state.cut_pulls and part > state.pull_lines * 0.9:
                state.cut_pulls -= 1
                self.close_connection = True
                return self.connection.close()
            row = {"status": f"pulling {LAYER[7:19]}", "digest": LAYER, "total": TOTAL}
            self._line({**row, "completed": TOTAL * part // state.pull_lines})
        self._line({"status": "verifying sha256 digest"})
        if not state.is_never_whole:
            state.has_model = True
            self._line({"status": "success"})
        return self._end()

    def _line(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode() + b"\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def ollama_service() -> Iterator[StandIn]:
    """The service on a free port of the loopback."""
    state = StandIn()

    class Handler(_Handler):
        pass

    Handler.state = state
    server = _Server(("127.0.0.1", 0), Handler)
    state.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
