"""What starts of the very same plan told stands in the table of what can run: its memory only, and until forgotten."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.planning.search.learned import Learned, nothing_learned
from sparkdesk.core.planning.search.table import Cell, Verdict, models_table
from tests.core.planning.planner import place_of, reference, spec_of

HEAVY = Correction("Qwen/Qwen3-Coder-Next-FP8", "vllm", "stock", 3, weights_factor=1.05, runtime_bytes=9.0 * GIB)


def learned_of(correction: Correction) -> Learned:
    """The same of every engine, so that the same plan stays the best."""
    return lambda setup: replace(correction, engine=setup.engine.key)


def cell_of(
    learned: Learned = nothing_learned, key: str = "qwen3-coder-next", free_gib: float = 112.0, engine: str = "vllm"
) -> Cell:
    """One node's cell, where there is no other engine."""
    known = replace(reference(), engines={engine: reference().engines[engine]})
    (row,) = models_table([spec_of(key)], place_of(1, free_gib=(free_gib,)), known, (1,), learned=learned)
    return row.cells[0]


def test_a_cell_has_the_memory_that_starts_told_and_the_planners_own_beside_it() -> None:
    plain = cell_of()
    told = cell_of(learned_of(HEAVY))
    assert plain.ledger is not None
    assert plain.ledger.weights_bytes is not None
    assert told.ledger is not None
    assert told.ledger.weights_bytes == math.ceil(1.05 * plain.ledger.weights_bytes)
    assert told.ledger.runtime_bytes == 9 * GIB
    assert told.planned == plain.ledger
    assert told.learned == replace(HEAVY, engine=plain.engine)
    assert told.ledger.free_bytes < (plain.ledger.free_bytes or 0)
    assert (told.max_context_tokens or 0) <= (plain.max_context_tokens or 0)
    assert told.user_tok_s == plain.user_tok_s, "what was loaded says nothing of speed"


def test_what_was_forgotten_changes_no_figure_and_is_still_known() -> None:
    plain = cell_of()
    forgotten = cell_of(learned_of(replace(HEAVY, is_applied=False)))
    assert replace(forgotten, learned=None, planned=None) == plain
    assert forgotten.learned is not None


def test_a_model_that_starts_showed_to_be_larger_no_longer_fits() -> None:
    larger = learned_of(replace(HEAVY, weights_factor=1.2))
    assert cell_of(key="gpt-oss-120b", free_gib=78.0).verdict is Verdict.FITS
    assert cell_of(larger, "gpt-oss-120b", 78.0).verdict is not Verdict.FITS


def test_a_larger_cache_of_an_engine_that_takes_what_it_needs_shortens_the_context() -> None:
    correction = Correction("m", "llamacpp", "stock", 1, kv_factor=2.0)
    twice = cell_of(learned_of(correction), "llama-3.1-8b", 20.0, "llamacpp")
    once = cell_of(nothing_learned, "llama-3.1-8b", 20.0, "llamacpp")
    assert twice.ledger is not None
    assert once.ledger is not None
    assert twice.ledger.kv_bytes == pytest.approx(2 * (once.ledger.kv_bytes or 0), rel=1e-6)
    assert 0 < (twice.max_context_tokens or 0) == pytest.approx((once.max_context_tokens or 0) / 2, rel=0.02)
