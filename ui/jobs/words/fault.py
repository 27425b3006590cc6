"""Why a deployment failed, as a person needs it: the cause first, then what was seen, then what to change.

The one rule: the log's last line is evidence at most; where the guard named why it acted, it is left to the log.
Source of the guard's words: remote/guard.py.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sparkdesk.core.jobs.record import JobStatus
from ui import text

_LAST: Final = ". Last line: "
_AMOUNT: Final = r"[\d.,]{1,12} (?:bytes|[KMGT]iB)"
_FLOOR: Final = re.compile(
    rf"memory floor: (?P<left>{_AMOUNT}) available(?:, at least (?P<floor>{_AMOUNT}) wanted)?"
    rf"(?:, and it falls by (?P<fall>{_AMOUNT}) a second)?"
    r"(?:, and the node stands still (?P<stall>\d{1,3})% of the time)?"
)
_SHORT: Final = re.compile(r"exit code \d{1,3}|signal \d{1,2}|HTTP \d{3}")
MOST_CHARS: Final = 600
LESS_MEMORY: Final = "Ask for less: a shorter context, fewer users at once, or stop what runs beside it."


class Fault(NamedTuple):
    """Why it failed. `evidence` and `remedy` are "" where nothing is known; `short` fits below a timeline's point."""

    cause: str
    evidence: str = ""
    remedy: str = ""
    short: str = ""


def read_fault(job: JobStatus, places: str) -> Fault:
    """Cause and evidence out of what the services and the node say of the end. `places`: the names of its nodes."""
    told = text.one_line(job.message, MOST_CHARS)
    floor = _FLOOR.search(told)
    if floor is not None:
        return _floor_fault(floor, places)
    cause, _, last = told.partition(_LAST)
    short = _SHORT.search(cause)
    evidence = f"Its last line: {last}" if last else ""
    return Fault(cause, evidence, text.one_line(job.remedy, MOST_CHARS), short[0] if short is not None else cause)


def _floor_fault(found: re.Match[str], places: str) -> Fault:
    seen = f"{found['left']} of memory were left"
    if found["floor"]:
        seen += f", its floor is {found['floor']}"
    if found["fall"]:
        seen += f", and it fell by {found['fall']} a second"
    if found["stall"]:
        seen += f", and the node stood still {found['stall']}{text.THIN_SPACE}% of the time"
    where = f" on {text.one_line(places, 120)}" if places else ""
    return Fault(
        f"Memory ran low{where}: the guard stopped it before the node froze", seen, LESS_MEMORY, "memory floor"
    )
