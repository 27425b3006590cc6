"""An engine's table of flags: what its parser takes is known, what it does not take is named, and no words break it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.jobs.flag_table import Fault, check_flags, find_faults, read_flag_table
from tests.backends.context import FLAG_TABLES


def faults_of(engine: str, *words: str) -> list[Fault]:
    return list(find_faults(words, FLAG_TABLES[engine]))


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("vllm", ("--seed", "1", "--enforce-eager")),
        ("vllm", ("--max_num_seqs=4",)),
        ("vllm", ("--max-num-se", "4")),
        ("vllm", ("--no-enable-prefix-caching",)),
        ("vllm", ("--compilation-config.cudagraph_mode=FULL", "--compilation-config.mode", "3")),
        ("vllm", ("--compilation_config.cudagraph_capture_sizes+=1,2", "-cc.mode=3")),
        ("vllm", ("-O3",)),
        ("vllm", ("-O", "3")),
        ("vllm", ("-tp=1",)),
        ("sglang", ("--schedule-conserv", "0.3")),
        ("sglang", ("--schedule-policy=lpm",)),
        ("llamacpp", ("--no-agent",)),
        ("llamacpp", ("--ctx_size", "9", "--top-k", "-1", "-np", "2")),
        ("trtllm", ("--max_beam_width=1",)),
    ],
)
def test_each_spelling_that_an_engines_parser_takes_is_known(engine: str, words: tuple[str, ...]) -> None:
    assert faults_of(engine, *words) == []


@pytest.mark.parametrize(
    ("engine", "words", "name", "near"),
    [
        ("vllm", ("--max-modle-len", "5"), "--max-modle-len", "--max-model-len"),
        ("vllm", ("--enforce-eagre",), "--enforce-eagre", "--enforce-eager"),
        ("sglang", ("--mem_fraction_static", "0.5"), "--mem_fraction_static", "--mem-fraction-static"),
        ("sglang", ("--schedule-policy.x=1",), "--schedule-policy.x", "--schedule-policy"),
        ("llamacpp", ("--ctx-siz", "5"), "--ctx-siz", "--ctx-size"),
        ("vllm", ("--qqqqqqqqqqqqqqqqqq",), "--qqqqqqqqqqqqqqqqqq", ""),
        ("sglang", ("--no-trust-remote-code",), "--no-trust-remote-code", "--trust-remote-code"),
        ("llamacpp", ("--no-version",), "--no-version", "--version"),
    ],
)
def test_a_flag_that_is_not_in_the_table_is_named_with_the_nearest_one(
    engine: str, words: tuple[str, ...], name: str, near: str
) -> None:
    assert [(fault.name, fault.near) for fault in faults_of(engine, *words)] == [(name, near)]


@pytest.mark.parametrize(
    ("engine", "words", "message"),
    [
        ("vllm", ("--max-model-len",), "takes a value"),
        ("vllm", ("--max-model-len", "5", "7"), "takes one value"),
        ("vllm", ("--enforce-eager=true",), "takes no value"),
        ("vllm", ("--uvicorn-log-level", "loud"), "takes one of"),
        ("vllm", ("--max-model-len 5",), "is one word"),
        ("vllm", ("--max", "5"), "several flags"),
        ("vllm", ("0.5",), "belongs to no flag"),
        ("llamacpp", ("--ctx-size=5",), "as a word of its own"),
    ],
)
def test_a_flag_with_the_wrong_words_is_found(engine: str, words: tuple[str, ...], message: str) -> None:
    (found,) = check_flags(words, FLAG_TABLES[engine])
    assert message in found


def test_a_value_is_never_part_of_what_is_said() -> None:
    assert "geheim" not in "".join(check_flags(("--nope=geheim", "--other", "geheim"), FLAG_TABLES["vllm"]))


@pytest.mark.parametrize(
    "data", [b"\xff", b"", b"engine = 1", b'engine="a"\nversion="1"\n[[flag]]\nname="-a"\ntakes="nine"\n']
)
def test_a_damaged_table_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsError):
        read_flag_table(data)


WORDS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["-", "--", "=", "-O", "--=", "--.", "--a b", "-\n", "--no-", "nan", "--max"]),
    st.sampled_from(sorted(FLAG_TABLES["vllm"].flags)),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FLAG_TABLES)), st.lists(WORDS, max_size=8))
def test_no_words_break_the_check(engine: str, words: list[str]) -> None:
    assert all(
        fault.name in words or any(word.startswith(fault.name) for word in words) for fault in faults_of(engine, *words)
    )
