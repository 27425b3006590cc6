"""How long earlier starts of a server took, phase by phase, and what that says of how long this one will take. Pure.

The one rule: only starts of the same model, engine, build and nodes count, and without one nothing is said. Fetching an
image or weights is not foreseen from the past, for what lies on the node changes; it tells its own rate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeGuard

from sparkdesk.core.jobs.record import Phase, PhaseState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.timeline import PREFLIGHT, READY, SWITCH

SCHEMA = 1
KEEP = 8
"""Starts that are kept: more would hold on to what an older driver or image took."""
NAN = float("nan")
MAX_PHASES = 32
MAX_S = 86_400.0
FETCHING = ("image", "weights", "copy")
SHORT_S = 5.0
"""A look whether image and weights are there takes less; what takes longer is a download."""


@dataclass(frozen=True, slots=True)
class StartTimes:
    """Seconds by phase of each start that was seen whole, the newest last."""

    starts: tuple[Mapping[str, float], ...] = ()

    def with_start(self, phases: Sequence[Phase]) -> StartTimes:
        """With one more; unchanged when it was not seen whole."""
        seconds = {
            phase.key: phase.seconds
            for phase in phases
            if phase.key not in (READY, PREFLIGHT, SWITCH, *FETCHING) and phase.state is PhaseState.DONE
        }
        if not seconds or not all(0.0 <= taken <= MAX_S for taken in seconds.values()):
            return self
        return StartTimes((*self.starts, seconds)[-KEEP:])

    @property
    def medians_s(self) -> dict[str, float]:
        """The usual seconds of each phase."""
        keys = dict.fromkeys(key for start in self.starts for key in start)
        return {key: median(start.get(key, 0.0) for start in self.starts) for key in keys}

    @property
    def usual_s(self) -> float:
        """From the first file that is written until ready, image and weights being there; NaN without a start."""
        return sum(self.medians_s.values()) if self.starts else NAN

    def to_json(self) -> bytes:
        """As it is kept."""
        return json.dumps({"schema": SCHEMA, "starts": [dict(start) for start in self.starts]}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> StartTimes:
        """From `to_json`; what cannot be read is left out. Total."""
        try:
            kept = json.loads(data)
        except (ValueError, RecursionError):
            return cls()
        rows = kept.get("starts") if isinstance(kept, dict) and kept.get("schema") == SCHEMA else None
        starts = [_read_start(row) for row in rows[-KEEP:]] if isinstance(rows, list) else []
        return cls(tuple(start for start in starts if start))


def start_key(request: LaunchRequest) -> str:
    """Which starts are alike: 16 hex digits of model, weights, engine, build, image and nodes."""
    same = (
        request.engine,
        request.model,
        request.weights_path,
        request.quantization,
        request.build,
        request.image,
        *request.nodes,
    )
    return hashlib.sha256("\n".join(same).encode()).hexdigest()[:16]


def time_left_s(starts: StartTimes, phases: Sequence[Phase]) -> float:
    """Until ready, from the usual seconds of what is to come; NaN where that is not known.

    A phase that takes longer than usual counts as nearly over; a download counts by what it has told of itself.
    """
    usual = starts.medians_s
    if not usual:
        return NAN
    left_s = 0.0
    for phase in phases:
        if phase.state is PhaseState.FAILED:
            return NAN
        if phase.key in FETCHING:
            left_s += _fetch_left_s(phase)
        elif phase.state is PhaseState.TO_DO:
            left_s += usual.get(phase.key, 0.0)
        elif phase.state is PhaseState.CURRENT and phase.key != READY:
            left_s += max(usual.get(phase.key, 0.0) - phase.seconds, 0.0)
    return left_s


def _fetch_left_s(phase: Phase) -> float:
    if phase.state is not PhaseState.CURRENT or phase.seconds < SHORT_S:
        return 0.0
    if not 0.01 <= phase.fraction <= 1.0:
        return NAN
    return phase.seconds * (1.0 - phase.fraction) / phase.fraction


def _read_start(row: object) -> dict[str, float]:
    if not isinstance(row, dict):
        return {}
    pairs = list(row.items())[:MAX_PHASES]
    return {key: float(value) for key, value in pairs if isinstance(key, str) and _is_time(value)}


def _is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= MAX_S
