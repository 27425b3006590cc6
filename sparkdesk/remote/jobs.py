"""Lists and follows the jobs of a node; sent over a channel by length, as the probe is, and never installed.

    list [JOBS_FOLDER]                   one JSON line: {"jobs": [summary, ...], "more": n, "others": [...]}
    follow [FOLDER:OFFSET ...]           JSON lines for as long as the channel lives

`jobs` come newest first. `others` are jobs of this node's other accounts, as far as anybody may see them: {"job_id",
"account", "title"} from the guards among the processes and the labels of containers; their folders are closed to us.
`follow` multiplexes the logs of several jobs: {"job", "offset", "t", "line", "cut"}, `offset` being that behind the
line, so that it is where to go on, `t` that of the look that found it (ms), left out when the line may be older than
EXACT_S then; {"job", "lost": bytes} when the asked part is gone; {"job", "dropped": lines, "passed": bytes, "offset"}
when more came than anybody reads in a second: its middle is left out, its errors and the newest lines come (`passed`
is what was not even counted in lines); {"job", "ended": exit.json} at once when a job has ended, behind its last
lines. A negative offset counts from the end. Of a line that is written over again and again (progress) the newest
state comes. Standard input takes lines {"follow": "FOLDER:OFFSET"} and {"drop": FOLDER}; anything else is a heartbeat,
and silence or its end ends us.
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
LINES_PER_S, BURST_LINES, COST_BYTES = 2000.0, 4000.0, 512
"""What a reader on a screen and an engine's log reader take, of all jobs together; a long line counts as several."""
SCAN_BYTES_PER_S, BURST_BYTES, COUNT_FACTOR = 8 << 20, 32 << 20, 4
"""What is left out is looked through for errors as fast as this, of all jobs together; so many times are counted."""
GAP_EVERY_S, CALM_S, EXACT_S, PROGRESS_EVERY_S = 1.0, 5.0, 2.5, 0.5
"""So long more than fits is held back; after so long without a gap its first lines are told too."""
LAST_LINES, MAX_ERRORS, MAX_TRIES = 200.0, 20, 2000
"""Of a job that has ended so many come, whatever came before; of a gap so many errors, and so many are looked at."""
ERROR = re.compile(
    rb"\b(?:ERROR|FATAL|CRITICAL|Traceback)\b|[Ee]rror:|Exception\b|^[\d.]{5,24} E |^[\w.]{0,99}Error\r?$"
    rb"|\[TRT-LLM\] (?:\[RANK \d{1,4}\] )?\[E\]|[Ee]rror (?:response from daemon|while (?:handling|attempting))"
    rb"|exiting due to .{1,40} error|gguf_init_from_\w{4,6}: (?:failed|invalid)|couldn't bind HTTP|GGML_ASSERT\("
    rb"|ptxas fatal|^ +Value error,|Cannot connect to the Docker|permission denied while trying to connect"
    rb"|unknown (?:shorthand )?flag: |exec format error",
    re.M,
)
MILD = re.compile(
    rb"(?:\(\w[\w.\- ]{0,60} pid=\d{1,10}\) {0,3}){0,3}(?:DEBUG|INFO|WARNING)[: ]|[\d.]{5,24} [DIW] "
    rb"|\[[\d/ :-]{19}\] \[TRT-LLM\] (?:\[RANK \d{1,4}\] )?\[[DIVW]\]|(?:time=\S{1,40} )?level=(?:DEBUG|INFO|WARN) "
)
SIGNS = (
    b"ERROR", b"FATAL", b"CRITICAL", b"Traceback", b"rror", b"Exception", b" E ", b"[E]", b"gguf_init", b"bind HTTP",
    b"GGML_ASSERT(", b"ptxas fatal", b"to the Docker", b"trying to connect", b" flag: ", b"Value error",
)  # fmt: skip
"""One of these stands in every line that ERROR finds: looking for it first is thirty times as fast."""
SUMMARY_KEYS = (
    "state", "reason", "pid", "started_ms", "ended_ms", "code", "signal", "restarts", "log_bytes", "boot_id", "kind",
    "cause", "guarded",
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from collections.abc import Iterator
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
    now["log_bytes"] = find_end(list_log_files(folder))
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


class Pace:
    """What may be told and looked through now, of all jobs together. Room that one job leaves is the others'."""

    def __init__(self) -> None:
        self.lines, self.scan_bytes, self._at = BURST_LINES, float(BURST_BYTES), time.monotonic()

    def poll(self, tails: list[Tail]) -> list[Record]:
        """What there is to say now. Who says little comes first: so one that floods takes nothing from the others."""
        now = time.monotonic()
        self.lines = min(self.lines + (now - self._at) * LINES_PER_S, BURST_LINES)
        self.scan_bytes = min(self.scan_bytes + (now - self._at) * SCAN_BYTES_PER_S, BURST_BYTES)
        self._at = now
        waiting = sorted([(tail.look(), number, tail) for number, tail in enumerate(tails)])
        found: list[Record] = []
        for number, (_, _, tail) in enumerate(waiting):
            left = len(waiting) - number
            told, scanned = tail.poll(found, max(self.lines, 0.0) / left, self.scan_bytes / left)
            self.lines, self.scan_bytes = self.lines - told, self.scan_bytes - scanned
        return found


class Tail:
    """One job's log, read from an offset on."""

    def __init__(self, folder: str, offset: int) -> None:
        self._folder = folder
        self._job = os.path.basename(folder)
        self._files = list_log_files(folder)
        self._end, self._offset = find_end(self._files), offset
        self._kept, self._cut = b"", 0
        self._progress: tuple[bytes, int, int] | None = None
        self._progress_at = self._looked_at = time.monotonic()
        self._held_at, self._gap_at, self._cost = 0.0, -CALM_S, 0.0
        self._stamp: Record = {}
        self._ended: Record | None = None
        self._told_end = None
        self._read_at = self._looked_at - self._find_age_s() if offset == 0 else float("-inf")
        if offset < 0:
            self._offset = max(self._end + offset, self._files[0][0] if self._files else 0)

    def _find_age_s(self) -> float:
        """How long ago the first line may have been written: nothing is written before the start."""
        try:
            started_ms = (read_json(os.path.join(self._folder, "job.json")) or {}).get("started_ms")
        except ValueError:
            started_ms = None
        age_s = max(time.time() - started_ms / 1000.0, 0.0) if isinstance(started_ms, int) else float("inf")
        return age_s if self._files else 0.0

    def look(self) -> int:
        """How many bytes there are to read. Whether the job has ended is asked first: then its last words are in."""
        try:
            end = read_end(self._folder)
        except ValueError:
            end = None
        self._ended = end if end is not None and end.get("run") != self._told_end else None
        self._looked_at, self._files = time.monotonic(), list_log_files(self._folder)
        self._end = find_end(self._files)
        self._stamp = {"t": int(time.time() * 1000)} if self._looked_at - self._read_at <= EXACT_S else {}
        return max(self._end - self._offset, 0)

    def poll(self, found: list[Record], room: float, scan_bytes: float) -> tuple[float, float]:
        """Say what fits in `room` lines; gives the room that it took, and the bytes that were looked through."""
        now, scanned, self._cost = self._looked_at, 0.0, 0.0
        room = room if self._ended is None else max(room, LAST_LINES)
        is_all = self._fits(room)
        has_waited = self._held_at > 0.0 and now - self._held_at >= GAP_EVERY_S
        if not is_all and (has_waited or self._ended is not None or now - self._gap_at > CALM_S):
            scanned, is_all = self._skip(found, room, scan_bytes), True
        if is_all:
            self._take(found, self._end)
            self._read_at, self._held_at = now, 0.0
        elif self._held_at <= 0.0:
            self._held_at = now
        if self._progress and (now - self._progress_at >= PROGRESS_EVERY_S or self._ended is not None):
            self._tell(found, *self._progress)
        if self._ended is not None:
            if self._kept:
                self._tell(found, self._kept, self._cut, self._offset)
            self._told_end = self._ended.get("run")
            found.append({"job": self._job, "ended": self._ended})
        return self._cost, scanned

    def _pieces(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of what lies between two offsets; what was rotated away is passed over."""
        for start, path in self._files:
            try:
                with open(path, "rb") as file:
                    begin = max(begin, start)
                    file.seek(begin - start)
                    while begin < end:
                        data = file.read(min(PIECE_BYTES, end - begin))
                        if not data:
                            break
                        yield begin, data
                        begin += len(data)
            except OSError:
                pass  # rotated away between the listing and now: the next piece shows that it is lost

    def _fits(self, room: float) -> bool:
        cost, limit = 0.0, self._offset + BURST_BYTES // 2
        for offset, data in self._pieces(self._offset, self._end):
            cost += cost_of(data)
            if cost > room or offset > limit:
                return False
        return True

    def _skip(self, found: list[Record], room: float, scan_bytes: float) -> float:
        """Leave out the middle of what came; gives the bytes that were looked through for errors."""
        if self._looked_at - self._gap_at > CALM_S:
            self._take(found, min(self._end, self._offset + int(room / 4) * COST_BYTES), int(room / 4))
        self._gap_at = self._looked_at
        until = self._find_newest(max(room - self._cost - MAX_ERRORS, 1.0))
        self._kept, self._cut, self._progress = b"", 0, None
        begin, dropped, errors, tries, rest = self._offset, 0, 0, 0, b""
        for offset, data in self._pieces(self._offset, until):
            self._find_lost(found, offset)
            if offset - begin >= COUNT_FACTOR * scan_bytes:
                break
            data, self._offset = rest + data, offset + len(data)
            rest = data[data.rfind(b"\n") + 1 :][:LINE_BYTES]
            dropped += data.count(b"\n")
            for first, last in find_signs(data) if offset - begin < scan_bytes else ():
                tries += 1
                if tries > MAX_TRIES or errors >= MAX_ERRORS:
                    break
                line = data[first : min(last, first + LINE_BYTES)]
                if last < len(data) and ERROR.search(line) and not MILD.match(line):
                    self._add(data[first:last])
                    self._end_line(found, self._offset - len(data) + last + 1)
                    errors += 1
        scanned = min(self._offset - begin, scan_bytes)
        gap = {"job": self._job, "dropped": max(dropped - errors, 1), "offset": until}
        found.append(dict(gap, passed=until - self._offset) if until > self._offset else gap)
        self._offset = until
        return scanned

    def _find_newest(self, room: float) -> int:
        """Where the newest lines that fit begin."""
        begin = max(self._offset, self._end - int(room * COST_BYTES))
        data = b"".join(data for _, data in self._pieces(begin, self._end))
        begin = self._end - len(data)
        parts = data.rsplit(b"\n", int(room) + 1)
        if len(parts) > int(room) + 1:
            return begin + len(parts[0]) + 1
        return begin + data.find(b"\n") + 1 if begin > self._offset else begin

    def _find_lost(self, found: list[Record], offset: int) -> None:
        """A piece that begins further on than expected: what was before it is gone."""
        if offset > self._offset:
            found.append({"job": self._job, "lost": offset - self._offset})
            self._offset, self._kept, self._cut = offset, b"", 0

    def _take(self, found: list[Record], end: int, most: int = -1) -> None:
        """Tell the lines up to an offset, or the first of them."""
        for offset, data in self._pieces(self._offset, end):
            self._find_lost(found, offset)
            *lines, rest = data.split(b"\n")
            for line in lines:
                if most == 0:
                    return
                self._add(line)
                self._offset += len(line) + 1
                self._end_line(found, self._offset)
                most -= 1
            self._offset += len(rest)
            self._add(rest)

    def _add(self, piece: bytes) -> None:
        """More of the line that is being written; what was written over is of no use."""
        if b"\r" in piece:
            before, _, piece = piece.rpartition(b"\r")
            before, has_more, state = before.rstrip(b"\r").rpartition(b"\r")
            self._keep(state, is_new=bool(has_more))
            if self._kept:
                self._progress = (self._kept, self._cut, self._offset - len(piece))
            self._keep(b"", is_new=True)
        self._keep(piece)

    def _keep(self, piece: bytes, is_new: bool = False) -> None:
        if is_new:
            self._kept, self._cut = b"", 0
        room = LINE_BYTES - len(self._kept)
        self._kept += piece[:room]
        self._cut += max(len(piece) - room, 0)

    def _end_line(self, found: list[Record], offset: int) -> None:
        if self._kept:
            self._tell(found, self._kept, self._cut, offset)
        elif self._progress:
            self._tell(found, self._progress[0], self._progress[1], offset)
        self._kept, self._cut = b"", 0

    def _tell(self, found: list[Record], line: bytes, cut: int, offset: int) -> None:
        message = dict(self._stamp, job=self._job, offset=offset, line=line.decode("utf-8", "replace"))
        found.append(dict(message, cut=cut) if cut else message)
        self._progress, self._progress_at = None, self._looked_at
        self._cost += max(1.0, len(line) / COST_BYTES)


def find_end(files: list[tuple[int, str]]) -> int:
    """The offset behind the last byte of a log; 0 for one that was removed just now."""
    try:
        return files[-1][0] + os.path.getsize(files[-1][1]) if files else 0
    except OSError:
        return 0


def cost_of(data: bytes) -> float:
    """As how many lines of a usual length a piece counts; of a very long one only the beginning is told."""
    lines = data.count(b"\n")
    return max(lines, min(len(data), (lines + 1) * LINE_BYTES) / COST_BYTES)


def find_signs(data: bytes) -> Iterator[tuple[int, int]]:
    """(begin, end) of lines that may tell of an error."""
    places = {sign: data.find(sign) for sign in SIGNS}
    while places := {sign: at for sign, at in places.items() if at >= 0}:
        at = min(places.values())
        begin, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        end = end if end >= 0 else len(data)
        yield begin, end
        places = {sign: at if at >= end else data.find(sign, end) for sign, at in places.items()}


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
    beat_at, pace = time.monotonic(), Pace()
    while time.monotonic() - beat_at < HEARTBEAT_S:
        *lines, rest = rest.split(b"\n")
        for line in lines:
            take_line(tails, line)
        for message in pace.poll(list(tails.values())):
            sys.stdout.buffer.write(json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()
        readable, _, _ = select.select([0], [], [], POLL_S)
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
