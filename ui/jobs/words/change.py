"""Changes of a launch in words: what a fix or a proposal sets, and what an engine said against what was planned.

The one rule: before and after stand side by side; a field without a title here is shown by its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.truth import TruthRow
from ui import text

TITLES: Final[Mapping[str, str]] = {
    "context_tokens": "context",
    "concurrency": "users at once",
    "kv_dtype": "KV cache type",
    "quantization": "weights",
    "prefix_caching": "prefix cache",
    "speculative": "speculative decoding",
    "speculative_tokens": "guesses a step",
    "memory_fraction": "share of memory",
    "port": "port",
    "image": "image",
    "extra_flags": "extra flags",
    "environment": "environment",
    "max_batched_tokens": "tokens a batch",
    "attention_backend": "attention backend",
    "moe_backend": "MoE backend",
    "load_format": "loader",
    "weights_path": "file of the weights",
    "weights_from": "where the files come from",
    "trust_remote_code": "code that comes with the model",
    "reach": "who reaches it",
    "nodes": "nodes",
    "model": "model",
    "engine": "engine",
}
MOST: Final = 8


def value_words(value: object) -> str:
    """A field's value as a person reads it."""
    if value is None:
        return "the engine's own"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return text.grouped(value) if value >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)):
        return " ".join(value_words(each) for each in value) or "none"
    return text.one_line(str(value), 80) or "none"


def change_words(request: LaunchRequest | None, change: tuple[tuple[str, object], ...]) -> str:
    """What is set: "context 131,072 to 65,536, KV cache type none to fp8"; "" for nothing."""
    parts = []
    for name, value in change[:MOST]:
        title = TITLES.get(name, text.one_line(name, 40).replace("_", " "))
        before = getattr(request, name, None) if request is not None else None
        old = f"{value_words(before)} to " if request is not None else ""
        parts.append(f"{title} {old}{value_words(value)}")
    return ", ".join(parts)


def changed_request(request: LaunchRequest, change: tuple[tuple[str, object], ...]) -> LaunchRequest | None:
    """The request with the changes; None where they make none. Never raises."""
    try:
        return LaunchRequest.model_validate({**request.model_dump(), **dict(change)})
    except ValueError:
        return None


class TruthText(NamedTuple):
    """One row: planned, told by the engine, the difference."""

    title: str
    planned: str
    told: str
    difference: str
    is_off: bool
    """Whether they are more than 15 % apart."""


FAR: Final = 0.15


def truth_texts(rows: tuple[TruthRow, ...]) -> tuple[TruthText, ...]:
    """The ledger against the truth."""
    return tuple(_truth_text(row) for row in rows[:12])


def _truth_text(row: TruthRow) -> TruthText:
    planned, told = _amount(row.planned, row.unit), _amount(row.told, row.unit)
    if not (text.is_known(row.planned) and text.is_known(row.told)) or row.planned == 0:
        return TruthText(text.one_line(row.title, 60), planned, told, text.NOT_KNOWN, False)
    share = row.told / row.planned - 1.0
    words = "as planned" if abs(share) < 0.005 else f"{text.change(share * 100)}{text.THIN_SPACE}%"
    return TruthText(text.one_line(row.title, 60), planned, told, words, abs(share) > FAR)


def _amount(value: float, unit: str) -> str:
    if not text.is_known(value):
        return text.NOT_KNOWN
    if unit == "bytes":
        return str(text.memory(value))
    if unit == "s":
        return text.stage_time(value)
    return f"{text.grouped(value)} tokens"
