"""Which concerns stand: a moment does not raise one, and a moment does not clear one.

The one rule: only what was seen counts. Time in which a thing could not be told neither raises, nor clears, nor counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sparkdesk.core.findings.concern import Concern, Judgement

LONGEST_STEP_MS = 15_000
"""Two looks further apart than this do not tell what was between them (this computer slept): so much counts at most."""
_UNKNOWN = "unknown"
_GONE = "gone"


@dataclass(slots=True)
class _Case:
    """One possible concern: what stands, and for how long something else has been seen."""

    shown: Concern | None = None
    last: str = _UNKNOWN
    last_ms: int = 0
    seen_ms: int = 0


class Standings:
    """The concerns that stand, by id. Feed judgements with times (ms) that never go back."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}

    def take(self, judgements: Iterable[Judgement], now_ms: int) -> None:
        """What was judged in this moment; ids that are not among it stay as they were."""
        for judgement in judgements:
            if judgement.concern is not None or judgement.id in self._cases:
                _take(self._cases.setdefault(judgement.id, _Case()), judgement, now_ms)

    @property
    def concerns(self) -> tuple[Concern, ...]:
        """What stands, in no order."""
        return tuple(case.shown for case in self._cases.values() if case.shown is not None)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        for case in self._cases.values():
            case.last_ms += moved_ms
            if case.shown is not None:
                case.shown = _move(case.shown, moved_ms)

    def forget(self, *ids: str) -> None:
        """Take these back, and judge them anew."""
        for key in ids:
            self._cases.pop(key, None)

    def keep_nodes(self, node_ids: Iterable[str]) -> None:
        """Forget what was about other nodes; the cluster's own concerns are judged anew."""
        known = {*node_ids, ""}
        self._cases = {key: case for key, case in self._cases.items() if key.split("/", 2)[1] in known}


def _take(case: _Case, judgement: Judgement, now_ms: int) -> None:
    concern = judgement.concern
    kind = _kind(judgement)
    step_ms = min(max(0, now_ms - case.last_ms), LONGEST_STEP_MS)
    is_same = kind == case.last
    case.last_ms = now_ms
    if kind == _UNKNOWN:
        if judgement.is_brief and case.shown is not None and not case.shown.silent_ms:
            case.shown = replace(case.shown, silent_ms=now_ms - step_ms)
        return  # what was seen before goes on after it; the time from here on counts again, the gap does not
    case.seen_ms = case.seen_ms + step_ms if is_same else 0
    case.last = kind
    if concern is None:
        if case.seen_ms >= judgement.clear_s * 1000:
            case.shown = None
        elif case.shown is not None:
            case.shown = replace(case.shown, evidence=judgement.easing or case.shown.evidence, silent_ms=0)
    elif case.shown is not None and kind == _kind_of(case.shown):
        case.shown = replace(concern, since_ms=case.shown.since_ms)
    elif case.seen_ms >= judgement.appear_s * 1000:
        since_ms = case.shown.since_ms if case.shown is not None else now_ms - case.seen_ms
        case.shown = replace(concern, since_ms=since_ms)


def _move(concern: Concern, moved_ms: int) -> Concern:
    silent_ms = concern.silent_ms + moved_ms if concern.silent_ms else 0
    return replace(concern, since_ms=concern.since_ms + moved_ms, silent_ms=silent_ms)


def _kind(judgement: Judgement) -> str:
    if judgement.concern is not None:
        return _kind_of(judgement.concern)
    return _GONE if judgement.is_known else _UNKNOWN


def _kind_of(concern: Concern) -> str:
    return f"{concern.severity.value} {concern.fingerprint}"
