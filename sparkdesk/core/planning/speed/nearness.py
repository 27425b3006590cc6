"""Which measured cases stand near a prediction: what it leans on, and how wide its band is.

The one rule: distance is counted in what is not the same, in the order of how much it changes a speed: model, format,
engine and build, division, then how far users and prompt are apart (in doublings).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.planning.prediction import MeasuredCase
from sparkdesk.core.planning.setup import EngineProfile, Setup
from sparkdesk.core.planning.speed.measurement import Measurement
from sparkdesk.core.planning.workload import Workload

if TYPE_CHECKING:
    from sparkdesk.core.planning.reference import Reference

MODEL, FORMAT, ENGINE, BUILD, DIVISION, KV, DOUBLING = 4.0, 1.5, 1.5, 2.0, 1.0, 0.25, 0.25
SLIGHT = 0.01
"""So that the very case stands before one that differs only in what hardly matters."""
FAR = 3.0
"""From this distance on no case is near: another model always is."""
MOST_CASES = 3


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest cases, nearest first, and whether none is near for each of the two phases."""

    cases: tuple[MeasuredCase, ...]
    is_decode_far: bool
    is_ttft_far: bool


def nearest_cases(setup: Setup, workload: Workload, reference: Reference, departures: tuple[str, ...] = ()) -> Nearest:
    """What a prediction of this setup under this load leans on; `departures` are what else is not as it was there."""
    found = [
        (distance, row)
        for row in reference.measurements
        if row.is_fitted and row.model == setup.spec.key and (distance := _distance(setup, workload, row)) < FAR
    ]
    found.sort(key=lambda pair: (pair[0], pair[1].key))
    has_speculation = setup.speculative not in ("", "none")
    return Nearest(
        tuple(
            MeasuredCase(
                row.key,
                *_words(row, *_titles(row, reference.engines)),
                _join((*_differences(setup, workload, row), *departures)),
                row.ttft_s,
                row.tpot_s,
            )
            for _, row in found[:MOST_CASES]
        ),
        is_decode_far=has_speculation or not any(row.tpot_s for _, row in found),
        is_ttft_far=not any(row.ttft_s for _, row in found),
    )


def _distance(setup: Setup, workload: Workload, row: Measurement) -> float:
    apart = 0.0 if row.model == setup.spec.key else MODEL
    apart += FORMAT * (row.format != setup.weights.key) + ENGINE * (row.engine != setup.engine.key)
    apart += BUILD * (row.build != setup.build.key) + DIVISION * (row.parallelism != setup.parallelism)
    apart += KV * (_cache(row.kv_dtype) != _cache(setup.kv_dtype))
    apart += SLIGHT * (row.answer_tokens != workload.answer_tokens) + SLIGHT * (
        row.cached_share != workload.cached_share
    )
    return apart + DOUBLING * (
        _doublings(workload.users, row.users) + _doublings(workload.prompt_tokens, row.prompt_tokens)
    )


def _doublings(one: float, other: float) -> float:
    return abs(math.log2(one / other))


def _titles(row: Measurement, engines: Mapping[str, EngineProfile]) -> tuple[str, str]:
    """What its engine and build are called; the engine's first build goes without saying."""
    engine = engines.get(row.engine)
    if engine is None:
        return row.engine, row.build
    later = {build.key: build.title for build in engine.builds[1:]}
    return engine.title, later.get(row.build, "")


@lru_cache(maxsize=1024)
def _words(row: Measurement, engine: str, build: str) -> tuple[str, str]:
    """Source and conditions, and what was measured."""
    made = f" ({lower_first(build)})" if build else ""
    users = "1 user" if row.users == 1 else f"{row.users} users"
    load = f"{_short(row.prompt_tokens)}/{_short(row.answer_tokens)}"
    title = f"{row.source}: {row.format}, {engine}{made}, {row.parallelism.label}, {load}, {users}"
    figures = []
    if row.ttft_s is not None:
        figures.append(f"{row.ttft_s:.2f} s to the first token")
    if row.tpot_s is not None:
        figures.append(f"{row.tpot_s * 1e3:.1f} ms a token")
    return title, ", ".join(figures)


def _short(tokens: int) -> str:
    """A count of tokens as benchmarks write it: 32K, 512."""
    return f"{tokens // 1024}K" if tokens >= 1024 and tokens % 1024 == 0 else f"{tokens:,}"


def _cache(kv_dtype: str) -> str:
    """The KV type in words; the engine's own choice is 16 bit."""
    return kv_dtype if kv_dtype not in ("", "auto") else "16 bit"


def _differences(setup: Setup, workload: Workload, row: Measurement) -> Iterable[str]:
    pairs = (
        ("format", row.format, setup.weights.key),
        ("engine", row.engine, setup.engine.key),
        ("build", row.build, setup.build.key),
        ("division", row.parallelism.label, setup.parallelism.label),
        ("KV type", _cache(row.kv_dtype), _cache(setup.kv_dtype)),
        ("users", row.users, workload.users),
        ("prompt", row.prompt_tokens, workload.prompt_tokens),
        ("answer length", row.answer_tokens, workload.answer_tokens),
        ("cached share", row.cached_share, workload.cached_share),
        ("speculative decoding", row.speculative, setup.speculative),
    )
    return (name for name, measured, asked in pairs if measured != asked)


def _join(words: Iterable[str]) -> str:
    found = list(words)
    return f"another {', '.join(found)}" if found else ""
