"""The HTTP face that simulated servers share: listening, passing on to llama.cpp, counting, errors of a dead engine.

The one rule: bytes of an answer are never touched, but for the model's name where an engine names it otherwise. An
engine that was made to die or to stall does so behind a face that goes on answering.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine import Engine
from meter import Call, Meter
from pace import factor_of, hold, paced
from spark_state import conditions

MAX_BODY_BYTES = 64 * 2**20
TIMEOUT_S = 600.0
_METRICS_TIMEOUT_S = 5.0


class Front:
    """The listening side. Ports are taken at once, so that a taken one fails before the load; answers come later.

    Raises OSError when a port is taken.
    """

    def __init__(self, listeners: list[tuple[str, int]], handler: type[Handler], meter: Meter) -> None:
        self.engine: Engine | None = None
        self.meter = meter
        self.is_eager = False
        self.is_dead = False
        self.is_listening = False
        self.keys: tuple[str, ...] = ()
        front = self

        class Owned(handler):  # type: ignore[valid-type, misc]
            owner = front

        self._servers = []
        for address in listeners:
            server = _Server(address, Owned, bind_and_activate=False)
            server.server_bind()  # taken but not listening: connections are refused until the model is there
            self._servers.append(server)

    def start(self, engine: Engine | None) -> None:
        """Answer from now on, with this engine; one that answers already gets its engine."""
        self.engine = engine
        if not self.is_listening:
            self.listen()

    def listen(self) -> None:
        """Take connections, also before the engine is there."""
        self.is_listening = True
        for server in self._servers:
            server.server_activate()
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def close(self) -> None:
        """Stop listening; open streams are cut."""
        for server in self._servers:
            server.socket.close()

    def allows(self, header: str) -> bool:
        """Whether this Authorization header holds one of the keys; anything does where there is none."""
        scheme, _space, given = header.partition(" ")
        digest = hashlib.sha256(given.encode()).digest()
        known = [hashlib.sha256(key.encode()).digest() for key in self.keys]
        is_known = any([hmac.compare_digest(digest, one) for one in known])  # noqa: C419  all are compared
        return not self.keys or (scheme.lower() == "bearer" and is_known)

    def counts(self) -> dict[str, float]:
        """llama.cpp's own metrics by name; those of a dead engine are gone."""
        found: dict[str, float] = {}
        for line in self._ask("/metrics").splitlines():
            name, _space, value = line.partition(" ")
            with contextlib.suppress(ValueError):
                found[name.partition("{")[0]] = float(value)
        return found

    def held_tokens(self) -> int:
        """Tokens that llama.cpp's busy slots hold."""
        try:
            slots = [slot for slot in json.loads(self._ask("/slots") or "[]") if slot["is_processing"]]
            return sum(int(slot["n_prompt_tokens"]) + int(slot["next_token"][0]["n_decoded"]) for slot in slots)
        except (ValueError, KeyError, TypeError, IndexError):
            return 0

    def _ask(self, path: str) -> str:
        if self.engine is None:
            return ""
        connection = self.engine.connect(_METRICS_TIMEOUT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    """What each engine's own handler builds on."""

    protocol_version = "HTTP/1.1"
    server_version = "uvicorn"
    sys_version = ""
    owner: Any

    def body(self) -> bytes:
        """What was sent."""
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES))

    def engine_error(self, status: int, words: str, kind: str) -> None:
        """An error in the engine's own shape; each engine has its own."""
        raise NotImplementedError

    def translate(self, status: int, body: bytes) -> None:
        """An error of llama.cpp in the engine's shape."""
        raise NotImplementedError

    dead_words = ""
    dead_event = b""

    def pass_on(self, path: str, body: bytes) -> None:
        """Ask llama.cpp and pass its answer on as it comes."""
        if self.owner.engine is None or self.owner.is_dead:
            self.engine_error(500, self.dead_words, "InternalServerError")
            return
        call, start_s, is_whole, has_begun = Call(self.owner.meter), time.monotonic(), False, False
        connection = self.owner.engine.connect(TIMEOUT_S)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                self.translate(answer.status, answer.read())
            elif answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                has_begun = True
                self._stream(answer, call, start_s)
                is_whole = True
            else:
                data = answer.read()
                hold(factor_of(is_eager=self.owner.is_eager), start_s)
                call.take_whole(data)
                is_whole = True
                self.reply(200, data, answer.headers.get("Content-Type", "application/json"))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except (OSError, http.client.HTTPException):
            with contextlib.suppress(OSError):
                self._tell_death(has_begun=has_begun)
        finally:
            connection.close()  # ends the generation when our client is gone
            call.end(is_whole=is_whole)

    def _stream(self, answer: http.client.HTTPResponse, call: Call, start_s: float) -> None:
        """Pass server-sent events as they come, piece by piece."""
        self.send_response(200)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for data in paced(answer, factor_of(is_eager=self.owner.is_eager), start_s):
            call.feed(data)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        if self.owner.is_dead:
            raise OSError("the engine died in the stream")
        self.wfile.write(b"0\r\n\r\n")

    def _tell_death(self, *, has_begun: bool) -> None:
        """A dead engine's words: an event in a stream that has begun, else an answer."""
        if not has_begun:
            self.engine_error(500, self.dead_words, "InternalServerError")
            return
        self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.dead_event), self.dead_event))
        self.wfile.flush()

    def reply_json(self, status: int, value: Any) -> None:
        """An object."""
        self.reply(status, json.dumps(value, separators=(",", ":")).encode(), "application/json")

    def reply(self, status: int, body: bytes, kind: str) -> None:
        """An answer in one piece."""
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


def is_stalled() -> bool:
    """Whether the engine is made to stand still."""
    return "engine-stall" in conditions()
