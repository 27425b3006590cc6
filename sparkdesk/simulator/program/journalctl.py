"""`journalctl` of a node: the few kernel lines that a doctor looks for, of this boot.

The one rule: an option that is not simulated fails. Lines were never seen on hardware.
"""

from __future__ import annotations

import sys
import time

from spark_state import read_json, read_text

_FLAGS = {"-k", "--dmesg", "-b", "--boot", "--no-pager", "-q", "--quiet", "-r", "--reverse", "--no-hostname", "--utc"}
_VALUES = {"-n", "--lines", "-p", "--priority", "-o", "--output", "-u", "--unit", "--since", "-S", "-g", "--grep"}


def main(arguments: list[str]) -> int:
    """`-k` prints; a unit's log is empty."""
    found: dict[str, str] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if word in _FLAGS:
            found[word] = ""
        elif name in _VALUES and (equals or left):
            found[name] = value if equals else left.pop(0)
        else:
            print(f"journalctl: unrecognized option '{word}'", file=sys.stderr)
            return 1
    if not {"-k", "--dmesg"} & set(found):
        print("-- No entries --")
        return 1 if {"-g", "--grep"} & set(found) else 0
    count = found.get("-n", found.get("--lines", "all"))
    priority = found.get("-p", found.get("--priority", "7"))
    lines = [] if priority in ("0", "1", "2", "3", "emerg", "alert", "crit", "err") else _kernel_lines()
    for line in lines[-int(count) :] if count.isdigit() else lines:
        print(line)
    if not lines:
        print("-- No entries --")
    return 0


def _kernel_lines() -> list[str]:
    uptime_s = float((read_text("/proc/uptime") or "0").split()[0])
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(time.time() - uptime_s))
    head = f"{stamp} {read_json('node')['name']} kernel:"
    release = read_text("/proc/sys/kernel/osrelease")
    return [
        f"{head} Linux version {release} (simulated)",
        f"{head} NVRM: loading NVIDIA UNIX Open Kernel Module for aarch64  {read_json('gpu')['driver']}",
        f"{head} mlx5_core 0000:01:00.1 enp1s0f1np1: Link up",
    ]
