"""A stranger's tree of messages becomes turns with numbers.

The one rule: every message that is kept has a place. A parent that is missing, left out or within a circle is passed
over for the nearest that is kept; with none the message begins the conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparkdesk.core.chat.session import Turn


@dataclass(frozen=True, slots=True)
class Node:
    """A message by the names that its file gives."""

    parent: str | None
    turn: Turn | None
    """None: it is left out, and what follows it follows its parent."""


def plant(nodes: Mapping[str, Node], leaf: object = None) -> tuple[tuple[Turn, ...], int | None]:
    """The turns with numbers, each behind its parent, and the number of the leaf (None when it is not known)."""
    number_of: dict[str, int | None] = {}
    turns: list[Turn] = []
    for key in nodes:
        way: list[str] = []
        seen: set[str] = set()
        at: str | None = key
        while at is not None and at in nodes and at not in number_of and at not in seen:
            way.append(at)
            seen.add(at)
            at = nodes[at].parent
        above = number_of.get(at) if at is not None else None
        for known in reversed(way):
            turn = nodes[known].turn
            if turn is not None:
                turns.append(replace(turn, number=len(turns), parent=above))
                above = len(turns) - 1
            number_of[known] = above
    return tuple(turns), number_of.get(leaf) if isinstance(leaf, str) else None


def in_line(turns: list[Turn]) -> tuple[Turn, ...]:
    """The turns one behind the other."""
    return tuple(replace(turn, number=at, parent=at - 1 if at else None) for at, turn in enumerate(turns))
