"""A format that nobody published is planned with a computed size, one of the same bits is taken, and both are said."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.weights import compute_format
from sparkdesk.core.planning.quality import quality_of
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.checkpoint import checkpoints_of, find_unlisted, format_of, key_of
from sparkdesk.core.planning.search.rows import plan_rows
from tests.core.planning.planner import ask, catalogue, reference, spec_of, words_of

ENGINES = tuple(reference().engines.values())


def rows_of(model: str, nodes: int = 1, **limits: object) -> tuple[PlanRow, ...]:
    return plan_rows(ask(model, nodes, **limits), reference())


def notes_of(row: PlanRow) -> list[str]:
    return [one.message for one in row.problems if one.field == "quantization" and one.severity is Severity.NOTE]


def test_a_format_that_nobody_published_is_planned_with_a_computed_size_and_says_so() -> None:
    rows = rows_of("llama-3.1-8b", format="int8")
    assert {words_of(row)["weights"] for row in rows} == {"INT8"}
    assert {words_of(row)["engine"] for row in rows} == {"vllm", "sglang", "trtllm"}
    eight = next(one for one in spec_of("llama-3.1-8b").formats if one.key == "FP8")
    # The same bits as FP8, and the same that stays in 16 bit.
    assert rows[0].setup.weights.weight_bytes == pytest.approx(eight.weight_bytes, rel=0.001)
    assert all("size computed" in " ".join(notes_of(row)) for row in rows)
    assert rows[0].quality.words == "small"
    assert rows[0].quality.source == ""


def test_without_a_word_only_known_checkpoints_are_listed() -> None:
    spec = spec_of("llama-3.1-8b")
    known = {one.key for one in spec.formats}
    rows = rows_of("llama-3.1-8b")
    assert {words_of(row)["weights"] for row in rows} == known
    assert not any(row.setup.weights.is_computed or notes_of(row) for row in rows)


def test_a_computed_size_is_near_that_of_the_checkpoint_where_there_is_one() -> None:
    found = {}
    for spec in catalogue():
        for one in spec.formats:
            rest = tuple(other for other in spec.formats if other.key != one.key)
            computed = compute_format(replace(spec, formats=rest), one.key) if rest else None
            if computed is not None:
                found[spec.key, one.key] = computed.weight_bytes / one.weight_bytes
                assert computed.expert_bytes + computed.unread_bytes <= computed.weight_bytes
    assert statistics.median(abs(ratio - 1) for ratio in found.values()) < 0.01
    far = {key for key, ratio in found.items() if not 0.88 < ratio < 1.12}
    # Its NVFP4 checkpoint keeps attention in 16 bit, its AWQ one does not.
    assert far <= {("gemma-4-31b", "NVFP4"), ("gemma-4-31b", "AWQ"), ("deepseek-v4-flash", "FP8")}


def test_experts_stay_experts_in_a_computed_format() -> None:
    spec = spec_of("qwen3-30b-a3b")
    computed = compute_format(spec, "INT8")
    eight = next(one for one in spec.formats if one.key == "FP8")
    assert computed is not None
    assert computed.expert_bytes == pytest.approx(eight.expert_bytes, rel=0.02)
    assert computed.read_bytes(spec.experts, 1) < 0.2 * computed.weight_bytes


@pytest.mark.parametrize("wanted", ["INT4", "int4-autoround", "W4A16", "GPTQ"])
def test_four_bit_integers_take_the_models_own_kind_and_say_which(wanted: str) -> None:
    rows = rows_of("llama-3.3-70b", format=wanted)
    assert {words_of(row)["weights"] for row in rows} == {"AWQ"}
    assert "its AWQ one" in notes_of(rows[0])[0]


def test_the_format_itself_comes_before_another_of_the_same_bits() -> None:
    spec = spec_of("qwen2.5-32b")
    assert [one.key for one in checkpoints_of(spec, "gptq", ENGINES)] == ["GPTQ"]
    assert [one.key for one in checkpoints_of(spec, "INT4", ENGINES)] == ["AWQ"]
    assert [one.key for one in checkpoints_of(spec, "Q4_K_M", ENGINES)] == ["Q4_K_M"]


@pytest.mark.parametrize(
    ("word", "key"),
    [("FP4", "NVFP4"), ("nvfp4", "NVFP4"), ("int4-autoround", "INT4"), ("w8a8", "INT8"), ("fp16", "BF16"),
     ("q4_k_m", "Q4_K_M"), ("FP3", "FP3")],
)  # fmt: skip
def test_people_and_engines_spell_formats_in_many_ways(word: str, key: str) -> None:
    assert key_of(word) == key


def test_a_word_that_is_no_format_has_no_weights() -> None:
    assert checkpoints_of(spec_of("llama-3.1-8b"), "FP3", ENGINES) == []


def test_llama_cpp_takes_the_file_of_a_format_that_has_two() -> None:
    rows = rows_of("gpt-oss-120b", engine="llamacpp", format="MXFP4")
    assert {words_of(row)["weights"] for row in rows} == {"MXFP4_GGUF"}
    assert {words_of(row)["weights"] for row in rows_of("gpt-oss-120b", format="MXFP4")} == {"MXFP4"}
    assert {words_of(row)["engine"] for row in rows_of("llama-3.1-8b", format="GGUF")} == {"llamacpp"}
    assert {words_of(row)["weights"] for row in rows_of("llama-3.1-8b", format="Q6_K")} == {"Q6_K"}


def test_a_model_that_was_not_trained_to_mxfp4_loses_by_it() -> None:
    computed = compute_format(spec_of("llama-3.1-8b"), "MXFP4")
    assert computed is not None
    assert quality_of(computed).level > quality_of(spec_of("gpt-oss-120b").formats[0]).level


@pytest.mark.parametrize(
    ("words", "wanted", "fixed", "is_noted"),
    [
        ("openai/gpt-oss-20b", "", "", False),
        ("gpt-oss-20b", "", "", False),
        ("meta-llama/Llama-3.1-8B-Instruct", "", "", False),
        ("MiniMaxAI/MiniMax-M2.5", "AWQ", "AWQ", False),
        ("nvidia/Llama-3.3-70B-Instruct-NVFP4", "", "NVFP4", False),
        ("nvidia/Llama-3.3-70B-Instruct-FP4", "fp4", "NVFP4", False),
        ("nvidia/Llama-3.3-70B-Instruct-NVFP4", "FP8", "FP8", True),
        ("llama-3.3-70b-bf16", "", "BF16", False),
        ("bartowski/Llama-3.3-70B-Instruct-GGUF:q4_k_m", "", "Q4_K_M", False),
        ("Qwen/Qwen3-8B-GGUF", "", "GGUF", False),
    ],
)
def test_a_name_fixes_a_format_where_it_says_one(words: str, wanted: str, fixed: str, is_noted: bool) -> None:
    match = find_model(catalogue(), words)
    assert match is not None
    form, notes = format_of(match, words, wanted)
    assert (form, bool(notes)) == (fixed, is_noted)


@pytest.mark.parametrize(
    ("words", "key", "form"),
    [
        ("RedHatAI/Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b", "INT4"),
        ("someone/gpt-oss-20b-NVFP4", "gpt-oss-20b", "NVFP4"),
        ("unsloth/Qwen3-14B-bnb-4bit", "qwen3-14b", "INT4"),
        ("someone/gemma-3-27b-it-GGUF:Q6_K", "gemma-3-27b", "Q6_K"),
    ],
)
def test_a_checkpoint_that_is_not_of_the_catalogue_is_planned_by_its_name(words: str, key: str, form: str) -> None:
    match = find_unlisted(catalogue(), words)
    assert match is not None
    assert match.spec.key == key
    found, notes = format_of(match, words, "")
    assert found == form
    assert "nobody looked up" in notes[0].message


@pytest.mark.parametrize("words", ["someone/unheard-of-7b-AWQ", "llama", "-AWQ", "", "x" * 9000, "own/model-fp3"])
def test_a_name_of_no_known_model_stays_unknown(words: str) -> None:
    assert find_unlisted(catalogue(), words) is None


def test_the_question_itself_is_noted_on_every_row() -> None:
    match = find_model(catalogue(), "nvidia/Llama-3.3-70B-Instruct-NVFP4")
    assert match is not None
    form, notes = format_of(match, "nvidia/Llama-3.3-70B-Instruct-NVFP4", "FP8")
    rows = plan_rows(replace(ask("llama-3.3-70b", 1, format=form), notes=notes), reference())
    assert {words_of(row)["weights"] for row in rows} == {"FP8"}
    assert all("FP8 is planned, as asked" in notes_of(row)[0] for row in rows)


@pytest.mark.parametrize(
    ("model", "nodes", "limits"),
    [
        ("llama-3.3-70b", 1, {"engine": "vllm", "format": "NVFP4", "build": "eager"}),
        ("llama-3.3-70b", 2, {"engine": "vllm", "format": "INT4", "tensor": 2, "kv_dtype": "fp8"}),
        ("llama-3.3-70b", 2, {"engine": "sglang", "format": "INT8", "pipeline": 2}),
        ("qwen3-coder-next", 1, {"engine": "vllm", "format": "FP8", "speculative": "mtp", "kv_dtype": "fp8"}),
        ("openai/gpt-oss-120b", 1, {"engine": "llamacpp", "format": "MXFP4", "kv_dtype": "q8_0"}),
        ("glm-5", 3, {"engine": "vllm", "format": "NVFP4", "pipeline": 3, "build": "tuned"}),
    ],
)
def test_of_a_setup_that_is_fixed_in_everything_there_is_one_row(
    model: str, nodes: int, limits: dict[str, object]
) -> None:
    free = {"build": "stock", "tensor": 1, "pipeline": 1, "data": 1, "kv_dtype": "auto", "speculative": "none"}
    wanted = free | limits
    (row,) = rows_of(model, nodes, **wanted)
    setup = row.setup
    assert (row.rank, setup.engine.key, setup.build.key) == (1, wanted["engine"], wanted["build"])
    assert (setup.kv_dtype or "auto", setup.speculative) == (wanted["kv_dtype"], wanted["speculative"])
    split = setup.parallelism
    sizes = (split.tensor_parallel_size, split.pipeline_parallel_size, split.data_parallel_size)
    assert sizes == (wanted["tensor"], wanted["pipeline"], wanted["data"])


def test_every_word_for_sixteen_bits_is_the_engines_own_cache() -> None:
    for word in ("auto", "bf16", "FP16", "f16"):
        rows = rows_of("llama-3.1-8b", engine="llamacpp", kv_dtype=word)
        assert {row.setup.kv_dtype for row in rows} == {""}
