"""A launch that memory forbids: the page shows the sum that forbids it, and one click takes what the remedy says."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.plan import Fit, MemoryLedger, Problem, Severity
from sparkdesk.core.planning.place import Neighbour
from tests.ui import rack
from tests.ui.launch.real import catalogue, open_real
from tests.ui.picture import take_picture
from ui import text, theme
from ui.launch.occasion.mend import mends_of
from ui.launch.plan.words import need_sentence
from ui.launch.view import LaunchPage

MODEL = "llama-3.3-70b"
BUSY = Neighbour("job1", "gpt-oss-120b", ("node0",), 120.0, 228.0, 55 * rack.GIB)
FEW = tuple(spec for spec in catalogue() if spec.key in (MODEL, "qwen3-8b"))


def open_refused(qtbot: QtBot) -> LaunchPage:
    """A share that the node does not have any more, beside a server that runs there."""
    page = open_real(qtbot, FEW, (62.0, 6.2, 118.0, 118.0), (BUSY,))
    page.model.pick(next(spec.name for spec in FEW if spec.key == MODEL))
    for name, value in (("nodes", ("node0",)), ("engine", "vllm"), ("quantization", "NVFP4")):
        page.model.set_field(name, value)
    page.model.set_field("memory_fraction", "0.8")
    page.model.recompute()
    QTest.qWait(30)
    return page


def buttons(page: LaunchPage) -> dict[str, QPushButton]:
    return {each.text(): each for each in page.plan.problems.findChildren(QPushButton)}


def test_a_refused_launch_shows_the_sum_that_refuses_it(qtbot: QtBot, dressed: object) -> None:
    page = open_refused(qtbot)
    assert page.model.preview.plan is None
    assert page.plan.memory.isVisible()
    _, bar, left, chip = page.plan.ledgers.rows[0]
    assert chip.isVisible()
    assert (chip.text(), left.text()) == (Fit.TOO_BIG.value, "")
    share = 0.8 * rack.TOTAL
    assert bar.values().free_bytes == rack.TOTAL - round(62.0 * rack.GIB) - int(share), "the whole share, not its need"
    said = page.plan.memory.basis.text()
    assert said.startswith("It would take weights ")
    assert f"= {share / rack.GIB:.1f}" in said
    assert said.endswith(f"free on {rack.NAMES[0]}: {text.memory(rack.TOTAL - 62 * rack.GIB)}")
    assert [mark.text() for mark in page.plan.chips] == ["Too big", "1 error"]


def test_what_memory_forbids_is_told_below_the_memory_and_all_else_comes_last(qtbot: QtBot, dressed: object) -> None:
    page = open_refused(qtbot)
    assert place_of(page, page.plan.memory) < place_of(page, page.plan.problems) < place_of(page, page.plan.figures)
    page.model.set_field("memory_fraction", "")
    page.model.set_field("nodes", ("node1",))
    page.model.set_field("max_batched_tokens", "16")
    page.model.recompute()
    QTest.qWait(30)
    assert page.plan.problems.isVisible()
    assert place_of(page, page.plan.problems) > place_of(page, page.plan.facts)


def place_of(page: LaunchPage, part: QWidget) -> int:
    """How far down it stands."""
    return part.mapTo(page.plan, QPoint()).y()


def test_one_click_takes_the_share_that_the_remedy_names(qtbot: QtBot, dressed: object) -> None:
    page = open_refused(qtbot)
    (label,) = [words for words in buttons(page) if words.startswith("Take share 0.")]
    QTest.mouseClick(buttons(page)[label], Qt.MouseButton.LeftButton)
    page.model.recompute()
    assert page.model.form.memory_fraction == label.removeprefix("Take share ").partition(",")[0]
    assert "memory_fraction" in page.model.changed_fields()
    assert page.model.preview.errors == {}
    assert page.model.preview.plan is not None
    assert not page.plan.memory.basis.text().startswith("It would take")


def test_a_change_that_no_request_can_have_has_no_button(qtbot: QtBot, dressed: object) -> None:
    page = open_refused(qtbot)
    request = page.model.preview.request
    assert request is not None
    fixes = (
        Fix("too much", (("memory_fraction", 3.0),)),
        Fix("the same", (("memory_fraction", request.memory_fraction),)),
    )
    found = (Problem(Severity.ERROR, "No", "Do.", "memory_fraction", fixes),)
    assert mends_of(found, request, page.model.feeds.contexts.value, can_run=False) == {}


def test_a_sum_with_a_part_that_is_not_known_is_not_said() -> None:
    whole = MemoryLedger("node0", 100, 10, 40, 30, 20)
    assert need_sentence(whole, "spark")
    for part in ("others_bytes", "weights_bytes", "kv_bytes", "runtime_bytes", "total_bytes"):
        values = {name: getattr(whole, name) for name in MemoryLedger.__dataclass_fields__}
        assert need_sentence(MemoryLedger(**{**values, part: None}), "spark") == ""


def test_pictures_of_a_launch_that_memory_forbids(qtbot: QtBot, dressed: object) -> None:
    page = open_refused(qtbot)
    for choice, window in (("dark", (1440, 900)), ("light", (1100, 700))):
        theme.set_theme("dark" if choice == "dark" else "light")
        take_picture(page, f"launch-refused-{choice}", window, rest_ms=30)
    theme.set_theme("dark")


def test_a_share_that_was_typed_does_not_push_the_form_out_of_its_column(qtbot: QtBot, dressed: object) -> None:
    page = open_refused(qtbot)
    (area,) = page.form.findChildren(QScrollArea)
    assert page.form.fields["memory_fraction"].isVisible()
    assert area.horizontalScrollBar().maximum() == 0
    inner = area.widget()
    assert inner is not None
    assert inner.width() <= area.viewport().width()
