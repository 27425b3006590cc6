"""Fetches a model from the hub on a node, into the hub's own cache; transfer.py runs it apart from any channel.

    fetch REPO REVISION [PATTERN ...]         one JSON line twice a second, the last says {"ok": ...}
The one rule: a file is linked into the snapshot only when length and checksum (SHA-256; git's SHA-1 of a small one) are
the hub's; until then it is blobs/NAME.incomplete, which the next try goes on from and one program at a time writes; a
new snapshot gets its name last. hub.py beside it asks the hub.
Honoured: HF_HUB_CACHE, and what hub.py honours. Stdlib only, Python 3.8+.
Source: huggingface_hub's documented cache layout.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import sys
import threading
import time
import urllib.parse

CHUNK = 1 << 20
AT_ONCE = 4
SAY_EVERY_S = 0.5
SPARE_BYTES = int(os.environ.get("SPARKDESK_SPARE_BYTES", 1 << 30))
ROOM = "Make room (Models on disk), then try again: it goes on from what is there."

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any


def load_hub() -> Any:
    """hub.py of our own folder, as a module."""
    sys.dont_write_bytecode = True
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hub.py")
    found = importlib.util.spec_from_file_location("hub", path)
    assert found is not None and found.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


hub = load_hub()


def cache_folder() -> str:
    """The hub's cache of this account."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return os.path.expanduser(named) if named else os.path.join(hub.hub_home(), "hub")


def repo_folder(repo: str) -> str:
    """The cache's folder of a repository, whose name is one."""
    return os.path.join(cache_folder(), "models--" + repo.replace("/", "--"))


class Meter:
    """How far all files are, and which wait for another try; threads add to it."""

    def __init__(self, total: int, count: int) -> None:
        self.total = total
        self.count = count
        self.lock = threading.Lock()
        self.done = 0
        self.files_done = 0
        self.active: dict[str, list[int]] = {}
        self.seen: list[tuple[float, int]] = []
        self.again: dict[str, tuple[float, dict[str, Any]]] = {}

    def wait(self, path: str, cells: dict[str, Any]) -> None:
        """A file is tried again soon (hub.py `pause`): say so at once."""
        with self.lock:
            self.again[path] = (time.monotonic() + cells["in_s"], cells)
        self.tell()

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
            counts = {"done": done, "total": self.total, "files_done": self.files_done, "files": self.count}
            waits = sorted((one for one in self.again.values() if one[0] > now), key=lambda one: one[0])
            again = {"again": dict(waits[0][1], in_s=waits[0][0] - now)} if waits else {}
            hub.say(**counts, rate=rate, eta_s=(self.total - done) / rate if rate else None, active=files, **again)


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


def fetch_blob(asked: Any, url: str, wanted: Any, folder: str, meter: Meter) -> None:
    """One file into blobs/, whole and checked. Raises Refusal, OSError."""
    blob = os.path.join(folder, "blobs", wanted.digest)
    partial, left = blob + ".incomplete", hub.TRIES
    while size_of(blob) != wanted.size:
        had = size_of(partial)
        error: Any = OSError("it ended early")
        try:
            with hold(partial, wanted, meter) as file:
                had = size_of(partial)  # who held it before us may have written
                if size_of(blob) == wanted.size:  # who held it before us brought it
                    os.unlink(partial)
                    break
                digest = fetch_once(asked, url, wanted, file, meter)
                if digest and (digest == wanted.digest or had <= 0):
                    keep(partial, blob, digest == wanted.digest, wanted.path)
                    break
                if digest:  # what lay there from before was not right: once more, from the start
                    os.unlink(partial)
                    continue
        except (OSError, http.client.HTTPException, hub.Refusal) as caught:
            error = caught
        left = hub.TRIES - 1 if size_of(partial) >= had + CHUNK else left - 1
        hub.pause(error, max(0, left), lambda cells: meter.wait(wanted.path, cells))
    meter.end(wanted.path, wanted.size)


def hold(partial: str, wanted: Any, meter: Meter) -> Any:
    """The partial file, open, when nobody else writes it: two downloads of one file would leave holes in it."""
    while True:
        file = os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if size_of(partial) >= 0 and os.path.samestat(os.stat(partial), os.fstat(file.fileno())):
                return file
        except BlockingIOError:
            meter.add(wanted.path, wanted.size, min(wanted.size, max(0, size_of(partial))))
            meter.wait(wanted.path, {"why": "another download brings it", "in_s": 2 * SAY_EVERY_S})
            time.sleep(SAY_EVERY_S)
        file.close()


def keep(partial: str, blob: str, is_right: bool, path: str) -> None:
    """Give what came its own name. Raises Refusal when it is not what it should be: then it is gone."""
    if not is_right:
        os.unlink(partial)
        raise hub.Refusal("checksum", "%s is not what the hub says it is" % path, "Try again: it was removed.")
    os.replace(partial, blob)
    if os.path.lexists(blob + ".damaged"):  # set aside by remote/hub_cache.py verify
        os.unlink(blob + ".damaged")


def fetch_once(asked: Any, url: str, wanted: Any, file: Any, meter: Meter) -> str:
    """One try, from what is there; the checksum of all that came, "" while it is not all. Raises Refusal, OSError."""
    at = os.fstat(file.fileno()).st_size
    at = at if at <= wanted.size else 0
    digest = digest_start(wanted.digest, wanted.size)
    for data in iter(lambda: file.read(CHUNK) if at else b"", b""):
        digest.update(data)
    meter.add(wanted.path, wanted.size, at)
    answer = asked.open(url, at) if at < wanted.size else None
    if at < wanted.size and not goes_on(answer, at):  # it does not go on from there: from the start
        digest, at = digest_start(wanted.digest, wanted.size), 0
        answer = answer if answer is not None and answer.status != 206 else asked.open(url)
    file.seek(at)
    file.truncate()
    while answer is not None and at <= wanted.size:  # one byte more than it should have is seen
        data = answer.read1(min(CHUNK, wanted.size - at + 1))
        if not data:
            break
        file.write(data)
        digest.update(data)
        at += len(data)
        meter.add(wanted.path, wanted.size, min(at, wanted.size))
    file.flush()
    os.fsync(file.fileno())
    return "" if at < wanted.size else str(digest.hexdigest()) if at == wanted.size else "too long"


def goes_on(answer: Any, at: int) -> bool:
    """Whether an answer is the rest from byte `at` on: not the whole, nor another part of it."""
    if answer is None or not at:
        return answer is not None
    told = answer.headers.get("Content-Range") or ""
    return answer.status == 206 and (not told or told.startswith("bytes %d-" % at))


def fetch_all(asked: Any, repo: str, commit: str, files: list[Any]) -> None:
    """Every blob, some at once. Raises the first that went wrong; the others then end where they are."""
    folder = repo_folder(repo)
    os.makedirs(os.path.join(folder, "blobs"), exist_ok=True)
    files = list({file.digest: file for file in files}.values())  # two names of the same bytes come once
    meter = Meter(sum(file.size for file in files), len(files))
    waiting = sorted(files, key=lambda file: file.size)  # the largest first, from the end
    failures: list[BaseException] = []

    def work() -> None:
        while not failures:
            with meter.lock:
                wanted = waiting.pop() if waiting else None
            if wanted is None:
                return
            url = "%s/%s/resolve/%s/%s" % (hub.ENDPOINT, repo, commit, urllib.parse.quote(wanted.path))
            try:
                fetch_blob(asked, url, wanted, folder, meter)
            except (OSError, http.client.HTTPException, hub.Refusal) as error:
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


def make_room(folder: str, files: list[Any]) -> None:
    """Raises Refusal when the disk has no room for what is missing."""
    missing = 0
    for file in files:
        blob = os.path.join(folder, "blobs", file.digest)
        missing += max(0, file.size - max(size_of(blob), size_of(blob + ".incomplete"), 0))
    os.makedirs(cache_folder(), exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free
    if missing and free < missing + SPARE_BYTES:
        words = "the disk has %.1f GB free; the model needs %.1f GB more" % (free / 1e9, missing / 1e9)
        raise hub.Refusal("disk", words, ROOM)


def link_all(repo: str, revision: str, commit: str, files: list[Any], whole: list[Any]) -> str:
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


def get(repo: str, revision: str, patterns: list[str]) -> None:
    """All of it. Raises Refusal, OSError."""
    asked = hub.Hub(hub.find_token(), lambda cells: hub.say(again=cells))
    commit, listed = hub.find_files(asked, repo, revision)
    files = hub.choose(listed, patterns)
    make_room(repo_folder(repo), files)
    fetch_all(asked, repo, commit, files)
    path = link_all(repo, revision, commit, files, hub.choose(listed, []))
    hub.say(ok=True, revision=commit, path=path, bytes=sum(file.size for file in files), files=len(files))


def main(argv: list[str]) -> int:
    """One model."""
    try:
        get(argv[0], argv[1], argv[2:])
    except hub.Refusal as error:
        hub.say(ok=False, kind=error.kind, message=str(error), remedy=error.remedy)
        return 1
    except OSError as error:
        if error.errno in hub.FULL:
            hub.say(ok=False, kind="disk", message="the node's disk is full", remedy=ROOM)
        else:
            remedy = "Look at %s on the node, then try again." % (error.filename or cache_folder())
            hub.say(ok=False, kind="other", message=str(error)[:300], remedy=remedy)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
