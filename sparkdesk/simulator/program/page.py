"""One HTTP answer on standard input and output, for the pages that a node's services show.

The one rule: small and honest: each page says that it is simulated.
"""

from __future__ import annotations

import html
import sys

_MAX_HEAD_BYTES = 16 * 1024


def serve(title: str, words: str) -> int:
    """Answer the request that is on standard input: GET gives the page, anything else is refused."""
    request = sys.stdin.buffer.readline(_MAX_HEAD_BYTES).decode("latin-1").split()
    left = _MAX_HEAD_BYTES
    while left > 0 and (line := sys.stdin.buffer.readline(left)).strip():
        left -= len(line)
    if len(request) != 3 or request[0] not in ("GET", "HEAD"):
        _reply("405 Method Not Allowed", b"", is_head=False)
        return 0
    body = (
        f"<!doctype html><html><head><title>{html.escape(title)}</title></head><body>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(words)}</p></body></html>\n"
    ).encode()
    is_found = request[1].partition("?")[0] in ("/", "/lab", "/login", "/tree")
    _reply("200 OK" if is_found else "404 Not Found", body if is_found else b"", is_head=request[0] == "HEAD")
    return 0


def _reply(status: str, body: bytes, *, is_head: bool) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    sys.stdout.buffer.write(f"{head}Connection: close\r\n\r\n".encode() + (b"" if is_head else body))
    sys.stdout.buffer.flush()
