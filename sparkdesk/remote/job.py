"""Runs one job on a node and answers for it: the job outlives the application, and the node is the source of truth.

    job.py start|status|stop|ready|token|remove FOLDER

Each verb prints one JSON line and exits 1 when it failed, with the reason as the last line of standard error. The
folder holds spec.json (what to run, written before), job.json (what runs), log-OFFSET files (`log` points to the
newest), exit.json (how it ended), and while the job runs perhaps secrets.json (0600): variables for the engine alone.

`start` leaves a guard behind, in a session of its own: it starts the engine, keeps its output, stops it when memory
runs out (on unified memory that would freeze the node), and writes exit.json. The one rule: nothing is believed but
what can be checked. Running means: same boot, and a process of this pid with this start time; stopped means: no process
of its group or session is left. A folder of another schema is never touched. Stdlib only, Python 3.8+.

Environment: SPARKDESK_ROOT is put before /proc/meminfo and the boot id; SPARKDESK_LOOPBACK is this node's loopback.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time

SCHEMA = 1
ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
LOOPBACK = os.environ.get("SPARKDESK_LOOPBACK", "127.0.0.1")

LOG_FILE_BYTES = int(os.environ.get("SPARKDESK_LOG_FILE_BYTES", 16 * 1024 * 1024))
LOG_FILES = 3
START_WAIT_S, GRACE_S, TOKEN_WAIT_S, FLOOR_CHECK_S = 10.0, 10.0, 150.0, 0.5
OWN_FILES = ("spec.json", "job.json", "exit.json", "secrets.json", "metrics.jsonl", "stop", "lock", "job.py")

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any

    Record = dict[str, Any]


class JobError(Exception):
    """Why a verb cannot be done, in words for a person."""


def read_text(path: str) -> str:
    """A small file of the kernel's; "" when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def read_boot_id() -> str:
    """This boot's id; "" when the system tells none."""
    return read_text(ROOT + "/proc/sys/kernel/random/boot_id").strip()


def read_available_bytes() -> int | None:
    """MemAvailable, or None."""
    words = read_text(ROOT + "/proc/meminfo").partition("MemAvailable:")[2].split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else None


def read_process(pid: int) -> tuple[int, int, int] | None:
    """Process group, session, start time (ticks since boot); None when gone or a zombie."""
    words = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(words[2]), int(words[3]), int(words[19])) if len(words) > 19 and words[0] not in "ZX" else None


def read_start(pid: int) -> int:
    """Start time of a process in ticks since boot; 0 when it is gone."""
    return (read_process(pid) or (0, 0, 0))[2]


def is_alive(record: Record, key: str) -> bool:
    """Whether the process that the record names under `key` runs: same pid AND same start time."""
    start = read_start(int(record.get(key) or 0))
    return start != 0 and start == record.get(key + "_ticks")


def find_members(record: Record) -> list[int]:
    """Processes of the engine's group or session that are left, whatever became of its first process."""
    leader, since = int(record.get("pid") or 0), int(record.get("pid_ticks") or 0)
    if not leader or record.get("boot_id") != read_boot_id() or read_start(leader) not in (0, since):
        return []  # another boot, or the number belongs to somebody else now, and so does its group
    members = []
    for name in os.listdir("/proc"):
        found = read_process(int(name)) if name.isdigit() else None
        if found is not None and leader in found[:2] and found[2] >= since:
            members.append(int(name))
    return members


def end_members(record: Record, grace_s: float) -> list[int]:
    """TERM, TERM again (llama.cpp's server in the middle of an answer needs two), KILL; gives those still there."""
    start = time.monotonic()
    signals = [(0.0, signal.SIGTERM), (0.5, signal.SIGTERM), (grace_s, signal.SIGKILL)]
    while True:
        after, members = time.monotonic() - start, find_members(record)
        if not members or after > grace_s + 5.0:
            return members
        while signals and after >= signals[0][0]:
            number = signals.pop(0)[1]
            for pid in members:
                try:
                    os.kill(pid, number)
                except (ProcessLookupError, PermissionError):
                    pass
        time.sleep(0.05)


class Job:
    """A job's folder, and what can be found out about it."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(os.path.expanduser(folder))

    def path(self, name: str) -> str:
        """A file of the folder."""
        return os.path.join(self.folder, name)

    def read(self, name: str) -> Record | None:
        """A JSON object; None when the file is not there. Raises JobError when it is there and not understood."""
        try:
            with open(self.path(name), "rb") as file:
                value = json.loads(file.read(4 * 1024 * 1024).decode("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise JobError(f"{name} cannot be read: {error}") from error
        if not isinstance(value, dict) or (name != "secrets.json" and value.get("schema") != SCHEMA):
            raise JobError(f"{name} is of another schema; this program knows {SCHEMA}")
        return value

    def write(self, name: str, value: Record) -> None:
        """Write an object whole and durably, or not at all."""
        temporary = self.path(f"{name}.{os.getpid()}")
        with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(json.dumps(dict(value, schema=SCHEMA), sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path(name))

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            pass

    def lock(self) -> None:
        """Wait until no other verb changes this job, and keep them from it until this process ends."""
        fcntl.flock(os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), fcntl.LOCK_EX)

    def read_spec(self) -> Record:
        """spec.json, with a program to run. Raises JobError."""
        spec = self.read("spec.json")
        if spec is None:
            raise JobError(f"there is no job in {self.folder}")
        argv = spec.get("argv")
        if not (isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv)):
            raise JobError("spec.json names no program")
        return spec

    def write_exit(self, record: Record, reason: str, code: int | None = None) -> Record:
        """exit.json: how the run of this record ended. The secrets go with it."""
        self.remove("secrets.json")
        is_signal = code is not None and code < 0
        end: Record = {"run": record.get("run"), "reason": reason, "ended_ms": time.time_ns() // 1_000_000}
        end.update(code=None if is_signal else code, signal=-(code or 0) if is_signal else None)
        self.write("exit.json", end)
        return end

    def log_files(self) -> list[tuple[int, str]]:
        """(offset of the first byte, path), oldest first."""
        names = [name for name in os.listdir(self.folder) if name.startswith("log-") and name[4:].isdigit()]
        return sorted((int(name[4:]), self.path(name)) for name in names)

    def log_end(self) -> int:
        """The offset behind the last byte."""
        files = self.log_files()
        return files[-1][0] + os.path.getsize(files[-1][1]) if files else 0

    def log_tail(self, count: int = 12) -> list[str]:
        """The last lines that say something."""
        if not os.path.exists(self.path("log")):
            return []
        with open(self.path("log"), "rb") as file:
            file.seek(max(os.path.getsize(self.path("log")) - 32768, 0))
            lines = file.read(32768).decode("utf-8", "replace").replace("\r", "\n").split("\n")
        return [line[:400] for line in lines if line.strip()][-count:]

    def derive_state(self) -> tuple[str, Record, str]:
        """planned, running, ended or unknown; job.json with exit.json; words. Raises JobError."""
        self.read_spec()
        record = self.read("job.json")
        if record is None:
            return "planned", {}, "never started"
        end = self.read("exit.json") or {}
        has_ended = end.get("run") == record.get("run")
        if has_ended:
            record.update(end)
        elif record.get("boot_id") != read_boot_id():
            return "ended", record, "the node was restarted"
        elif is_alive(record, "pid"):
            return "running", record, ""
        elif is_alive(record, "guard_pid"):
            return "unknown", record, "its main process has ended; its guard is at work"
        left = len(find_members(record))
        if left:
            return "unknown", record, f"its main process has ended, {left} of its processes are left"
        return "ended", record, str(end.get("reason", "")) if has_ended else "it ended unseen: its guard is gone too"


class Log:
    """The engine's output in files named by the offset of their first byte; the oldest are given up."""

    def __init__(self, job: Job) -> None:
        self._job, self._fd = job, -1
        self._open()

    def _open(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._size, name = 0, f"log-{self._job.log_end():015d}"
        self._fd = os.open(self._job.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._job.remove("log.new")
        os.symlink(name, self._job.path("log.new"))
        os.replace(self._job.path("log.new"), self._job.path("log"))
        for _, old in self._job.log_files()[:-LOG_FILES]:
            os.unlink(old)

    def write(self, data: bytes) -> None:
        """Add output. A full disk loses it, and does not stop the engine."""
        try:
            if self._size + len(data) > LOG_FILE_BYTES:
                self._open()
            self._size += os.write(self._fd, data)
        except OSError:
            pass

    def say(self, words: str) -> None:
        """Add a line of ours, marked as such."""
        self.write(f"[sparkdesk] {words}\n".encode())


class Guard:
    """Starts the engine, watches over it, and says how it ended."""

    def __init__(self, job: Job) -> None:
        self._job, self._spec, self._log = job, job.read_spec(), Log(job)
        self._is_low, self._reason = False, ""
        self._record: Record = {
            "job_id": self._spec.get("job_id"), "owner": self._spec.get("owner"), "boot_id": read_boot_id(),
            "guard_pid": os.getpid(), "guard_pid_ticks": read_start(os.getpid()), "pid": 0, "pid_ticks": 0,
            "run": f"{os.getpid()}-{time.time_ns()}", "restarts": 0, "started_ms": time.time_ns() // 1_000_000,
        }  # fmt: skip

    def run(self) -> Record:
        """Run the engine until it ends for good."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        limit = int(self._spec.get("restart_limit") or 0)
        while True:
            code = None if self._is_asked() else self._run_once()
            until = time.monotonic() + min(2.0 ** self._record["restarts"], 30.0)
            is_last = code in (0, None) or self._record["restarts"] >= limit
            while not (is_last or self._is_asked()) and time.monotonic() < until:
                time.sleep(0.1)
            if is_last or self._is_asked():
                return self._close(code)
            self._record["restarts"] += 1
            self._log.say(f"ended with {code}; restart {self._record['restarts']} of {limit}")

    def _is_asked(self) -> bool:
        """Whether somebody wants the engine to end."""
        if os.path.exists(self._job.path("stop")):
            self._reason = "stopped by user"
        return bool(self._reason)

    def _end(self, number: int, _: object) -> None:
        self._reason = self._reason or f"the guard was asked to end (signal {number})"
        end_members(self._record, 5.0)

    def _run_once(self) -> int | None:
        """One life of the engine: its exit code (negative: a signal), None when it could not be started."""
        env = dict(os.environ)
        for more in (self._spec.get("env"), self._job.read("secrets.json")):
            env.update({str(key): str(text) for key, text in (more or {}).items()})
        try:
            engine = subprocess.Popen(
                self._spec["argv"], env=env, cwd=os.path.expanduser(str(self._spec.get("cwd") or "~")),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self._reason = f"cannot start {self._spec['argv'][0]}: {error}"
            self._record.update(pid=0, pid_ticks=0)
            return None
        self._record.update(pid=engine.pid, pgid=engine.pid, pid_ticks=read_start(engine.pid))
        try:
            self._job.write("job.json", self._record)
            self._copy_output(engine)
        finally:  # whatever befell us, nothing runs that nobody watches
            end_members(self._record, GRACE_S)
        return engine.wait()

    def _copy_output(self, engine: subprocess.Popen[bytes]) -> None:
        """Keep the output until the engine has ended; a child of it that still holds the pipe does not keep us."""
        assert engine.stdout is not None
        fd, checked_at, ended_at = engine.stdout.fileno(), 0.0, 0.0
        os.set_blocking(fd, False)
        while True:
            is_over = engine.poll() is not None
            readable, _, _ = select.select([fd], [], [], 0.0 if is_over else FLOOR_CHECK_S)
            data = os.read(fd, 65536) if readable else b""
            self._log.write(data)
            now = time.monotonic()
            ended_at = ended_at or (now if is_over else 0.0)
            if is_over and (not data or now > ended_at + 2.0):
                return engine.stdout.close()
            if readable and not data:  # it closed its output and goes on
                time.sleep(0.1)
            if now - checked_at >= FLOOR_CHECK_S:
                checked_at = now
                self._check_floor()

    def _check_floor(self) -> None:
        """Stop the engine when twice in a row too little memory was available."""
        available, floor = read_available_bytes(), int(self._spec.get("memory_floor_bytes") or 0)
        was_low, self._is_low = self._is_low, available is not None and available < floor
        if was_low and self._is_low and not self._reason:
            self._reason = f"memory floor: {available} bytes available, at least {floor} wanted"
            end_members(self._record, 2.0)

    def _close(self, code: int | None) -> Record:
        reason = f"ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        reason = self._reason if self._is_asked() else reason
        self._log.say(reason)
        self._job.write("job.json", self._record)
        return self._job.write_exit(self._record, reason, code)


def leave_guard(job: Job) -> None:
    """Start the guard so that it outlives us: as a unit of the user's systemd where that lingers, else by itself."""
    guard = [sys.executable or "python3", "-I", job.path("job.py"), "guard", job.folder]
    quiet: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    if user and os.path.exists(f"{ROOT}/var/lib/systemd/linger/{user}"):
        names = [name for name in os.environ if name in ("PATH", "HOME") or name.startswith("SPARKDESK_")]
        unit = ["systemd-run", "--user", "--quiet", "--collect", "--unit", "sparkdesk-" + os.path.basename(job.folder)]
        try:
            unit += [f"--setenv={name}={os.environ[name]}" for name in names]
            if subprocess.run(unit + guard, timeout=START_WAIT_S, check=False, **quiet).returncode == 0:
                return
        except (OSError, subprocess.TimeoutExpired):
            pass
    # A child of ours in its own session: we end soon, and it falls to the system's first process.
    subprocess.Popen(guard, start_new_session=True, cwd="/", **quiet)


def start(job: Job) -> Record:
    """Start the job unless it runs: {"started": true, "pid": ...}."""
    job.read_spec()
    job.lock()
    state, record, words = job.derive_state()
    if state == "running":
        return {"started": True, "already": True, "pid": record["pid"]}
    if state == "unknown":
        raise JobError(f"what is left of it must be stopped first: {words}")
    job.remove("stop")
    leave_guard(job)
    until = time.monotonic() + START_WAIT_S
    while time.monotonic() < until:
        time.sleep(0.02)
        state, now, words = job.derive_state()
        if now.get("run") != record.get("run") and now.get("pid"):
            return {"started": True, "pid": now["pid"]}
        if now.get("run") != record.get("run") and state == "ended":
            raise JobError(words)  # the program could not be run at all
    raise JobError("its guard did not report; is this node out of memory or disk?")


def status(job: Job) -> Record:
    """{"state": "planned" | "running" | "ended" | "unknown", ...}."""
    state, record, words = job.derive_state()
    return dict(record, state=state, reason=words, log_bytes=job.log_end())


def stop(job: Job) -> Record:
    """Ask the engine's own way, then TERM, TERM, KILL; {"stopped": true} only when nothing of it is left."""
    spec = job.read_spec()
    job.lock()
    state, record, _ = job.derive_state()
    if state in ("planned", "ended"):
        return {"stopped": True, "already": True}
    open(job.path("stop"), "w").close()  # the guard reads this as: asked for, do not start again
    for argv in spec.get("stop_argv") or ():
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30.0, check=False)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            pass  # the signals follow in any case
    for _ in range(2):  # twice: the guard may just have started it again
        end_members(record, float(spec.get("stop_grace_s") or GRACE_S))
        until = time.monotonic() + 3.0
        while is_alive(record, "guard_pid") and time.monotonic() < until:
            time.sleep(0.02)
        record = job.derive_state()[1]
    left = find_members(record)
    if left:
        raise JobError(f"{len(left)} of its processes cannot be ended: {left[:8]}")
    if record.get("ended_ms") is None:  # its guard was gone
        job.write_exit(record, "stopped by user")
    return {"stopped": True}


def ask(job: Job, key: str, body: Record | None, timeout_s: float) -> tuple[int, str]:
    """One HTTP request to the server that the spec names under `key`: status, text. No proxy is ever asked."""
    import http.client

    where, secrets = job.read_spec().get(key) or {}, job.read("secrets.json") or {}
    host, path = str(where.get("host") or "127.0.0.1"), str(where.get("path") or "/")
    headers = {"Authorization": f"Bearer {secrets[where['key_env']]}"} if where.get("key_env") in secrets else {}
    host = LOOPBACK if host in ("127.0.0.1", "localhost") else host
    try:
        line = http.client.HTTPConnection(host, int(where["port"]), timeout=timeout_s)
        content = None if body is None else json.dumps(dict(body, model=where.get("model")))
        headers["Content-Type"] = "application/json"
        line.request("GET" if content is None else "POST", path, content, headers)
        answer = line.getresponse()
        return answer.status, answer.read(1024 * 1024).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, KeyError, ValueError, TypeError) as error:
        raise JobError(f"{host}:{where.get('port')}{path}: {str(error) or repr(error)}"[:400]) from error


def ready(job: Job) -> Record:
    """{"ready": bool, "ended": bool, "detail": words}: one look at the server; with the log's end when it has ended."""
    state, _, words = job.derive_state()
    if state in ("planned", "ended"):
        return {"ready": False, "ended": True, "detail": words, "log": job.log_tail()}
    try:
        code, text = ask(job, "ready", None, 3.0)
    except JobError as error:
        return {"ready": False, "ended": False, "detail": f"no answer yet: {error}"}
    return {"ready": code == 200 and state == "running", "ended": False, "detail": f"HTTP {code} {text[:200]}"}


def token(job: Job) -> Record:
    """{"ok": true, "text": ..., "tokens": n, "seconds": s} once the server has generated something."""
    body = {"messages": [{"role": "user", "content": "Say OK."}], "max_tokens": 8, "temperature": 0, "stream": False}
    begun = time.monotonic()
    code, answer = ask(job, "token", body, TOKEN_WAIT_S)
    try:
        value = json.loads(answer)
        message, usage = value["choices"][0]["message"], value.get("usage") or {}
        text = str(message.get("content") or message.get("reasoning_content") or message.get("reasoning") or "")
        tokens = int(usage.get("completion_tokens") or 0)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError):
        text, tokens = "", 0
    if code != 200 or not (text or tokens):
        raise JobError(f"no token was generated: HTTP {code}: {answer[:400]}")
    return {"ok": True, "text": text[:200], "tokens": tokens, "seconds": round(time.monotonic() - begun, 4)}


def remove(job: Job) -> Record:
    """Remove the folder of a job that does not run. Files that are not ours stay, and so does the folder then."""
    state, _, words = job.derive_state()
    if state not in ("planned", "ended"):
        raise JobError(f"the job is not over: {words or state}")
    for name in os.listdir(job.folder):
        if name in OWN_FILES or name.startswith(("log", "job.json.", "exit.json.", "holder.json")):
            job.remove(name)
    os.rmdir(job.folder)
    return {"removed": True}


VERBS = {verb.__name__: verb for verb in (start, status, stop, ready, token, remove)}
VERBS["guard"] = lambda job: Guard(job).run()  # what `start` leaves behind; not for people


def main(argv: list[str]) -> int:
    """Run a verb; gives the exit code."""
    try:
        if len(argv) != 2 or argv[0] not in VERBS:
            raise JobError(f"usage: job.py {'|'.join(VERBS)} FOLDER")
        print(json.dumps(VERBS[argv[0]](Job(argv[1]))))
    except (JobError, OSError) as error:
        print(json.dumps({"error": str(error)[:1000]}))
        print(str(error)[:1000], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
