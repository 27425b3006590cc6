"""The search: everything valid is in the table, nothing invalid is, and what does not fit says what would."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sparkdesk.core.jobs.plan import Fit, Severity
from sparkdesk.core.models.spec import LayerGroup, LayerKind
from sparkdesk.core.planning.place import Neighbour, NodeRoom
from sparkdesk.core.planning.search.combination import choose_nodes, divisions, node_counts, question_problems
from sparkdesk.core.planning.search.ranking import is_fitting
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.workload import BATCH, CODING
from tests.core.planning.planner import GIB, ask, first, load_of, place_of, reference, spec_of, words_of

LLAMA = "llama-3.3-70b"


def problem_fields(*args: object, **limits: object) -> list[str]:
    return [problem.field for problem in question_problems(ask(*args, **limits), reference())]  # type: ignore[arg-type]


def test_tensor_times_pipeline_times_data_is_always_the_number_of_nodes() -> None:
    rows = plan_rows(ask(LLAMA, 4, BATCH), reference())
    assert {len(row.place.nodes) for row in rows} == {1, 2, 3, 4}
    assert all(row.setup.parallelism.world_size == len(row.place.nodes) == len(row.ledgers) for row in rows)
    assert sorted(one.label for one in divisions(4)) == [
        "DP 4", "PP 2 × DP 2", "PP 4", "TP 2 × DP 2", "TP 2 × PP 2", "TP 4",
    ]  # fmt: skip


def test_every_valid_engine_format_and_division_has_a_row() -> None:
    rows = plan_rows(ask(LLAMA, 4, BATCH), reference())
    spec, engines = spec_of(LLAMA), reference().engines.values()
    expected = {
        (engine.key, weights.key)
        for engine in engines
        for weights in spec.formats
        if weights.key in engine.formats and (not weights.engines or engine.key in weights.engines)
    }
    assert {(row.setup.engine.key, row.setup.weights.key) for row in rows} == expected
    vllm = {words_of(row)["split"] for row in rows if words_of(row)["engine"] == "vllm"}
    assert vllm == {
        "One node", "TP 2", "PP 2", "DP 2", "PP 3", "DP 3",
        "TP 4", "PP 4", "DP 4", "TP 2 × PP 2", "TP 2 × DP 2", "PP 2 × DP 2",
    }  # fmt: skip


def test_nothing_is_copied_for_users_who_are_not_there() -> None:
    assert all(row.setup.parallelism.data_parallel_size == 1 for row in plan_rows(ask(LLAMA, 4), reference()))
    three = plan_rows(ask(LLAMA, 4, load_of(2048, 512, 3)), reference())
    assert max(row.setup.parallelism.data_parallel_size for row in three) == 3


def test_three_nodes_take_pipeline_or_data_parallel_but_not_tensor() -> None:
    rows = plan_rows(replace(ask(LLAMA, 3, BATCH), must_use_all_nodes=True), reference())
    assert {row.setup.parallelism.label for row in rows} == {"PP 3", "DP 3"}
    assert problem_fields(LLAMA, 3, tensor=3) == ["tensor_parallel_size"]
    divisible = (LayerGroup(LayerKind.FULL, 80, kv_heads=12, head_dim=128),)
    question = replace(ask(LLAMA, 3), spec=replace(spec_of(LLAMA), attention_heads=48, layers=divisible))
    assert {row.setup.parallelism.tensor_parallel_size for row in plan_rows(question, reference())} == {1, 2}


def test_heads_that_do_not_divide_refuse_tensor_parallel() -> None:
    question = ask(LLAMA, 4)
    odd = replace(question.spec, attention_heads=36)
    many = replace(question.spec, layers=(LayerGroup(LayerKind.FULL, 80, kv_heads=10, head_dim=128),))
    few = replace(question.spec, layers=(LayerGroup(LayerKind.FULL, 80, kv_heads=2, head_dim=128),))
    sizes = {
        name: {
            row.setup.parallelism.tensor_parallel_size for row in plan_rows(replace(question, spec=spec), reference())
        }
        for name, spec in (("odd", replace(odd, attention_heads=9)), ("many", many), ("few", few))
    }
    assert sizes == {"odd": {1}, "many": {1, 2}, "few": {1, 2, 4}}


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"engine": "foo"}, "engine"),
        ({"format": "FP3"}, "quantization"),
        ({"engine": "llamacpp", "format": "NVFP4"}, "engine"),
        ({"build": "golden"}, "build"),
        ({"kv_dtype": "int3"}, "kv_dtype"),
        ({"speculative": "oracle"}, "speculative"),
        ({"speculative": "mtp"}, "speculative"),
        ({"tensor": 4}, "tensor_parallel_size"),
        ({"tensor": 0}, "tensor_parallel_size"),
        ({"pipeline": 64}, "pipeline_parallel_size"),
        ({"data": 2}, "data_parallel_size"),
        ({"engine": "llamacpp", "tensor": 2}, "tensor_parallel_size"),
    ],
)
def test_what_cannot_be_is_a_problem_at_its_field_and_has_no_rows(limits: dict[str, object], field: str) -> None:
    question = ask(LLAMA, 2, **limits)
    problems = question_problems(question, reference())
    assert [problem.field for problem in problems][:1] == [field]
    assert all(problem.severity is Severity.ERROR and problem.remedy for problem in problems)
    assert plan_rows(question, reference()) == ()


@pytest.mark.parametrize("numbers", [(0, 512, 1), (2048, 0, 1), (2048, 512, 0), (-1, 512, 1), (10**12, 512, 1)])
def test_a_load_that_is_none_is_a_problem_not_a_table(numbers: tuple[int, int, int]) -> None:
    question = ask(LLAMA, 2, load_of(*numbers))
    assert question_problems(question, reference())
    assert plan_rows(question, reference()) == ()


def test_what_is_fixed_is_kept() -> None:
    rows = plan_rows(
        ask(LLAMA, 4, engine="VLLM", format="nvfp4", build="tuned", tensor=2, pipeline=2, data=1, kv_dtype="FP8",
            speculative="none"),
        reference(),
    )  # fmt: skip
    assert [words_of(row) for row in rows] == [
        {"engine": "vllm", "weights": "NVFP4", "split": "TP 2 × PP 2", "kv_dtype": "fp8", "speculative": "none",
         "build": "tuned", "nodes": 4}
    ]  # fmt: skip


def test_a_model_that_is_too_big_for_three_nodes_says_by_how_much_and_what_would_fit() -> None:
    rows = plan_rows(ask("glm-5", 3), reference())
    assert not any(is_fitting(row) for row in rows)
    assert rows[0].fit is Fit.TOO_BIG
    assert rows[0].why.startswith("Too big: ")
    assert "4 nodes" in " ".join(problem.remedy for problem in rows[0].problems)
    missing = [min(one.free_bytes or 0 for one in row.ledgers) for row in rows if row.fit is Fit.TOO_BIG]
    assert missing == sorted(missing, reverse=True)


def test_a_plan_on_a_full_node_names_the_free_one_beside_it() -> None:
    held = (Neighbour("j1", "gpt-oss-120b", ("n1",), 200.0, 30.0, bytes_held=90 * GIB),)
    whole = place_of(2, neighbours=held, free_gib=(20.0, 118.7))
    alone = replace(ask(LLAMA, 1, engine="vllm"), place=replace(whole, nodes=whole.nodes[:1]))
    for question, is_named in ((alone, False), (replace(alone, whole=whole), True)):
        remedies = [problem.remedy for row in plan_rows(question, reference()) for problem in row.problems]
        assert any("on node 2 instead" in one for one in remedies) == is_named
        assert any("stop gpt-oss-120b" in one for one in remedies)


def test_what_fits_stands_before_what_is_risky_and_that_before_what_is_too_big() -> None:
    order = (Fit.FITS, Fit.TIGHT, Fit.RISKY, Fit.TOO_BIG)
    rows = plan_rows(ask("qwen3.5-397b-a17b", 4, CODING), reference())
    groups = [max(0, order.index(row.fit) - 1) for row in rows]  # Fits and Tight are one group
    assert groups == sorted(groups)
    assert len(set(groups)) > 1
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))


def test_a_request_longer_than_the_model_was_made_for_fits_nowhere() -> None:
    rows = plan_rows(ask("qwen3-8b", 1, load_of(200_000, 1000, 1)), reference())
    assert rows
    assert not any(is_fitting(row) for row in rows)
    assert "was made for" in rows[0].why


def test_fewer_nodes_are_those_with_most_room_in_rank_order() -> None:
    place = place_of(4, free_gib=(20.0, 100.0, 30.0, 110.0))
    assert [node.node_id for node in choose_nodes(place, 2).nodes] == ["n2", "n4"]
    assert choose_nodes(place, 4) is place
    lent = replace(place, nodes=(*place.nodes[:3], NodeRoom("n4", "n4", 121 * GIB, 110 * GIB, is_owned=False)))
    assert [node.node_id for node in choose_nodes(lent, 2).nodes] == ["n2", "n3"]


def test_many_nodes_are_not_all_counted() -> None:
    assert node_counts(4) == (1, 2, 3, 4)
    assert node_counts(24) == (1, 2, 3, 4, 8, 16, 24)


def test_an_eight_bit_cache_is_listed_where_it_makes_a_plan_fit() -> None:
    load = load_of(100_000, 1000, 3)
    rows = plan_rows(ask(LLAMA, 2, load, engine="vllm", format="NVFP4", tensor=1, pipeline=1, data=1), reference())
    assert {row.setup.kv_dtype: is_fitting(row) for row in rows} == {"": False, "fp8": True}
    assert rows[0].setup.kv_dtype == "fp8"


def test_a_variant_that_is_better_in_nothing_is_left_out_unless_it_is_asked_for() -> None:
    free = plan_rows(ask("gpt-oss-120b", 1, engine="vllm"), reference())
    assert "eager" not in {row.setup.build.key for row in free}
    asked = plan_rows(ask("gpt-oss-120b", 1, engine="vllm", build="eager"), reference())
    assert {row.setup.build.key for row in asked} == {"eager"}


def test_an_engine_without_an_adapter_is_shown_and_says_so() -> None:
    known = reference()
    without = replace(known.engines["trtllm"], is_launchable=False)
    row = first(plan_rows(ask(LLAMA, 1), replace(known, engines={**known.engines, "trtllm": without})), engine="trtllm")
    assert any("cannot launch" in problem.message for problem in row.problems)
    assert is_fitting(row)


def test_every_figure_of_every_row_is_known_for_a_model_of_the_catalogue() -> None:
    for row in plan_rows(ask(LLAMA, 4, CODING), reference()):
        for figure in (row.shown.ttft_s, row.shown.tpot_s, row.shown.e2e_s, row.shown.output_tok_s, row.cost.power_w):
            assert math.isfinite(figure.value)
            assert figure.low <= figure.value <= figure.high
        assert row.why


def test_a_risky_plan_tells_how_far_it_goes_and_that_is_at_least_its_load() -> None:
    rows = plan_rows(ask("deepseek-v3", 3), reference())
    risky = [row for row in rows if row.fit is Fit.RISKY]
    assert risky
    for row in risky:
        assert (row.max_context_tokens or 0) >= row.workload.context_tokens
        assert (row.max_concurrency or 0) >= row.workload.users
