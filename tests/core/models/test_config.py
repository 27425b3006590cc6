"""A config.json gives the published size, the right cache and the right format; a hostile one gives a named field."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import PlanError
from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.config import MAX_BYTES, examine_config, read_config
from sparkdesk.core.models.fields import ModelFileError
from sparkdesk.core.models.kv import kv_bytes_per_sequence
from sparkdesk.core.models.spec import LayerKind
from sparkdesk.paths import resources_dir
from tests.core.models import configs
from tests.core.models.configs import BY_KEY, Config

CATALOGUE = {spec.key: spec for spec in read_catalogue((resources_dir() / "catalogue" / "models.toml").read_bytes())}
LLAMA = configs.LLAMA_70B


def refused_at(config: object) -> str:
    given_as = config if isinstance(config, dict) else json.dumps(config).encode()
    reading = examine_config(given_as, name="own/model")
    assert reading.spec is None
    (problem,) = reading.problems
    assert problem.severity == "error"
    assert problem.message
    assert problem.remedy
    return problem.field


@pytest.mark.parametrize("key", BY_KEY)
def test_the_shape_gives_the_published_size_and_the_catalogues_cache(key: str) -> None:
    spec, known = read_config(BY_KEY[key], name="own/model"), CATALOGUE[key]
    assert spec.parameters == pytest.approx(known.parameters, rel=0.02)
    assert spec.active_parameters == (pytest.approx(known.active_parameters, rel=0.02) if known.experts else None)
    assert spec.experts == known.experts
    assert set(spec.layers) == set(known.layers)
    assert (spec.hidden_size, spec.attention_heads) == (known.hidden_size, known.attention_heads)
    assert spec.context_tokens == known.context_tokens


# Source: the makers' own words, in 10^9 parameters: all, and those that a token passes.
@pytest.mark.parametrize(
    ("config", "total", "active"),
    [
        (configs.LLAMA_70B, 70.6, None),
        (configs.QWEN3_30B, 30.5, 3.3),
        (configs.GPT_OSS_120B, 117, 5.1),
        (configs.GLM_5, 744, 40),
        (configs.DEEPSEEK_V3, 671, 37),
        (configs.QWEN35_397B, 397, 17),
    ],
)
def test_parameters_agree_with_what_is_published(config: Config, total: float, active: float | None) -> None:
    spec = read_config(config, name="own/model")
    assert spec.parameters == pytest.approx(total * 1e9, rel=0.01)
    if active is not None:
        assert spec.active_parameters == pytest.approx(active * 1e9, rel=0.08)


def test_bytes_of_a_file_are_read_as_the_mapping_is() -> None:
    assert read_config(json.dumps(LLAMA).encode(), name="a/b") == read_config(LLAMA, name="a/b")


@pytest.mark.parametrize(
    ("config", "key", "gigabytes"),
    [
        (configs.LLAMA_70B, "BF16", 141.1),
        (configs.LLAMA_70B_NVFP4, "NVFP4", 42.7),
        (configs.GPT_OSS_120B, "MXFP4", 65.4),
        (configs.DEEPSEEK_V3, "FP8", 673),
        (configs.MINIMAX_M2, "FP8", 230),
    ],
)
def test_weights_take_what_their_format_takes(config: Config, key: str, gigabytes: float) -> None:
    (weights,) = read_config(config, name="own/model").formats
    assert weights.key == key
    assert weights.weight_bytes / 1e9 == pytest.approx(gigabytes, rel=0.01)
    assert (weights.repo, weights.source) == ("own/model", "computed from config.json")


@pytest.mark.parametrize(
    ("quantization", "key"),
    [
        ({"quant_method": "fp8"}, "FP8"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "FP8"),
        ({"quant_algo": "NVFP4"}, "NVFP4"),
        ({"quant_method": "mxfp4"}, "MXFP4"),
        ({"quant_method": "awq", "bits": 4}, "AWQ"),
        ({"quant_method": "gptq", "bits": 4}, "GPTQ"),
        ({"quant_method": "gptq", "bits": 8}, "INT8"),
        ({"quant_method": "auto-round", "bits": 4}, "INT4"),
        ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "NVFP4"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "FP8"),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
            },
            "INT4",
        ),
        ({}, "BF16"),
    ],
)
def test_every_method_of_quantization_is_told(quantization: Config, key: str) -> None:
    reading = examine_config(LLAMA | {"quantization_config": quantization}, name="own/model")
    assert reading.spec is not None
    assert [weights.key for weights in reading.spec.formats] == [key]
    assert reading.problems == ()


def test_a_quantization_that_is_not_known_has_no_size_and_says_so() -> None:
    reading = examine_config(LLAMA | {"quantization_config": {"quant_method": "exl7"}}, name="own/model")
    assert reading.spec is not None
    assert reading.spec.formats == ()
    assert [problem.field for problem in reading.problems] == ["quantization_config.quant_method"]


def test_an_architecture_that_is_not_known_is_said_at_its_field() -> None:
    reading = examine_config(LLAMA | {"model_type": "zephyrus9"}, name="own/model")
    assert reading.spec is not None
    (problem,) = reading.problems
    assert (problem.severity, problem.field) == ("warning", "model_type")
    assert "zephyrus9" in problem.message
    assert refused_at({"model_type": "zephyrus9", "width": 5}) == "num_hidden_layers"


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, {"full": 80}),
        ({"model_type": "mistral", "sliding_window": 4096}, {"sliding": 80}),
        ({"model_type": "gemma3_text", "sliding_window": 1024}, {"sliding": 67, "full": 13}),
        ({"model_type": "gemma3_text", "sliding_window": 9, "sliding_window_pattern": 4}, {"sliding": 60, "full": 20}),
        ({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False}, {"full": 80}),
        (
            {"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 70},
            {"full": 70, "sliding": 10},
        ),
        ({"model_type": "qwen2", "sliding_window": 4096}, {"full": 80}),
        (
            {"layer_types": (["chunked_attention"] * 3 + ["full_attention"]) * 20, "attention_chunk_size": 8192},
            {"sliding": 60, "full": 20},
        ),
        ({"num_kv_shared_layers": 10}, {"full": 70, "none": 10}),
    ],
)
def test_windows_are_told_in_every_way_that_is_in_use(changes: Config, kinds: dict[str, int]) -> None:
    spec = read_config(LLAMA | changes, name="own/model")
    assert {str(group.kind): group.count for group in spec.layers} == kinds


def test_what_the_file_does_not_say_follows_its_family() -> None:
    plain = {name: value for name, value in LLAMA.items() if name not in ("tie_word_embeddings", "num_key_value_heads")}
    spec = read_config(plain, name="own/model")
    assert spec.layers[0].kv_heads == 64
    assert spec.layers[0].head_dim == 128
    untied = read_config(LLAMA, name="own/model").parameters
    tied = read_config(LLAMA | {"tie_word_embeddings": True}, name="own/model").parameters
    assert untied is not None
    assert tied is not None
    assert untied - tied == 128256 * 8192
    assert spec.formats[0].unread_bytes == 128256 * 8192 * 2


def test_a_model_that_sees_counts_its_eyes_as_never_read() -> None:
    with_eyes, without = (
        read_config(config, name="own/model")
        for config in (configs.QWEN35_397B, {k: v for k, v in configs.QWEN35_397B.items() if k != "vision_config"})
    )
    assert with_eyes.purposes == ("chat", "vision")
    assert with_eyes.speculatives == ("mtp",)
    assert (
        with_eyes.formats[0].unread_bytes - without.formats[0].unread_bytes == 27 * (4 * 1152**2 + 2 * 1152 * 4304) * 2
    )
    assert with_eyes.active_parameters == without.active_parameters


def test_a_hybrid_pattern_gives_each_letter_its_layer() -> None:
    spec = read_config(configs.NEMOTRON_NANO, name="own/model")
    counts = {group.kind: group.count for group in spec.layers}
    assert counts == {LayerKind.LINEAR: 23, LayerKind.NONE: 23, LayerKind.FULL: 6}
    as_list = {"*": "attention", "M": "mamba", "E": "moe"}
    words = [as_list[letter] for letter in str(configs.NEMOTRON_NANO["hybrid_override_pattern"])]
    listed = configs.NEMOTRON_NANO | {"hybrid_override_pattern": None, "layers_block_type": words}
    assert read_config(listed, name="own/model") == spec


@pytest.mark.parametrize("value", [0, -1, 1e309, -1e309, float("nan"), 10**30, 1.5, "80", True, [80], {"a": 1}])
@pytest.mark.parametrize(
    "field", ["num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "vocab_size"]
)
def test_an_absurd_size_is_refused_at_its_field(field: str, value: object) -> None:
    assert refused_at(LLAMA | {field: value}) == field


@pytest.mark.parametrize(
    ("config", "field"),
    [
        *(
            ({name: value for name, value in LLAMA.items() if name != field}, field)
            for field in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size", "intermediate_size")
        ),
        (LLAMA | {"num_key_value_heads": 128}, "num_key_value_heads"),
        (LLAMA | {"num_key_value_heads": 7}, "num_key_value_heads"),
        (LLAMA | {"num_attention_heads": 60, "num_key_value_heads": 60}, "num_attention_heads"),
        (LLAMA | {"layer_types": ["full_attention"] * 79}, "layer_types"),
        (LLAMA | {"layer_types": ["round_attention"] * 80}, "layer_types"),
        (LLAMA | {"layer_types": ["sliding_attention"] * 80}, "sliding_window"),
        (LLAMA | {"layer_types": ["full_attention"] * 1_000_000}, "layer_types"),
        (LLAMA | {"layer_types": [4] * 80}, "layer_types"),
        (LLAMA | {"layer_types": ["linear_attention"] * 80}, "linear_num_value_heads"),
        (LLAMA | {"kv_lora_rank": 512}, "qk_rope_head_dim"),
        (configs.DEEPSEEK_V4_FLASH | {"compress_ratios": [4] * 42}, "compress_ratios"),
        (configs.DEEPSEEK_V4_FLASH | {"compress_ratios": [5] * 43}, "compress_ratios"),
        (configs.QWEN3_30B | {"num_experts_per_tok": 129}, "num_experts_per_tok"),
        (configs.QWEN3_30B | {"num_experts_per_tok": None}, "num_experts_per_tok"),
        (LLAMA | {"text_config": 7}, "text_config"),
        ({"text_config": LLAMA | {"hidden_size": 0}}, "text_config.hidden_size"),
        (LLAMA | {"quantization_config": "fp8"}, "quantization_config"),
        (LLAMA | {"quantization_config": {"bits": 4}}, "quantization_config.quant_method"),
        (LLAMA | {"quantization_config": {"quant_method": 5}}, "quantization_config.quant_method"),
        (LLAMA | {"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        (LLAMA | {"model_type": "x" * 300}, "model_type"),
        (LLAMA | {"max_position_embeddings": -1}, "max_position_embeddings"),
        (LLAMA | {"hidden_size": 1 << 23, "head_dim": 128, "intermediate_size": 1 << 24}, "hidden_size"),
        ([LLAMA], ""),
        (7, ""),
        ({}, "num_hidden_layers"),
    ],
)
def test_what_is_missing_or_contradictory_is_refused_at_its_field(config: object, field: str) -> None:
    assert refused_at(config) == field


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 100_000, b" " * (MAX_BYTES + 1)])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ModelFileError) as refused:
        read_config(text, name="own/model")
    assert isinstance(refused.value, PlanError)
    assert refused.value.field == ""


def test_a_message_holds_no_more_of_a_hostile_value_than_a_line() -> None:
    for value in ("\x1b[31m" + "x" * 100_000, "9" * 100_000, "\n\n\u202e"):
        reading = examine_config(LLAMA | {"hidden_size": value}, name="own/model")
        (problem,) = reading.problems
        assert len(problem.message) < 200
        assert problem.message.isprintable()
    named = read_config(LLAMA, name="own/\x1b[31m\nmodel")
    assert named.name.isprintable()
    assert named.formats[0].repo == ""


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(1, 100)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["full_attention", "linear_attention", "mamba", "fp8", "gptq", "compressed-tensors", "MEM*E"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
PARTS = [part for config in BY_KEY.values() for part in (config, config.get("text_config")) if isinstance(part, dict)]
RARE_FIELDS = {"layers_block_type", "moe_layer_freq", "mlp_layer_types", "num_kv_shared_layers", "moe_latent_size"}
FIELDS = sorted({name for part in PARTS for name in part} | RARE_FIELDS)


@given(st.sampled_from(sorted(BY_KEY)), st.dictionaries(st.sampled_from(FIELDS), anything, min_size=1, max_size=3))
def test_whatever_a_config_holds_the_answer_is_a_spec_or_a_problem(key: str, changes: Config) -> None:
    reading = examine_config(BY_KEY[key] | changes, name="own/model")
    if reading.spec is None:
        assert [problem.severity for problem in reading.problems] == ["error"]
        return
    assert reading.spec.parameters
    assert reading.spec.parameters > 0
    kept = kv_bytes_per_sequence(reading.spec, tokens=4096, value_bytes=2.0)
    assert kept is not None
    assert math.isfinite(kept)
    assert kept >= 0
    for weights in reading.spec.formats:
        assert 0 <= weights.expert_bytes + weights.unread_bytes <= weights.weight_bytes


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_whatever_bytes_a_file_holds_nothing_else_is_raised(text: bytes) -> None:
    assert examine_config(text, name="own/model").spec is None
