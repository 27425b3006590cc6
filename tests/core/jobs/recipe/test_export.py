"""Exports are read back by the parsers of those who take them, and hold no secret."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.export.compose import export_compose
from sparkdesk.core.jobs.recipe.export.coverage import covers
from sparkdesk.core.jobs.recipe.export.kubernetes import export_kubernetes, resource_name
from sparkdesk.core.jobs.recipe.export.recipe import export_recipe, recipe_of
from sparkdesk.core.jobs.recipe.export.script import export_script
from sparkdesk.core.jobs.recipe.export.yaml_lines import write_yaml
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.core.jobs.recipe.recipe import read_recipe
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.infra.yaml_text import read_yaml
from tests.core.jobs.recipe.requests import TEXTS, requests
from tests.core.jobs.recipe.test_recipe import EUGR, SPARKRUN

SECRET = "hf_never-to-be-written"
TWO = LaunchRequest(
    engine="vllm",
    model="nvidia/Llama-3.3-70B-Instruct-NVFP4",
    nodes=("a", "b"),
    served_name="Llama 3.3".replace(" ", "-"),
    port=8123,
    tensor_parallel_size=2,
    memory_fraction=0.8,
    extra_flags=("--chat-template", "it's $(touch x) `y` $HOME", "--api-key", SECRET),
    environment=(("QUOTE", "a'b $c $(d)"), ("HF_TOKEN", SECRET)),
)
ONE = TWO.model_copy(update={"nodes": ("a",), "tensor_parallel_size": 1})
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), DATA, min_size=1, max_size=4))
def test_written_yaml_is_read_back_as_the_same_data(data: dict[str, Any]) -> None:
    assert yaml.safe_load(write_yaml(data)) == data


def unsaid(request: LaunchRequest, method: str) -> dict[str, Any]:
    """Fields that the format's keys and this engine's flags do not say, as they stand where nobody says them."""
    fields = {"restart_limit", "stop_after_s", "weights_from"}
    if request.engine == "llamacpp":
        fields |= {"speculative_model", "speculative_tokens", "prefix_caching", "tool_parser", "reasoning_parser"}
        fields |= {"attention_backend", "moe_backend", "load_format", "max_batched_tokens", "trust_remote_code"}
    if not method:
        fields |= {"speculative_model", "speculative_tokens"}
    if request.engine == "sglang" and request.prefix_caching:
        fields.add("prefix_caching")
    changes = {name: LaunchRequest.model_fields[name].default for name in fields}
    changes["purpose"] = "embed" if request.purpose == "embed" and request.engine != "llamacpp" else "chat"
    if method and request.speculative_tokens is not None and request.engine != "llamacpp":
        changes["speculative_tokens"] = 7  # the number that stands for a method anyway is not said
    return changes


@settings(max_examples=40, deadline=None)
@given(requests(("vllm", "sglang", "llamacpp")))
@example(ONE.model_copy(update={"environment": (("A", "None"),), "extra_flags": ()}))
def test_an_exported_recipe_is_read_back_as_the_request(request: LaunchRequest) -> None:
    method = "" if request.speculative == "none" else request.speculative
    threads = request.threads if request.engine == "llamacpp" else None
    changes = {"build": "", "quantization": request.quantization.lower(), "speculative": method, "threads": threads}
    plain = request.model_copy(update=changes | unsaid(request, method))
    if plain.engine == "llamacpp":  # the format's keys say neither copies nor a quantization beside the file
        plain = plain.model_copy(update={"data_parallel_size": 1, "quantization": "", "speculative": ""})
        count = plain.tensor_parallel_size * plain.pipeline_parallel_size
        if min(plain.tensor_parallel_size, plain.pipeline_parallel_size) > 1:
            return
        plain = plain.model_copy(update={"nodes": plain.nodes[:count], "memory_fraction": None})
    imported = read_paste(export_recipe(plain), load_yaml=read_yaml)
    assert not imported.has_errors
    assert imported.request(plain.nodes) == plain


@pytest.mark.parametrize("text", [SPARKRUN, EUGR], ids=["sparkrun", "eugr"])
def test_unknown_keys_survive_a_round_trip(text: str) -> None:
    data = read_yaml(text) | {"brand_new": {"a": [1, {"b": None}]}, "post_commands": ["echo done"]}
    data["defaults"]["odd_value"] = "x"
    imported = read_recipe(data)
    request = imported.request(("a", "b"))
    written = yaml.safe_load(export_recipe(request, origin=imported))
    kept = set(data) - {"recipe_version", "env"}
    assert {key: written[key] for key in kept - {"defaults"}} == {key: data[key] for key in kept - {"defaults"}}
    assert written["defaults"]["odd_value"] == "x"
    again = read_recipe(written)
    assert again.request(("a", "b")) == request
    assert again.source_kind == "sparkrun"


def test_what_the_form_changed_wins_over_the_recipe() -> None:
    imported = read_recipe(read_yaml(SPARKRUN))
    request = imported.request(("a", "b")).model_copy(update={"context_tokens": 4096, "kv_dtype": "fp8"})
    again = read_recipe(recipe_of(request, origin=imported))
    assert again.request(("a", "b")) == request


def test_a_literal_in_the_old_command_does_not_win_over_the_form() -> None:
    imported = read_recipe({"model": "a/b", "command": "vllm serve {model} --port 8001", "runtime": "vllm"})
    request = imported.request(("a",)).model_copy(update={"port": 8002})
    assert read_recipe(recipe_of(request, origin=imported)).fields["port"] == 8002


def test_a_recipe_that_says_the_request_gets_no_value_that_its_command_ignores() -> None:
    data = {
        "model": "a/b", "runtime": "vllm", "defaults": {"port": 8001, "note": "kept"},
        "command": "vllm serve {model} --port {port} --max-model-len 4096 --max-num-seqs 1",
    }  # fmt: skip
    imported = read_recipe(data)
    written = recipe_of(imported.request(("a",)), origin=imported)
    assert (written["defaults"], written["command"]) == (data["defaults"], data["command"])
    changed = imported.request(("a",)).model_copy(update={"port": 8002})
    written = recipe_of(changed, origin=imported)
    assert (written["defaults"], written["command"]) == ({"port": 8002, "note": "kept"}, data["command"])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("concurrency", 8, "--max-num-seqs {max_num_seqs}"),
        ("served_name", "mine", "--served-model-name {served_model_name}"),
    ],
)
def test_a_command_that_cannot_say_what_the_form_says_is_written_anew(field: str, value: object, words: str) -> None:
    imported = read_recipe({"model": "a/b", "runtime": "vllm", "command": "vllm serve {model}", "odd": 1})
    request = imported.request(("a",)).model_copy(update={field: value})
    written = recipe_of(request, origin=imported)
    assert words in written["command"]
    assert written["odd"] == 1
    assert read_recipe(written).request(("a",)) == request


def test_a_value_that_the_command_never_asked_for_is_asked_for_in_the_new_one() -> None:
    data = {"model": "a/b", "runtime": "vllm", "defaults": {"max_num_seqs": 4}, "command": "vllm serve {model}"}
    imported = read_recipe(data)
    assert imported.fields["concurrency"] == 4
    assert "{max_num_seqs}" in recipe_of(imported.request(("a",)), origin=imported)["command"]


def test_values_that_other_values_and_variables_ask_for_keep_their_command() -> None:
    data = {
        "model": "a/b", "runtime": "vllm", "defaults": {"length": "{size}", "size": "8192", "key": "7"},
        "env": {"ODD": "{config.key}"},
        "command": "vllm serve {model} --max-model-len {length} --max-num-seqs 1",
    }  # fmt: skip
    imported = read_recipe(data)
    written = recipe_of(imported.request(("a",)), origin=imported)
    assert (written["command"], written["defaults"]) == (data["command"], data["defaults"])
    assert written["env"] == {"ODD": "7"}, "a variable is the form's"


@pytest.mark.parametrize("write", [export_recipe, export_script, export_compose, export_kubernetes])
def test_no_export_holds_a_secret(write: Any) -> None:
    assert SECRET not in write(TWO)
    assert SECRET not in write(ONE)


def test_a_secret_of_the_recipe_itself_is_not_written_back() -> None:
    data = read_yaml(SPARKRUN) | {"env": {"HF_TOKEN": SECRET, "A": "1", "B": "$B"}}
    data["defaults"]["api_key"] = SECRET
    data["command"] = data["command"].replace("--host", f"--api-key {SECRET} --host")
    imported = read_recipe(data)
    text = export_recipe(imported.request(("a", "b")), origin=imported)
    assert yaml.safe_load(text)["env"] == {"A": "1", "B": "$B"}
    assert SECRET not in text
    assert SECRET not in repr((imported.unknown, imported.set_aside, imported.problems, imported.fields))


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "llamacpp"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 2)])
def test_a_script_is_one_that_bash_reads(engine: str, sizes: tuple[int, int, int]) -> None:
    count = sizes[0] * sizes[1] * sizes[2]
    request = TWO.model_copy(
        update={
            "engine": engine,
            "nodes": tuple("abcd"[:count]),
            "tensor_parallel_size": sizes[0],
            "pipeline_parallel_size": sizes[1],
            "data_parallel_size": sizes[2],
            "weights_path": "~/it's/x y.gguf" if engine == "llamacpp" else "",
        }
    )
    if not covers(request):
        with pytest.raises(PlanError, match=r"(?i)no export") as refused:
            export_script(request)
        for write in (export_compose, export_kubernetes):
            assert refused.value.message in write(request)
            assert "script" not in write(request), "nothing points to what cannot be written"
        return
    text = export_script(request)
    for write in (export_compose, export_kubernetes):
        assert ("shell script" in write(request)) == (count > 1)
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=20)
    assert (checked.returncode, checked.stderr) == (0, "")


def run_with_stub(text: str, *arguments: str) -> list[str]:
    """The words that the script hands to docker, here a function that shows them."""
    stub = "exec() { printf '%s\\0' \"$@\"; }\nip() { echo '1: l inet 10.0.0.7/24 x'; }\n"
    done = subprocess.run(
        ["bash", "-c", stub + text, "script", *arguments], capture_output=True, check=True, timeout=20
    )
    return done.stdout.decode().split("\0")[:-1]


def test_a_script_s_words_arrive_as_they_were_meant() -> None:
    words = run_with_stub(export_script(ONE))
    assert words[:2] == ["docker", "run"]
    assert "--rm" not in words, "a container stays until its log was read"
    assert f"docker logs {words[words.index('--name') + 1]}" in export_script(ONE)
    assert words[words.index("--chat-template") + 1] == "it's $(touch x) `y` $HOME"
    assert "QUOTE=a'b $c $(d)" in words


@pytest.mark.parametrize("rank", ["0", "1"])
def test_each_rank_gets_its_own_words(rank: str) -> None:
    words = run_with_stub(export_script(TWO), rank, "10.0.0.7", "lo")
    assert words[words.index("--node-rank") + 1] == rank
    assert words[words.index("--master-addr") + 1] == "10.0.0.7"
    assert ("--headless" in words) == (rank == "1")
    assert "NCCL_IB_HCA" in words


def test_compose_is_yaml_that_says_the_same_words() -> None:
    service = yaml.safe_load(export_compose(ONE))["services"]["server"]
    words = [word.replace("$$", "$") for word in service["command"]]
    assert words[words.index("--chat-template") + 1] == "it's $(touch x) `y` $HOME"
    assert all("$" not in word.replace("$$", "") for word in service["command"])
    assert service["environment"]["QUOTE"] == "a'b $$c $$(d)"
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert "NOT COVERED" in export_compose(TWO)
    assert "NOT COVERED" not in export_compose(ONE)


def test_a_manifest_is_a_deployment_and_its_service() -> None:
    deployment, service = yaml.safe_load_all(export_kubernetes(ONE))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert (deployment["kind"], service["kind"]) == ("Deployment", "Service")
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert all("$(" not in word.replace("$$(", "") for word in container["args"])
    assert shlex.join(container["command"]) == "vllm serve"
    assert service["spec"]["ports"][0]["port"] == container["ports"][0]["containerPort"] == 8123
    assert deployment["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    token = next(each for each in container["env"] if each["name"] == "HF_TOKEN")
    assert token["valueFrom"]["secretKeyRef"]["optional"] is True
    assert "NOT COVERED" in export_kubernetes(TWO)


@pytest.mark.parametrize(
    ("name", "wanted"), [("Owner/Model_3.5", "owner-model-3-5"), ("8b", "model-8b"), ("x" * 99, "x" * 63)]
)
def test_a_resource_s_name_is_one_that_kubernetes_takes(name: str, wanted: str) -> None:
    assert resource_name(name) == wanted
