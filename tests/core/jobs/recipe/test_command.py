"""Pasted commands become fields; every word that does not is listed; none is run."""

from __future__ import annotations

import pytest

from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.recipe.paste import read_paste
from tests.core.jobs.recipe.command_lines import SAID, VLLM_AGENT, VLLM_CONTAINER


@pytest.mark.parametrize("what", SAID)
def test_a_published_command_is_read_whole(what: str) -> None:
    text, wanted = SAID[what]
    imported = read_paste(text)
    assert imported.source_kind == "command"
    assert {name: imported.fields.get(name) for name in wanted} == wanted
    assert not imported.has_errors
    others = [each for each in imported.unknown if not each.why.startswith(("Another command", "SparkDesk writes no"))]
    assert [each.where for each in others if each.where != "--extra_llm_api_options"] == []
    request = imported.request(tuple(f"node-{number}" for number in range(imported.nodes_wanted)))
    assert request.model == imported.fields["model"]


def test_what_is_not_a_field_is_kept_or_listed() -> None:
    imported = read_paste(VLLM_AGENT)
    assert imported.fields["extra_flags"] == ("--enable-chunked-prefill", "--async-scheduling")
    parts = {"attention_backend": "flashinfer", "moe_backend": "marlin", "load_format": "fastsafetensors"}
    parts |= {"tool_parser": "qwen3_xml", "reasoning_parser": "qwen3"}
    assert parts.items() <= dict(imported.fields).items()
    assert imported.fields["max_batched_tokens"] == 8192
    assert imported.fields["prefix_caching"] is True
    assert imported.fields["trust_remote_code"] is True
    assert "speculative_tokens" not in imported.fields  # what the adapter gives for the method alone
    assert "--enable-auto-tool-choice" in [each.where for each in imported.set_aside]  # it goes with the parser
    assert [each.text for each in imported.set_aside if each.where == "--host"] == ["0.0.0.0"]
    assert any("--trust-remote-code" in problem.message for problem in imported.problems)


def test_other_commands_are_listed_and_not_taken() -> None:
    listed = [each.text for each in read_paste(VLLM_CONTAINER).unknown]
    assert any("curl" in text for text in listed)
    assert "> /dev/null" in listed


def test_an_unknown_flag_is_passed_on_and_said() -> None:
    imported = read_paste("vllm serve a/b --brand-new-thing 3 --max-num-seqs 2")
    assert imported.fields["extra_flags"] == ("--brand-new-thing", "3")
    assert [each.where for each in imported.unknown] == ["--brand-new-thing"]
    assert imported.fields["concurrency"] == 2


def test_typographic_quotes_dashes_and_prompts_are_understood() -> None:
    imported = read_paste("$ vllm serve \u201ca/b\u201d \u2014max-num-seqs\u00a02 \u2014max-model-len 8k\r\n")
    assert imported.fields["model"] == "a/b"
    assert imported.fields["concurrency"] == 2
    assert imported.fields["context_tokens"] == 8000


@pytest.mark.parametrize(("text", "tokens"), [("128K", 131072), ("1k", 1000), ("0.5M", 524288), ("4096", 4096)])
def test_a_context_may_have_a_unit(text: str, tokens: int) -> None:
    assert read_paste(f"vllm serve a/b --max-model-len {text}").fields["context_tokens"] == tokens


def test_the_last_of_two_equal_flags_counts_and_the_first_is_listed() -> None:
    imported = read_paste("vllm serve a/b --port 8001 --port=8002")
    assert imported.fields["port"] == 8002
    assert [each.text for each in imported.set_aside] == ["8001"]


def test_a_variable_is_taken_from_the_text_and_never_from_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "secret/model")
    assert read_paste("MODEL=a/b\nvllm serve $MODEL").fields["model"] == "a/b"
    imported = read_paste('vllm serve "${MODEL}"')
    assert "model" not in imported.fields
    assert [problem.field for problem in imported.problems if problem.severity is Severity.ERROR] == ["model"]
    assert "secret" not in repr(imported)


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("--privileged", "--privileged"),
        ("-v /:/host", "--volume"),
        ("--volume=/etc:/etc:ro", "--volume"),
        ("-v ~/.ssh:/tmp/.ssh:ro", "--volume"),
        ("-v $HOME:/x", "--volume"),
        ("-v /srv/../etc:/x", "--volume"),
        ("--mount type=bind,source=/,target=/host", "--mount"),
        ("-v/var/run/docker.sock:/var/run/docker.sock", "--volume"),
        ("--pid host", "--pid"),
        ("--pid=host", "--pid"),
        ("--cap-add SYS_ADMIN", "--cap-add"),
        ("--security-opt seccomp=unconfined", "--security-opt"),
        ("--device /dev/sda", "--device"),
        ("--volumes-from other", "--volumes-from"),
        ("-e LD_PRELOAD=/tmp/x.so", "environment"),
        ("-e PYTHONPATH=/tmp", "environment"),
        ("-e 'A=$(id)'", "environment"),
    ],
)
def test_power_over_the_node_is_refused_at_its_place(option: str, field: str) -> None:
    imported = read_paste(f"docker run --gpus all {option} vllm/vllm-openai:latest --model a/b --port 8001")
    assert [each.field for each in imported.problems if each.severity is Severity.ERROR] == [field]
    assert imported.fields["model"] == "a/b"  # the rest is still shown
    assert imported.fields["port"] == 8001


def test_secrets_are_neither_taken_nor_shown() -> None:
    imported = read_paste("docker run -e HF_TOKEN=hf_abc vllm/vllm-openai:x a/b --api-key sk-def --hf-token=hf_ghi")
    assert not any(secret in repr(imported) for secret in ("hf_abc", "sk-def", "hf_ghi"))
    assert {each.where for each in imported.set_aside} >= {"environment.HF_TOKEN", "--api-key", "--hf-token"}


def test_what_a_speculative_method_says_beyond_its_name_is_kept() -> None:
    settings = '{"method":"dflash","model":"z-lab/x","num_speculative_tokens":15}'
    imported = read_paste(f"vllm serve a/b --speculative-config '{settings}'")
    assert (imported.fields["speculative"], imported.fields["speculative_model"]) == ("dflash", "z-lab/x")
    assert "extra_flags" not in imported.fields
    more = settings.replace("15", '15,"draft_tensor_parallel_size":1')
    imported = read_paste(f"vllm serve a/b --speculative-config '{more}'")
    assert imported.fields["speculative"] == "dflash"
    assert imported.fields["extra_flags"] == ("--speculative-config", more)


def test_steps_of_sglang_take_their_companions_with_them() -> None:
    text = "python3 -m sglang.launch_server --model-path a/b --speculative-algorithm EAGLE3 "
    text += "--speculative-draft-model-path c/d --speculative-num-steps 3 --speculative-eagle-topk 1 "
    imported = read_paste(text + "--speculative-num-draft-tokens 4 --disable-radix-cache --chunked-prefill-size -1")
    assert imported.fields["speculative_model"] == "c/d"
    assert imported.fields["speculative_tokens"] == 3
    assert imported.fields["prefix_caching"] is False
    assert imported.fields["extra_flags"] == ("--chunked-prefill-size", "-1")
    other = read_paste(text + "--speculative-num-draft-tokens 8")
    assert other.fields["extra_flags"] == ("--speculative-num-draft-tokens", "8")


def test_a_server_for_vectors_is_read_as_one() -> None:
    assert read_paste("vllm serve a/b --runner pooling").fields["purpose"] == "embed"
    assert read_paste("vllm serve a/b --runner generate").fields["extra_flags"] == ("--runner", "generate")


def test_a_secret_that_the_text_sets_before_is_not_shown() -> None:
    imported = read_paste("export HF_TOKEN=hf_abc\nuv run vllm serve a/b")
    assert imported.fields["model"] == "a/b"
    assert "hf_abc" not in repr(imported)


def test_a_mounted_file_is_said_as_its_place_on_the_node() -> None:
    text = "docker run -v ~/models:/models ghcr.io/ggml-org/llama.cpp:server -m /models/a/x.gguf"
    assert read_paste(text).fields["weights_path"] == "~/models/a/x.gguf"


@pytest.mark.parametrize("text", ["vllm serve 'a/b", 'vllm serve "a/b', "vllm serve $(a/b", "vllm serve `a"])
def test_what_is_cut_off_is_said(text: str) -> None:
    assert [problem.field for problem in read_paste(text).problems] == ["command"]


def test_an_engine_that_is_not_ours_is_named() -> None:
    problems = read_paste("ollama run qwen3").problems
    assert problems[0].field == "engine"
    assert "Ollama" in problems[0].message
