"""Why a deployment failed, as a person needs it: the cause first, then what was seen, then what to change.

The one rule: the log's last line is evidence at most; where the guard named why it acted, it is left to the log.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sparkdesk.core.jobs.guard_end import LowMemory, read_low_memory
from sparkdesk.core.jobs.record import JobStatus
from ui import text

_LAST: Final = ". Last line: "
_SHORT: Final = re.compile(r"exit code \d{1,3}|signal \d{1,2}|HTTP \d{3}")
MOST_CHARS: Final = 600


class Fault(NamedTuple):
    """Why it failed. `evidence` and `remedy` are "" where nothing is known; `short` fits below a timeline's point."""

    cause: str
    evidence: str = ""
    remedy: str = ""
    short: str = ""


def read_fault(job: JobStatus, places: str) -> Fault:
    """Cause and evidence out of what the services and the node say of the end. `places`: the names of its nodes."""
    told = text.one_line(job.message, MOST_CHARS)
    low = read_low_memory(told)
    if low is not None:
        return _memory_fault(low, places, text.one_line(job.remedy, MOST_CHARS))
    cause, _, last = told.partition(_LAST)
    short = _SHORT.search(cause)
    evidence = f"Its last line: {last}" if last else ""
    return Fault(cause, evidence, text.one_line(job.remedy, MOST_CHARS), short[0] if short is not None else cause)


def _memory_fault(low: LowMemory, places: str, remedy: str) -> Fault:
    seen = f"{low.left} of memory were left"
    if low.floor:
        seen += f", its floor is {low.floor}"
    if low.fall:
        seen += f", and it fell by {low.fall} a second"
    if low.stall:
        seen += f", and the node stood still {low.stall}{text.THIN_SPACE}% of the time"
    where = f" on {text.one_line(places, 120)}" if places else ""
    return Fault(f"Memory ran low{where}: the guard stopped it before the node froze", seen, remedy, "memory floor")
