"""Ollama's HTTP face in front of llama.cpp: its own API and the OpenAI-like one.

The one rule: strict. A path that is not here is Gin's 404, a model that is not here Ollama's error; tokens and times in
an answer are llama.cpp's own. Source of the forms: Ollama's docs/api.md, version 0.12; not held against a running one.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine import Engine

VERSION = "0.12.6"
_MAX_BODY_BYTES = 64 * 2**20
_TIMEOUT_S = 600.0
_FOREVER = "2318-01-01T00:00:00Z"
_OPENAI = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


class Model:
    """The one model: `smollm2:135m`, or the file's own name."""

    def __init__(self, file: str, context: int) -> None:
        stem = os.path.basename(file).removesuffix(".gguf").lower()
        self.name = "smollm2:135m" if "smollm2" in stem else f"{stem}:latest"
        self.size_bytes = os.path.getsize(file)
        self.context = context
        self.digest = hashlib.sha256(f"{stem} {self.size_bytes}".encode()).hexdigest()
        self.details = {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                        "parameter_size": "134.52M", "quantization_level": "Q8_0"}  # fmt: skip

    def is_called(self, name: str) -> bool:
        """Whether a request means it; a name without a tag is `latest`."""
        return name in (self.name, self.name.removesuffix(":latest"))


class Front:
    """The listening side. Raises OSError when the port is taken."""

    def __init__(self, address: str, port: int, model: Model) -> None:
        self.model = model
        self.engine: Engine | None = None
        self.is_loaded = False
        front = self

        class Handler(_Handler):
            owner = front

        self._server = _Server((address, port), Handler)

    def start(self, engine: Engine) -> None:
        """Answer from now on, with this engine."""
        self.engine = engine
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.socket.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ollama"
    sys_version = ""
    owner: Front

    def do_HEAD(self) -> None:
        """Only the root, as health checks ask it."""
        self._reply(200 if self.path == "/" else 404, b"", "text/plain; charset=utf-8")

    def do_GET(self) -> None:
        """The reading pages."""
        path, model = self.path.partition("?")[0], self.owner.model
        row = {"name": model.name, "model": model.name, "size": model.size_bytes, "digest": model.digest,
               "details": model.details}  # fmt: skip
        if path == "/":
            self._reply(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif path == "/api/version":
            self._reply_json(200, {"version": VERSION})
        elif path == "/api/tags":
            self._reply_json(200, {"models": [{**row, "modified_at": "2026-06-18T19:44:21Z"}]})
        elif path == "/api/ps":
            live = {**row, "expires_at": _FOREVER, "size_vram": model.size_bytes, "context_length": model.context}
            self._reply_json(200, {"models": [live] if self.owner.is_loaded else []})
        elif path == "/v1/models":
            entry = {"id": model.name, "object": "model", "created": 1781800000, "owned_by": "library"}
            self._reply_json(200, {"object": "list", "data": [entry]})
        else:
            self._reply(404, b"404 page not found", "text/plain")

    def do_POST(self) -> None:
        """Questions and /api/show."""
        path = self.path.partition("?")[0]
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(size, _MAX_BODY_BYTES))
        if path not in (*_OPENAI, "/api/chat", "/api/generate", "/api/show"):
            self._reply(404, b"404 page not found", "text/plain")
            return
        try:
            asked = json.loads(body)
            name = str(asked.get("model") or asked.get("name") or "")
        except (ValueError, AttributeError) as error:
            self._reply_json(400, {"error": str(error)})
            return
        if not self.owner.model.is_called(name):
            words = f"model '{name}' not found" if name else "model is required"
            shape = {"error": {"message": words, "type": "api_error", "param": None, "code": None}}
            self._reply_json(404 if name else 400, shape if path in _OPENAI else {"error": words})
        elif path == "/api/show":
            model = self.owner.model
            info = {"general.architecture": "llama", "llama.context_length": 8192}
            self._reply_json(200, {"details": model.details, "model_info": info, "capabilities": ["completion"]})
        else:
            self._ask(path, asked)

    def _ask(self, path: str, asked: dict[str, Any]) -> None:
        assert self.owner.engine is not None
        connection = self.owner.engine.connect(_TIMEOUT_S)
        try:
            if path in _OPENAI:
                self._pass_on(connection, path, asked)
            else:
                self._translate(connection, path, asked)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            with contextlib.suppress(OSError):
                self._reply_json(500, {"error": "llama runner process has terminated"})
        finally:
            connection.close()  # ends the generation when our client is gone

    def _pass_on(self, connection: http.client.HTTPConnection, path: str, asked: dict[str, Any]) -> None:
        """The OpenAI-like paths: bytes as they come, with our model's name for the engine's."""
        body = json.dumps({**asked, "model": "ollama"}).encode()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        kind = answer.headers.get("Content-Type", "application/json")
        if not kind.startswith("text/event-stream"):
            self._reply(answer.status, self._named(answer.read()), kind)
            return
        self._begin_stream(kind)
        for line in answer:
            self._send_chunk(self._named(line))
        self.wfile.write(b"0\r\n\r\n")

    def _named(self, data: bytes) -> bytes:
        return data.replace(b'"model":"ollama"', f'"model":"{self.owner.model.name}"'.encode())

    def _translate(self, connection: http.client.HTTPConnection, path: str, asked: dict[str, Any]) -> None:
        """/api/chat and /api/generate: one JSON object a line, or one in all."""
        is_chat = path == "/api/chat"
        options = asked.get("options") or {}
        messages = asked.get("messages") if is_chat else [{"role": "user", "content": str(asked.get("prompt", ""))}]
        wish: dict[str, Any] = {"messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        for name, other in (("temperature", "temperature"), ("num_predict", "max_tokens"), ("seed", "seed")):
            if name in options:
                wish[other] = options[name]
        began_ns = time.monotonic_ns()
        connection.request("POST", "/v1/chat/completions", json.dumps(wish), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            self._reply_json(answer.status, {"error": str(json.loads(answer.read())["error"]["message"])})
            return
        is_stream = bool(asked.get("stream", True))
        if is_stream:
            self._begin_stream("application/x-ndjson")
        text = ""
        last: dict[str, Any] = {}
        for event in _events(answer):
            last |= {name: event[name] for name in ("usage", "timings") if event.get(name)}
            choice = (event.get("choices") or [{}])[0]
            last |= {"finish": choice["finish_reason"]} if choice.get("finish_reason") else {}
            part = str((choice.get("delta") or {}).get("content") or "")
            text += part
            if part and is_stream:
                self._send_chunk(self._line(part, is_chat=is_chat, end=None))
        line = self._line("" if is_stream else text, is_chat=is_chat, end=_end(last, time.monotonic_ns() - began_ns))
        if is_stream:
            self._send_chunk(line)
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._reply(200, line, "application/json; charset=utf-8")

    def _line(self, text: str, *, is_chat: bool, end: dict[str, Any] | None) -> bytes:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        content: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if is_chat else {"response": text}
        row = {"model": self.owner.model.name, "created_at": now, **content, "done": end is not None, **(end or {})}
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"

    def _begin_stream(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _reply_json(self, status: int, value: Any) -> None:
        self._reply(status, json.dumps(value).encode(), "application/json; charset=utf-8")

    def _reply(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written."""


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events."""
    for line in answer:
        if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
            yield json.loads(line[5:])


def _end(last: dict[str, Any], total_ns: int) -> dict[str, Any]:
    """What the last object says of counts and times, in nanoseconds."""
    usage, timings = last.get("usage") or {}, last.get("timings") or {}
    return {
        "done_reason": "length" if last.get("finish") == "length" else "stop",
        "total_duration": total_ns,
        "load_duration": 0,
        "prompt_eval_count": int(usage.get("prompt_tokens", 0)),
        "prompt_eval_duration": int(float(timings.get("prompt_ms", 0)) * 1e6),
        "eval_count": int(usage.get("completion_tokens", 0)),
        "eval_duration": int(float(timings.get("predicted_ms", 0)) * 1e6),
    }
