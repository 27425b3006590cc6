from __future__ import annotations

from typing import get_args

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from tests.ui.contrast import contrast, named_pairs
from ui import style, theme


@pytest.mark.parametrize("place", [0, 1], ids=["dark", "light"])
def test_every_pair_that_the_design_names_has_enough_contrast(place: int) -> None:
    low = [
        f"{token} on {ground}: {contrast(theme.COLORS[token][place], theme.COLORS[ground][place]):.2f} of {least}"
        for token, ground, least in named_pairs()
        if contrast(theme.COLORS[token][place], theme.COLORS[ground][place]) < least
    ]
    assert low == []


def test_the_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


def test_every_token_has_a_colour_in_both_themes() -> None:
    assert set(theme.COLORS) == set(get_args(theme.Token))
    assert all(len(pair) == 2 for pair in theme.COLORS.values())


def test_changing_the_theme_tells_everybody_once(dressed: QApplication) -> None:
    told: list[str] = []
    connection = theme.notifier.changed.connect(lambda: told.append(theme.hex_of("window")))
    theme.set_theme("light")
    theme.set_theme("light")
    theme.notifier.changed.disconnect(connection)
    assert told == [theme.COLORS["window"][1]]


def test_the_system_is_not_followed_where_it_says_nothing(dressed: QApplication) -> None:
    theme.set_theme("light")
    theme.set_theme("system")
    # The offscreen platform knows no scheme; unknown is dark, not whatever was worn before.
    assert QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Unknown
    assert (theme.name(), theme.choice()) == ("dark", "system")


def test_a_stored_choice_that_is_none_is_the_systems(dressed: QApplication) -> None:
    assert [theme.read_choice(value) for value in ("dark", "pink", 7, None)] == ["dark", "system", "system", "system"]


def test_the_palette_and_the_style_sheet_follow_the_theme(dressed: QApplication) -> None:
    dark_sheet = dressed.styleSheet()
    theme.set_theme("light")
    assert dressed.palette().color(QPalette.ColorRole.Base).name().upper() == theme.COLORS["sunken"][1]
    assert dressed.styleSheet() != dark_sheet


def test_every_role_of_the_palette_is_set(dressed: QApplication) -> None:
    palette = style.palette()
    roles = [role for role in QPalette.ColorRole if role.name not in ("NRoles", "NoRole", "NColorRoles")]
    unset = [role.name for role in roles if not palette.isBrushSet(QPalette.ColorGroup.Active, role)]
    assert unset == []


def test_a_blend_lies_between_its_colours(dressed: QApplication) -> None:
    assert theme.blend("text", "window", 1.0).name().upper() == theme.hex_of("text")
    assert theme.blend("text", "window", 0.0).name().upper() == theme.hex_of("window")
    middle = theme.blend("text", "window", 0.5).name()
    assert contrast(theme.hex_of("window"), middle) < contrast(theme.hex_of("window"), theme.hex_of("text"))


def test_reduced_motion_takes_all_time_out_of_moving(dressed: QApplication) -> None:
    theme.set_motion(is_reduced=False)
    assert theme.move_ms() == theme.MOVE_MS
    theme.set_motion(is_reduced=True)
    assert theme.move_ms() == 0
