"""Pictures for the documentation: drawn into build/shots/docs-*.png, and held against those that are committed.

The one rule: what is committed must look like what is drawn today; fonts and hours may move a little, a page may not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from tests.ui.picture import SHOTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
CELLS = (48, 30)
FELT = 12.0
"""Of 255: a cell that is so much lighter or darker shows something else."""
REST_MS, REST_LOOKS = 300, 12
STRAY = 0.06
"""Part of the cells that may."""


def keep(widget: QWidget, name: str) -> Path:
    """Draw a widget as the picture `name` of the documentation ("serving/slow"); gives where it lies now."""
    path = SHOTS / f"docs-{name.replace('/', '-')}.png"
    SHOTS.mkdir(parents=True, exist_ok=True)
    rest(widget)
    assert widget.grab().save(str(path), "PNG")  # type: ignore[call-overload]
    return path


def rest(widget: QWidget) -> None:
    """Until nothing moves any more."""
    before = QImage()
    for _ in range(REST_LOOKS):
        QTest.qWait(REST_MS)
        now = widget.grab().toImage()
        if now == before:
            return
        before = now


def stray(drawn: Path, name: str) -> float:
    """Which part of the committed picture does not look like the drawn one: 0.0 is none, 1.0 also another size."""
    new, old = QImage(str(drawn)), QImage(str(DOCS / f"{name}.png"))
    if old.isNull() or new.size() != old.size():
        return 1.0
    return float(np.mean(np.abs(_cells(new) - _cells(old)) > FELT))


def _cells(image: QImage) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    small = image.convertToFormat(QImage.Format.Format_Grayscale8).scaled(
        *CELLS, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
    rows = np.frombuffer(small.constBits(), np.uint8).reshape(small.height(), small.bytesPerLine())
    return rows[:, : small.width()].astype(np.float64)
