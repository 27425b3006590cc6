"""Loads the GPU for a few seconds inside a container image, and reads its clock on the node meanwhile.

Two parts in one file: `watch -- docker run ...` runs on the node, starts the container and asks nvidia-smi while the
load says that it is under way; `load` runs in the container, with the image's own PyTorch. The one rule: it prints one
JSON line, whatever happens, and ends by itself; what nvidia-smi did not tell is null, never zero.
Stdlib and the image's torch only, Python 3.8+.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import math
import re
import subprocess
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Dict, List

    Record = Dict[str, Any]

FIELDS = "clocks.current.sm,power.draw,utilization.gpu"
ASK = ("nvidia-smi", "--query-gpu=" + FIELDS, "--format=csv,noheader,nounits")
ASK_LIMIT_S = 5.0
EVERY_S = 0.5
MOST_SAMPLES = 40
LEAST_S, MOST_S = 1.0, 10.0
SIDE, BATCH = 4096, 8
"""Three matrices of 32 MiB, and so many products of them between two looks at the time: milliseconds each."""
SPARE_BYTES = 8 << 30
"""What the node must have free before. Own choice, as for the all_gather: PyTorch alone takes a few GiB."""
MAX_LINE, MAX_TAIL, MAX_MESSAGE = 4096, 800, 300
BEGIN, END = "begin", "end"
SIMULATED = "# simulated"
TROUBLE = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, OSError, ArithmeticError, MemoryError)
"""What PyTorch raises: most of it is a RuntimeError."""


class Refused(Exception):
    """What cannot be, and what helps."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def say(record: Record) -> None:
    """One line."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


# In the container ----------------------------------------------------------------------------------------------------


def load(seconds: float) -> None:
    """Multiply matrices for so long. Raises Refused, and what PyTorch raises."""
    try:
        # By name: the image has it, this program's own package does not.
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise Refused("The image has no PyTorch: %s" % error, "Choose an image that serves with PyTorch.") from error
    if not torch.cuda.is_available():
        raise Refused("PyTorch sees no GPU in the container", "Mend the NVIDIA container runtime on this node.")
    torch.cuda.set_device(0)
    left, right = (torch.rand(SIDE, SIDE, dtype=torch.float16, device="cuda") for _ in range(2))
    out = torch.matmul(left, right)  # the first one loads the library, which may take seconds
    torch.cuda.synchronize()
    say({"at": BEGIN})
    over_s = time.monotonic() + seconds
    while time.monotonic() < over_s:
        for _ in range(BATCH):
            torch.matmul(left, right, out=out)
        torch.cuda.synchronize()


def run_load(seconds: float) -> int:
    """Load, and say how it ended."""
    said = {"at": END, "ok": False}  # type: Record
    try:
        load(seconds)
        said["ok"] = True
    except Refused as error:
        said.update(message=error.message[:MAX_MESSAGE], remedy=error.remedy)
    except TROUBLE as error:
        words = "%s: %s" % (type(error).__name__, (str(error).strip().splitlines() or ["no words"])[0])
        said.update(message=words[:MAX_MESSAGE], remedy="Look whether other programs hold the GPU of this node.")
    say(said)
    return 0 if said["ok"] else 1


# On the node ---------------------------------------------------------------------------------------------------------


class Heard:
    """What the container has said so far. Written by the threads that listen."""

    def __init__(self) -> None:
        self.has_begun, self.has_ended = threading.Event(), threading.Event()
        self.end = {}  # type: Record
        self.is_simulated = False
        self.tail = collections.deque(maxlen=8)  # type: collections.deque[str]

    def listen(self, stream: IO[str]) -> None:
        """Read the load's own lines until the stream ends."""
        while True:
            line = stream.readline(MAX_LINE)
            if not line:
                break
            self.is_simulated = self.is_simulated or line.startswith(SIMULATED)
            record = read_record(line)
            if record.get("at") == BEGIN:
                self.has_begun.set()
            elif record.get("at") == END:
                self.end = record
                self.has_ended.set()
        self.has_ended.set()
        self.has_begun.set()

    def complain(self, stream: IO[str]) -> None:
        """Keep the end of what docker complains."""
        for line in iter(lambda: stream.readline(MAX_LINE), ""):
            self.tail.append(line)


def read_record(line: str) -> Record:
    """The object of a line; nothing for another line."""
    try:
        value = json.loads(line) if line.startswith("{") else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_sample(text: str) -> Record | None:
    """Clock, power and utilization of the first GPU; None where there is no such row. A cell may be null."""
    cells = text.strip().splitlines()[:1]
    parts = [part.strip() for part in cells[0].split(",")] if cells else []
    if len(parts) != 3:
        return None
    return dict(zip(("mhz", "watts", "percent"), (read_number(part) for part in parts)))


def read_number(text: str) -> float | None:
    """A number that may be one; None for `[N/A]` and its like."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def ask_gpu() -> tuple[Record | None, str]:
    """One reading, or why there is none."""
    try:
        done = subprocess.run(ASK, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              timeout=ASK_LIMIT_S, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, "nvidia-smi gave no answer in %.0f s" % ASK_LIMIT_S
    except OSError as error:
        return None, "nvidia-smi: %s" % (error.strerror or "could not be run")
    text = done.stdout[:MAX_LINE].decode("utf-8", "replace")
    sample = read_sample(text) if done.returncode == 0 else None
    return sample, "" if sample else "nvidia-smi: %s" % (text.strip().splitlines() or ["no words"])[0][:MAX_MESSAGE]


def available_bytes(path: str = "/proc/meminfo") -> int | None:
    """MemAvailable; None when it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            found = re.search(r"^MemAvailable:\s+(\d+) kB$", stream.read(65536), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def check_memory(free: int | None) -> None:
    """Raises Refused where too little is free; what is not known is tried."""
    if free is not None and free < SPARE_BYTES:
        words = "%.1f GiB of memory are available, %.1f GiB are needed" % (free / (1 << 30), SPARE_BYTES / (1 << 30))
        raise Refused(words, "Stop what holds the memory on this node, then measure again.")


def collect(heard: Heard, until_s: float) -> tuple[List[Record], str]:
    """Readings while the load is under way, and the last trouble with them."""
    samples, trouble = [], ""  # type: List[Record], str
    while not heard.has_ended.wait(EVERY_S) and time.monotonic() < until_s and len(samples) < MOST_SAMPLES:
        sample, why = ask_gpu()
        if heard.has_ended.is_set():
            break  # it may be of the time after the load
        trouble = why or trouble
        samples += [sample] if sample else []
    return samples, trouble


def watch(words: List[str], limit_s: float) -> Record:
    """Run the container to its end, or to the limit, and read the GPU meanwhile. Raises Refused."""
    check_memory(available_bytes())
    until_s = time.monotonic() + limit_s
    heard = Heard()
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   encoding="utf-8", errors="replace")  # fmt: skip
    except OSError as error:
        sys.stderr.write("%s: %s\n" % (words[0], error.strerror))
        return {"ok": False, "samples": [], "message": "%s: %s" % (words[0], error.strerror)}
    assert process.stdout
    assert process.stderr
    threads = [threading.Thread(target=heard.listen, args=(process.stdout,), daemon=True),
               threading.Thread(target=heard.complain, args=(process.stderr,), daemon=True)]  # fmt: skip
    for thread in threads:
        thread.start()
    heard.has_begun.wait(limit_s)
    samples, trouble = collect(heard, until_s)
    is_late = not end(process, until_s)
    for thread in threads:
        thread.join(2.0)
    if heard.is_simulated:
        sys.stdout.write(SIMULATED + "\n")
    said = {"ok": heard.end.get("ok") is True and not is_late, "samples": samples, "trouble": trouble}
    if is_late:
        said.update(
            message="no end after %.0f s" % limit_s, remedy="Look at the GPU: nvidia-smi, and the kernel's log."
        )
    else:
        said.update((name, str(heard.end[name])[:MAX_MESSAGE]) for name in ("message", "remedy") if name in heard.end)
    if not said["ok"]:
        complaint = "".join(heard.tail)[-MAX_TAIL:]
        sys.stderr.write(complaint)
        last = (complaint.strip().splitlines() or ["the load ended with code %d" % process.returncode])[-1]
        said.setdefault("message", last[-MAX_MESSAGE:])
    return said


def end(process: subprocess.Popen[str], until_s: float) -> bool:
    """Whether it ends by itself in time; else it is ended."""
    try:
        process.wait(max(0.1, until_s - time.monotonic()))
        return True
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return False


def run_watch(words: List[str], limit_s: float) -> int:
    """Watch, and print the one line."""
    said = {"kind": "gpu_load", "ok": False, "samples": []}  # type: Record
    try:
        said.update(watch(words, limit_s))
    except Refused as error:
        said.update(message=error.message, remedy=error.remedy)
    say(said)
    return 0 if said["ok"] else 1


def main(arguments: List[str]) -> int:
    """One of the two parts. Ends the program for options that are none."""
    parser = argparse.ArgumentParser(description="the GPU's clock under load")
    parts = parser.add_subparsers(dest="part")
    parts.required = True
    loading = parts.add_parser("load")
    loading.add_argument("--seconds", type=float, default=5.0)
    watching = parts.add_parser("watch")
    watching.add_argument("--limit-s", type=float, default=150.0)
    watching.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.part == "load":
        return run_load(min(MOST_S, max(LEAST_S, options.seconds)))
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        parser.error("watch needs the command that loads the GPU")
    return run_watch(words, options.limit_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
