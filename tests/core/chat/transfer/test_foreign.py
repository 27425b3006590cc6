"""Exports of other programs, and files that are none: read as far as they go, and what is missing is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.chat.message import Message, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.transfer import file
from sparkdesk.core.chat.transfer.file import read_chats
from sparkdesk.core.chat.transfer.planting import Node, plant


def chatgpt_node(parent: str | None, role: str, *parts: object, **more: Any) -> dict[str, Any]:
    """A node as ChatGPT's export has it."""
    content = {"content_type": "text", "parts": list(parts), **more.pop("content", {})}
    return {"parent": parent, "children": [], "message": {"author": {"role": role}, "content": content, **more}}


CHATGPT = {
    "title": "Quantum\nfish",
    "create_time": 1_700_000_000.5,
    "update_time": 1_700_000_100.0,
    "current_node": "a2",
    "mapping": {
        "root": {"id": "root", "message": None, "parent": None, "children": ["sys"]},
        "sys": chatgpt_node("root", "system", "", metadata={"is_visually_hidden_from_conversation": True}),
        "q1": chatgpt_node("sys", "user", "What swims?", create_time=1_700_000_001.0),
        "t1": chatgpt_node("q1", "tool", "looked it up"),
        "a1": chatgpt_node("t1", "assistant", "A fish.", metadata={"model_slug": "gpt-4o"}),
        "a2": chatgpt_node("t1", "assistant", "A duck.", {"content_type": "image_asset_pointer"}),
        "th": chatgpt_node("a2", "assistant", content={"content_type": "thoughts", "thoughts": [{"content": "Hm"}]}),
    },
}


def test_chatgpts_tree_keeps_its_branches_and_skips_what_the_site_hides() -> None:
    read = read_chats(json.dumps([CHATGPT]).encode())
    (chat,) = read.chats
    assert read.source == "ChatGPT"
    assert chat.title == "Quantum fish"
    assert [(turn.number, turn.parent, turn.text) for turn in chat.turns[:3]] == [
        (0, None, "What swims?"),
        (1, 0, "A fish."),
        (2, 0, "A duck."),
    ]
    assert [turn.text for turn in chat.shown][:2] == ["What swims?", "A duck."]
    assert chat.turns[3].reasoning == "Hm"
    assert (chat.settings.created_ms, chat.turns[0].t_ms) == (1_700_000_000_500, 1_700_000_001_000)
    assert chat.settings.label == "gpt-4o"
    assert "Pictures that lie elsewhere and were not fetched: 1." in read.notes
    assert "Messages of tools or of unknown speakers, left out: 1." in read.notes


def test_chats_that_are_not_understood_are_counted() -> None:
    read = read_chats(json.dumps([CHATGPT, {"mapping": {}}, 7, {"title": "x"}]).encode())
    assert (len(read.chats), read.total) == (1, 4)
    assert read.notes[0] == "3 of 4 chats were not understood."


OPEN_WEBUI = {
    "id": "1",
    "title": "Tree",
    "pinned": True,
    "meta": {"tags": ["fish", 3]},
    "updated_at": 1_700_000_100,
    "chat": {
        "models": ["qwen3:8b"],
        "system": "Be brief",
        "history": {
            "currentId": "b",
            "messages": {
                "q": {"id": "q", "parentId": None, "role": "user", "content": "Hi", "timestamp": 1_700_000_000,
                      "files": [{"type": "file", "name": "a.txt", "file": {"data": {"content": "text"}}},
                                {"type": "image", "url": "https://example.test/cat.png"}]},
                "a": {"id": "a", "parentId": "q", "role": "assistant", "model": "qwen3:8b", "content":
                      '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n'
                      "&gt; They say &lt;hi&gt;\n> so do I\n</details>\nHello"},
                "b": {"id": "b", "parentId": "q", "role": "assistant", "content": "Hey"},
            },
        },
    },
}  # fmt: skip


def test_open_webuis_thoughts_files_and_tags_come_along() -> None:
    read = read_chats(json.dumps([OPEN_WEBUI]).encode())
    (chat,) = read.chats
    assert (chat.settings.system_prompt, chat.settings.tags, chat.settings.is_pinned) == ("Be brief", ("fish",), True)
    first = chat.turns[1].message.parts[0]
    assert first == ReasoningPart("They say <hi>\nso do I")
    assert chat.turns[1].text == "Hello"
    assert [part.name for part in chat.turns[0].message.attachments] == ["a.txt"]
    assert [turn.text for turn in chat.shown] == ["Hi", "Hey"]
    assert read.notes == ("Pictures that lie elsewhere and were not fetched: 1.",)


def test_its_older_form_is_the_chat_by_itself() -> None:
    (chat,) = read_chats(json.dumps(OPEN_WEBUI["chat"]).encode()).chats
    assert len(chat.turns) == 3


def test_a_request_a_list_of_messages_and_lines_of_them_are_read() -> None:
    picture = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    messages = [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"},
                                     {"type": "image_url", "image_url": {"url": picture}}]},
        {"role": "assistant", "content": "A cat", "reasoning_content": "Fur"},
        {"role": "tool", "content": "{}"},
    ]  # fmt: skip
    request = {"model": "gpt", "messages": messages}
    for data in (
        json.dumps(messages),
        json.dumps(request),
        json.dumps(request) + "\n" + json.dumps(request) + "\n",
        json.dumps({"custom_id": "1", "body": request}),
    ):
        read = read_chats(data.encode())
        chat = read.chats[0]
        assert [(turn.message.role, turn.text) for turn in chat.turns] == [
            (Role.USER, "What is it?"),
            (Role.ASSISTANT, "A cat"),
        ]
        assert chat.settings.system_prompt == "Be brief"
        assert list(chat.images.values()) == [b"\x89PNG"]
        assert chat.turns[1].reasoning == "Fur"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "no export"),
        (b"PK\x03\x04rest", "packed archive"),
        (b"\xff\xfe\x00", "no export"),
        (b"[" * 100_000, "no export"),
        (b'{"format":"sparkdesk-chats","schema":99,"chats":[]}', "newer SparkDesk"),
        (b'{"mapping":' * 3, "no export"),
        (b"[" + b"{}," * 700_000 + b"{}]", "no export"),
    ],
)
def test_a_file_that_is_none_says_why(data: bytes, word: str) -> None:
    read = read_chats(data)
    assert read.chats == ()
    assert word in read.notes[0]


def test_a_file_that_is_too_large_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_BYTES", 10)
    assert "larger than" in read_chats(b" " * 11).notes[0]


FIELDS = (
    *("mapping", "message", "author", "role", "content", "parts", "parent", "messages", "history", "chat", "title"),
    *("currentId", "current_node", "format", "schema", "chats", "turns", "settings", "user", "files", "meta", "tags"),
    *("metadata", "content_type", "type", "text"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner | st.sampled_from(["user", "assistant", "text", "sparkdesk-chats", 1, "q"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_is_read_without_an_error(value: object) -> None:
    read = read_chats(json.dumps(value).encode())
    assert len(read.chats) <= read.total or read.total == 0
    assert read.chats or read.notes or read.total == 0


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([None, *"abcdefz"])))
def test_every_message_of_a_mad_tree_gets_a_place(parents: dict[str, str | None]) -> None:
    kept = {key: Node(parent, None if key == "c" else Turn(_said(key))) for key, parent in parents.items()}
    turns, _ = plant(kept)
    assert sorted(turn.text for turn in turns) == sorted(key for key in parents if key != "c")
    assert all(turn.parent is None or turn.parent < turn.number for turn in turns)
    assert [turn.number for turn in turns] == list(range(len(turns)))


def _said(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def test_a_chain_of_many_messages_is_planted_without_recursion() -> None:
    nodes = {str(at): Node(str(at - 1) if at else None, Turn(_said(str(at)))) for at in range(20_000)}
    turns, leaf = plant(dict(reversed(nodes.items())), "19999")
    assert (turns[-1].text, leaf) == ("19999", 19_999)
