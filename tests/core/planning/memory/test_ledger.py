"""What fits: known cases by hand, and what must hold for any plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.jobs.plan import GIB, Fit, MemoryLedger
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec, WeightFormat
from sparkdesk.core.planning.memory.fraction import largest_fraction, start_note, start_problems
from sparkdesk.core.planning.memory.ledger import (
    fraction_for,
    launch_ledgers,
    ledgers,
    max_concurrency,
    max_context_tokens,
    share_problems,
    worst_fit,
)
from sparkdesk.core.planning.memory.need import NCCL_BYTES, SYSTEM_BYTES
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import CHAT, Workload
from tests.core.planning.plans import LLAMACPP, SGLANG, VLLM, load, place, questions, setup

Question = tuple[Setup, Workload, Place]
MANY = settings(max_examples=70, deadline=None)


def parts_of(ledger: MemoryLedger) -> list[int | None]:
    return [
        ledger.others_bytes,
        ledger.weights_bytes,
        ledger.kv_bytes,
        ledger.runtime_bytes,
        ledger.reserve_bytes,
        ledger.free_bytes,
    ]


def least_free(question: Question) -> int | None:
    frees = [ledger.free_bytes for ledger in ledgers(*question)]
    known = [free for free in frees if free is not None]
    return min(known) if len(known) == len(frees) else None


def test_a_70b_of_40_gib_of_cache_is_counted_by_hand() -> None:
    (ledger,) = ledgers(setup(), load(131_072, 1), place(1, 118.0))
    assert ledger.weights_bytes == 42_700_000_000
    assert ledger.kv_bytes == 40 * GIB  # 80 layers x 2 x 8 x 128 x 2 bytes x 131,072 tokens
    assert ledger.runtime_bytes == 4 * GIB
    assert ledger.others_bytes == pytest.approx(3.6 * GIB, abs=2)
    assert 0 <= ledger.reserve_bytes < 0.01 * 121.6 * GIB
    assert ledger.fit is Fit.FITS


def test_fp8_cache_takes_half_and_two_nodes_take_half_each() -> None:
    (whole,) = ledgers(setup(), load(131_072, 1), place(1))
    (eight,) = ledgers(setup(kv_dtype="fp8"), load(131_072, 1), place(1))
    two = ledgers(setup(division=Parallelism(2)), load(131_072, 1), place(2))
    assert (whole.kv_bytes, eight.kv_bytes) == (40 * GIB, 20 * GIB)
    assert [(one.weights_bytes, one.kv_bytes) for one in two] == [(21_350_000_000, 20 * GIB)] * 2
    assert two[0].runtime_bytes == 4 * GIB + NCCL_BYTES


def test_every_replica_holds_a_whole_copy_and_its_share_of_the_users() -> None:
    one, other = ledgers(setup(division=Parallelism(1, 1, 2)), load(65_536, 3), place(2))
    assert one.weights_bytes == other.weights_bytes == 42_700_000_000
    assert one.kv_bytes == 2 * 20 * GIB


def test_a_latent_cache_lies_whole_on_every_rank() -> None:
    spec = ModelSpec(
        "zai-org/GLM-5",
        "GLM-5",
        attention_heads=64,
        layers=(LayerGroup(LayerKind.LATENT, 78, latent_dim=576),),
        formats=(WeightFormat("NVFP4", 400_000_000_000),),
    )
    (one,) = ledgers(setup(spec=spec), load(131_072, 1), place(1))
    four = ledgers(setup(division=Parallelism(4), spec=spec), load(131_072, 1), place(4))
    assert one.kv_bytes == four[3].kv_bytes == 78 * 576 * 2 * 131_072


def test_a_node_that_nobody_read_keeps_something_for_its_system() -> None:
    (ledger,) = ledgers(replace(setup(), engine=LLAMACPP), CHAT, place(1))
    assert ledger.total_bytes == 127_535_084 * 1024
    assert (ledger.others_bytes, ledger.reserve_bytes) == (0, SYSTEM_BYTES)


def test_page_cache_is_free_and_the_system_is_counted_once() -> None:
    (ledger,) = ledgers(replace(setup(), engine=LLAMACPP), CHAT, place(1, 118.0))
    assert ledger.others_bytes == pytest.approx(3.6 * GIB, abs=2)
    assert ledger.reserve_bytes == 0


def test_what_a_neighbour_holds_counts_where_the_node_was_not_read() -> None:
    held = (Neighbour("j1", "gpt-oss-120b", ("n0",), 200.0, 30.0, bytes_held=66 * GIB),)
    first, second = ledgers(setup(division=Parallelism(2)), CHAT, place(2, neighbours=held))
    assert (first.others_bytes, second.others_bytes) == (66 * GIB, 0)
    unknown = (replace(held[0], bytes_held=None),)
    assert ledgers(setup(), CHAT, place(1, neighbours=unknown))[0].fit is Fit.UNKNOWN


def test_a_smaller_spark_counts_with_its_own_memory() -> None:
    small = Place((NodeRoom("n0", "spark-0", 60 * GIB, 56 * GIB),))
    assert worst_fit(ledgers(setup(), CHAT, small)) is Fit.TIGHT
    assert worst_fit(ledgers(setup("FP8"), CHAT, small)) is Fit.TOO_BIG


def test_a_device_without_a_known_size_gives_no_word() -> None:
    other = Place((NodeRoom("n0", "box", device="unheard-of"),))
    assert worst_fit(ledgers(setup(), CHAT, other)) is Fit.UNKNOWN


def test_a_model_of_unknown_shape_gives_no_word() -> None:
    spec = ModelSpec("a/b", "b", formats=(WeightFormat("NVFP4", 10 * GIB),))
    (ledger,) = ledgers(setup(spec=spec), CHAT, place(1))
    assert (ledger.kv_bytes, ledger.fit) == (None, Fit.UNKNOWN)
    assert max_context_tokens(setup(spec=spec), CHAT, place(1)) is None
    assert max_concurrency(setup(spec=spec), CHAT, place(1)) is None


@pytest.mark.parametrize(
    ("free_gib", "word"),
    [(12.0, Fit.FITS), (11.99, Fit.TIGHT), (8.0, Fit.TIGHT), (7.99, Fit.RISKY), (0.0, Fit.RISKY), (-0.01, Fit.TOO_BIG)],
)
def test_the_words_change_where_the_house_says(free_gib: float, word: Fit) -> None:
    assert MemoryLedger("n", round(free_gib * GIB) + 5, 1, 1, 1, 1, reserve_bytes=1).fit is word


def test_the_worst_word_of_all_nodes_counts() -> None:
    fine, bad = MemoryLedger("a", 20 * GIB, 0, 0, 0, 0), MemoryLedger("b", 20 * GIB, 0, 0, 21 * GIB, 0)
    assert worst_fit((fine, bad)) is Fit.TOO_BIG
    assert worst_fit(()) is Fit.UNKNOWN


def test_the_largest_share_that_starts_is_rounded_down() -> None:
    assert largest_fraction(121.6 * GIB, 80.0 * GIB) == 0.65
    assert largest_fraction(100, 70) == 0.7
    assert largest_fraction(100, 100) == 0.98
    assert largest_fraction(100, -5) == 0.0
    assert largest_fraction(0, 5) == largest_fraction(float("nan"), 5) == largest_fraction(1e309, 5) == 0.0


def test_a_share_larger_than_the_need_counts_as_taken() -> None:
    planned, wide = setup(), replace(setup(), memory_fraction=0.9)
    (small,), (large,) = ledgers(planned, CHAT, place(1, 118.0)), ledgers(wide, CHAT, place(1, 118.0))
    assert small.kv_bytes == large.kv_bytes
    assert (small.free_bytes or 0) - (large.free_bytes or 0) > 50 * GIB
    (launched,) = launch_ledgers(wide, CHAT, place(1, 118.0))
    assert launched.free_bytes == pytest.approx(large.free_bytes, abs=4)
    assert launched.reserve_bytes == 0


ABSURD = [
    {"users": 0},
    {"users": -3},
    {"prompt_tokens": -4096},
    {"answer_tokens": 10**30},
    {"prompt_tokens": float("inf")},
    {"users": float("nan")},
]


@pytest.mark.parametrize("fields", ABSURD, ids=[str(fields) for fields in ABSURD])
def test_absurd_loads_give_no_word_and_no_exception(fields: dict[str, object]) -> None:
    asked = replace(CHAT, **fields)  # type: ignore[arg-type]
    assert worst_fit(ledgers(setup(), asked, place(1))) is Fit.UNKNOWN
    max_context_tokens(setup(), asked, place(1))
    max_concurrency(setup(), asked, place(1))


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, -1, 1), (1, 1, 0), (10**9, 1, 1)])
def test_absurd_divisions_give_no_word_and_no_exception(sizes: tuple[int, int, int]) -> None:
    made = setup(division=Parallelism(*sizes))
    assert worst_fit(ledgers(made, CHAT, place(1))) is Fit.UNKNOWN
    assert (max_context_tokens(made, CHAT, place(1)), max_concurrency(made, CHAT, place(1))) == (None, None)


@given(questions())
@MANY
def test_parts_sum_to_the_total(question: Question) -> None:
    for ledger in ledgers(*question):
        parts = [part for part in parts_of(ledger) if part is not None]
        assert len(parts) < 6 or sum(parts) == ledger.total_bytes
        assert ledger.reserve_bytes >= 0


@given(questions(), st.integers(1, 64), st.integers(1, 100_000))
@MANY
def test_more_users_or_a_longer_context_never_leave_more(question: Question, users: int, tokens: int) -> None:
    made, asked, where = question
    before = least_free(question)
    crowded = least_free((made, replace(asked, users=asked.users + users), where))
    longer = least_free((made, replace(asked, prompt_tokens=asked.prompt_tokens + tokens), where))
    if before is not None and crowded is not None and longer is not None:
        assert crowded <= before
        assert longer <= before


@given(questions(), st.sampled_from(("tensor", "pipeline")))
@MANY
def test_more_nodes_for_one_copy_never_leave_less_on_each(question: Question, kind: str) -> None:
    made, asked, _ = question
    rooms = tuple(NodeRoom(f"n{i}", f"n{i}") for i in range(8))
    frees = []
    for count in (2, 4, 8):
        division = Parallelism(tensor_parallel_size=count) if kind == "tensor" else Parallelism(1, count)
        ledger = ledgers(replace(made, parallelism=division), asked, Place(rooms[:count]))[0]
        frees.append((ledger.free_bytes or 0) + ledger.reserve_bytes)
    assert frees == sorted(frees)
    # One node has no collectives: what the buffers take is all that a second one can cost.
    (alone,) = ledgers(replace(made, parallelism=Parallelism()), asked, Place(rooms[:1]))
    assert frees[0] >= (alone.free_bytes or 0) + alone.reserve_bytes - NCCL_BYTES - 4


@given(questions())
@MANY
def test_the_longest_context_is_safe_and_one_more_token_is_not(question: Question) -> None:
    made, asked, where = question
    longest = max_context_tokens(made, asked, where)
    if longest is None or longest < 2:
        return
    assert is_safe((made, replace(asked, prompt_tokens=longest - 1, answer_tokens=1), where))
    if longest < min(made.spec.context_tokens or 4_194_304, 4_194_304):
        further = replace(asked, prompt_tokens=longest + 1, answer_tokens=1)
        assert not is_safe((made, further, where))


@given(questions())
@MANY
def test_the_most_users_are_safe_and_one_more_is_not(question: Question) -> None:
    made, asked, where = question
    most = max_concurrency(made, asked, where)
    if most is None:
        return
    assert most == 0 or is_safe((made, replace(asked, users=most), where))
    more = most + made.parallelism.data_parallel_size
    if most < 4096:
        assert not is_safe((made, replace(asked, users=more), where))


def is_safe(question: Question) -> bool:
    return worst_fit(ledgers(*question)) in (Fit.FITS, Fit.TIGHT)


@given(questions())
@MANY
def test_a_planned_share_passes_the_engines_check_and_holds_the_load(question: Question) -> None:
    made, asked, where = question
    share = fraction_for(made, asked, where)
    if share is None or not is_safe(question):
        return
    assert 0.0 < share <= 0.98
    for node, ledger in zip(
        where.nodes, launch_ledgers(replace(made, memory_fraction=share), asked, where), strict=True
    ):
        need = ledgers(made, asked, where)[0].kv_bytes
        assert ledger.kv_bytes is not None
        assert need is not None
        assert ledger.kv_bytes >= need - 4
        if made.engine is VLLM and node.total_bytes is not None and node.available_bytes is not None:
            assert share <= largest_fraction(node.total_bytes, node.available_bytes)
        assert start_problems(made.engine, node, share) == ()


def test_a_share_of_what_is_available_is_counted_by_hand() -> None:
    # As the engine does it: share x available - weights is KV cache; graphs and server come out of the rest.
    made = replace(setup(), engine=SGLANG, memory_fraction=0.7)
    (ledger,) = launch_ledgers(made, CHAT, place(1, 100.0))
    assert ledger.kv_bytes == int(round(100.0 * GIB) * 0.7) - 42_700_000_000
    assert ledger.free_bytes == pytest.approx(30.0 * GIB - 4 * GIB, abs=4)
    (whole,) = launch_ledgers(replace(made, engine=VLLM), CHAT, place(1, 100.0))
    assert whole.kv_bytes == int(round(121.6 * GIB) * 0.7) - 42_700_000_000 - 4 * GIB


@given(st.floats(50.0, 118.0), st.floats(0.42, 0.9), st.floats(0.0, 10.0))
@MANY
def test_with_less_available_the_same_share_holds_less_cache(available: float, share: float, less: float) -> None:
    made = replace(setup(), engine=SGLANG, memory_fraction=share)
    (ledger,) = launch_ledgers(made, CHAT, place(1, available))
    (tighter,) = launch_ledgers(made, CHAT, place(1, available - less))
    assert tighter.kv_bytes is not None
    assert ledger.kv_bytes is not None
    assert tighter.kv_bytes - ledger.kv_bytes == pytest.approx(-share * less * GIB, abs=4)


@given(st.floats(10.0, 118.0))
@MANY
def test_the_largest_share_that_the_remedy_names_passes_and_a_larger_one_does_not(available: float) -> None:
    (node,) = place(1, available).nodes
    for engine in (VLLM, SGLANG):
        (problem,) = start_problems(engine, node, 0.98)
        largest = float(problem.remedy.split("passes is ")[1].split(";")[0])
        assert start_problems(engine, node, largest) == ()
        assert start_note(engine, node, largest)
        assert start_problems(engine, node, round(largest + 0.01, 2))


def test_a_share_of_what_is_available_that_is_too_small_says_of_what_it_is_one() -> None:
    made = replace(setup(), engine=SGLANG, memory_fraction=0.4)
    (problem,) = share_problems(made, CHAT, place(1, 100.0))
    assert "A share of 0.40 of what is available on spark-0 is 40.0 GiB" in problem.message
    enough = float(problem.remedy.removeprefix("Take ").removesuffix("."))
    assert share_problems(replace(made, memory_fraction=enough), CHAT, place(1, 100.0)) == ()


def test_engines_without_a_share_have_none() -> None:
    assert fraction_for(replace(setup(), engine=LLAMACPP), CHAT, place(1)) is None
    assert fraction_for(setup("BF16"), CHAT, place(1)) is None
