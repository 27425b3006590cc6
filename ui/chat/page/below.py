"""What stands under a transcript: as wide as the text above it, and in the middle like it.

Rule: one place knows that width, for the chat and for a comparison.
"""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.chat.column import MAX_TEXT_PX, SIDE_PX


def below(*parts: QWidget) -> QHBoxLayout:
    """The parts, one under the other."""
    written = QWidget()
    written.setMaximumWidth(MAX_TEXT_PX)
    inner = QVBoxLayout(written)
    inner.setContentsMargins(0, 0, 0, 0)
    inner.setSpacing(8)
    for part in parts:
        inner.addWidget(part)
    line = QHBoxLayout()
    line.setContentsMargins(SIDE_PX, 0, SIDE_PX, theme.GAP)
    line.addStretch(1)
    line.addWidget(written, 1000)
    line.addStretch(1)
    return line
