from __future__ import annotations

from typing import get_args

import pytest
from PySide6.QtGui import QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QApplication

from ui.font import LINE_HEIGHT, Role, font

ROLES: tuple[Role, ...] = get_args(Role)


@pytest.mark.parametrize("role", ROLES)
def test_figures_are_equally_wide_in_every_role(dressed: QApplication, role: Role) -> None:
    metrics = QFontMetricsF(font(role))
    assert metrics.horizontalAdvance("1111") == pytest.approx(metrics.horizontalAdvance("0000"))
    assert metrics.height() <= LINE_HEIGHT[role] + 2


@pytest.mark.parametrize(("role", "family"), [("body", "Inter"), ("strong", "Inter"), ("mono", "JetBrains Mono")])
def test_the_bundled_fonts_are_the_ones_in_use(dressed: QApplication, role: Role, family: str) -> None:
    assert QFontInfo(font(role)).family() == family


def test_a_weight_is_a_face_of_its_own(dressed: QApplication) -> None:
    widths = [QFontMetricsF(font(role)).horizontalAdvance("Deployments") for role in ("body", "body_medium", "strong")]
    assert widths == sorted(set(widths))
