"""Every HTTP failure seen from real servers is named in words, with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.server.failure import HttpAnswer, explain
from sparkdesk.core.jobs.backend import EndpointFailure

CAPTURES = Path(__file__).resolve().parents[3] / "data" / "captures"
JSON = "application/json; charset=utf-8"


def body(name: str) -> bytes:
    return (CAPTURES / f"{name}.json").read_bytes()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (HttpAnswer(400, JSON, "", body("llamacpp_smollm2/err_context_overflow")), "context_overflow", "6,031 tokens"),
        (HttpAnswer(400, JSON, "", body("vllm_cpu/err_context_overflow")), "context_overflow", "2,048"),
        (HttpAnswer(404, JSON, "", body("vllm_cpu/err_model_not_found")), "model_not_found", "no-such-model"),
        (HttpAnswer(404, JSON, "", body("vllm_cpu/err_404")), "not_model_server", "Not Found"),
        (HttpAnswer(404, JSON, "", body("llamacpp_smollm2/err_404")), "not_model_server", "File Not Found"),
        (HttpAnswer(400, JSON, "", body("llamacpp_router/router_err_model_not_found")), "model_not_found", "no-such"),
        (HttpAnswer(400, JSON, "", body("llamacpp_router/router_err_no_model")), "model_not_found", "missing"),
        (HttpAnswer(401, JSON, "", body("llamacpp_auth/err_401_bad_key")), "unauthorized", "401"),
        (HttpAnswer(503, JSON, "", b'{"error":{"message":"Loading model","code":503}}'), "loading", "loading"),
        (HttpAnswer(502, "text/html", "", b"<html><h1>Bad Gateway</h1>"), "not_model_server", "web page (502)"),
        (HttpAnswer(504, "", "", b"<!DOCTYPE html><p>x"), "not_model_server", "web page (504)"),
        (HttpAnswer(200, "text/html; charset=utf-8", "", b"<html>login"), "not_model_server", "web page"),
        (HttpAnswer(302, "text/plain", "", b""), "not_model_server", "another address"),
        (HttpAnswer(200, JSON, "", b'{"error":{"message":"no"}}'), "not_model_server", "no"),
        (HttpAnswer(200, JSON, "", b""), "not_model_server", "nothing came"),
        (HttpAnswer(500, JSON, "", b'{"error":{"message":"boom"}}'), "engine_dead", "boom"),
        (HttpAnswer(400, JSON, "", body("vllm_cpu/err_no_messages")), "bad_request", "400"),
        (HttpAnswer(405, JSON, "", body("vllm_cpu/err_method")), "bad_request", "Method Not Allowed"),
    ],
)
def test_a_failure_is_named(answer: HttpAnswer, kind: str, words: str) -> None:
    failure = explain(answer)
    assert failure.kind == kind
    assert words in failure.message
    assert failure.remedy
    assert "<html" not in failure.message.lower()


def say(message: str) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


OVERFLOWS = [
    ("llama.cpp, recorded", body("llamacpp_smollm2/err_context_overflow"), 6031, 2048),
    ("vLLM, recorded: of the prompt only that it is larger", body("vllm_cpu/err_context_overflow"), None, 2048),
    (
        "vLLM of an older release",  # vllm-project/vllm issue 20409
        say(
            "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the "
            "messages, 10000 in the completion). Please reduce the length of the messages or completion."
        ),
        112946,
        16384,
    ),
    (
        "SGLang, whose error stands at the top",  # QwenLM/Qwen3 issue 1321
        b'{"object":"error","message":"The input (61709 tokens) is longer than the model\'s context length '
        b'(40960 tokens).","type":"BadRequestError","param":null,"code":400}',
        61709,
        40960,
    ),
    (
        "SGLang in short",
        say("Requested token count exceeds the model's maximum context length of 131072 tokens."),
        None,
        131072,
    ),
    (
        "TensorRT-LLM",  # NVIDIA/TensorRT-LLM issue 9277
        b'{"object":"error","message":"The sum of prompt length (9351.0), query length (0) should not exceed '
        b'max_num_tokens (8192)","type":"BadRequestError","param":null,"code":400}',
        9351,
        8192,
    ),
    ("TensorRT-LLM's executor", say("Prompt length (5056) exceeds maximum sequence length (2048)"), 5056, 2048),
    ("Ollama over llama.cpp", say("the input length exceeds the context length"), None, None),
]  # fmt: skip


@pytest.mark.parametrize(("data", "prompt", "limit"), [row[1:] for row in OVERFLOWS], ids=[row[0] for row in OVERFLOWS])
def test_a_context_overflow_is_known_in_each_engines_own_words(
    data: bytes, prompt: int | None, limit: int | None
) -> None:
    failure = explain(HttpAnswer(400, JSON, "", data))
    assert failure.kind == "context_overflow"
    assert (failure.prompt_tokens, failure.context_tokens) == (prompt, limit)
    assert "more than the model's context" in failure.message
    assert limit is None or f"{limit:,}" in failure.message


def test_a_full_cache_in_the_middle_is_an_overflow_too() -> None:
    assert explain(HttpAnswer(500, JSON, "", say("Context size has been exceeded."))).kind == "context_overflow"


def test_a_limit_for_the_answer_that_is_too_large_is_not_called_a_long_prompt() -> None:
    recorded = explain(HttpAnswer(400, JSON, "", body("vllm_cpu/err_max_tokens_too_large")))
    assert (recorded.kind, recorded.prompt_tokens, recorded.context_tokens) == ("answer_limit", None, 2048)
    words = (
        "This model's maximum context length is 16384 tokens. However, you requested 19591 tokens (9591 in the "
        "messages, 10000 in the completion)."
    )
    failure = explain(HttpAnswer(400, JSON, "", say(words)))
    assert (failure.kind, failure.prompt_tokens) == ("answer_limit", 9591)
    assert "6,793 tokens are left" in failure.message


@pytest.mark.parametrize(
    ("after", "date", "seconds"),
    [
        ("7", "", 7.0),
        ("0", "", 0.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 08:00:00 GMT", 0.0),
        ("²", "", None),
        ("-5", "", None),
        ("9" * 9, "", None),
        ("999999", "", 86_400.0),
    ],
)
def test_an_overloaded_server_says_after_how_many_seconds_to_come_back(
    after: str, date: str, seconds: float | None
) -> None:
    failure = explain(HttpAnswer(429, JSON, after, b"{}", date=date))
    assert (failure.kind, failure.retry_after_s) == ("overloaded", seconds)
    assert failure.remedy == ("Retry in a while." if seconds is None else f"Retry in {seconds:g} s.")


def test_where_a_redirect_leads_is_told_without_what_may_be_a_ticket() -> None:
    failure = explain(
        HttpAnswer(302, "text/html", body=b"<html>", location="https://login.example/start?ticket=s3cret")
    )
    assert "https://login.example" in failure.message
    assert "s3cret" not in failure.message


def test_a_backends_vague_reading_gives_way_to_a_sharper_one() -> None:
    vague = EndpointFailure("bad_request", "?", "Look at the server's log.")
    assert explain(HttpAnswer(400, JSON, "", say("model 'x' not found")), lambda *_: vague).kind == "model_not_found"
    plain = EndpointFailure("context_overflow", "too long\nby far", "-", prompt_tokens=9, context_tokens=8)
    assert explain(HttpAnswer(400, JSON), lambda *_: plain).message == "9 tokens are more than the model's context of 8"


def test_the_backends_own_reading_goes_first() -> None:
    own = EndpointFailure("engine_dead", "Rank 1 died", "Launch it again.")
    assert explain(HttpAnswer(500, JSON), lambda status, body: own) == own
    assert explain(HttpAnswer(500, JSON), lambda status, body: None).kind == "engine_dead"


@given(status=st.integers(100, 599), kind=st.text(max_size=20), after=st.text(max_size=8), data=st.binary(max_size=60))
def test_any_answer_is_explained_and_nothing_raises(status: int, kind: str, after: str, data: bytes) -> None:
    failure = explain(HttpAnswer(status, kind, after, data))
    assert failure.message
    assert failure.remedy
    assert failure.message.isprintable()
