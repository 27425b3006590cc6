"""The bring-up page without a mouse: Tab goes as the eye reads, the focus is seen, Enter presses, Escape closes."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.state import BringUpState
from tests.ui.bringup import real_story, story
from tests.ui.bringup.story import Desk, wait_for
from ui.bringup.view import BringUpPage
from ui.widgets.focus import install_focus_rings

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
WIDE, NARROW = (1232, 852), (1044, 652)


def shown(state: BringUpState, size: tuple[int, int] = WIDE) -> tuple[Desk, BringUpPage]:
    """The page in an active window, at rest."""
    desk = real_story.desk()
    page = desk.show(state, size)
    page.window().activateWindow()
    assert wait_for(lambda: QApplication.activeWindow() is page.window())
    return desk, page


def region_of(page: BringUpPage, widget: QWidget | None) -> str:
    """In which part of the page a widget lies."""
    parts = {
        "setup": page.setup, "side": page.side, "checks": page.checks, "change": page.change,
        "proof": page.proof, "clock": page.clock, "lines": page.lines, "banner": page.banner,
    }  # fmt: skip
    return next((name for name, part in parts.items() if widget is not None and part.isAncestorOf(widget)), "head")


def walk(page: BringUpPage) -> list[QWidget]:
    """What Tab reaches from the page, each once."""
    page.setFocus()
    found: list[QWidget] = []
    for _ in range(80):
        page.focusNextChild()
        now = QApplication.focusWidget()
        if now is None or now is page or now in found:
            break
        found.append(now)
    return found


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_tab_goes_over_the_page_as_the_eye_reads_it(dressed: object, size: tuple[int, int]) -> None:
    _, page = shown(real_story.planned(), size)
    reached = walk(page)
    regions = list(dict.fromkeys(region_of(page, widget) for widget in reached))
    wanted = ["head", "setup", "side", "checks", "change", "proof"]
    assert regions == [name for name in wanted if name != "proof" or size == WIDE]
    assert all(widget.isVisible() for widget in reached)
    nameless = [widget for widget in reached if not (widget.accessibleName() or getattr(widget, "text", str)())]
    assert not nameless


def test_what_has_the_focus_is_seen_to_have_it(dressed: object) -> None:
    assert isinstance(dressed, QApplication)
    rings = install_focus_rings(dressed)
    _, page = shown(real_story.done())
    page._tick.stop()  # a clock that goes on would look like a focus
    unseen = []
    for widget in walk(page):
        place = widget.rect().adjusted(-4, -4, 4, 4).translated(widget.mapTo(page.window(), QPoint(0, 0)))
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.qWait(10)
        around = page.window().grab(place).toImage()
        page.setFocus()
        QTest.qWait(10)
        if around == page.window().grab(place).toImage():
            unseen.append(widget)
    rings.setParent(None)  # it is of the application, and other tests' pictures are without it
    rings.deleteLater()
    assert not unseen, [(region_of(page, each), type(each).__name__, each.accessibleName()) for each in unseen]


def test_enter_presses_what_has_the_focus_and_escape_closes_the_drawer_from_anywhere(dressed: object) -> None:
    desk, page = shown(real_story.planned())
    page.checks.only.setFocus()
    QTest.keyClick(page.checks.only, Qt.Key.Key_Return)
    assert desk.model.only_problems
    page.show_evidence("hardware-system", "n4")
    page.side.list.setFocus()
    QTest.keyClick(page.side.list, Qt.Key.Key_Escape)
    assert wait_for(lambda: not page.drawer.isVisible())
    assert wait_for(page.checks.table.hasFocus)


@pytest.mark.parametrize(
    ("state", "words"),
    [(real_story.done, "Proved"), (lambda: real_story.done(is_bad=True), "4 of 25 measurements stand out")],
)
def test_a_small_window_shows_the_verdict_and_the_proof_without_scrolling(
    dressed: object, state: object, words: str
) -> None:
    assert callable(state)
    desk, page = shown(real_story.proving(), NARROW)
    desk.state.set(state())
    assert wait_for(page.verdict.isVisible)
    assert page.verdict.text() == words
    assert wait_for(lambda: bottom(page, page.proof) <= page.area.mapTo(page, QPoint(0, 0)).y() + page.area.height())
    assert page.area.verticalScrollBar().value() == 0
    desk.model.choose_chapter(Chapter.NETWORK.value)
    desk.rest()
    assert not page.proof.isVisible()
    assert page.verdict.isVisible()


def bottom(page: BringUpPage, widget: QWidget) -> int:
    """The lower edge of a widget, on the page."""
    return widget.mapTo(page, QPoint(0, widget.height())).y()


@pytest.mark.parametrize("state", [real_story.planned, real_story.running, real_story.undone, real_story.rolled_back])
def test_a_small_window_scrolls_no_page_before_the_proof(dressed: object, state: object) -> None:
    assert callable(state)
    _, page = shown(state(), NARROW)
    assert wait_for(lambda: page.area.verticalScrollBar().maximum() == 0)
    assert page.verdict.isHidden()
    assert (page.checks.isVisible(), page.change.isVisible()) == (True, True)


def test_the_page_goes_to_the_proof_by_itself_when_it_begins(dressed: object) -> None:
    desk, page = shown(real_story.running(), NARROW)
    assert not page.proof.isVisible()
    desk.state.set(real_story.proving())
    assert wait_for(lambda: page.proof.isVisible() and bottom(page, page.proof) <= page.height())


def test_a_past_verdict_wears_no_chip(dressed: object) -> None:
    _, page = shown(story.planned())
    assert page.verdict.isHidden()


def test_a_question_is_in_sight_wherever_a_small_page_was_scrolled_to(dressed: object) -> None:
    desk, page = shown(real_story.proving(), NARROW)
    page.area.verticalScrollBar().setValue(page.area.verticalScrollBar().maximum())
    desk.state.set(real_story.asking())
    assert wait_for(page.clock.keep.isVisible)
    assert wait_for(lambda: 0 < bottom(page, page.clock.keep) <= page.height())
    assert not page.clock.keep.visibleRegion().isEmpty()


def test_every_button_lies_inside_the_page_right_after_the_window_has_grown(dressed: object) -> None:
    _, page = shown(real_story.asking(), NARROW)
    assert wait_for(page.clock.keep.isVisible)
    page.window().resize(*WIDE)
    page.resize(*WIDE)
    # Less than the clock's tick: nothing else would place the parts anew.
    assert wait_for(lambda: not page.proof.isVisible() and right(page, page.clock.keep) <= page.width(), 900)


def right(page: BringUpPage, widget: QWidget) -> int:
    """The right edge of a widget, on the page."""
    return widget.mapTo(page, QPoint(widget.width(), 0)).x()


def test_of_several_nodes_that_ask_the_one_with_the_least_time_comes_first_and_each_can_be_kept(
    dressed: object,
) -> None:
    trials = [real_story.trial(node, left, is_asking=True) for node, left in (("n2", 50.0), ("n3", 9.0))]
    _, page = shown(real_story.running(*trials))
    asked: list[tuple[str, bool]] = []
    page.answered.connect(lambda node, keeps: asked.append((node, keeps)))
    page.roll_back_asked.connect(lambda node: asked.append((node, False)))
    assert wait_for(page.clock.keep.isVisible)
    assert page.clock.keep.text() == "Keep on spark-afe0"
    (line,) = page.lines.lines
    assert line.words.text() == "spark-bd26 waits for your answer, and restores itself in 0:50"
    QTest.mouseClick(line.keep, Qt.MouseButton.LeftButton)
    assert asked == [("n2", True)]


def test_a_press_that_was_meant_for_another_node_does_nothing(dressed: object) -> None:
    desk, page = shown(real_story.running(real_story.trial("n2", 50.0, is_asking=True)))
    asked: list[tuple[str, bool]] = []
    page.answered.connect(lambda node, keeps: asked.append((node, keeps)))
    assert wait_for(page.clock.keep.isVisible)
    page.clock._settling.setInterval(60_000)
    desk.state.set(real_story.running(real_story.trial("n3", 50.0, is_asking=True)))
    assert wait_for(lambda: page.clock.keep.text() == "Keep on spark-afe0")
    QTest.mouseClick(page.clock.keep, Qt.MouseButton.LeftButton)
    assert asked == []
    page.clock._settling.stop()
    QTest.mouseClick(page.clock.keep, Qt.MouseButton.LeftButton)
    assert asked == [("n3", True)]
