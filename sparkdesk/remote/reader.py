"""Carries out many small reads on a node in one go; sent over a channel by length, as the probe is, never installed.

    reader reading LENGTH SECONDS        LENGTH bytes of JSON follow on standard input: {"reads": [READ ...]}

    READ    {"k": "file", "path": p, "bytes": n, "files": n}     a plain file, or each match of a glob; ~/ is the home
            {"k": "command", "argv": [...], "s": n, "bytes": n}  its output; LC_ALL=C, no input, a session of its own
            {"k": "disk", "path": p}    {"k": "clock"}
    prints  {"reader": 1, "began_ms": n, "ended_ms": n, "answers": [ANSWER or null ...]}     null: no room, ask again
    ANSWER  {"t": [[path, text] ...], "c": exit code, "e": errors, "n": {name: number}, "x": 1 when cut}
            or {"f": absent | denied | timed_out | unreadable, "w": in words}

The one rule: nothing here can hang or grow. Files are read by a child that is given up when one of them blocks (a
sysfs file may), only plain files are opened, commands are killed with their whole group, and everything has a bound.
A serial number leaves the node only as a hash made with the machine id. Stdlib only, Python 3.8+.

Environment: SPARKDESK_ROOT is put before every path of a file (a copy of a node's files).
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import selectors
import signal
import stat
import subprocess
import sys
import time

ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
PATHS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/cuda/bin",
         "/snap/bin")  # fmt: skip
MAX_READS = 64
MAX_BYTES = 64 * 1024
MAX_FILES = 256
MAX_MATCHES = 4096
MAX_ERROR_BYTES = 2048
MAX_PRINTED = 900 * 1024
MAX_COMMANDS = 4
FILE_S = 2.0  # the longest that one file, glob or disk may keep us
MAX_COMMAND_S = 30.0
LINGER_S = 0.2  # how long output is waited for after a command has ended
TICK_S = 0.05
NO_SERIALS = ("", "none", "n/a", "default string", "not specified", "system serial number", "to be filled by o.e.m.")

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Dict, List, Optional

    Answer = Dict[str, Any]


def fault(kind: str, words: str) -> Answer:
    """An answer that says why there is none."""
    return {"f": kind, "w": words[:300]}


def fault_of(error: OSError) -> Answer:
    """The fault that this error is."""
    words = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH):
        return fault("absent", words)
    if error.errno in (errno.EACCES, errno.EPERM):
        return fault("denied", words)
    return fault("unreadable", words)


# ---- files, in a child of their own ----------------------------------------------------------------------------------


def hash_serial(serial: str) -> str:
    """What may be known of a serial: SHA-256 over it and the machine id. "" for what makers put where there is none."""
    serial = serial.strip().strip("\"'")
    if serial.lower() in NO_SERIALS or len(set(serial)) == 1:
        return ""
    try:
        with open(ROOT + "/etc/machine-id", "rb") as file:
            machine = file.read(64).strip()
    except OSError:
        machine = b""
    return "sha256:" + hashlib.sha256(machine + b"\n" + serial.encode("utf-8", "replace")).hexdigest()


def hide_serials(path: str, text: str) -> str:
    """The text without serial numbers."""
    if "serial" in os.path.basename(path).lower():
        return hash_serial(text)
    if os.path.basename(path) != "dgx-release":
        return text
    lines = []
    for line in text.split("\n"):
        key, sep, value = line.partition("=")
        lines.append('%s="%s"' % (key, hash_serial(value)) if sep and "SERIAL" in key.upper() else line)
    return "\n".join(lines)


def read_plain(path: str, size: int) -> tuple[str, float, bool]:
    """Text, modification time and whether it was cut. Raises OSError; only plain files are ever opened."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a plain file")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        data = b""
        while len(data) <= size:
            more = os.read(descriptor, size + 1 - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(descriptor)
    return data[:size].decode("utf-8", "replace"), found.st_mtime, len(data) > size


def find_paths(pattern: str, is_home: bool) -> list[str]:
    """Full paths that match. Raises OSError when the folder before the first wildcard cannot be listed."""
    full = os.path.expanduser(pattern) if is_home else ROOT + pattern
    # The root itself may hold a character that glob takes for a wildcard.
    safe = os.path.expanduser("~") if is_home else ROOT
    wild = glob.escape(safe) + full[len(safe) :]
    if not glob.has_magic(wild[len(glob.escape(safe)) :]):
        return [full]
    parts = full[len(safe) :].split("/")
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    os.scandir(safe + "/".join(parts[:fixed]) + "/").close()
    found = []
    for path in glob.iglob(wild):
        found.append(path)
        if len(found) >= MAX_MATCHES:
            break
    if not found:
        raise OSError(errno.ENOENT, "nothing matches")
    return sorted(found)


def read_file(read: dict[str, Any]) -> Answer:
    """One file, or each match of a glob; matches that cannot be read are left out unless all of them are."""
    path, is_home = read["path"], read["path"].startswith("~/")
    size = min(max(int(read["bytes"]), 0), MAX_BYTES)
    texts: List[List[str]] = []
    times: Dict[str, float] = {}
    is_cut = False
    first: Optional[OSError] = None
    limit = min(max(int(read["files"]), 1), MAX_FILES)
    for full in find_paths(path, is_home):
        if len(texts) >= limit:
            is_cut = True
            break
        name = full if is_home or not ROOT else full[len(ROOT) :]
        try:
            text, changed_s, cut = read_plain(full, size)
        except OSError as error:
            first = first or error
            continue
        texts.append([name, hide_serials(name, text)])
        times[name] = round(changed_s, 3)
        is_cut = is_cut or cut
    if not texts and first is not None:
        raise first
    return {"t": texts, "n": times, "x": int(is_cut)}


def read_disk(read: dict[str, Any]) -> Answer:
    """Size of a file system, and what this user may still write."""
    path = read["path"]
    found = os.statvfs(os.path.expanduser(path) if path.startswith("~/") else ROOT + path)
    return {"n": {"total_bytes": found.f_blocks * found.f_frsize, "free_bytes": found.f_bavail * found.f_frsize}}


def read_in_child(pipe: int, reads: list[tuple[int, dict[str, Any]]]) -> None:
    """The child's work: a line for each read, as it is done. It holds nothing of its parent's but the pipe."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, 256)
    for index, read in reads:
        try:
            answer = read_file(read) if read["k"] == "file" else read_disk(read)
        except OSError as error:
            answer = fault_of(error)
        except ValueError as error:
            answer = fault("unreadable", str(error))
        data = json.dumps([index, answer]).encode() + b"\n"
        while data:
            data = data[os.write(pipe, data) :]


class FileReads:
    """Reads of files and disks, one after another, each in FILE_S; what blocks is left behind in its child."""

    def __init__(self, reads: list[tuple[int, dict[str, Any]]]) -> None:
        self.left = list(reads)
        self.pid = 0
        self.pipe = -1
        self._data = b""
        self.due = 0.0

    def start(self, selector: selectors.BaseSelector) -> None:
        """Have a child go on with what is left."""
        ours, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                    signal.signal(number, signal.SIG_DFL)
                read_in_child(theirs, self.left)
            finally:
                os._exit(0)
        os.close(theirs)
        os.set_blocking(ours, False)
        self.pipe, self._data = ours, b""
        self.due = time.monotonic() + FILE_S
        selector.register(ours, selectors.EVENT_READ, self)

    def take(self, selector: selectors.BaseSelector, answers: list[Answer | None]) -> None:
        """Take the answers that have come; at the child's end whatever it left is unreadable."""
        data = os.read(self.pipe, 65536)
        *lines, self._data = (self._data + data).split(b"\n")
        for line in lines:
            index, answer = json.loads(line)
            answers[index] = answer
            self.left.pop(0)
            self.due = time.monotonic() + FILE_S
        if not data:
            self.stop(selector)
            for index, _ in self.left[:1]:
                answers[index] = fault("unreadable", "the reader's child ended")
            self.left = self.left[1:]

    def give_up(self, selector: selectors.BaseSelector, answers: list[Answer | None]) -> None:
        """The read that is under way blocks: say so and go on with the next."""
        self.stop(selector)
        index, _ = self.left.pop(0)
        answers[index] = fault("timed_out", "did not answer within %g s" % FILE_S)

    def stop(self, selector: selectors.BaseSelector) -> None:
        """End the child without waiting for it: one that hangs in the kernel cannot be ended."""
        if self.pipe < 0:
            return
        selector.unregister(self.pipe)
        os.close(self.pipe)
        self.pipe = -1
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, os.WNOHANG)
        except OSError:
            pass


# ---- commands --------------------------------------------------------------------------------------------------------


def command_env() -> dict[str, str]:
    """The environment of every command: no language, no pager, no colour, and the places where programs hide."""
    env = dict(os.environ)
    path = [part for part in env.get("PATH", "").split(":") if part.startswith("/")]
    env["PATH"] = ":".join(path + [part for part in PATHS if part not in path])
    env.update(LC_ALL="C", LANGUAGE="C", PAGER="cat", SYSTEMD_PAGER="", SYSTEMD_COLORS="0", NO_COLOR="1")
    return env


def find_program(name: str, env: dict[str, str]) -> str:
    """The program's path. Raises FileNotFoundError, or PermissionError when it is there and may not be run."""
    is_there = False
    for folder in env["PATH"].split(":") if "/" not in name else [""]:
        full = os.path.join(folder, name)
        if os.path.isfile(full):
            if os.access(full, os.X_OK):
                return full
            is_there = True
    if is_there:
        raise PermissionError(errno.EACCES, "%s may not be run" % name)
    raise FileNotFoundError(errno.ENOENT, "no program %s" % name)


class CommandRead:
    """One running command with what it has printed so far."""

    def __init__(self, index: int, read: dict[str, Any], env: dict[str, str]) -> None:
        self.index = index
        self._size = min(max(int(read["bytes"]), 0), MAX_BYTES)
        self._texts = {"out": b"", "err": b""}
        self._is_cut = False
        self._ended_s = 0.0
        self.seconds = min(max(float(read["s"]), 0.1), MAX_COMMAND_S)
        argv = [find_program(read["argv"][0], env), *read["argv"][1:]]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", env=env,
            start_new_session=True,
        )  # fmt: skip
        self.due = time.monotonic() + self.seconds
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.pipes = {self.process.stdout.fileno(): "out", self.process.stderr.fileno(): "err"}

    def take(self, selector: selectors.BaseSelector, descriptor: int) -> None:
        """Take what it has printed; what is too much is drained and dropped."""
        name = self.pipes[descriptor]
        data = os.read(descriptor, 65536)
        if not data:
            selector.unregister(descriptor)
            del self.pipes[descriptor]
            return
        limit = self._size if name == "out" else MAX_ERROR_BYTES
        kept = self._texts[name] + data
        self._is_cut = self._is_cut or (name == "out" and len(kept) > limit)
        self._texts[name] = kept[:limit]

    def is_over(self) -> bool:
        """Whether it has ended and what it printed is here (or a grandchild that holds the pipe was waited for)."""
        if self.process.poll() is None:
            return False
        self._ended_s = self._ended_s or time.monotonic()
        return not self.pipes or time.monotonic() - self._ended_s > LINGER_S

    def end(self, selector: selectors.BaseSelector) -> Answer:
        """Kill what is left of its group and tell how it ended."""
        code = self.process.poll()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass
        for descriptor in self.pipes:
            selector.unregister(descriptor)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if code is None:
            return fault("timed_out", "did not end within %g s" % self.seconds)
        if code < 0:
            return fault("unreadable", "ended by signal %d" % -code)
        texts = {name: data.decode("utf-8", "replace") for name, data in self._texts.items()}
        return {"t": [["", texts["out"]]], "e": texts["err"], "c": code, "x": int(self._is_cut)}


class CommandReads:
    """The commands: at most MAX_COMMANDS at once, begun in order."""

    def __init__(self, reads: list[tuple[int, dict[str, Any]]]) -> None:
        self.left = list(reads)
        self.running: List[CommandRead] = []
        self._env = command_env()

    def start(self, selector: selectors.BaseSelector, answers: list[Answer | None]) -> None:
        """Begin as many as may run."""
        while self.left and len(self.running) < MAX_COMMANDS:
            index, read = self.left.pop(0)
            try:
                command = CommandRead(index, read, self._env)
            except OSError as error:
                answers[index] = fault_of(error)
                continue
            self.running.append(command)
            for descriptor in command.pipes:
                selector.register(descriptor, selectors.EVENT_READ, command)

    def collect(self, selector: selectors.BaseSelector, answers: list[Answer | None], *, is_last: bool) -> None:
        """Take in those that have ended or must end."""
        for command in list(self.running):
            if is_last or command.is_over() or time.monotonic() > command.due:
                self.running.remove(command)
                answers[command.index] = command.end(selector)


# ---- all together ----------------------------------------------------------------------------------------------------


def check(read: Any) -> str:
    """Why this is no read; "" when it is one."""
    kind = read.get("k") if isinstance(read, dict) else None
    if kind == "command":
        argv = read.get("argv")
        is_words = isinstance(argv, list) and bool(argv) and all(isinstance(word, str) for word in argv)
        return "" if is_words and argv[0] and "\0" not in "".join(argv) else "not a command"
    if kind in ("file", "disk"):
        path = read.get("path")
        is_path = isinstance(path, str) and path.startswith(("/", "~/")) and "\0" not in path
        return "" if is_path else "not a path"
    return "" if kind == "clock" else "not a read"


def carry_out(reads: list[Any], seconds: float) -> list[Answer | None]:
    """An answer for each read, in their order, within so many seconds in all."""
    answers: List[Optional[Answer]] = [None] * len(reads)
    kinds: Dict[str, List[Any]] = {"file": [], "command": []}
    for index, read in enumerate(reads):
        wrong = check(read)
        if wrong:
            answers[index] = fault("unreadable", wrong)
        elif read["k"] == "clock":
            answers[index] = {"n": {"t_ms": now_ms()}}
        else:
            kinds["command" if read["k"] == "command" else "file"].append((index, read))
    files, commands = FileReads(kinds["file"]), CommandReads(kinds["command"])
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        while (files.left or commands.left or commands.running) and time.monotonic() < until:
            commands.start(selector, answers)
            if files.left and files.pipe < 0:
                files.start(selector)
            for key, _ in selector.select(TICK_S):
                if isinstance(key.data, CommandRead):
                    key.data.take(selector, key.fd)
                elif files.pipe == key.fd:
                    files.take(selector, answers)
            if files.pipe >= 0 and files.left and time.monotonic() > files.due:
                files.give_up(selector, answers)
            commands.collect(selector, answers, is_last=False)
        files.stop(selector)
        commands.collect(selector, answers, is_last=True)
    for index, _ in files.left + commands.left:
        answers[index] = fault("timed_out", "the reads took more than %g s in all" % seconds)
    return answers


def now_ms() -> float:
    """Unix time in milliseconds by this node."""
    return round(time.time() * 1000, 3)


def fit(answers: list[Answer | None]) -> list[Answer | None]:
    """The answers as far as they fit into one line; what does not is null, and asked for again."""
    room = MAX_PRINTED
    kept: List[Optional[Answer]] = []
    for answer in answers:
        size = len(json.dumps(answer))
        if size > MAX_PRINTED:
            answer, size = fault("unreadable", "the answer is too large"), 100
        kept.append(answer if size <= room else None)
        room -= size if size <= room else 0
    return kept


def main(argv: list[str]) -> int:
    """Read the request, carry it out, print the answers."""
    began_ms = now_ms()
    length, seconds = int(argv[1]), float(argv[2])
    signal.alarm(int(seconds) + 5)  # ends us even while a call hangs
    reads = json.loads(sys.stdin.buffer.read(length))["reads"][:MAX_READS]
    answers = fit(carry_out(reads, seconds))
    answer = {"reader": 1, "began_ms": began_ms, "ended_ms": now_ms(), "answers": answers}
    print("\n" + json.dumps(answer, separators=(",", ":")), flush=True)
    return 0


if __name__ == "__main__":
    # Not sys.exit: nothing is left to tidy, and a child that hangs must not be waited for.
    os._exit(main(sys.argv[1:]))
