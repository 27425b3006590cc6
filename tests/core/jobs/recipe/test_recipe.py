"""Recipes of each format become fields; hooks stay off; what is not understood is listed and kept."""

from __future__ import annotations

from typing import Any

import pytest

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.core.jobs.recipe.placeholder import render
from sparkdesk.core.jobs.recipe.recipe import kind_of, read_recipe
from sparkdesk.infra.yaml_text import read_yaml

SPARKRUN = r"""
recipe_version: "2"
name: gpt-oss-120b on two
model: openai/gpt-oss-120b
model_revision: 0123abcd
runtime: vllm-distributed
container: ghcr.io/owner/image:latest
min_nodes: 2
max_nodes: 2
metadata: {maintainer: somebody, model_dtype: mxfp4}
defaults:
  port: 8123
  host: 0.0.0.0
  tensor_parallel: 2
  gpu_memory_utilization: 0.7
  max_model_len: 131072
  max_num_seqs: 8
  served_model_name: gpt-oss
  tool_call_parser: openai
env:
  VLLM_MARLIN_USE_ATOMIC_ADD: 1
  HF_TOKEN: $HF_TOKEN
command: |
  vllm serve {model} --served-model-name {served_model_name} --host {host} --port {port} \
    --tensor-parallel-size {tensor_parallel} --gpu-memory-utilization {gpu_memory_utilization} \
    --max-model-len {max_model_len} --max-num-seqs {max_num_seqs} --tool-call-parser {tool_call_parser} \
    --distributed-executor-backend ray
"""
EUGR = r"""
recipe_version: "1"
name: Qwen3-Coder-Next-FP8
description: one or two Sparks
model: Qwen/Qwen3-Coder-Next-FP8
container: vllm-node
build_args: [--tf5]
mods: [mods/fix-something]
defaults: {port: 8000, host: 0.0.0.0, tensor_parallel: 2, gpu_memory_utilization: 0.7, max_model_len: 131072}
env: {}
cluster_only: true
command: |
  vllm serve Qwen/Qwen3-Coder-Next-FP8 --enable-auto-tool-choice --tool-call-parser qwen3_coder \
      --gpu-memory-utilization {gpu_memory_utilization} --host {host} --port {port} --kv-cache-dtype fp8 \
      -tp {tensor_parallel} --distributed-executor-backend ray --max-model-len {max_model_len}
"""
SPARK_PULSE = r"""
recipe_version: "2"
name: llama
model: nvidia/Llama-3.3-70B-Instruct-NVFP4
engine: vllm
serves: chat
constraints: {min_nodes: 2}
params: {port: 8000, tensor_parallel: 1, pipeline_parallel: 2, max_model_len: 8192, max_num_seqs: 2}
engines: {vllm: {image: "nvcr.io/nvidia/vllm:26.05-py3", args: [--seed, 7]}}
"""


def read(text: str) -> Imported:
    """The recipe as a person pastes it."""
    return read_paste(text, load_yaml=read_yaml)


def errors(imported: Imported) -> list[str]:
    """The fields of its errors."""
    return [problem.field for problem in imported.problems if problem.severity is Severity.ERROR]


def test_a_sparkrun_recipe_is_read_whole() -> None:
    imported = read(SPARKRUN)
    assert (imported.source_kind, imported.title, imported.nodes_wanted) == ("sparkrun", "gpt-oss-120b on two", 2)
    assert dict(imported.fields) == {
        "engine": "vllm",
        "model": "openai/gpt-oss-120b",
        "image": "ghcr.io/owner/image:latest",
        "served_name": "gpt-oss",
        "port": 8123,
        "context_tokens": 131072,
        "concurrency": 8,
        "memory_fraction": 0.7,
        "tensor_parallel_size": 2,
        "tool_parser": "openai",
        "extra_flags": ("--revision", "0123abcd"),
        "environment": (("VLLM_MARLIN_USE_ATOMIC_ADD", "1"),),
    }
    assert imported.problems == ()
    assert imported.unknown == ()
    assert {each.where for each in imported.set_aside} >= {"env.HF_TOKEN", "--distributed-executor-backend"}


def test_an_eugr_recipe_is_read_whole_and_its_mods_are_off() -> None:
    imported = read(EUGR)
    assert imported.source_kind == "eugr"
    assert imported.fields["model"] == "Qwen/Qwen3-Coder-Next-FP8"
    assert imported.fields["tensor_parallel_size"] == imported.nodes_wanted == 2
    assert {(each.kind, each.text) for each in imported.shown_only} == {
        ("mod", "mods/fix-something"),
        ("build", "--tf5"),
    }
    assert not imported.has_errors
    assert {problem.field for problem in imported.problems} == {"image", "mods", "build_args", "concurrency"}
    assert any("no registry" in problem.message for problem in imported.problems)


def test_a_spark_pulse_recipe_is_read_whole() -> None:
    imported = read(SPARK_PULSE)
    assert imported.source_kind == "spark-pulse"
    assert imported.fields["pipeline_parallel_size"] == imported.nodes_wanted == 2
    assert imported.fields["image"] == "nvcr.io/nvidia/vllm:26.05-py3"
    assert imported.fields["extra_flags"] == ("--seed", "7")
    assert not imported.has_errors


def test_sparkdesk_s_own_recipe_is_read_as_toml() -> None:
    text = (
        'engine = "llamacpp"\nmodel = "a/b"\nweights_path = "~/x.gguf"\nserved_name = "b"\nport = 8001\nnodes = ["z"]\n'
    )
    imported = read(text)
    assert imported.source_kind == "sparkdesk"
    assert imported.request(("n",)).port == 8001
    assert [each.where for each in imported.set_aside] == ["nodes"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"recipe_version": "1", "model": "a/b", "runtime": "vllm", "container": "x"}, "sparkrun"),
        ({"recipe_version": "2", "model": "a/b", "container": "x", "mods": [], "command": "x"}, "eugr"),
        ({"recipe_version": "2", "model": "a/b", "engine": "vllm", "params": {}}, "spark-pulse"),
        ({"engine": "vllm", "model": "a/b", "served_name": "b"}, "sparkdesk"),
        ({"colour": "blue"}, ""),
    ],
)
def test_a_format_is_told_by_its_keys_not_by_its_version(data: dict[str, Any], kind: str) -> None:
    assert kind_of(data) == kind


def test_a_person_s_own_values_win_over_the_recipe_s() -> None:
    imported = read_recipe(read_yaml(SPARKRUN), overrides={"max_model_len": 4096, "port": 9000})
    assert (imported.fields["context_tokens"], imported.fields["port"]) == (4096, 9000)
    assert imported.fields["concurrency"] == 8


def test_values_without_a_command_become_flags() -> None:
    data = {"model": "a/b", "runtime": "sglang", "defaults": {"tensor_parallel": 2, "max_model_len": 8192, "odd": 1}}
    imported = read_recipe(data)
    assert imported.fields["engine"] == "sglang"
    assert imported.fields["context_tokens"] == 8192
    assert imported.nodes_wanted == 2
    assert [each.where for each in imported.unknown] == ["defaults.odd"]


def test_a_gguf_recipe_names_its_format_behind_a_colon() -> None:
    imported = read_recipe({"model": "unsloth/x-GGUF:Q4_K_M", "runtime": "llama-cpp", "defaults": {}})
    assert (imported.fields["model"], imported.fields["quantization"]) == ("unsloth/x-GGUF", "Q4_K_M")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"min_nodes": 3}, ["max_nodes"]),
        ({"min_nodes": 3, "max_nodes": 3}, ["tensor_parallel_size"]),
        ({"solo_only": True, "min_nodes": None, "max_nodes": None}, ["tensor_parallel_size"]),
        ({"runtime": "atlas"}, ["engine"]),
        ({"runtime": 7}, ["engine"]),
        ({"model": None}, ["command", "model"]),
        ({"model": "a/b; touch x"}, ["model"]),
        ({"model": "a/$(touch x)"}, ["model"]),
        ({"model": "a/b\nc"}, ["model"]),
        ({"name": "`id`"}, ["name"]),
        ({"container": "x y"}, ["image"]),
        ({"defaults": []}, ["defaults"]),
        ({"env": {"LD_PRELOAD": "/x"}}, ["environment"]),
        ({"executor_config": {"privileged": True}}, ["executor_config.privileged"]),
        ({"executor_config": {"volumes": ["/:/host"]}}, ["executor_config.volumes"]),
        ({"executor_config": {"cap_add": ["SYS_ADMIN"]}}, ["executor_config.cap_add"]),
        ({"executor_config": {"pid": "host"}}, ["executor_config.pid"]),
        ({"executor_config": {"docker_args": ["--privileged"]}}, ["executor_config.docker_args"]),
        ({"command": "vllm serve {nobody}"}, ["command"]),
        ({"command": "vllm serve a/b --seed $(id)"}, ["command", "extra_flags"]),
        ({"command": "echo hello"}, ["command"]),
    ],
)
def test_what_may_not_be_is_a_problem_at_its_field(change: dict[str, Any], fields: list[str]) -> None:
    imported = read_recipe(read_yaml(SPARKRUN) | change)
    found = set(errors(imported))
    assert found >= {fields[0]}
    assert found <= {*fields, "tensor_parallel_size"}
    assert all(problem.message and problem.remedy for problem in imported.problems)


def test_a_recipe_with_privileges_still_shows_the_rest() -> None:
    imported = read_recipe(read_yaml(SPARKRUN) | {"executor_config": {"privileged": True, "shm_size": "16g"}})
    assert imported.fields["context_tokens"] == 131072
    assert "executor_config.shm_size" in {each.where for each in imported.set_aside}


def test_every_hook_is_shown_and_off() -> None:
    hooks = {name: ["rm -rf /"] for name in ("pre_exec", "post_exec", "post_commands", "mods", "build_args")}
    imported = read_recipe(read_yaml(SPARKRUN) | hooks | {"include": "other.yaml", "builder": "eugr"})
    assert {each.where.partition("[")[0] for each in imported.shown_only} == {*hooks, "include", "builder"}
    assert not imported.has_errors


@pytest.mark.parametrize(("version", "count"), [("1", 0), (2, 0), ("9", 1), (["x"], 1), (None, 0)])
def test_a_version_that_nobody_knows_is_a_note(version: object, count: int) -> None:
    imported = read_recipe({"recipe_version": version, "model": "a/b", "runtime": "vllm"})
    notes = [each for each in imported.problems if each.field == "recipe_version"]
    assert [each.severity for each in notes] == [Severity.NOTE] * count
    assert not imported.has_errors


def test_values_that_the_command_does_not_ask_for_are_passed_on_once() -> None:
    data = {
        "model": "a/b", "runtime": "vllm", "command": "vllm serve {model} --seed 4 --load-format {load_format}",
        "defaults": {"seed": 5, "load_format": "auto", "max_num_batched_tokens": 8192, "trust_remote_code": "false",
                     "async_scheduling": True},
    }  # fmt: skip
    imported = read_recipe(data)
    assert imported.fields["extra_flags"] == ("--seed", "4", "--async-scheduling")
    assert (imported.fields["load_format"], imported.fields["max_batched_tokens"]) == ("auto", 8192)
    assert [each.where for each in imported.unknown] == ["defaults.seed"]
    assert "defaults.trust_remote_code" in {each.where for each in imported.set_aside}


def test_an_unknown_key_is_listed_and_kept() -> None:
    imported = read_recipe(read_yaml(SPARKRUN) | {"brand_new": {"a": 1}})
    assert [each.where for each in imported.unknown] == ["brand_new"]
    assert imported.origin is not None
    assert imported.origin["brand_new"] == {"a": 1}


def test_variables_of_another_computer_are_listed_and_not_set() -> None:
    imported = read_recipe(read_yaml(SPARKRUN) | {"env": {"CACHE": "${HOME}/x", "A": "1"}})
    assert imported.fields["environment"] == (("A", "1"),)
    assert [each.where for each in imported.unknown] == ["env.CACHE"]


def test_values_fill_each_other_and_variables_and_the_rest_is_said() -> None:
    data = read_yaml(SPARKRUN) | {
        "env": {"LENGTH": "{config.max_model_len}", "WEIGHTS": "{launch.model_path}"},
        "defaults": {**read_yaml(SPARKRUN)["defaults"], "served_model_name": "{alias}", "alias": "oss"},
    }
    imported = read_recipe(data)
    assert imported.fields["served_name"] == "oss"
    assert imported.fields["environment"] == (("LENGTH", "131072"),)
    assert "env.WEIGHTS" in {each.where for each in imported.unknown}
    assert [problem.field for problem in imported.problems] == ["environment"]


def test_approval_is_of_the_exact_bytes() -> None:
    one, other = read(SPARKRUN), read(SPARKRUN + "\n")
    assert one.is_approved({one.digest})
    assert not other.is_approved({one.digest})
    assert not Imported("").is_approved({""})


def test_placeholders_are_filled_through_each_other_and_bounded() -> None:
    assert render("x {a} {zz}", {"a": "{b}!", "b": "1"}) == ("x 1! {zz}", ("zz",))
    for values in ({"a": "{a}{a}"}, {"a": "{b}", "b": "{a}"}, {"a": "y" * 5000}):
        with pytest.raises(Exception, match=r"circle|grows"):
            render("{a}" * 20, values)


def test_a_command_that_grows_too_long_is_given_up_at_once() -> None:
    class Counted(dict[str, str]):
        asked = 0

        def get(self, key: str, default: Any = None) -> Any:
            self.asked += 1
            return super().get(key, default)

    values = Counted(a="y" * 8192)
    with pytest.raises(PlanError, match="grows"):
        render("{a}" * 20_000, values)
    assert values.asked < 20, "what is too long is not written out first"
