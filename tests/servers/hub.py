"""A hub on this computer's loopback: its documented API over real HTTP, and the ways in which it can fail.

The one rule: it answers as the hub does (tree with pages, resolve with Range and a redirect, X-Error-Code); what a test
switches on is a plain attribute.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
PAGE = 3
PIECE = 1 << 14
HALT_TIMEOUT_S = 120.0


@dataclass
class Hub:
    """One repository, o/n. `port` is known once it serves."""

    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    """Files that lie in the hub's large file store: named by SHA-256."""
    token: str = ""
    """When not "": who has none gets 401, who has another 401."""
    is_gated: bool = False
    """Whoever has the token is still not let in: 403."""
    codes: list[int] = field(default_factory=list)
    """Answers to the next requests of files, before the right one."""
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """File -> after how many bytes each of the next answers breaks off."""
    piece_s: float = 0.0
    """How long each 16 KiB take."""
    halt_after: dict[str, int] = field(default_factory=dict)
    """File -> after how many of its bytes every answer stands still, until `go_on` is set; or the hub ends."""
    go_on: threading.Event = field(default_factory=threading.Event)
    lies: dict[str, bytes] = field(default_factory=dict)
    """File -> what is sent in its place."""
    takes_range: bool = True
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Path -> (Content-Type, body) that is answered in its place, with 200."""
    lengths: dict[str, int] = field(default_factory=dict)
    """File -> what Content-Length says of it, whatever is sent."""
    starts: dict[str, int] = field(default_factory=dict)
    """File -> from which byte a 206 really begins, as its Content-Range says."""
    sends_on: str = ""
    """Where files redirect to, in place of the other host."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(path, Range, Authorization) of every request."""
    cdn_asked: list[tuple[str, str, str]] = field(default_factory=list)
    next_page: str = ""
    """Where every page of the list says that the next one is."""
    certificate: Path | None = None
    """When set, before it serves: the hub speaks TLS with it (key.pem lies beside), its other host does not."""
    port: int = 0
    cdn_port: int = 0

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is."""
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def entry(self, path: str) -> dict[str, Any]:
        """A file as the tree lists it."""
        content = self.files[path]
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        row: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": oid}
        if path in self.large:
            sha = hashlib.sha256(content).hexdigest()
            row["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 134}
        return row


class HubServer:
    """Serves a Hub, and the other host to which large files redirect."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, is_cdn=cdn)) for cdn in (False, True)]
        hub.port, hub.cdn_port = (server.server_address[1] for server in self._servers)
        if hub.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(hub.certificate, hub.certificate.with_name("key.pem"))
            self._servers[0].socket = context.wrap_socket(self._servers[0].socket, server_side=True)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            for server in self._servers
        ]

    def __enter__(self) -> Hub:
        for thread in self._threads:
            thread.start()
        return self.hub

    def __exit__(self, *_: object) -> None:
        self.hub.go_on.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(hub: Hub, *, is_cdn: bool) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"hub": hub, "is_cdn": is_cdn})


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    is_cdn = False

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        """Answer."""
        asked = self.hub.cdn_asked if self.is_cdn else self.hub.asked
        asked.append((self.path, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
        path = unquote(urlsplit(self.path).path)
        if self.is_cdn:
            self._send_file(path.removeprefix("/"))
        elif self._refuse():
            return
        elif path in self.hub.pages:
            kind, body = self.hub.pages[path]
            self._send_body(body, {"Content-Type": kind})
        elif path == "/api/models/o/n/revision/main":
            self._send_json({"id": "o/n", "sha": COMMIT})
        elif path == f"/api/models/o/n/tree/{COMMIT}":
            self._send_page()
        elif path.startswith(f"/o/n/resolve/{COMMIT}/"):
            self._resolve(path.removeprefix(f"/o/n/resolve/{COMMIT}/"))
        elif path.startswith("/api/models/o/n/"):
            self._error(404, "RevisionNotFound")
        else:
            self._error(404, "RepoNotFound")

    def _refuse(self) -> bool:
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            has_one = "Authorization" in self.headers
            self._error(401, "" if has_one else "GatedRepo")
            return True
        if self.hub.is_gated:
            self._error(403, "GatedRepo")
            return True
        return False

    def _send_page(self) -> None:
        rows = [self.hub.entry(path) for path in self.hub.files]
        rows.insert(0, {"type": "directory", "path": "sub", "size": 0, "oid": "d" * 40})
        start = int(urlsplit(self.path).query.rpartition("cursor=")[2] or 0) if "cursor=" in self.path else 0
        more = f"{self.hub.url}{urlsplit(self.path).path}?recursive=true&cursor={start + PAGE}"
        more = self.hub.next_page or more
        link = {"Link": f'<{more}>; rel="next"'} if start + PAGE < len(rows) or self.hub.next_page else {}
        self._send_json(rows[start : start + PAGE], link)

    def _resolve(self, path: str) -> None:
        if self.hub.codes:
            code = self.hub.codes.pop(0)
            self._error(code, "", {"Retry-After": "0"} if code == 429 else {})
        elif path not in self.hub.files:
            self._error(404, "EntryNotFound")
        elif path in self.hub.large:
            self.send_response(302)
            self.send_header("Location", f"{self.hub.sends_on or f'http://127.0.0.1:{self.hub.cdn_port}'}/{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_file(path)

    def _send_file(self, path: str) -> None:
        content = self.hub.lies.get(path, self.hub.files[path])
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.hub.takes_range else 0
        self.send_response(206 if start else 200)
        if start and path in self.hub.starts:
            start = self.hub.starts[path]
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(self.hub.lengths.get(path, len(content) - start)))
        self.end_headers()
        cuts = self.hub.cut_after.get(path, [])
        end = start + cuts.pop(0) if cuts else len(content)
        for at in range(start, min(end, len(content)), PIECE):
            if at >= self.hub.halt_after.get(path, len(content)):
                self.hub.go_on.wait(HALT_TIMEOUT_S)
            self.wfile.write(content[at : min(at + PIECE, end)])
            self.wfile.flush()
            time.sleep(self.hub.piece_s)
        self.close_connection = self.close_connection or end < len(content) or path in self.hub.lengths

    def _send_json(self, value: object, headers: dict[str, str] | None = None) -> None:
        self._send_body(json.dumps(value).encode(), headers)

    def _send_body(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def _error(self, code: int, word: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, text in {"X-Error-Code": word, "Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
