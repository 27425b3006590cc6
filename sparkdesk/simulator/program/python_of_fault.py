"""The `python3` of a node whose clock or disk is at fault: the real one, told what time() and statvfs() say there.

The one rule: only programs given by `-c` see it, which is how SparkDesk's own run; everything else runs as it is.
"""

from __future__ import annotations

import os
import sys

from spark_state import conditions

CLOCK_SKEW_S = 600.0
_CLOCK = (
    "import time as _t\n"
    f"_t.time = lambda _f=_t.time: _f() + {CLOCK_SKEW_S}\n"
    f"_t.time_ns = lambda _f=_t.time_ns: _f() + {int(CLOCK_SKEW_S * 1e9)}\n"
)
_DISK = (
    "import os as _o\n"
    "def _v(path, _f=_o.statvfs):\n"
    "    s = list(_f(path)); s[3] = s[2] // 20; s[4] = 0\n"
    "    return _o.statvfs_result(s)\n"
    "_o.statvfs = _v\n"
)


def main(arguments: list[str]) -> int:
    """Become the real Python."""
    on, words = conditions(), list(arguments)
    patch = (_CLOCK if "clock-skew" in on else "") + (_DISK if "disk-full" in on else "")
    for at, word in enumerate(words[:-1]):
        if word == "-c" or not word.startswith("-"):
            if word == "-c":
                words[at + 1] = f"{patch}{words[at + 1]}"
            break
    python = os.path.realpath(sys.executable)
    os.execv(python, [python, *words])
