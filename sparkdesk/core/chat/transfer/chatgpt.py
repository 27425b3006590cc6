"""ChatGPT's own export: `conversations.json`, a list of chats whose messages are a tree by name.

The one rule: its tree stays a tree. What the site hides (its own system messages, the works of its tools) is left out,
and what follows it follows what came before.
Source: the fields that the exports have, as several readers of them agree (unverified: its maker documents none):
`mapping` {id: {message, parent, children}}, `current_node`, `author.role`, `content.content_type` with `parts`,
`create_time` in seconds, `metadata.model_slug`, `metadata.is_visually_hidden_from_conversation`.
"""

from __future__ import annotations

from typing import Any

from sparkdesk.core.chat.message import Message, Part, ReasoningPart, TextPart
from sparkdesk.core.chat.session import MAX_TITLE_CHARS, ChatSettings, Turn
from sparkdesk.core.chat.transfer.chat_copy import (
    ELSEWHERE,
    MAX_TURNS,
    NO_PART,
    NO_SPEAKER,
    ROLES,
    TOO_MANY,
    ChatCopy,
    Tally,
    line_of,
    moment_ms,
    rows,
    table,
    text_of,
)
from sparkdesk.core.chat.transfer.planting import Node, plant


def is_chatgpt(document: object) -> bool:
    """Whether it is one of its chats."""
    return isinstance(table(document).get("mapping"), dict)


def read_chatgpt(document: object, tally: Tally) -> ChatCopy | None:
    """One chat."""
    chat = table(document)
    mapping = table(chat.get("mapping"))
    if len(mapping) > MAX_TURNS:
        tally.miss(TOO_MANY, len(mapping) - MAX_TURNS)
    nodes: dict[str, Node] = {}
    for key, value in list(mapping.items())[:MAX_TURNS]:
        parent = table(value).get("parent")
        nodes[key] = Node(parent if isinstance(parent, str) else None, _turn(table(value).get("message"), tally))
    turns, leaf = plant(nodes, chat.get("current_node"))
    if not turns:
        return None
    settings = ChatSettings(
        label=line_of(chat.get("default_model_slug")) or next((turn.label for turn in turns if turn.label), ""),
        created_ms=moment_ms(chat.get("create_time")),
        updated_ms=moment_ms(chat.get("update_time")),
        leaf=leaf,
    )
    return ChatCopy(line_of(chat.get("title"), MAX_TITLE_CHARS), settings, turns)


def _turn(value: object, tally: Tally) -> Turn | None:
    message = table(value)
    role = table(message.get("author")).get("role")
    metadata = table(message.get("metadata"))
    if not message or role == "system" or metadata.get("is_visually_hidden_from_conversation") is True:
        return None
    if not isinstance(role, str) or role not in ROLES:
        tally.miss(NO_SPEAKER)
        return None
    parts = _parts(table(message.get("content")), tally)
    if not parts:
        return None
    label = line_of(metadata.get("model_slug")) if role == "assistant" else ""
    return Turn(Message(ROLES[role], parts), t_ms=moment_ms(message.get("create_time")), label=label)


def _parts(content: dict[str, Any], tally: Tally) -> tuple[Part, ...]:
    kind = content.get("content_type")
    if kind in ("text", "multimodal_text"):
        return tuple(_spoken(rows(content.get("parts")), tally))
    if kind == "code":
        code = text_of(content.get("text"), tally)
        language = line_of(content.get("language"), 20)
        return (TextPart(f"```{language if language.isalnum() else ''}\n{code}\n```"),) if code else ()
    if kind == "thoughts":
        thoughts = (table(item).get("content") for item in rows(content.get("thoughts"))[:1000])
        text = "\n\n".join(filter(None, (text_of(thought, tally) for thought in thoughts)))
        return (ReasoningPart(text),) if text else ()
    if kind not in ("reasoning_recap", "user_editable_context", "model_editable_context"):
        tally.miss(NO_PART)
    return ()


def _spoken(parts: list[Any], tally: Tally) -> list[Part]:
    texts: list[str] = []
    for part in parts[:1000]:
        if isinstance(part, str):
            texts.append(text_of(part, tally))
        elif table(part).get("content_type") == "image_asset_pointer":
            tally.miss(ELSEWHERE)
        else:
            tally.miss(NO_PART)
    text = "\n".join(filter(None, texts))
    return [TextPart(text)] if text else []
