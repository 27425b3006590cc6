"""The type roles: Inter and JetBrains Mono, bundled, with tabular figures everywhere.

Rule: widgets ask for a role, never for a family or a size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from PySide6.QtGui import QFont, QFontDatabase

from ui.resource import resource_path

Role = Literal[
    "display", "page_title", "object_title", "metric", "metric_small", "body", "body_medium", "strong",
    "dense", "dense_medium", "dense_strong", "label", "label_medium", "micro", "port", "mono", "mono_strong",
    "mono_large",
]  # fmt: skip

_W = QFont.Weight
# role: (pixel size, weight, letter spacing in percent of the size)
_ROLES: Final[dict[Role, tuple[float, QFont.Weight, float]]] = {
    "display": (24, _W.DemiBold, -1.5),
    "page_title": (18, _W.DemiBold, -1.0),
    "object_title": (15, _W.DemiBold, -0.5),
    "metric": (20, _W.DemiBold, -1.0),
    "metric_small": (16, _W.DemiBold, -0.5),
    "body": (13, _W.Normal, 0),
    "body_medium": (13, _W.Medium, 0),
    "strong": (13, _W.DemiBold, 0),
    "dense": (12, _W.Normal, 0),
    "dense_medium": (12, _W.Medium, 0),
    "dense_strong": (12, _W.DemiBold, 0),
    "label": (11, _W.Normal, 0),
    "label_medium": (11, _W.Medium, 0),
    "micro": (10, _W.DemiBold, 0),
    "port": (9, _W.DemiBold, 0),
    "mono": (11.5, _W.Normal, 0),
    "mono_strong": (11.5, _W.DemiBold, 0),
    "mono_large": (15, _W.DemiBold, 0),
}
# Line heights, for own-painted text. Source: the type table of the design.
LINE_HEIGHT: Final[dict[Role, int]] = {
    "display": 32, "page_title": 24, "object_title": 20, "metric": 24, "metric_small": 22, "body": 20,
    "body_medium": 20, "strong": 20, "dense": 18, "dense_medium": 18, "dense_strong": 18, "label": 16,
    "label_medium": 16, "micro": 12, "port": 12, "mono": 18, "mono_strong": 18,
    "mono_large": 22,
}  # fmt: skip
_SANS_FILES: Final = ("Inter-Regular.otf", "Inter-Medium.otf", "Inter-SemiBold.otf")
_MONO_FILES: Final = ("JetBrainsMono-Regular.ttf", "JetBrainsMono-SemiBold.ttf")


def _load(files: tuple[str, ...], fallback: QFontDatabase.SystemFont) -> str:
    ids = [QFontDatabase.addApplicationFont(resource_path("fonts", file)) for file in files]
    families = QFontDatabase.applicationFontFamilies(ids[0]) if ids[0] >= 0 else []
    return families[0] if families else QFontDatabase.systemFont(fallback).family()


@lru_cache(maxsize=1)
def sans_family() -> str:
    """Return the family of the bundled sans, or the system's when its file is missing."""
    return _load(_SANS_FILES, QFontDatabase.SystemFont.GeneralFont)


@lru_cache(maxsize=1)
def mono_family() -> str:
    """Return the family of the bundled fixed-width font, or the system's when its file is missing."""
    return _load(_MONO_FILES, QFontDatabase.SystemFont.FixedFont)


@lru_cache(maxsize=64)
def font(role: Role) -> QFont:
    """Return the font of a role. Shared: copy it (`QFont(font(...))`) before changing it. Needs a QGuiApplication."""
    size, weight, spacing = _ROLES[role]
    is_mono = role.startswith("mono")
    result = QFont(mono_family() if is_mono else sans_family())
    if float(size).is_integer():
        result.setPixelSize(int(size))
    else:
        # Half pixels exist only in points; 96 dots an inch is what Qt assumes for both at scale 1.
        result.setPointSizeF(size * 72 / _logical_dpi())
    result.setWeight(weight)
    result.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    if spacing:
        result.setLetterSpacing(QFont.SpacingType.PercentageSpacing, 100 + spacing)
    result.setFeature(QFont.Tag("calt" if is_mono else "tnum"), 0 if is_mono else 1)
    if is_mono:
        result.setStyleHint(QFont.StyleHint.Monospace)
    return result


def _logical_dpi() -> float:
    from PySide6.QtGui import QGuiApplication

    return QGuiApplication.primaryScreen().logicalDotsPerInchY()
