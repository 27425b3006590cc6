"""Finding Sparks as a person does it, from feeds that a test fills."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.cluster.candidate import SearchOptions, SearchProgress, SearchState, Source
from sparkdesk.core.cluster.enrolment import Who
from tests.ui.add_desk import Desk, candidate, found_some
from tests.ui.picture import cut_labels, host_page
from tests.ui.walk import guessing_labels
from ui.add_node.candidate_list import sentence_of
from ui.add_node.find_panel import FindPanel
from ui.add_node.page import AddNodePage
from ui.first_run.model import FirstRunModel
from ui.widgets.button import Button
from ui.widgets.label import Label

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
EVERYWHERE = frozenset({Source.MDNS, Source.SSH_CONFIG, Source.NEIGHBOUR})


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def page(dressed: QApplication, desk: Desk) -> AddNodePage:
    page = AddNodePage(FirstRunModel(local_user="hartmut"), desk.search_model(), desk.add_model())
    host_page(page, 1044, 652)
    page.window().activateWindow()
    QTest.qWait(30)
    return page


@pytest.fixture
def panel(page: AddNodePage) -> FindPanel:
    """The search, as the first card opens it."""
    click(page.cards.find_button)
    assert page.currentWidget() is page.find_panel
    return page.find_panel


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def click_row(panel: FindPanel, row: int) -> None:
    rect = panel.list.visualRect(panel.list.candidates.index(row))
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())


def words(part: QWidget) -> str:
    return "\n".join(label.text() for label in part.findChildren(Label) if label.isVisible())


def test_the_card_tells_live_how_far_each_source_is(page: AddNodePage, desk: Desk) -> None:
    assert {"about 5 s", "your hosts", "you choose"} <= set(words(page.cards).splitlines())
    desk.progress.set(
        (
            SearchProgress(Source.MDNS, SearchState.RUNNING, 2),
            SearchProgress(Source.SSH_CONFIG, SearchState.DONE, 3),
            SearchProgress(Source.NEIGHBOUR, SearchState.DONE, 1),
        )
    )
    assert {"2 found", "3 hosts", "1 found"} <= set(words(page.cards).splitlines())


def test_the_search_begins_at_once_and_finds_show_as_they_come(panel: FindPanel, desk: Desk) -> None:
    assert desk.searches == [SearchOptions(EVERYWHERE, "")]
    assert panel.stop_button.isVisible()
    assert "What is found appears here at once." in words(panel)
    desk.candidates.set((candidate(0),))
    assert panel.list.isVisible()
    assert "1 machine found, still looking" in words(panel)
    desk.candidates.set(found_some())
    assert panel.list.candidates.rowCount() == 5
    desk.end_search()
    assert "5 machines found" in words(panel).splitlines()
    assert not panel.stop_button.isVisible()
    assert panel.again_button.isVisible()


def test_a_row_says_why_and_what_is_known(panel: FindPanel, desk: Desk) -> None:
    desk.candidates.set(found_some())
    rows = [sentence_of(each) for each in panel.list.candidates.rows]
    assert rows[0] == ("spark-5c2d.local, 10.0.20.31, Looks like a DGX Spark, announces SSH on this network as “spark”")
    assert "through 10.0.20.31" in rows[2]
    assert rows[3].startswith("nas, 10.0.20.33:2222, announces")
    assert "already added as spark-bd26" in rows[4]
    assert "also 192.168.100.4, fe80::1, 10.9.9.9 and 1 more" in rows[4]


def test_likely_sparks_come_first_and_a_tick_stays_where_it_is(panel: FindPanel, desk: Desk) -> None:
    desk.candidates.set((candidate(2), candidate(0)))
    assert [row.id for row in panel.list.candidates.rows] == ["c0", "c2"]
    click_row(panel, 1)
    assert [each.id for each in panel._search.chosen()] == ["c2"]
    desk.candidates.set((candidate(2), candidate(0), candidate(1)))
    assert [each.id for each in panel._search.chosen()] == ["c2"]
    assert panel.add_button.text() == f"Add {candidate(2).name}"
    # A search that is begun anew gives new ids; the address stays chosen.
    desk.candidates.set(())
    assert not panel.add_button.isEnabled()
    desk.candidates.set((replace(candidate(2), id="other"),))
    assert [each.id for each in panel._search.chosen()] == ["other"]


def test_the_keyboard_alone_chooses_and_adds(page: AddNodePage, panel: FindPanel, desk: Desk) -> None:
    desk.candidates.set((candidate(0, user="nvidia"), candidate(1)))
    QTest.qWait(20)
    assert QApplication.focusWidget() is panel.list
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Down, Qt.Key.Key_Space):
        QTest.keyClick(panel.list, key)
    assert panel.add_button.text() == "Add 2 nodes"
    QTest.keyClick(panel.list, Qt.Key.Key_Return)
    assert page.currentWidget() is page.panel
    assert desk.attempt.calls == [("start", Who("10.0.20.31", 22, "nvidia", candidate_id="c0"))]
    assert [each.id for each in page._add_node.queue] == ["c1"]
    assert desk.stops == 1
    assert panel._search.chosen() == ()


def test_one_machine_is_added_by_mouse(page: AddNodePage, panel: FindPanel, desk: Desk) -> None:
    desk.candidates.set(found_some())
    assert not panel.add_button.isEnabled()
    assert "Choose one or more" in panel.add_button.accessibleDescription()
    click_row(panel, 2)
    click_row(panel, 0)
    click_row(panel, 2)
    click(panel.add_button)
    assert page.currentWidget() is page.panel
    assert page.panel.who_row.form.address.text() == "10.0.20.31"
    assert page.panel.who_row.form.user.text() == "hartmut"
    assert desk.attempt.calls == []


def test_a_range_is_checked_while_it_is_typed(panel: FindPanel, desk: Desk) -> None:
    sources = panel.sources
    assert not sources.range_button.isEnabled()
    QTest.keyClicks(sources.range, "10.0.20.0/24, here")
    assert sources.range_error() == "“here” is no address or range."
    assert not sources.range_button.isEnabled()
    QTest.keyClick(sources.range, Qt.Key.Key_Return)
    assert len(desk.searches) == 1
    for _ in range(6):
        QTest.keyClick(sources.range, Qt.Key.Key_Backspace)
    assert sources.range_error() == ""
    click(sources.range_button)
    assert desk.searches[1:] == [SearchOptions(EVERYWHERE | {Source.RANGE}, "10.0.20.0/24")]


def test_a_search_can_be_stopped_and_begun_again(page: AddNodePage, panel: FindPanel, desk: Desk) -> None:
    desk.candidates.set((candidate(0),))
    click(panel.stop_button)
    assert desk.stops == 1
    assert panel.list.candidates.rowCount() == 1
    click(panel.again_button)
    assert len(desk.searches) == 2
    QTest.keyClick(panel.list, Qt.Key.Key_Escape)
    assert desk.stops == 2
    assert page.currentWidget() is panel
    QTest.keyClick(panel.list, Qt.Key.Key_Escape)
    assert page.currentWidget() is page.cards


def test_nothing_found_says_why_that_can_be_and_leads_on(page: AddNodePage, panel: FindPanel, desk: Desk) -> None:
    desk.progress.set(
        (
            SearchProgress(Source.MDNS, SearchState.UNAVAILABLE, note="Multicast is not let through."),
            SearchProgress(Source.SSH_CONFIG, SearchState.DONE, note="it names no hosts"),
        )
    )
    shown = words(panel)
    for part in ("another subnet", "Wi-Fi", "3 to 4 minutes", "Multicast is not let through.", "not possible"):
        assert part in shown
    filled = [each for each in panel.findChildren(Button) if each.isVisible() and each._kind == "primary"]
    assert filled == [panel.nothing.address_button]
    click(panel.nothing.address_button)
    assert page.currentWidget() is page.panel
    assert QApplication.focusWidget() is page.panel.who_row.form.address


def test_a_search_that_only_begins_has_not_found_nothing(page: AddNodePage, desk: Desk) -> None:
    desk.begins_as = SearchState.IDLE
    panel = page.find_panel
    click(page.cards.find_button)
    assert not panel.nothing.isVisible()
    assert panel.stop_button.isVisible()


def test_by_address_is_one_click_away_while_it_looks(page: AddNodePage, panel: FindPanel, desk: Desk) -> None:
    desk.candidates.set((candidate(0),))
    click(panel.address_button)
    assert page.currentWidget() is page.panel
    assert page.panel.who_row.form.address.text() == ""


def test_texts_a_third_longer_still_fit_the_smallest_window(panel: FindPanel, page: AddNodePage, desk: Desk) -> None:
    desk.candidates.set(())
    desk.end_search()
    for is_found in (False, True):
        desk.candidates.set(found_some() if is_found else ())
        for part in [*panel.findChildren(Button), *panel.findChildren(Label)]:
            if part.isVisible():
                part.setText(part.text() + " nnnn" * (len(part.text()) * 7 // 100))
                part.updateGeometry()
        QTest.qWait(40)
        assert page.minimumSizeHint().width() <= 1044
        assert cut_labels(panel) == []
    assert guessing_labels(panel) == []
