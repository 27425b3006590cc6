"""What does not fit says what would make it fit, with numbers, and every remedy is true."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from sparkdesk.core.jobs.plan import GIB, Fit, Problem, Severity
from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.planning.launch.division import division_problems, workload_problems
from sparkdesk.core.planning.memory.advice import Change
from sparkdesk.core.planning.memory.ledger import ledgers, memory_problems, what_would_fit, worst_fit
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import BATCH, CHAT, CODING, PRESETS, Workload
from tests.core.planning.plans import LLAMA, LLAMACPP, VLLM, load, place, places, questions, setup

Question = tuple[Setup, Workload, Place]
CATALOGUE = read_catalogue((Path(__file__).resolve().parents[4] / "resources/catalogue/models.toml").read_bytes())


def problems_of(question: Question) -> tuple[Problem, ...]:
    return memory_problems(*question, ledgers(*question))


def fields_of(question: Question) -> list[str]:
    return [problem.field for problem in problems_of(question) if problem.severity is Severity.ERROR]


def is_true(change: Change) -> bool:
    """Apply the change and look."""
    found = ledgers(change.setup, change.workload, change.place)
    sizes = division_problems(change.setup, change.place) + workload_problems(change.workload)
    return worst_fit(found) in (Fit.FITS, Fit.TIGHT) and len(found) == len(change.place.nodes) and not sizes


@given(questions())
@settings(max_examples=120, deadline=None)
def test_every_remedy_is_true(question: Question) -> None:
    fit = worst_fit(ledgers(*question))
    for change in what_would_fit(*question) if fit in (Fit.RISKY, Fit.TOO_BIG) else ():
        assert is_true(change), change.words
        assert change.words


@pytest.mark.parametrize("asked", PRESETS, ids=[one.key for one in PRESETS])
@pytest.mark.parametrize("count", [1, 3])
def test_every_remedy_for_every_model_of_the_catalogue_is_true(count: int, asked: Workload) -> None:
    seen = 0
    for spec in CATALOGUE:
        for weights in spec.formats:
            engine = LLAMACPP if weights.file else VLLM
            made = Setup(spec, weights, engine, engine.builds[0], Parallelism(1, count, 1))
            question = (made, asked, place(count, 117.0))
            if worst_fit(ledgers(*question)) in (Fit.RISKY, Fit.TOO_BIG):
                changes = what_would_fit(*question)
                assert all(is_true(change) for change in changes), (spec.name, weights.key)
                seen += len(changes)
    assert seen > 10


def test_too_much_cache_is_answered_with_users_context_and_a_smaller_cache() -> None:
    question = (setup(), load(65_536, 6), place(1, 118.0))
    (problem,) = problems_of(question)
    assert problem.message.startswith("Too big for spark-0: it needs ")
    for words in ("3 users instead of 6", "a context of ", "an FP8 KV cache", "2 nodes (TP 2)"):
        assert words in problem.remedy


def test_too_large_weights_are_answered_with_a_smaller_format_and_more_nodes() -> None:
    (problem,) = problems_of((setup("BF16"), CHAT, place(1)))
    assert "FP8 weights (67.6 GiB instead of 131.5)" in problem.remedy
    assert "2 nodes (TP 2)" in problem.remedy
    assert problem.field == "quantization"


def test_a_model_that_needs_both_says_both() -> None:
    giant = replace(LLAMA, formats=tuple(replace(one, weight_bytes=one.weight_bytes * 18) for one in LLAMA.formats))
    (problem,) = problems_of((setup("BF16", spec=giant), CHAT, place(1)))
    assert re.search(r"(FP8|NVFP4) weights on \d+ nodes", problem.remedy)


def test_three_nodes_that_are_too_few_are_told_how_many_are_enough() -> None:
    large = replace(LLAMA, formats=(replace(LLAMA.formats[0], weight_bytes=390_000_000_000),))
    (problem,) = problems_of((setup("BF16", Parallelism(1, 3), spec=large), CHAT, place(3)))
    assert "4 nodes (TP 4)" in problem.remedy


def test_what_nothing_mends_says_so() -> None:
    giant = replace(LLAMA, formats=(replace(LLAMA.formats[0], weight_bytes=10**14),))
    (problem,) = problems_of((setup("BF16", spec=giant), CHAT, place(1)))
    assert problem.remedy == "No change of it was found that fits: choose a smaller model."


def test_a_neighbour_that_stands_in_the_way_is_named() -> None:
    held = (Neighbour("j1", "gpt-oss-120b", ("n0",), 200.0, 30.0, bytes_held=66 * GIB),)
    (problem,) = problems_of((setup("FP8"), CHAT, place(1, 50.0, held)))
    assert "stop gpt-oss-120b" in problem.remedy


def test_stopping_a_neighbour_frees_what_it_holds_and_no_more() -> None:
    held = (Neighbour("j1", "gpt-oss-120b", ("n0",), 200.0, 30.0, bytes_held=66 * GIB),)
    changes = what_would_fit(setup("FP8"), CHAT, place(1, 50.0, held))
    (stopped,) = [change for change in changes if change.words == "stop gpt-oss-120b"]
    assert (stopped.place.nodes[0].available_bytes, stopped.place.neighbours) == (116 * GIB, ())


def test_a_free_node_of_the_same_place_is_named_before_a_neighbour_is_stopped() -> None:
    held = (Neighbour("j1", "gpt-oss-120b", ("n0",), 200.0, 30.0, bytes_held=66 * GIB),)
    whole = place(2, 118.7, held)
    full = replace(whole.nodes[0], available_bytes=50 * GIB)
    whole = replace(whole, nodes=(full, whole.nodes[1]))
    changes = what_would_fit(setup("FP8"), CHAT, place(1, 50.0, held), whole)
    assert [change.words for change in changes][:2] == ["on spark-1 instead", "stop gpt-oss-120b"]
    assert is_true(changes[0])
    words = [change.words for change in what_would_fit(setup("FP8"), CHAT, place(1, 50.0, held))]
    assert "on spark-1 instead" not in words, "of nodes that nobody named nothing is said"


def test_a_full_node_is_left_out_where_fewer_more_nodes_are_enough_without_it() -> None:
    held = (Neighbour("j1", "gpt-oss-120b", ("n0",), 200.0, 30.0, bytes_held=66 * GIB),)
    four = place(4, 117.0, held)
    four = replace(four, nodes=(replace(four.nodes[0], available_bytes=20 * GIB), *four.nodes[1:]))
    large = replace(LLAMA, formats=(replace(LLAMA.formats[0], weight_bytes=390_000_000_000),))
    changes = what_would_fit(setup("BF16", Parallelism(4), spec=large), CHAT, four)
    (more,) = [change for change in changes if change.words.startswith("5 nodes")]
    assert more.words == "5 nodes (TP 4 on the 4 that nobody else uses)"
    assert is_true(more)
    assert "n0" not in [node.node_id for node in more.place.nodes]


@given(places(4), questions())
@settings(max_examples=80, deadline=None)
def test_every_remedy_within_a_larger_place_is_true(whole: Place, question: Question) -> None:
    made, asked, some = question
    part = replace(whole, nodes=whole.nodes[: len(some.nodes)])
    if worst_fit(ledgers(made, asked, part)) in (Fit.RISKY, Fit.TOO_BIG):
        assert all(is_true(change) for change in what_would_fit(made, asked, part, whole))


def test_several_copies_that_do_not_fit_become_one_that_is_divided() -> None:
    changes = what_would_fit(setup("BF16", Parallelism(1, 1, 2)), CHAT, place(2))
    assert "one copy divided over the nodes (TP 2)" in [change.words for change in changes]


def test_a_risk_is_said_with_what_is_left() -> None:
    (problem,) = problems_of((setup(), load(65_536, 3), place(1, 112.5)))
    assert re.match(r"Only [0-7]\.\d GiB would be left on spark-0: the node may freeze", problem.message)


def test_what_fits_has_no_problem() -> None:
    assert problems_of((setup(), CHAT, place(1))) == ()
    assert problems_of((setup("BF16", Parallelism(1, 3)), BATCH, place(3))) == ()


def test_three_nodes_take_pipeline_or_data_parallel_but_not_tensor() -> None:
    assert fields_of((setup(division=Parallelism(3)), CHAT, place(3))) == ["tensor_parallel_size"]
    assert fields_of((setup(division=Parallelism(1, 3)), CHAT, place(3))) == []
    assert fields_of((setup(division=Parallelism(1, 1, 3)), replace(CHAT, users=3), place(3))) == []


@pytest.mark.parametrize(
    ("sizes", "field"),
    [
        ((0, 1, 1), "tensor_parallel_size"),
        ((1, -2, 1), "pipeline_parallel_size"),
        ((1, 1, 10**9), "data_parallel_size"),
        ((1, 2, 1), "nodes"),
    ],
)
def test_sizes_that_cannot_be_are_problems_at_their_fields(sizes: tuple[int, int, int], field: str) -> None:
    assert fields_of((setup(division=Parallelism(*sizes)), CHAT, place(1))) == [field]


def test_more_stages_than_layers_are_a_problem_at_their_field() -> None:
    few = replace(LLAMA, layers=(replace(LLAMA.layers[0], count=2),))
    assert fields_of((setup(division=Parallelism(1, 3), spec=few), CHAT, place(3))) == ["pipeline_parallel_size"]


def test_an_engine_that_has_no_such_division_says_so_at_the_field() -> None:
    made = replace(setup(division=Parallelism(2)), engine=LLAMACPP)
    assert fields_of((made, CHAT, place(2))) == ["tensor_parallel_size"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"users": 0}, "users"),
        ({"prompt_tokens": -1}, "prompt_tokens"),
        ({"answer_tokens": 1e309}, "answer_tokens"),
        ({"cached_share": 1.0}, "cached_share"),
        ({"cached_share": float("nan")}, "cached_share"),
    ],
)
def test_loads_that_cannot_be_are_problems_at_their_fields(fields: dict[str, object], field: str) -> None:
    assert fields_of((setup(), replace(CODING, **fields), place(1))) == [field]  # type: ignore[arg-type]


def test_a_share_that_cannot_be_is_a_problem_at_its_field() -> None:
    for share in (0.0, -1.0, 1.5, float("nan")):
        assert fields_of((replace(setup(), memory_fraction=share), CHAT, place(1))) == ["memory_fraction"]
