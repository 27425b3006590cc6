"""Measures an all_gather over all nodes of a cluster, inside the container image that will serve there.

Started by `python3 -m torch.distributed.run` (torchrun) with one process a node; it needs nothing but the image's own
PyTorch, so nothing is compiled or fetched. The one rule: it prints one JSON line, whatever happens, and ends by itself:
a size above 4 GiB is refused (16 GB have frozen nodes), and so is one for which the node has no memory.
busbw as nccl-tests has it: bytes of the whole result / seconds * (n - 1) / n. Source: NVIDIA/nccl-tests,
doc/PERFORMANCE.md. Stdlib and the image's torch only, Python 3.8+.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    Record = Dict[str, Any]

GIB = 1 << 30
LEAST_BYTES, MOST_BYTES = 1 << 20, 4 * GIB
SPARE_BYTES = 8 * GIB
"""What the node keeps free beside the buffers. Own choice: below it a Spark with a desktop has been seen to freeze."""
MAX_LOG_BYTES = 4 << 20
MAX_LINES = 6
MAX_MESSAGE = 300
TROUBLE = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, OSError, ArithmeticError, MemoryError)
"""What PyTorch raises: most of it is a RuntimeError, also when the GPU's memory ends or a rank stays away."""
# What says which way the data went: `Channel 00/0 : 0[0] -> 1[0] [send] via NET/IB/0`, `Using network IB`.
USED = re.compile(r"via NET/(IB|Socket)|Using network (IB|Socket)\b")
# `NET/IB : Using [0]rocep1s0f1:1/RoCE [1]roceP2p1s0f1:1/RoCE`; "NET/IB : No device found" is no use of it.
DEVICES = re.compile(r"NET/IB\S* : Using (.{0,400})")
DEVICE = re.compile(r"\[\d{1,3}\]([A-Za-z0-9_]{1,32}):\d")


class Refused(Exception):
    """What cannot be, and what helps."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def read_transports(text: str) -> Record:
    """What NCCL's own log (NCCL_DEBUG=INFO) says of the way of the data, and a few of its lines."""
    ways, devices, lines = set(), set(), []  # type: set[str], set[str], List[str]
    for line in text.splitlines():
        used, named = USED.search(line), DEVICES.search(line)
        if used:
            ways.add("NET/" + (used.group(1) or used.group(2)))
        if named:
            devices.update(DEVICE.findall(named.group(1)))
        if (used or named) and len(lines) < MAX_LINES:
            lines.append(line[-160:])
    return {"transports": sorted(ways), "devices": sorted(devices)[:8], "lines": lines}


def available_bytes(path: str = "/proc/meminfo") -> int | None:
    """MemAvailable; None when it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            found = re.search(r"^MemAvailable:\s+(\d+) kB$", stream.read(65536), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def check_size(wanted: int, device: str, available: int | None) -> None:
    """Raises Refused. The test holds the result, its own part, and one part to compare with: 2.5 times the size."""
    if not LEAST_BYTES <= wanted <= MOST_BYTES:
        words = "An all_gather of %.1f GiB is refused: 16 GB have frozen nodes" % (wanted / GIB)
        raise Refused(words, "Choose 1 to 4 GiB.")
    if device == "cuda" and available is not None and available < 5 * wanted // 2 + SPARE_BYTES:
        words = "%.1f GiB of memory are available, %.1f GiB are needed" % (
            available / GIB, (5 * wanted // 2 + SPARE_BYTES) / GIB,
        )  # fmt: skip
        raise Refused(words, "Stop what holds the memory on this node, then measure again.")


def measure(torch: Any, options: argparse.Namespace) -> Record:
    """Gather, check the data, and time it. Every rank does this at the same time."""
    collective = torch.distributed
    rank, world = collective.get_rank(), collective.get_world_size()
    if world < 2:
        raise Refused("There is one process only: nothing to gather", "Start it on two nodes or more.")
    count = options.bytes // (4 * world)
    mine = pattern(torch, rank, count, options.device)
    whole = torch.empty(count * world, dtype=torch.int32, device=options.device)
    # PyTorch 2.13 calls it all_gather_single, and the older name deprecated.
    gather = getattr(collective, "all_gather_single", None) or collective.all_gather_into_tensor

    def once() -> float:
        collective.barrier()
        settle(torch, options.device)
        begun = time.perf_counter()
        gather(whole, mine)
        settle(torch, options.device)
        return time.perf_counter() - begun

    for _ in range(options.warm_up):
        once()
    times = [once() for _ in range(options.iterations)]
    wrong = sum(
        int((whole[other * count : (other + 1) * count] != pattern(torch, other, count, options.device)).sum().item())
        for other in range(world)
    )
    median_s = statistics.median(times)
    gbps = count * 4 * world / median_s / 1e9
    return {
        "rank": rank, "world": world, "bytes": count * 4 * world, "iterations": len(times), "median_s": median_s,
        "least_s": min(times), "most_s": max(times), "algbw_gbs": gbps, "busbw_gbs": gbps * (world - 1) / world,
        "wrong": wrong,
    }  # fmt: skip


def pattern(torch: Any, rank: int, count: int, device: str) -> Any:
    """What a rank sends: no two ranks the same, and no two neighbours of one."""
    values = torch.arange(count, dtype=torch.int32, device=device)
    return values.mul_(31).add_(rank * 7919 + 1)


def settle(torch: Any, device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def nccl_version(torch: Any) -> str:
    """Of the image's own NCCL; "" when it does not tell."""
    try:
        return ".".join(str(part) for part in torch.cuda.nccl.version())
    except TROUBLE:
        return ""


def run(options: argparse.Namespace, said: Record) -> None:
    """Set up, measure, and put down what came of it. Raises Refused and what PyTorch raises."""
    check_size(options.bytes, options.device, available_bytes())
    said["rank"] = int(os.environ.get("RANK", "-1"))
    try:
        # By name: the image has it, this program's own package does not.
        torch = importlib.import_module("torch")
        importlib.import_module("torch.distributed")
    except ImportError as error:
        raise Refused("The image has no PyTorch: %s" % error, "Choose an image that serves with PyTorch.") from error
    said["torch"] = str(torch.__version__)
    if options.device == "cuda":
        if not torch.cuda.is_available():
            raise Refused("PyTorch sees no GPU in the container", "Mend the NVIDIA container runtime on this node.")
        torch.cuda.set_device(0)
        said["nccl"] = nccl_version(torch)
    wait = importlib.import_module("datetime").timedelta(seconds=options.limit_s / 2)
    torch.distributed.init_process_group(options.backend, timeout=wait)
    try:
        said.update(measure(torch, options))
    finally:
        torch.distributed.destroy_process_group()


def say(said: Record, log: str) -> None:
    """The one line."""
    try:
        with open(log, encoding="utf-8", errors="replace") as stream:
            said.update(read_transports(stream.read(MAX_LOG_BYTES)))
    except OSError:
        pass  # nothing was logged: which way the data went is then not known
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def parse(arguments: List[str]) -> argparse.Namespace:
    """The options. Ends the program for one that is none."""
    parser = argparse.ArgumentParser(description="all_gather over all nodes")
    parser.add_argument("--bytes", type=int, default=GIB)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--limit-s", type=float, default=120.0)
    parser.add_argument("--backend", choices=("nccl", "gloo"), default="nccl")
    options = parser.parse_args(arguments)
    options.device = "cuda" if options.backend == "nccl" else "cpu"
    return options


def main(arguments: List[str]) -> int:
    """Measure once, with a limit of time that holds even where PyTorch waits for ever."""
    options = parse(arguments)
    said = {"kind": "all_gather", "ok": False, "backend": options.backend}  # type: Record
    log = os.path.join(tempfile.gettempdir(), "sparkdesk-nccl-%d.log" % os.getpid())
    os.environ.setdefault("NCCL_DEBUG", "INFO")
    os.environ.setdefault("NCCL_DEBUG_FILE", log)
    lock = threading.Lock()

    def give_up() -> None:
        with lock:
            words = "no end after %.0f s" % options.limit_s
            say(dict(said, message=words, remedy="Look at the cables and at the other nodes."), log)
            os._exit(3)

    watch = threading.Timer(options.limit_s, give_up)
    watch.daemon = True
    watch.start()
    try:
        run(options, said)
        said["ok"] = True
    except Refused as error:
        said.update(message=error.message[:MAX_MESSAGE], remedy=error.remedy)
    except TROUBLE as error:
        words = "%s: %s" % (type(error).__name__, (str(error).strip().splitlines() or ["no words"])[0])
        said.update(message=words[:MAX_MESSAGE], remedy="Look at the cables and at the other nodes.")
    with lock:
        watch.cancel()
        say(said, log)
        if os.environ["NCCL_DEBUG_FILE"] == log and os.path.exists(log):
            os.unlink(log)
    return 0 if said["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
