"""How long a heap of agents' tasks takes: so many tasks, of which so many are asked at once.

Tasks go in waves: the next wave starts when all of the last have their answers. The one rule: more tasks at once make
each slower, so the fastest way is looked for with the predictor and never supposed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.workload import Workload

MOST_TASKS = 1_000_000
STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers at once that are tried for "best"."""
KNEE_SHARE = 0.9
"""More at once stops helping where this share of the highest rate of tasks is reached."""


@dataclass(frozen=True, slots=True)
class AgentWorkload:
    """`tasks` (1 to 10^6) requests of this length. `concurrency` None: the number at once that ends soonest."""

    tasks: int
    prompt_tokens: int
    answer_tokens: int
    cached_share: float = 0.0
    concurrency: int | None = None

    def at(self, users: int) -> Workload:
        """The load while so many are asked at once."""
        return Workload("agents", "Agents", self.prompt_tokens, self.answer_tokens, users, self.cached_share)


@dataclass(frozen=True, slots=True)
class AgentPoint:
    """All tasks with so many at once: until all are done, and one wave's time."""

    concurrency: int
    total_s: Figure
    wave_s: Figure

    @property
    def tasks_per_s(self) -> float:
        """Of a full wave; NaN: not known."""
        return self.wave_s.inverse(self.concurrency).value


@dataclass(frozen=True, slots=True)
class AgentRun:
    """How the tasks are done soonest, or with the number at once that was asked for."""

    total_s: Figure
    concurrency: int
    knee: int | None
    """From here on more at once gives less than a tenth more tasks a second; None: not known."""
    points: tuple[AgentPoint, ...]
    """By concurrency, ascending."""


def run_tasks(workload: AgentWorkload, predict_at: Callable[[int], Prediction]) -> AgentRun:
    """How long the tasks take. `predict_at` tells of one setup with so many users at once, all starting together.

    Raises ValueError: less than one task, or none at once.
    """
    tasks, asked = workload.tasks, workload.concurrency
    if not 1 <= tasks <= MOST_TASKS or (asked is not None and asked < 1):
        raise ValueError("an agent workload has 1 to 10^6 tasks, and at least one at once")
    seen: dict[int, Figure] = {}

    def wave_s(users: int) -> Figure:
        if users not in seen:
            seen[users] = predict_at(users).e2e_s
        return seen[users]

    tried = sorted({*(step for step in STEPS if step < tasks), min(tasks, STEPS[-1]), min(asked or 1, tasks)})
    points = tuple(_point(tasks, users, wave_s) for users in tried)
    known = [point for point in points if point.total_s.is_known]
    if asked is not None:
        chosen = next(point for point in points if point.concurrency == min(asked, tasks))
    else:
        chosen = min(known, key=lambda point: point.total_s.value, default=points[0])
    return AgentRun(chosen.total_s, chosen.concurrency, _knee(known), points)


def _point(tasks: int, users: int, wave_s: Callable[[int], Figure]) -> AgentPoint:
    full, rest = divmod(tasks, users)
    wave = wave_s(users)
    if not wave.is_known:
        return AgentPoint(users, UNKNOWN, UNKNOWN)
    last = wave_s(rest) if rest else Figure(0.0, 0.0, 0.0)
    if not last.is_known:
        return AgentPoint(users, UNKNOWN, wave)
    # A smaller wave never takes longer than a full one, whatever the predictor's rounding says.
    total = Figure(*(full * a + min(a, b) for a, b in zip(_bounds(wave), _bounds(last), strict=True)))
    return AgentPoint(users, total, wave)


def _bounds(figure: Figure) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high


def _knee(points: list[AgentPoint]) -> int | None:
    """The least number at once that makes nearly as many tasks a second as any."""
    most = max((point.tasks_per_s for point in points), default=0.0)
    return next((point.concurrency for point in points if point.tasks_per_s >= KNEE_SHARE * most), None)
