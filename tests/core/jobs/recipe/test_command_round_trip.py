"""A request becomes a command, and the command becomes the request again."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.recipe.command.text import command_of
from sparkdesk.core.jobs.recipe.command.words import clean, split_script
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.core.jobs.request import LaunchRequest
from tests.core.jobs.recipe.requests import requests


@settings(max_examples=80, deadline=None)
@given(requests())
def test_a_command_is_read_back_as_the_request_that_it_says(request: LaunchRequest) -> None:
    imported = read_paste(command_of(request))
    assert imported.unknown == ()
    assert not imported.has_errors
    assert imported.request(request.nodes) == request


@settings(max_examples=25, deadline=None)
@given(requests())
def test_the_words_are_those_that_a_shell_reads(request: LaunchRequest) -> None:
    text = command_of(request)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    script = "show() { printf '%s\\0' \"$@\"; }; HOME='~'; show " + "\n".join(lines)
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, timeout=20)
    words = [word.text for command in split_script(clean(text)) for word in command.words]
    assert shell.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ordinary_command_needs_no_comment(engine: str) -> None:
    request = LaunchRequest(
        engine=engine, model="a/b", nodes=("x",), served_name="a/b", context_tokens=8192, concurrency=4
    )
    text = command_of(request)
    assert text.startswith(" ".join(ENGINES[engine].program))
    assert ("32768" in text) == (engine == "llamacpp")  # its slots share the context
    assert read_paste(text).request(("x",)) == request


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("vllm", "--max-model-len 8192"),
        ("sglang", "--context-length 8192"),
        ("trtllm", "--max_seq_len 8192"),
        ("llamacpp", "--ctx-size 32768"),
    ],
)
def test_the_context_is_said_in_the_engine_s_own_words(engine: str, words: str) -> None:
    request = LaunchRequest(
        engine=engine, model="a/b", nodes=("x",), served_name="a/b", context_tokens=8192, concurrency=4
    )
    assert words in command_of(request).replace(" \\\n ", "")


def test_secrets_are_not_written() -> None:
    request = LaunchRequest(
        engine="vllm",
        model="a/b",
        nodes=("x",),
        served_name="b",
        extra_flags=("--api-key", "sk-1", "sk-2", "--seed", "1", "--hf-token=hf-3"),
        environment=(("HF_TOKEN", "hf-4"), ("OPENAI_API_KEY", "sk-5"), ("MODEL_TOKENS_MAX", "7"), ("A", "1")),
    )
    text = command_of(request)
    assert not any(secret in text for secret in ("sk-", "hf-"))
    assert "--seed 1" in text
    assert "A=1" in text
    assert "MODEL_TOKENS_MAX=7" in text


@pytest.mark.parametrize(
    "note", ['{"nodes": ["x"]}', '{"extra_flags": ["--x"]}', '{"environment": 1}', "[1]", "{", '{"model": "$(id)"}']
)
def test_a_comment_sets_only_what_it_may(note: str) -> None:
    imported = read_paste(f"# sparkdesk: {note}\nvllm serve a/b")
    assert imported.fields["model"] == "a/b"
    assert "extra_flags" not in imported.fields


def test_a_comment_s_values_are_checked() -> None:
    imported = read_paste('# sparkdesk: {"port": 80, "build": "x y"}\nvllm serve a/b')
    assert {problem.field for problem in imported.problems} >= {"port", "build"}
