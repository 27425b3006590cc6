"""Speed: parts that sum, what is not known, directions, and the order of ways to divide a model."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from sparkdesk.core.models.kv import kv_bytes_per_sequence
from sparkdesk.core.models.spec import LayerKind, ModelSpec, WeightFormat
from sparkdesk.core.planning.figure import Figure, total_s
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Link, Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import Share
from sparkdesk.core.planning.speed.performance import LEAST_TPOT_S, LEAST_TTFT_S, predict
from sparkdesk.core.planning.speed.shape import growth_of
from sparkdesk.core.planning.workload import Workload
from tests.core.planning.speed.speeds import (
    CABLE,
    DP2,
    ONE,
    PP2,
    TP2,
    catalogue,
    load,
    place,
    reference,
    setup,
)

PLANS = 500


def speed(what: Setup, workload: Workload, nodes: Place | None = None, **more: Share) -> Prediction:
    return predict(what, workload, nodes or place(what.parallelism.world_size), reference(), **more)


def figures(prediction: Prediction) -> tuple[Figure, ...]:
    return (
        prediction.ttft_s,
        prediction.tpot_s,
        prediction.e2e_s,
        prediction.prefill_tok_s,
        prediction.output_tok_s,
    )


def random_plans() -> list[tuple[Setup, Workload]]:
    """Plans of every kind of model, engine and division, the same on every run."""
    chance = random.Random(20261121)
    pairs = [
        (spec, weights, engine)
        for spec in catalogue().values()
        if spec.is_generator
        for weights in spec.formats
        for engine in reference().engines.values()
        if weights.key in engine.formats
    ]
    plans = []
    for _ in range(PLANS):
        spec, weights, engine = chance.choice(pairs)
        sizes = Parallelism(chance.choice((1, 2, 4)), chance.choice((1, 2, 3)), chance.choice((1, 2)))
        kv_dtype, method = chance.choice(engine.kv_dtypes), chance.choice(engine.speculatives)
        what = Setup(spec, weights, engine, chance.choice(engine.builds), sizes, kv_dtype, method)
        prompt, answer = round(10 ** chance.uniform(0, 5.3)), round(10 ** chance.uniform(0, 4))
        plans.append(
            (what, load(prompt, answer, chance.choice((1, 2, 3, 8, 32, 128, 500)), cached=chance.choice((0.0, 0.9))))
        )
    return plans


def with_device(share: float) -> Reference:
    """The shipped data with a GB10 whose memory runs at a share of its own."""
    gb10 = reference().devices["gb10"]
    devices = {**reference().devices, "gb10": replace(gb10, peak_gb_per_s=gb10.peak_gb_per_s * share)}
    return Reference(devices, reference().engines, reference().measurements, reference().calibration)


def is_not_faster(slow: Prediction, fast: Prediction) -> bool:
    """Whether no time of the first is shorter than that of the second."""
    return all(
        one.value >= other.value * (1.0 - 1e-9)
        for one, other in ((slow.ttft_s, fast.ttft_s), (slow.tpot_s, fast.tpot_s), (slow.e2e_s, fast.e2e_s))
    )


# Values ---------------------------------------------------------------------------------------------------------------


def test_every_figure_is_finite_in_its_band_and_the_sum_of_its_parts() -> None:
    for what, workload in random_plans():
        found = speed(what, workload)
        assert all(0.0 < one.low <= one.value <= one.high < math.inf for one in figures(found)), (what, workload)
        assert all(part.seconds >= 0.0 for part in (*found.tpot_parts, *found.ttft_parts))
        assert total_s(found.tpot_parts) == pytest.approx(found.tpot_s.value)
        assert total_s(found.ttft_parts) == pytest.approx(found.ttft_s.value)
        assert [part.key for part in found.tpot_parts] == ["weights", "kv", "communication", "bubble", "overhead"]
        assert [part.key for part in found.ttft_parts] == ["compute", "communication", "queue"]
        assert 0.0 <= found.compute_share <= 1.0
        assert 0.0 < found.memory_gb_per_s < 273.0
        assert 0.0 <= found.link_gb_per_s < CABLE.gb_per_s


def test_the_end_is_the_first_token_and_the_others_after_it() -> None:
    found = speed(setup("llama-3.3-70b", "NVFP4"), load(1024, 101))
    assert found.e2e_s.value == pytest.approx(found.ttft_s.value + 100 * found.tpot_s.value)
    assert found.output_tok_s.value == pytest.approx(1.0 / found.tpot_s.value)
    assert found.prefill_tok_s.value == pytest.approx(1024 / found.ttft_s.value)


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("owner/unknown", "Unknown"),
        ModelSpec("owner/no-size", "No size", layers=catalogue()["llama-3.1-8b"].layers),
        ModelSpec("owner/no-layers", "No layers", parameters=8_000_000_000),
        replace(catalogue()["gpt-oss-120b"], active_parameters=None),
    ],
    ids=["nothing", "no size", "no layers", "no active parameters"],
)
def test_a_model_of_unknown_shape_has_no_figures_and_no_zero(spec: ModelSpec) -> None:
    what = replace(setup("llama-3.1-8b", "FP8"), spec=spec, weights=WeightFormat("FP8", 9_000_000_000))
    found = speed(what, load())
    assert not any(one.is_known for one in figures(found))
    assert (found.tpot_parts, found.ttft_parts) == ((), ())
    assert math.isnan(found.memory_gb_per_s)


@pytest.mark.parametrize(
    ("workload", "nodes", "share"),
    [
        (load(0), place(2), Share()),
        (load(-5), place(2), Share()),
        (load(10**400), place(2), Share()),
        (load(users=0), place(2), Share()),
        (load(cached=1.0), place(2), Share()),
        (load(cached=math.nan), place(2), Share()),
        (load(), place(2, device="abacus"), Share()),
        (load(), Place(()), Share()),
        (load(), place(2, clock=0.0), Share()),
        (load(), place(2, link=Link(0.0, 1e-6)), Share()),
        (load(), place(2, link=Link(math.nan, 1e-6)), Share()),
        (load(), place(2, link=Link(10.0, -1.0)), Share()),
        (load(), place(2), Share(memory=math.nan)),
        (load(), place(2), Share(compute=0.0)),
    ],
)
def test_what_cannot_be_has_no_figures(workload: Workload, nodes: Place, share: Share) -> None:
    found = speed(setup("llama-3.1-8b", "FP8", TP2), workload, nodes, share=share)
    assert not any(one.is_known for one in figures(found))


def test_absurd_but_possible_sizes_give_finite_figures() -> None:
    for workload in (load(4_194_304, 4_194_304, 4096), load(1, 1, 1), load(1, 4_194_304, 1), load(users=4096)):
        for what in (setup("glm-5", "INT4", Parallelism(8, 8)), setup("gpt-oss-120b", "MXFP4", Parallelism(1, 36, 1))):
            assert all(one.is_known for one in figures(speed(what, workload)))


def test_kv_bytes_agree_with_the_ledger_but_for_states_that_are_read_and_written() -> None:
    for spec in catalogue().values():
        growth = growth_of(spec, 2.0, 1)
        assert growth is not None
        states = sum(group.count * group.state_bytes for group in spec.layers if group.kind is LayerKind.LINEAR)
        for tokens in (1, 1000, 131_072):
            kept = kv_bytes_per_sequence(spec, tokens=tokens, value_bytes=2.0)
            assert growth.bytes_at(tokens) == pytest.approx((kept or 0.0) + states)


# Directions -----------------------------------------------------------------------------------------------------------


def test_more_bandwidth_is_never_slower() -> None:
    more = with_device(1.3)
    for what, workload in random_plans():
        nodes = place(what.parallelism.world_size)
        assert is_not_faster(predict(what, workload, nodes, reference()), predict(what, workload, nodes, more))


def test_a_slower_or_later_cable_is_never_faster() -> None:
    for what, workload in random_plans():
        count = what.parallelism.world_size
        good = speed(what, workload, place(count))
        for link in (Link(11.8, 32e-6), Link(1.2, 32e-6), Link(23.7, 90e-6), Link(10.0, 60e-6)):
            assert is_not_faster(speed(what, workload, place(count, link=link)), good)


def test_a_longer_prompt_or_one_more_user_is_never_faster() -> None:
    for what, workload in random_plans():
        found = speed(what, workload)
        for factor in (1.01, 1.5, 4.0):
            longer = replace(workload, prompt_tokens=math.ceil(workload.prompt_tokens * factor))
            assert is_not_faster(speed(what, longer), found)
        more = speed(what, replace(workload, users=workload.users + 1))
        assert more.tpot_s.value >= found.tpot_s.value * (1.0 - 1e-9)


def test_a_pipeline_gains_nothing_by_one_chunk_more() -> None:
    what = setup("llama-3.3-70b", "NVFP4", Parallelism(1, 3))
    chunk = reference().calibration.engines["vllm"].chunk_tokens
    for chunks in (1, 2, 5):
        full, more = speed(what, load(chunks * chunk)), speed(what, load(chunks * chunk + 1))
        assert more.ttft_s.value > full.ttft_s.value


def test_a_busy_neighbour_or_a_capped_clock_is_never_faster() -> None:
    for what, workload in random_plans():
        found = speed(what, workload)
        for share in (Share(memory=0.5), Share(compute=0.5), Share(link=0.5), Share(0.7, 0.7, 0.7)):
            assert is_not_faster(speed(what, workload, share=share), found)
        assert is_not_faster(speed(what, workload, place(what.parallelism.world_size, clock=0.4)), found)


def test_less_memory_bandwidth_slows_the_answer_in_proportion_and_a_capped_clock_leaves_it() -> None:
    what, workload = setup("llama-3.3-70b", "NVFP4"), load()
    found, half = speed(what, workload), speed(what, workload, share=Share(memory=0.5))
    capped = speed(what, workload, place(clock=0.5))
    assert half.tpot_s.value == pytest.approx(2 * found.tpot_s.value, rel=0.02)
    assert capped.tpot_s.value == found.tpot_s.value
    assert capped.ttft_s.value > 1.5 * found.ttft_s.value


def test_one_more_node_in_tensor_parallel_answers_one_user_sooner_on_a_fast_cable() -> None:
    for model, weights in (("llama-3.3-70b", "NVFP4"), ("llama-3.1-8b", "BF16"), ("gpt-oss-120b", "MXFP4")):
        one, two, four = (speed(setup(model, weights, Parallelism(n)), load()) for n in (1, 2, 4))
        assert one.tpot_s.value > two.tpot_s.value > four.tpot_s.value
        assert one.ttft_s.value > two.ttft_s.value


def test_a_slow_network_takes_the_gain_of_tensor_parallel() -> None:
    what, alone = setup("llama-3.1-8b", "NVFP4", TP2), speed(setup("llama-3.1-8b", "NVFP4"), load())
    assert speed(what, load()).tpot_s.value < alone.tpot_s.value
    assert speed(what, load(), place(2, link=Link(0.1, 3e-4))).tpot_s.value > alone.tpot_s.value


# Order ----------------------------------------------------------------------------------------------------------------


def test_tensor_parallel_wins_for_one_user_and_stages_wait_for_each_other() -> None:
    tensor, stages = (speed(setup("gpt-oss-120b", "MXFP4", sizes), load()) for sizes in (TP2, PP2))
    alone = speed(setup("gpt-oss-120b", "MXFP4"), load())
    parts = {part.key: part.seconds for part in stages.tpot_parts}
    assert tensor.tpot_s.value < alone.tpot_s.value <= stages.tpot_s.value
    assert parts["bubble"] == pytest.approx(stages.tpot_s.value / 2, rel=0.05)


@pytest.mark.parametrize(("prompt", "answer"), [(1024, 1024), (4096, 512)])
def test_stages_beat_tensor_parallel_for_a_large_mixture_with_128_users(prompt: int, answer: int) -> None:
    tensor, stages = (speed(setup("gpt-oss-120b", "MXFP4", s), load(prompt, answer, 128)) for s in (TP2, PP2))
    assert stages.output_tok_s.value > 1.05 * tensor.output_tok_s.value
    assert stages.e2e_s.value < tensor.e2e_s.value
    assert {part.key: part.seconds for part in stages.tpot_parts}["bubble"] == 0.0


@pytest.mark.parametrize("weights", ["BF16", "FP8", "NVFP4"])
def test_tensor_parallel_beats_stages_for_a_small_dense_model(weights: str) -> None:
    for users in (1, 32, 128):
        tensor, stages = (speed(setup("llama-3.1-8b", weights, s), load(1024, 1024, users)) for s in (TP2, PP2))
        assert tensor.output_tok_s.value > stages.output_tok_s.value


def test_two_copies_serve_half_of_the_users_each() -> None:
    copies, alone = (speed(setup("llama-3.1-8b", "FP8", s), load(users=n)) for s, n in ((DP2, 8), (ONE, 4)))
    assert copies.tpot_s.value == pytest.approx(alone.tpot_s.value)
    assert copies.output_tok_s.value == pytest.approx(2 * alone.output_tok_s.value)


def test_builds_of_one_engine_stand_apart_as_measured() -> None:
    stock, tuned, eager = (
        speed(setup("gpt-oss-120b", "MXFP4", build=build), load()).output_tok_s for build in ("stock", "tuned", "eager")
    )
    assert tuned.value > 1.5 * stock.value > 1.5 * eager.value
    assert stock.low <= 33.5 <= stock.high
    assert tuned.low <= 58.5 <= tuned.high
    assert eager.low <= 26.0 <= eager.high


def test_users_that_start_together_wait_less_than_one_after_the_other() -> None:
    one, two, four = (speed(setup("qwen3-coder-next", "FP8"), load(32_768, 1024, users)) for users in (1, 2, 4))
    assert one.ttft_s.value < two.ttft_s.value < four.ttft_s.value < 2.5 * one.ttft_s.value
    assert [part.seconds > 0.0 for part in four.ttft_parts] == [True, False, True]


def test_what_is_cached_of_a_prompt_is_not_read_again() -> None:
    what = setup("qwen3-coder-next", "FP8")
    cold, warm = speed(what, load(61_440, 1024)), speed(what, load(61_440, 1024, cached=0.9))
    assert warm.ttft_s.value < 0.2 * cold.ttft_s.value
    assert warm.tpot_s.value == cold.tpot_s.value


def test_speculation_helps_one_user_and_carries_the_wide_band() -> None:
    plain = setup("qwen3-coder-next", "FP8")
    alone, drafted = speed(plain, load(32_768, 1024)), speed(replace(plain, speculative="mtp"), load(32_768, 1024))
    assert drafted.tpot_s.value < alone.tpot_s.value
    assert drafted.tpot_s.high / drafted.tpot_s.value > alone.tpot_s.high / alone.tpot_s.value


# What it leans on -----------------------------------------------------------------------------------------------------


def test_the_case_that_was_measured_so_is_leant_on_first() -> None:
    found = speed(setup("llama-3.3-70b", "NVFP4", TP2, engine="trtllm"), load(32_768, 1024))
    assert (found.leans_on[0].key, found.leans_on[0].distance) == ("t3-llama-70b-tp2", "")
    assert "133.0 ms" in found.leans_on[0].figures
    assert found.leans_on[0].tpot_s == pytest.approx(0.133)
    assert ": NVFP4, TensorRT-LLM, TP 2, 32K/1K, 1 user" in found.leans_on[0].title, "titles, not keys"
    other = speed(setup("llama-3.3-70b", "NVFP4", TP2), load(32_768, 1024))
    assert "engine" in other.leans_on[0].distance


def test_a_case_is_this_very_one_only_where_load_and_place_are_the_same() -> None:
    what, there = setup("llama-3.3-70b", "NVFP4", TP2, engine="trtllm"), place(2)
    slow = replace(there, link=Link(11.0, 32e-6))
    hot = replace(there, nodes=tuple(replace(node, sm_clock_share=0.7) for node in there.nodes))
    cases = {
        "another answer length": speed(what, load(32_768, 512)),
        "another cached share": speed(what, replace(load(32_768, 1024), cached_share=0.5)),
        "another cable": speed(what, load(32_768, 1024), slow),
        "another GPU clock": speed(what, load(32_768, 1024), hot),
        "another load of neighbours": predict(what, load(32_768, 1024), there, reference(), share=Share(memory=0.5)),
    }
    assert {words: found.leans_on[0].distance for words, found in cases.items()} == {words: words for words in cases}


def test_a_model_that_nobody_measured_carries_the_wide_band() -> None:
    far, near = speed(setup("mistral-small-3.1-24b", "FP8"), load()), speed(setup("llama-3.1-8b", "FP8"), load())
    assert far.leans_on == ()
    assert far.tpot_s.high / far.tpot_s.value > near.tpot_s.high / near.tpot_s.value


def test_other_devices_are_an_estimate_with_a_wider_band_yet() -> None:
    what = setup("llama-3.3-70b", "FP8", TP2)
    here, there = speed(what, load()), speed(what, load(), place(2, device="b200"))
    assert here.is_fitted
    assert not there.is_fitted
    assert there.leans_on == ()
    assert there.tpot_s.value < here.tpot_s.value
    assert there.tpot_s.high / there.tpot_s.value > here.tpot_s.high / here.tpot_s.value


def test_what_is_faster_than_anything_measured_has_the_widest_band() -> None:
    tiny = speed(setup("smollm2-135m", "Q4_1", engine="llamacpp"), load(2048, 512))
    assert tiny.tpot_s.high / tiny.tpot_s.value == pytest.approx(1.0 + reference().calibration.roofline_band)
    rows = [row for row in reference().measurements if row.is_fitted]
    for least_s, measured in (
        (LEAST_TPOT_S, min(row.tpot_s for row in rows if row.tpot_s)),
        (LEAST_TTFT_S, min(row.ttft_s for row in rows if row.ttft_s)),
    ):
        assert measured / 2.1 < least_s < measured
