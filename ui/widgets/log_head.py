"""The head of a log: which lines are shown, how many, and what can be done with all of them.

Rule: a pattern that cannot be read changes nothing; the field says what is wrong with it.
"""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.text import count
from ui.widgets.button import Button, IconButton
from ui.widgets.field import Select, TextInput
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.log_filter import LogFilter
from ui.widgets.log_pattern import MOST_OPEN, REACH_CHARS, SlowPattern, reach_chars, read_pattern
from ui.widgets.segmented import Segmented

_NARROW_PX: Final = 760
MAX_RANKS: Final = 8
LEVELS: Final = [
    ("DEBUG", "All levels"),
    ("INFO", "INFO and up"),
    ("WARN", "WARN and up"),
    ("ERROR", "Errors only"),
]


class LogHead(QWidget):
    """Title, ranks, tries, filter, level; following, count, tools. What is not set up is not shown."""

    filter_changed = Signal(object)
    """Carries the LogFilter."""
    follow_asked = Signal()
    search_asked = Signal()
    save_asked = Signal()
    size_asked = Signal()

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ranks: tuple[str, ...] = ()
        self._attempts = 1
        self._polls = 0
        self.hides_polling = True
        self.title = Label(title, "dense_strong", "text")
        self.ranks = Segmented([("", "All ranks")], what="Ranks shown")
        self.attempts = Select(is_small=True)
        self.words = TextInput(placeholder="Filter, regex allowed", is_small=True, icon_name="filter")
        self.level = Select(is_small=True)
        self.follow = Button("Following", icon="arrow-down", is_small=True)
        self.polling = Button("", kind="text", is_small=True)
        self.counted = Label("", "label", "text3")
        self.search = IconButton("search", "Search the whole log on the node", size=28)
        self.save = IconButton("download", "Save the log as a file", size=28)
        self.size_button = IconButton("maximize-2", "Give the log the whole height", size=28)
        self.problem = Label("", "label", "crit", is_wrapped=True)
        self.reach = Label("", "label", "text3", is_wrapped=True)
        self.row = QHBoxLayout()
        self._build()
        self._wire()

    def _build(self) -> None:
        self.words.setAccessibleName("Filter the log")
        self.words.setMinimumWidth(110)
        self.words.setMaximumWidth(220)
        self.level.setAccessibleName("Least level shown")
        self.level.setFixedWidth(122)
        self.level.set_options(LEVELS)
        self.attempts.setAccessibleName("Try shown")
        self.attempts.setFixedWidth(96)
        self.row.setSpacing(8)
        for part in (self.title, self.ranks, self.attempts, self.words, self.level):
            self.row.addWidget(part, 1 if part is self.words else 0)
        self.row.addStretch(1)
        self.row.addWidget(self.polling)
        self.row.addWidget(self.follow)
        self.row.addWidget(self.counted)
        for tool in (self.search, self.save, self.size_button):
            self.row.addWidget(tool)
            tool.setVisible(False)
        self.ranks.setVisible(False)
        self.polling.setVisible(False)
        self.polling.setToolTip("Answered requests to /metrics and /health: how SparkDesk and others watch it")
        self.attempts.setVisible(False)
        self.problem.setVisible(False)
        self.reach.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 7, 10, 7)
        column.setSpacing(4)
        column.addLayout(self.row)
        column.addWidget(self.problem)
        column.addWidget(self.reach)

    def _wire(self) -> None:
        self.words.textChanged.connect(self._tell)
        self.level.currentIndexChanged.connect(self._tell)
        self.attempts.currentIndexChanged.connect(self._tell)
        self.ranks.changed.connect(lambda _key: self._tell())
        self.polling.clicked.connect(self._turn_polling)
        self.follow.clicked.connect(self.follow_asked)
        self.search.clicked.connect(self.search_asked)
        self.save.clicked.connect(self.save_asked)
        self.size_button.clicked.connect(self.size_asked)
        self.words.returnPressed.connect(self.search_asked)

    def set_ranks(self, ranks: tuple[str, ...]) -> None:
        """Offer these ranks (the sources of their lines, "r0 spark-5c2d"); fewer than two are no choice."""
        if ranks == self._ranks:
            return
        self._ranks = ranks
        options: list[tuple[str, ...]] = [
            ("", "All ranks"),
            *((name.split(" ")[0], name) for name in ranks[:MAX_RANKS]),
        ]
        self.ranks.set_options(options, chosen="")
        self.ranks.setVisible(len(ranks) > 1)

    def set_attempts(self, attempts: int) -> None:
        """Offer the tries of the engine; one is no choice."""
        if attempts == self._attempts:
            return
        self._attempts = attempts
        options = [("0", "All tries"), *((str(number), f"Try {number}") for number in range(attempts, 0, -1))]
        self.attempts.set_options(options[:51])
        self.attempts.setVisible(attempts > 1)

    def wanted(self) -> LogFilter | None:
        """Return what is to be shown; None while the pattern cannot be read."""
        try:
            needle, pattern = read_pattern(self.words.text().strip())
        except re.error as error:
            self._say_problem(f"Not a pattern: {error.msg}{f' at {error.pos + 1}' if error.pos is not None else ''}")
            return None
        except SlowPattern as error:
            self._say_problem(f"Not searched: {error}")
            return None
        self._say_problem("")
        self._say_reach(pattern)
        sources = frozenset({self.ranks.key()}) if self.ranks.key() else frozenset[str]()
        level, attempt = self.level.key() or "DEBUG", int(self.attempts.key() or 0)
        return LogFilter(needle, sources, level, pattern, attempt, hides_polling=self.hides_polling)

    def say_too_slow(self) -> None:
        """Say that the pattern took too long on these lines and was left out."""
        self._say_problem("Not searched: the pattern takes too long on these lines")

    def _turn_polling(self) -> None:
        self.hides_polling = not self.hides_polling
        self._name_polling()
        self._tell()

    def show_polls(self, polls: int) -> None:
        """Show how many lines of polling there are; without any there is no button."""
        if polls == self._polls:
            return
        self._polls = polls
        self.polling.setVisible(polls > 0)
        self._name_polling()

    def _name_polling(self) -> None:
        is_narrow = self.width() < _NARROW_PX
        words = ("Polls" if is_narrow else "Polling") + (" hidden" if self.hides_polling else " shown")
        said = f"{words} ({count(self._polls)})"
        if said != self.polling.text():
            self.polling.setText(said)
            self.polling.updateGeometry()

    def _say_problem(self, words: str) -> None:
        self.words.set_error(bool(words))
        self.words.setAccessibleDescription(words)
        self.words.setToolTip(plain_tooltip(words) if words else "")
        self.problem.setText(words)
        self.reach.setVisible(False)
        self.problem.setVisible(bool(words))

    def _say_reach(self, pattern: re.Pattern[str] | None) -> None:
        """Say of a pattern that is held against the beginning of a line only, that it is."""
        reach = reach_chars(pattern) if pattern is not None else REACH_CHARS[0]
        is_short = reach <= REACH_CHARS[MOST_OPEN]
        words = f"With two of * and + only the first {count(reach)} characters of each line are searched"
        self.reach.setText(words if is_short else "")
        self.reach.setVisible(is_short)
        if is_short:
            self.words.setAccessibleDescription(words)
            self.words.setToolTip(plain_tooltip(words))

    def _tell(self) -> None:
        found = self.wanted()
        if found is not None:
            self.filter_changed.emit(found)

    def show_state(
        self, *, is_following: bool, missed: int, shown: int, total: int, is_filtering: bool = False
    ) -> None:
        """Show whether it follows, what came meanwhile, and how many lines there are.

        While it is filtering the count would be that of the filter before.
        """
        if is_following:
            words = "Following"
        else:
            words = f"{count(missed)} new, jump to end" if missed else "Paused, jump to end"
        if words != self.follow.text():
            self.follow.setText(words)
            self.follow.updateGeometry()
        lines = count(total) if shown == total else f"{count(shown)} of {count(total)}"
        said = "Filtering…" if is_filtering else f"{lines} {'line' if lines == '1' else 'lines'}"
        if said != self.counted.text():
            self.counted.setText(said)
            self.row.activate()  # at once: a count that grew by a digit is not cut until the next turn

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_narrow = self.width() < _NARROW_PX
        self._name_polling()
        for name in self._ranks[:MAX_RANKS]:
            key = name.split(" ")[0]
            self.ranks.set_text(key, key if is_narrow else name)

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.words.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.words.selectAll()
