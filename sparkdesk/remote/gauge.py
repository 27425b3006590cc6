"""Judges a node's memory for a job's guard: how much is left, how fast it falls, how long all wait for it.

It also tells the kernel whom to end first, and keeps the guard's own pages in memory.

Loaded by guard.py from the job's folder, where both lie. The one rule: what cannot be read is not known, and never a
reason to end a server. Stdlib only, Python 3.8+. Environment: SPARKDESK_ROOT is put before /proc/meminfo and
/proc/pressure.
"""

from __future__ import annotations

import contextlib
import os

ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
PERIOD_S = 0.15  # between two looks: own choice
TREND_S = 0.5  # the time whose fall is told: own choice
AHEAD_S = 1.0
"""The fall of the last TREND_S, carried on for so long, must leave something: so long does a kill take."""
NEAR = 2.0
"""Fall and waiting count only below so many floors: an engine may well take most of the memory in one moment."""
STALL_SHARE = 0.5
"""All wait for memory half of the time, near the floor. Unverified on hardware [guard-pressure]."""
OOM_SCORE = 500  # an engine's; own choice of -1000 to 1000. Source: proc_pid_oom_score_adj(5)
OWN_OOM_SCORE = -900  # ours: nearly never, but -1000 is left to the system's own

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any

    Record = dict[str, Any]


def read_text(path: str) -> str:
    """A file of the kernel's; "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def say_bytes(count: float) -> str:
    """Bytes as a person reads them."""
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def read_available_bytes() -> int | None:
    """MemAvailable, or None."""
    words = read_text(ROOT + "/proc/meminfo").partition("MemAvailable:")[2].split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else None


def read_stall_us() -> int | None:
    """How long all processes waited for memory at once, since boot; None where the kernel does not tell."""
    words = read_text(ROOT + "/proc/pressure/memory").partition("full ")[2].partition("total=")[2].split()
    return int(words[0]) if words and words[0].isdigit() else None


def write_oom_score(pid: int, score: int) -> None:
    """Whom the kernel ends first; a lower one than ours needs a right that we may not have."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write(str(score))


def lock_memory() -> None:
    """Keep our own pages in memory where we may lock as much as we like: the usual limit is too small for a Python."""
    import resource

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        import ctypes

        ctypes.CDLL(None).mlockall(3)  # all of now and of later


class Gauge:
    """Judges one look after the other."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._looks: list[tuple[float, int, int | None]] = []
        self.figures: Record = {}

    def judge(self, now: float, available: int | None, stall_us: int | None) -> str:
        """Why memory is about to end; "" when it is not."""
        if available is None or self.floor <= 0:
            self._looks.clear()
            return ""
        # The last look counts however old it is: a node that is about to freeze slows us down, too.
        recent = [look for look in self._looks if now - look[0] <= 2 * TREND_S] or self._looks[-1:]
        self._looks = [*recent, (now, available, stall_us)]
        was_low = len(self._looks) > 1 and self._looks[-2][1] < self.floor
        slope, stall = self._find_slope(), self._find_stall()
        self.figures = {
            "available_bytes": available, "floor_bytes": self.floor, "slope_bytes_s": round(slope),
            "stall_share": None if stall_us is None else round(stall, 3),
        }  # fmt: skip
        left = f"{say_bytes(available)} available, at least {say_bytes(self.floor)} wanted"
        if available < self.floor and (was_low or slope < 0.0):
            return left
        if available < NEAR * self.floor and available + slope * AHEAD_S <= 0.0:
            return f"{left}, and it falls by {say_bytes(-slope)} a second"
        if available < NEAR * self.floor and stall >= STALL_SHARE:
            return f"{left}, and the node stands still {stall:.0%} of the time"
        return ""

    def _find_slope(self) -> float:
        """Bytes a second, negative when it falls: the gentler of the last half second and of the last look."""
        now, available, _ = self._looks[-1]
        aged = [look for look in self._looks[:-1] if now - look[0] >= 0.5 * TREND_S]
        if not aged:
            return 0.0
        old = next((look for look in aged if now - look[0] <= TREND_S + PERIOD_S), aged[-1])
        before = self._looks[-2]
        whole = (available - old[1]) / (now - old[0])
        return max(whole, (available - before[1]) / max(now - before[0], 1e-3))

    def _find_stall(self) -> float:
        """The share of the last second that all waited; 0.0 where that is not known."""
        (then, _, old), (now, _, new) = self._looks[0], self._looks[-1]
        if old is None or new is None or now - then < TREND_S:
            return 0.0
        return (new - old) / 1e6 / (now - then)
