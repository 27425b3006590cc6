"""The hub as a node sees it: one HTTP request on standard input and output, of a repository that is simulated.

The one rule: the documented API and nothing else: model, revision, tree, resolve with ranges; gated repositories tell
401, 403 and 404 apart by X-Error-Code. Source: the hub's API documentation and huggingface_hub's errors. Bytes come at
a wide-area line's rate, so that progress can be seen.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import urllib.parse
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import hub_repo
from spark_state import conditions

TOKEN = "hf_simulated"  # the one token that was let in everywhere
_RATE = 20 * 10**6
_SLOW_RATE = 64 * 10**3
_PIECE = 256 * 1024
_CUT_AT = 0.9
_MAX_LINE = 16 * 1024
_MAX_HEADERS = 100


class Refusal(Exception):
    """A no of the hub: status, X-Error-Code, words."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status, self.code = status, code


def main(_arguments: list[str]) -> int:
    """Answer the request that is on standard input."""
    words = sys.stdin.buffer.readline(_MAX_LINE).decode("latin-1").split()
    headers: dict[str, str] = {}
    for _number in range(_MAX_HEADERS):
        line = sys.stdin.buffer.readline(_MAX_LINE).decode("latin-1").strip()
        if not line:
            break
        name, _colon, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if len(words) != 3 or words[0] not in ("GET", "HEAD"):
        _reply(405, {"error": "Method not allowed"}, is_head=False)
        return 0
    try:
        _answer(urllib.parse.unquote(words[1].partition("?")[0]), headers, is_head=words[0] == "HEAD")
    except Refusal as refusal:
        more = {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)} if refusal.code else {}
        _reply(refusal.status, {"error": str(refusal)}, is_head=words[0] == "HEAD", more=more)
    except BrokenPipeError:
        return 0
    return 0


def _answer(path: str, headers: dict[str, str], *, is_head: bool) -> None:
    token = headers.get("authorization", "").removeprefix("Bearer ").strip()
    model = re.match(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?/?\Z", path)
    file = re.match(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)\Z", path)
    if model:
        repo = _find(model[1], token)
        _check_revision(repo, model[3])
        if model[2] == "tree":
            _reply(200, [hub_repo.entry(repo, name) for name in hub_repo.paths(repo)], is_head=is_head)
            return
        siblings = [{"rfilename": name} for name in hub_repo.paths(repo)]
        _reply(200, {"id": repo.name, "modelId": repo.name, "sha": repo.commit, "private": False, "disabled": False,
                     "gated": "manual" if _is_gated(repo) else False, "siblings": siblings,
                     "tags": ["simulated"]}, is_head=is_head)  # fmt: skip
    elif file:
        repo = _find(file[1], token)
        _check_revision(repo, file[2])
        _check_gate(repo, token)
        _send_file(repo, file[3], headers.get("range", ""), is_head=is_head)
    elif path == "/api/whoami-v2" and token == TOKEN:
        _reply(200, {"type": "user", "name": "simulated"}, is_head=is_head)
    else:
        raise Refusal(401 if path.startswith("/api/whoami") else 404, "", "Not Found")


def _find(name: str, token: str) -> hub_repo.Repo:
    """The repository. One that is not there is a 401 for who gave no token, as on the real hub."""
    found = hub_repo.repos().get(name.casefold())
    if token and not token.startswith("hf_"):
        raise Refusal(401, "", "Invalid credentials in Authorization header")
    if found is None:
        raise Refusal(404 if token else 401, "RepoNotFound", "Repository not found" if token else
                      "Invalid username or password.")  # fmt: skip
    return found


def _check_revision(repo: hub_repo.Repo, revision: str | None) -> None:
    if revision not in (None, "main", repo.commit):
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def _is_gated(repo: hub_repo.Repo) -> bool:
    return repo.is_gated or "hub-gated" in conditions()


def _check_gate(repo: hub_repo.Repo, token: str) -> None:
    if not _is_gated(repo) or token == TOKEN:
        return
    if not token:
        words = (
            f"Access to model {repo.name} is restricted. You must have access to it and be authenticated to access it."
        )
        raise Refusal(401, "GatedRepo", f"{words} Please log in.")
    words = f"Access to model {repo.name} is restricted and you are not in the authorized list."
    raise Refusal(403, "GatedRepo", words)


def _send_file(repo: hub_repo.Repo, path: str, asked: str, *, is_head: bool) -> None:
    """A file from the asked byte on, at the line's rate; hub-cut: weights end at nine tenths; hub-slow: they crawl."""
    try:
        data = hub_repo.content(repo, path)
    except KeyError:
        raise Refusal(404, "EntryNotFound", "Entry not found") from None
    match = re.match(r"bytes=(\d+)-(\d*)\Z", asked)
    start = int(match[1]) if match else 0
    end = min(len(data), int(match[2]) + 1) if match and match[2] else len(data)
    if match and start >= len(data):
        _head(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
        return
    tag = hub_repo.etag(repo, path)
    headers = {"ETag": f'"{tag}"', "X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(data)),
               "X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream",
               "Content-Length": str(end - start)}  # fmt: skip
    if match:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
    _head(206 if match else 200, headers)
    if is_head:
        return
    is_cut = "hub-cut" in conditions() and hub_repo.is_large(path)
    for at in range(start, end, _PIECE):
        if is_cut and at >= len(data) * _CUT_AT:
            return
        piece = data[at : min(end, at + _PIECE)]
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        if hub_repo.is_large(path):
            time.sleep(len(piece) / (_SLOW_RATE if "hub-slow" in conditions() else _RATE))


_PHRASES = {200: "OK", 206: "Partial Content", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
            405: "Method Not Allowed", 416: "Range Not Satisfiable"}  # fmt: skip


def _head(status: int, headers: dict[str, str]) -> None:
    rows = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    sys.stdout.buffer.write(
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\n{rows}Connection: close\r\n\r\n".encode("latin-1")
    )


def _reply(status: int, value: Any, *, is_head: bool, more: dict[str, str] | None = None) -> None:
    body = json.dumps(value).encode()
    _head(status, {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body)), **(more or {})})
    if not is_head:
        sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
