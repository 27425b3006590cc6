"""The project's memory in the records of what was sent: its text once, and found again from every answer."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.context import SentContext
from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.message import Message, Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.store.session_json import turn_from_json, turn_to_json
from sparkdesk.core.chat.window.estimate import calibrate
from sparkdesk.core.chat.window.sent_memory import memory_of, record_memory
from tests.core.chat.window.chat_turns import dialogue

OAK = record_memory(SentContext(), "oak", ())


def answered(sent: SentContext, text: str = "a") -> Turn:
    _, answer = dialogue("q", text)
    return replace(answer, sent=sent) if text else replace(answer, sent=sent, message=Message(Role.ASSISTANT, ()))


def test_the_same_memory_is_named_and_another_is_kept_whole() -> None:
    again = record_memory(SentContext(), "oak", (answered(OAK),))
    assert (again.memory, memory_of(again, (answered(OAK),))) == ("", "oak")
    assert record_memory(SentContext(), "ash", (answered(OAK),)).memory == "ash"
    assert record_memory(SentContext(), "oak", (answered(OAK), answered(SentContext()))).memory == "oak"
    assert memory_of(record_memory(SentContext(), "", (answered(OAK),)), (answered(OAK),)) == ""


def test_an_answer_that_never_began_is_not_relied_on() -> None:
    assert record_memory(SentContext(), "oak", (answered(OAK, ""),)).memory == "oak"


def test_a_record_of_an_older_release_is_the_same_memory() -> None:
    old = answered(SentContext(memory="oak"))
    again = record_memory(SentContext(), "oak", (old,))
    assert (again.memory, memory_of(again, (old,))) == ("", "oak")


def test_a_memory_whose_record_is_gone_is_not_taken_for_none() -> None:
    again = record_memory(SentContext(), "oak", (answered(OAK),))
    assert memory_of(again, ()) is None
    assert memory_of(again, (answered(record_memory(SentContext(), "ash", ())),)) is None


def test_which_memory_it_was_comes_back_from_the_store() -> None:
    again = answered(record_memory(SentContext(), "oak", (answered(OAK),)))
    assert turn_from_json(turn_to_json(again)).sent == again.sent


def test_a_memory_that_is_only_named_still_counts_in_what_an_estimate_learns() -> None:
    long = record_memory(SentContext(), "m" * 400, ())
    first = dialogue("q" * 100, "a" * 100, "q" * 100, "b")
    turns = (first[0], replace(first[1], sent=long), first[2])
    named = record_memory(SentContext(), "m" * 400, turns)
    assert named.memory == ""
    usage = Usage(prompt_tokens=700 + 4 * 8)
    whole = calibrate((*turns, replace(first[3], usage=usage, sent=replace(named, memory="m" * 400))), "")
    assert calibrate((*turns, replace(first[3], usage=usage, sent=named)), "") == whole
