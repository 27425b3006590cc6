"""Runs a download on a node apart from any channel, so that a lost line or a sleeping desktop does not end it.

    transfer start FOLDER PROGRAM [WORD ...]   {"started": true, "state": "running"}; one that runs already goes on
    transfer status FOLDER                     {"state": ..., "ended": ..., and what the program printed last}
    transfer stop FOLDER                       {"stopped": true}; what it has fetched stays

FOLDER is below ~/.local/state/sparkdesk/transfers; PROGRAM is a file in it that prints JSON lines, the last with "ok".
States: running, done, failed, lost (ended without a word: killed, or the node restarted), none. The one rule: what
nobody has asked for during LEASE_S ends by itself; secrets.json in the folder is removed when the program ends. On a
full disk no file can be written: then an empty one named `full` tells.
Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

LEASE_S = float(os.environ.get("SPARKDESK_LEASE_S", "3600"))
WRITE_EVERY_S = 0.5
STOP_WAIT_S = 5.0
MAX_LINE_BYTES = 65536
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IS_FULL = {
    "ok": False,
    "kind": "disk",
    "message": "the node's disk is full",
    "remedy": "Make room (Models on disk), then try again: it goes on from what is there.",
}
FOLDERS = "~/.local/state/sparkdesk/transfers"

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any


def say(**cells: Any) -> None:
    """One JSON line."""
    print(json.dumps(cells, separators=(",", ":")), flush=True)


def whole_path(folder: str) -> str:
    """The folder, which must be one of ours. Raises ValueError."""
    path = os.path.realpath(os.path.expanduser(folder))
    if os.path.dirname(path) != os.path.realpath(os.path.expanduser(FOLDERS)):
        raise ValueError("%s is no folder of a transfer" % folder)
    return path


def write(path: str, cells: dict[str, Any]) -> None:
    """A small JSON file, never half written."""
    try:
        with open(path + ".new", "w") as file:
            json.dump(cells, file)
    except OSError:
        with contextlib.suppress(OSError):  # it may not even have been made
            os.remove(path + ".new")
        raise
    os.replace(path + ".new", path)


def read(path: str) -> dict[str, Any]:
    """A small JSON file; empty where there is none."""
    try:
        with open(path) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def start_ticks(pid: int) -> int | None:
    """When a process began, in ticks since the node's start; None where there is none, or it has ended."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            words = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else int(words[19])


def is_running(folder: str) -> bool:
    """Whether the transfer's own process lives: its number and its start are those that were noted."""
    noted = read(os.path.join(folder, "run.json"))
    pid, ticks = noted.get("pid"), noted.get("ticks")
    return isinstance(pid, int) and isinstance(ticks, int) and start_ticks(pid) == ticks


def start(folder: str, program: str, words: list[str]) -> None:
    """Begin it, unless it runs."""
    with open(os.path.join(folder, "lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        touch(folder)
        if is_running(folder):
            say(started=True, state="running", was_running=True)
            return
        for name in ("end.json", "last.json", "run.json", "full"):
            if os.path.exists(os.path.join(folder, name)):
                os.remove(os.path.join(folder, name))
        write(os.path.join(folder, "run.json"), {})  # a disk that takes nothing is known before anything runs
        pid = os.fork()
        if pid == 0:
            lock.close()
            detach(folder, program, words)
        os.waitpid(pid, 0)
        end_s = time.monotonic() + 10.0
        while not read(os.path.join(folder, "run.json")) and time.monotonic() < end_s:
            time.sleep(0.02)
        say(started=bool(read(os.path.join(folder, "run.json"))), state="running")


def detach(folder: str, program: str, words: list[str]) -> None:
    """In a child: a process of its own session, with no stream of ours, that supervises the program. Never returns."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setpgid(0, 0)  # its group is it and its program, so that both can be ended at once
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.closerange(3, 256)
    code = 1
    try:
        write(os.path.join(folder, "run.json"), {"pid": os.getpid(), "ticks": start_ticks(os.getpid())})
        code = supervise(folder, program, words)
    finally:
        os._exit(code)


def supervise(folder: str, program: str, words: list[str]) -> int:
    """Run the program; keep its last line, and how it ended."""
    errors = open(os.path.join(folder, "errors"), "wb")  # noqa: SIM115 - the program's, to its end
    argv = [sys.executable or "python3", "-I", "-S", "-u", os.path.join(folder, program), *words]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    last: dict[str, Any] = {}
    written_s, asked, asked_s = 0.0, 0.0, time.monotonic()
    assert child.stdout is not None
    for line in iter(lambda: child.stdout.readline(MAX_LINE_BYTES), b""):  # type: ignore[union-attr]
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):  # how far it was stays beside how it ended
            last = {**last, "again": None, **found} if "ok" in found else found
        if time.monotonic() - written_s >= WRITE_EVERY_S:
            written_s = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk: the program meets it too, and says so
                write(os.path.join(folder, "last.json"), last)
        if os.path.getmtime(os.path.join(folder, "asked")) != asked:  # the clock may be set: only its change counts
            asked, asked_s = os.path.getmtime(os.path.join(folder, "asked")), time.monotonic()
        if time.monotonic() - asked_s > LEASE_S:
            child.terminate()
    code = child.wait()
    if "ok" not in last:
        words_of_it = (
            "it was stopped"
            if code == -signal.SIGTERM
            else "it ended without a word (%s)" % ("killed by signal %d" % -code if code < 0 else "code %d" % code)
        )
        last = dict(last, ok=False, kind="stopped", message=words_of_it, remedy="Start again: it goes on from there.")
    try:
        write(os.path.join(folder, "end.json"), last)
    except OSError:
        with contextlib.suppress(OSError):  # no file can be made at all: then it is told as lost
            os.close(os.open(os.path.join(folder, "full"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    finally:
        drop_secrets(folder)
    return 0


def drop_secrets(folder: str) -> None:
    """Nothing secret stays behind a transfer."""
    path = os.path.join(folder, "secrets.json")
    if os.path.exists(path):
        os.remove(path)


def touch(folder: str) -> None:
    """Somebody asks for it."""
    with open(os.path.join(folder, "asked"), "a"):
        os.utime(os.path.join(folder, "asked"))


def status(folder: str) -> None:
    """How it stands."""
    if not os.path.isdir(folder):
        say(state="none", ended=True, message="nothing was begun", remedy="Start it.")
        return
    touch(folder)
    was_running = is_running(folder)
    end = read(os.path.join(folder, "end.json"))
    if end:
        say(**dict(end, state="done" if end.get("ok") is True else "failed", ended=True))
    elif os.path.exists(os.path.join(folder, "full")):
        say(**dict(IS_FULL, state="failed", ended=True))
    elif was_running:
        say(**dict(read(os.path.join(folder, "last.json")), state="running", ended=False))
    else:
        drop_secrets(folder)
        remedy = "Start again: it goes on from what is there."
        say(state="lost", ended=True, ok=False, message="the download ended without a word", remedy=remedy)


def stop(folder: str) -> None:
    """End it and its program, and wait until both are gone."""
    noted = read(os.path.join(folder, "run.json"))
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_running(folder):
            break
        try:
            if number == signal.SIGTERM:
                os.kill(noted["pid"], number)  # it ends its program, and notes how
            else:
                os.killpg(noted["pid"], number)
        except (ProcessLookupError, PermissionError):
            pass  # it ended in this moment
        end_s = time.monotonic() + STOP_WAIT_S
        while is_running(folder) and time.monotonic() < end_s:
            time.sleep(0.02)
    drop_secrets(folder)
    say(stopped=not is_running(folder), message="what was fetched stays on the disk")


def main(argv: list[str]) -> int:
    """One verb."""
    folder = whole_path(argv[1])
    if argv[0] == "start":
        try:
            start(folder, argv[2], argv[3:])
        except OSError as error:
            if error.errno not in FULL:
                raise
            say(**dict(IS_FULL, started=False))
    elif argv[0] == "status":
        status(folder)
    else:
        stop(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
