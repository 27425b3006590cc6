"""What is sent, put together: every part marked for what it is."""

from __future__ import annotations

from sparkdesk.core.chat.context import Excerpt
from sparkdesk.core.chat.message import FilePart, Role
from sparkdesk.core.chat.window.prompt import MEMORY_MARK, SUMMARY_MARK, Prompt, without_files
from tests.core.chat.window.chat_turns import dialogue, turn


def test_memory_and_summary_stand_apart_from_the_persons_own_prompt() -> None:
    prompt = Prompt(dialogue("Hello", "Hi", "And?"), "Be brief.", "Likes tea.", "They greeted.")
    system, *rest = prompt.messages()
    assert system.role is Role.SYSTEM
    places = [system.text.index(words) for words in ("Be brief.", MEMORY_MARK, "Likes tea.", SUMMARY_MARK, "They gree")]
    assert places == sorted(places)
    assert [message.text for message in rest] == ["Hello", "Hi", "And?"]
    assert Prompt(dialogue("Hello")).messages()[0].role is Role.USER, "no empty system prompt is made"


def test_excerpts_go_with_the_newest_question_so_that_the_beginning_stays_the_same() -> None:
    turns = dialogue("Hello", "Hi", "What did the plan say?")
    plain = Prompt(turns, "Be brief.").messages()
    near = Prompt(turns, "Be brief.", excerpts=(Excerpt(0, "plan.txt", "Ship it.", 0.9),)).messages()
    assert near[:-1] == plain[:-1]
    assert "from the file plan.txt" in near[-1].text
    assert "Ship it." in near[-1].text
    assert near[-1].text.endswith("What did the plan say?")


def test_the_parts_tell_what_each_takes() -> None:
    asked = turn(0, Role.USER, "What?", FilePart("plan.txt", "x" * 40))
    parts = Prompt((asked,), "Be brief.", "m" * 10).parts(len, is_counted=True)
    assert (parts.system, parts.memory, parts.files, parts.messages) == (9, 10, 40, 5)
    assert without_files(asked).message.attachments == ()
    assert without_files(asked).text == "What?"
