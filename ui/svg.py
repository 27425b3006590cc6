"""Reads the outlines of the bundled icons into painter paths.

Rule: it knows the few shapes and path letters that resources/icons uses, and refuses the rest aloud. It exists because
loading Qt's SVG module costs as much as painting the whole first frame; a test holds both against each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from PySide6.QtGui import QPainterPath

_SHAPES: Final = frozenset({"path", "circle", "rect", "line"})
_SIZES: Final = frozenset({"cx", "cy", "r", "x", "y", "width", "height", "rx", "ry", "x1", "y1", "x2", "y2"})
_COUNTS: Final = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "A": 7, "Z": 0}
_STEP: Final = math.pi / 2


def read_outline(source: str) -> QPainterPath:
    """Return everything an icon draws as one path in its own grid (24 x 24). Raises ValueError for what it cannot."""
    result = QPainterPath()
    for name, words in _elements(source):
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


def _elements(source: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give each shape with its attributes. By hand: compiling patterns would cost more than reading every icon."""
    for piece in source.split("<")[1:]:
        name, _, rest = piece.partition(" ")
        if name.strip() in _SHAPES:
            parts = rest.split('"')
            yield (
                name.strip(),
                {key.strip(" =\n/>"): value for key, value in zip(parts[::2], parts[1::2], strict=False)},
            )


class _Scanner:
    """Reads the letters and numbers of path data, which need nothing between them where none is doubtful."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " ,\n\t":
            self._at += 1

    def letter(self) -> str:
        """Take the letter that comes next; "" when a number or the end does."""
        self._skip()
        found = self._text[self._at : self._at + 1]
        if not found.isalpha():
            return ""
        self._at += 1
        return found

    def is_done(self) -> bool:
        """Say whether nothing is left."""
        self._skip()
        return self._at >= len(self._text)

    def flag(self) -> float:
        """Take a 0 or 1, which may stand right before the next number."""
        self._skip()
        self._at += 1
        return float(self._text[self._at - 1])

    def number(self) -> float:
        """Take one number. Raises ValueError when none comes."""
        self._skip()
        start = self._at
        has_dot = False
        while self._at < len(self._text):
            char = self._text[self._at]
            is_sign = char in "+-" and self._at == start
            is_first_dot = char == "." and not has_dot
            if not (char.isdigit() or is_sign or is_first_dot):
                break
            has_dot = has_dot or is_first_dot
            self._at += 1
        return float(self._text[start : self._at])


def _steps(text: str) -> Iterator[tuple[str, list[float]]]:
    """Split path data into (letter, numbers), one entry a drawn piece."""
    scanner = _Scanner(text)
    letter = ""
    while not scanner.is_done():
        found = scanner.letter()
        # More pairs after a move are lines.
        letter = found or {"M": "L", "m": "l"}.get(letter, letter)
        count = _COUNTS.get(letter.upper(), -1)
        if count < 0 or (not found and not count):
            raise ValueError(f"path data that is not understood: {text[:40]!r}")
        is_arc = letter in "Aa"
        yield letter, [scanner.flag() if is_arc and i in (3, 4) else scanner.number() for i in range(count)]


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
            self._curve((numbers[0], numbers[1]), (numbers[2], numbers[3]), end)
        elif kind == "S":
            mirrored = (2 * self._x - control[0], 2 * self._y - control[1]) if control else (self._x, self._y)
            self._curve(mirrored, (numbers[0], numbers[1]), end)
        elif kind == "Q":
            self._path.quadTo(numbers[0], numbers[1], *end)
        else:
            self._arc(numbers, end)
        self._x, self._y = end

    def _curve(self, first: tuple[float, float], last: tuple[float, float], end: tuple[float, float]) -> None:
        self._path.cubicTo(*first, *last, *end)
        self._control = last

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
