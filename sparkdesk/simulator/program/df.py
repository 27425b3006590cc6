"""`df` of a node: the computer's own program; with the fault disk-full a full disk instead.

The one rule: the figures of a healthy node are the real ones of the disk that its files lie on.
"""

from __future__ import annotations

import os
import sys

from spark_state import conditions

_KIB = 1024
_UNITS = ("", "K", "M", "G", "T")


def main(arguments: list[str]) -> int:
    """`df [-h|-k|-B1|-P] [PATH]`."""
    if "disk-full" not in conditions():
        os.execv("/usr/bin/df", ["df", *arguments])
    known = {"-h", "-k", "-P", "-B1", "--human-readable", "-Ph", "-hP", "-kP", "-Pk"}
    for word in arguments:
        if word.startswith("-") and word not in known:
            print(f"df: {word} is not simulated on a full disk", file=sys.stderr)
            return 1
    found = os.statvfs("/")
    size = found.f_blocks * found.f_frsize
    left = size // 20  # what only root may use
    is_human = any("h" in word for word in arguments if word.startswith("-"))
    unit = 1 if "-B1" in arguments else _KIB
    cells = [_human(size), _human(size - left), "0"] if is_human else [size // unit, (size - left) // unit, 0]
    title = "Size" if is_human else "1B-blocks" if unit == 1 else "1K-blocks"
    print(f"{'Filesystem':<15} {title:>12} {'Used':>12} {'Avail' if is_human else 'Available':>12} Use% Mounted on")
    print(f"{'/dev/nvme0n1p2':<15} {cells[0]:>12} {cells[1]:>12} {cells[2]:>12} 100% /")
    return 0


def _human(size: int) -> str:
    value, at = float(size), 0
    while value >= _KIB and at < len(_UNITS) - 1:
        value, at = value / _KIB, at + 1
    return f"{value:.1f}{_UNITS[at]}" if value < 10 else f"{value:.0f}{_UNITS[at]}"
