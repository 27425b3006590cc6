"""How Qt's own controls look: the palette, the style sheet, and the moment both are put on.

Rule: only simple controls are styled here; everything that repeats at 1 Hz, and every button, paints itself.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from ui import theme
from ui.font import font
from ui.theme import Token, blend, color, hex_of

_ROLE_TOKENS: tuple[tuple[QPalette.ColorRole, Token], ...] = (
    (QPalette.ColorRole.Window, "window"),
    (QPalette.ColorRole.WindowText, "text"),
    (QPalette.ColorRole.Base, "sunken"),
    (QPalette.ColorRole.AlternateBase, "surface"),
    (QPalette.ColorRole.Text, "text"),
    (QPalette.ColorRole.Button, "raised"),
    (QPalette.ColorRole.ButtonText, "text"),
    (QPalette.ColorRole.BrightText, "crit"),
    (QPalette.ColorRole.Light, "raised"),
    (QPalette.ColorRole.Midlight, "raised"),
    (QPalette.ColorRole.Mid, "border"),
    (QPalette.ColorRole.Dark, "border"),
    (QPalette.ColorRole.Shadow, "sunken"),
    (QPalette.ColorRole.Highlight, "accentsoft"),
    (QPalette.ColorRole.HighlightedText, "text"),
    (QPalette.ColorRole.Accent, "accent"),
    (QPalette.ColorRole.Link, "accenttext"),
    (QPalette.ColorRole.LinkVisited, "accenttext"),
    (QPalette.ColorRole.ToolTipBase, "raised"),
    (QPalette.ColorRole.ToolTipText, "text"),
    (QPalette.ColorRole.PlaceholderText, "text3"),
)
_DISABLED: tuple[QPalette.ColorRole, ...] = (
    QPalette.ColorRole.WindowText,
    QPalette.ColorRole.Text,
    QPalette.ColorRole.ButtonText,
)


def palette() -> QPalette:
    """Build the palette of the theme worn now, with every role set (Qt derives black ones otherwise)."""
    result = QPalette()
    for role, token in _ROLE_TOKENS:
        result.setColor(role, color(token))
    faded = blend("text", "surface", theme.DISABLED_SHARE)
    for role in _DISABLED:
        result.setColor(QPalette.ColorGroup.Disabled, role, faded)
    return result


def _rgb(value: QColor) -> str:
    return str(value.name())


def style_sheet() -> str:
    """Write the style sheet of the theme worn now."""
    return _fields() + _lists() + _bars() + _small_parts()


def _fields() -> str:
    return f"""
QLineEdit, QAbstractSpinBox, QComboBox {{
  background: {hex_of("sunken")}; color: {hex_of("text")}; border: 1px solid {hex_of("control")};
  border-radius: {theme.RADIUS_CONTROL}px; padding: 0 9px; min-height: 30px; max-height: 30px;
  selection-background-color: {hex_of("accent")}; selection-color: {hex_of("accentfg")};
}}
QLineEdit[density="small"], QAbstractSpinBox[density="small"], QComboBox[density="small"] {{
  min-height: 26px; max-height: 26px; padding: 0 7px; }}
QLineEdit[tone="quiet"] {{ border-color: {hex_of("border")}; }}
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{
  border: 2px solid {hex_of("accent")}; padding: 0 8px; min-height: 28px; max-height: 28px; }}
QLineEdit[density="small"]:focus, QAbstractSpinBox[density="small"]:focus, QComboBox[density="small"]:focus {{
  min-height: 24px; max-height: 24px; padding: 0 6px; }}
QLineEdit[state="error"], QAbstractSpinBox[state="error"], QComboBox[state="error"] {{
  border-color: {hex_of("crit")}; }}
QLineEdit[tone="bare"], QLineEdit[tone="bare"]:focus {{
  border: none; background: transparent; padding: 0 6px; min-height: 34px; max-height: 34px; }}
QLineEdit:read-only {{ background: {hex_of("surface")}; color: {hex_of("text2")}; }}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {{
  color: {_rgb(blend("text", "sunken", theme.DISABLED_SHARE))};
  border-color: {_rgb(blend("control", "surface", theme.DISABLED_SHARE))}; }}
QAbstractSpinBox QLineEdit, QAbstractSpinBox QLineEdit:focus {{
  border: none; background: transparent; padding: 0; min-height: 0; }}
QComboBox::drop-down {{ border: none; width: 28px; }}
QComboBox::down-arrow {{ image: none; }}
QComboBox QAbstractItemView {{
  background: {hex_of("surface")}; color: {hex_of("text")}; border: 1px solid {hex_of("control")};
  selection-background-color: {hex_of("accentsoft")}; selection-color: {hex_of("text")}; outline: none; padding: 4px;
}}
QPlainTextEdit, QTextEdit, QTextBrowser {{
  background: {hex_of("sunken")}; color: {hex_of("text")}; border: 1px solid {hex_of("control")};
  border-radius: {theme.RADIUS_CONTROL}px; padding: 4px 6px;
  selection-background-color: {hex_of("accent")}; selection-color: {hex_of("accentfg")};
}}
QPlainTextEdit:focus, QTextEdit:focus {{ border: 2px solid {hex_of("accent")}; padding: 3px 5px; }}
QPlainTextEdit[tone="well"] {{ border: 1px solid {hex_of("border")}; }}
QPlainTextEdit[tone="code"] {{ border: none; border-radius: 0; padding: 6px 8px; }}
QPlainTextEdit[tone="code"]:focus {{ border: 2px solid {hex_of("accent")}; padding: 4px 6px; }}
QPlainTextEdit[tone="plain"], QTextBrowser[tone="plain"], QTextEdit[tone="plain"] {{
  border: none; background: transparent; padding: 0; }}
"""


def _lists() -> str:
    return f"""
QAbstractItemView {{ background: transparent; color: {hex_of("text")}; border: none; outline: none;
  selection-background-color: {hex_of("accentsoft")}; selection-color: {hex_of("text")};
  gridline-color: {hex_of("border")}; }}
QListView::item, QTreeView::item {{ padding: 4px 8px; }}
QAbstractItemView::item:selected {{ background: {hex_of("accentsoft")}; color: {hex_of("text")}; }}
QAbstractItemView::item:hover:!selected {{ background: {hex_of("raised")}; }}
QHeaderView {{ background: transparent; border: none; }}
QHeaderView::section {{ background: {hex_of("surface")}; color: {hex_of("text3")}; border: none;
  border-bottom: 1px solid {hex_of("border")}; padding: 0 8px; min-height: 24px; }}
QTableView[tone="matrix"] QHeaderView::section {{ color: {hex_of("text")}; }}
QTableCornerButton::section {{ background: {hex_of("surface")}; border: none;
  border-bottom: 1px solid {hex_of("border")}; }}
QTableView {{ alternate-background-color: {hex_of("surface")}; }}
QScrollArea, QScrollArea > QWidget > QWidget[tone="page"] {{ background: transparent; border: none; }}
QAbstractScrollArea::corner {{ background: transparent; }}
"""


def _bars() -> str:
    return f"""
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; border: none; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; border: none; }}
QScrollBar::handle {{ background: {hex_of("border")}; border-radius: 3px; }}
QScrollBar::handle:vertical {{ min-height: 28px; margin: 2px; }}
QScrollBar::handle:horizontal {{ min-width: 28px; margin: 2px; }}
QScrollBar::handle:hover, QScrollBar::handle:pressed {{ background: {hex_of("control")}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; border: none; background: none; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: none; }}
QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {hex_of("border")}; }}
QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {hex_of("accent")}; }}
QSlider::handle:horizontal {{ width: 12px; height: 12px; margin: -4px 0; border-radius: 6px;
  background: {hex_of("accent")}; }}
QSlider[state="unset"]::sub-page:horizontal {{ background: {hex_of("border")}; }}
QSlider[state="unset"]::handle:horizontal {{ width: 10px; height: 10px; border: 1px solid {hex_of("text3")};
  background: {hex_of("sidebar")}; }}
QSlider::sub-page:horizontal:disabled, QSlider::handle:horizontal:disabled {{ background: {hex_of("control")}; }}
QSplitter::handle {{ background: transparent; }}
QSplitter::handle:horizontal {{ width: {theme.GAP}px; }}
QSplitter::handle:vertical {{ height: {theme.GAP}px; }}
"""


def _small_parts() -> str:
    return f"""
QToolTip {{ background: {hex_of("raised")}; color: {hex_of("text")}; border: 1px solid {hex_of("control")};
  padding: 4px 6px; }}
QMenu {{ background: {hex_of("surface")}; color: {hex_of("text")}; border: 1px solid {hex_of("control")};
  padding: 4px; }}
QMenu::item {{ padding: 5px 24px 5px 10px; border-radius: {theme.RADIUS_CHIP}px; }}
QMenu::item:selected {{ background: {hex_of("accentsoft")}; }}
QMenu::item:disabled {{ color: {_rgb(blend("text", "surface", theme.DISABLED_SHARE))}; }}
QMenu::separator {{ height: 1px; background: {hex_of("border")}; margin: 4px 2px; }}
QDialog {{ background: {hex_of("surface")}; }}
QTabBar {{ background: transparent; }}
QTabBar::tab {{ background: transparent; color: {hex_of("text3")}; border: none; padding: 2px 2px 3px 2px;
  margin-right: 14px; border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {hex_of("text")}; border-bottom: 2px solid {hex_of("accent")}; }}
QTabBar::tab:hover:!selected {{ color: {hex_of("text2")}; }}
QTabBar::tab:focus {{ border-bottom: 2px solid {hex_of("accenttext")}; }}
"""


def _wear(app: QApplication) -> None:
    sheet = style_sheet()
    if sheet == app.styleSheet():
        return
    # Qt dresses each widget again for itself and for everything it lies in when one sheet follows another, but once
    # when there was none: 45 ms instead of 170 for a page of 460 widgets.
    app.setStyleSheet("")
    app.setPalette(palette())
    app.setStyleSheet(sheet)


STYLE_ARGUMENTS: Final = ("-style", "fusion")
"""For QApplication's own arguments: asked for there, Fusion costs the first frame 4 ms less than by `setStyle`."""


def install_style(app: QApplication, choice: theme.ThemeChoice = "system", *, is_fusion: bool = False) -> None:
    """Dress the application: Fusion, fonts, palette, style sheet, and again whenever the theme changes. Call once.

    `is_fusion` says that the application was made with STYLE_ARGUMENTS.
    """
    if not is_fusion:
        app.setStyle("Fusion")
    app.setFont(font("body"))
    theme.set_theme(choice)
    _wear(app)
    # First in line, so that widgets that repaint on the same signal see the new palette.
    theme.notifier.changed.connect(lambda: _wear(app))
