"""A lease on this node: one SparkDesk at a time changes its network, packages, docker or power. Sent by length.

    take TOKEN WHO WHAT [THEIRS]     {"taken": true, "file": path, "busy": [holder], "expired": [holder]} or
                                     {"taken": false, "holder": {...} or null}
    renew TOKEN WHO WHAT             {"held": true, "file": path} or {"held": false, "holder": {...} or null}
    release TOKEN                    {"released": true}

A lease lasts LEASE_S seconds from its last renewal. THEIRS names a live lease that a person decided to break; another
one that came instead is not broken. Whose token was broken, or expired and was taken over, hears it at its next
renewal. After a restart of the node nobody holds it, and a holder that comes back may go on if nobody else came.

`file` belongs to the lease: each command that changes the node holds a shared flock on it from before it begins to its
end (core/playbooks/lock.py, HOLD), also when whoever sent it is long gone. `busy` are the leases of others of which a
command still runs: whoever took the lock does nothing before there are none, and may ask again by the same `take`. A
lease that was taken over, broken or let go begins no command any more: both sides look while they hold that flock.

The one rule: it binds those who keep to it, and what another account left here can say no, and nothing more. Accounts
share a sticky folder, where each writes only a file of its own (NAME-uid.json, believed only if that uid owns it), made
under another name and renamed, never through a link. The order is kept by flock on the folder itself. An account that
squats can refuse the lock, or break one, as it can fill the disk; it gains no right by it. Stdlib only, Python 3.8+.

Environment: SPARKDESK_LOCK_DIR is used instead of the shared folder; SPARKDESK_ROOT is put before the boot id.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pwd
import re
import stat
import sys
import time

LEASE_S = 60.0
FOLDERS = ("/run/lock", "/tmp")
OWN_FOLDER = "~/.local/state/sparkdesk/locks"
NAME = re.compile(r"^sparkdesk-lease-(\d{1,10})\.json$")
BUSY_NAME = re.compile(r"^sparkdesk-busy-(\d{1,10})-([a-z0-9]{1,64})\.json$")
TOKEN = re.compile(r"^[a-z0-9]{1,64}$")
MAX_BYTES, MAX_VOIDED, MAX_WORDS, MAX_FILES = 8192, 32, 200, 256
WAIT_S = 5.0
SCHEMA = 1

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any

    Record = dict[str, Any]


class LockError(Exception):
    """Why it cannot be done, in words for a person."""


def read_boot_id() -> str:
    """This boot's id."""
    try:
        with open(os.environ.get("SPARKDESK_ROOT", "").rstrip("/") + "/proc/sys/kernel/random/boot_id") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def is_token(value: object) -> bool:
    """Whether it has a token's form: a long one would make our own file too long to be read."""
    return isinstance(value, str) and TOKEN.match(value) is not None


def is_time(value: object) -> bool:
    """Whether it can be a time of CLOCK_BOOTTIME."""
    return isinstance(value, float) and abs(value) < 1e12


def open_folder() -> int:
    """The folder that all accounts of this node share; this account's own where there is none."""
    wanted = os.environ.get("SPARKDESK_LOCK_DIR", "")
    for path in (wanted,) if wanted else FOLDERS:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        mode = os.fstat(fd).st_mode
        if wanted or (mode & stat.S_ISVTX and mode & stat.S_IWOTH):
            return fd
        os.close(fd)
    own = os.path.expanduser(OWN_FOLDER)
    os.makedirs(own, mode=0o700, exist_ok=True)
    return os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def read_json(data: bytes) -> object:
    """What is written there; None for nonsense."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def busy_name(token: str) -> str:
    """The file of a lease of ours."""
    return f"sparkdesk-busy-{os.getuid()}-{token}.json"


def is_free(fd: int) -> bool:
    """Whether no command holds this file; from then on this process does, until it closes it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Leases:
    """Every lease of the folder, while nobody else changes one."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._boot_id = read_boot_id()
        self._now_s = time.clock_gettime(time.CLOCK_BOOTTIME)  # stands for nobody's wall clock, and counts sleep
        self._wait()
        self._all = self._read_all()
        self._looked_at: list[int] = []  # files of others' commands that we hold to our end, so that none begins

    def _wait(self) -> None:
        until = time.monotonic() + WAIT_S
        while True:
            try:
                return fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > until:
                    raise LockError(f"the folder of locks is held by another program: {error}") from error
            time.sleep(0.05)

    def _read_all(self) -> dict[int, Record]:
        found: dict[int, Record] = {}
        for name in sorted(os.listdir(self._folder)):
            match = NAME.match(name)
            if match and len(found) < MAX_FILES:
                record = self._read(name, int(match.group(1)))
                if record is not None:
                    found[int(match.group(1))] = record
        return found

    def _open(self, name: str, uid: int) -> int | None:
        """A plain file that this account made; anything else there is passed over."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError:
            return None
        info = os.fstat(fd)
        if stat.S_ISREG(info.st_mode) and info.st_uid == uid:
            return fd
        os.close(fd)
        return None

    def _read(self, name: str, uid: int) -> Record | None:
        """A lease, if its own account wrote it."""
        fd = self._open(name, uid)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            value = read_json(file.read(MAX_BYTES))
        if not isinstance(value, dict) or value.get("schema") != SCHEMA or not is_token(value.get("token")):
            return None
        times = [value.get("taken_s"), value.get("renewed_s")]
        if not all(is_time(seconds) for seconds in times):
            return None
        voided = value.get("voided")
        value["voided"] = [word for word in voided if is_token(word)] if isinstance(voided, list) else []
        return value

    def _write(self, record: Record) -> None:
        name = f"sparkdesk-lease-{os.getuid()}.json"
        temporary = f".{name}.{os.getpid()}.{os.urandom(6).hex()}"
        data = json.dumps(dict(record, schema=SCHEMA)).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600, dir_fd=self._folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o644)  # others read who holds it, whatever our umask is
            os.rename(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            os.unlink(temporary, dir_fd=self._folder)
            raise LockError(f"{name} cannot be written: {error}; if it is another account's, remove it") from error

    def _own(self) -> Record:
        return self._all.get(os.getuid(), {})

    def _is_voided(self, token: str) -> bool:
        return any(token in record["voided"] for record in self._all.values())

    def _open_leases(self) -> list[tuple[int, Record]]:
        """Those of this boot that were neither released nor broken, whether they have expired or not."""
        return [
            (uid, record) for uid, record in self._all.items()
            if not record.get("released") and record.get("boot_id") == self._boot_id
            and not self._is_voided(record["token"])
        ]  # fmt: skip

    def _is_live(self, record: Record) -> bool:
        return -1.0 <= self._now_s - float(record["renewed_s"]) < LEASE_S

    def holder(self, token: str) -> tuple[int, Record] | None:
        """Whose lease lives beside ours."""
        found = [(uid, r) for uid, r in self._open_leases() if r["token"] != token and self._is_live(r)]
        return min(found, key=lambda pair: float(pair[1]["taken_s"])) if found else None

    def describe(self, found: tuple[int, Record] | None) -> Record | None:
        """A holder as it is told."""
        if found is None:
            return None
        uid, record = found
        try:
            account = pwd.getpwuid(uid).pw_name
        except KeyError:
            account = str(uid)
        words = {key: str(record.get(key) or "")[:MAX_WORDS] for key in ("token", "who", "what", "file")}
        times = {"held_s": "taken_s", "silent_s": "renewed_s"}
        known = {key: float(record[name]) for key, name in times.items() if is_time(record.get(name))}
        ages = {key: round(max(0.0, self._now_s - at_s), 1) for key, at_s in known.items()}
        return dict(words, account=account, **ages)

    def take(self, token: str, who: str, what: str, theirs: str = "") -> Record:
        """Take the lease, unless somebody else's lives and is not the one that is to be broken."""
        holder = self.holder(token)
        if self._is_voided(token) or (holder is not None and holder[1]["token"] != theirs):
            return {"taken": False, "holder": self.describe(holder)}
        gone = [pair for pair in self._open_leases() if pair[1]["token"] != token]
        expired = [self.describe(pair) for pair in gone if pair is not holder and not self._is_live(pair[1])]
        busy, others = self._look_at_commands(token)
        self._put(token, who, what, [*others, *(record["token"] for _, record in gone)])
        return {"taken": True, "file": self._path_of(token), "busy": busy, "expired": expired, "lease_s": LEASE_S}

    def _look_at_commands(self, token: str) -> tuple[list[Record | None], list[str]]:
        """The other leases of which a command still runs, and every other token of which one could yet begin."""
        busy: list[Record | None] = []
        tokens: list[str] = []
        for name in sorted(os.listdir(self._folder)):
            match = BUSY_NAME.match(name)
            fd = self._open(name, int(match.group(1))) if match and match.group(2) != token else None
            if match is None or fd is None:
                continue
            if len(tokens) >= MAX_FILES:
                raise LockError("the folder of locks is full of sparkdesk-busy files: remove them")
            self._looked_at.append(fd)
            tokens.append(match.group(2))
            if not is_free(fd):
                value = read_json(os.read(fd, MAX_BYTES))
                words = value if isinstance(value, dict) else {}
                own = {"token": match.group(2), "file": self._path(name)}
                busy.append(self.describe((int(match.group(1)), {**words, **own})))
            elif int(match.group(1)) == os.getuid():
                os.unlink(name, dir_fd=self._folder)
        return busy, tokens

    def _path(self, name: str) -> str:
        return os.path.join(os.readlink("/proc/self/fd/%d" % self._folder), name)

    def _path_of(self, token: str) -> str:
        return self._path(busy_name(token))

    def _make_file(self, token: str, who: str, what: str) -> None:
        """The file that the commands of our lease hold, where there is none yet, as after a restart."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(busy_name(token), flags, 0o600, dir_fd=self._folder)
        except FileExistsError:
            return
        with os.fdopen(fd, "wb") as file:
            file.write(json.dumps({"who": who[:MAX_WORDS], "what": what[:MAX_WORDS], "taken_s": self._now_s}).encode())
            os.fchmod(fd, 0o644)

    def _put(self, token: str, who: str, what: str, voided: list[str]) -> None:
        own = self._own()
        is_same = own.get("token") == token and own.get("boot_id") == self._boot_id
        lease = {"token": token, "who": who[:MAX_WORDS], "what": what[:MAX_WORDS], "boot_id": self._boot_id}
        times = {"taken_s": own["taken_s"] if is_same else self._now_s, "renewed_s": self._now_s}
        everything = dict.fromkeys([*own.get("voided", ()), *voided])
        self._write({**lease, **times, "voided": list(everything)[-MAX_VOIDED:]})
        self._make_file(token, who, what)

    def renew(self, token: str, who: str, what: str) -> Record:
        """Go on holding it; after a restart, or a long silence that nobody used, hold it anew."""
        holder = self.holder(token)
        if self._is_voided(token) or holder is not None:
            return {"held": False, "holder": self.describe(holder)}
        self._put(token, who, what, [])
        return {"held": True, "file": self._path_of(token)}

    def release(self, token: str) -> Record:
        """Let it go; what we broke stays noted, for those who have not heard it yet."""
        own = self._own()
        if own.get("token") == token:
            self._write(dict(own, released=True))
        fd = self._open(busy_name(token), os.getuid())
        if fd is not None:
            self._looked_at.append(fd)
            if is_free(fd):
                os.unlink(busy_name(token), dir_fd=self._folder)
        return {"released": True}


def main(argv: list[str]) -> int:
    """Run a verb; gives the exit code."""
    counts = {"take": (3, 4), "renew": (3,), "release": (1,)}
    try:
        if not argv or len(argv) - 1 not in counts.get(argv[0], ()):
            raise LockError("usage: lock.py take|renew|release TOKEN [WHO WHAT [THEIRS]]")
        if not is_token(argv[1]):
            raise LockError("a token is 1 to 64 small letters and digits")
        leases = Leases(open_folder())
        print(json.dumps(getattr(leases, argv[0])(*argv[1:])))
    except (LockError, OSError) as error:
        print(json.dumps({"error": str(error)[:1000]}))
        print(str(error)[:1000], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
