"""What it means when the guard on a node ended a server, out of its own words: the cause, and what helps. Pure.

The one rule: where the guard acted its own figures are the cause; the engine's last line is none, and is not told as
one. Source of the words: remote/guard.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_AMOUNT = r"[\d.,]{1,12} (?:bytes|[KMGT]iB)"
_FLOOR = re.compile(
    rf"memory floor: (?P<left>{_AMOUNT}) available(?:, at least (?P<floor>{_AMOUNT}) wanted)?"
    rf"(?:, and it falls by (?P<fall>{_AMOUNT}) a second)?"
    r"(?:, and the node stands still (?P<stall>\d{1,3})% of the time)?"
)
_TIME = re.compile(r"its time was up: (\d{1,9}) s after its start")


@dataclass(frozen=True, slots=True)
class LowMemory:
    """What the guard saw when it acted, in its own words for amounts; "" where it did not tell."""

    left: str
    floor: str = ""
    fall: str = ""
    """By so much a second."""
    stall: str = ""
    """Per cent of the time that everything waited for memory."""


def read_low_memory(words: str) -> LowMemory | None:
    """The guard's figures, where these words tell that memory was why; else None. Total."""
    found = _FLOOR.search(words[:4096])
    return LowMemory(**{name: text or "" for name, text in found.groupdict().items()}) if found is not None else None


@dataclass(frozen=True, slots=True)
class GuardEnd:
    """Why it was ended, and what a person does about it. `is_planned`: its plan said so, and nothing has failed."""

    message: str
    remedy: str
    is_planned: bool = False


def read_guard_end(words: str) -> GuardEnd | None:
    """What the guard did, where these words tell that it was the guard; else None. Total."""
    floor = _FLOOR.search(words[:4096])
    if floor is not None:
        return GuardEnd(
            f"Its guard on the node ended it before the node froze, {floor[0]}",
            "Launch it with less context or fewer requests at once, or stop another server on the node first.",
        )
    time = _TIME.search(words[:4096])
    if time is not None:
        message = f"Its time was up: it was to stop {int(time[1]):,} s after its start"
        return GuardEnd(message, "Launch it again if you need it.", is_planned=True)
    return None
