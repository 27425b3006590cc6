"""Our own form: everything of a conversation, with its branches and images, as one JSON document.

The one rule: what is written is read back the same. A newer form is refused as such, not read by half.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sparkdesk.core.chat.session import MAX_TITLE_CHARS
from sparkdesk.core.chat.store.session_json import settings_from_json, settings_to_json, turn_from_json, turn_to_json
from sparkdesk.core.chat.transfer.chat_copy import (
    MAX_TURNS,
    TOO_MANY,
    ChatCopy,
    Tally,
    bytes_of,
    line_of,
    rows,
    table,
)
from sparkdesk.core.chat.tree import mend
from sparkdesk.core.digest import digest

FORMAT = "sparkdesk-chats"
SCHEMA = 1


def write_json(chats: Sequence[ChatCopy]) -> bytes:
    """The chats as one document."""
    document = {"format": FORMAT, "schema": SCHEMA, "chats": [_to_json(chat) for chat in chats]}
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def is_own(document: object) -> bool:
    """Whether it says that it is ours."""
    return table(document).get("format") == FORMAT


def is_newer(document: object) -> bool:
    """Whether a newer SparkDesk wrote it."""
    schema = table(document).get("schema")
    return not isinstance(schema, int) or schema > SCHEMA


def read_chat(data: object, tally: Tally) -> ChatCopy | None:
    """One chat of the document."""
    chat = table(data)
    if not isinstance(chat.get("turns"), list):
        return None
    turns = tuple(turn_from_json(json.dumps(turn).encode()) for turn in rows(chat["turns"])[:MAX_TURNS])
    if len(chat["turns"]) > MAX_TURNS:
        tally.miss(TOO_MANY, len(chat["turns"]) - MAX_TURNS)
    settings = settings_from_json(json.dumps(table(chat.get("settings"))).encode())
    images = {
        name: content for name, text in table(chat.get("images")).items() if digest(content := bytes_of(text)) == name
    }
    return ChatCopy(line_of(chat.get("title"), MAX_TITLE_CHARS), settings, mend(turns), images)


def _to_json(chat: ChatCopy) -> dict[str, Any]:
    settings = replace(chat.settings, queued=())
    return {
        "title": chat.title,
        "settings": json.loads(settings_to_json(settings)),
        "turns": [json.loads(turn_to_json(turn)) for turn in chat.turns],
        "images": {name: base64.b64encode(data).decode() for name, data in chat.images.items()},
    }
