"""vLLM's HTTP face in front of llama.cpp: health, models, metrics and errors in vLLM's shapes; answers passed through.

The one rule: bytes of an answer are never touched. Shapes as captured from vLLM 0.32 on a CPU.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine import Engine

_MAX_BODY_BYTES = 64 * 2**20
_TIMEOUT_S = 600.0
_POSTS = ("/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize", "/v1/embeddings", "/v1/messages")
_GETS = ("/health", "/ping", "/version", "/v1/models", "/metrics", "/load")
# vLLM's name -> (kind, llama.cpp's name)
_METRICS = {
    "vllm:num_requests_running": ("gauge", "llamacpp:requests_processing"),
    "vllm:num_requests_waiting": ("gauge", "llamacpp:requests_deferred"),
    "vllm:prompt_tokens_total": ("counter", "llamacpp:prompt_tokens_total"),
    "vllm:prompt_tokens_cached_total": ("counter", "llamacpp:prompt_tokens_cached_total"),
    "vllm:generation_tokens_total": ("counter", "llamacpp:tokens_predicted_total"),
}


class Front:
    """The listening side. Ports are taken at once, so that a taken one fails before the load; answers come later."""

    def __init__(
        self, listeners: list[tuple[str, int]], names: list[str], model: str, context: int, version: str
    ) -> None:
        self.names = names
        self.model = model
        self.context = context
        self.version = version
        self.engine: Engine | None = None
        self.created = int(time.time())
        front = self

        class Handler(_Handler):
            owner = front

        self._servers = []
        for address in listeners:
            server = _Server(address, Handler, bind_and_activate=False)
            server.server_bind()  # taken but not listening: connections are refused until the model is there
            self._servers.append(server)

    def start(self, engine: Engine) -> None:
        """Answer from now on, with this engine."""
        self.engine = engine
        for server in self._servers:
            server.server_activate()
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def close(self) -> None:
        """Stop listening; open streams are cut."""
        for server in self._servers:
            server.socket.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "uvicorn"
    sys_version = ""
    owner: Front

    def do_GET(self) -> None:
        """The small pages."""
        path = self.path.partition("?")[0]
        if path in ("/health", "/ping"):
            self._reply(200 if self.owner.engine and self.owner.engine.is_ready() else 503, b"", "")
        elif path == "/version":
            self._reply_json(200, {"version": self.owner.version})
        elif path == "/v1/models":
            self._reply_json(200, {"object": "list", "data": [self._model(name) for name in self.owner.names]})
        elif path == "/load":
            self._reply_json(200, {"server_load": 0})
        elif path == "/metrics":
            self._reply(200, self._metrics().encode(), "text/plain; version=1.0.0; charset=utf-8")
        else:
            self._wrong(path, _POSTS)

    def do_POST(self) -> None:
        """Questions, passed to llama.cpp."""
        path = self.path.partition("?")[0]
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(size, _MAX_BODY_BYTES))
        if path not in _POSTS:
            self._wrong(path, _GETS)
            return
        try:
            asked = json.loads(body or b"{}").get("model", self.owner.names[0])
        except (ValueError, AttributeError) as error:
            self._error(400, f"Invalid JSON: {error}", "Bad Request", None)
            return
        if asked not in self.owner.names:
            aliases = ", ".join(self.owner.names)
            self._error(404, f"The model `{asked}` does not exist. Valid aliases: {aliases}.", "NotFoundError", "model")
            return
        self._pass_on(path, body)

    def _pass_on(self, path: str, body: bytes) -> None:
        assert self.owner.engine is not None
        connection = self.owner.engine.connect(_TIMEOUT_S)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                self._translate(answer.status, answer.read())
            elif answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                self._stream(answer)
            else:
                self._reply(200, answer.read(), answer.headers.get("Content-Type", "application/json"))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except (OSError, http.client.HTTPException):
            with contextlib.suppress(OSError):
                self._error(500, "EngineCore encountered an issue. See stack trace (above) for the root cause.",
                            "InternalServerError", None)  # fmt: skip
        finally:
            connection.close()  # ends the generation when our client is gone

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        """Pass server-sent events as they come, piece by piece."""
        self.send_response(200)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while data := answer.read1(65536):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _translate(self, status: int, body: bytes) -> None:
        """An error of llama.cpp in vLLM's shape."""
        try:
            error = json.loads(body)["error"]
            words, kind = str(error["message"]), str(error.get("type", ""))
        except (ValueError, KeyError, TypeError):
            self._reply(status, body, "application/json")
            return
        if kind == "exceed_context_size_error":
            limit = self.owner.context
            words = (
                f"This model's maximum context length is {limit} tokens. However, your prompt contains at least "
                f"{limit + 1} input tokens, which exceeds this limit even without any output tokens. Please reduce the "
                f"length of the input prompt. (parameter=input_tokens, value={limit + 1})"
            )
            self._error(400, words, "BadRequestError", "input_tokens")
        else:
            self._error(status, words, "BadRequestError" if status == 400 else "InternalServerError", None)

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self.owner.created, "owned_by": "vllm",
                "root": self.owner.model, "parent": None, "max_model_len": self.owner.context}  # fmt: skip

    def _metrics(self) -> str:
        """llama.cpp's real counters under vLLM's names; what llama.cpp does not count is left out."""
        values = self._backend_metrics()
        label = f'{{engine="0",model_name="{self.owner.names[0]}"}}'
        lines = []
        for name, (kind, source) in _METRICS.items():
            if source in values:
                family = name.removesuffix("_total") if kind == "counter" else name
                lines += [f"# HELP {family} From llama.cpp's {source} (simulated vLLM).", f"# TYPE {family} {kind}"]
                lines.append(f"{name}{label} {values[source]}")
        return "\n".join(lines) + "\n"

    def _backend_metrics(self) -> dict[str, float]:
        assert self.owner.engine is not None
        connection = self.owner.engine.connect(5.0)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode("utf-8", "replace")
        except OSError:
            return {}
        finally:
            connection.close()
        found = {}
        for line in text.splitlines():
            name, _space, value = line.partition(" ")
            with contextlib.suppress(ValueError):
                found[name.partition("{")[0]] = float(value)
        return found

    def _wrong(self, path: str, others: tuple[str, ...]) -> None:
        if path in others:
            self._reply_json(405, {"detail": "Method Not Allowed"})
        else:
            self._reply_json(404, {"detail": "Not Found"})

    def _error(self, status: int, words: str, kind: str, parameter: str | None) -> None:
        self._reply_json(status, {"error": {"message": words, "type": kind, "param": parameter, "code": status}})

    def _reply_json(self, status: int, value: Any) -> None:
        self._reply(status, json.dumps(value, separators=(",", ":")).encode(), "application/json")

    def _reply(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """One line a request, as uvicorn prints it."""
        status = int(code) if str(code).isdigit() else 0
        phrase = http.client.responses.get(status, "")
        host, port = self.client_address[:2]
        print(f'INFO:     {host}:{port} - "{self.command} {self.path} HTTP/1.1" {status} {phrase}', flush=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing beside the requests."""
