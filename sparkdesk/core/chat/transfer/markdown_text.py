"""A chat as Markdown that a person reads in any editor, and that we read back.

The one rule: what was said stands there unchanged. Comments, which no reader shows, say where each part begins; their
first word is chosen so that no text of the chats has such a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sparkdesk.core.chat.message import FilePart, ImagePart, Message, Part, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import MAX_NAME_CHARS, MAX_TITLE_CHARS, ChatSettings, Turn, TurnState
from sparkdesk.core.chat.transfer.chat_copy import (
    MAX_TURNS,
    ROLES,
    TOO_MANY,
    ChatCopy,
    Tally,
    line_of,
    names_of,
    table,
    text_of,
    whole_of,
)
from sparkdesk.core.chat.transfer.planting import in_line
from sparkdesk.core.plain_text import fence_for

WORD = "sparkdesk"
_HEAD = re.compile(r"\A---\nsparkdesk: 1\nmarks: (sparkdesk\d{0,6})\n")
_THOUGHT = ("<details><summary>Thought</summary>\n\n", "\n\n</details>")


def write_markdown(chats: Sequence[ChatCopy]) -> bytes:
    """The branches that are shown, one chat behind the other."""
    word = _word_for(chats)
    text = "".join(_chat(chat, word, is_first=at == 0) for at, chat in enumerate(chats))
    return text.encode("utf-8", "replace")


def is_ours(text: str) -> bool:
    """Whether it begins as we begin."""
    return _HEAD.match(text) is not None


def read_markdown(text: str, tally: Tally) -> list[ChatCopy]:
    """The chats of a text of ours; what a person changed in it by hand is taken as it stands."""
    head = _HEAD.match(text)
    if head is None:
        return []
    word = head[1]
    found = [_read_chat(block, word, tally) for block in text.split(f"<!-- {word} chat -->\n")]
    return [chat for chat in found if chat.turns]


# Writing ------------------------------------------------------------------------------------------------------


def _word_for(chats: Sequence[ChatCopy]) -> str:
    texts = [text for chat in chats for turn in chat.turns for text in _texts(turn)]
    texts += [chat.title + chat.settings.system_prompt for chat in chats]
    number = 0
    while any(f"<!-- {WORD}{number or ''} " in text for text in texts):
        number += 1
    return f"{WORD}{number or ''}"


def _texts(turn: Turn) -> Iterator[str]:
    for part in turn.message.parts:
        if isinstance(part, TextPart | ReasoningPart | FilePart):
            yield part.text
    yield turn.note + turn.label + turn.error


def _chat(chat: ChatCopy, word: str, *, is_first: bool) -> str:
    settings, shown = chat.settings, chat.shown
    facts = {
        "title": chat.title,
        "model": settings.label,
        "created": _moment(settings.created_ms),
        "updated": _moment(settings.updated_ms),
        "folder": settings.folder,
        "tags": list(settings.tags),
        "pinned": settings.is_pinned,
        "system_prompt": settings.system_prompt,
        "created_ms": settings.created_ms,
        "updated_ms": settings.updated_ms,
    }
    lines = [f"{key}: {_json(value)}\n" for key, value in facts.items() if value not in ("", [], False)]
    start = "" if is_first else f"<!-- {word} chat -->\n"
    parts = [f"{start}---\nsparkdesk: 1\nmarks: {word}\n", *lines, f"---\n\n# {_heading(chat.title)}\n\n"]
    left_out = len(chat.turns) - len(shown)
    if left_out:
        parts.append(f"*{left_out} messages of other branches are not in this file; the JSON form has them.*\n\n")
    parts.extend(_turn(turn, word) for turn in shown)
    return "".join(parts)


def _turn(turn: Turn, word: str) -> str:
    fields = {"role": turn.message.role.value, "t_ms": turn.t_ms, "state": turn.state.value}
    fields |= {name: value for name in ("label", "note", "error", "remedy") if (value := getattr(turn, name))}
    who = "You" if turn.message.role is Role.USER else _heading(turn.label) or turn.message.role.value.title()
    when = f" · {_moment(turn.t_ms)}" if turn.t_ms else ""
    parts = [f"{_mark(word, 'turn', fields)}## {who}{when}\n\n"]
    for words in (turn.note, turn.error):
        if words:
            parts.append(f"> {_heading(words)}\n\n")
    parts.extend(_part(part, word) for part in turn.message.parts)
    return "".join(parts)


def _part(part: Part, word: str) -> str:
    if isinstance(part, TextPart):
        return f"{_mark(word, 'text')}{part.text}\n\n"
    if isinstance(part, ReasoningPart):
        return f"{_mark(word, 'thought')}{_THOUGHT[0]}{part.text}{_THOUGHT[1]}\n\n"
    if isinstance(part, FilePart):
        fence = fence_for(part.text)
        fields = {"name": part.name, "media_type": part.media_type, "size_bytes": part.size_bytes, "note": part.note}
        return f"{_mark(word, 'file', fields)}**{_heading(part.name)}**\n\n{fence}\n{part.text}\n{fence}\n\n"
    if isinstance(part, ImagePart):
        return f"{_mark(word, 'picture')}*Picture, not in this file: {_heading(part.name)}*\n\n"
    return ""


def _mark(word: str, kind: str, fields: dict[str, Any] | None = None) -> str:
    return f"<!-- {word} {kind}{' ' + _json(fields) if fields else ''} -->\n"


def _json(value: object) -> str:
    # So that no value ends the comment, or the line, that it stands in.
    text = json.dumps(value, ensure_ascii=False)
    for sign in "<>\u0085\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _heading(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _moment(t_ms: int) -> str:
    try:
        return datetime.fromtimestamp(t_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC") if t_ms else ""
    except (ValueError, OverflowError, OSError):
        return ""


# Reading ------------------------------------------------------------------------------------------------------


def _read_chat(block: str, word: str, tally: Tally) -> ChatCopy:
    head, *parts = re.split(rf"^<!-- {word} (turn|text|thought|file|picture)( \{{[^\n]*\}})? -->\n", block, flags=re.M)
    facts = _facts(head)
    turns: list[Turn] = []
    for at in range(0, len(parts) - 2, 3):
        kind, fields, body = parts[at], _fields(parts[at + 1]), parts[at + 2]
        if kind == "turn":
            if len(turns) < MAX_TURNS:
                turns.append(_read_turn(fields))
            else:
                tally.miss(TOO_MANY)
        elif turns and (part := _read_part(kind, fields, body, tally)) is not None:
            message = turns[-1].message
            turns[-1] = replace(turns[-1], message=replace(message, parts=(*message.parts, part)))
    settings = ChatSettings(
        system_prompt=text_of(facts.get("system_prompt"), tally),
        label=line_of(facts.get("model")),
        created_ms=whole_of(facts.get("created_ms")),
        updated_ms=whole_of(facts.get("updated_ms")),
        folder=line_of(facts.get("folder"), MAX_NAME_CHARS),
        is_pinned=facts.get("pinned") is True,
        tags=names_of(facts.get("tags")),
    )
    return ChatCopy(line_of(facts.get("title"), MAX_TITLE_CHARS), settings, in_line(turns))


def _facts(head: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in head.partition("---\n")[2].partition("\n---\n")[0].split("\n")[:40]:
        key, _, value = line.partition(": ")
        try:
            found[key] = json.loads(value)
        except (ValueError, RecursionError):
            found[key] = value
    return found


def _fields(text: str | None) -> dict[str, Any]:
    try:
        return table(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return {}


def _read_turn(fields: dict[str, Any]) -> Turn:
    role = fields.get("role")
    known = [state for state in TurnState if state.value == fields.get("state") and not state.is_open]
    return Turn(
        Message(ROLES.get(role, Role.USER) if isinstance(role, str) else Role.USER, ()),
        state=known[0] if known else TurnState.DONE,
        t_ms=whole_of(fields.get("t_ms")),
        label=line_of(fields.get("label")),
        note=line_of(fields.get("note"), 500),
        error=line_of(fields.get("error"), 500),
        remedy=line_of(fields.get("remedy"), 500),
    )


def _read_part(kind: str, fields: dict[str, Any], body: str, tally: Tally) -> Part | None:
    text = body.removesuffix("\n\n")
    if kind == "text":
        return TextPart(text_of(text, tally))
    if kind == "thought":
        return ReasoningPart(text_of(text.removeprefix(_THOUGHT[0]).removesuffix(_THOUGHT[1]), tally))
    if kind == "file":
        fence = re.search(r"^(`{3,})\n", text, flags=re.M)
        inside = text[fence.end() :].removesuffix(f"\n{fence[1]}") if fence is not None else text
        name, media_type = line_of(fields.get("name")) or "file.txt", line_of(fields.get("media_type")) or "text/plain"
        size_bytes, note = whole_of(fields.get("size_bytes")), line_of(fields.get("note"))
        return FilePart(name, text_of(inside, tally), media_type, size_bytes, note)
    tally.miss("Pictures that Markdown does not hold")
    return None
