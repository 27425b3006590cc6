"""A small real HTTP server that behaves as an engine does: loads, answers, counts, dies. Run as a program on a "node".

echo_engine.py --port N [--load S] [--never-ready] [--die-after S] [--deaf]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BEGUN_S = time.monotonic()
COUNTS = {"tokens": 0}


def parse(argv: list[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--load", type=float, default=0.0, help="seconds until it is ready")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--no-token", action="store_true", help="ready, but every answer is an error")
    parser.add_argument("--die", default="", help="print this and end with code 3 at once")
    parser.add_argument("--hang", default="", help="answers hang while PATH.now is there, and fail with PATH.error")
    parser.add_argument("--warm-up", action="store_true", help="say that it warms up while it is not ready yet")
    parser.add_argument("--tell", action="store_true", help="say what the weights take, before much else")
    parser.add_argument("--deaf", action="store_true", help="SIGTERM is ignored")
    return parser.parse_args(argv)


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    options = argparse.Namespace()
    """Those of the program; set before it serves."""

    def do_GET(self) -> None:
        """Health and metrics."""
        is_ready = not self.options.never_ready and time.monotonic() - BEGUN_S >= self.options.load
        if self.path == "/metrics" and not self.may_enter():
            self.answer(401, {"error": {"message": "Invalid API Key"}})
        elif not is_ready:
            self.answer(503, {"error": {"message": "Loading model"}})
        elif self.path == "/metrics":
            self.answer(200, f"echo_tokens_total {COUNTS['tokens']}\n")
        else:
            self.answer(200, {"status": "ok", "pid": os.getpid()})

    def may_enter(self) -> bool:
        """Whether the request brings the key, where there is one."""
        key = os.environ.get("ECHO_API_KEY", "")
        return not key or self.headers.get("Authorization") == f"Bearer {key}"

    def do_POST(self) -> None:
        """One answer of five tokens; one token when it is asked to stream."""
        if not self.may_enter():
            self.answer(401, {"error": {"message": "Invalid API Key"}})
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if Path(f"{self.options.hang}.now").exists():
            time.sleep(600)
        if self.options.no_token:
            self.answer(500, {"error": {"message": "no kernel image"}})
            return
        if asked.get("stream"):
            self.stream()
            return
        COUNTS["tokens"] += 5
        print("echo: answered", flush=True)
        message = {"message": {"content": "OK"}, "finish_reason": "stop"}
        self.answer(200, {"choices": [message], "usage": {"completion_tokens": 5}})

    def stream(self) -> None:
        """One token, piece by piece."""
        if Path(f"{self.options.hang}.error").exists():
            pieces: list[object] = [{"error": {"message": "EngineCore encountered an issue.", "code": 500}}]
        else:
            COUNTS["tokens"] += 1
            delta = {"delta": {"content": "OK"}, "index": 0, "finish_reason": None}
            pieces = [{"choices": [delta]}, {"choices": [{"delta": {}, "index": 0, "finish_reason": "length"}]}]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def answer(self, status: int, body: object) -> None:
        """Send text or JSON."""
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main(options: argparse.Namespace) -> int:
    """Serve."""
    print("echo: loading", flush=True)
    if options.tell:
        print("echo: weights 123456 bytes, version 7\n" + "echo: chatter chatter\n" * 20_000, flush=True)
    if options.die:
        print(options.die, flush=True)
        return 3
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    Handler.options = options
    print("echo: 50 percent", flush=True)
    if options.warm_up:
        print("echo: warming up", flush=True)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    print("echo: listening \x1b[31mred\x1b[0m", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))
