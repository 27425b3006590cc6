"""Fetches a model from the hub on a node, into the hub's own cache; transfer.py runs it apart from any channel.

    fetch REPO REVISION [PATTERN ...]         one JSON line twice a second, the last says {"ok": ...}
    fetch --size REPO REVISION [PATTERN ...]  {"ok": true, "bytes": ...}: what would be fetched; fetches nothing
The one rule: a file is linked into the snapshot only when length and checksum (SHA-256; git's SHA-1 of a small one) are
the hub's; until then it is blobs/NAME.incomplete, which the next try goes on from; a new snapshot gets its name last.
The token comes from secrets.json beside this program, HF_TOKEN or the hub's own file, never from a command line.
Honoured: HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN_PATH. Stdlib only, Python 3.8+.
Source: huggingface_hub's documented cache layout and HTTP API (tree, revision, resolve; X-Error-Code).
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ENDPOINT = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
CHUNK = 1 << 20
AT_ONCE = 4
TRIES = 6
WAIT_S = float(os.environ.get("SPARKDESK_RETRY_S", "2"))
MAX_RETRY_AFTER_S = 120.0
TIMEOUT_S = 30.0
SAY_EVERY_S = 0.5
MAX_LIST_BYTES = 32 << 20
MAX_FILES = 20000
SPARE_BYTES = int(os.environ.get("SPARKDESK_SPARE_BYTES", 1 << 30))
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
ROOM = "Make room (Models on disk), then try again: it goes on from what is there."

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any


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


def cache_folder() -> str:
    """The hub's cache of this account."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return os.path.expanduser(named) if named else os.path.join(hub_home(), "hub")


def repo_folder(repo: str) -> str:
    """The cache's folder of a repository. Raises Refusal for what is no name of one."""
    if not NAME.match(repo):
        raise Refusal("name", "%r is no name of a model" % repo[:80], "Write it as OWNER/NAME.")
    return os.path.join(cache_folder(), "models--" + repo.replace("/", "--"))


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
    """Asks the hub, with patience."""

    def __init__(self, token: str) -> None:
        self.token = token
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
                if error.code == 416:
                    return None
                raise refusal_of(error, bool(self.token)) from None

    def read(self, url: str) -> tuple[Any, str]:
        """JSON, and the address of the next page. Raises Refusal."""
        for left in reversed(range(TRIES)):
            try:
                with self.open(url) as answer:
                    body = answer.read(MAX_LIST_BYTES + 1)
                    link = re.search(r'<([^>]+)>;\s*rel="next"', answer.headers.get("Link") or "")
                return json.loads(body), urllib.parse.urljoin(url, link.group(1)) if link else ""
            except ValueError:
                raise Refusal("answer", "the hub's answer cannot be read", LOOK) from None
            except (OSError, http.client.HTTPException, Refusal) as error:
                pause(error, left)
        raise AssertionError("unreachable")


def pause(error: Any, left: int) -> None:
    """Wait before the next try. Raises Refusal where none helps."""
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
    time.sleep(min(wait_s, MAX_RETRY_AFTER_S))


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


def list_files(hub: Hub, repo: str, revision: str) -> tuple[str, list[Wanted]]:
    """The commit, and every file of it. Raises Refusal, also for a file name that would leave the folder."""
    quoted = urllib.parse.quote(repo) + "/"
    info, _ = hub.read(ENDPOINT + "/api/models/" + quoted + "revision/" + urllib.parse.quote(revision, safe=""))
    commit = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not re.match(r"[0-9a-f]{40}\Z", commit):
        raise Refusal("answer", "the hub does not tell the commit", LOOK)
    found: list[Wanted] = []
    url = ENDPOINT + "/api/models/" + quoted + "tree/" + commit + "?recursive=true"
    while url:
        if urllib.parse.urlsplit(url).netloc != urllib.parse.urlsplit(ENDPOINT).netloc:
            raise Refusal("redirect", "the hub's list goes on elsewhere", LOOK)
        page, url = hub.read(url)
        for entry in page if isinstance(page, list) else []:
            if isinstance(entry, dict) and entry.get("type") == "file":
                found.append(read_entry(entry))
        if len(found) > MAX_FILES:
            raise Refusal("answer", "the model has more than %d files" % MAX_FILES, "Choose another model.")
    return commit, found


def read_entry(entry: dict[str, Any]) -> Wanted:
    """One file of the list. Raises Refusal."""
    lfs = entry.get("lfs")
    cells = lfs if isinstance(lfs, dict) else entry
    path, size, digest = entry.get("path"), cells.get("size"), cells.get("oid")
    if not isinstance(path, str) or not is_safe(path):
        raise Refusal("hostile", "the model names a file that would leave its folder: %r" % str(path)[:80],
                      "Do not use this model; tell the hub.")  # fmt: skip
    digest = str(digest)[7:] if str(digest).startswith("sha256:") else str(digest)
    is_digest = re.match(r"[0-9a-f]{%d}\Z" % (64 if cells is lfs else 40), digest)
    if not isinstance(size, int) or size < 0 or not is_digest:
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


class Meter:
    """How far all files are; threads add to it, one prints."""

    def __init__(self, total: int, count: int) -> None:
        self.total = total
        self.count = count
        self.lock = threading.Lock()
        self.done = 0
        self.files_done = 0
        self.active: dict[str, list[int]] = {}
        self.seen: list[tuple[float, int]] = []

    def add(self, path: str, size: int, done: int) -> None:
        """A file has so many bytes now."""
        with self.lock:
            before = self.active.get(path, [0, size])[0]
            self.active[path] = [done, size]
            self.done += done - before

    def end(self, path: str, size: int) -> None:
        """A file is whole."""
        self.add(path, size, size)
        with self.lock:
            self.active.pop(path, None)
            self.files_done += 1

    def tell(self) -> None:
        """One line; the rate is of the last ten seconds."""
        now = time.monotonic()
        with self.lock:
            done, files = self.done, [[path, *cells] for path, cells in list(self.active.items())[:AT_ONCE]]
        self.seen = [one for one in self.seen if now - one[0] < 10.0] + [(now, done)]
        first_s, first = self.seen[0]
        rate = (done - first) / (now - first_s) if now - first_s >= 1.0 else None
        eta = (self.total - done) / rate if rate else None
        counts = {"done": done, "total": self.total, "files_done": self.files_done, "files": self.count}
        say(**counts, rate=rate, eta_s=eta, active=files)


def size_of(path: str) -> int:
    """A file's bytes; -1 where there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


def digest_start(digest: str, size: int) -> Any:
    """What makes a file's checksum: SHA-256, or git's SHA-1 of a blob."""
    if len(digest) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size)


def fetch_blob(hub: Hub, url: str, wanted: Wanted, folder: str, meter: Meter) -> None:
    """One file into blobs/, whole and checked. Raises Refusal, OSError."""
    blob = os.path.join(folder, "blobs", wanted.digest)
    partial, left = blob + ".incomplete", TRIES
    while size_of(blob) != wanted.size:
        had = size_of(partial)
        error: Any = OSError("it ended early")
        try:
            if fetch_once(hub, url, wanted, partial, meter):
                os.replace(partial, blob)
                if os.path.lexists(blob + ".damaged"):  # set aside by remote/hub_cache.py verify
                    os.unlink(blob + ".damaged")
                break
        except (OSError, http.client.HTTPException, Refusal) as caught:
            error = caught
        left = TRIES - 1 if size_of(partial) > had else left - 1
        pause(error, max(0, left))
    meter.end(wanted.path, wanted.size)


def fetch_once(hub: Hub, url: str, wanted: Wanted, partial: str, meter: Meter) -> bool:
    """One try, from what is there; whether the file is whole now. Raises Refusal (another checksum), OSError."""
    at = max(0, size_of(partial)) if size_of(partial) <= wanted.size else 0
    digest = digest_start(wanted.digest, wanted.size)
    if at:
        with open(partial, "rb") as there:
            for data in iter(lambda: there.read(CHUNK), b""):
                digest.update(data)
    meter.add(wanted.path, wanted.size, at)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o644), "wb") as file:
        if at < wanted.size:
            answer = hub.open(url, at)
            if answer is None or (at and answer.status != 206):  # it does not go on from there: from the start
                digest, at = digest_start(wanted.digest, wanted.size), 0
                answer = answer or hub.open(url)
            file.seek(at)
            file.truncate()
            with answer:
                while at <= wanted.size:  # one byte more than it should have is seen
                    data = answer.read1(min(CHUNK, wanted.size - at + 1))
                    if not data:
                        break
                    file.write(data)
                    digest.update(data)
                    at += len(data)
                    meter.add(wanted.path, wanted.size, min(at, wanted.size))
        file.flush()
        os.fsync(file.fileno())
    if at < wanted.size:
        return False
    if at > wanted.size or digest.hexdigest() != wanted.digest:
        os.remove(partial)
        raise Refusal("checksum", "%s is not what the hub says it is" % wanted.path, "Try again: it was removed.")
    return True


def fetch_all(hub: Hub, repo: str, commit: str, files: list[Wanted]) -> None:
    """Every blob, some at once. Raises the first that went wrong; the others then end where they are."""
    folder = repo_folder(repo)
    os.makedirs(os.path.join(folder, "blobs"), exist_ok=True)
    meter = Meter(sum(file.size for file in files), len(files))
    waiting = sorted(files, key=lambda file: file.size)  # the largest first, from the end
    failures: list[BaseException] = []

    def work() -> None:
        while not failures:
            with meter.lock:
                wanted = waiting.pop() if waiting else None
            if wanted is None:
                return
            url = "%s/%s/resolve/%s/%s" % (ENDPOINT, repo, commit, urllib.parse.quote(wanted.path))
            try:
                fetch_blob(hub, url, wanted, folder, meter)
            except (OSError, http.client.HTTPException, Refusal) as error:
                failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(files)))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not failures:
        meter.tell()
        for thread in threads:
            thread.join(SAY_EVERY_S / len(threads))
    if failures:
        raise failures[0]
    meter.tell()


def make_room(folder: str, files: list[Wanted]) -> None:
    """Raises Refusal when the disk has no room for what is missing."""
    missing = 0
    for file in files:
        blob = os.path.join(folder, "blobs", file.digest)
        missing += max(0, file.size - max(size_of(blob), size_of(blob + ".incomplete"), 0))
    os.makedirs(cache_folder(), exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free
    if missing and free < missing + SPARE_BYTES:
        words = "the disk has %.1f GB free; the model needs %.1f GB more" % (free / 1e9, missing / 1e9)
        raise Refusal("disk", words, ROOM)


def link_all(repo: str, revision: str, commit: str, files: list[Wanted], whole: list[Wanted]) -> str:
    """The snapshot: links to whole blobs; a new one gets its name when all of it is there. Gives its folder."""
    folder = repo_folder(repo)
    snapshot = os.path.join(folder, "snapshots", commit)
    building = snapshot if os.path.isdir(snapshot) else "%s.%d.incomplete" % (snapshot, os.getpid())
    for file in sorted(files, key=lambda one: one.path.endswith(".json")):  # configuration last: it makes a model
        link = os.path.join(building, file.path)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        target = os.path.relpath(os.path.join(folder, "blobs", file.digest), os.path.dirname(link))
        if not (os.path.islink(link) and os.readlink(link) == target):
            if os.path.lexists(link):
                os.remove(link)
            os.symlink(target, link)
    if building != snapshot:
        os.replace(building, snapshot)
    write_whole(os.path.join(folder, "refs", revision), commit)
    kept = json.dumps([[file.path, file.size, file.digest] for file in whole])  # what makes it whole, for hub_cache.py
    write_whole(os.path.join(folder, ".sparkdesk", commit + ".json"), kept)
    return snapshot


def write_whole(path: str, text: str) -> None:
    """A small file, never half written."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".incomplete", "w") as file:
        file.write(text)
    os.replace(path + ".incomplete", path)


def get(repo: str, revision: str, patterns: list[str], *, only_size: bool) -> None:
    """All of it, or only how much it is. Raises Refusal, OSError."""
    folder = repo_folder(repo)
    if not REVISION.match(revision):
        raise Refusal("name", "%r is no revision" % revision[:80], "Write a branch, a tag or a commit.")
    hub = Hub(find_token())
    commit, listed = list_files(hub, repo, revision)
    files = choose(listed, patterns)
    if only_size:
        say(ok=True, revision=commit, bytes=sum(file.size for file in files), files=len(files))
        return
    make_room(folder, files)
    fetch_all(hub, repo, commit, files)
    path = link_all(repo, revision, commit, files, choose(listed, []))
    say(ok=True, revision=commit, path=path, bytes=sum(file.size for file in files), files=len(files))


def main(argv: list[str]) -> int:
    """One model."""
    only_size = argv[0] == "--size"
    words = argv[1:] if only_size else argv
    try:
        get(words[0], words[1], words[2:], only_size=only_size)
    except Refusal as error:
        say(ok=False, kind=error.kind, message=str(error), remedy=error.remedy)
        return 0 if only_size else 1  # that the hub says no is an answer
    except OSError as error:
        is_full = error.errno in FULL
        message = "the node's disk is full" if is_full else str(error)
        say(ok=False, kind="disk" if is_full else "other", message=message, remedy=ROOM)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
