"""Reads the outlines of the bundled icons into painter paths.

Rule: it knows the few shapes and path letters that resources/icons uses, and refuses the rest aloud. It exists because
loading Qt's SVG module costs as much as painting the whole first frame; a test holds both against each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from PySide6.QtGui import QPainterPath

_ELEMENT: Final = re.compile(r"<(path|circle|rect|line)\b([^>]*?)/?>", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r'([a-z]\w*)="([^"]*)"')
_TOKEN: Final = re.compile(r"[A-Za-z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_COUNTS: Final = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "A": 7, "Z": 0}
_STEP: Final = math.pi / 2


def read_outline(source: str) -> QPainterPath:
    """Return everything an icon draws as one path in its own grid (24 x 24). Raises ValueError for what it cannot."""
    result = QPainterPath()
    for name, text in _ELEMENT.findall(source):
        words = dict(_ATTRIBUTE.findall(text))
        if name == "path":
            _Pen(result).draw(words["d"])
            continue
        sizes = {key: float(value) for key, value in words.items() if key in _SIZES}
        if name == "circle":
            radius = sizes["r"]
            result.addEllipse(sizes["cx"] - radius, sizes["cy"] - radius, 2 * radius, 2 * radius)
        elif name == "rect":
            radius = sizes.get("rx", 0.0)
            place = (sizes.get("x", 0.0), sizes.get("y", 0.0), sizes["width"], sizes["height"])
            result.addRoundedRect(*place, radius, sizes.get("ry", radius))
        else:
            result.moveTo(sizes["x1"], sizes["y1"])
            result.lineTo(sizes["x2"], sizes["y2"])
    if result.isEmpty():
        raise ValueError("an icon without any shape")
    return result


_SIZES: Final = frozenset({"cx", "cy", "r", "x", "y", "width", "height", "rx", "ry", "x1", "y1", "x2", "y2"})


def _steps(text: str) -> Iterator[tuple[str, list[float]]]:
    """Split path data into (letter, numbers), one entry a drawn piece."""
    tokens = _TOKEN.findall(_split_flags(text))
    place = 0
    letter = ""
    while place < len(tokens):
        if tokens[place].isalpha():
            letter = tokens[place]
            place += 1
        elif letter in "Mm":
            # More pairs after a move are lines.
            letter = "L" if letter == "M" else "l"
        count = _COUNTS.get(letter.upper(), -1)
        numbers = tokens[place : place + count]
        if count < 0 or len(numbers) < count:
            raise ValueError(f"path data that is not understood: {text[:40]!r}")
        yield letter, [float(number) for number in numbers]
        place += count


def _split_flags(text: str) -> str:
    """Put spaces around the two flags of arcs, which may be written without ("a2 2 0 01-2 2")."""
    return _ARC.sub(r"\1 \2 \3 ", text) if "a" in text or "A" in text else text


_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_ARC: Final = re.compile(
    rf"((?:(?<=[aA])|(?<=[aA]\s))\s*{_NUMBER}[\s,]*{_NUMBER}[\s,]+{_NUMBER}[\s,]+)([01])[\s,]*([01])[\s,]*"
)


class _Pen:
    """Follows path data: the point it stands on, where the figure began, and the last control point."""

    def __init__(self, path: QPainterPath) -> None:
        self._path = path
        self._x = self._y = 0.0
        self._start = (0.0, 0.0)
        self._control: tuple[float, float] | None = None

    def draw(self, text: str) -> None:
        """Add all pieces of one `d` attribute."""
        for letter, numbers in _steps(text):
            kind = letter.upper()
            if letter.islower():
                numbers = self._absolute(kind, numbers)
            control, self._control = self._control, None
            self._piece(kind, numbers, control)

    def _absolute(self, kind: str, numbers: list[float]) -> list[float]:
        if kind == "H":
            return [numbers[0] + self._x]
        if kind == "V":
            return [numbers[0] + self._y]
        if kind == "A":
            return [*numbers[:5], numbers[5] + self._x, numbers[6] + self._y]
        return [number + (self._y if i % 2 else self._x) for i, number in enumerate(numbers)]

    def _piece(self, kind: str, numbers: list[float], control: tuple[float, float] | None) -> None:
        if kind == "Z":
            self._path.closeSubpath()
            self._x, self._y = self._start
            return
        if kind in "HV":
            end = (numbers[0], self._y) if kind == "H" else (self._x, numbers[0])
        else:
            end = (numbers[-2], numbers[-1])
        if kind == "M":
            self._path.moveTo(*end)
            self._start = end
        elif kind in "LHV":
            self._path.lineTo(*end)
        elif kind == "C":
            self._curve(numbers[:4], end)
        elif kind == "S":
            mirrored = (2 * self._x - control[0], 2 * self._y - control[1]) if control else (self._x, self._y)
            self._curve([*mirrored, numbers[0], numbers[1]], end)
        elif kind == "Q":
            self._path.quadTo(numbers[0], numbers[1], *end)
        else:
            self._arc(numbers, end)
        self._x, self._y = end

    def _curve(self, controls: list[float], end: tuple[float, float]) -> None:
        self._path.cubicTo(*controls, *end)
        self._control = (controls[2], controls[3])

    def _arc(self, numbers: list[float], end: tuple[float, float]) -> None:
        """Draw an elliptical arc as cubic curves. Source: SVG 1.1, appendix F.6.5 (end points to centre)."""
        rx, ry, degrees, is_large, is_sweep = abs(numbers[0]), abs(numbers[1]), numbers[2], numbers[3], numbers[4]
        if not rx or not ry:
            self._path.lineTo(*end)
            return
        turn = math.radians(degrees)
        cos, sin = math.cos(turn), math.sin(turn)
        half_x, half_y = (self._x - end[0]) / 2, (self._y - end[1]) / 2
        x1, y1 = cos * half_x + sin * half_y, cos * half_y - sin * half_x
        excess = math.sqrt((x1 / rx) ** 2 + (y1 / ry) ** 2)
        if excess > 1:
            rx, ry = rx * excess, ry * excess
        part = (rx * y1) ** 2 + (ry * x1) ** 2
        root = math.sqrt(max((rx * ry) ** 2 - part, 0.0) / part) if part else 0.0
        root = -root if is_large == is_sweep else root
        cx, cy = root * rx * y1 / ry, -root * ry * x1 / rx
        first = math.atan2((y1 - cy) / ry, (x1 - cx) / rx)
        swept = math.atan2((-y1 - cy) / ry, (-x1 - cx) / rx) - first
        swept += 2 * math.pi if is_sweep and swept < 0 else -2 * math.pi if not is_sweep and swept > 0 else 0.0
        middle_x = cos * cx - sin * cy + (self._x + end[0]) / 2
        middle_y = sin * cx + cos * cy + (self._y + end[1]) / 2

        def at(x: float, y: float) -> tuple[float, float]:
            return middle_x + cos * rx * x - sin * ry * y, middle_y + sin * rx * x + cos * ry * y

        count = max(math.ceil(abs(swept) / _STEP - 1e-9), 1)
        angle = swept / count
        pull = 4 / 3 * math.tan(angle / 4)
        for i in range(count):
            a, b = first + i * angle, first + (i + 1) * angle
            low = at(math.cos(a) - pull * math.sin(a), math.sin(a) + pull * math.cos(a))
            high = at(math.cos(b) + pull * math.sin(b), math.sin(b) - pull * math.cos(b))
            stop = end if i == count - 1 else at(math.cos(b), math.sin(b))
            self._path.cubicTo(*low, *high, *stop)
