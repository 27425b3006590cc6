"""A field with a part beside its editor: a button that belongs to it.

Rule: the part stands level with the editor, whatever error line comes up below.
"""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.font import LINE_HEIGHT
from ui.widgets.field import Field

_LABEL_GAP = 4


def field_row(field: Field, part: QWidget, *, spacing: int = 8) -> QHBoxLayout:
    """Return a row with the field, which takes the room, and the part at its right."""
    below_label = QVBoxLayout()
    below_label.setContentsMargins(0, LINE_HEIGHT["micro"] + 2 + _LABEL_GAP, 0, 0)
    below_label.addWidget(part)
    below_label.addStretch(1)
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(spacing)
    row.addWidget(field, 1)
    row.addLayout(below_label)
    return row
