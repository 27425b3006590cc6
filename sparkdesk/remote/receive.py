"""Takes files of the computer that asks, on a node; sent over a channel by length, and never installed.

    receive take PATH BYTES      the bytes from the place that is answered, then 64 hex digits, on standard input
    receive link PATH TARGET     a link, made whole
One JSON line first: {"at": OFFSET}, from where the bytes are wanted; then {"got": N} while they come; last {"ok": true}
or {"ok": false, "error": ..., "remedy": ...}.
The one rule: a file has its own name only when its length and SHA-256 are those that were said; until then it is
PATH.incomplete, which the next try goes on from and one program at a time writes. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import sys
import time

CHUNK = 1 << 20
SAY_EVERY_S = 0.5
DIGEST_CHARS = 64
SPARE_BYTES = 256 << 20
"""So much stays free on the disk beside what comes."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, BinaryIO


class Refusal(Exception):
    """What went wrong, and what helps."""

    def __init__(self, error: str, remedy: str) -> None:
        super().__init__(error)
        self.remedy = remedy


def say(**cells: Any) -> None:
    """One JSON line."""
    print(json.dumps(cells, separators=(",", ":")), flush=True)


class Meter:
    """Tells how far it is, twice a second."""

    def __init__(self) -> None:
        self.said_s = time.monotonic()

    def tell(self, key: str, count: int) -> None:
        """Say it, if it is time."""
        now_s = time.monotonic()
        if now_s - self.said_s >= SAY_EVERY_S:
            self.said_s = now_s
            say(**{key: count})


def digest_of(path: str, size: int, meter: Meter) -> Any:
    """The SHA-256 so far of a file's first `size` bytes."""
    digest = hashlib.sha256()
    done = 0
    with open(path, "rb") as file:
        while done < size:
            data = file.read(min(CHUNK, size - done))
            if not data:
                break
            digest.update(data)
            done += len(data)
            meter.tell("checked", done)
    return digest


def find_start(path: str, size: int) -> int:
    """How many bytes are there already; a partial that is longer than the whole is of something else."""
    for name in (path, path + ".incomplete"):
        try:
            found = os.path.getsize(name)
        except OSError:
            continue
        if found == size or (name != path and found < size):
            return found
    return 0


def make_room(path: str, wanted: int) -> None:
    """The folder of the file. Raises Refusal when its disk has no room for so much more."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o755)
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if wanted and free < wanted + SPARE_BYTES:
        raise Refusal(
            "the disk of %s has %.1f GB free; %.1f GB are missing" % (folder, free / 1e9, wanted / 1e9),
            "Make room on the node's disk, then try again: it goes on from what is there.",
        )


def write_rest(file: BinaryIO, digest: Any, at: int, size: int, meter: Meter) -> None:
    """What comes in, behind what is there. Raises EOFError when it ends early."""
    while at < size:
        data = sys.stdin.buffer.read(min(CHUNK, size - at))
        if not data:
            raise EOFError
        file.write(data)
        digest.update(data)
        at += len(data)
        meter.tell("got", at)
    file.flush()
    os.fsync(file.fileno())


def take(path: str, size: int) -> None:
    """One file. Raises Refusal, OSError, EOFError."""
    make_room(path, 0)
    meter = Meter()
    with hold(path + ".incomplete", meter) as held:
        try:
            take_held(path, size, held, meter)
        finally:
            if os.fstat(held.fileno()).st_size == 0 and os.path.lexists(path + ".incomplete"):
                os.remove(path + ".incomplete")  # nothing came


def hold(partial: str, meter: Meter) -> BinaryIO:
    """The partial file, when nobody else writes it (a fetch from the hub, another computer); waits for that."""
    while True:
        file = os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(partial) and os.path.samestat(os.stat(partial), os.fstat(file.fileno())):
                return file
        except BlockingIOError:
            meter.tell("checked", os.fstat(file.fileno()).st_size)
            time.sleep(SAY_EVERY_S)
        file.close()


def take_held(path: str, size: int, file: BinaryIO, meter: Meter) -> None:
    """One file whose partial is ours alone. Raises Refusal, OSError, EOFError."""
    at = find_start(path, size)
    partial = path + ".incomplete"
    is_there = at == size and os.path.exists(path)
    make_room(path, size - at)
    digest = digest_of(path if is_there else partial, at, meter) if at else hashlib.sha256()
    say(at=at)
    if not is_there:
        file.seek(at)
        file.truncate()
        write_rest(file, digest, at, size, meter)
    expected = sys.stdin.buffer.read(DIGEST_CHARS).decode("ascii", "replace")
    if len(expected) < DIGEST_CHARS:
        raise EOFError
    if digest.hexdigest() != expected:
        os.remove(path if is_there else partial)
        raise Refusal(
            "what came is not what was sent (SHA-256 differs)",
            "Try again: it was removed, and is sent from its start.",
        )
    if not is_there:
        os.replace(partial, path)
    say(ok=True, bytes=size)


def link(path: str, target: str) -> None:
    """A link that leads to `target`. Raises Refusal for one that leads out of its folder's tree, and OSError."""
    if os.path.isabs(target) or "\0" in target:
        raise Refusal("%s leads to a whole path" % path, "Send only links that stay among the files sent.")
    make_room(path, 0)
    beside = "%s.%d" % (path, os.getpid())
    if os.path.lexists(beside):
        os.remove(beside)
    os.symlink(target, beside)
    os.replace(beside, path)
    say(ok=True)


def explain(error: OSError) -> tuple[str, str]:
    """An error of the disk in words, with what helps."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the node's disk is full", "Make room on it, then try again: it goes on from what is there."
    return str(error), "Look at that path on the node, then try again."


def main(argv: list[str]) -> int:
    """One verb."""
    verb, path = argv[0], os.path.expanduser(argv[1])
    try:
        if not os.path.isabs(path) or ".." in path.split("/"):
            raise Refusal("%s is no whole path" % path, "Send to a whole path, or one that begins with ~/.")
        if verb == "take":
            take(path, int(argv[2]))
        else:
            link(path, argv[2])
    except Refusal as error:
        say(ok=False, error=str(error), remedy=error.remedy)
        return 1
    except OSError as error:
        message, remedy = explain(error)
        say(ok=False, error=message, remedy=remedy)
        return 1
    except EOFError:
        return 2  # the line is gone: what is here stays for the next try
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
