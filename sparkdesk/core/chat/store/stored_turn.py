"""A turn that lies in the database and is read when somebody looks at it.

The one rule: it is a `Turn` like any other. Its place in the tree and how much is attached to it are known unread; the
first look at anything else reads it whole. So a conversation of 10,000 messages opens in the time that its newest
screen takes.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.store.session_json import turn_from_json

_HEAD = re.compile(rb'\{"schema": \d+, "number": (\d{1,9}), "parent": (\d{1,9}|null), "role": "(?:user|assistant)", ')
_SENT, _STREAMING = (f'"state": "{state.value}"'.encode() for state in TurnState if state.is_open)
_IMAGE, _FILE = b'"kind": "image"', b'"kind": "file"'
"""Of a part, as this release writes it; within a text the quotes have a backslash each."""
_FIELDS = tuple(field.name for field in fields(Turn))


class StoredTurn(Turn):
    """Made by `stored_turn` alone."""

    __slots__ = ("_data",)

    def __getattr__(self, name: str) -> Any:
        # Reached only while a field has no value yet.
        if name not in _FIELDS:
            raise AttributeError(name)
        parsed = turn_from_json(self._data)
        for known in _FIELDS:
            if known not in ("number", "parent"):
                object.__setattr__(self, known, getattr(parsed, known))
        object.__setattr__(self, "_data", b"")
        return getattr(self, name)

    @property
    def has_images(self) -> bool:
        return _IMAGE in self._data if self._data else bool(self.message.images)

    @property
    def files_count(self) -> int:
        return self._data.count(_FILE) if self._data else len(self.message.files)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Turn):
            return NotImplemented
        # As tuples: what is not known is NaN, which is equal to nothing but itself.
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return super().__hash__()


def _values(turn: Turn) -> tuple[object, ...]:
    return tuple(getattr(turn, name) for name in _FIELDS)


def stored_turn(data: bytes) -> Turn:
    """The turn that was stored, unread where its first bytes are as this release writes them. Total."""
    head = _HEAD.match(data)
    if head is None or _SENT in data or _STREAMING in data:
        return turn_from_json(data)
    turn = StoredTurn.__new__(StoredTurn)
    number, parent = head.groups()
    object.__setattr__(turn, "_data", data)
    object.__setattr__(turn, "number", int(number))
    object.__setattr__(turn, "parent", None if parent == b"null" else int(parent))
    return turn
