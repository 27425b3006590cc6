"""The turns of a conversation as a tree: every question that was changed and every answer that was made again stays.

The one rule: nothing in it is ever taken out, and reading is total. Whatever turns are given, each is kept, has a
number of its own and follows a turn with a smaller one, so that there is no circle and no loose end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sparkdesk.core.chat.session import Turn


class TurnTree:
    """The turns by number, and the branch that is shown: from a first turn down to where it ends."""

    def __init__(self, turns: Iterable[Turn] = (), leaf: int | None = None) -> None:
        """`leaf` is a turn of the branch to show; None, or one that is not there, is the newest turn's branch."""
        self._turns: dict[int, Turn] = {}
        self._children: dict[int | None, list[int]] = {}
        self._left_at: dict[int | None, int] = {}
        """The child through which a turn's branch was shown last, where it is not the newest."""
        self._next = 0
        for turn in mend(turns):
            self._keep(turn)
        self._path: list[int] = []
        self._shown: tuple[Turn, ...] | None = None
        start = leaf if leaf in self._turns else max(self._turns, default=None)
        if start is not None:
            self.choose(start)

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, number: object) -> bool:
        return number in self._turns

    def __getitem__(self, number: int) -> Turn:
        """The turn with this number. Raises KeyError."""
        return self._turns[number]

    @property
    def all(self) -> tuple[Turn, ...]:
        """Every turn of every branch, in order of age."""
        return tuple(self._turns[number] for number in sorted(self._turns))

    @property
    def shown(self) -> tuple[Turn, ...]:
        """The branch that is shown."""
        if self._shown is None:
            self._shown = tuple(self._turns[number] for number in self._path)
        return self._shown

    @property
    def leaf(self) -> int | None:
        """The number of the last turn that is shown; None when nothing is."""
        return self._path[-1] if self._path else None

    def siblings(self, number: int) -> tuple[int, ...]:
        """The turns that follow the same turn, itself included, in order of age. Raises KeyError."""
        return tuple(self._children[self._turns[number].parent])

    def choose(self, number: int) -> None:
        """Show the branch through this turn, down to where it was left last, else to its newest end. Raises KeyError"""
        path = self._way_to(number)
        at = number
        while below := self._children.get(at):
            at = self._left_at.get(at, below[-1])
            path.append(at)
        self._show(path)

    def end_at(self, number: int | None) -> None:
        """Show the branch down to this turn and no further: what is added next follows it. Raises KeyError.

        None shows nothing: what is added next begins the conversation anew.
        """
        self._show([] if number is None else self._way_to(number))

    def add(self, turn: Turn) -> Turn:
        """Put a turn behind the last one that is shown; gives it with its number."""
        placed = replace(turn, number=self._next, parent=self.leaf)
        self._keep(placed)
        self._left_at[placed.parent] = placed.number
        self._path.append(placed.number)
        self._shown = None
        return placed

    def put(self, turn: Turn) -> None:
        """Replace the turn with this number by a newer form of it; its place stays. Raises KeyError."""
        old = self._turns[turn.number]
        self._turns[turn.number] = replace(turn, parent=old.parent)
        self._shown = None

    def _keep(self, turn: Turn) -> None:
        self._turns[turn.number] = turn
        self._children.setdefault(turn.parent, []).append(turn.number)
        self._next = max(self._next, turn.number + 1)

    def _way_to(self, number: int) -> list[int]:
        path, at = [number], self._turns[number].parent
        while at is not None:
            path.append(at)
            at = self._turns[at].parent
        path.reverse()
        return path

    def _show(self, path: list[int]) -> None:
        above: int | None = None
        for number in path:
            self._left_at[above] = number
            above = number
        self._path = path
        self._shown = None


def mend(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The turns in order of age, each with a number of its own and behind one that is there.

    A turn without a number (from an older release) or with one that was given already follows the turn before it, as
    does one that names a turn which is not there or is not older than itself.
    """
    numbered = _number(turns)
    known: set[int] = set()
    before: int | None = None
    mended: list[Turn] = []
    for turn in numbered:
        parent = turn.parent
        if parent is not None and parent not in known:
            parent = before
        mended.append(turn if parent == turn.parent else replace(turn, parent=parent))
        known.add(turn.number)
        before = turn.number
    return tuple(mended)


def _number(turns: Iterable[Turn]) -> list[Turn]:
    """Each with a number of its own, in order of the numbers; one that had none names no parent that is there."""
    given = list(turns)
    own = {turn.number for turn in given if turn.number >= 0}
    free = max(own, default=-1) + 1
    taken: set[int] = set()
    found: list[Turn] = []
    last = -1
    for turn in given:
        if turn.number < 0 or turn.number in taken:
            number = last + 1
            while number in own or number in taken:
                number, free = free, free + 1
            turn = replace(turn, number=number, parent=last if last >= 0 else None)
        taken.add(turn.number)
        last = turn.number
        found.append(turn)
    found.sort(key=lambda turn: turn.number)
    return found
