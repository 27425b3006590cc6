"""Runs one job on a node and answers for it: the job outlives the application, and the node is the source of truth.

    job.py start|watch|status|stop|ready|token|tidy|remove FOLDER

Each verb prints one JSON line and exits 1 when it failed, with the reason as the last line of standard error. The
folder holds spec.json (what to run, written before), job.json (what runs), log-OFFSET files (`log` points to the
newest), proved.json (it has answered), why.json (why it is about to be killed), exit.json (how it ended), and while the
job runs perhaps secrets.json (0600): variables for the engine alone.

`start` leaves guard.py behind, in a session of its own, and so does `watch` for a job that runs without one; `ready`
and `token` are in proof.py. Both lie beside this file and use it, so that the folder's format has one home.
The one rule: nothing is believed but what can be checked. Running means: same boot, and a process of this pid with this
start time, or a container with this job's label that docker calls running; stopped means: no process of its group or
session is left, and no such container. A folder of another schema is never touched. Stdlib only, Python 3.8+.

Environment: SPARKDESK_ROOT is put before /proc/meminfo and the boot id.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

SCHEMA = 1
ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")

START_WAIT_S, GRACE_S, DOCKER_WAIT_S = 10.0, 10.0, 10.0
CONTAINER_GRACE_S = 20
STOPPED_BY_USER = "stopped by user"
OWN_FILES = (
    "spec.json", "job.json", "exit.json", "why.json", "proved.json", "secrets.json", "metrics.jsonl", "stop", "lock",
    "output", "job.py", "guard.py", "gauge.py", "proof.py",
)  # fmt: skip
FOLDER_WORD = "{folder}"
TAIL_LINES = 60

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


def ask_docker(*words: str, timeout_s: float = DOCKER_WAIT_S) -> str:
    """What docker prints. Raises JobError when it fails or does not answer in time."""
    try:
        done = subprocess.run(
            ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise JobError(f"docker {words[0]}: {error}"[:400]) from error
    if done.returncode != 0:
        raise JobError(f"docker {words[0]}: {done.stderr.decode('utf-8', 'replace').strip()}"[:400])
    return done.stdout.decode("utf-8", "replace")


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


def send_signal(pids: list[int], number: int) -> None:
    """Signal those that are still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def end_members(record: Record, grace_s: float) -> list[int]:
    """TERM, TERM again (llama.cpp's server in the middle of an answer needs two), KILL; gives those still there."""
    start = time.monotonic()
    signals = [(0.0, signal.SIGTERM), (0.5, signal.SIGTERM), (grace_s, signal.SIGKILL)]
    while True:
        after, members = time.monotonic() - start, find_members(record)
        if not members or after > grace_s + 5.0:
            return members
        while signals and after >= signals[0][0]:
            send_signal(members, signals.pop(0)[1])
        time.sleep(0.05)


class Job:
    """A job's folder, and what can be found out about it."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(os.path.expanduser(folder))
        self.job_id = os.path.basename(self.folder)

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
        """spec.json, with a program to run and the folder's path in its words. Raises JobError."""
        spec = self.read("spec.json")
        if spec is None:
            raise JobError(f"there is no job in {self.folder}")
        argv = spec.get("argv")
        if not (isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv)):
            raise JobError("spec.json names no program")
        spec["argv"] = self.expand(argv)
        spec["stop_argv"] = [self.expand(words) for words in spec.get("stop_argv") or ()]
        spec["env"] = {str(key): self.expand([text])[0] for key, text in (spec.get("env") or {}).items()}
        return spec

    def expand(self, words: list[Any]) -> list[str]:
        """The words with the folder's path for {folder}: no shell reads them."""
        return [str(word).replace(FOLDER_WORD, self.folder) for word in words]

    def write_exit(self, record: Record, reason: str, code: int | None = None, **more: Any) -> Record:
        """exit.json: how the run of this record ended. The secrets go with it."""
        self.remove("secrets.json")
        is_signal = code is not None and code < 0
        end: Record = {"run": record.get("run"), "reason": reason, "ended_ms": time.time_ns() // 1_000_000, **more}
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
            return last_lines(file.read(32768), count)

    def find_container(self) -> Record | None:
        """The job's container as docker tells it: by its label, whatever it is called; None when there is none.

        Raises JobError when docker does not answer: then it is not known.
        """
        asked = ("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=sparkdesk.job={self.job_id}")
        found = []
        for ident in ask_docker(*asked).split()[:8]:
            try:
                told = json.loads(ask_docker("inspect", ident))[0]
                state = told["State"]
                found.append({
                    "id": str(told["Id"]), "name": str(told["Name"]).lstrip("/"), "status": str(state["Status"]),
                    "running": state["Running"] is True, "code": int(state["ExitCode"]),
                    "oom_killed": state["OOMKilled"] is True, "error": str(state["Error"])[:400],
                    "started": str(state["StartedAt"])[:40], "finished": str(state["FinishedAt"])[:40],
                })  # fmt: skip
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise JobError(f"docker inspect: {error!r}"[:200]) from error
            except JobError as error:
                if "no such" not in str(error).lower():  # it went between the two questions
                    raise
        return max(found, key=lambda row: (row["running"], row["started"])) if found else None

    def stop_container(self, grace_s: int = CONTAINER_GRACE_S) -> None:
        """Have docker end the container. Raises JobError when it is not known to have ended."""
        container = self.find_container()
        if container is None or not container["running"]:
            return
        try:
            ask_docker("stop", "--time", str(grace_s), container["id"], timeout_s=grace_s + 10.0)
        except JobError:
            ask_docker("kill", container["id"])
        container = self.find_container()
        if container is not None and container["running"]:
            raise JobError(f"the container {container['name']} cannot be ended")

    def derive_state(self) -> tuple[str, Record, str]:
        """planned, running, ended or unknown; job.json with exit.json; words. Raises JobError."""
        spec, record = self.read_spec(), self.read("job.json")
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
        if has_ended:
            return "ended", record, str(end.get("reason", ""))
        return self._look_behind(spec, record)

    def _look_behind(self, spec: Record, record: Record) -> tuple[str, Record, str]:
        """The state of a job whose guard and main process are gone, and nobody wrote down how."""
        if spec.get("container"):
            try:
                container = self.find_container()
            except JobError as error:
                return "unknown", record, f"its guard is gone, and its container cannot be asked: {error}"
            if container is not None and container["running"]:
                return "running", record, "its container runs, and nobody guards it"
        why = self.read("why.json") or {}
        is_told = why.get("run") == record.get("run")
        return "ended", record, str(why.get("reason")) if is_told else "it ended unseen: its guard is gone too"


def last_lines(data: bytes, count: int) -> list[str]:
    """The last lines that say something."""
    lines = data.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    return [line[:400] for line in lines if line.strip()][-count:]


def leave_guard(job: Job) -> None:
    """Start the guard so that it outlives us: as a unit of the user's systemd where that lingers, else by itself."""
    guard = [sys.executable or "python3", "-I", "-S", job.path("guard.py"), "guard", job.folder]
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
    """Start the job unless it runs: {"started": true, "pid": ...}. One that lost its guard gets a new one."""
    return start_guard(job)


def watch(job: Job) -> Record:
    """As `start`, only for a job that runs: one that was stopped meanwhile is not started again."""
    return start_guard(job, "running")


def start_guard(job: Job, only_in: str = "") -> Record:
    """Leave a guard behind and wait until it reports."""
    job.read_spec()
    if not os.path.exists(job.path("guard.py")):
        raise JobError("guard.py is missing in the job's folder")
    job.lock()
    state, record, words = job.derive_state()
    if only_in and state != only_in:
        raise JobError(f"it does not run: {words or state}")
    is_guarded = is_alive(record, "guard_pid")
    if state == "running" and is_guarded:
        return {"started": True, "already": True, "pid": record["pid"]}
    if state == "unknown":
        raise JobError(f"what is left of it must be stopped first: {words}")
    job.remove("stop")
    leave_guard(job)
    until = time.monotonic() + START_WAIT_S
    while time.monotonic() < until:
        time.sleep(0.02)
        now_state, now, words = job.derive_state()
        if state == "running":  # the run goes on under a new guard
            if now.get("guard_pid") != record.get("guard_pid"):
                return {"started": True, "already": True, "pid": now["pid"], "guard": "new"}
        elif now.get("run") != record.get("run") and now.get("pid"):
            return {"started": True, "pid": now["pid"]}
        elif now.get("run") != record.get("run") and now_state == "ended":
            raise JobError(words)  # the program could not be run at all
    raise JobError("its guard did not report; is this node out of memory or disk?")


def status(job: Job) -> Record:
    """{"state": "planned" | "running" | "ended" | "unknown", "guarded": bool, ...}."""
    state, record, words = job.derive_state()
    is_guarded = is_alive(record, "guard_pid")
    return dict(record, state=state, reason=words, log_bytes=job.log_end(), guarded=is_guarded)


def stop(job: Job) -> Record:
    """Ask the engine's own way, then TERM, TERM, KILL; {"stopped": true} only when nothing of it is left."""
    spec = job.read_spec()
    job.lock()
    state, record, _ = job.derive_state()
    if state in ("planned", "ended"):
        job.remove("secrets.json")
        return {"stopped": True, "already": True}
    open(job.path("stop"), "w").close()  # the guard reads this as: asked for, do not start again
    for argv in spec["stop_argv"]:
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30.0, check=False)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            pass  # the signals follow in any case
    for _ in range(2):  # twice: the guard may just have started it again
        if spec.get("container"):
            job.stop_container(int(spec.get("stop_grace_s") or CONTAINER_GRACE_S))
        end_members(record, float(spec.get("stop_grace_s") or GRACE_S))
        until = time.monotonic() + 3.0
        while is_alive(record, "guard_pid") and time.monotonic() < until:
            time.sleep(0.02)
        record = job.derive_state()[1]
    left = find_members(record)
    if left:
        raise JobError(f"{len(left)} of its processes cannot be ended: {left[:8]}")
    if record.get("ended_ms") is None:  # its guard was gone
        job.write_exit(record, STOPPED_BY_USER, kind="user")
    return {"stopped": True}


def tidy(job: Job) -> Record:
    """Keep how the container ended and its last lines, then remove it: {"tidied": true, "container": was there}."""
    job.lock()  # of two that tidy at once the second finds nothing left
    state, record, words = job.derive_state()
    if state not in ("planned", "ended"):
        raise JobError(f"the job is not over: {words or state}")
    try:
        container = job.find_container() if job.read_spec().get("container") else None
    except JobError:
        if record and not (record.get("kind") == "start" and not record.get("restarts")):
            raise
        container = None  # docker does not answer, and it never came to a container
    if container is None:
        return {"tidied": True, "container": False}
    if container["running"]:
        raise JobError(f"the container {container['name']} runs")
    container["log"] = read_container_log(container["id"])
    if record:
        end = job.read("exit.json") or {}
        if end.get("run") != record.get("run"):  # its guard was gone
            end = job.write_exit(record, words, container["code"])
        job.write("exit.json", dict(end, container=container))
    ask_docker("rm", container["id"])
    return {"tidied": True, "container": True}


def read_container_log(ident: str) -> list[str]:
    """The container's last lines, of both its streams."""
    argv = ["docker", "logs", "--tail", str(TAIL_LINES), ident]
    both: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        done = subprocess.run(argv, timeout=DOCKER_WAIT_S, check=False, **both)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"its log cannot be read: {error}"[:200]]
    return last_lines(done.stdout[-65536:], TAIL_LINES)


def proof(verb: str, job: Job) -> Record:
    """`ready` and `token` are asked of the server itself, by proof.py beside us."""
    import importlib.util

    sys.dont_write_bytecode = True
    found = importlib.util.spec_from_file_location("proof", job.path("proof.py"))
    if found is None or found.loader is None or not os.path.exists(job.path("proof.py")):
        raise JobError("proof.py is missing in the job's folder")
    module: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    answer: Record = module.VERBS[verb](sys.modules[__name__], job)
    return answer


def ready(job: Job) -> Record:
    """{"ready": bool, "ended": bool, "detail": words, "guarded": bool}; with the log's end when it has ended."""
    state, record, words = job.derive_state()
    if state in ("planned", "ended"):
        return {"ready": False, "ended": True, "detail": words, "log": job.log_tail(), "cause": record.get("cause")}
    more = {"ended": False, "guarded": state != "running" or is_alive(record, "guard_pid")}
    try:
        answer = proof("ready", job)
    except JobError as error:
        return dict(more, ready=False, detail=f"no answer yet: {error}")
    return dict(answer, **more, ready=answer["ready"] and state == "running")


def token(job: Job) -> Record:
    """{"ok": true, "text": ..., "tokens": n, "seconds": s} once the server has done what it is for."""
    answer = proof("token", job)
    job.write("proved.json", {"run": (job.read("job.json") or {}).get("run")})
    return answer


def remove(job: Job) -> Record:
    """Remove the folder of a job that does not run. Files that are not ours stay, and so does the folder then."""
    state, _, words = job.derive_state()
    if state not in ("planned", "ended"):
        raise JobError(f"the job is not over: {words or state}")
    own = {*OWN_FILES, *(str(name) for name in job.read_spec().get("files") or ())}
    for name in os.listdir(job.folder):
        if name in own or name.startswith(("log", "job.json.", "exit.json.", "holder.json")):
            job.remove(name)
    os.rmdir(job.folder)
    return {"removed": True}


VERBS = {verb.__name__: verb for verb in (start, watch, status, stop, ready, token, tidy, remove)}


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
