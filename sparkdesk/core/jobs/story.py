"""What is kept of how a job went, so that it can be told after this program was started anew. Pure.

The one rule: only what was seen is kept; what goes on when it is kept has its beginning, and no length.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.record import Phase, PhaseState
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.untrusted import Fields, parse_object

SCHEMA = 1
MAX_BYTES = 1 << 20
MAX_PHASES = 64
MAX_TRIES = 20
MAX_S = 10 * 366 * 86_400.0
NOTE_CHARS = 200
TRY_CHARS = 500


@dataclass(frozen=True, slots=True)
class Story:
    """A job's timeline and the ends of its earlier tries, each in its guard's words."""

    phases: tuple[Phase, ...] = ()
    begun_ms: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """When each phase that goes on began, by its key, in epoch milliseconds of this computer."""
    results: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What phases came to, by key."""
    restarts: int = 0
    tries: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[object, ...]:
        """What makes it worth keeping anew: how the phases stand, and the tries; not how long one has gone on."""
        stands = tuple((phase.key, phase.state) for phase in self.phases)
        return (stands, tuple(self.begun_ms), tuple(self.results.items()), self.restarts, self.tries)

    def to_json(self) -> bytes:
        """As it is kept."""
        kept = {
            "schema": SCHEMA,
            "phases": [_phase_to_data(phase) for phase in self.phases],
            "begun_ms": dict(self.begun_ms),
            "results": dict(self.results),
            "restarts": self.restarts,
            "tries": list(self.tries),
        }
        return json.dumps(kept, ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Story:
        """From `to_json`. Raises PlanError for anything else."""
        fields = parse_object(data, max_bytes=MAX_BYTES, what="story of a job")
        if fields.whole("schema", low=1, high=1_000_000) != SCHEMA:
            raise PlanError("How this job went was kept by another release", remedy="Its log tells more.")
        phases = tuple(_phase_from(phase) for phase in fields.objects("phases", max_items=MAX_PHASES))
        keys = {phase.key for phase in phases}
        begun, results = fields.object("begun_ms"), fields.object("results")
        return cls(
            phases=phases,
            begun_ms={key: begun.whole(key, low=0, high=1 << 53) for key in keys if begun.has(key)},
            results={key: make_line(results.text(key), max_chars=NOTE_CHARS) for key in keys if results.has(key)},
            restarts=fields.whole("restarts", low=0, high=1_000_000),
            tries=fields.texts("tries", max_items=MAX_TRIES, max_chars=2 * TRY_CHARS),
        )


def _phase_to_data(phase: Phase) -> dict[str, Any]:
    seconds = phase.seconds if math.isfinite(phase.seconds) else None
    return {"key": phase.key, "title": phase.title, "state": phase.state.value, "seconds": seconds, "note": phase.note}


def _phase_from(fields: Fields) -> Phase:
    try:
        state = PhaseState(fields.text("state", max_chars=20))
    except ValueError:
        raise fields.fail("state", "no state of a phase") from None
    seconds = fields.data.get("seconds")
    return Phase(
        key=fields.text("key", max_chars=64),
        title=make_line(fields.text("title", max_chars=200)),
        state=state,
        seconds=math.nan if seconds is None else fields.number("seconds", low=0.0, high=MAX_S),
        note=make_line(fields.text("note", "", max_chars=2 * NOTE_CHARS), max_chars=NOTE_CHARS),
    )
