"""Judges what the GPUs' clocks under load say: the median while the GPU was loaded, node by node, and the worst of all.

The one rule: an idle GPU says nothing about its clock; where no load was seen, or no clock was told, nothing passes.
Limits and words are the doctor's; unverified on hardware [gpu-clock-under-load].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, NodeFigure, ProofPart
from sparkdesk.core.bringup.proof.read_output import last_record, number
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes.doctor_gpu import HEALTHY_MHZ, LOAD_PERCENT, SLOW_MHZ, SLOW_STATE_REMEDY

if TYPE_CHECKING:
    from sparkdesk.core.bringup.proof.judge import Told

NotRead = Callable[["Told", Sequence[ProofPart]], Measurement]
LEAST_LOADED = 3
"""So many readings under load make a clock. Own choice."""
MOST_SAMPLES = 100
MOST_MHZ, MOST_WATTS = 6000.0, 500.0
"""A figure above is none."""
_AGAIN = "Measure again when the node answers."


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What one node's program says. `mhz` None: no clock under load was seen, for the reason in `message`."""

    mhz: float | None = None
    percent: float | None = None
    watts: float | None = None
    message: str = ""
    remedy: str = ""


def read_clock(text: str) -> ClockReading | None:
    """The last line of our program; None where there is none. Total, whatever a node prints."""
    said = last_record(text, "gpu_load")
    if said is None:
        return None
    message = make_line(str(said.get("message") or ""), max_chars=300)
    if message:
        return ClockReading(message=message, remedy=make_line(str(said.get("remedy") or ""), max_chars=200))
    rows = said.get("samples")
    samples = [row for row in rows[:MOST_SAMPLES] if isinstance(row, dict)] if isinstance(rows, list) else []
    if not samples:
        trouble = make_line(str(said.get("trouble") or ""), max_chars=300)
        return ClockReading(message=trouble or "no reading of the GPU came", remedy=_AGAIN)
    loaded = [row for row in samples if (number(row.get("percent"), 100.0) or 0.0) >= LOAD_PERCENT]
    if len(loaded) < LEAST_LOADED:
        seen = f"the load was seen in {len(loaded)} of {len(samples)} readings only"
        return ClockReading(
            message=seen, remedy="Measure again; if it stays so, look at nvidia-smi while a model answers."
        )
    clocks = _numbers(loaded, "mhz", MOST_MHZ)
    if len(clocks) < LEAST_LOADED:
        return ClockReading(message="nvidia-smi tells no clock", remedy="Update the node in the DGX Dashboard.")
    watts = _numbers(loaded, "watts", MOST_WATTS)
    return ClockReading(median(clocks), median(_numbers(loaded, "percent", 100.0)), median(watts) if watts else None)


def _numbers(rows: Sequence[dict[str, object]], name: str, most: float) -> list[float]:
    """Those that are figures; zero is none."""
    return [value for row in rows if (value := number(row.get(name), most))]


def judge_clock(told: Told, not_read: NotRead) -> Measurement:
    """The worst of all nodes, and each. `not_read` makes the measurement where a node's program did not speak."""
    found = [(part, read_clock(told.text(part))) for part in told.item.parts]
    whole = _judge_all(told, found, not_read)
    if whole.grade is Grade.SKIPPED:
        return whole
    return replace(whole, by_node=tuple(_figure(part, one) for part, one in found))


def _figure(part: ProofPart, one: ClockReading | None) -> NodeFigure:
    node_id = part.source.node_id
    if one is None or one.mhz is None:
        return NodeFigure(node_id, Grade.UNREAD, message=one.message if one is not None else "")
    grade = Grade.PASS if one.mhz >= HEALTHY_MHZ else Grade.FAIL if one.mhz < SLOW_MHZ else Grade.WARN
    return NodeFigure(node_id, grade, one.mhz / 1000, "" if grade is Grade.PASS else _slow_words(part, one))


def _judge_all(told: Told, found: Sequence[tuple[ProofPart, ClockReading | None]], not_read: NotRead) -> Measurement:
    item = told.item
    known = [(part, one) for part, one in found if one is not None and one.mhz is not None]
    slow = [(part, one) for part, one in known if one.mhz is not None and one.mhz < HEALTHY_MHZ]
    figures = ", ".join(f"{_ghz(one)} on {part.source.name}" for part, one in known)
    if slow:
        least = min(one.mhz for _, one in slow if one.mhz is not None)
        grade = Grade.FAIL if least < SLOW_MHZ else Grade.WARN
        causes = tuple(_slow_words(part, one) for part, one in sorted(slow, key=lambda pair: pair[1].mhz or 0.0))
        return Measurement(item, grade, least / 1000, "GHz", figures, causes[:4], SLOW_STATE_REMEDY)
    troubled = [(part, one) for part, one in found if one is None or one.mhz is None]
    if troubled or not found:
        return _trouble(told, troubled, not_read)
    shares = [one.percent for _, one in known if one.percent is not None]
    message = f"{figures}, loaded to {min(shares):.0f} % · healthy from {HEALTHY_MHZ / 1000:.1f} GHz"
    least = min(one.mhz for _, one in known if one.mhz is not None)
    return Measurement(item, Grade.PASS, least / 1000, "GHz", message)


def _trouble(told: Told, troubled: Sequence[tuple[ProofPart, ClockReading | None]], not_read: NotRead) -> Measurement:
    """What to say where not every node told its clock: the program's own words, if it has any."""
    if told.results.get("proof-ask") in ("failed", "cancelled"):
        return Measurement(told.item, Grade.SKIPPED, message="Left out: jobs run on its nodes, and nobody said yes.")
    found = not_read(told, [part for part, _ in troubled])
    spoken = next(((part, one) for part, one in troubled if one is not None), None)
    if found.grade is Grade.SKIPPED or spoken is None or spoken[1] is None:
        return found
    part, one = spoken
    return replace(found, message=f"{part.source.name}: {one.message}", remedy=one.remedy or found.remedy)


def _ghz(one: ClockReading) -> str:
    """Its unit stands beside the figure of the whole."""
    return f"{(one.mhz or 0.0) / 1000:.2f}"


def _slow_words(part: ProofPart, one: ClockReading) -> str:
    mhz, power = one.mhz or 0.0, f" and {one.watts:.0f} W" if one.watts is not None else ""
    words = f"{part.source.name}: {mhz:.0f} MHz at {one.percent or 0.0:.0f} % utilization{power}"
    if mhz < SLOW_MHZ:
        return f"{words}: the slow state, in which everything runs at a third of its speed"
    return f"{words}, below {HEALTHY_MHZ:.0f} MHz: everything runs slower"
