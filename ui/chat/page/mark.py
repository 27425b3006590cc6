"""Marks the words that are sought in the texts of a row.

Rule: marks are laid over a text, never into it: what is copied stays as it was.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QTextCharFormat, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from ui.theme import color

_MOST_MARKS: Final = 200


def mark_words(row: QWidget, words: str) -> int:
    """Mark every place of these words in a row, small letters like large ones; "" takes the marks away."""
    number = 0
    for text in row.findChildren(QTextEdit):
        places = _places(text.document(), words)
        text.setExtraSelections(places)
        number += len(places)
    for code in row.findChildren(QPlainTextEdit):
        places = _places(code.document(), words)
        code.setExtraSelections(places)
        number += len(places)
    return number


def _places(document: QTextDocument, words: str) -> list[QTextEdit.ExtraSelection]:
    found: list[QTextEdit.ExtraSelection] = []
    if not words.strip():
        return found
    look = QTextCharFormat()
    look.setBackground(color("accent"))
    look.setForeground(color("accentfg"))
    cursor = document.find(words)
    while not cursor.isNull() and len(found) < _MOST_MARKS:
        place = QTextEdit.ExtraSelection()
        place.cursor = cursor
        place.format = look
        found.append(place)
        cursor = document.find(words, cursor)
    return found
