"""Chats as files: what is written is read back, whatever stands in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.chat.message import FilePart, ImagePart, Message, Part, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn, TurnState
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.core.chat.transfer.chat_copy import ChatCopy, TransferForm
from sparkdesk.core.chat.transfer.file import read_chats, write_chats
from sparkdesk.core.chat.transfer.planting import in_line

PNG_DIGEST = hashlib.sha256(b"\x89PNG").hexdigest()
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60) | st.sampled_from(
    [
        "<!-- sparkdesk turn -->\n## You",
        "---\nsparkdesk: 1\n---",
        "````\n```",
        '<details type="reasoning" done="true">\n<summary>x</summary>\n> y\n</details>',
        "</details>",
        "a\r\nb\n\n",
        "-->",
        "\u202e\u2028 אבג",
    ]
)
SAID = WORDS.filter(bool)
LINE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=20)


@st.composite
def turns(draw: st.DrawFn) -> tuple[Turn, ...]:
    """A line of questions and answers, each with something said."""
    found: list[Turn] = []
    for _ in range(draw(st.integers(1, 5))):
        role = draw(st.sampled_from([Role.USER, Role.ASSISTANT]))
        parts: list[Part] = []
        if role is Role.USER and draw(st.booleans()):
            parts.append(FilePart(draw(LINE), draw(WORDS), "text/plain", draw(st.integers(0, 1 << 40))))
        if role is Role.ASSISTANT and draw(st.booleans()):
            parts.append(ReasoningPart(draw(SAID)))
        parts.append(TextPart(draw(SAID)))
        label = draw(LINE) if role is Role.ASSISTANT else ""
        found.append(Turn(Message(role, tuple(parts)), t_ms=draw(st.integers(0, 1 << 41)) // 1000 * 1000, label=label))
    return in_line(found)


@st.composite
def chats(draw: st.DrawFn) -> ChatCopy:
    """A chat of one branch."""
    head = ChatSettings(
        system_prompt=draw(WORDS), label=draw(LINE), tags=tuple(dict.fromkeys(draw(st.lists(LINE, max_size=3))))
    )
    return ChatCopy(draw(LINE), head, draw(turns()))


def said(chat: ChatCopy) -> list[tuple[Role, str, str]]:
    """Who said and thought what, along the branch that is shown."""
    return [(turn.message.role, turn.text, turn.reasoning) for turn in chat.shown]


@given(st.lists(chats(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_our_own_form_is_read_back_the_same(given_chats: list[ChatCopy]) -> None:
    again = read_chats(write_chats(given_chats, TransferForm.JSON))
    assert list(again.chats) == given_chats
    assert again.notes == ()


@given(st.lists(chats(), min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_markdown_keeps_every_word_and_file_of_the_branch(given_chats: list[ChatCopy]) -> None:
    again = read_chats(write_chats(given_chats, TransferForm.MARKDOWN))
    assert [chat.turns for chat in again.chats] == [chat.turns for chat in given_chats]
    assert [chat.title for chat in again.chats] == [chat.title for chat in given_chats]
    assert [chat.settings.system_prompt for chat in again.chats] == [c.settings.system_prompt for c in given_chats]
    assert [chat.settings.tags for chat in again.chats] == [chat.settings.tags for chat in given_chats]


@given(st.lists(chats(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_messages_for_the_openai_api_keep_what_was_said_and_thought(given_chats: list[ChatCopy]) -> None:
    again = read_chats(write_chats(given_chats, TransferForm.OPENAI))
    assert [said(chat) for chat in again.chats] == [said(chat) for chat in given_chats]
    assert [chat.title for chat in again.chats] == [chat.title for chat in given_chats]


@given(st.lists(chats(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_open_webui_keeps_what_was_said_with_its_times(given_chats: list[ChatCopy]) -> None:
    # Its own fold of thoughts within an answer is read as thoughts: there the texts are taken apart.
    plain = [
        replace(chat, turns=tuple(turn for turn in chat.turns if "<details" not in turn.text + turn.reasoning))
        for chat in given_chats
    ]
    kept = [replace(chat, turns=in_line(list(chat.turns))) for chat in plain if chat.turns]
    again = read_chats(write_chats(kept, TransferForm.OPEN_WEBUI))
    assert [said(chat) for chat in again.chats] == [said(chat) for chat in kept]
    assert [[turn.t_ms for turn in chat.turns] for chat in again.chats] == [
        [turn.t_ms for turn in chat.turns] for chat in kept
    ]


def branched() -> ChatCopy:
    """A question, two answers to it, and a question behind the first, which is shown."""

    def turn(number: int, parent: int | None, role: Role, text: str) -> Turn:
        return Turn(Message(role, (TextPart(text),)), number=number, parent=parent)

    image = ImagePart("cat.png", PNG_DIGEST, "image/png", 2, 2, 4)
    question = Turn(Message(Role.USER, (TextPart("Why?"), image)), number=0)
    shown = (question, turn(1, 0, Role.ASSISTANT, "Because."), turn(2, 0, Role.ASSISTANT, "Or not."))
    told = replace(
        turn(3, 1, Role.USER, "Go on"),
        state=TurnState.CUT_OFF,
        note="simulated vLLM, real llama.cpp",
        timing=AnswerTiming(ttft_s=0.5),
    )
    return ChatCopy("Branches", ChatSettings(leaf=3), (*shown, told), {PNG_DIGEST: b"\x89PNG"})


def test_branches_figures_and_images_survive_in_our_own_form() -> None:
    (again,) = read_chats(write_chats([branched()], TransferForm.JSON)).chats
    assert again == branched()


def test_open_webui_gets_the_whole_tree_and_the_branch_that_is_shown() -> None:
    data = write_chats([branched()], TransferForm.OPEN_WEBUI)
    (again,) = read_chats(data).chats
    assert [(turn.number, turn.parent, turn.text) for turn in again.turns] == [
        (0, None, "Why?"),
        (1, 0, "Because."),
        (2, 0, "Or not."),
        (3, 1, "Go on"),
    ]
    assert [turn.text for turn in again.shown] == ["Why?", "Because.", "Go on"]
    (chat,) = json.loads(data)
    messages = chat["chat"]["history"]["messages"]
    assert [len(message["childrenIds"]) for message in messages.values()] == [2, 1, 0, 0]
    assert list(again.images.values()) == [b"\x89PNG"]


def test_markdown_says_what_is_not_in_it() -> None:
    text = write_chats([branched()], TransferForm.MARKDOWN).decode()
    assert "1 messages of other branches are not in this file" in text
    assert "Picture, not in this file: cat.png" in text
    assert "Or not." not in text


def test_every_form_says_that_a_simulated_server_answered() -> None:
    answer = Turn(
        Message(Role.ASSISTANT, (TextPart("Hello"),)), note="simulated vLLM, real llama.cpp", label="m on n", number=0
    )
    chat = ChatCopy("Test", ChatSettings(), (answer,))
    for form in TransferForm:
        assert b"simulated vLLM, real llama.cpp" in write_chats([chat], form), form


def test_bytes_that_are_not_the_image_they_are_named_for_are_left_out() -> None:
    (again,) = read_chats(write_chats([replace(branched(), images={PNG_DIGEST: b"other"})], TransferForm.JSON)).chats
    assert again.images == {}
