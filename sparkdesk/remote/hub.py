"""Asks the hub from a node: which files a model has, and for their bytes; fetch.py loads it from its own folder.

    hub size REPO REVISION [PATTERN ...]  {"ok": true, "bytes": ...}: what would be fetched; fetches nothing
The one rule: what the hub says is a stranger's: names stay below their folder, sizes and checksums are given or it is
refused, lists are bounded. The token goes to the hub's own host only, and never on from https to http; it comes from
secrets.json beside this program, HF_TOKEN or the hub's own file, never from a command line.
Honoured: HF_ENDPOINT, HF_HOME, HF_TOKEN_PATH. Stdlib only, Python 3.8+.
Source: huggingface_hub's HTTP API (tree, revision, resolve; X-Error-Code).
"""

from __future__ import annotations

import errno
import fnmatch
import http.client
import json
import os
import re
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ENDPOINT = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
TRIES = 6
WAIT_S = float(os.environ.get("SPARKDESK_RETRY_S", "2"))
MAX_RETRY_AFTER_S = 120.0
TIMEOUT_S = 30.0
MAX_LIST_BYTES = 32 << 20
MAX_FILES, MAX_PAGES = 20000, 1000
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?\Z")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
OTHER_FORMATS = ("*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.gguf", "*.tflite")
"""Weights that are there beside safetensors, and are not read then."""

NOES = {
    "gated": (
        "the model is gated, and this token's account was not let in",
        "Open the model's page on the hub, accept its terms with that account, then try again.",
    ),
    "token": ("the token is not valid", "Enter a valid token in Settings, then try again."),
    "no_token": (
        "the model is gated or private, or does not exist, and no token was given",
        "Check the name; accept the model's terms on the hub, enter a token in Settings, then try again.",
    ),
    "missing": ("no such model", "Check the model's name, revision and file."),
    "busy": ("too many requests from here", "Wait some minutes, then try again: it goes on from there."),
    "server": ("a fault of its own", "Try again in some minutes: it goes on from there."),
    "refused": ("no", "Look at HF_ENDPOINT on the node."),
}
"""What the hub's noes mean, and what helps. Source: huggingface_hub, its table of X-Error-Code."""

LOOK = "Look at HF_ENDPOINT on the node."
AVOID = "Do not use this model; tell the hub."
SIGN_IN = "Look at HF_ENDPOINT on the node, and whether its network wants a sign-in in a browser first."

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from collections.abc import Callable
    from typing import Any

    Cells = dict[str, Any]


class Wanted:
    """A file of the repository. `digest` names its blob: SHA-256, or git's SHA-1."""

    def __init__(self, path: str, size: int, digest: str) -> None:
        self.path, self.size, self.digest = path, size, digest


class Refusal(Exception):
    """Why it does not go on: a kind for programs, words for people, and what helps."""

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.kind, self.remedy, self.after_s = kind, remedy, 0.0


def say(**cells: Any) -> None:
    """One JSON line."""
    print(json.dumps(cells, separators=(",", ":")), flush=True)


def hub_home() -> str:
    """The hub's folder of this account."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.expanduser(os.environ.get("HF_HOME") or os.path.join(cache, "huggingface"))


def find_token() -> str:
    """The hub's token; "" where there is none."""
    here = os.path.dirname(os.path.abspath(sys.argv[0] or "."))
    try:
        with open(os.path.join(here, "secrets.json")) as file:
            token = json.load(file).get("HF_TOKEN") or os.environ.get("HF_TOKEN")
    except (OSError, ValueError, AttributeError):
        token = os.environ.get("HF_TOKEN")  # none was put there
    if isinstance(token, str) and token:
        return token.strip()
    try:
        with open(os.environ.get("HF_TOKEN_PATH") or os.path.join(hub_home(), "token")) as file:
            return file.read(4096).strip()
    except OSError:
        return ""


class SameHostOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the token goes on only to the same host, and never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> Any:
        """urllib: the request that follows."""
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme != "https"):
            raise Refusal("redirect", "the hub sends on to %s" % newurl[:200], LOOK)
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if following is not None and token and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            following.add_unredirected_header("Authorization", token)
        return following


class Hub:
    """Asks the hub, with patience; `told` hears of each wait before another try (see `pause`)."""

    def __init__(self, token: str, told: Callable[[Cells], None]) -> None:
        self.token, self.told = token, told
        self.opener = urllib.request.build_opener(SameHostOnly())

    def open(self, url: str, at: int = 0) -> Any:
        """An answer, from byte `at` on. Raises Refusal, OSError (no answer)."""
        request = urllib.request.Request(url, headers={"User-Agent": "sparkdesk", "Accept-Encoding": "identity"})
        if self.token:
            request.add_unredirected_header("Authorization", "Bearer " + self.token)
        if at:
            request.add_header("Range", "bytes=%d-" % at)
        try:
            return self.opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and at:
                    return None
                raise refusal_of(error, bool(self.token)) from None

    def read(self, url: str) -> tuple[Any, str]:
        """JSON, and the address of the next page. Raises Refusal."""
        is_page = False
        for left in reversed(range(TRIES)):
            try:
                with self.open(url) as answer:
                    body = answer.read(MAX_LIST_BYTES + 1)
                    is_page = "html" in (answer.headers.get("Content-Type") or "")
                    link = re.search(r'<([^>]+)>;\s*rel="next"', answer.headers.get("Link") or "")
                return json.loads(body), urllib.parse.urljoin(url, link.group(1)) if link else ""
            except (ValueError, RecursionError):
                if is_page:
                    raise Refusal("answer", "a web page came in place of the hub's answer", SIGN_IN) from None
                raise Refusal("answer", "the hub's answer cannot be read", LOOK) from None
            except (OSError, http.client.HTTPException, Refusal) as error:
                pause(error, left, self.told)
        raise AssertionError("unreachable")


def pause(error: Any, left: int, told: Callable[[Cells], None]) -> None:
    """Wait before the next try, and tell why, which of how many it is, and in how many seconds. Raises Refusal where
    none helps."""
    wait_s = WAIT_S * 2 ** max(0, TRIES - 1 - left)
    if isinstance(error, Refusal):
        if error.kind not in ("busy", "server") or not left:
            raise error
        wait_s = max(wait_s, error.after_s)
    elif isinstance(error, OSError) and error.errno in FULL:
        raise error
    elif not left:
        reason = getattr(error, "reason", error)
        if isinstance(reason, (socket.gaierror, ConnectionRefusedError)) or getattr(reason, "errno", 0) == 101:
            raise Refusal(
                "offline",
                "this node cannot reach %s (%s)" % (ENDPOINT, str(reason)[:100]),
                "Connect the node to the internet, or send the model from this computer.",
            )
        raise Refusal("cut", "the download broke off (%s)" % str(reason)[:100], "Try again: it goes on from there.")
    wait_s = min(wait_s, MAX_RETRY_AFTER_S)
    told({"why": reason_of(error), "try": TRIES - left, "of": TRIES - 1, "in_s": wait_s})
    time.sleep(wait_s)


def reason_of(error: Any) -> str:
    """Why it is tried again, in two or three words."""
    if isinstance(error, Refusal):
        return "the hub is busy" if error.kind == "busy" else "the hub has a fault"
    reason = getattr(error, "reason", error)
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return "no answer"
    return "no way to the hub" if isinstance(error, urllib.error.URLError) else "line cut"


def refusal_of(error: Any, has_token: bool) -> Refusal:
    """What the hub's no means. A gated model's 401 and 403 are not "not found", and not each other."""
    code, said = error.code, error.headers.get("X-Error-Code") or ""
    if code == 401:
        kind = "token" if has_token and said != "GatedRepo" else "gated" if has_token else "no_token"
    else:
        kind = {403: "gated", 404: "missing", 429: "busy"}.get(code, "server" if code >= 500 else "refused")
    message, remedy = NOES[kind]
    if kind == "missing":
        message = {"RevisionNotFound": "no such revision", "EntryNotFound": "no such file"}.get(said, "no such model")
    refusal = Refusal(kind, "the hub says: %s (%d)" % (message, code), remedy)
    refusal.after_s = float((re.findall(r"^\d+$", error.headers.get("Retry-After") or "") or [0])[0])
    return refusal


def find_files(hub: Hub, repo: str, revision: str) -> tuple[str, list[Wanted]]:
    """The commit, and every file of it. Raises Refusal, also for a file name that would leave the folder."""
    if not NAME.match(repo):
        raise Refusal("name", "%r is no name of a model" % repo[:80], "Write it as OWNER/NAME.")
    if not REVISION.match(revision):
        raise Refusal("name", "%r is no revision" % revision[:80], "Write a branch, a tag or a commit.")
    quoted = urllib.parse.quote(repo) + "/"
    info, _ = hub.read(ENDPOINT + "/api/models/" + quoted + "revision/" + urllib.parse.quote(revision, safe=""))
    commit = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not re.match(r"[0-9a-f]{40}\Z", commit):
        raise Refusal("answer", "the hub does not tell the commit", LOOK)
    found: list[Wanted] = []
    url = ENDPOINT + "/api/models/" + quoted + "tree/" + commit + "?recursive=true"
    for page_number in range(MAX_PAGES + 1):
        if not url:
            break
        if page_number == MAX_PAGES:
            raise Refusal("answer", "the hub's list of files does not end", LOOK)
        if urllib.parse.urlsplit(url).netloc != urllib.parse.urlsplit(ENDPOINT).netloc:
            raise Refusal("redirect", "the hub's list goes on elsewhere", LOOK)
        page, url = hub.read(url)
        if not isinstance(page, list):  # a list that is short of a page would make a part look whole
            raise Refusal("answer", "the hub's list of files cannot be read", LOOK)
        for entry in page:
            if isinstance(entry, dict) and entry.get("type") == "file":
                found.append(read_entry(entry))
        if len(found) > MAX_FILES:
            raise Refusal("answer", "the model has more than %d files" % MAX_FILES, "Choose another model.")
    check_paths({file.path for file in found}, len(found))
    return commit, found


def check_paths(paths: set[str], count: int) -> None:
    """Raises Refusal when a name stands twice, when one is another's folder, or when there is none."""
    if not paths:
        raise Refusal("missing", "the model has no files", "Check the model's name and revision.")
    above = {path[:at] for path in paths for at, sign in enumerate(path) if sign == "/"}
    if len(paths) != count or above & paths:
        name = min(above & paths, default="")
        raise Refusal("hostile", "the model names a file twice, or one as a folder: %s" % name, AVOID)


def read_entry(entry: dict[str, Any]) -> Wanted:
    """One file of the list. Raises Refusal."""
    lfs = entry.get("lfs")
    cells = lfs if isinstance(lfs, dict) else entry
    path, size, digest = entry.get("path"), cells.get("size"), cells.get("oid")
    if not isinstance(path, str) or not is_safe(path):
        raise Refusal("hostile", "the model names a file that would leave its folder: %r" % str(path)[:80], AVOID)
    digest = str(digest)[7:] if str(digest).startswith("sha256:") else str(digest)
    is_digest = re.match(r"[0-9a-f]{%d}\Z" % (64 if cells is lfs else 40), digest)
    if type(size) is not int or size < 0 or not is_digest:
        raise Refusal("answer", "the hub does not tell size and checksum of %s" % path, LOOK)
    return Wanted(path, size, digest)


def is_safe(path: str) -> bool:
    """Whether a file's name stays below its folder on any system, and can be shown."""
    parts = path.split("/")
    return (
        0 < len(path) <= 1000
        and path.isprintable()
        and "\\" not in path
        and not any(part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > 240 for part in parts)
    )


def choose(files: list[Wanted], patterns: list[str]) -> list[Wanted]:
    """The files that are wanted: those that match; without patterns all, but of weights only one format."""
    if patterns:
        found = [file for file in files if any(fnmatch.fnmatchcase(file.path, one) for one in patterns)]
        if not found:
            raise Refusal("missing", "the model has no file %s" % ", ".join(patterns), "Check the file's name.")
        return found
    if not any(file.path.endswith(".safetensors") and "/" not in file.path for file in files):
        return files
    return [
        file
        for file in files
        if not file.path.startswith("original/")
        and not any(fnmatch.fnmatchcase(file.path, one) for one in OTHER_FORMATS)
    ]


def size(repo: str, revision: str, patterns: list[str]) -> None:
    """What a fetch would bring. Raises Refusal, OSError."""
    commit, listed = find_files(Hub(find_token(), lambda _cells: None), repo, revision)
    files = choose(listed, patterns)
    say(ok=True, revision=commit, bytes=sum(file.size for file in files), files=len(files))


def main(argv: list[str]) -> int:
    """The one verb: size."""
    try:
        size(argv[1], argv[2], argv[3:])
    except Refusal as error:
        say(ok=False, kind=error.kind, message=str(error), remedy=error.remedy)  # that the hub says no is an answer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
