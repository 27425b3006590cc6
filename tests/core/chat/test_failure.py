"""Every HTTP failure seen from real servers is named in words, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.failure import HttpAnswer, explain
from sparkdesk.core.jobs.backend import EndpointFailure

CAPTURES = Path(__file__).resolve().parents[2] / "data" / "captures"
JSON = "application/json; charset=utf-8"


def body(name: str) -> bytes:
    return (CAPTURES / f"{name}.json").read_bytes()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (HttpAnswer(400, JSON, "", body("llamacpp_smollm2/err_context_overflow")), "context_overflow", "6,031 tokens"),
        (HttpAnswer(400, JSON, "", body("vllm_cpu/err_context_overflow")), "context_overflow", "2,048"),
        (HttpAnswer(404, JSON, "", body("vllm_cpu/err_model_not_found")), "model_not_found", "no-such-model"),
        (HttpAnswer(401, JSON, "", body("llamacpp_auth/err_401_bad_key")), "unauthorized", "401"),
        (HttpAnswer(503, JSON, "", b'{"error":{"message":"Loading model","code":503}}'), "loading", "loading"),
        (HttpAnswer(502, "text/html", "", b"<html><h1>Bad Gateway</h1>"), "other", "web page (502)"),
        (HttpAnswer(504, "", "", b"<!DOCTYPE html><p>x"), "other", "web page (504)"),
        (HttpAnswer(200, "text/html; charset=utf-8", "", b"<html>login"), "other", "web page"),
        (HttpAnswer(302, "text/plain", "", b""), "other", "another address"),
        (HttpAnswer(200, JSON, "", b'{"error":{"message":"no"}}'), "other", "no"),
        (HttpAnswer(200, JSON, "", b""), "other", "nothing came"),
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


def test_an_overloaded_server_says_when_to_come_back() -> None:
    assert explain(HttpAnswer(429, JSON, "7", b"{}")).remedy == "Retry in 7 s."
    assert explain(HttpAnswer(429, JSON, "Wed, 21 Oct 2026", b"{}")).remedy == "Retry in a while."
    assert explain(HttpAnswer(503, JSON, "²", b"{}")).remedy == "Retry in a while."


def test_the_backends_own_reading_goes_first() -> None:
    own = EndpointFailure("engine_dead", "Rank 1 died", "Launch it again.")
    assert explain(HttpAnswer(500, JSON), lambda status, body: own) is own
    assert explain(HttpAnswer(500, JSON), lambda status, body: None).kind == "engine_dead"


@given(status=st.integers(100, 599), kind=st.text(max_size=20), after=st.text(max_size=8), data=st.binary(max_size=60))
def test_any_answer_is_explained_and_nothing_raises(status: int, kind: str, after: str, data: bytes) -> None:
    failure = explain(HttpAnswer(status, kind, after, data))
    assert failure.message
    assert failure.remedy
    assert failure.message.isprintable()
