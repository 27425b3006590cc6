"""A heap of agents' tasks on the chosen plan, as words: when all are done, and where more at once stops helping.

The one rule: the number at once is that of the workload's users; another number is named only where it ends sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkdesk.core.planning.agent.workload import AgentPoint, AgentRun
from ui import text
from ui.text import Quantity

_MOST_SECONDS: Final = 3600.0
_SAME_SHARE: Final = 0.98
"""A number at once that saves less than this is none to name."""


@dataclass(frozen=True, slots=True)
class AgentWords:
    """What the card says, and the points that it draws."""

    total: Quantity
    title: str
    band: str
    lines: tuple[str, ...]
    points: tuple[AgentPoint, ...]
    chosen: int
    """Tasks at once, of the workload."""
    knee: int | None
    """From here on more at once hardly helps; None: not known, or nothing more was tried."""

    @property
    def sentence(self) -> str:
        """All of it, for a screen reader."""
        return ". ".join((f"{self.title}: about {self.total}, {self.band}", *self.lines))


def long_time(time_s: float | None) -> Quantity:
    """A time that may be hours: 48.1 s, 6 min 10 s, 3 h 12 min."""
    if time_s is not None and text.is_known(time_s) and time_s >= _MOST_SECONDS:
        return Quantity(text.duration(time_s), "")
    return text.first_token_time(time_s)


def agent_words(run: AgentRun | None, tasks: int, most: int | None = None) -> AgentWords | None:
    """The words of a run of so many tasks; None where nothing is known of it.

    `most` is what memory holds at once, of the plan's row; None: not known, then the last number tried that it held.
    """
    if run is None or not run.total_s.is_known:
        return None
    known = [point for point in run.points if point.total_s.is_known]
    last = max(point.concurrency for point in known)
    knee = run.knee if run.knee is not None and run.knee < last else None
    lines = (_soonest_line(run, known), _knee_line(knee), _alone_line(run, known), _room_line(run, last, tasks, most))
    return AgentWords(
        total=long_time(run.total_s.value),
        title=f"{_tasks(tasks)}, {text.count(run.concurrency)} at once",
        band=text.span(long_time(run.total_s.low), long_time(run.total_s.high)),
        lines=tuple(line for line in lines if line),
        points=run.points,
        chosen=run.concurrency,
        knee=knee,
    )


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{text.count(count)} tasks"


def _soonest_line(run: AgentRun, known: list[AgentPoint]) -> str:
    best = min(known, key=lambda point: point.total_s.value)
    if best.concurrency == run.concurrency or best.total_s.value > _SAME_SHARE * run.total_s.value:
        return "No other number at once ends much sooner"
    return f"Soonest with {text.count(best.concurrency)} at once: about {long_time(best.total_s.value)}"


def _knee_line(knee: int | None) -> str:
    return f"Beyond {text.count(knee)} at once it gains less than 10 %" if knee is not None else ""


def _alone_line(run: AgentRun, known: list[AgentPoint]) -> str:
    single = next((point for point in known if point.concurrency == 1), None)
    if single is None or single.wave_s.value <= 0 or run.concurrency == 1:
        return ""
    times = run.total_s.value / single.wave_s.value
    said = text.grouped(times, 1 if times < 99.95 else 0)
    return f"{said} times one task alone, which takes {long_time(single.wave_s.value)}"


def _room_line(run: AgentRun, last: int, tasks: int, most: int | None) -> str:
    is_cut = any(point.concurrency > last for point in run.points)
    # Only some numbers were tried: what the row says lies between the last that it held and the next.
    held = last if most is None else max(most, last)
    return f"Memory holds about {text.count(held)} at once" if is_cut and held < tasks else ""
