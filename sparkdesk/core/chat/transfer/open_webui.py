"""Open WebUI's form: a list of chats, each with a tree of messages that name their parent and their children.

The one rule: the tree goes both ways, thoughts in the block that it folds; nothing of a file's address is asked for.
Source: github.com/open-webui/open-webui: src/lib/components/chat/Settings/DataControls.svelte (what is imported:
`chat`, `meta`, `pinned`, `folder_id`, times in seconds; an older form is the chat by itself),
backend/open_webui/models/chats.py (ChatModel, meta.tags) and utils/middleware.py (`<details type="reasoning">`).
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from sparkdesk.core.chat.message import FilePart, ImagePart, Message, Part, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import MAX_TITLE_CHARS, ChatSettings, Turn
from sparkdesk.core.chat.transfer.chat_copy import (
    MAX_TURNS,
    NO_SPEAKER,
    ROLES,
    TOO_MANY,
    ChatCopy,
    Tally,
    image_from,
    image_url,
    line_of,
    moment_ms,
    names_of,
    rows,
    table,
    text_of,
    whole_of,
)
from sparkdesk.core.chat.transfer.openai_list import content_parts
from sparkdesk.core.chat.transfer.planting import Node, plant
from sparkdesk.core.digest import text_digest

_OPEN, _END = '<details type="reasoning"', "</details>"
_SUMMARY_END = "</summary>"
MAX_THOUGHTS = 100


def write_open_webui(chats: Sequence[ChatCopy]) -> bytes:
    """The chats as one list."""
    return json.dumps([_to_json(chat) for chat in chats], ensure_ascii=False, indent=1).encode("utf-8", "replace")


def is_open_webui(document: object) -> bool:
    """Whether it is one of its chats, of today's form or of the older one."""
    chat = table(document)
    return isinstance(_inner(chat).get("history"), dict)


def read_open_webui(document: object, tally: Tally) -> ChatCopy | None:
    """One chat."""
    outer = table(document)
    chat = _inner(outer)
    history = table(chat.get("history"))
    messages = table(history.get("messages"))
    if len(messages) > MAX_TURNS:
        tally.miss(TOO_MANY, len(messages) - MAX_TURNS)
    images: dict[str, bytes] = {}
    system: list[str] = [text_of(chat.get("system") or table(chat.get("params")).get("system"), tally)]
    nodes: dict[str, Node] = {}
    for key, value in list(messages.items())[:MAX_TURNS]:
        message = table(value)
        parent = message.get("parentId")
        if message.get("role") == "system":
            system.append(text_of(message.get("content"), tally))
        nodes[key] = Node(parent if isinstance(parent, str) else None, _turn(message, images, tally))
    turns, leaf = plant(nodes, history.get("currentId"))
    if not turns:
        return None
    models = [line_of(model) for model in rows(chat.get("models"))[:8]]
    tags = rows(table(outer.get("meta")).get("tags")) or rows(chat.get("tags"))
    settings = ChatSettings(
        system_prompt="\n\n".join(filter(None, system)),
        label=next((turn.label for turn in reversed(turns) if turn.label), next(iter(models), "")),
        created_ms=moment_ms(outer.get("created_at") or chat.get("timestamp")),
        updated_ms=moment_ms(outer.get("updated_at") or chat.get("timestamp")),
        is_pinned=outer.get("pinned") is True,
        tags=names_of(tags),
        leaf=leaf,
    )
    return ChatCopy(line_of(outer.get("title") or chat.get("title"), MAX_TITLE_CHARS), settings, turns, images)


def _inner(chat: dict[str, Any]) -> dict[str, Any]:
    inner = chat.get("chat")
    return inner if isinstance(inner, dict) else chat


def _turn(message: dict[str, Any], images: dict[str, bytes], tally: Tally) -> Turn | None:
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        if role != "system":
            tally.miss(NO_SPEAKER)
        return None
    parts: list[Part] = [*_files(rows(message.get("files"))[:100], images, tally)]
    for part in content_parts(message.get("content"), images, tally):
        parts.extend(_thoughts_apart(part.text) if isinstance(part, TextPart) and role == "assistant" else (part,))
    label = line_of(message.get("model")) if role == "assistant" else ""
    return Turn(Message(ROLES[role], tuple(parts)), t_ms=moment_ms(message.get("timestamp")), label=label)


def _files(files: list[Any], images: dict[str, bytes], tally: Tally) -> list[Part]:
    found: list[Part] = []
    for value in files:
        file = table(value)
        if file.get("type") == "image":
            image = image_from(file.get("url"), line_of(file.get("name")), images, tally)
            if image is not None:
                found.append(image)
            continue
        inner = table(file.get("file"))
        text = table(inner.get("data")).get("content")
        if isinstance(text, str):
            meta = table(inner.get("meta"))
            name = line_of(file.get("name") or inner.get("filename")) or "file.txt"
            kept = text_of(text, tally)
            size_bytes = whole_of(meta.get("size")) or len(kept.encode())
            found.append(FilePart(name, kept, line_of(meta.get("content_type")) or "text/plain", size_bytes))
        else:
            tally.miss("Files whose text is not in the export")
    return found


def _thoughts_apart(text: str) -> list[Part]:
    """What was thought and what was said, of a text that has both."""
    parts: list[Part] = []
    for _ in range(MAX_THOUGHTS):
        start = text.find(_OPEN)
        end = text.find(_END, start)
        if start < 0 or end < 0:
            break
        block = text[start:end]
        inside = block.partition(_SUMMARY_END)[2] or block.partition(">")[2]
        if text[:start].strip():
            parts.append(TextPart(text[:start]))
        thought = "\n".join(_unquoted(line) for line in html.unescape(inside.strip("\n")).split("\n"))
        parts.append(ReasoningPart(thought))
        text = text[end + len(_END) :].removeprefix("\n")
    return [*parts, TextPart(text)] if text else parts


def _unquoted(line: str) -> str:
    return line[2:] if line.startswith("> ") else line.removeprefix(">")


def _to_json(chat: ChatCopy) -> dict[str, Any]:
    settings = chat.settings
    prefix = text_digest(f"{chat.title}\n{settings.created_ms}")[:16]
    children: dict[int | None, list[str]] = {}
    for turn in chat.turns:
        children.setdefault(turn.parent, []).append(f"{prefix}-{turn.number}")
    messages = {
        f"{prefix}-{turn.number}": _message(turn, chat, prefix, children.get(turn.number, [])) for turn in chat.turns
    }
    shown = chat.shown
    models = list(dict.fromkeys(turn.label for turn in shown if turn.label)) or [settings.label]
    history = {"messages": messages, "currentId": f"{prefix}-{shown[-1].number}" if shown else None}
    inner = {
        "title": chat.title,
        "models": models,
        "system": settings.system_prompt,
        "params": {},
        "history": history,
        "messages": [messages[f"{prefix}-{turn.number}"] for turn in shown],
        "tags": [],
        "timestamp": settings.created_ms,
        "files": [],
    }
    return {
        "id": prefix,
        "user_id": "",
        "title": chat.title,
        "chat": inner,
        "created_at": settings.created_ms // 1000,
        "updated_at": settings.updated_ms // 1000,
        "share_id": None,
        "archived": False,
        "pinned": settings.is_pinned,
        "meta": {"tags": list(settings.tags)},
        "folder_id": None,
    }


def _message(turn: Turn, chat: ChatCopy, prefix: str, children: list[str]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": f"{prefix}-{turn.number}",
        "parentId": None if turn.parent is None else f"{prefix}-{turn.parent}",
        "childrenIds": children,
        "role": turn.message.role.value,
        "content": _content(turn),
        "timestamp": turn.t_ms // 1000,
    }
    files = [entry for part in turn.message.attachments if (entry := _file(part, chat))]
    if files:
        message["files"] = files
    if turn.message.role is Role.ASSISTANT:
        label = turn.label or chat.settings.label
        message |= {"model": label, "modelName": f"{label} ({turn.note})" if turn.note else label, "done": True}
    return message


def _content(turn: Turn) -> str:
    if not turn.reasoning:
        return turn.text
    quoted = html.escape("\n".join(f"> {line}" for line in turn.reasoning.split("\n")))
    thought_s = turn.timing.thinking_s if turn.timing is not None else 0.0
    seconds = round(thought_s) if thought_s == thought_s else 0
    head = f'{_OPEN} done="true" duration="{seconds}">\n<summary>Thought for {seconds} seconds</summary>'
    return f"{head}\n{quoted}\n{_END}\n{turn.text}"


def _file(part: FilePart | ImagePart, chat: ChatCopy) -> dict[str, Any] | None:
    if isinstance(part, ImagePart):
        url = image_url(part, chat.images)
        return {"type": "image", "url": url, "name": part.name} if url else None
    meta = {"name": part.name, "content_type": part.media_type, "size": part.size_bytes}
    file = {"filename": part.name, "data": {"content": part.text}, "meta": meta}
    return {"type": "file", "name": part.name, "file": file}
