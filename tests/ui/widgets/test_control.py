"""Buttons, fields and choices, as hands and keyboards meet them."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from tests.ui.picture import host_page
from ui import theme
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.copy_field import CopyField
from ui.widgets.field import Field, NumberInput, Select, Stepper, TextInput
from ui.widgets.focus import install_focus_rings
from ui.widgets.label import ElidedLabel, Label, plain_tooltip
from ui.widgets.ledger import LedgerBar
from ui.widgets.meter import Meter
from ui.widgets.segmented import Segmented
from ui.widgets.toggle import CheckBox, Switch


def shown(part: QWidget, width: int = 400, height: int = 60) -> QWidget:
    host_page(part, width, height)
    QTest.qWait(20)
    return part


def test_a_busy_button_keeps_its_width_and_ignores_clicks(dressed: QApplication) -> None:
    clicks: list[str] = []
    button = Button("Launch on 4 nodes", icon="rocket")
    button.clicked.connect(lambda: clicks.append("launch"))
    width = button.sizeHint().width()
    shown(button, width, 32)
    button.set_busy(True)
    assert button.sizeHint().width() == width
    QTest.mouseClick(button.window(), Qt.MouseButton.LeftButton, pos=button.geometry().center())
    QTest.keyClick(button, Qt.Key.Key_Space)
    assert clicks == []
    button.set_busy(False)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert clicks == ["launch"]


def test_a_disabled_button_says_why(dressed: QApplication) -> None:
    button = Button("Launch")
    button.set_disabled_reason("No node is live")
    assert not button.isEnabled()
    assert "No node is live" in button.toolTip()
    assert button.accessibleDescription() == "No node is live"
    button.set_disabled_reason("")
    assert button.isEnabled()
    assert button.toolTip() == ""


def test_an_icon_button_has_a_name_and_room_for_a_finger(dressed: QApplication) -> None:
    button = IconButton("bell", "Notices")
    assert button.accessibleName() == "Notices"
    assert button.width() >= 24
    assert button.height() >= 24


def test_an_error_stands_under_its_field_until_it_is_cleared(dressed: QApplication) -> None:
    field = Field("Port", TextInput("8000"))
    shown(field, 300, 90)
    field.set_error("In use on spark-5c2d by gpt-oss-120b. Try 8355.")
    assert field.editor.property("state") == "error"
    assert field.editor.accessibleDescription().startswith("In use")
    assert field.editor.accessibleName() == "Port"
    field.set_error("")
    assert field.editor.property("state") == ""
    assert field.error() == ""


def test_a_narrow_field_with_an_error_keeps_its_room_for_what_was_typed(dressed: QApplication) -> None:
    narrow, wide = TextInput("1e309"), TextInput("1e309")
    for line, width in ((narrow, 66), (wide, 200)):
        shown(line, width, 32)
        line.set_error(True)
    assert (len(narrow.actions()), len(wide.actions())) == (0, 1), "the octagon would cover the digits"
    assert narrow.property("state") == wide.property("state") == "error"
    wide.resize(66, 32)
    assert wide.actions() == []


def test_a_number_shows_itself_and_the_wheel_needs_the_focus(dressed: QApplication) -> None:
    number = NumberInput(1, 65535, 8355)
    shown(number, 120, 32)
    line = number.lineEdit()
    assert line.width() >= 90
    assert line.text() == "8,355"


def test_a_stepper_moves_within_its_bounds(dressed: QApplication) -> None:
    stepper = Stepper(1, 3, 2, what="Users")
    shown(stepper, 200, 32)
    less, more = stepper.findChildren(IconButton)
    for _ in range(3):
        QTest.mouseClick(more, Qt.MouseButton.LeftButton)
    assert stepper.value() == 3
    for _ in range(9):
        QTest.mouseClick(less, Qt.MouseButton.LeftButton)
    assert stepper.value() == 1


def test_a_choice_stays_chosen_when_the_options_change(dressed: QApplication) -> None:
    select = Select()
    select.set_options([("a", "One"), ("b", "Two")])
    select.set_key("b")
    select.set_options([("c", "Three"), ("b", "Two again")])
    assert select.key() == "b"
    told: list[int] = []
    select.currentIndexChanged.connect(told.append)
    select.set_options([("c", "Three")])
    assert select.key() == "c"
    assert told == [0]
    select.set_options([])
    assert select.key() == ""


def test_arrow_keys_move_along_a_segmented_row_past_what_is_off(dressed: QApplication) -> None:
    row = Segmented([("a", "TP 4"), ("b", "PP 4"), ("c", "DP 4")], what="Parallelism")
    shown(row, 300, 30)
    chosen: list[str] = []
    row.changed.connect(chosen.append)
    row.set_disabled_reason("b", "Weights do not fit")
    first = row._parts["a"]
    first.setFocus()
    QTest.keyClick(first, Qt.Key.Key_Right)
    assert row.key() == "c"
    QTest.keyClick(row._parts["c"], Qt.Key.Key_Right)
    assert chosen == ["c", "a"]


def test_a_click_chooses_and_setting_by_key_is_silent(dressed: QApplication) -> None:
    row = Segmented([("map", "Map"), ("table", "Table")], what="View", chosen="table")
    shown(row, 200, 30)
    chosen: list[str] = []
    row.changed.connect(chosen.append)
    assert row.key() == "table"
    row.set_key("map")
    assert chosen == []
    QTest.mouseClick(row._parts["table"], Qt.MouseButton.LeftButton)
    assert chosen == ["table"]


def test_switches_and_boxes_answer_a_click_anywhere_on_them(dressed: QApplication) -> None:
    for part in (CheckBox("Files, read"), Switch("Compare", text="Compare")):
        shown(part, 200, 24)
        QTest.mouseClick(part, Qt.MouseButton.LeftButton, pos=part.rect().center())
        assert part.isChecked()
        QTest.keyClick(part, Qt.Key.Key_Space)
        assert not part.isChecked()


def test_a_copy_field_copies_and_shows_that_it_did(dressed: QApplication) -> None:
    field = CopyField("Endpoint", "http://127.0.0.1:8000/v1")
    shown(field, 300, 32)
    button = field.findChildren(IconButton)[0]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "http://127.0.0.1:8000/v1"
    assert button.accessibleName() == "Endpoint copied"
    assert field.isReadOnly()


def test_a_clickable_card_answers_mouse_and_keyboard(dressed: QApplication) -> None:
    card = Card(is_clickable=True)
    shown(card, 200, 80)
    clicks: list[None] = []
    card.clicked.connect(lambda: clicks.append(None))
    QTest.mouseClick(card, Qt.MouseButton.LeftButton)
    QTest.keyClick(card, Qt.Key.Key_Return)
    QTest.keyClick(card, Qt.Key.Key_Space)
    assert len(clicks) == 3


def test_a_stale_card_pales_what_is_inside(dressed: QApplication) -> None:
    card = Card()
    column = card.column()
    label, bar = Label("spark-bd26", "strong", "text"), LedgerBar()
    column.addWidget(label)
    column.addWidget(bar)
    full = label.palette().windowText().color().name()
    card.set_state("stale")
    assert label.palette().windowText().color().name() != full
    card.set_state("normal")
    assert label.palette().windowText().color().name() == full


def test_a_meter_says_its_level_by_token_and_unknown_in_words(dressed: QApplication) -> None:
    meter = Meter("GPU")
    levels = []
    for fraction in (0.46, 0.80, 0.92, 2.0):
        meter.set_fraction(fraction)
        levels.append(meter.level())
    assert levels == ["s1", "warn", "crit", "crit"]
    meter.set_fraction(float("nan"))
    assert meter.accessibleName() == "GPU n/a"
    assert meter.fraction() is None


def test_a_coloured_chip_always_has_an_icon(dressed: QApplication) -> None:
    plain = Chip("Ready", "neutral").sizeHint().width()
    kinds = [Chip("Ready", kind).sizeHint().width() for kind in ("ok", "warn", "crit", "simulated")]
    assert all(width > plain for width in kinds)


def test_labels_follow_the_theme(dressed: QApplication) -> None:
    label = Label("x", "body", "crit")
    theme.set_theme("light")
    assert label.palette().windowText().color().name().upper() == theme.COLORS["crit"][1]


def test_wrapped_text_gets_all_its_lines_and_gives_them_back(dressed: QApplication) -> None:
    label = Label("Memory fell to 3.8 GiB. Lower context to 65,536 or stop gpt-oss-120b.", "dense", is_wrapped=True)
    host = QWidget()
    column = QVBoxLayout(host)
    column.addWidget(label)
    shown(host, 140, 200)
    narrow = label.minimumHeight()
    host.resize(600, 200)
    QTest.qWait(20)
    assert narrow > 2 * label.minimumHeight() > 0


def test_cut_text_is_whole_in_its_tooltip_and_markup_stays_text(dressed: QApplication) -> None:
    label = ElidedLabel("/models/<b>gpt-oss</b>-120b/snapshots/4f2a", mode=Qt.TextElideMode.ElideMiddle)
    shown(label, 60, 20)
    assert "&lt;b&gt;gpt-oss" in label.toolTip()
    assert plain_tooltip("a\n<i>b") == "<qt>a<br>&lt;i&gt;b</qt>"


def test_the_focus_ring_goes_where_the_keyboard_goes(dressed: QApplication) -> None:
    host = QWidget()
    column = QVBoxLayout(host)
    first, second, field = Button("One"), Button("Two"), TextInput("text")
    for part in (first, second, field):
        column.addWidget(part)
    rings = install_focus_rings(dressed)
    assert install_focus_rings(dressed) is rings
    host_page(host, 200, 140).activateWindow()
    QTest.qWait(20)
    first.setFocus(Qt.FocusReason.TabFocusReason)
    assert rings.widget() is first
    QTest.keyClick(first, Qt.Key.Key_Tab)
    assert rings.widget() is second
    field.setFocus(Qt.FocusReason.TabFocusReason)
    assert rings.widget() is None


def test_the_ring_outlives_the_page_it_lay_over(dressed: QApplication) -> None:
    rings = install_focus_rings(dressed)
    for name in ("first page", "second page"):
        host = QWidget()
        column = QVBoxLayout(host)
        button = Button(name)
        column.addWidget(button)
        window = host_page(host, 200, 140)
        window.activateWindow()
        QTest.qWait(20)
        button.setFocus(Qt.FocusReason.TabFocusReason)
        assert rings.widget() is button
        window.deleteLater()
        dressed.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        assert rings.widget() is None
