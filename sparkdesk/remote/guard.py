"""Stays with a job on its node: starts the engine, keeps its output, and stops it before the node freezes.

    guard.py guard FOLDER        left behind by job.py, which lies beside it and knows the folder's format; gauge.py too

On unified memory a model that takes too much does not fail: it freezes the node, and SSH goes first. So a thread of its
own looks at MemAvailable and at the pressure (PSI) several times a second, while another keeps the output, and kills
what is ours before nothing is left. With several jobs on the node the newest goes first.
The one rule: nothing runs that nobody watches, and every end says why, in exit.json. Stdlib only, Python 3.8+.

Environment: SPARKDESK_LOG_FILE_BYTES.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time

LOG_FILE_BYTES = int(os.environ.get("SPARKDESK_LOG_FILE_BYTES", 16 * 1024 * 1024))
LOG_FILES = 16  # with the size above 256 MiB a rank: own choice
LOWER_S = 5.0  # so long the lower floor of a newer job holds for an older one, until it is looked at again
NEXT_AFTER_S = 1.5  # so long the guard of an older job waits for each newer one to go, and then for its memory
CRASHES = 3  # so many within CRASHES_WITHIN_S are a loop: own choice
CRASHES_WITHIN_S = 900.0
WAIT_S = 0.5  # for output, before the engine's end is looked for again: own choice
CAUSE_BYTES = 1 << 20  # so much of the log's end is searched for a cause: own choice
NO_FLOOR = 1 << 62
LAST_WAY = 2  # of the ways to follow a container
DOCKER_AGAIN_S = 2.0  # between two tries to start docker's client
FAULTS = (OSError, RuntimeError, MemoryError)  # what a node short of memory or files answers to nearly any call
LOST = b"\n[sparkdesk] %d bytes of the log are lost here: the disk was full\n"
ERROR = re.compile(rb"\b(?:ERROR|FATAL|CRITICAL)\b|(?:[Ee]rror|Exception)\b|^[\d.]{5,} E |out of memory|ptxas f|flag:")
MILD = re.compile(rb"\[sparkdesk\]|(?:\(\w[^()]+\) *)*(?:DEBUG|INFO|WARNING)[: ]|[\d.]+ [DIW] |.{20,50}\[[DIVW]\] ")
HEADING = re.compile(rb"Traceback|Engine ?[Cc]ore [efi]|(?:model|validation|codegen) err|stderr:|:\d+\](?:   | ?$)")

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from collections.abc import Callable
    from typing import Any

    Record = dict[str, Any]


def load_part(name: str) -> Any:
    """A program of our own folder, as a module."""
    sys.dont_write_bytecode = True
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


here = load_part("job")
memory = load_part("gauge")


class Log:
    """The engine's output in files named by the offset of their first byte; the oldest are given up."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._fd = -1
        self._lost = 0
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        name = f"log-{self._job.log_end():015d}"
        self._job.remove("log.new")
        os.symlink(name, self._job.path("log.new"))
        fd = os.open(self._job.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:  # only now: where the disk has no room for the next file, this one is still ours
            os.close(self._fd)
        self._fd = fd
        self._size = 0
        os.replace(self._job.path("log.new"), self._job.path("log"))
        for _, old in self._job.log_files()[:-LOG_FILES]:
            os.unlink(old)

    def write(self, data: bytes) -> None:
        """Add output. A full disk loses it, which is said once there is room, and does not stop the engine."""
        with self._lock:
            done = 0
            before = LOST % self._lost if self._lost else b""
            with contextlib.suppress(OSError):
                if self._size + len(data) > LOG_FILE_BYTES:
                    self._open()
                done = os.write(self._fd, before + data)
            self._size += done
            self._lost = (0 if done >= len(before) else self._lost) + len(data) - max(0, done - len(before))

    def say(self, words: str) -> None:
        """Add a line of ours, marked as such."""
        self.write(f"[sparkdesk] {words}\n".encode())


def find_cause(job: Any, since: int) -> str:
    """The first line of the log behind an offset that tells why it failed, else that it failed; "" when none does."""
    cause = b""
    since = max(since, job.log_end() - CAUSE_BYTES)  # of a long life its end tells
    for begin, path in job.log_files():
        with contextlib.suppress(OSError), open(path, "rb") as file:
            file.seek(max(since - begin, 0))
            for line in file.read(CAUSE_BYTES).replace(b"\r", b"\n").split(b"\n"):
                if ERROR.search(line[:4096]) and not MILD.match(line) and (not cause or HEADING.search(cause)):
                    cause = line[:400] if not cause or not HEADING.search(line[:400]) else cause
    return cause.decode("utf-8", "replace").strip()


def look_at_newer(job: Any, record: Record) -> tuple[int, float, int]:
    """Of jobs started after ours: how many run, how long to wait for one that just ended, the lowest floor of one."""
    count = 0
    rest_s = 0.0
    floor = NO_FLOOR
    beside = os.path.dirname(job.folder)
    for name in os.listdir(beside):
        other = here.Job(os.path.join(beside, name))
        with contextlib.suppress(here.JobError, OSError, LookupError, TypeError, ValueError):  # not ours
            found = other.read("job.json") or {}
            is_newer = (found["started_ms"], name) > (record["started_ms"], job.job_id)
            if not is_newer or found["boot_id"] != record["boot_id"]:
                continue
            if here.is_alive(found, "pid"):
                count += 1
                floor = min(floor, int((other.read("spec.json") or {}).get("memory_floor_bytes") or floor))
            for end in filter(os.path.exists, map(other.path, ("why.json", "exit.json"))):
                rest_s = max(rest_s, NEXT_AFTER_S - abs(time.time() - os.path.getmtime(end)))
    return count, rest_s, floor


def say_code(code: int | None) -> str:
    """An exit code in words."""
    return f"ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"


class Guard:
    """Starts the engine, watches over it, and says how it ended."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._spec: Record = job.read_spec()
        self._log = Log(job)
        self._container = str(self._spec.get("container") or "")
        self._output = -1
        self._kind = ""
        self._reason = ""
        self._more: Record = {}
        self._over = threading.Event()
        self._ended_at: list[float] = []
        self._floor = int(self._spec.get("memory_floor_bytes") or 0)
        self._gauge = memory.Gauge(self._floor)
        self._act_at = 0.0
        self._lower_until = 0.0
        state, found, _ = job.derive_state()
        self._is_found = state == "running"  # under another guard that is gone
        fresh: Record = {
            "job_id": self._spec.get("job_id"), "owner": self._spec.get("owner"), "boot_id": here.read_boot_id(),
            "pid": 0, "pid_ticks": 0, "run": f"{os.getpid()}-{time.time_ns()}", "restarts": 0,
            "started_ms": time.time_ns() // 1_000_000,
        }  # fmt: skip
        self._record: Record = found if self._is_found else fresh
        self._record.update(guard_pid=os.getpid(), guard_pid_ticks=here.read_start(os.getpid()))
        limit_s = float(self._spec.get("stop_after_s") or 0.0)
        spent_s = time.time() - self._record["started_ms"] / 1000
        self._due = time.monotonic() + limit_s - spent_s if limit_s else 0.0
        for name in () if self._is_found else ("why.json", "proved.json"):
            job.remove(name)

    def run(self) -> Record:
        """Run the engine until it ends for good. What befalls us ends it, too: nothing runs that nobody watches."""
        try:
            return self._run()
        except BaseException as error:
            self._ask("guard", f"its guard failed: {type(error).__name__}: {error}"[:400])
            with contextlib.suppress(here.JobError, *FAULTS):
                self._note_why()  # told even where docker does not say whether the container has ended
                self._end_engine()
                if not self._container or not (self._job.find_container() or {}).get("running"):
                    self._close(None)
            raise

    def _run(self) -> Record:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        threading.Thread(target=self._watch, daemon=True).start()
        limit = int(self._spec.get("restart_limit") or 0)
        while True:
            begun = time.monotonic()
            since = self._job.log_end()
            code = None if self._is_asked() else self._watch_found() if self._is_found else self._run_once()
            self._is_found = False
            if code in (0, None) or self._is_asked() or not self._may_repeat(code, begun, since, limit):
                return self._close(code)
            until = time.monotonic() + min(2.0 ** self._record["restarts"], 30.0)
            while not self._is_asked() and time.monotonic() < until:
                time.sleep(0.1)
            if self._is_asked():
                return self._close(code)
            self._record["restarts"] += 1
            number = self._record["restarts"]
            self._log.say(f"try {number + 1} begins: restart {number} of {limit}")

    def _may_repeat(self, code: int, begun: float, since: int, limit: int) -> bool:
        """Whether an engine that died is started again: only one that had been ready, and not in a crash loop."""
        words = say_code(code)
        cause = find_cause(self._job, since)
        now = time.monotonic()
        number = self._record["restarts"] + 1
        self._more["cause"] = cause
        told = {"try": number, "code": code, "seconds": round(now - begun, 1), "cause": cause, "log_from": since}
        self._more["tries"] = [*self._more.get("tries", [])[-9:], told]
        self._ended_at = [*self._ended_at[1 - CRASHES :], now]
        is_proved = (self._job.read("proved.json") or {}).get("run") == self._record["run"]
        if limit <= 0 or not is_proved or code in (-signal.SIGTERM, 128 + signal.SIGTERM):
            return False
        self._log.say(f"try {number} {words}" + (f": {cause}" if cause else ""))
        if len(self._ended_at) >= CRASHES and now - self._ended_at[0] < CRASHES_WITHIN_S:
            tries = self._more["tries"][-CRASHES:]
            first = next((row["cause"] for row in tries if row["cause"]), words)
            spent = now - self._ended_at[0] + tries[0]["seconds"]
            self._ask("crash_loop", f"crashed {CRASHES} times in {spent:.0f} s, stopped: {first}")
        elif number > limit:
            self._ask("crash", f"{words} after {limit} restart{'s' if limit > 1 else ''}")
        return not self._is_asked()

    def _is_asked(self) -> bool:
        """Whether the engine is to end."""
        if not self._reason and os.path.exists(self._job.path("stop")):
            self._kind = "user"
            self._reason = here.STOPPED_BY_USER
        return bool(self._reason)

    def _ask(self, kind: str, reason: str) -> bool:
        """Note why the engine is to end, unless that is known; gives whether it was not."""
        if self._is_asked():
            return False
        self._kind = kind
        self._reason = reason
        return True

    def _take_signal(self, number: int, _: object) -> None:
        if self._ask("signal", f"the guard was asked to end (signal {number})"):
            threading.Thread(target=self._end_engine, daemon=True).start()

    def _end_engine(self) -> None:
        """End it politely. Beside the thread that keeps the output: an engine whose output is stuck does not end."""
        if self._container:
            self._stop_container(here.CONTAINER_GRACE_S)
        here.end_members(self._record, here.GRACE_S)

    def _stop_container(self, grace_s: int) -> None:
        try:
            self._job.stop_container(grace_s)
        except here.JobError as error:
            self._log.say(str(error))

    def _watch(self) -> None:
        """The thread that looks at memory and time. A look that fails ends nothing: the next one follows."""
        while not self._over.wait(memory.PERIOD_S):
            for look in (self._look_at_memory, self._look_at_time):
                with contextlib.suppress(*FAULTS):
                    look()

    def _look_at_time(self) -> None:
        if not self._due or time.monotonic() < self._due:
            return
        reason = f"its time was up: {self._spec['stop_after_s']} s after its start"
        if self._ask("time", reason) or self._kind == "time":
            threading.Thread(target=self._end_engine, daemon=True).start()
        self._due = 0.0  # only now: where there is no memory for a thread, the next look tries again

    def _look_at_memory(self) -> None:
        now = time.monotonic()
        gauge = self._gauge
        if now >= self._lower_until:  # who left less may have ended since
            gauge.floor = self._floor
        why = gauge.judge(now, memory.read_available_bytes(), memory.read_stall_us())
        if not why or not self._record["pid"]:
            self._act_at = 0.0
            return
        if now < self._act_at:
            return
        try:
            newer, rest_s, floor = look_at_newer(self._job, self._record)
        except FAULTS:  # whether one is newer is not known, and that memory ends is
            newer = 0
            rest_s = 0.0
            floor = NO_FLOOR
        if floor < gauge.floor:  # the newer one's plan leaves less, and knows it: that is no reason to end ours
            gauge.floor = floor
            self._lower_until = now + LOWER_S
            return
        is_first = not self._act_at
        self._act_at = now + rest_s + (NEXT_AFTER_S * newer if is_first else 0.0)  # what one held comes back after it
        if now >= self._act_at:
            self._kill(why, gauge.figures)
            self._act_at = time.monotonic() + NEXT_AFTER_S  # docker may not have ended it: then once more

    def _kill(self, why: str, figures: Record) -> None:
        """Kill the engine at once; write down why before, if that can be done at once."""
        if self._kind != "memory":
            self._kind = "memory"
            self._reason = f"memory floor: {why}"
            self._more["memory"] = figures
            with contextlib.suppress(RuntimeError):  # there may be no memory for a thread any more
                note = threading.Thread(target=self._note_why, daemon=True)
                note.start()
                note.join(0.2)
        try:
            if self._container:
                self._kill_container()
        finally:
            here.send_signal(here.find_members(self._record), signal.SIGKILL)

    def _kill_container(self) -> None:
        try:
            here.ask_docker("kill", self._container, timeout_s=5.0)
        except here.JobError:  # renamed, or docker is slow
            self._stop_container(0)

    def _note_why(self) -> None:
        self._log.say(self._reason)
        why = {"schema": here.SCHEMA, "run": self._record["run"], "reason": self._reason, **self._more}
        with contextlib.suppress(OSError), open(self._job.path("why.json"), "w") as file:
            json.dump(why, file)

    def _run_once(self) -> int | None:
        """One life of the engine: its exit code (negative: a signal), None when it could not be started."""
        env = dict(os.environ)
        for more in (self._spec["env"], self._job.read("secrets.json")):
            env.update({str(key): str(text) for key, text in (more or {}).items()})
        try:
            if self._container:
                self._clear_container()
            engine = self._start(self._spec["argv"], env)
        except (OSError, ValueError, here.JobError) as error:
            self._ask("start", f"cannot start {self._spec['argv'][0]}: {error}")
            self._record.update(pid=0, pid_ticks=0)
            return None
        try:
            self._record["log_from"] = self._job.log_end()
            self._job.write("job.json", self._record)
            self._copy_output(engine.poll)
            code = engine.wait()
            return self._follow_container(code) if self._container else code
        finally:
            here.end_members(self._record, here.GRACE_S)

    def _clear_container(self) -> None:
        """Remove the container of the try before: its log is in ours, and how it ended stands in job.json."""
        container = self._job.find_container()
        if container is not None:
            if container["running"]:
                raise here.JobError(f"the container {container['name']} runs already")
            here.ask_docker("rm", container["id"])

    def _watch_found(self) -> int | None:
        """Watch an engine that an earlier guard had started; of a plain process nobody can tell us how it ends."""
        self._job.write("job.json", self._record)
        self._log.say("its guard was gone; another one watches over it from here on")
        if here.is_alive(self._record, "pid"):
            self._open_output()
            self._copy_output(lambda: None if here.is_alive(self._record, "pid") else 0)
        if self._container:
            return self._follow_container(None)
        here.end_members(self._record, here.GRACE_S)
        self._ask("unseen", "it ended, and how was not seen: the guard that started it was gone")
        return None

    def _follow_container(self, code: int | None) -> int | None:
        """Stay with the container when docker's client has ended, until docker says that it has; gives its code."""
        way = 0
        while True:
            container = self._find_container()
            if container is None:
                if code not in (125, 126, 127):  # with these docker says that it could not run it at all
                    self._ask("removed", "its container was removed by someone else")
                return code
            if container["name"] != self._container:
                self._log.say(f"its container is called {container['name']} now: someone else renamed it")
                self._container = container["name"]
            if not container["running"]:
                self._more["container"] = container
                return code if container["status"] == "created" else container["code"]
            self._log.say(f"docker's client has ended ({code}), the container runs: following it again")
            begun = time.monotonic()
            try:
                engine = self._start(["docker", *self._find_words(way), container["id"]], dict(os.environ))
            except FAULTS as error:  # docker's program may be replaced just now: no reason to end what runs
                self._log.say(f"docker cannot be started: {error}")
                time.sleep(DOCKER_AGAIN_S)
                continue
            with contextlib.suppress(OSError):  # on a full disk it is followed all the same
                self._job.write("job.json", self._record)
            self._copy_output(engine.poll)
            is_short = time.monotonic() - begun < 2.0
            way = min(way + 1, LAST_WAY) if engine.wait() != 0 and is_short else way
            time.sleep(0.2)

    def _find_words(self, way: int) -> list[str]:
        """Docker's words to follow a container that runs; the higher the number, the less they ask of docker."""
        if way == 0:
            return ["logs", "--follow", "--since", f"{os.path.getmtime(self._job.path('log')):.3f}"]
        return ["logs", "--follow", "--tail", "0"] if way < LAST_WAY else ["wait"]

    def _find_container(self) -> Record | None:
        """The container; where docker does not answer it is not known, so we ask until it does."""
        asked_at = 0.0
        is_said = False
        while True:
            try:
                found: Record | None = self._job.find_container()
                return found
            except here.JobError as error:
                if not is_said:
                    self._log.say(f"what became of the container is not known: {error}")
                    is_said = True
                if not asked_at and self._is_asked():
                    asked_at = time.monotonic()
                if asked_at and time.monotonic() > asked_at + 60.0:
                    return None
            time.sleep(2.0)

    def _open_output(self) -> str:
        """Open the named pipe that the engine's output goes to, so that another guard can go on with it; its path."""
        path = str(self._job.path("output"))
        if not os.path.exists(path):
            os.mkfifo(path, 0o600)
        self._output = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return path

    def _start(self, argv: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, as the one that the record names."""
        path = self._open_output()
        try:
            with open(os.open(path, os.O_RDWR), "wb", 0) as end:  # it reads too: our end is not the engine's
                engine = subprocess.Popen(
                    argv, env=env, cwd=os.path.expanduser(str(self._spec.get("cwd") or "~")),
                    stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        except BaseException:
            os.close(self._output)
            raise
        if not self._container:
            memory.write_oom_score(engine.pid, memory.OOM_SCORE)
        self._record.update(pid=engine.pid, pgid=engine.pid, pid_ticks=here.read_start(engine.pid))
        return engine

    def _copy_output(self, read_code: Callable[[], int | None]) -> None:
        """Keep the output until the engine has ended; a child of it that still holds the pipe does not keep us."""
        fd = self._output
        ended_at = 0.0
        while True:
            is_over = read_code() is not None
            readable, _, _ = select.select([fd], [], [], 0.0 if is_over else WAIT_S)
            data = os.read(fd, 65536) if readable else b""
            if data:
                self._log.write(data)
            ended_at = ended_at or (time.monotonic() if is_over else 0.0)
            if is_over and (not data or time.monotonic() > ended_at + 2.0):
                return os.close(fd)
            if readable and not data:  # it closed its output and goes on
                time.sleep(0.1)

    def _close(self, code: int | None) -> Record:
        self._over.set()
        reason = self._reason if self._is_asked() else say_code(code)
        if (self._more.get("container") or {}).get("oom_killed"):
            reason += ": out of memory within its container's limit"
        self._log.say(reason)
        with contextlib.suppress(OSError):
            self._job.write("job.json", self._record)
        kind = self._kind or ("exit" if code == 0 else "crash")
        return dict(self._job.write_exit(self._record, reason, code, kind=kind, **self._more))


def main(argv: list[str]) -> int:
    """Guard the job of this folder."""
    if len(argv) != 2 or argv[0] != "guard":
        sys.exit("usage: guard.py guard FOLDER")
    memory.write_oom_score(os.getpid(), memory.OWN_OOM_SCORE)
    memory.lock_memory()
    Guard(here.Job(argv[1])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
