"""Looks through a page for labels that could read markup out of a node's or a model's words.

The one rule: every text on a page is plain, unless the widget itself is known to bound it.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget


def guessing_labels(page: QWidget) -> list[str]:
    """Labels that would guess whether their text is markup, as ``class: text``."""
    return [
        f"{type(label).__name__}: {label.text()!r}"
        for label in [page, *page.findChildren(QWidget)]
        if isinstance(label, QLabel) and label.textFormat() != Qt.TextFormat.PlainText
    ]
