"""Lists of messages as the OpenAI API takes them: one request, a list of messages, or JSONL with one chat a line.

The one rule: the branch that is shown, in the documented fields; that a simulated server answered stands in `metadata`,
where the API keeps a caller's own notes.
Source: platform.openai.com/docs/api-reference/chat/create (messages, content parts, metadata: up to 16 pairs of at most
64 and 512 characters) and .../docs/guides/supervised-fine-tuning (JSONL of {"messages": [...]}); `reasoning_content` is
the field of DeepSeek's API, vLLM and llama.cpp.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sparkdesk.core.chat.message import FilePart, ImagePart, Message, Part, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import MAX_TITLE_CHARS, ChatSettings, Turn, title_of
from sparkdesk.core.chat.transfer.chat_copy import (
    MAX_TURNS,
    NO_PART,
    NO_SPEAKER,
    ROLES,
    TOO_MANY,
    ChatCopy,
    Tally,
    file_from,
    file_url,
    image_from,
    image_url,
    line_of,
    rows,
    table,
    text_of,
)
from sparkdesk.core.chat.transfer.planting import in_line

MAX_NOTE_CHARS = 512
_ROLES = ROLES | {"model": Role.ASSISTANT}


def write_openai(chats: Sequence[ChatCopy]) -> bytes:
    """One line for each chat."""
    lines = (json.dumps(_to_json(chat), ensure_ascii=False) + "\n" for chat in chats)
    return "".join(lines).encode("utf-8", "replace")


def is_messages(document: object) -> bool:
    """Whether it is a request, or a list of messages by itself."""
    if isinstance(document, dict):
        return isinstance(document.get("messages"), list) or is_messages(document.get("body"))
    listed = rows(document)
    return bool(listed) and all(isinstance(item, dict) and "role" in item and "content" in item for item in listed[:8])


def read_messages(document: object, tally: Tally) -> ChatCopy | None:
    """The chat of a request, of a line of the batch API (`body`), or of a list of messages."""
    request = table(document)
    if "messages" not in request and isinstance(request.get("body"), dict):
        request = request["body"]
    listed = rows(document) or rows(request.get("messages"))
    images: dict[str, bytes] = {}
    turns: list[Turn] = []
    system: list[str] = []
    label = line_of(request.get("model"))
    for item in listed[:MAX_TURNS]:
        role = table(item).get("role")
        if role in ("system", "developer"):
            system.append(_plain(table(item).get("content"), tally))
        elif isinstance(role, str) and role in _ROLES:
            parts = _parts(table(item), images, tally)
            answered = label if _ROLES[role] is Role.ASSISTANT else ""
            turns.append(Turn(Message(_ROLES[role], parts), label=answered))
        else:
            tally.miss(NO_SPEAKER)
    if len(listed) > MAX_TURNS:
        tally.miss(TOO_MANY, len(listed) - MAX_TURNS)
    if not turns and not system:
        return None
    given = line_of(table(request.get("metadata")).get("title"), MAX_TITLE_CHARS)
    first = next((turn.text for turn in turns if turn.message.role is Role.USER), "")
    settings = ChatSettings(system_prompt="\n\n".join(filter(None, system)), label=label)
    return ChatCopy(given or title_of(first[:1000]), settings, in_line(turns), images)


def content_parts(content: object, images: dict[str, bytes], tally: Tally) -> tuple[Part, ...]:
    """The parts of a message's `content`: a text, or a list of texts, images and files."""
    if isinstance(content, str):
        return (TextPart(text_of(content, tally)),) if content else ()
    found: list[Part] = []
    for item in rows(content)[:1000]:
        part = _part({"type": "text", "text": item} if isinstance(item, str) else table(item), images, tally)
        if part is not None:
            found.append(part)
    return tuple(found)


def _part(item: dict[str, Any], images: dict[str, bytes], tally: Tally) -> Part | None:
    kind = item.get("type")
    if kind in ("text", "input_text", "output_text"):
        text = text_of(item.get("text"), tally)
        return TextPart(text) if text else None
    if kind in ("image_url", "input_image"):
        address = item.get("image_url")
        return image_from(address.get("url") if isinstance(address, dict) else address, "", images, tally)
    if kind == "file":
        file = table(item.get("file"))
        return file_from(file.get("filename"), file.get("file_data"), tally)
    tally.miss(NO_PART)
    return None


def _parts(item: dict[str, Any], images: dict[str, bytes], tally: Tally) -> tuple[Part, ...]:
    if item.get("tool_calls"):
        tally.miss("Calls of tools, left out")
    thought = text_of(item.get("reasoning_content") or item.get("reasoning"), tally)
    said = content_parts(item.get("content"), images, tally)
    return (ReasoningPart(thought), *said) if thought else said


def _plain(content: object, tally: Tally) -> str:
    return "".join(part.text for part in content_parts(content, {}, tally) if isinstance(part, TextPart))


def _to_json(chat: ChatCopy) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    if chat.settings.system_prompt:
        messages.append({"role": "system", "content": chat.settings.system_prompt})
    notes: dict[str, None] = {}
    for turn in chat.shown:
        messages.append(_message(turn, chat))
        if turn.note:
            notes[turn.note] = None
    model = chat.settings.label.partition(" on ")[0]
    metadata = {"title": chat.title[:MAX_NOTE_CHARS]}
    if notes:
        metadata["note"] = "; ".join(notes)[:MAX_NOTE_CHARS]
    return {**({"model": model} if model else {}), "messages": messages, "metadata": metadata}


def _message(turn: Turn, chat: ChatCopy) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for part in turn.message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart):
            content.append({"type": "file", "file": {"filename": part.name, "file_data": file_url(part)}})
        elif isinstance(part, ImagePart) and (url := image_url(part, chat.images)):
            content.append({"type": "image_url", "image_url": {"url": url}})
    is_plain = all(item["type"] == "text" for item in content)
    message = {"role": turn.message.role.value, "content": turn.text if is_plain else content}
    if turn.reasoning:
        message["reasoning_content"] = turn.reasoning
    return message
