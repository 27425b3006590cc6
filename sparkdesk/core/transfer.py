"""How far a transfer is, in words: bytes, rate, and the time that is left.

The one rule: a rate is of the last seconds, and no time is told before there is one. Sizes are in GB, as disks and
downloads are written.
"""

from __future__ import annotations

import math
from collections import deque

from sparkdesk.core.plain_text import make_line

WINDOW_S = 10.0
MIN_SPAN_S = 1.0
MAX_TRIES = 1000
MAX_WAIT_S = 86_400
MAX_WHY_CHARS = 80


class TransferRate:
    """Bytes a second over the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now_s: float, done_bytes: int) -> None:
        """So much is done now."""
        self._seen.append((now_s, done_bytes))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    def bytes_per_s(self) -> float | None:
        """None while it is not known."""
        if len(self._seen) < 2:
            return None
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_s - first_s) if last_s - first_s >= MIN_SPAN_S else None


def transfer_words(done_bytes: int, total_bytes: int, bytes_per_s: float | None, again: str = "") -> str:
    """E.g. "12.4 of 35.0 GB, 112 MB/s, 3 min left"; while it waits for another try (`again`), that in place of a
    rate: "12.4 of 35.0 GB; line cut at 35 %, trying again 2 of 5 in 4 s"."""
    words = f"{size_words(done_bytes, total_bytes)} of {size_words(total_bytes)}"
    if again:
        return f"{words}; {again}"
    if bytes_per_s is None or bytes_per_s <= 0:
        return words
    left_s = max(0, total_bytes - done_bytes) / bytes_per_s
    return f"{words}, {bytes_per_s / 1e6:.3g} MB/s, {time_words(left_s)} left"


def again_words(value: object, fraction: float | None) -> str:
    """What a download on a node says of its next try ("why", "try", "of", "in_s"), e.g. "line cut at 41 %, trying again
    2 of 5 in 4 s"; "" when it waits for none. Total: any JSON value is fine."""
    if not isinstance(value, dict) or not isinstance(value.get("why"), str):
        return ""
    at = f" at {min(99, round(fraction * 100))} %" if fraction is not None else ""
    number, count, in_s = value.get("try"), value.get("of"), value.get("in_s")
    if type(number) is not int or type(count) is not int or not 0 < number <= count < MAX_TRIES:
        return make_line(value["why"], max_chars=MAX_WHY_CHARS)
    is_time = isinstance(in_s, int | float) and 0 <= in_s < MAX_WAIT_S
    when = f" in {time_words(math.ceil(in_s))}" if is_time and isinstance(in_s, int | float) else ""
    return f"{make_line(value['why'], max_chars=MAX_WHY_CHARS)}{at}, trying again {number} of {count}{when}"


def size_words(size_bytes: int, like_bytes: int | None = None) -> str:
    """E.g. "35.0 GB", "4.1 MB"; `like_bytes` chooses the unit, which is then left out."""
    scale = size_bytes if like_bytes is None else like_bytes
    factor, unit = next(((f, u) for f, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if scale >= f), (1.0, "B"))
    number = f"{size_bytes / factor:.{0 if factor == 1.0 else 1}f}"
    return number if like_bytes is not None else f"{number} {unit}"


def time_words(seconds: float) -> str:
    """E.g. "40 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
