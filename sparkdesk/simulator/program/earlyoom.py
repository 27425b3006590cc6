"""`earlyoom` of a node: its version and its words; the simulated memory is watched by nobody.

The one rule: as a service it is a state that systemctl tells, and started by hand it says that it is not simulated.
"""

from __future__ import annotations

import sys

_VERSION = "earlyoom 1.7"


def main(arguments: list[str]) -> int:
    """-v alone."""
    if arguments in (["-v"], ["--version"]):
        print(_VERSION)
        return 0
    print("earlyoom: running it by hand is not simulated", file=sys.stderr)
    return 1
