"""Addresses, names, paths and texts of any kind: told apart, completed from the catalogue, never an exception."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.infra.yaml_text import read_yaml

CATALOGUE = (
    ModelSpec(
        name="meta-llama/Llama-3.3-70B-Instruct",
        title="Llama 3.3 70B",
        key="llama-3.3-70b",
        formats=(
            WeightFormat("BF16", 141 << 30, "meta-llama/Llama-3.3-70B-Instruct", engines=("vllm",)),
            WeightFormat("NVFP4", 43 << 30, "nvidia/Llama-3.3-70B-Instruct-NVFP4", engines=("vllm", "trtllm")),
        ),
    ),
)


@pytest.mark.parametrize(
    ("text", "kind", "fields"),
    [
        ("https://huggingface.co/openai/gpt-oss-120b", "hub", {"model": "openai/gpt-oss-120b"}),
        ("  huggingface.co/openai/gpt-oss-120b/tree/main?x=1\n", "hub", {"model": "openai/gpt-oss-120b"}),
        (
            "https://huggingface.co/a/b/tree/v1.2",
            "hub",
            {"model": "a/b", "extra_flags": ("--revision", "v1.2")},
        ),
        (
            "https://huggingface.co/unsloth/x-GGUF/blob/main/UD/x-UD-Q4_K_XL-00001-of-00002.gguf",
            "hub",
            {"model": "unsloth/x-GGUF", "engine": "llamacpp", "quantization": "UD-Q4_K_XL"},
        ),
        (
            "hf.co/unsloth/x-GGUF:Q8_0",
            "hub",
            {"model": "unsloth/x-GGUF", "engine": "llamacpp", "quantization": "Q8_0"},
        ),
        ("openai/gpt-oss-120b", "hub", {"model": "openai/gpt-oss-120b"}),
        ("a/b-GGUF:Q4_K_M", "hub", {"model": "a/b-GGUF", "engine": "llamacpp", "quantization": "Q4_K_M"}),
        (
            "~/my models/X y-Q4_K_M.gguf",
            "gguf",
            {
                "engine": "llamacpp",
                "weights_path": "~/my models/X y-Q4_K_M.gguf",
                "model": "X-y-Q4_K_M",
                "quantization": "Q4_K_M",
            },
        ),
        ("file:///srv/x.gguf", "gguf", {"engine": "llamacpp", "weights_path": "/srv/x.gguf", "model": "x"}),
    ],
)
def test_an_address_a_name_and_a_path_are_understood(text: str, kind: str, fields: dict[str, Any]) -> None:
    imported = read_paste(text)
    assert (imported.source_kind, dict(imported.fields)) == (kind, fields)
    assert not imported.has_errors


@pytest.mark.parametrize(
    "text", ["nvidia/llama-3.3-70b-instruct-nvfp4", "https://hf.co/nvidia/Llama-3.3-70B-Instruct-NVFP4"]
)
def test_the_catalogue_names_format_and_engine(text: str) -> None:
    imported = read_paste(text, CATALOGUE)
    assert (imported.fields["quantization"], imported.fields["engine"]) == ("NVFP4", "vllm")


def test_a_catalogue_name_becomes_a_hub_id() -> None:
    assert read_paste("llama-3.3-70b", CATALOGUE).fields["model"] == "meta-llama/Llama-3.3-70B-Instruct"


def test_a_flag_wins_over_the_catalogue() -> None:
    imported = read_paste("vllm serve nvidia/Llama-3.3-70B-Instruct-NVFP4 --quantization modelopt_fp4", CATALOGUE)
    assert imported.fields["quantization"] == "modelopt_fp4"


def test_an_engine_without_an_adapter_is_said() -> None:
    imported = read_paste("trtllm-serve a/b --max_batch_size 4", (), ("vllm", "llamacpp"))
    assert [each.field for each in imported.problems if each.severity is Severity.WARNING] == ["engine"]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("trtllm-serve a/b", "Export it as a script"),
        ("trtllm-serve a/b --tp_size 2", "mpirun"),
        ("python -m sglang.launch_server --model-path a/b --tp 2", "Export it as a script"),
        ("python -m sglang.launch_server --model-path a/b --tp 2 --dp 2", "No export"),
    ],
)
def test_a_script_is_promised_only_where_one_can_be_written(text: str, remedy: str) -> None:
    problem = next(each for each in read_paste(text, (), ("vllm",)).problems if each.field == "engine")
    assert remedy in problem.remedy
    assert ("Export it as a script" in problem.remedy) == (remedy == "Export it as a script")


@pytest.mark.parametrize(
    ("flags", "count"), [("-tp 3", 1), ("-tp 16", 1), ("-tp 8", 0), ("-pp 3", 0), ("-tp 2 -pp 2", 0), ("-tp 99", 1)]
)
def test_a_division_that_the_model_does_not_have_is_an_error_at_its_field(flags: str, count: int) -> None:
    spec = replace(CATALOGUE[0], attention_heads=40)
    imported = read_paste(f"vllm serve {spec.name} {flags}", (spec,))
    errors = [each.field for each in imported.problems if each.severity is Severity.ERROR]
    assert errors == ["tensor_parallel_size"] * count


@pytest.mark.parametrize(
    ("image", "model", "build"),
    [
        ("sparkarena/spark-vllm-docker:mxfp4", "openai/gpt-oss-120b", "tuned"),
        ("ghcr.io/sparkarena/spark-vllm-docker:mxfp4", "openai/gpt-oss-20b", "tuned"),
        ("vllm-node-mxfp4", "openai/gpt-oss-120b", "tuned"),
        ("vllm-node-mxfp4", "Qwen/Qwen3-8B", None),
        ("sparkarena/spark-vllm-docker:latest", "openai/gpt-oss-120b", None),
        ("vllm/vllm-openai:latest", "openai/gpt-oss-120b", None),
    ],
)
def test_the_tuned_image_of_a_model_names_its_build(image: str, model: str, build: str | None) -> None:
    recipe = f"{{model: {model}, runtime: vllm, container: '{image}', defaults: {{port: 8000}}}}"
    assert read_paste(recipe, load_yaml=read_yaml).fields.get("build") == build
    assert read_paste(f"docker run {image} vllm serve {model}").fields.get("build") == build


@pytest.mark.parametrize("text", ["", "   \n", "what is this text about?", "SELECT 1;", "x" * 300_000])
def test_what_is_nothing_of_this_is_said(text: str) -> None:
    imported = read_paste(text, load_yaml=read_yaml)
    assert imported.has_errors
    assert imported.source_kind == ""


def test_every_line_of_what_was_not_understood_is_listed() -> None:
    listed = " ".join(each.text for each in read_paste("one two three\nfour five\n").unknown)
    assert "one two three" in listed
    assert "four five" in listed


PIECES = ["vllm serve ", "a/b ", "docker run ", "--port ", "8000 ", "'", '"', "\\\n", "$(", "`", "<<E\n", "\nE\n", "{",
          "}", "model: ", "- ", "[", "--", "-e X=", "&& ", "| ", "> ", "#", "engine = ", "~/x.gguf", "\0", "\u202e",
          ":"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.booleans())
def test_any_text_gives_fields_or_problems_and_never_an_exception(text: str, is_recipe: bool) -> None:
    imported = read_paste(text, CATALOGUE, load_yaml=read_yaml, is_recipe=is_recipe)
    assert imported.has_errors or "model" in imported.fields
    if not imported.has_errors and "engine" in imported.fields:
        imported.request(tuple(f"n{number}" for number in range(imported.nodes_wanted)))


@pytest.mark.parametrize(
    "text",
    ["vllm serve " + "$(" * 50_000, "x " * 120_000, "vllm serve a/b " + "'" * 99_999, "<<E\n" * 20_000,
     "\\\n" * 100_000, "vllm serve a/b " + "--x " * 60_000, '"' + '\\"' * 100_000, "{a: " * 60_000,
     "~/" + "a" * 200_000],
)  # fmt: skip
def test_a_long_hostile_text_is_read_in_linear_time(text: str) -> None:
    assert read_paste(text, load_yaml=read_yaml).problems
