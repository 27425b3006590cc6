"""Asks the hub from a node whether a model's files would be given out; fetches none of them.

    hub_look REPO REVISION        one JSON line: {"answer": ..., "has_token": ...}; standard input: a token, or nothing
The one rule: the same token as fetch.py takes: the one that was sent, HF_TOKEN, or the hub's own file; it goes to the
hub's own host only, and never printed. Honoured: HF_ENDPOINT, HF_HOME, HF_TOKEN_PATH. Stdlib only, Python 3.8+.
Answers: ok, no_token, bad_token, not_accepted, missing, hidden (does not exist, or private: the hub tells nobody who
gives no token), offline, unknown. Source: the hub's HTTP API (revision, resolve; X-Error-Code).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

ENDPOINT = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
TIMEOUT_S = 8.0
MAX_BYTES = 8 << 20
MAX_TOKEN_BYTES = 4096
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?\Z")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
SMALL_FILE = "config.json"
"""Asked for where the gate is: that it is not there is an answer behind the gate too."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any


class StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nothing: that it would be sent on is the answer."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """urllib: no request follows."""
        return


def find_token(sent: str) -> str:
    """The hub's token; "" where there is none."""
    token = sent or os.environ.get("HF_TOKEN", "")
    if token.strip():
        return token.strip()
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.path.expanduser(os.environ.get("HF_HOME") or os.path.join(cache, "huggingface"))
    try:
        with open(os.environ.get("HF_TOKEN_PATH") or os.path.join(home, "token")) as file:
            return file.read(MAX_TOKEN_BYTES).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def ask(path: str, token: str) -> tuple[int, str, bytes]:
    """(status, X-Error-Code, body). Raises OSError, HTTPException, ValueError (a token that no header can hold)."""
    request = urllib.request.Request(ENDPOINT + path, headers={"User-Agent": "sparkdesk"})
    if token:
        request.add_unredirected_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.build_opener(StayHere()).open(request, timeout=TIMEOUT_S) as answer:
            return answer.status, "", answer.read(MAX_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("X-Error-Code") or "", b""


def meaning(status: int, code: str, has_token: bool) -> str:
    """What a no of the hub means; "" for a yes."""
    if status < 400:
        return ""
    if status == 401 and has_token:
        return "not_accepted" if code == "GatedRepo" else "bad_token"
    if status == 401:
        return "no_token" if code == "GatedRepo" else "hidden"
    return {403: "not_accepted", 404: "missing"}.get(status, "unknown")


def look(repo: str, revision: str, token: str) -> str:
    """The answer. Raises OSError, HTTPException, ValueError."""
    quoted = urllib.parse.quote(repo)
    status, code, body = ask("/api/models/%s/revision/%s" % (quoted, urllib.parse.quote(revision)), token)
    if no := meaning(status, code, bool(token)):
        return no
    info = json.loads(body)
    commit = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not REVISION.match(commit):
        return "unknown"
    # Everybody sees that a gated model exists; only its files are behind the gate.
    status, code, _ = ask("/%s/resolve/%s/%s" % (quoted, commit, SMALL_FILE), token)
    no = meaning(status, code, bool(token))
    return "ok" if no in ("", "missing") else no


def main(argv: list[str]) -> int:
    """One look."""
    token = find_token(sys.stdin.buffer.read(MAX_TOKEN_BYTES).decode("ascii", "replace"))
    if len(argv) != 2 or not NAME.match(argv[0]) or not REVISION.match(argv[1]):
        answer = "unknown"
    else:
        try:
            answer = look(argv[0], argv[1], token)
        except (OSError, http.client.HTTPException):
            answer = "offline"
        except (ValueError, RecursionError):
            answer = "unknown"
    print(json.dumps({"answer": answer, "has_token": bool(token)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
