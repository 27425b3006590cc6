"""Files of chats: written in the form that is asked for, read in whatever form they are.

The one rule: reading is total. Any bytes give a report: the chats that were understood, how many were not, and what of
them was left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparkdesk.core.chat.transfer.chat_copy import ChatCopy, Tally, TransferForm, rows, table
from sparkdesk.core.chat.transfer.chatgpt import is_chatgpt, read_chatgpt
from sparkdesk.core.chat.transfer.markdown_text import is_ours, read_markdown, write_markdown
from sparkdesk.core.chat.transfer.open_webui import is_open_webui, read_open_webui, write_open_webui
from sparkdesk.core.chat.transfer.openai_list import is_messages, read_messages, write_openai
from sparkdesk.core.chat.transfer.own_json import is_newer, is_own, read_chat, write_json

MAX_BYTES = 64 << 20
MAX_BRACKETS = 2_000_000
"""Of a JSON document: each may take a hundred bytes of memory."""
MAX_COMMAS = 8_000_000
MAX_CHATS = 20_000
TOO_LARGE = f"It is larger than {MAX_BYTES >> 20} MiB. Export fewer chats into one file."
NOT_AGAIN = (
    f"The file is larger than {MAX_BYTES >> 20} MiB: SparkDesk reads none so large. "
    "To import these chats again, export fewer into one file."
)
NOT_KNOWN = "It is no export of chats that SparkDesk knows: its own, Open WebUI's, ChatGPT's, or a list of messages."
PACKED = "It is a packed archive. Unpack it and choose the JSON file in it (ChatGPT: conversations.json)."
NEWER = "A newer SparkDesk wrote it. Install that one here too."


@dataclass(frozen=True, slots=True)
class ReadChats:
    """What a file had."""

    chats: tuple[ChatCopy, ...] = ()
    total: int = 0
    """How many it seems to hold; those that are not in `chats` were not understood."""
    source: str = ""
    """Whose form it is, in words."""
    notes: tuple[str, ...] = ()
    """One sentence each: what was left out, or why nothing could be read."""


def write_chats(chats: Sequence[ChatCopy], form: TransferForm) -> bytes:
    """The chats in this form. No key of any server is part of a chat."""
    write = {
        TransferForm.MARKDOWN: write_markdown,
        TransferForm.JSON: write_json,
        TransferForm.OPENAI: write_openai,
        TransferForm.OPEN_WEBUI: write_open_webui,
    }[form]
    return write(chats)


def import_obstacle(data: bytes) -> str:
    """Why an export could not be imported again, in words; "" when it can."""
    return NOT_AGAIN if len(data) > MAX_BYTES else ""


def read_chats(data: bytes) -> ReadChats:
    """The chats in these bytes. Never raises."""
    if len(data) > MAX_BYTES:
        return ReadChats(notes=(TOO_LARGE,))
    if data.startswith(b"PK\x03\x04"):
        return ReadChats(notes=(PACKED,))
    text = data.decode("utf-8-sig", "replace")
    tally = Tally()
    if is_ours(text.replace("\r\n", "\n", 8)):
        chats = tuple(read_markdown(text, tally) or read_markdown(text.replace("\r\n", "\n"), tally))
        return ReadChats(chats, len(chats), "SparkDesk, Markdown", tally.words)
    document = _parsed(text)
    if document is None:
        return _read_lines(text, tally)
    return _read_document(document, tally)


def _parsed(text: str) -> object:
    if text.count("{") + text.count("[") > MAX_BRACKETS or text.count(",") > MAX_COMMAS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_document(document: object, tally: Tally) -> ReadChats:
    if is_own(document):
        if is_newer(document):
            return ReadChats(notes=(NEWER,))
        return _read_each(rows(table(document).get("chats")), "SparkDesk", lambda _: read_chat, tally)
    if is_messages(document):
        return _read_each([document], "OpenAI messages", lambda _: read_messages, tally)
    listed = rows(document) or ([document] if isinstance(document, dict) else [])
    readers = [reader for item in listed if (reader := _reader_of(item)) is not None]
    if not readers:
        return ReadChats(notes=(NOT_KNOWN,))
    return _read_each(listed, _SOURCES[readers[0]], _reader_of, tally)


def _read_lines(text: str, tally: Tally) -> ReadChats:
    """One chat a line."""
    lines = [line for line in text.split("\n", MAX_CHATS)[:MAX_CHATS] if line.strip()]
    documents = [_parsed(line) for line in lines]
    if not any(is_messages(document) or _reader_of(document) is not None for document in documents):
        return ReadChats(notes=(NOT_KNOWN,))
    return _read_each(
        documents,
        "OpenAI messages",
        lambda item: _reader_of(item) or (read_messages if is_messages(item) else None),
        tally,
    )


_Reader = Callable[[object, Tally], ChatCopy | None]
_SOURCES: dict[_Reader, str] = {
    read_chatgpt: "ChatGPT",
    read_open_webui: "Open WebUI",
    read_messages: "OpenAI messages",
}


def _reader_of(item: object) -> _Reader | None:
    if is_chatgpt(item):
        return read_chatgpt
    if is_open_webui(item):
        return read_open_webui
    return read_messages if is_messages(item) else None


def _read_each(
    items: Sequence[object], source: str, reader_of: Callable[[object], _Reader | None], tally: Tally
) -> ReadChats:
    chats: list[ChatCopy] = []
    for item in items[:MAX_CHATS]:
        reader = reader_of(item)
        chat = reader(item, tally) if reader is not None else None
        if chat is not None and chat.turns:
            chats.append(chat)
    notes = tally.words
    if len(chats) < len(items):
        notes = (f"{len(items) - len(chats):,} of {len(items):,} chats were not understood.", *notes)
    return ReadChats(tuple(chats), len(items), source, notes)
