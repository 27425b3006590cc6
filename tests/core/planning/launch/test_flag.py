"""Added words and variables: they change neither the address, nor the name, nor the key, and hold no secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backends import custom, llamacpp, ollama, sglang, trtllm, vllm
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import GGUF, context_with

ENGINES = {
    each.info.key: each
    for each in (vllm.backend, sglang.backend, trtllm.backend, llamacpp.backend, ollama.backend, custom.backend)
}
BASE = {"model": "a/b", "nodes": ("node-1",), "served_name": "b"}


def ask(engine: str, **changes: Any) -> LaunchRequest:
    more: dict[str, Any] = {"custom": {"command": ["serve", "{port}"]}} if engine == "custom" else {}
    more |= {"weights_path": GGUF} if engine == "llamacpp" else {}
    return LaunchRequest.model_validate({"engine": engine, **BASE, **more, **changes})


def errors_at(request: LaunchRequest, field: str) -> list[str]:
    problems = ENGINES[request.engine].problems(request, context_with(None))
    return [one.message for one in problems if one.field == field and one.severity is Severity.ERROR]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "llamacpp"])
@pytest.mark.parametrize(
    "words",
    [
        ("--host", "0.0.0.0"), ("--host=0.0.0.0",), ("--hos", "0.0.0.0"), ("--port", "9"), ("--por=9",),
        ("--api-key", "x"), ("--api_key=x",), ("--api-k", "x"), ("--api-key-file", "/k"), ("--uds", "/x"),
        ("--served-model-name", "other"), ("--served_model_name=other",), ("--alias", "other"), ("-a", "other"),
        ("--ssl-keyfile", "/k"), ("--config", "/x.yaml"), ("--listen=0.0.0.0:9",),
    ],
)  # fmt: skip
def test_no_extra_flag_changes_address_name_or_key(engine: str, words: tuple[str, ...]) -> None:
    request = ask(engine, extra_flags=words)
    assert errors_at(request, "extra_flags")
    with pytest.raises(PlanError):
        ENGINES[engine].plan(request, context_with(None))


@pytest.mark.parametrize(
    "name",
    ["VLLM_HOST_IP", "HOST", "LLAMA_ARG_HOST", "LLAMA_API_KEY", "LLAMA_ARG_API_KEY", "VLLM_API_KEY", "OLLAMA_HOST",
     "HF_ENDPOINT"],
)  # fmt: skip
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_no_variable_changes_address_or_key(engine: str, name: str) -> None:
    assert errors_at(ask(engine, environment=((name, "0.0.0.0"),)), "environment")


@pytest.mark.parametrize(
    ("name", "text"),
    [("HF_TOKEN", "x"), ("HUGGING_FACE_HUB_TOKEN", "x"), ("MY_PASSWORD", "x"), ("APP_SECRET", "x"), ("DEPLOYKEY", "x"),
     ("A", "hf_abcdefgh12"), ("A", "Bearer sk-abcdefgh12"), ("A", "nvapi-abcdefgh12")],
)  # fmt: skip
def test_a_secret_in_the_environment_is_refused_and_never_shown(name: str, text: str) -> None:
    found = errors_at(ask("vllm", environment=((name, text),)), "environment")
    assert found
    assert not any("abcdefgh12" in words for words in found)


def test_a_secret_among_the_extra_flags_is_refused() -> None:
    assert errors_at(ask("vllm", extra_flags=("--hf-token", "x")), "extra_flags")
    assert errors_at(ask("vllm", extra_flags=("--foo=hf_abcdefgh12",)), "extra_flags")


def test_ordinary_words_and_variables_are_fine() -> None:
    request = ask("vllm", extra_flags=("--seed", "1", "--tokenizer", "a/b"), environment=(("NCCL_DEBUG", "INFO"),))
    assert errors_at(request, "extra_flags") == errors_at(request, "environment") == []


def test_a_flag_that_the_form_gives_too_is_warned_of() -> None:
    problems = vllm.backend.problems(ask("vllm", extra_flags=("--max-model-len", "9")), context_with(None))
    assert [one.field for one in problems if "comes twice" in one.message] == ["extra_flags"]


@pytest.mark.parametrize(
    "change",
    [
        {"extra_flags": ("--" + "a" * 200_000,)},
        {"extra_flags": ("a" * 4096,) * 17},
        {"extra_flags": ("\0",)},
        {"extra_flags": ("\udc80",)},
        {"environment": (("A", "a" * 200_000),)},
        {"environment": (("A", "\udc80"),)},
        {"custom": {"command": ["a" * 200_000]}},
    ],
)
def test_a_word_without_end_is_refused_at_its_field(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        ask("vllm", **change)
    assert raised.value.errors()[0]["loc"][0] in change


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ENGINES)), st.lists(st.text(max_size=40), max_size=4), st.text(max_size=40))
def test_hostile_words_raise_only_what_a_caller_expects(engine: str, words: list[str], text: str) -> None:
    try:
        ENGINES[engine].plan(ask(engine, extra_flags=words, environment=(("A", text),)), context_with(None))
    except (PlanError, ValidationError):
        return


def warnings_of(engine: str, *words: str) -> list[Problem]:
    problems = ENGINES[engine].problems(ask(engine, extra_flags=words), context_with(None))
    return [one for one in problems if one.field == "extra_flags"]


@pytest.mark.parametrize(
    ("engine", "flag", "meant", "release"),
    [
        ("vllm", "--max-num-batched-tokes", "--max-num-batched-tokens", "vLLM 0.33.0"),
        ("sglang", "--chunked-prefil-size", "--chunked-prefill-size", "SGLang 0.5.23"),
        ("trtllm", "--max_beam_widht", "--max_beam_width", "TensorRT-LLM 1.3.0rc"),
        ("llamacpp", "--top-kk", "--top-k", "llama.cpp b11434"),
    ],
)
def test_a_misspelt_flag_is_warned_of_with_the_tables_release_and_what_was_meant(
    engine: str, flag: str, meant: str, release: str
) -> None:
    (problem,) = warnings_of(engine, flag, "4")
    assert problem.severity is Severity.WARNING
    assert flag in problem.message
    assert release in problem.message
    assert f"did you mean {meant}?" in problem.remedy


def test_flags_that_the_engine_has_are_not_warned_of() -> None:
    assert warnings_of("vllm", "--seed", "1", "--compilation-config.mode=3", "--enable-expert-par") == []
    assert warnings_of("custom", "--whatever", "x") == []


def test_a_wrong_value_of_a_flag_is_warned_of_and_the_value_not_shown() -> None:
    (problem,) = warnings_of("vllm", "--uvicorn-log-level", "geheimnis")
    assert (problem.severity, "takes one of" in problem.message) == (Severity.WARNING, True)
    assert "geheimnis" not in problem.message + problem.remedy


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(("vllm", "sglang", "trtllm", "llamacpp")),
    st.sampled_from(("--hf-tokenx", "--max-modle-len", "--seed", "--nope", "-x", "--MY_TOKEN", "--x")),
    st.sampled_from(("\t", " ", "\n", "\r\n", "\xa0", "\u2028", "\u200b", "\x1f", "\x7f", "=", " = ", "\t=")),
    st.sampled_from(("", "_TOKEN", "\tTOKEN", " a=b", "=c")),
)
def test_no_value_of_any_word_is_shown(engine: str, flag: str, between: str, end: str) -> None:
    found = warnings_of(engine, f"{flag}{between}geheimnis{end}")
    assert not [one for one in found if "geheimnis" in one.message + one.remedy]


def test_a_flag_and_its_value_in_one_word_are_named_without_the_value() -> None:
    (problem,) = warnings_of("vllm", "--hf-tokenx\tgeheimnis")
    assert problem.message.startswith("--hf-tokenx and its value are one word")


def test_a_promised_flag_is_an_error_once_and_no_unknown_flag() -> None:
    assert [one.severity for one in warnings_of("llamacpp", "--hos", "x")] == [Severity.ERROR]
