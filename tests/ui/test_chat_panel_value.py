"""What is typed into the fields of sampling, and the words about the window: pure, and total."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.context import ContextParts, ContextUse, Excerpt, PoolUse, SentContext, WindowPolicy
from ui.chat.panel.context.words import (
    POLICIES,
    count_words,
    figure_words,
    limit_words,
    pieces_of,
    pool_words,
    sent_text,
    sent_words,
)
from ui.chat.panel.sampling.schema_text import EXAMPLE, MAX_CHARS, describe_schema, schema_problem
from ui.chat.panel.sampling.value import (
    MAX_STOP_CHARS,
    MAX_STOPS,
    Limits,
    read_number,
    read_stops,
    write_stops,
)

SHARE = Limits(0, 1, 2)
TOKENS = Limits(1, 10_000_000)


@pytest.mark.parametrize(
    ("typed", "limits", "value"),
    [
        ("0.6", SHARE, 0.6),
        ("0,6", SHARE, 0.6),
        (" .5 ", SHARE, 0.5),
        ("1", SHARE, 1.0),
        ("0.333333", SHARE, 0.333333),
        ("8,192", TOKENS, 8192.0),
        ("8192", TOKENS, 8192.0),
        ("1,000,000", TOKENS, 1e6),
    ],
)
def test_a_number_is_read_as_people_write_it(typed: str, limits: Limits, value: float) -> None:
    read = read_number(typed, limits)
    assert (read.value, read.problem) == (value, "")


@pytest.mark.parametrize("typed", ["", "   "])
def test_an_empty_field_is_the_model_s_own_default(typed: str) -> None:
    assert read_number(typed, SHARE) == read_number("", TOKENS)
    assert read_number(typed, SHARE).value is None


@pytest.mark.parametrize("typed", ["1.01", "-0.1", "nan", "inf", "1e5", ".", "٣", "0x1"])
def test_what_is_no_fit_share_gives_words_that_say_what_would_be(typed: str) -> None:
    read = read_number(typed, SHARE)
    assert read.value is None
    assert "between 0 and 1" in read.problem


@pytest.mark.parametrize("typed", ["0", "8,19", "1.5", "9" * 50, "10,000,001", "0x10", "-1"])
def test_what_is_no_fit_count_gives_words_that_say_what_would_be(typed: str) -> None:
    read = read_number(typed, TOKENS)
    assert read.value is None
    assert "between 1 and 10,000,000" in read.problem


@given(st.floats(0, 1, allow_nan=False))
def test_a_fraction_is_shown_so_that_it_is_read_back_nearly_whole(value: float) -> None:
    shown = SHARE.shown(value)
    if "e" not in shown:
        assert read_number(shown, SHARE).value == pytest.approx(value, abs=1e-6)


@given(st.text(max_size=300))
def test_reading_is_total(typed: str) -> None:
    for limits in (SHARE, TOKENS):
        read = read_number(typed, limits)
        assert read.value is None or not read.problem
    stops, problem = read_stops(typed)
    assert not (stops and problem)
    schema_problem(typed)
    describe_schema(typed)


_STOP = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_STOP_CHARS).filter(
    lambda text: "\t" not in (text[:1], text[-1:]) or text.strip("\t")
)


@given(st.lists(_STOP, max_size=MAX_STOPS, unique=True).map(tuple))
def test_stop_words_come_back_from_their_line(stops: tuple[str, ...]) -> None:
    line = write_stops(stops)
    assert "\n" not in line
    if len(line) <= 4000:
        assert read_stops(line) == (stops, "")


def test_stop_words_are_written_as_one_would_type_them() -> None:
    assert read_stops("###, \\n\\nUser:, a\\,b") == (("###", "\n\nUser:", "a,b"), "")
    assert write_stops(("###", "\n\nUser:", "a,b", " x ")) == "###, \\n\\nUser:, a\\,b, \\sx\\s"
    assert read_stops(" , ,") == ((), "")
    assert read_stops("a, a") == (("a",), "")


@pytest.mark.parametrize("typed", ["a\\q", "a\\", "x" * 201, ",".join(f"w{i}" for i in range(17)), "x" * 5000])
def test_stop_words_that_cannot_be_meant_are_refused_with_words(typed: str) -> None:
    stops, problem = read_stops(typed)
    assert stops == ()
    assert problem


def test_a_schema_that_is_json_is_taken_and_described() -> None:
    assert schema_problem(EXAMPLE) == ""
    assert describe_schema(EXAMPLE) == "object, 2 fields"
    assert describe_schema("{}") == "schema"
    assert describe_schema(" ") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": }', "line 1, column 7"),
        ("[1]", "is an object"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "deeply nested"),
        ('{"a":' * 70 + "1" + "}" * 70, "deeply nested"),
        (" " * (MAX_CHARS + 1), "64 KiB"),
        ('{"a": ' + "9" * 5000 + "}", "Not JSON"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said_with_its_place(text: str, words: str) -> None:
    assert words in schema_problem(text)
    assert describe_schema(text) in ("not usable", "")


# The words about the window ------------------------------------------------------------------------------------------

POOL = PoolUse(0.05, 2_190_000, 1, 0, 4)
PARTS = ContextParts(4120, 8204, 20130, 15660, is_counted=True, template=196)


def test_the_parts_of_the_window_add_up_to_what_is_in_use() -> None:
    use = ContextUse(48310, 604, 44000, 262144, PARTS, POOL)
    pieces = pieces_of(use, 6)
    assert [piece.words for piece in pieces] == [
        "System prompt", "Memory", "Files, 6", "Messages", "Template", "Last answer",
    ]  # fmt: skip
    assert sum(piece.tokens for piece in pieces) == use.used
    rest = pieces_of(ContextUse(50_000, 604, None, 262144, PARTS))
    assert ("Not told apart", 50_000 - 48_310) in [(piece.words, piece.tokens) for piece in rest]
    assert sum(piece.tokens for piece in rest) == 50_604


def test_of_what_nobody_told_nothing_is_said() -> None:
    assert figure_words(ContextUse()) == ("n/a", "")
    assert figure_words(ContextUse(limit=4096)) == ("", "4,096 tokens")
    assert figure_words(ContextUse(30, 3)) == ("33", " tokens, limit n/a")
    assert "does not tell its limit" in limit_words(ContextUse(30, 3))
    assert pool_words(ContextUse(30, 3)) == ""
    assert pool_words(ContextUse(30, 3, pool=PoolUse())) == ""
    assert pool_words(ContextUse(pool=PoolUse(used_fraction=float("nan")))) == ""
    assert (
        pool_words(ContextUse(pool=PoolUse(used_fraction=0.5)))
        == "Server KV pool: 50\u202f% in use by requests that run."
    )
    assert pieces_of(ContextUse()) == []


def test_the_pool_is_said_with_this_chat_s_own_share_and_no_other_holder() -> None:
    words = pool_words(ContextUse(120_000, 1_000, pool=POOL))
    assert words == (
        "Server KV pool: 2.19 M tokens, 5\u202f% in use by requests that run. "
        "A question here takes about 121 K of it (5.5\u202f%)."
    )
    assert "3 waiting" in pool_words(ContextUse(1, 1, pool=PoolUse(0.9, 100, 2, 3)))


def test_estimated_parts_are_called_estimated() -> None:
    assert "the parts are estimated" in count_words(ContextUse(10, parts=ContextParts(messages=10)))
    assert "estimated" not in count_words(ContextUse(10, parts=ContextParts(messages=10, is_counted=True)))
    assert count_words(ContextUse(parts=ContextParts(messages=10))).startswith("Estimated")
    since = ContextUse(100, 10, 50, 4096, since=30)
    assert "since is estimated" in count_words(since)
    assert figure_words(since) == ("about 140", " / 4,096 tokens")
    assert sum(piece.tokens for piece in pieces_of(since)) == 140


def test_a_prompt_that_was_refused_is_told_with_the_servers_own_numbers() -> None:
    refused = ContextUse(29_025, limit=4096, parts=ContextParts(messages=29_025), is_refused=True)
    assert figure_words(refused) == ("29,025", " / 4,096 tokens")
    assert limit_words(refused) == "24,929 tokens too many: refused."
    assert "takes" not in pool_words(replace(refused, pool=POOL)), "what was refused takes nothing"
    assert limit_words(ContextUse(is_refused=True)) == "Refused: it is too long."


def test_a_limit_is_missed_only_where_there_is_a_server() -> None:
    assert limit_words(ContextUse(30, 3), has_server=False) == ""


@pytest.mark.parametrize(("used", "words"), [(79, ""), (80, "20 tokens are left."), (100, "full"), (130, "full")])
def test_a_window_that_fills_is_told_from_80_percent_on(used: int, words: str) -> None:
    said = limit_words(ContextUse(used, 0, limit=100))
    assert bool(said) == bool(words)
    assert words in said


def test_every_policy_has_a_name_and_one_line() -> None:
    assert {policy for policy, _, _ in POLICIES} == set(WindowPolicy)
    assert all(len(why) <= 50 for _, _, why in POLICIES)


def test_what_was_not_sent_can_be_read_with_what_stood_in_its_place() -> None:
    sent = SentContext(
        WindowPolicy.SUMMARISE,
        left_out=(0, 1),
        summary="They spoke of Rust.",
        excerpts=(Excerpt(0, "a.md", "fn main", 0.91),),
        note="No embedding server runs",
    )
    assert sent_words(sent) == "2 messages summed up, 1 excerpt found"
    text = sent_text(sent, lambda number: "" if number else "My question")
    for words in ("They spoke of Rust.", "a.md, nearness 0.91", "fn main", "message 1:\n\nMy question", "No embedding"):
        assert words in text
    assert "message 2:\n\nnot here any more" in text
    assert "\u202e" not in sent_text(SentContext(summary="a\u202eb"), str)
    assert sent_words(SentContext(left_out=(3,))) == "1 message left out"
    assert sent_words(None) == sent_words(SentContext()) == ""
