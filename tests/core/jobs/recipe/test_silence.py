"""What a text left open stays open in what is written from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from sparkdesk.core.jobs.recipe.command.text import command_of
from sparkdesk.core.jobs.recipe.export.compose import export_compose
from sparkdesk.core.jobs.recipe.export.kubernetes import export_kubernetes
from sparkdesk.core.jobs.recipe.export.recipe import export_recipe, recipe_of
from sparkdesk.core.jobs.recipe.export.script import export_script
from sparkdesk.core.jobs.recipe.export.silence import silent_fields
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.core.jobs.recipe.recipe import read_recipe
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.infra.yaml_text import read_yaml

FLAGS = ("--max-model-len", "--max-num-seqs", "--served-model-name", "--port")
QUIET = """
recipe_version: "1"
model: openai/gpt-oss-120b
container: vllm-node-mxfp4
cluster_only: true
defaults: {host: 0.0.0.0, tensor_parallel: 2, gpu_memory_utilization: 0.7, max_num_batched_tokens: 8192}
command: |
  vllm serve openai/gpt-oss-120b --host {host} -tp {tensor_parallel}
"""


def write_command(request: LaunchRequest, origin: Imported | None) -> str:
    """The command, with the same silence as a file's."""
    return command_of(request, silent=silent_fields(request, origin))


WRITERS: tuple[Callable[[LaunchRequest, Imported | None], str], ...] = (
    write_command,
    lambda request, origin: export_compose(request, origin=origin),
    lambda request, origin: export_kubernetes(request, origin=origin),
    lambda request, origin: export_script(request, origin=origin),
    lambda request, origin: export_recipe(request, origin=origin),
)


@pytest.mark.parametrize("write", WRITERS)
def test_a_field_that_the_recipe_did_not_give_is_in_no_export(
    write: Callable[[LaunchRequest, Imported | None], str],
) -> None:
    imported = read_paste(QUIET, load_yaml=read_yaml)
    request = imported.request(("a", "b"))
    text = write(request, imported)
    assert [flag for flag in FLAGS if flag in text] == []
    assert "--max-num-batched-tokens" in text, "a value that the command does not ask for is not lost"
    assert "8192" in text
    assert [flag for flag in FLAGS if flag in write(request, None)] == list(FLAGS), "a form says all that it has"
    changed = request.model_copy(update={"context_tokens": 8192, "concurrency": 4, "port": 8001, "served_name": "x"})
    assert [flag for flag in FLAGS if flag in write(changed, imported)] == list(FLAGS), "what the form says wins"


def test_a_command_s_silence_is_kept_and_read_back() -> None:
    imported = read_paste("vllm serve a/b --max-model-len 8192 --max-num-seqs 1")
    text = write_command(imported.request(("n",)), imported)
    assert "--port" not in text
    assert "--max-num-seqs 1" in text, "said, though it is the value of who says nothing"
    assert dict(read_paste(text).fields) == dict(imported.fields)


def test_an_address_says_nothing_so_the_form_says_it_all() -> None:
    imported = read_paste("hf.co/openai/gpt-oss-120b")
    request = LaunchRequest(engine="vllm", model="openai/gpt-oss-120b", nodes=("n",), served_name="openai/gpt-oss-120b")
    assert silent_fields(request, imported) == frozenset()
    other = read_paste("python3 -m sglang.launch_server --model-path openai/gpt-oss-120b")
    assert silent_fields(request, other) == frozenset(), "another engine's text"


def test_without_a_port_a_server_is_asked_on_its_own() -> None:
    imported = read_paste("python3 -m sglang.launch_server --model-path a/b")
    request = imported.request(("n",))
    service = yaml.safe_load(export_compose(request, origin=imported))["services"]["server"]
    assert "--port" not in service["command"]
    assert ":30000/health" in service["healthcheck"]["test"][1]
    ports = list(yaml.safe_load_all(export_kubernetes(request, origin=imported)))[1]["spec"]["ports"]
    assert ports[0]["port"] == 30000
    assert "port 30000" in export_script(request, origin=imported)


@pytest.mark.parametrize(
    ("said", "nodes", "written"),
    [
        ({"min_nodes": 1}, 2, {"min_nodes": 1}),
        ({"min_nodes": 1, "max_nodes": 4}, 2, {"min_nodes": 1, "max_nodes": 4}),
        ({"cluster_only": True}, 2, {"cluster_only": True}),
        ({}, 2, {}),
        ({"min_nodes": 2, "max_nodes": 2, "cluster_only": True}, 1, {"min_nodes": 1, "max_nodes": 2}),
        ({"solo_only": True, "max_nodes": 1}, 2, {"max_nodes": 2}),
    ],
)
def test_the_number_of_nodes_is_said_as_it_was_unless_the_form_takes_others(
    said: dict[str, object], nodes: int, written: dict[str, object]
) -> None:
    imported = read_recipe({"model": "a/b", "runtime": "vllm", "defaults": {"port": 8000}, **said})
    request = LaunchRequest(
        engine="vllm", model="a/b", nodes=tuple("ab"[:nodes]), served_name="a/b", tensor_parallel_size=nodes
    )
    data = recipe_of(request, origin=imported)
    bounds = ("min_nodes", "max_nodes", "solo_only", "cluster_only")
    assert {key: data[key] for key in bounds if key in data} == written
    assert not read_recipe(data).has_errors
