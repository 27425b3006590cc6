"""Ollama's HTTP face in front of llama.cpp: its own API and the OpenAI-like one.

The one rule: strict. A path that is not here is Gin's 404, a model that is not here Ollama's error; tokens and times in
an answer are llama.cpp's own. Source of the forms: Ollama's docs/api.md, version 0.12; not held against a running one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import ollama_store as store
from ollama_runner import Loaded, LoadError, Runner, wishes

VERSION = "0.12.6"
_MAX_BODY_BYTES = 64 * 2**20
_TIMEOUT_S = 600.0
_OPENAI = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


class Front:
    """The listening side. Raises OSError when the port is taken."""

    def __init__(self, address: str, port: int, file: str, runner: Runner) -> None:
        self.file = file
        self.runner = runner
        front = self

        class Handler(_Handler):
            owner = front

        self._server = _Server((address, port), Handler)

    def start(self) -> None:
        """Answer from now on."""
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
        path, owner = self.path.partition("?")[0], self.owner
        if path == "/":
            self._reply(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif path == "/api/version":
            self._reply_json(200, {"version": VERSION})
        elif path == "/api/tags":
            rows = [{**_row(model), "modified_at": "2026-06-18T19:44:21Z"} for model in store.models(owner.file)]
            self._reply_json(200, {"models": rows})
        elif path == "/api/ps":
            live = [{**_row(one.model), "expires_at": one.expires(), "size_vram": one.model.size_bytes,
                     "context_length": one.context} for one in owner.runner.rows()]  # fmt: skip
            self._reply_json(200, {"models": live})
        elif path == "/v1/models":
            data = [{"id": model.name, "object": "model", "created": 1781800000, "owned_by": "library"}
                    for model in store.models(owner.file)]  # fmt: skip
            self._reply_json(200, {"object": "list", "data": data})
        else:
            self._reply(404, b"404 page not found", "text/plain")

    def do_DELETE(self) -> None:
        """/api/delete."""
        asked = self._asked()
        model = store.find(str(asked.get("model") or asked.get("name") or ""), self.owner.file) if asked else None
        if self.path != "/api/delete" or model is None:
            self._reply_json(404, {"error": "model not found"})
            return
        self.owner.runner.unload(model.name)
        store.delete(model.name)
        self._reply(200, b"", "text/plain")

    def _asked(self) -> dict[str, Any] | None:
        """The request's object; None when it is none, and then the answer is given."""
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(size, _MAX_BODY_BYTES))
        try:
            asked = json.loads(body)
            asked.get("model")
        except (ValueError, AttributeError) as error:
            self._reply_json(400, {"error": str(error)})
            return None
        found: dict[str, Any] = asked
        return found

    def do_POST(self) -> None:
        """Questions, loads, pulls and /api/show."""
        path = self.path.partition("?")[0]
        if path not in (*_OPENAI, "/api/chat", "/api/generate", "/api/show", "/api/pull", "/api/embed"):
            self._reply(404, b"404 page not found", "text/plain")
            return
        asked = self._asked()
        if asked is None:
            return
        name = str(asked.get("model") or asked.get("name") or "")
        if path == "/api/pull":
            self._pull(name, is_stream=asked.get("stream") is not False)
            return
        model = store.find(name, self.owner.file) if name else None
        if model is None:
            words = f"model '{name}' not found" if name else "model is required"
            shape = {"error": {"message": words, "type": "api_error", "param": None, "code": None}}
            self._reply_json(404 if name else 400, shape if path in _OPENAI else {"error": words})
        elif path == "/api/show":
            info = {"general.architecture": "llama", "llama.context_length": 8192}
            kinds = ["embedding"] if model.is_embedding else ["completion"]
            self._reply_json(200, {"details": model.details, "model_info": info, "capabilities": kinds})
        else:
            self._with_model(path, asked, model)

    def _with_model(self, path: str, asked: dict[str, Any], model: store.Model) -> None:
        """Load it where it is not, or let it go, or ask it."""
        runner = self.owner.runner
        try:
            context, keep_s = wishes(asked)
        except ValueError as error:
            self._reply_json(400, {"error": str(error)})
            return
        is_touch = path in ("/api/generate", "/api/chat") and not asked.get("prompt") and not asked.get("messages")
        if is_touch and keep_s == 0:
            runner.unload(model.name)
            self._touched(model, "unload", path)
            return
        try:
            loaded = runner.use(model, context, keep_s)
        except LoadError as error:
            self._reply_json(500, {"error": str(error)})
            return
        if is_touch:
            self._touched(model, "load", path)
            return
        loaded.users += 1
        try:
            if path == "/api/embed":
                self._embed(asked, loaded)
            else:
                self._ask(path, asked, loaded)
        finally:
            loaded.users -= 1

    def _touched(self, model: store.Model, why: str, path: str) -> None:
        """The answer to a request without a question."""
        content: dict[str, Any] = {"response": ""} if path == "/api/generate" else {
            "message": {"role": "assistant", "content": ""}}  # fmt: skip
        self._reply_json(200, {"model": model.name, "created_at": _now(), **content, "done": True,
                               "done_reason": why})  # fmt: skip

    def _pull(self, name: str, *, is_stream: bool) -> None:
        """/api/pull: a JSON object a line; a line that breaks off cuts the answer."""
        if is_stream:
            self._begin_stream("application/x-ndjson")
        last: dict[str, Any] = {}
        try:
            for last in store.pull(name, self.owner.file):
                if is_stream:
                    self._send_chunk(json.dumps(last).encode() + b"\n")
        except store.NoModel as error:
            last = {"error": str(error)}
            if is_stream:
                self._send_chunk(json.dumps(last).encode() + b"\n")
        except (store.PullCut, BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            return
        if is_stream:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._reply_json(500 if "error" in last else 200, last)

    def _embed(self, asked: dict[str, Any], loaded: Loaded) -> None:
        """/api/embed: the real vectors; none for no text, which only loads."""
        texts = asked.get("input", [])
        texts = [texts] if isinstance(texts, str) else texts
        begun_ns = time.monotonic_ns()
        vectors: list[Any] = []
        if texts:
            connection = loaded.engine.connect(_TIMEOUT_S)
            try:
                wish = json.dumps({"input": texts, "model": "ollama"})
                connection.request("POST", "/v1/embeddings", wish, {"Content-Type": "application/json"})
                rows = sorted(json.loads(connection.getresponse().read())["data"], key=lambda row: int(row["index"]))
                vectors = [row["embedding"] for row in rows]
            except (OSError, ValueError, KeyError, TypeError):
                self._reply_json(400, {"error": "this model does not support embeddings"})
                return
            finally:
                connection.close()
        self._reply_json(200, {"model": loaded.model.name, "embeddings": vectors, "prompt_eval_count": len(texts),
                               "total_duration": time.monotonic_ns() - begun_ns, "load_duration": 0})  # fmt: skip

    def _ask(self, path: str, asked: dict[str, Any], loaded: Loaded) -> None:
        connection = loaded.engine.connect(_TIMEOUT_S)
        try:
            if path in _OPENAI:
                self._pass_on(connection, path, asked, loaded.model.name)
            else:
                self._translate(connection, path, asked, loaded.model.name)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            with contextlib.suppress(OSError):
                self._reply_json(500, {"error": "llama runner process has terminated"})
        finally:
            connection.close()  # ends the generation when our client is gone

    def _pass_on(self, connection: http.client.HTTPConnection, path: str, asked: dict[str, Any], name: str) -> None:
        """The OpenAI-like paths: bytes as they come, with our model's name for the engine's."""
        body = json.dumps({**asked, "model": "ollama"}).encode()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        kind = answer.headers.get("Content-Type", "application/json")
        if not kind.startswith("text/event-stream"):
            self._reply(answer.status, _named(answer.read(), name), kind)
            return
        self._begin_stream(kind)
        for line in answer:
            self._send_chunk(_named(line, name))
        self.wfile.write(b"0\r\n\r\n")

    def _translate(self, connection: http.client.HTTPConnection, path: str, asked: dict[str, Any], name: str) -> None:
        """/api/chat and /api/generate: one JSON object a line, or one in all."""
        is_chat = path == "/api/chat"
        options = asked.get("options") or {}
        messages = asked.get("messages") if is_chat else [{"role": "user", "content": str(asked.get("prompt", ""))}]
        wish: dict[str, Any] = {"messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        for option, other in (("temperature", "temperature"), ("num_predict", "max_tokens"), ("seed", "seed")):
            if option in options:
                wish[other] = options[option]
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
            last |= {key: event[key] for key in ("usage", "timings") if event.get(key)}
            choice = (event.get("choices") or [{}])[0]
            last |= {"finish": choice["finish_reason"]} if choice.get("finish_reason") else {}
            part = str((choice.get("delta") or {}).get("content") or "")
            text += part
            if part and is_stream:
                self._send_chunk(_line(name, part, is_chat=is_chat, end=None))
        line = _line(name, "" if is_stream else text, is_chat=is_chat, end=_end(last, time.monotonic_ns() - began_ns))
        if is_stream:
            self._send_chunk(line)
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._reply(200, line, "application/json; charset=utf-8")

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


def _row(model: store.Model) -> dict[str, Any]:
    return {"name": model.name, "model": model.name, "size": model.size_bytes, "digest": model.digest,
            "details": model.details}  # fmt: skip


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _named(data: bytes, name: str) -> bytes:
    """The model's own name for the engine's."""
    return data.replace(b'"model":"ollama"', f'"model":"{name}"'.encode())


def _line(name: str, text: str, *, is_chat: bool, end: dict[str, Any] | None) -> bytes:
    content: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if is_chat else {"response": text}
    row = {"model": name, "created_at": _now(), **content, "done": end is not None, **(end or {})}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


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
