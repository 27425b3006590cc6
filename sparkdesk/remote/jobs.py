"""Lists and follows the jobs of a node; sent over a channel by length, as the probe is, and never installed.

    list [JOBS_FOLDER]                   one JSON line: {"jobs": [summary, ...], "more": n, "others": [...]}
    follow [FOLDER:OFFSET ...]           JSON lines for as long as the channel lives

`jobs` come newest first. `others` are jobs of this node's other accounts, as far as anybody may see them: {"job_id",
"account", "title"} from the guards among the processes and the labels of containers; their folders are closed to us.
`follow` multiplexes the logs of several jobs: {"job", "offset", "t", "line", "cut"}, `offset` being that behind the
line, so that it is where to go on; {"job", "lost": bytes} when the asked part is gone; {"job", "dropped": lines,
"offset"} when more came than anybody reads (lines that tell of an error still come); {"job", "ended": exit.json} when
the log of a job that has ended was read to its end. A negative offset counts from the end. Of a line that is written
over again and again (progress) the newest state comes now and then. Standard input takes lines {"follow":
"FOLDER:OFFSET"} and {"drop": FOLDER}; anything else is a heartbeat, and silence or its end ends us.
The one rule: nothing is changed here. Whether a job runs is asked of the program in its own folder, which knows the
folder's format. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import select
import signal
import subprocess
import sys
import time

SCHEMA = 1
JOBS_FOLDER = "~/.local/state/sparkdesk/jobs"
MAX_JOBS = 200
MAX_ASKED = 32
MAX_PLANS_BYTES = 512 * 1024
ASK_WAIT_S = 5.0
LINE_BYTES = 8 * 1024
PIECE_BYTES = 256 * 1024
POLL_S = 0.2
HEARTBEAT_S = 8.0
DOCKER_WAIT_S = 1.5
JOB_ID = re.compile(r"^[a-z2-7]{16}$")
GUARD = re.compile(rb"/sparkdesk/jobs/([a-z2-7]{16})/(?:job|guard)\.py\x00guard\x00")
LINE_END = re.compile(rb"[\r\n]")
LINES_PER_S, BURST_LINES = 2000.0, 5000.0
"""What a reader on a screen and an engine's log reader take without falling behind."""
LAG_BYTES, HEAD_BYTES, SKIP_BYTES = 8 << 20, 1 << 18, 8 << 20
"""A log that far ahead of its reader is skipped, after its first part, so much at a time."""
PROGRESS_EVERY_S = 0.5
MAX_ERRORS = 20
ERROR = re.compile(rb"\b(?:ERROR|FATAL|CRITICAL|Traceback)\b|[Ee]rror:|Exception\b|^[\d.]{5,24} E ", re.M)
SUMMARY_KEYS = (
    "state", "reason", "pid", "started_ms", "ended_ms", "code", "signal", "restarts", "log_bytes", "boot_id", "kind",
    "cause", "guarded",
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any

    Record = dict[str, Any]


def read_json(path: str) -> Record | None:
    """A JSON object of our schema; None when it is not there, ValueError when it is something else."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(4 * 1024 * 1024).decode("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ValueError(f"{os.path.basename(path)} is of another schema")
    return value


def read_end(folder: str) -> Record | None:
    """How the job's present run ended; None while it has not."""
    now, end = read_json(os.path.join(folder, "job.json")), read_json(os.path.join(folder, "exit.json"))
    return end if now is not None and end is not None and now.get("run") == end.get("run") else None


def list_log_files(folder: str) -> list[tuple[int, str]]:
    """(offset of the first byte, path), oldest first."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith("log-") and name[4:].isdigit()]
    except OSError:
        return []
    return sorted((int(name[4:]), os.path.join(folder, name)) for name in names)


def ask_status(folder: str) -> Record:
    """What the folder's own program says."""
    argv = [sys.executable or "python3", "-I", os.path.join(folder, "job.py"), "status", folder]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_WAIT_S, check=False)
        value = json.loads(done.stdout.decode("utf-8", "replace"))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {"state": "unknown", "reason": f"its program does not answer: {error}"[:200]}
    return value if isinstance(value, dict) and "state" in value else {"state": "unknown", "reason": str(value)[:200]}


def summarize(folder: str, may_ask: bool) -> tuple[Record, object]:
    """A job in short, and its plan while it is not over."""
    spec, now, end = read_json(os.path.join(folder, "spec.json")), None, None
    if spec is None:
        raise ValueError("there is no spec.json")
    now, end = read_json(os.path.join(folder, "job.json")), read_end(folder)
    if now is None:
        now = {"state": "planned", "reason": "never started"}
    elif end is not None:
        now.update(end, state="ended")
    else:
        now.update(ask_status(folder) if may_ask else {"state": "unknown", "reason": "too many jobs to ask"})
    files = list_log_files(folder)
    now["log_bytes"] = files[-1][0] + os.path.getsize(files[-1][1]) if files else 0
    summary = {key: now.get(key) for key in SUMMARY_KEYS}
    summary.update({key: str(spec.get(key) or "")[:200] for key in ("title", "engine", "owner", "plan_hash")})
    summary["endpoint"] = spec.get("token")
    summary["holder"] = str((read_json(os.path.join(folder, "holder.json")) or {}).get("holder") or "")[:200]
    return summary, spec.get("plan") if now["state"] != "ended" else None


def list_jobs(folder: str) -> Record:
    """Summaries of all jobs, bounded; plans of those that are not over as far as there is room."""
    root = os.path.expanduser(folder)
    names = [name for name in (os.listdir(root) if os.path.isdir(root) else []) if not name.startswith(".")]
    names.sort(key=lambda name: os.path.getmtime(os.path.join(root, name)), reverse=True)
    found: list[Record] = []
    room, asked = MAX_PLANS_BYTES, 0
    for name in names[:MAX_JOBS]:
        try:
            summary, plan = summarize(os.path.join(root, name), asked < MAX_ASKED)
            asked += summary["state"] not in ("planned", "ended")
            size = len(json.dumps(plan))
            if plan is not None and size <= room:
                summary["plan"], room = plan, room - size
        except (ValueError, OSError) as error:
            summary = {"state": "unreadable", "reason": str(error)[:200]}
        found.append(dict(summary, job_id=name[:128]))
    return {"jobs": found, "more": max(len(names) - MAX_JOBS, 0), "others": list_others(set(names))}


def read_guards() -> list[Record]:
    """Guards of other accounts' jobs: python -I .../jobs/ID/job.py guard FOLDER."""
    found: list[Record] = []
    for name in os.listdir("/proc"):
        try:
            uid = os.stat("/proc/" + name).st_uid if name.isdigit() else os.getuid()
            if uid == os.getuid():
                continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                match = GUARD.search(file.read(8192))
        except OSError:
            continue  # it has just ended, or may not be seen
        if match is not None:
            found.append({"job_id": match.group(1).decode("ascii"), "account": name_account(uid), "title": ""})
    return found


def name_account(uid: int) -> str:
    """The name of an account."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read_containers() -> list[Record]:
    """Containers that run for a job, whoever started them; none where docker does not answer us."""
    argv = ["docker", "ps", "--filter", "label=sparkdesk.job", "--format", '{{.Label "sparkdesk.job"}} {{.Image}}']
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCKER_WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines() if done.returncode == 0 else []
    parts = [line.partition(" ") for line in lines]
    return [
        {"job_id": job_id, "account": "", "title": image[:200]} for job_id, _, image in parts if JOB_ID.match(job_id)
    ]


def list_others(own: set[str]) -> list[Record]:
    """Jobs that run here and whose folders are not ours."""
    found: dict[str, Record] = {}
    for row in read_guards() + read_containers():
        job_id = row["job_id"]
        if job_id not in own and len(found) < MAX_JOBS:
            known = found.setdefault(job_id, row)
            known["title"] = known["title"] or row["title"]
    return list(found.values())


class Tail:
    """One job's log, read from an offset on."""

    def __init__(self, folder: str, offset: int) -> None:
        self._folder = folder
        self._job = os.path.basename(folder)
        self._offset = offset
        self._kept = b""
        self._cut = 0
        self._progress: Record = {}
        self._progress_at = self._filled_at = time.monotonic()
        self._room = BURST_LINES
        self._told_end: object = None
        if offset < 0:
            files = list_log_files(folder)
            end = files[-1][0] + os.path.getsize(files[-1][1]) if files else 0
            self._offset = max(end + offset, files[0][0] if files else 0)
        self._head_end = self._offset + HEAD_BYTES

    def _read(self, size: int = PIECE_BYTES) -> tuple[bytes, int]:
        """The next piece, and how many bytes before it are gone."""
        lost = 0
        for start, path in list_log_files(self._folder):
            if self._offset < start:
                lost, self._offset = start - self._offset, start
            try:
                if self._offset < start + os.path.getsize(path):
                    with open(path, "rb") as file:
                        file.seek(self._offset - start)
                        return file.read(size), lost
            except OSError:
                pass  # rotated away between the listing and now: the next round counts it as lost
        return b"", lost

    def poll(self) -> list[Record]:
        """What there is to say now."""
        now = time.monotonic()
        self._room = min(self._room + (now - self._filled_at) * LINES_PER_S, BURST_LINES)
        self._filled_at = now
        found: list[Record] = []
        if self._room < 1.0 and not self._skip(found):
            return found
        data, lost = self._read()
        if lost:
            found.append({"job": self._job, "lost": lost})
        at = 0
        for match in LINE_END.finditer(data):
            self._keep(data[at : match.start()])
            at = match.end()
            self._take(found, self._offset + at, is_over=match.group() == b"\n")
            if self._room < 1.0:
                break
        else:
            self._keep(data[at:])
            at = len(data)
        self._offset += at
        if self._progress and now - self._progress_at >= PROGRESS_EVERY_S:
            self._tell_progress(found)
        if not data:
            self._look_for_end(found)
        return found

    def _skip(self, found: list[Record]) -> bool:
        """Leave out what nobody can read, when the log is far ahead; gives whether anything was left out."""
        files = list_log_files(self._folder)
        lag = files[-1][0] + os.path.getsize(files[-1][1]) - self._offset if files else 0
        if lag <= LAG_BYTES or self._offset < self._head_end:
            return False
        data, lost = self._read(min(lag - LAG_BYTES // 2, SKIP_BYTES))
        data = data[: data.rfind(b"\n") + 1] or data
        dropped = data.count(b"\n")
        self._kept, self._cut, self._progress = b"", 0, {}
        for match in ERROR.finditer(data):
            begin, end = data.rfind(b"\n", 0, match.start()) + 1, data.find(b"\n", match.end()) + 1
            offset = self._offset + (end or len(data))
            if len(found) < MAX_ERRORS and not (found and found[-1]["offset"] == offset):
                self._keep(data[begin : end - 1 if end else len(data)])
                self._take(found, offset)
                dropped -= 1
        self._offset += len(data)
        if lost:
            found.insert(0, {"job": self._job, "lost": lost})
        found.append({"job": self._job, "dropped": max(dropped, 1), "offset": self._offset})
        return True

    def _keep(self, piece: bytes) -> None:
        room = LINE_BYTES - len(self._kept)
        self._kept += piece[:room]
        self._cut += max(len(piece) - room, 0)

    def _take(self, found: list[Record], offset: int, is_over: bool = True) -> None:
        """A line is whole, or (not `is_over`) a state of one that will be written over."""
        if self._kept:
            line: Record = {"job": self._job, "offset": offset, "t": time.time_ns() // 1_000_000}
            line["line"] = self._kept.decode("utf-8", "replace")
            self._progress = dict(line, cut=self._cut) if self._cut else line
        if self._progress and is_over:
            self._tell_progress(found, offset)
        self._kept, self._cut = b"", 0

    def _tell_progress(self, found: list[Record], offset: int = 0) -> None:
        found.append(dict(self._progress, offset=offset or self._progress["offset"]))
        self._progress, self._progress_at = {}, time.monotonic()
        self._room -= 1.0

    def _look_for_end(self, found: list[Record]) -> None:
        try:
            end = read_end(self._folder)
        except ValueError:
            return
        if end is not None and end.get("run") != self._told_end and not self._read()[0]:
            self._told_end = end.get("run")
            self._take(found, self._offset)
            found.append({"job": self._job, "ended": end})


def split_target(target: str) -> tuple[str, int]:
    """FOLDER:OFFSET as folder and offset (0 without)."""
    folder, _, offset = target.rpartition(":")
    is_offset = folder and re.fullmatch(r"-?\d{1,18}", offset)
    return os.path.abspath(os.path.expanduser(folder if is_offset else target)), int(offset) if is_offset else 0


def take_line(tails: dict[str, Tail], line: bytes) -> None:
    """A line from standard input."""
    try:
        value = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict) and isinstance(value.get("follow"), str):
        folder, offset = split_target(value["follow"])
        tails[folder] = Tail(folder, offset)
    elif isinstance(value, dict) and isinstance(value.get("drop"), str):
        tails.pop(split_target(value["drop"])[0], None)


def follow(targets: list[str]) -> None:
    """Print what comes until the channel dies."""
    tails = {folder: Tail(folder, offset) for folder, offset in map(split_target, targets)}
    os.set_blocking(0, False)
    rest = sys.stdin.buffer.read1(65536) or b""  # type: ignore[union-attr]  # what came along with the source
    # The alarm ends us even while a write to a dead channel blocks; its default action is what is wanted.
    signal.alarm(int(HEARTBEAT_S) + 2)
    beat_at = time.monotonic()
    while time.monotonic() - beat_at < HEARTBEAT_S:
        *lines, rest = rest.split(b"\n")
        for line in lines:
            take_line(tails, line)
        found = [message for tail in list(tails.values()) for message in tail.poll()]
        for message in found:
            sys.stdout.buffer.write(json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()
        readable, _, _ = select.select([0], [], [], 0.0 if found else POLL_S)
        if readable:
            data = os.read(0, 65536)
            if not data:
                return
            rest = (rest + data)[-65536:]
            beat_at = time.monotonic()
            signal.alarm(int(HEARTBEAT_S) + 2)


def main(argv: list[str]) -> int:
    """Run a verb; gives the exit code."""
    if argv[:1] == ["list"]:
        print(json.dumps(list_jobs(argv[1] if len(argv) > 1 else JOBS_FOLDER)))
    elif argv[:1] == ["follow"]:
        try:
            follow(argv[1:])
        except (BrokenPipeError, KeyboardInterrupt):
            os._exit(0)  # nobody listens; an orderly end would stumble over the same pipe
    else:
        print("usage: list [JOBS_FOLDER] | follow [FOLDER:OFFSET ...]", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
