"""Small parts of the map that look alike many times, painted stroke by stroke once and then copied.

The one rule: a stamp stands for what is painted from equal values; anything that goes into a part belongs to its key.
Where pixels do not lie on whole points nothing is kept: a copy would be blurred.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPixmap

from ui import theme

LIMIT = 256
"""More parts than a large window shows; the oldest make room."""
_EDGE = 2
"""A selected card's edge reaches out of its box."""
_stamps: OrderedDict[tuple[object, ...], QPixmap] = OrderedDict()


def draw_stamp(
    painter: QPainter, rect: QRectF, key: tuple[object, ...], paint: Callable[[QPainter, QRectF], None]
) -> None:
    """Paint the part into `rect`, from its stamp where there is one."""
    ratio = painter.device().devicePixelRatio()
    if not can_keep(ratio):
        paint(painter, rect)
        return
    area = area_of(rect)
    place = rect.translated(-area.left(), -area.top())
    whole = (key, place.getRect(), ratio, theme.name())
    stamp = _stamps.get(whole)
    if stamp is None:
        stamp = _stamps[whole] = make_stamp(area.size(), ratio, place, paint)
        if len(_stamps) > LIMIT:
            _stamps.popitem(last=False)
    else:
        _stamps.move_to_end(whole)
    painter.drawPixmap(area.topLeft(), stamp)


def can_keep(ratio: float) -> bool:
    """Whether pixels lie on whole points."""
    return float(ratio).is_integer()


def area_of(rect: QRectF) -> QRect:
    """The whole points that a part in this box may touch."""
    return rect.toAlignedRect().adjusted(-_EDGE, -_EDGE, _EDGE, _EDGE)


def make_stamp(
    size: QSize, ratio: float, place: QRectF, paint: Callable[[QPainter, QRectF], None], old: QPixmap | None = None
) -> QPixmap:
    """A picture of the part, painted into `place` of it: onto `old` where that fits.

    The first painting on each new pixmap costs PySide 6.11 six references to None for ever.
    """
    whole = size * ratio
    stamp = old if old is not None and old.size() == whole else QPixmap(whole)
    stamp.setDevicePixelRatio(ratio)
    stamp.fill(Qt.GlobalColor.transparent)
    strokes = QPainter(stamp)
    strokes.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint(strokes, place)
    strokes.end()
    return stamp
