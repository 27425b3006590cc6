"""`python -m sparkdesk recipe`: exit codes, JSON, exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sparkdesk.verbs.recipe import main
from tests.core.jobs.recipe.test_recipe import SPARKRUN


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A good recipe in a file."""
    path = tmp_path / "recipe.yaml"
    path.write_text(SPARKRUN)
    return path


def test_a_recipe_is_printed_as_a_launch_request(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recipe), "--json", "--nodes", "spark-1,spark-2"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["request"]["model"] == "openai/gpt-oss-120b"
    assert data["request"]["nodes"] == ["spark-1", "spark-2"]
    assert data["problems"] == []
    assert len(data["digest"]) == 64


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (SPARKRUN + "executor_config: {privileged: true}\n", "executor_config.privileged"),
        (SPARKRUN + "executor_config: {volumes: ['/:/host']}\n", "executor_config.volumes"),
        ("model: '$(touch x)'\nruntime: vllm\n", "model"),
        ("model: !!python/object/apply:os.system [id]\n", ""),
        ("model: \xff\n", ""),
    ],
)
def test_a_forbidden_recipe_names_its_field(
    text: str, field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text.encode("latin-1"))
    assert main([str(path), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["request"] is None
    errors = [problem for problem in data["problems"] if problem["severity"] == "error"]
    assert [problem["field"] for problem in errors] == [field]
    assert errors[0]["message"]
    assert errors[0]["remedy"]


def test_the_wrong_number_of_nodes_is_a_problem(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recipe), "--json", "--nodes", "one"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][-1]["field"] == "nodes"


def test_what_cannot_be_read_and_wrong_usage_are_2(tmp_path: Path) -> None:
    assert main([str(tmp_path / "nowhere.yaml")]) == 2
    assert main([str(tmp_path)]) == 2
    for arguments in ([], ["a", "--export", "tarball"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2


def test_a_person_reads_it_in_words(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text(SPARKRUN + "post_commands: [rm -rf /]\nodd: 1\n")
    assert main([str(recipe)]) == 0
    text = capsys.readouterr().out
    assert "off (hook): post_commands[0]: rm -rf /" in text
    assert "not understood: odd: 1" in text
    assert "This is a launch request." in text


@pytest.mark.parametrize("kind", ["sparkrun", "script", "compose", "kubernetes", "command"])
def test_it_is_exported(kind: str, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recipe), "--export", kind]) == 0
    text = capsys.readouterr().out
    assert "openai/gpt-oss-120b" in text
    if kind in ("sparkrun", "compose"):
        assert yaml.safe_load(text)


def test_a_gguf_and_a_command_are_files_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "tiny-Q8_0.gguf"
    weights.write_bytes(b"GGUF\3\0\0\0" + b"\0" * 100)
    assert main([str(weights), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"]["weights_path"] == str(weights)
    command = tmp_path / "start.sh"
    command.write_text("vllm serve a/b --max-num-seqs 3\n")
    assert main([str(command), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"]["concurrency"] == 3


def test_a_person_reads_titles_and_no_words_of_a_programming_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "start.sh"
    command.write_text("A=1 vllm serve a/b --port 8123 --max-model-len 32768 --seed 4 --frobnicate 3\n")
    assert main([str(command)]) == 0
    text = capsys.readouterr().out
    found = {" ".join(line.split()) for line in text.splitlines()}
    assert {"engine vLLM", "port 8123", "context_tokens 32,768", "environment A=1", "extra_flags --seed 4"} <= found
    assert text.count("frobnicate") == 1
    assert "not understood (passed on): --frobnicate 3 (" in text
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{model: a/b, runtime: vllm, odd: {a: [1, true, null]}, cluster_only: false}\n")
    assert main([str(recipe)]) == 0
    text = capsys.readouterr().out
    assert 'not understood: odd: {"a": [1, true, null]}' in text
    assert "cluster_only: false" in text


@pytest.mark.parametrize("kind", ["sparkrun", "script", "compose", "kubernetes", "command"])
def test_an_export_leaves_open_what_the_file_left_open(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "start.sh"
    command.write_text("vllm serve a/b --port 8123\n")
    assert main([str(command), "--export", kind]) == 0
    text = capsys.readouterr().out
    assert "8123" in text
    assert not any(flag in text for flag in ("max-model-len", "max-num-seqs", "served-model-name", "served_model_name"))


def test_what_no_script_can_start_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = tmp_path / "start.sh"
    command.write_text("trtllm-serve nvidia/Llama-3.3-70B-Instruct-FP4 --tp_size 2\n")
    assert main([str(command), "--export", "script"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "mpirun" in said.err
    assert "Export it as a script" not in said.err
