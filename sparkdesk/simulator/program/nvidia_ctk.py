"""`nvidia-ctk` of a node: its version. With the fault no-toolkit it is not there."""

from __future__ import annotations

import sys

from package_table import TOOLKIT_VERSION
from spark_state import conditions


def main(arguments: list[str]) -> int:
    """--version; the rest is not simulated."""
    if "no-toolkit" in conditions():  # the shell's own words, as for sudo
        print("bash: line 1: nvidia-ctk: command not found", file=sys.stderr)
        return 127
    if arguments in (["--version"], ["-v"]):
        print(f"NVIDIA Container Toolkit CLI version {TOOLKIT_VERSION}\ncommit: simulated")
        return 0
    print(f"nvidia-ctk {' '.join(arguments)} is not simulated", file=sys.stderr)
    return 1
