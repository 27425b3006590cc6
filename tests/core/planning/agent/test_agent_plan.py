"""Agents' tasks and neighbours with the predictor that ships: the published case, and directions that must hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.planning.agent.plan import plan_agents
from sparkdesk.core.planning.neighbour import predict_shared, tolls
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Link, Neighbour, Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import Share
from sparkdesk.core.planning.speed.performance import predict
from sparkdesk.core.planning.workload import Workload
from tests.core.planning.planner import ask, load_of, place_of, reference, spec_of

NAN = float("nan")


def setup_of(model: str, format_key: str, tensor: int = 1) -> Setup:
    spec, engine = spec_of(model), reference().engines["vllm"]
    weights = next(one for one in spec.formats if one.key == format_key)
    return Setup(spec, weights, engine, engine.builds[0], Parallelism(tensor))


def row_of(setup: Setup, load: Workload, place: Place, most: int | None = None) -> PlanRow:
    alone = predict(setup, load, place, reference())
    return PlanRow(1, setup, place, load, (), None, most, alone)


CODER = setup_of("qwen3-coder-next", "FP8")
LOAD = load_of(32_768, 1024, 4)


def busy(gb_per_s: float, compute: float = 0.0) -> Neighbour:
    return Neighbour("j1", "gpt-oss-120b", ("n1",), gb_per_s, 30.0, bytes_held=10 << 30, compute_share=compute)


def test_four_published_tasks_take_about_two_and_a_half_times_one() -> None:
    """Source: published, 35 s for one and 91 s for four at once."""
    row = row_of(CODER, LOAD, place_of(1))
    four = plan_agents(row, reference(), concurrency=4)
    one = plan_agents(row, reference(), tasks=1)
    assert four.total_s.value / one.total_s.value == pytest.approx(2.6, rel=0.15)
    assert four.total_s.low <= 91.0 <= four.total_s.high
    assert one.total_s.low <= 35.0 <= one.total_s.high
    assert four.total_s.value < 4 * one.total_s.value


def test_no_more_go_at_once_than_memory_holds() -> None:
    run = plan_agents(row_of(CODER, replace(LOAD, users=32), place_of(1), most=6), reference())
    assert run.concurrency == 6
    assert all(point.wave_s.is_known == (point.concurrency <= 6) for point in run.points)


def test_a_busy_neighbour_makes_the_tasks_last_longer_and_a_silent_one_unknown() -> None:
    alone = plan_agents(row_of(CODER, LOAD, place_of(1)), reference())
    beside = plan_agents(row_of(CODER, LOAD, place_of(1, neighbours=(busy(120.0),))), reference())
    silent = plan_agents(row_of(CODER, LOAD, place_of(1, neighbours=(busy(NAN),))), reference())
    assert beside.total_s.value > 1.1 * alone.total_s.value
    assert not silent.total_s.is_known


def _predict(setup: Setup, load: Workload, place: Place, share: Share) -> Prediction:
    return predict(setup, load, place, reference(), share=share)


def test_beside_a_silent_neighbour_the_figures_alone_lead_and_the_row_says_so() -> None:
    question = replace(ask("qwen3-coder-next", 1, LOAD), place=place_of(1, neighbours=(busy(NAN),)))
    row = plan_rows(question, reference())[0]
    assert row.shared is not None
    assert not row.shared.tpot_s.is_known
    assert row.shown is row.alone
    assert row.cost.power_w.is_known
    assert [problem.message for problem in row.problems] == ["How busy gpt-oss-120b is now is not known"]
    told = plan_rows(replace(question, place=place_of(1, neighbours=(busy(120.0),))), reference())[0]
    assert told.shown is told.shared
    assert told.shared is not None
    assert told.shared.tpot_s.value > told.alone.tpot_s.value
    assert told.problems == ()


MODELS = st.sampled_from(
    [
        ("qwen3-coder-next", "FP8", 1),
        ("llama-3.3-70b", "NVFP4", 2),
        ("gpt-oss-120b", "MXFP4", 1),
        ("qwen3-8b", "BF16", 1),
    ]
)


@settings(max_examples=60)
@given(MODELS, st.integers(128, 60_000), st.integers(1, 64), st.floats(0.0, 250.0), st.floats(0.0, 1.0))
def test_a_busier_neighbour_never_makes_a_plan_faster_nor_itself(
    model: tuple[str, str, int], prompt: int, users: int, gb_per_s: float, compute: float
) -> None:
    setup, load = setup_of(*model), load_of(prompt, 512, users)
    previous = predict(setup, load, place_of(model[2]), reference())
    assert previous.tpot_s.is_known
    last_toll = 1.0
    for factor in (0.0, 0.5, 1.0):
        place = place_of(model[2], neighbours=(busy(factor * gb_per_s, factor * compute),))
        alone = predict(setup, load, place, reference())
        shared = predict_shared(place, alone, partial(_predict, setup, load, place))
        assert shared is not None
        for name in ("ttft_s", "tpot_s", "e2e_s"):
            assert getattr(shared, name).value >= getattr(previous, name).value * (1.0 - 1e-9)
        assert shared.output_tok_s.value <= previous.output_tok_s.value * (1.0 + 1e-9)
        (toll,) = tolls(place, alone)
        assert 0.0 < toll.slowdown <= 1.0
        if factor:  # an idle one has nothing to lose
            assert toll.slowdown <= last_toll + 1e-9 or factor * gb_per_s > 192.0
        previous, last_toll = shared, toll.slowdown if factor else 1.0


def test_two_of_a_ring_are_judged_by_their_own_cable() -> None:
    slow, fast = Link(11.8, 32e-6), Link(23.7, 32e-6)
    ring = replace(place_of(3), link=slow)
    known = replace(ring, links={frozenset(pair): fast for pair in (("n1", "n2"), ("n1", "n3"), ("n2", "n3"))})
    question = ask("llama-3.3-70b", 3, load_of(32_768, 1024, 1), tensor=2, engine="vllm", format="NVFP4")
    by_ring, by_cable = (plan_rows(replace(question, place=place), reference())[0] for place in (ring, known))
    assert by_cable.place.link == fast
    assert by_cable.alone.ttft_s.value < by_ring.alone.ttft_s.value
