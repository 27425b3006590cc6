"""Estimates of tokens: from what the server counted, else on the safe side."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.context import SentContext
from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.message import ImagePart, Message, Role
from sparkdesk.core.chat.window.estimate import (
    BYTES_PER_TOKEN,
    LEAST_BYTES_PER_TOKEN,
    MOST_BYTES_PER_TOKEN,
    Estimate,
    calibrate,
    size_bytes,
)
from tests.core.chat.window.chat_turns import dialogue


def test_the_servers_count_of_the_last_prompt_teaches_the_next_estimate() -> None:
    turns = dialogue("q" * 200, "a" * 100, "q" * 100, "b")
    answered = (*turns[:3], replace(turns[3], usage=Usage(prompt_tokens=200 + 4 * 8)))
    learned = calibrate(answered, "")
    assert learned.is_calibrated
    assert learned.tokens("x" * 400) == 200


def test_what_was_left_out_then_does_not_count_and_what_stood_for_it_does() -> None:
    turns = dialogue("q" * 1000, "a" * 1000, "q" * 100, "b")
    sent = SentContext(left_out=(0, 1), summary="s" * 60, memory="m" * 40)
    answered = (*turns[:3], replace(turns[3], usage=Usage(prompt_tokens=100 + 2 * 8), sent=sent))
    assert calibrate(answered, "").tokens("x" * 200) == 100


def test_a_prompt_with_images_teaches_nothing() -> None:
    image = ImagePart("cat.png", "d", "image/png", 10, 10, 100)
    turns = dialogue("q" * 100, "a")
    seen = replace(turns[0], message=Message(Role.USER, (*turns[0].message.parts, image)))
    answered = (seen, replace(turns[1], usage=Usage(prompt_tokens=900)))
    assert calibrate(answered, "") == Estimate(BYTES_PER_TOKEN)


@given(st.integers(1, 10**9), st.text(max_size=100))
def test_a_count_that_makes_no_sense_is_believed_within_bounds_only(counted: int, text: str) -> None:
    turns = dialogue(text, "a")
    learned = calibrate((turns[0], replace(turns[1], usage=Usage(prompt_tokens=counted))), "")
    assert LEAST_BYTES_PER_TOKEN <= learned.bytes_per_token <= MOST_BYTES_PER_TOKEN
    assert (learned.tokens(text) == 0) is (text == "")


def test_half_a_character_has_a_size() -> None:
    assert size_bytes("a\ud800") == 2
    assert size_bytes("é中") == 5
