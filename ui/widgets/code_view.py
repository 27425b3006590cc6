"""Commands and files to read before they run: mono, read-only, one tab a node.

Rule: what is shown is exactly what runs; nothing is folded away; long lines scroll, or wrap where asked.
"""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication, QSyntaxHighlighter, QTextCharFormat, QTextCursor, QTextDocument, QTextOption
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QTabBar, QVBoxLayout, QWidget

from ui import theme
from ui.font import font
from ui.theme import Token, color
from ui.widgets.button import IconButton
from ui.widgets.label import Label

_RULES: Final[tuple[tuple[re.Pattern[str], Token], ...]] = (
    (re.compile(r"(?<!\S)--?[A-Za-z][\w-]*"), "accenttext"),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "syntax_type"),
    (re.compile(r"(?:^|\s)#.*$"), "text3"),
)
_LONGEST_COLORED: Final = 4000


class CommandColors(QSyntaxHighlighter):
    """Colours flags, quoted words and comments of a shell command."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        theme.notifier.changed.connect(self.rehighlight)

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        if len(text) > _LONGEST_COLORED:
            return
        for pattern, token in _RULES:
            look = QTextCharFormat()
            look.setForeground(color(token))
            for match in pattern.finditer(text):
                self.setFormat(match.start(), match.end() - match.start(), look)


class CodeView(QWidget):
    """Tabs above, text below, one copy button. `tab_changed` carries the key of the tab.

    With `shows_end` a text that has changed is shown from its last line: for logs.
    """

    tab_changed = Signal(str)

    def __init__(
        self,
        what: str,
        *,
        title: str = "",
        wrap: QTextOption.WrapMode = QTextOption.WrapMode.NoWrap,
        shows_end: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._pages: list[tuple[str, str]] = []
        self._what = what
        self._shows_end = shows_end
        self._tabs = QTabBar()
        self._text = QPlainTextEdit()
        self._copy = IconButton("copy", f"Copy {what}")
        self._text.setReadOnly(True)
        self._text.setFont(font("mono"))
        self._text.setProperty("tone", "well")
        self._text.setWordWrapMode(wrap)
        self._text.setAccessibleName(what)
        self._colors = CommandColors(self._text.document())
        self._tabs.setFont(font("dense_medium"))
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        self._tabs.setAccessibleName(f"{what}, by node")
        head = QHBoxLayout()
        head.setSpacing(14)
        if title:
            head.addWidget(Label(title, "dense_strong", "text"))
        head.addWidget(self._tabs, 1)
        head.addWidget(self._copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._text, 1)
        self._tabs.currentChanged.connect(self._show_tab)
        self._copy.clicked.connect(self.copy_text)

    def set_pages(self, pages: list[tuple[str, str, str]]) -> None:
        """Show (key, tab title, text) pages; the tab chosen before stays chosen when its key is still there."""
        chosen = self.key()
        same_tabs = [page[0] for page in pages] == [key for key, _ in self._pages]
        self._pages = [(key, text) for key, _, text in pages]
        if not same_tabs:
            self._tabs.blockSignals(True)
            while self._tabs.count():
                self._tabs.removeTab(0)
            for _, title, _ in pages:
                # Node names are not ours: an ampersand in one is no shortcut.
                self._tabs.addTab(title.replace("&", "&&"))
            keys = [key for key, _ in self._pages]
            self._tabs.setCurrentIndex(keys.index(chosen) if chosen in keys else 0)
            self._tabs.blockSignals(False)
        self._show_tab(self._tabs.currentIndex())

    def key(self) -> str:
        """Return the key of the tab shown, "" when there is none."""
        index = self._tabs.currentIndex()
        return self._pages[index][0] if 0 <= index < len(self._pages) else ""

    def text(self) -> str:
        """Return the text shown."""
        return self._text.toPlainText()

    def copy_text(self) -> None:
        """Put the text of the tab shown on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def _show_tab(self, index: int) -> None:
        text = self._pages[index][1] if 0 <= index < len(self._pages) else ""
        if text != self._text.toPlainText():
            self._text.setPlainText(text)
            if self._shows_end:
                self._text.moveCursor(QTextCursor.MoveOperation.End)
        self.tab_changed.emit(self.key())
