"""What tells whose machine it is does not leave in a report; what a reader needs stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.probes.assumption import FieldReport, FieldResult, Hold
from sparkdesk.core.probes.field_json import redacted_json, report_from_json, report_to_json
from sparkdesk.core.probes.redaction import redact


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("4c:bb:47:00:01:10", "(mac)"),
        ("10.0.20.31/24 and 127.0.0.1", "(address) and 127.0.0.1"),
        ("fe80::4ebb:47ff:fe00:110%enp1s0f0np0", "(address)"),
        ("2001:db8:1:2:3:4:5:6", "(address)"),
        ("GPU-2f6bd5b0-91b5-4c2d-9c11-a0b1c2d3e4f5", "GPU-(id)"),
        ("0123456789abcdef0123456789abcdef", "(id)"),
        ('DGX_SERIAL_NUMBER="1234567890123"', "DGX_SERIAL_NUMBER=(serial)"),
        ("spark-5c2d.local", "(host).local"),
        ("/home/anna/models", "/home/(user)/models"),
        ("Anna's box", "(name)'s box"),
        ("hf_abcdefghijkl", "(token)"),
        ("000f:01:00.0 at 10:24:31, 6.17.0-1014-nvidia, 580.142, rocep1s0f1", None),
    ],
)
def test_what_identifies_is_taken_out(text: str, left: str | None) -> None:
    assert redact(text, ["anna"]) == (text if left is None else left)


PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAAB3Nza\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("vllm serve m --api-key Xy7 --port 8000", "vllm serve m --api-key (secret) --port 8000"),
        ("['--api-key', 'Xy7', '--port']", "['--api-key', (secret), '--port']"),
        ("--api-key=Xy7", "--api-key=(secret)"),
        ("--hf-token Xy7", "--hf-token (secret)"),
        ("Namespace(api_key='Xy7 z', port=1)", "Namespace(api_key=(secret), port=1)"),
        ("args: {'api_key': ['Xy7', 'q'], 'model': 'm'}", "args: {'api_key': (secret), 'model': 'm'}"),
        ('{"api_key": "Xy7"}', '{"api_key": (secret)}'),
        ("VLLM_API_KEY=Xy7 HF_TOKEN=Xy7", "VLLM_API_KEY=(secret) HF_TOKEN=(secret)"),
        ("LLAMA_KEY: Xy7", "LLAMA_KEY: (secret)"),
        ("Authorization: Bearer Xy7", "Authorization: (secret)"),
        ("'authorization': 'Basic Xy7='", "'authorization': (secret)"),
        ("sent Bearer abcdef.gh", "sent Bearer (secret)"),
        ("X-Api-Key: Xy7", "X-Api-Key: (secret)"),
        ("Set-Cookie: a=b; c=d", "Set-Cookie: (secret)"),
        ("password=hunter,2;", "password=(secret);"),
        ("Passwd: hunter2", "Passwd: (secret)"),
        ("client_secret = hunter2", "client_secret = (secret)"),
        ("token: a1b2c3d4e5f6g7", "token: (secret)"),
        ("the key is a1b2c3d4e5f6g7", "the key is (secret)"),
        ("GET /v1?token=Xy7&n=1", "GET /v1?token=(secret)&n=1"),
        ("https://anna2:pw@hub.example/x", "https://(secret)@hub.example/x"),
        ("https://pw@hub.example/x", "https://(secret)@hub.example/x"),
        (f"read {PEM} of it", "read (secret) of it"),
        (PEM[:50], "(secret)"),
        ("A" * 64 + "\nend", "(secret)\nend"),
        ("mail joe.doe@example.org now", "mail (email) now"),
        ("http://desk-left.local:8000", "http://(host).local:8000"),
        ("ghp_abcdefghijklmnop", "(token)"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.abc", "(token)"),
    ],
)
def test_what_opens_a_machine_is_taken_out(text: str, left: str) -> None:
    assert redact(text) == left
    assert redact(left) == left, "a second time changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "tokens: 4096",
        "max_tokens=512, n_tokens = 12",
        "token 17 of 40",
        "api key is not set",
        "api_key=None, hf_token: null",
        "error: argument --api-key: expected one argument",
        "--api-key is required",
        "--max-tokens 512 --tokenizer mistral",
        "EOS token        = 2 '</s>'",
        "eos_token_id: 151645, pad_token=<|endoftext|>",
        "EOS_TOKEN: 151645",
        "KeyError: 'model.layers.0.self_attn.q_proj.weight'",
        "key not found in model: llama.context_length",
        "key: blk.0.attn_k.weight",
        "num_key_value_heads: 8, key_length = 128",
        "eval time = 12.30 ms / 40 tokens ( 3.20 ms per token, 31.00 tokens per second)",
        "bearer authentication, authorization header missing",
        "[sudo] password for root: password authentication failed",
        "no secret is needed",
        "started user@1000.service and cudaMalloc@@libcudart.so.12",
        "~/.local/bin and threading.local and a.local()",
        "6.13.795.350 I srv  update_slots: all slots are idle",
        "0.15.123.200 I srv",
        "1.15.123.200 I srv",
        "0.0.0.0 and 127.0.0.1",
    ],
)
def test_innocent_words_of_a_log_stay(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=400))
def test_redaction_takes_any_text(text: str) -> None:
    redact(text)


def test_a_saved_report_names_no_machine() -> None:
    result = FieldResult("x", "X", "A claim", Hold.DIFFERS, "anna@spark-5c2d 10.0.0.7", "a source", "core")
    saved = redacted_json(
        FieldReport("node7id", "done", 1, (result,)),
        application="SparkDesk 1",
        made_at="2026-11-21",
        own_words=["anna"],
    ).decode()
    for word in ("anna", "spark-5c2d", "10.0.0.7", "node7id"):
        assert word not in saved
    assert "held 0, differ 1, not seen 0" in saved


def test_a_kept_report_comes_back_whole() -> None:
    result = FieldResult("x", "X", "A claim", Hold.HELD, "seen", "a source", "core")
    report = FieldReport("n", "done", 12, (result,), is_simulated=True)
    assert report_from_json(report_to_json(report)) == report


def test_what_a_simulated_node_showed_was_not_seen_on_hardware() -> None:
    results = (
        FieldResult("x", "X", "A claim", Hold.HELD, "", "", ""),
        FieldResult("y", "Y", "", Hold.DIFFERS, "", "", ""),
    )
    real = FieldReport("n", "done", 12, results)
    assert [real.seen_ms(key) for key in ("x", "y", "z")] == [12, 0, 0]
    assert replace(real, is_simulated=True).seen_ms("x") == 0


@given(st.binary(max_size=300))
def test_a_damaged_report_is_none(data: bytes) -> None:
    assert report_from_json(data) is None
