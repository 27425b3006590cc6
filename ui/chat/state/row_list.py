"""The rows of a whole conversation, made once for each turn and kept while the turn stays as it is.

Rule: no Qt here; what was made for a turn is used again as long as the turn is the same object.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkdesk.core.chat.session import Turn
from ui.chat.live import LiveAnswer
from ui.chat.row import EarlierRow, Look, Row, rows_of

TURNS_SHOWN = 200
"""How many of the newest turns are laid out; the rest on demand."""


class RowList:
    """Of the newest turns; `show_earlier` and `show_from` take in more."""

    def __init__(self) -> None:
        self._cache: dict[int, tuple[Turn, bool, Look, list[Row]]] = {}
        self._shown = TURNS_SHOWN

    def forget(self) -> None:
        """Begin anew with another conversation."""
        self._cache.clear()
        self._shown = TURNS_SHOWN

    def first(self, turns: int) -> int:
        """The place of the first turn that has rows."""
        return max(0, turns - self._shown)

    def show_earlier(self) -> None:
        """Take in as many turns more."""
        self._shown += TURNS_SHOWN

    def show_from(self, index: int, turns: int) -> bool:
        """Take in the turn at this place and some before it. True when there are more rows now."""
        if index >= self.first(turns):
            return False
        self._shown = turns - max(0, index - TURNS_SHOWN // 4)
        return True

    def rows(self, turns: tuple[Turn, ...], live: LiveAnswer | None, look_of: Callable[[Turn], Look]) -> list[Row]:
        """Everything, from the top."""
        first = self.first(len(turns))
        rows: list[Row] = [EarlierRow(first)] if first else []
        for index in range(first, len(turns)):
            if live is not None and index == live.index:
                rows.extend(live.rows())
            else:
                turn = turns[index]
                rows.extend(self._rows_of(turn, index, is_last=index == len(turns) - 1, look=look_of(turn)))
        return rows

    def _rows_of(self, turn: Turn, index: int, *, is_last: bool, look: Look) -> list[Row]:
        known = self._cache.get(index)
        if known is not None and known[0] is turn and known[1] == is_last and known[2] == look:
            return known[3]
        rows = rows_of(turn, index, is_last=is_last, look=look)
        self._cache[index] = (turn, is_last, look, rows)
        return rows
