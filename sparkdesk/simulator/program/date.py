"""`date` of a node: the computer's own program, and with the fault clock-skew that program told another time.

The one rule: it shows and never sets. Source of the way: date(1) of GNU coreutils, --date.
"""

from __future__ import annotations

import os
import sys
import time
from typing import NoReturn

from python_of_fault import CLOCK_SKEW_S
from spark_state import conditions

_OWN_TIME = ("-d", "--date", "-f", "--file", "-r", "--reference")


def main(arguments: list[str]) -> int:
    """Show the time, or refuse to set it."""
    if any(word in ("-s", "--set") or word.startswith("--set=") for word in arguments):
        print("date: cannot set date: Operation not permitted", file=sys.stderr)
        return 1
    return _become_date(arguments)


def _become_date(arguments: list[str]) -> NoReturn:
    words = list(arguments)
    if "clock-skew" in conditions() and not any(word.startswith(_OWN_TIME) for word in words):
        words = ["--date", f"@{time.time() + CLOCK_SKEW_S:.9f}", *words]
    os.execv("/usr/bin/date", ["date", *words])
