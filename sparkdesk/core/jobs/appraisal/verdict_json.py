"""Verdicts as the JSON that is stored, and back: a job's first one, against which it is held, and its last.

The one rule: what comes back is typed like a stranger's; a figure that is not known is `null`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sparkdesk.core.jobs.verdict import Cause, Pace, Verdict

SCHEMA = 1
MAX_CHARS = 1000
MAX_CAUSES = 20
_FIGURES = ("measured_tok_s", "expected_tok_s", "low_tok_s", "high_tok_s", "ttft_s")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is kept of one job. `version` is what its engine called itself when the first was made."""

    first: Verdict
    last: Verdict
    version: str = ""
    launch: str = ""
    """Model, engine and build, by which jobs of the same launch are known."""


def to_json(kept: Verdicts) -> bytes:
    """Both, whole."""
    rows = {"first": _data(kept.first), "last": _data(kept.last)}
    words = {"version": kept.version, "launch": kept.launch}
    return json.dumps({"schema": SCHEMA, **words, **rows}, allow_nan=False).encode()


def from_json(text: bytes) -> Verdicts:
    """Raises KeyError, TypeError or ValueError for what is not stored verdicts of this schema."""
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError("not stored verdicts of this schema")
    version, launch = (str(data[key])[:MAX_CHARS] for key in ("version", "launch"))
    return Verdicts(_verdict(data["first"]), _verdict(data["last"]), version, launch)


def _data(verdict: Verdict) -> dict[str, Any]:
    data = asdict(verdict)
    return data | {key: data[key] if math.isfinite(data[key]) else None for key in _FIGURES}


def _verdict(data: Mapping[str, Any]) -> Verdict:
    causes = data["causes"]
    return Verdict(
        pace=Pace(data["pace"]),
        measured_tok_s=_figure(data["measured_tok_s"]),
        expected_tok_s=_figure(data["expected_tok_s"]),
        low_tok_s=_figure(data["low_tok_s"]),
        high_tok_s=_figure(data["high_tok_s"]),
        ttft_s=_figure(data["ttft_s"]),
        prompt_tokens=int(data["prompt_tokens"]),
        answer_tokens=int(data["answer_tokens"]),
        at_ms=int(data["at_ms"]),
        causes=tuple(_cause(one) for one in causes[:MAX_CAUSES]),
        note=str(data["note"])[:MAX_CHARS],
    )


def _figure(value: Any) -> float:
    return math.nan if value is None else float(value)


def _cause(data: Mapping[str, Any]) -> Cause:
    words = [str(data[key])[:MAX_CHARS] for key in ("key", "words", "evidence", "remedy")]
    return Cause(words[0], words[1], words[2], words[3])
