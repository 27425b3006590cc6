"""The shipped catalogue is whole, says where its figures come from, and is found by every name in use."""

from __future__ import annotations

import pytest

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.models.catalogue import MAX_BYTES, find_model, read_catalogue, weights_of
from sparkdesk.core.models.spec import LayerKind, ModelSpec
from sparkdesk.paths import resources_dir

CATALOGUE = read_catalogue((resources_dir() / "catalogue" / "models.toml").read_bytes())
BY_KEY = {spec.key: spec for spec in CATALOGUE}
LAYER = 'layers = [{ kind = "full", count = 4, kv_heads = 2, head_dim = 64 }]'


def one_model(*lines: str) -> bytes:
    return "\n".join(['[[model]]\nname = "own/model"\ntitle = "Model"', *lines]).encode()


def test_the_small_model_that_runs_everywhere_comes_first() -> None:
    first = CATALOGUE[0]
    assert (first.name, first.engines) == ("SmolLM2-135M-Instruct", ("llamacpp",))
    (weights,) = first.formats
    assert (weights.key, weights.file, weights.weight_bytes) == ("Q4_1", "SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432)


@pytest.mark.parametrize("spec", CATALOGUE, ids=lambda spec: spec.key)
def test_every_model_says_its_size_shape_and_sources(spec: ModelSpec) -> None:
    assert spec.parameters
    assert spec.layers
    assert spec.context_tokens
    assert spec.hidden_size
    assert spec.attention_heads
    assert spec.purposes
    assert spec.licence
    assert spec.formats
    assert all(each.source and each.engines for each in spec.formats)
    assert {"parameters", "layers"} <= spec.sources.keys()
    if spec.experts is not None:
        assert spec.active_parameters is not None
        assert spec.active_parameters < spec.parameters
        assert all(each.expert_bytes for each in spec.formats)


@pytest.mark.parametrize("spec", CATALOGUE, ids=lambda spec: spec.key)
def test_sizes_of_formats_agree_with_their_bits(spec: ModelSpec) -> None:
    bits = {"BF16": 16, "FP8": 8, "NVFP4": 4.5, "MXFP4": 4.25, "MXFP4_GGUF": 4.25, "AWQ": 4.16, "GPTQ": 4.16}
    bits |= {"INT4": 4.16, "Q8_0": 8.5, "Q4_K_M": 4.85, "Q4_1": 5.0}
    for each in spec.formats:
        assert spec.parameters is not None
        ratio = each.weight_bytes * 8 / spec.parameters / bits[each.key]
        # What stays in 16 bit makes small and mixed checkpoints larger, never much smaller.
        assert 0.99 <= ratio <= 1.95 or spec.key == "deepseek-v4-flash", (each.key, ratio)


# Source: the makers' own words, in 10^9 parameters: all, and those that a token passes.
@pytest.mark.parametrize(
    ("key", "total", "active"),
    [
        ("gpt-oss-120b", 117, 5.1),
        ("gpt-oss-20b", 21, 3.6),
        ("qwen3-235b-a22b", 235, 22),
        ("qwen3.5-397b-a17b", 397, 17),
        ("qwen3.6-35b-a3b", 35, 3),
        ("minimax-m2.5", 230, 10),
        ("nemotron-3-super-120b-a12b", 120, 12),
        ("glm-5", 744, 40),
        ("deepseek-v3", 671, 37),
        ("gemma-4-26b-a4b", 25.2, 3.8),
    ],
)
def test_parameters_agree_with_what_their_makers_say(key: str, total: float, active: float) -> None:
    spec = BY_KEY[key]
    assert spec.parameters == pytest.approx(total * 1e9, rel=0.02)
    assert spec.active_parameters == pytest.approx(active * 1e9, rel=0.06)


# Source: the models' own cards, in 10^9 parameters; active ones with the embeddings that the cards count.
@pytest.mark.parametrize(
    ("key", "total", "active"),
    [
        ("qwen2.5-7b", 7.61, None),
        ("qwen2.5-72b", 72.7, None),
        ("qwen3-coder-30b-a3b", 30.5, 3.3),
        ("gemma-3-27b", 27.4, None),
        ("gemma-3-12b", 12.2, None),
        ("glm-4.5-air", 106, 13),
        ("mixtral-8x7b", 46.7, 12.9),
        ("devstral-small-24b", 23.6, None),
        ("llama-3.2-1b", 1.24, None),
        ("deepseek-r1-distill-llama-70b", 70.6, None),
        ("deepseek-r1-distill-qwen-32b", 32.8, None),
        ("kimi-k2", 1026, 32),
    ],
)
def test_computed_totals_agree_with_the_published_ones(key: str, total: float, active: float | None) -> None:
    spec = BY_KEY[key]
    assert spec.parameters == pytest.approx(total * 1e9, rel=0.01)
    if active is None:
        assert spec.active_parameters is None
    else:
        assert spec.active_parameters is not None
        looked_up = next(each for each in spec.formats if each.key == "BF16" or not each.file).unread_bytes / 2
        assert spec.active_parameters + looked_up == pytest.approx(active * 1e9, rel=0.04)


def test_one_token_reads_what_was_published() -> None:
    # Source: NVIDIA's table: 40.6 GB a token of Llama 3.3 70B in NVFP4.
    llama = BY_KEY["llama-3.3-70b"].formats[0]
    assert llama.read_bytes(None, 1) == pytest.approx(40.6e9, rel=0.002)
    # 30.3 tokens a second in BF16 were published as 178 GB a second.
    qwen = BY_KEY["qwen3.5-35b-a3b"]
    half = next(each for each in qwen.formats if each.key == "BF16")
    assert half.read_bytes(qwen.experts, 1) * 30.3 / 1e9 == pytest.approx(178, rel=0.02)
    assert half.read_bytes(qwen.experts, 10_000) == pytest.approx(half.weight_bytes - half.unread_bytes, rel=0.001)


@pytest.mark.parametrize(
    ("words", "key", "weights"),
    [
        ("gpt-oss-120b", "gpt-oss-120b", ""),
        ("openai/gpt-oss-120b", "gpt-oss-120b", "MXFP4"),
        ("OpenAI/GPT-OSS-120B", "gpt-oss-120b", "MXFP4"),
        (" GPT-OSS 120B ", "gpt-oss-120b", ""),
        ("llama-3.3-70b", "llama-3.3-70b", ""),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b", ""),
        ("nvidia/Llama-3.3-70B-Instruct-NVFP4", "llama-3.3-70b", "NVFP4"),
        ("nvidia/llama-3.3-70b-instruct-fp4", "llama-3.3-70b", "NVFP4"),
        ("Llama-3.3-70B-Instruct-FP8", "llama-3.3-70b", "FP8"),
        ("llama-3.3-70b-nvfp4", "llama-3.3-70b", "NVFP4"),
        ("Llama 3.3 70B", "llama-3.3-70b", ""),
        ("qwen3-coder-next-fp8", "qwen3-coder-next", "FP8"),
        ("https://huggingface.co/Qwen/Qwen3.5-397B-A17B", "qwen3.5-397b-a17b", ""),
        ("bartowski/Llama-3.3-70B-Instruct-GGUF:q4_k_m", "llama-3.3-70b", "Q4_K_M"),
        ("Qwen/Qwen3-8B-GGUF", "qwen3-8b", ""),
        ("smollm2-135m-instruct.q4_1.gguf", "smollm2-135m", "Q4_1"),
        ("GLM-5", "glm-5", ""),
        ("zai-org/glm-5-fp8", "glm-5", "FP8"),
        ("nemotron-3-super", "nemotron-3-super-120b-a12b", ""),
        ("Nemotron 3 Super", "nemotron-3-super-120b-a12b", ""),
        ("deepseek-ai/DeepSeek-R1", "deepseek-r1", ""),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1", "FP8"),
        ("nvidia/DeepSeek-R1-0528-NVFP4", "deepseek-r1", "NVFP4"),
        ("MiniMaxAI/MiniMax-M2", "minimax-m2", "FP8"),
        ("minimax-m2.1", "minimax-m2.1", ""),
        ("Qwen2.5-7B-Instruct", "qwen2.5-7b", ""),
        ("qwen3-coder-30b-a3b", "qwen3-coder-30b-a3b", ""),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct-FP8", "qwen3-coder-30b-a3b", "FP8"),
        ("google/gemma-3-27b-it", "gemma-3-27b", ""),
        ("gemma-3-12b-it", "gemma-3-12b", ""),
        ("GLM-4.5-Air", "glm-4.5-air", ""),
        ("mixtral-8x7b", "mixtral-8x7b", ""),
        ("devstral-small", "devstral-small-24b", ""),
        ("meta-llama/Llama-3.2-1B-Instruct", "llama-3.2-1b", ""),
        ("DeepSeek-R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b", ""),
        ("deepseek-r1-distill-qwen-32b", "deepseek-r1-distill-qwen-32b", ""),
        ("moonshotai/Kimi-K2-Instruct", "kimi-k2", "FP8"),
        ("kimi-k2", "kimi-k2", ""),
    ],
)
def test_a_model_is_found_by_every_name_in_use(words: str, key: str, weights: str) -> None:
    match = find_model(CATALOGUE, words)
    assert match is not None
    assert match.spec.key == key
    assert (match.weights.key if match.weights else "") == weights


@pytest.mark.parametrize(
    "words",
    [
        "",
        "  ",
        "/",
        "llama",
        "gpt-oss",
        "nemotron-3-sup",
        "own/nemotron-3-super",
        "gpt-oss-1200b",
        "x" * 10_000,
        "own/model",
    ],
)
def test_what_no_model_is_called_finds_none(words: str) -> None:
    assert find_model(CATALOGUE, words) is None


def test_every_checkpoint_and_key_leads_to_its_own_model() -> None:
    for spec in CATALOGUE:
        for name in (spec.key, spec.name, spec.title, *(each.repo for each in spec.formats if each.repo)):
            match = find_model(CATALOGUE, name)
            assert match is not None, name
            assert match.spec is spec, name


def test_a_launch_names_the_checkpoint_that_it_loads() -> None:
    spec = BY_KEY["llama-3.3-70b"]
    assert weights_of(spec, spec.name, "") == spec.formats[0]
    found = weights_of(spec, "meta-llama/Llama-3.3-70B-Instruct", "")
    assert found is not None
    assert found.key == "BF16"
    assert weights_of(spec, spec.name, "nvfp4") == spec.formats[0]
    assert weights_of(spec, spec.name, "Q2_K") is None
    assert weights_of(spec, "own/model", "") is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("parameters = 0",), "parameters"),
        (("parameters = -5",), "parameters"),
        (("parameters = 1e309",), "parameters"),
        (("experts = { total = 4, active = 8 }",), "more experts active"),
        (('layers = [{ kind = "full", count = 4 }]',), "full layers need kv_heads and head_dim"),
        (('layers = [{ kind = "round", count = 4 }]',), "kind"),
        (('formats = [{ key = "FP8", weight_bytes = 5, expert_bytes = 6 }]',), "larger than all weights"),
        (('formats = [{ key = "$(id)", weight_bytes = 5 }]',), "key"),
        (('formats = [{ key = "FP8", weight_bytes = 5, repo = "-v /:/" }]',), "repo"),
        (
            ('key = "a"', LAYER, '[[model]]\nname = "own/other"\ntitle = "Other"\nkey = "a"'),
            "two models have the key a",
        ),
        (("colour = 4",), "colour"),
        (("[[[",), ""),
    ],
)
def test_a_wrong_entry_is_refused_and_named(lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_catalogue(one_model(*lines))
    assert words in refused.value.detail


def test_a_file_of_any_size_or_code_is_refused_without_harm() -> None:
    for text in (b"\xff\xfe", b"[[model]]\n" + b"#" * MAX_BYTES):
        with pytest.raises(SettingsError):
            read_catalogue(text)


def test_a_full_entry_is_read_as_it_stands() -> None:
    (spec,) = read_catalogue(one_model('key = "own"', LAYER, 'formats = [{ key = "FP8", weight_bytes = 5 }]'))
    assert spec.layers[0].kind is LayerKind.FULL
    assert (spec.layers[0].count, spec.formats[0].weight_bytes, spec.engines) == (4, 5, ())


def test_every_repository_says_where_its_name_was_read() -> None:
    for spec in CATALOGUE:
        for each in spec.formats:
            assert bool(each.repo) == bool(each.repo_source), (spec.key, each.key)
    recalled = {each.repo for spec in CATALOGUE for each in spec.formats if each.is_repo_recalled}
    assert recalled == {"cyankiwi/MiniMax-M2.1-AWQ-4bit"}


def test_a_format_has_its_own_word_on_its_name_before_the_catalogues() -> None:
    formats = (
        'formats = [{ key = "FP8", weight_bytes = 5, repo = "own/a", repo_source = "recalled" },'
        ' { key = "BF16", weight_bytes = 9, repo = "own/b" }, { key = "INT8", weight_bytes = 5 }]'
    )
    (spec,) = read_catalogue(b'repo_source = "a page"\n' + one_model(LAYER, formats))
    assert [each.repo_source for each in spec.formats] == ["recalled", "a page", ""]
    assert [each.is_repo_recalled for each in spec.formats] == [True, False, False]
