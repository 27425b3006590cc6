"""The one table of colours and sizes, and which of its two halves is worn now.

Rule: no hex colour anywhere else; QSS, QPalette and QPainter all read this table (a test greps for strays).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication

ThemeName = Literal["dark", "light"]
ThemeChoice = Literal["system", "dark", "light"]
Token = Literal[
    "window", "sidebar", "surface", "raised", "sunken", "node", "border", "control", "grid",
    "text", "text2", "text3", "accent", "accentfg", "accenttext", "accentsoft",
    "ok", "oksoft", "warn", "warnsoft", "crit", "critsoft", "syntax_keyword", "syntax_type",
    "s1", "s2", "s3", "s4", "s5",
    "ledger_weights", "ledger_weights_text", "ledger_kv", "ledger_kv_text",
    "ledger_other", "ledger_other_text", "ledger_cache", "ledger_free",
]  # fmt: skip

# token: (dark, light). What each is for: `window` page, `surface` card, `raised` button/chip/hover, `sunken` field/log/
# chart well, `border` decoration only, `control` field boundary (>= 3:1), `text`/`text2`/`text3` value/body/label.
COLORS: Final[dict[Token, tuple[str, str]]] = {
    "window": ("#0E1114", "#F3F5F7"),
    "sidebar": ("#12161A", "#EAEDF0"),
    "surface": ("#171C21", "#FFFFFF"),
    "raised": ("#1F262D", "#F0F3F5"),
    "sunken": ("#0B0E11", "#F7F9FA"),
    "node": ("#1B2127", "#FFFFFF"),
    "border": ("#2A323A", "#D9DFE4"),
    "control": ("#66727F", "#7C8895"),
    "grid": ("#252D34", "#E6EAEE"),
    "text": ("#E8ECF1", "#171C21"),
    "text2": ("#B0BAC5", "#45505B"),
    "text3": ("#8F9AA7", "#5C6772"),
    "accent": ("#4CC3DD", "#0A7089"),
    "accentfg": ("#06252D", "#FFFFFF"),
    "accenttext": ("#6FD2E8", "#0A6279"),
    "accentsoft": ("#123640", "#D5EEF4"),
    "ok": ("#62CB8F", "#167444"),
    "oksoft": ("#14301F", "#DDF3E6"),
    "warn": ("#EBB54F", "#865600"),
    "warnsoft": ("#3A2C0F", "#FBECCB"),
    "crit": ("#F5857B", "#B3261E"),
    "critsoft": ("#43201D", "#FBE1DE"),
    "syntax_keyword": ("#C7A0F5", "#6B2FB3"),
    "syntax_type": ("#E8A765", "#8A4B00"),
    "s1": ("#4CC3DD", "#0A7089"),
    "s2": ("#E58A3C", "#E16B30"),
    "s3": ("#F0E4C2", "#2A21B8"),
    "s4": ("#9A63DE", "#AB71ED"),
    "s5": ("#2E8361", "#802424"),
    "ledger_weights": ("#3E6CC8", "#2F5FB8"),
    "ledger_weights_text": ("#FFFFFF", "#FFFFFF"),
    "ledger_kv": ("#6FD6EC", "#1C9AB6"),
    "ledger_kv_text": ("#06252D", "#04222B"),
    "ledger_other": ("#D8A878", "#BF8240"),
    "ledger_other_text": ("#2A1704", "#1F1200"),
    "ledger_cache": ("#5A6672", "#A9B4BE"),
    "ledger_free": ("#222A31", "#E6EBEF"),
}
SERIES: Final[tuple[Token, ...]] = ("s1", "s2", "s3", "s4", "s5")
# Dash of each series in units of its pen width; () is solid. Colour is never the only difference.
SERIES_DASH: Final[tuple[tuple[float, ...], ...]] = ((), (6, 3), (2, 3), (10, 3, 2, 3), (1, 3))

# Sizes in device-independent pixels.
RADIUS_BAR: Final = 3
RADIUS_CHIP: Final = 4
RADIUS_CONTROL: Final = 6
RADIUS_CARD: Final = 8
CONTROL_HEIGHT: Final = 32
CONTROL_HEIGHT_SMALL: Final = 26
CHIP_HEIGHT: Final = 20
NAV_HEIGHT: Final = 36
TOP_HEIGHT: Final = 48
SIDE_WIDTH: Final = 208
SIDE_WIDTH_FOLDED: Final = 56
LOG_ROW_HEIGHT: Final = 19
TABLE_ROW_HEIGHT: Final = 28
TABLE_ROW_HEIGHT_TIGHT: Final = 24
ICON_SIZE: Final = 16
ICON_SIZE_BUTTON: Final = 14
ICON_SIZE_CHIP: Final = 12
ICON_SIZE_FEATURE: Final = 20
GAP: Final = 12
PAGE_PADDING: Final = 16
CARD_PADDING_X: Final = 16
CARD_PADDING_Y: Final = 12
STALE_SHARE: Final = 0.55
DISABLED_SHARE: Final = 0.45
MOVE_MS: Final = 120


class _Notifier(QObject):
    """Carries the one signal; a module cannot."""

    changed = Signal()


class _Worn:
    """What is worn now; written by `set_theme` and `set_motion` only."""

    name: ThemeName = "dark"
    choice: ThemeChoice = "system"
    is_motion_reduced: bool = False
    is_following: bool = False


notifier: Final = _Notifier()


def name() -> ThemeName:
    """Return the theme worn now."""
    return _Worn.name


def choice() -> ThemeChoice:
    """Return what the person chose; `system` may be worn as either."""
    return _Worn.choice


def hex_of(token: Token) -> str:
    """Return `#RRGGBB` of a token in the theme worn now."""
    return COLORS[token][0 if _Worn.name == "dark" else 1]


@lru_cache(maxsize=256)
def _color(theme: ThemeName, token: Token, alpha: float) -> QColor:
    color = QColor(COLORS[token][0 if theme == "dark" else 1])
    color.setAlphaF(alpha)
    return color


def color(token: Token, alpha: float = 1.0) -> QColor:
    """Return a token's colour now. Ask at paint time and never change the value: it is shared."""
    return _color(_Worn.name, token, alpha)


@lru_cache(maxsize=256)
def _blend(theme: ThemeName, over: Token, under: Token, share: float) -> QColor:
    top, low = _color(theme, over, 1.0), _color(theme, under, 1.0)
    pairs = ((top.red(), low.red()), (top.green(), low.green()), (top.blue(), low.blue()))
    return QColor(*(round(a * share + b * (1 - share)) for a, b in pairs))


def blend(over: Token, under: Token, share: float) -> QColor:
    """Mix two tokens: `share` (0..1) of `over` on `under`. Stands in for opacity, which costs a layer."""
    return _blend(_Worn.name, over, under, share)


def system_theme() -> ThemeName:
    """Return what the desktop asks for; dark where it does not say (Unknown is not an answer)."""
    hints = QGuiApplication.styleHints()
    return "light" if hints.colorScheme() == Qt.ColorScheme.Light else "dark"


def set_theme(choice: ThemeChoice) -> None:
    """Wear a theme and tell everybody. `system` follows the desktop from then on, where it says anything."""
    _Worn.choice = choice
    worn = system_theme() if choice == "system" else choice
    is_new = worn != _Worn.name
    _Worn.name = worn
    if not _Worn.is_following and QGuiApplication.instance() is not None:
        _Worn.is_following = True
        QGuiApplication.styleHints().colorSchemeChanged.connect(_follow_system)
    if is_new:
        notifier.changed.emit()


def _follow_system(scheme: Qt.ColorScheme) -> None:
    if _Worn.choice == "system" and scheme != Qt.ColorScheme.Unknown:
        set_theme("system")


def read_choice(value: object) -> ThemeChoice:
    """Return a stored choice, or `system` for anything that is none."""
    if value == "dark":
        return "dark"
    return "light" if value == "light" else "system"


def set_motion(*, is_reduced: bool) -> None:
    """Reduced motion: durations 0, the loader stands still."""
    _Worn.is_motion_reduced = is_reduced
    notifier.changed.emit()


def is_motion_reduced() -> bool:
    """Say whether things may move at all."""
    return _Worn.is_motion_reduced


def move_ms() -> int:
    """Return how long a page, drawer or toast moves, in milliseconds."""
    return 0 if _Worn.is_motion_reduced else MOVE_MS
