"""The order of Tab on the launch page: what is made later comes where it stands, and not after all that was there.

The one rule: a field's editor comes before the small buttons that stand over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLayout, QScrollArea, QWidget

from ui.widgets.field import Field


def place_after(before: QWidget, holder: QWidget) -> None:
    """Have Tab go from `before` through all that is laid out in `holder`, as it is read, and then on as it did."""
    for first, second in pairwise((before, *_stops(holder))):
        QWidget.setTabOrder(first, second)


def _stops(widget: QWidget) -> Iterator[QWidget]:
    proxy = widget.focusProxy()
    if proxy is not None and widget.isAncestorOf(proxy):
        yield widget  # an editor of several parts moves as a whole, in its own order
        return
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
    inner = widget.widget() if isinstance(widget, QScrollArea) else None
    if inner is not None:
        yield from _stops(inner)
    layout = widget.layout()
    if layout is None:
        return
    parts = list(_laid_out(layout))
    if isinstance(widget, Field):
        parts.sort(key=lambda part: part is not widget.editor)
    for part in parts:
        yield from _stops(part)


def _laid_out(layout: QLayout) -> Iterator[QWidget]:
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item is None:
            continue
        inner, part = item.layout(), item.widget()
        if inner is not None:
            yield from _laid_out(inner)
        elif part is not None:
            yield part
