"""How a line of the list is painted, and how its title is edited in place.

Rule: titles, excerpts and tags are what people and models wrote: plain text, on lines of their own, marks by position.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QLineEdit, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from sparkdesk.core.chat.session import MAX_TITLE_CHARS
from ui import theme
from ui.chat.sessions.line import ChatLine, Head, Line, time_words
from ui.chat.sessions.marked import MarkedText, write_marked
from ui.chat.sessions.rows import LINE
from ui.font import LINE_HEIGHT
from ui.icon import draw_icon
from ui.text import one_line
from ui.theme import color
from ui.widgets.field import TextInput
from ui.widgets.paint import box, elided, pen, text_width, write

ROW_PX: Final = 47
HEAD_PX: Final = 30
TAGS_PX: Final = 20
PLACE_PX: Final = 34
"""Two lines of an excerpt."""
_SIDE: Final = 10
_DOT_PX: Final = 6
_Any = QModelIndex | QPersistentModelIndex


def height_of(line: Line) -> int:
    """Of a line, in pixels."""
    if isinstance(line, Head):
        return HEAD_PX
    return ROW_PX + (TAGS_PX if line.summary.tags else 0) + (PLACE_PX if line.place is not None else 0)


class SessionDelegate(QStyledItemDelegate):
    """Paints the lines. `shown_id` is the conversation that is open."""

    shown_id = ""
    _edited_id = ""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Any) -> QSize:
        line = index.data(LINE)
        return QSize(100, height_of(line) if isinstance(line, Head | ChatLine) else 0)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Any) -> None:
        rect, state, line = QRectF(option.rect), option.state, index.data(LINE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if isinstance(line, ChatLine):
            self._paint_back(painter, rect, state, is_shown=line.summary.id == self.shown_id)
            # Under the editor of the title nothing else is to be read.
            if line.summary.id != self._edited_id:
                _paint_chat(painter, rect.adjusted(_SIDE, 0, -_SIDE, 0), line)
        elif isinstance(line, Head):
            self._paint_back(painter, rect.adjusted(0, 5, 0, 0), state, is_shown=False)
            _paint_head(painter, rect, line)
        painter.restore()

    @staticmethod
    def _paint_back(painter: QPainter, rect: QRectF, state: QStyle.StateFlag, *, is_shown: bool) -> None:
        inner = rect.adjusted(0, 1, 0, -1)
        if is_shown:
            box(painter, inner, theme.RADIUS_CONTROL, color("raised"))
        elif state & QStyle.StateFlag.State_MouseOver:
            box(painter, inner, theme.RADIUS_CONTROL, color("surface"))
        if state & QStyle.StateFlag.State_HasFocus:
            box(painter, inner, theme.RADIUS_CONTROL, None, pen(color("accent"), 2))

    # Editing the title ----------------------------------------------------------------------------------------

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Any) -> QWidget:  # noqa: N802
        line = index.data(LINE)
        self._edited_id = line.summary.id if isinstance(line, ChatLine) else ""
        editor = TextInput(is_small=True, parent=parent)
        editor.setAccessibleName("Title of the chat")
        editor.setMaxLength(MAX_TITLE_CHARS)
        return editor

    def destroyEditor(self, editor: QWidget, index: _Any) -> None:  # noqa: N802
        self._edited_id = ""
        super().destroyEditor(editor, index)

    def setEditorData(self, editor: QWidget, index: _Any) -> None:  # noqa: N802
        if isinstance(editor, QLineEdit) and not editor.isModified():
            editor.setText(str(index.data(Qt.ItemDataRole.EditRole)))
            editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: _Any) -> None:  # noqa: N802
        if isinstance(editor, QLineEdit):
            model.setData(index, editor.text(), Qt.ItemDataRole.EditRole)

    def updateEditorGeometry(  # noqa: N802
        self, editor: QWidget, option: QStyleOptionViewItem, index: _Any
    ) -> None:
        rect = QRect(option.rect)
        editor.setGeometry(rect.left() + 4, rect.top() + 9, rect.width() - 8, 28)


def _paint_head(painter: QPainter, rect: QRectF, head: Head) -> None:
    left = rect.left() + _SIDE
    if not head.folder:
        write(painter, rect.adjusted(_SIDE, 8, -_SIDE, 0), head.words, role="label", tint="text3")
        return
    middle = rect.top() + 8 + (rect.height() - 8) / 2
    draw_icon(painter, QPointF(left - 3, middle - 7), "chevron-down" if head.is_open else "chevron-right", "text3", 14)
    draw_icon(painter, QPointF(left + 14, middle - 7), "folder", "text3", 14)
    number = f"{head.count:,}"
    room = rect.width() - 2 * _SIDE - 34 - text_width(number, "label") - 6
    words = elided(one_line(head.words, 100), "label_medium", room)
    write(painter, QRectF(left + 34, rect.top() + 8, room, rect.height() - 8), words, role="label_medium", tint="text2")
    right = rect.adjusted(_SIDE, 8, -_SIDE, 0)
    write(painter, right, number, role="label", tint="text3", align=Qt.AlignmentFlag.AlignRight)


def _paint_chat(painter: QPainter, rect: QRectF, line: ChatLine) -> None:
    summary = line.summary
    has_dot = summary.is_answering or line.is_unread
    icons = ("pin",) * summary.is_pinned + ("columns-2",) * bool(summary.comparison)
    room = rect.width() - (14 if has_dot else 0) - 16 * len(icons)
    title = one_line(summary.title, 200) or "New chat"
    write_marked(painter, QRectF(rect.left(), rect.top() + 6, room, 18), MarkedText(title, line.title_marks))
    right = rect.right()
    if has_dot:
        _paint_dot(painter, QRectF(right - _DOT_PX, rect.top() + 12, _DOT_PX, _DOT_PX), is_full=summary.is_answering)
        right -= 14
    for icon in icons:
        draw_icon(painter, QPointF(right - 12, rect.top() + 9), icon, "text3", 12)
        right -= 16
    below = _words_below(line, rect.width())
    write(painter, QRectF(rect.left(), rect.top() + 24, rect.width(), 16), below, role="label", tint="text3")
    top = rect.top() + ROW_PX - 6
    if line.place is not None:
        place = QRectF(rect.left(), top, rect.width(), 2 * LINE_HEIGHT["label"])
        said = MarkedText(one_line(line.place.text, 400), line.place.marks, "label", "text2", lines=2)
        write_marked(painter, place, said)
        top += PLACE_PX
    if summary.tags:
        _paint_tags(painter, QRectF(rect.left(), top, rect.width(), TAGS_PX), summary.tags)


def _paint_dot(painter: QPainter, rect: QRectF, *, is_full: bool) -> None:
    """Full while it writes, a ring when an answer was not looked at: the difference is not one of colour."""
    painter.setPen(Qt.PenStyle.NoPen if is_full else pen(color("accent"), 2))
    painter.setBrush(color("accent") if is_full else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(rect if is_full else rect.adjusted(1, 1, -1, -1))


def _words_below(line: ChatLine, room: float) -> str:
    """Model and time; the model is cut in the middle, the time never."""
    if line.summary.is_answering:
        return "writing"
    after = f" · {time_words(line.summary.updated_ms, datetime.now().astimezone())}"
    # How many is not known: a search takes a few places of each chat.
    after += " · more places" if len(line.excerpts) > 1 else " · new answer" if line.is_unread else ""
    model = one_line(line.summary.label.partition(" on ")[0], 100)
    shown = elided(model, "label", room - text_width(after, "label"), Qt.TextElideMode.ElideMiddle)
    return (shown + after).removeprefix(" · ")


def _paint_tags(painter: QPainter, rect: QRectF, tags: tuple[str, ...]) -> None:
    left = rect.left()
    for at, tag in enumerate(tags):
        left_over = len(tags) - at
        words = elided(one_line(tag, 80), "micro", min(110.0, rect.width() - 12))
        width = text_width(words, "micro") + 12
        reserve = text_width(f"+{left_over - 1}", "micro") + 6 if left_over > 1 else 0
        if left + width + reserve > rect.right() + 1:
            write(painter, QRectF(left + 2, rect.top(), 40, 16), f"+{left_over}", role="micro", tint="text3")
            return
        chip = QRectF(left, rect.top(), width, 16)
        box(painter, chip, theme.RADIUS_CHIP, color("raised"), pen(color("border")))
        write(painter, chip.adjusted(6, 0, 0, 0), words, role="micro", tint="text2")
        left += width + 4
