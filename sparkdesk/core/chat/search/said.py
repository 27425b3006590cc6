"""The words of a stored message that a search looks at.

The one rule: what both said and the names of what went along; not what was thought, nor what stands in a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.chat.store.session_json import settings_from_json, turn_from_json

MAX_CHARS = 1 << 20
"""Of one message; what follows is not searched."""


@dataclass(frozen=True, slots=True)
class Said:
    """The searched words of one message or of one title."""

    title: str = ""
    """A chat's title, tags and folder; "" for a message."""
    names: str = ""
    """Names of files and images."""
    text: str = ""
    is_open: bool = False
    """Whether the message is still being written."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to find."""
        return not (self.title or self.names or self.text)


def said_in(message: bytes) -> Said:
    """What a stored message says. Total: what cannot be read says nothing."""
    turn = turn_from_json(message)
    names = " ".join(part.name for part in turn.message.attachments)
    return Said("", _plain(names), _plain(turn.text), turn.state.is_open)


def said_of(title: str, meta: bytes) -> Said:
    """What stands at the head of a chat: its title, tags and folder."""
    settings = settings_from_json(meta)
    return Said(_plain("\n".join((title, *settings.tags, settings.folder)).strip()))


def _plain(text: str) -> str:
    """Text that an index can hold: no NUL, which ends a text for some readers, no half characters, bounded."""
    return text[:MAX_CHARS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
