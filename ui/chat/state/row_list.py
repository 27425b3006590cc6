"""The rows of a part of a conversation, made once for each turn and kept while the turn stays as it is.

Rule: however long a conversation is, only a bounded part of it has rows; the rest is a line with how many there are.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkdesk.core.chat.session import Turn
from ui.chat.live import LiveAnswer
from ui.chat.row import EarlierRow, LaterRow, Look, Row, answerer_rows, caution_rows, rows_of

TURNS_SHOWN = 80
"""How many of the newest turns have rows at first."""
STEP = 200
"""How many more, each time that is asked for."""
MOST_SHOWN = 1000
"""What goes beyond falls off at the other end."""


class RowList:
    """A run of turns: at first the newest, which new ones join; `show_around` goes to any other."""

    def __init__(self) -> None:
        self._cache: dict[int, tuple[Turn, bool, Look, list[Row]]] = {}
        self._first = -1
        """-1: as many as are shown at first, before the end."""
        self._end: int | None = None
        """None is the newest turn, whatever comes."""

    def show_newest(self) -> bool:
        """Go back to the newest turns. True when others were shown."""
        if self._end is None:
            return False
        self._first, self._end = -1, None
        return True

    def forget(self) -> None:
        """Begin anew with another conversation."""
        self._cache.clear()
        self._first, self._end = -1, None

    @property
    def is_at_newest(self) -> bool:
        """Whether the newest turn is among those with rows."""
        return self._end is None

    def span(self, turns: int) -> tuple[int, int]:
        """The place of the first turn that has rows, and of the one after the last."""
        end = turns if self._end is None else min(self._end, turns)
        first = end - TURNS_SHOWN if self._first < 0 else self._first
        return max(0, min(first, end)), end

    def show_earlier(self, turns: int) -> None:
        """Take in turns above; what is too much below goes."""
        first, end = self.span(turns)
        self._first = max(0, first - STEP)
        if end - self._first > MOST_SHOWN:
            self._end = self._first + MOST_SHOWN

    def show_later(self, turns: int) -> None:
        """Take in turns below; what is too much above goes."""
        first, end = self.span(turns)
        end += STEP
        self._end = None if end >= turns else end
        self._first = max(first, min(end, turns) - MOST_SHOWN)

    def show_around(self, index: int, turns: int) -> bool:
        """See that the turn at this place has rows. True when other turns have rows now."""
        first, end = self.span(turns)
        if first <= index < end:
            return False
        self._first = max(0, index - STEP // 4)
        last = index + STEP // 4
        self._end = None if last >= turns else last
        return True

    def rows(self, turns: tuple[Turn, ...], live: LiveAnswer | None, look_of: Callable[[Turn], Look]) -> list[Row]:
        """Everything that has rows, from the top."""
        first, end = self.span(len(turns))
        rows: list[Row] = [EarlierRow(first)] if first else []
        answerer = ""
        for index in range(first, end):
            rows.extend(answerer_rows(turns[index], index, answerer))
            if turns[index].message.parts:
                answerer = turns[index].label or answerer
            rows.extend(caution_rows(turns[index], index))
            if live is not None and index == live.index:
                rows.extend(live.rows())
            else:
                turn = turns[index]
                rows.extend(self._rows_of(turn, index, is_last=index == len(turns) - 1, look=look_of(turn)))
        if end < len(turns):
            rows.append(LaterRow(len(turns) - end))
        for index in [known for known in self._cache if not first <= known < end]:
            del self._cache[index]
        return rows

    def _rows_of(self, turn: Turn, index: int, *, is_last: bool, look: Look) -> list[Row]:
        known = self._cache.get(index)
        if known is not None and known[0] is turn and known[1] == is_last and known[2] == look:
            return known[3]
        rows = rows_of(turn, index, is_last=is_last, look=look)
        self._cache[index] = (turn, is_last, look, rows)
        return rows
