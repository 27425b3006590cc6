"""The strip and the list of findings, as a person reads and uses them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.step import Playbook
from tests.core.findings.nodes import GB, GIB, NOW_MS, concerns_of, make_details, make_job, make_node
from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui.findings import words
from ui.findings.accept_dialog import AcceptDialog
from ui.findings.panel import AT_ONCE, FindingPanel
from ui.findings.strip import HEIGHT, HEIGHT_LOW, FindingStrip
from ui.main_window import first_focusable

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
NAMES = {"n1": "spark-5c2d", "n2": "spark-afe0"}
HOSTILE = "<b>big</b>\u202e\x1b[31m\n" + "w" * 4000


def real_findings() -> tuple[Concern, ...]:
    """What the judges say of two nodes that are not well, newest last; the last one was accepted."""
    low = {"mem_available_bytes": lambda age_s: (5 + 0.2 * age_s) * GIB}
    n1 = make_node(
        "n1",
        {"gpu_sm_clock_mhz": 640.0, "gpu_power_capped": 0.6, "cage_up.P1": 1.0, **low},
        jobs=(make_job("new", 2),),
        stop_plans={"new": Playbook("Stop Qwen3.6-35B-A3B", ())},
    )
    details = make_details("n2", driver="580.95.05", needs_reboot=True)
    n2 = make_node("n2", {"disk_used_bytes": 3995 * GB, "mem_page_cache_bytes": 57 * GIB}, details=details)
    found = [replace(one, since_ms=NOW_MS - 60_000 * i * 137) for i, one in enumerate(concerns_of(n1, n2).values())]
    return (*found[:-1], replace(found[-1], is_accepted=True, note="The update waits for Friday"))


def find(findings: tuple[Concern, ...], rule: str) -> Concern:
    return next(one for one in findings if one.rule == rule)


def open_panel(qtbot: QtBot, findings: tuple[Concern, ...], width: int = 1000) -> FindingPanel:
    panel = FindingPanel()
    panel.set_findings(findings, NAMES, now_ms=NOW_MS)
    host = host_page(panel, width, 800)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return panel


def open_strip(qtbot: QtBot, findings: tuple[Concern, ...], width: int = 1100) -> FindingStrip:
    strip = FindingStrip()
    strip.set_findings(findings, NAMES, now_ms=NOW_MS)
    qtbot.addWidget(host_page(strip, width, HEIGHT))
    QTest.qWait(20)
    return strip


def click(button: QWidget) -> None:
    assert button.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def spied(signal: object) -> QSignalSpy:
    return QSignalSpy(signal)  # type: ignore[call-overload, no-any-return]


def told(spy: QSignalSpy) -> list[list[object]]:
    return [spy.at(i) for i in range(spy.count())]


# Words ---------------------------------------------------------------------------------------------------------------


def test_the_worst_is_neither_accepted_nor_a_note(dressed: QApplication) -> None:
    findings = real_findings()
    first = words.worst(findings)
    assert first is not None
    assert first.severity is Severity.CRIT
    assert words.worst(one for one in findings if one.severity is Severity.NOTE) is None
    assert words.worst(replace(one, is_accepted=True) for one in findings) is None


def test_every_severity_has_a_shape_and_a_word() -> None:
    assert {severity: bool(mark.icon and mark.text) for severity, mark in words.MARKS.items()} == dict.fromkeys(
        Severity, True
    )
    assert len({mark.icon for mark in words.MARKS.values()}) == len(Severity)


def test_the_button_says_what_happens() -> None:
    findings = real_findings()
    assert words.fix_label(find(findings, "wedge")) == "Stop Qwen3.6-35B-A3B…"
    assert words.fix_label(find(findings, "page-cache")) == "Drop the page cache…"
    assert words.fix_label(find(findings, "disk-space"), 28) == "Empty apt's cache and…"
    assert words.fix_label(find(findings, "slow-state")) == ""


def test_an_alarm_about_a_silent_node_says_of_when_it_is() -> None:
    wedge = find(real_findings(), "wedge")
    assert "as of" not in words.title_of(wedge)
    silent = words.title_of(replace(wedge, silent_ms=1_790_000_000_000))
    assert silent.startswith(f"{wedge.title} (as of ")
    assert silent.endswith("silent since)")


def test_a_time_of_another_day_has_its_date() -> None:
    assert len(words.since_text(NOW_MS, NOW_MS)) == 5
    assert len(words.since_text(NOW_MS - 3 * 86_400_000, NOW_MS)) > 8
    assert words.since_text(0, NOW_MS) == ""


def test_a_finding_leads_to_what_it_is_about() -> None:
    findings = real_findings()
    assert words.subject_of(find(findings, "link")) == ("port", "n1:P1")
    assert words.subject_of(find(findings, "slow-state")) == ("node", "n1")
    assert words.subject_of(find(findings, "differs")) == ("versions", "driver")


# The list ------------------------------------------------------------------------------------------------------------


def test_a_card_says_everything_and_its_button_asks(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    panel = open_panel(qtbot, findings)
    wedge = find(findings, "wedge")
    card = panel.cards[wedge.id]
    said = " ".join(part.words.text() for part in card.parts)
    assert (card.chip.text(), card.place.text(), card.title.text()) == ("Critical", "spark-5c2d", wedge.title)
    assert wedge.evidence in said
    assert wedge.cost in said
    assert wedge.remedy in said
    assert card.since.text() == f"since {words.since_text(wedge.since_ms, NOW_MS)}"
    fixes, subjects = spied(panel.fix_asked), spied(panel.subject_asked)
    click(card.fix)
    click(card.place)
    assert told(fixes) == [[wedge.id]]
    assert told(subjects) == [["node", "n1"]]


def test_accepting_asks_for_a_note_and_says_that_it_ends_with_a_change(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    panel = open_panel(qtbot, findings)
    slow = find(findings, "slow-state")
    accepts = spied(panel.accept_asked)
    click(panel.cards[slow.id].accept)
    dialog = panel.dialog
    assert isinstance(dialog, AcceptDialog)
    assert "until it changes" in dialog.accessibleDescription()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert told(accepts) == []
    click(panel.cards[slow.id].accept)
    dialog = panel.dialog
    assert isinstance(dialog, AcceptDialog)
    QTest.keyClicks(dialog.input, " an old box ")
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    assert told(accepts) == [[slow.id, "an old box"]]


def test_what_was_accepted_is_folded_with_its_note_and_can_be_taken_back(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    panel = open_panel(qtbot, findings)
    card = panel.cards[findings[-1].id]
    assert panel.fold.text() == "Accepted (1)"
    assert not card.isVisible()
    click(panel.fold)
    assert card.note.text() == "Accepted: The update waits for Friday"
    assert not card.accept.isVisible()
    back = spied(panel.unaccept_asked)
    click(card.unaccept)
    assert told(back) == [[findings[-1].id]]
    panel.set_findings([replace(one, is_accepted=False) for one in findings], NAMES, now_ms=NOW_MS)
    assert not panel.fold.isVisible()
    assert card.isVisible()


def test_figures_that_move_leave_cards_and_focus_where_they_are(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    panel = open_panel(qtbot, findings)
    slow = find(findings, "slow-state")
    card = panel.cards[slow.id]
    card.accept.setFocus()
    moved = [replace(one, evidence="650 MHz") if one is slow else one for one in findings]
    panel.set_findings(moved, NAMES, now_ms=NOW_MS)
    assert panel.cards[slow.id] is card
    assert card.parts[0].words.text() == "650 MHz"
    panel.set_findings([one for one in moved if one.rule != "wedge"], NAMES, now_ms=NOW_MS)
    assert card.accept.hasFocus()
    accepted = [replace(one, is_accepted=one.is_accepted or one.id == slow.id) for one in moved]
    panel.set_findings(accepted, NAMES, now_ms=NOW_MS)
    assert card.place.hasFocus(), "what had the focus went into the fold"


def test_tab_goes_through_the_cards_in_their_order(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    panel = open_panel(qtbot, findings[2:])
    panel.set_findings(findings, NAMES, now_ms=NOW_MS)
    QTest.qWait(20)
    first = first_focusable(panel)
    assert first is not None
    first.setFocus()
    seen: list[QWidget] = []
    while (holder := QApplication.focusWidget()) is not None and holder not in seen and panel.isAncestorOf(holder):
        seen.append(holder)
        QTest.keyClick(holder, Qt.Key.Key_Tab)
    buttons = [button for button in seen if isinstance(button, QAbstractButton)]
    tops = [button.mapTo(panel, button.rect().topLeft()).y() for button in buttons]
    assert len(buttons) > len(findings)
    assert tops == sorted(tops)


def test_a_finding_is_shown_where_it_is_also_when_it_is_folded(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    panel = open_panel(qtbot, findings)
    assert panel.show_finding(findings[-1].id)
    assert panel.cards[findings[-1].id].place.hasFocus()
    assert not panel.show_finding("gone/n1/")


def test_of_very_many_only_some_are_made_at_once(qtbot: QtBot, dressed: QApplication) -> None:
    slow = find(real_findings(), "slow-state")
    many = tuple(replace(slow, node_id=f"n{i:03}") for i in range(100))
    panel = open_panel(qtbot, many)
    assert len(panel.cards) == AT_ONCE
    assert panel.more.text() == "Show 40 more of 60"
    click(panel.more)
    assert len(panel.cards) == 2 * AT_ONCE
    assert panel.show_finding(many[-1].id)


def test_nothing_to_mend_is_said_only_when_every_node_was_heard(qtbot: QtBot, dressed: QApplication) -> None:
    panel = open_panel(qtbot, ())
    strip = open_strip(qtbot, ())
    assert panel.well.isVisible()
    assert strip.state_words.text() == words.NOTHING_TITLE
    for part in (panel, strip):
        part.set_findings((), NAMES, unheard=("spark-afe0",), now_ms=NOW_MS)
    assert not panel.well.isVisible()
    assert "spark-afe0" in strip.state_words.text()
    for part in (panel, strip):
        part.set_findings((), NAMES, has_looked=False, now_ms=NOW_MS)
    assert panel.empty.isVisible()
    assert strip.state_words.text() == words.UNKNOWN_TITLE


# The strip -----------------------------------------------------------------------------------------------------------


def test_the_strip_tells_the_worst_with_their_time_and_leads_on(qtbot: QtBot, dressed: QApplication) -> None:
    findings = real_findings()
    strip = open_strip(qtbot, findings)
    shown = [cell for cell in strip.cells if cell.isVisible()]
    assert len(shown) == 3
    assert shown[0].title.text() == "spark-5c2d: The node is about to freeze"
    assert shown[0].time.text() == words.since_text(find(findings, "wedge").since_ms, NOW_MS)
    counts = words.count(findings)
    assert sum(counts) == len(findings)
    assert strip.counts.text() == f"{counts.open} open, {counts.notes} notes"
    assert strip.all.text() == f"All {len(findings)}"
    opened, fixes, everything = spied(strip.opened), spied(strip.fix_asked), spied(strip.all_asked)
    click(shown[0].fix)
    assert (told(fixes), told(opened)) == ([[shown[0].finding_id]], [])
    click(shown[1])
    QTest.keyClick(shown[2], Qt.Key.Key_Return)
    assert told(opened) == [[shown[1].finding_id], [shown[2].finding_id]]
    click(strip.all)
    assert everything.count() == 1


def test_the_strip_is_one_line_in_a_low_window_and_shows_fewer_in_a_narrow_one(
    qtbot: QtBot, dressed: QApplication
) -> None:
    strip = open_strip(qtbot, real_findings())
    assert strip.height() == HEIGHT
    strip.set_low(True)
    assert strip.height() == HEIGHT_LOW
    assert [cell.isVisible() for cell in strip.cells] == [True, False, False]
    strip.set_low(False)
    strip.resize(700, HEIGHT)
    assert [cell.isVisible() for cell in strip.cells] == [True, True, False]


def test_only_accepted_ones_are_counted_and_nothing_is_to_mend(qtbot: QtBot, dressed: QApplication) -> None:
    strip = open_strip(qtbot, tuple(replace(one, is_accepted=True) for one in real_findings()[:2]))
    assert strip.state_words.text() == words.NOTHING_TITLE
    assert strip.counts.text() == "2 accepted"
    assert strip.counts.isVisible()
    assert strip.all.isVisible()


# Both ----------------------------------------------------------------------------------------------------------------


def test_hostile_words_stay_plain_and_within_their_room(qtbot: QtBot, dressed: QApplication) -> None:
    fix = Playbook(HOSTILE, ())
    bad = Concern(
        "differs", "n1", Severity.WARN, HOSTILE, HOSTILE, HOSTILE, subject=HOSTILE, cost=HOSTILE, fix=fix,
        since_ms=2**62, is_accepted=True, note=HOSTILE,
    )  # fmt: skip
    findings = (bad, replace(bad, subject="P1", is_accepted=False, job_id="j"), replace(bad, node_id="", rule="x"))
    panel, strip = FindingPanel(), FindingStrip()
    for part in (panel, strip):
        part.set_findings(findings, {"n1": HOSTILE}, now_ms=NOW_MS)
        qtbot.addWidget(host_page(part, 700, 400))
        assert guessing_labels(part) == []
        assert part.minimumSizeHint().width() <= 700
        for child in part.findChildren(QWidget):
            assert len(child.accessibleName()) < 700
    dialog = AcceptDialog(bad, panel)
    assert guessing_labels(dialog) == []
    assert dialog.sizeHint().height() < 700


def test_everything_that_can_be_pressed_has_a_name(qtbot: QtBot, dressed: QApplication) -> None:
    panel, strip = open_panel(qtbot, real_findings()), open_strip(qtbot, real_findings())
    panel.set_folded(is_folded=False)
    for part in (panel, strip):
        buttons = [each for each in part.findChildren(QAbstractButton) if each.isVisible()]
        assert [each for each in buttons if not (each.accessibleName() or each.text())] == []
        names = [each.accessibleName() for each in buttons if each.text() in ("Accept…", "Take back")]
        assert len(set(names)) == len(names)
    assert all(cell.accessibleName() for cell in strip.cells if cell.isVisible())


def test_pictures_of_the_findings(qtbot: QtBot, dressed: QApplication) -> None:
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(16, 16, 16, 16)
    panel, strip, low = FindingPanel(), FindingStrip(), FindingStrip()
    low.set_low(True)
    column.addWidget(panel, 1)
    for part in (panel, strip, low):
        part.set_findings(real_findings(), NAMES, now_ms=NOW_MS)
    for part in (strip, low):
        column.addWidget(part)
    panel.set_folded(is_folded=False)
    qtbot.addWidget(host_page(page, 1232, 852))
    take_pictures(page, "findings")
