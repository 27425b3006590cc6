"""The launch form with the planner and the tables that ship: what is offered, what follows what, and what says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QScrollArea, QToolButton
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.parallelism import Parallelism
from tests.ui.launch.desk import LaunchDesk, choose_nodes, open_page
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.picture import cut_labels, page_size
from ui.launch.choice.default import PLAN_FIELDS
from ui.launch.choice.option import hints_of, key_of, split_of, splits_of
from ui.launch.view import LaunchPage
from ui.widgets.segmented import Segmented

LLAMA, GPT, CODER = "llama-3.3-70b", "gpt-oss-120b", "qwen3-coder-next"
FEW = tuple(spec for spec in catalogue() if spec.key in (LLAMA, GPT, CODER))
Open = Callable[..., LaunchPage]


@pytest.fixture
def opened(qtbot: QtBot, dressed: object) -> Open:
    """Opens the page with a model of the catalogue on nodes of the rack."""

    def open_one(key: str = GPT, nodes: tuple[int, ...] = (1,), workload: str = "chat") -> LaunchPage:
        page = open_page(qtbot, LaunchDesk(answer, FEW, reference().engines))
        page.model.pick(next(spec.name for spec in FEW if spec.key == key))
        page.model.choose_workload(workload)
        choose_nodes(page, *nodes)
        return page

    return open_one


def parts_of(choice: Segmented) -> dict[str, QToolButton]:
    QTest.qWait(1)  # what was offered before goes with the loop's next turn
    return {part.text(): part for part in choice.findChildren(QToolButton)}


def click_preset(page: LaunchPage, title: str) -> None:
    QTest.mouseClick(parts_of(page.form.workload.presets)[title], Qt.MouseButton.LeftButton)


def click_text(page: LaunchPage, name: str, typed: str) -> None:
    line = {
        "prompt": page.form.workload.prompt,
        "answer": page.form.workload.answer,
        "cached": page.form.workload.cached,
        "context": page.form.context.input,
    }[name]
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, typed)


def test_a_preset_fills_the_load_and_what_follows_it(opened: Open) -> None:
    page = opened()
    click_preset(page, "Coding agent")
    page.model.recompute()
    form, load = page.model.form, page.model.workload
    assert (load.prompt_tokens, load.answer_tokens, load.users, load.cached_share) == (61_440, 1024, 4, 0.9)
    assert page.form.workload.prompt.text() == "61,440"
    assert (form.context_tokens, form.concurrency) == ("65,536", 4)
    request = page.model.preview.request
    assert request is not None
    assert request.context_tokens >= load.context_tokens
    assert all(row.workload == load for row in page.model.rows)


def test_typing_a_number_of_the_load_makes_it_custom_and_moves_only_what_was_left_alone(opened: Open) -> None:
    page = opened()
    page.model.set_field("concurrency", 7)
    click_text(page, "prompt", "30000")
    page.model.recompute()
    assert page.form.workload.presets.key() == "custom"
    assert page.model.workload.prompt_tokens == 30_000
    assert page.model.form.context_tokens == "32,768"
    assert page.model.form.concurrency == 7, "the person's own stays"
    click_preset(page, "Batch")
    assert page.model.form.users == 128
    assert page.model.form.concurrency == 7


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("prompt", "0", "Prompt: At least 1"),
        ("prompt", "1e309", "Prompt: At most 4,194,304"),
        ("prompt", "2.5", "Prompt: A whole number"),
        ("answer", "-3", "Answer: At least 1"),
        ("prompt", "many", "Prompt: A whole number"),
        ("cached", "100", "Cached %: At most 99"),
    ],
)
def test_a_load_that_cannot_be_read_is_said_below_it_and_asks_nothing(
    opened: Open, name: str, typed: str, words: str
) -> None:
    page = opened()
    click_text(page, name, typed)
    page.model.recompute()
    assert words in page.form.workload.wrong.text()
    assert page.model.rows == ()
    assert "workload" in page.model.rows_note
    assert page.model.preview.plan is not None, "the server itself does not need the load"
    assert words.partition(": ")[2] in page.model.blocker(), "a launch waits until it is mended"
    page.model.launch()
    assert not page.model.is_launching


@pytest.mark.parametrize(
    ("typed", "users", "words"), [("5000", 5000, "At most 4,096"), ("-3", -3, "At least 1"), ("0", 0, "At least 1")]
)
def test_a_number_of_users_is_never_corrected_in_silence(opened: Open, typed: str, users: int, words: str) -> None:
    page = opened()
    box = page.form.workload.users
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, typed)
    page.model.recompute()
    assert (page.model.form.users, box.value()) == (users, users)
    assert page.form.workload.wrong.text() == f"Users: {words}"
    assert words in page.model.blocker()
    box.selectAll()
    QTest.keyClicks(box, "4096")
    page.model.recompute()
    assert (page.model.form.concurrency, page.model.load_errors) == (4096, {})


def test_a_load_that_is_longer_than_the_model_can_is_said_at_the_prompt(opened: Open) -> None:
    page = opened()
    click_text(page, "prompt", "500000")
    page.model.recompute()
    assert "131,072" in page.form.workload.wrong.text()


def test_the_form_follows_the_best_plan_that_can_be_started_until_it_is_touched(opened: Open) -> None:
    page = opened(LLAMA)
    best = next(row for row in page.model.rows if row.setup.engine.key in page.model.backends)
    assert page.model.row is not None
    assert page.model.row.setup == best.setup
    assert page.model.changed_fields() == frozenset()
    page.form.quantization.setCurrentIndex(page.form.quantization.findData("FP8"))
    page.model.recompute()
    assert page.model.form.quantization == "FP8"
    assert page.model.row is not None
    assert page.model.row.setup.weights.key == "FP8"
    assert page.model.form.model == page.model.row.setup.weights.repo, "the checkpoint follows the format"


def test_by_itself_the_form_never_says_what_the_engine_refuses(opened: Open) -> None:
    page = opened()
    for key in (GPT, LLAMA, CODER):
        spec = next(spec for spec in FEW if spec.key == key)
        for preset in ("chat", "coding"):
            page.model.pick(spec.name)
            page.model.choose_workload(preset)
            page.model.recompute()
            assert not set(page.model.preview.errors) & set(PLAN_FIELDS), (key, preset, page.model.preview.errors)


def test_what_was_changed_has_a_dot_and_a_way_back(opened: Open) -> None:
    page = opened()
    entry = page.form.fields["context_tokens"]
    assert not entry.reset.isVisible()
    click_text(page, "context", "16384")
    assert entry.reset.isVisible()
    assert entry.editor.accessibleName() == "Context per request, changed"
    QTest.mouseClick(entry.reset, Qt.MouseButton.LeftButton)
    assert page.model.form.context_tokens == "4,096"
    assert not entry.reset.isVisible()


def test_reset_gives_back_all_that_was_changed_and_nothing_of_the_load(opened: Open) -> None:
    page = opened()
    port = page.model.form.port
    click_text(page, "prompt", "3000")
    for name, value in (("port", "9000"), ("concurrency", 5), ("kv_dtype", "fp8")):
        page.model.set_field(name, value)
    assert page.model.changed_fields() >= {"port", "concurrency"}
    QTest.mouseClick(page.form.foot.reset, Qt.MouseButton.LeftButton)
    page.model.recompute()
    assert page.model.changed_fields() == frozenset()
    assert (page.model.form.port, page.model.form.concurrency) == (port, 1)
    assert page.model.form.prompt_tokens == "3000"


def test_reset_after_a_row_on_one_node_gives_the_best_plan_of_all_back(opened: Open) -> None:
    page = opened(LLAMA, (1, 2, 3, 4), "batch")
    page.model.recompute()
    best = page.model.row
    alone = next(r for r in page.model.rows if len(r.place.nodes) == 1 and r.setup.weights.key == "BF16")
    page.model.choose_row(alone)
    page.model.recompute()
    assert page.model.row != best
    QTest.mouseClick(page.form.foot.reset, Qt.MouseButton.LeftButton)
    page.model.recompute()
    assert page.model.row == best


def test_reset_clears_what_blocks_the_launch_in_the_lines(opened: Open) -> None:
    page = opened()
    for name, value in (("extra_flags", "--a 'b"), ("environment", "FOO"), ("weights_path", "/a/other.gguf")):
        page.model.set_field(name, value)
    page.model.recompute()
    assert {"extra_flags", "environment"} <= set(page.model.preview.errors)
    QTest.mouseClick(page.form.foot.reset, Qt.MouseButton.LeftButton)
    page.model.recompute()
    form = page.model.form
    assert (form.extra_flags, form.environment) == ("", "")
    assert form.weights_path != "/a/other.gguf"
    assert page.model.preview.errors == {}


def test_a_model_that_nobody_knows_is_never_started_from_the_file_of_another(qtbot: QtBot, dressed: object) -> None:
    small = tuple(spec for spec in catalogue() if spec.key.startswith("smollm2"))
    page = open_page(qtbot, LaunchDesk(answer, small, reference().engines))
    page.model.set_field("engine", "llamacpp")
    page.model.recompute()
    assert page.model.form.weights_path.endswith(".gguf")
    page.form.model_name.setFocus()
    page.form.model_name.selectAll()
    QTest.keyClicks(page.form.model_name, "unknown/Foo-7B")
    QTest.keyClick(page.form.model_name, Qt.Key.Key_Return)
    page.model.recompute()
    assert page.model.form.model == "unknown/Foo-7B"
    assert page.model.form.weights_path == ""
    assert page.model.preview.plan is None
    assert page.model.blocker()


@pytest.mark.parametrize(("asked", "kept"), [(0, 1), (-3, 1), (2_000_000, 1_000_000)])
def test_a_heap_of_tasks_stays_within_what_can_be_planned(opened: Open, asked: int, kept: int) -> None:
    page = opened(workload="coding")
    page.model.set_field("tasks", asked)
    assert page.model.form.tasks == kept


def use_all(page: LaunchPage) -> None:
    """Click the nodes that the best plan does without."""
    for chip in page.form.nodes.chips:
        if chip.node_id in page.model.form.pool and not chip.isChecked():
            QTest.mouseClick(chip, Qt.MouseButton.LeftButton)
    page.model.recompute()


def test_of_three_nodes_the_form_takes_those_of_the_first_rank_and_a_click_takes_all(opened: Open) -> None:
    page = opened(LLAMA, (0, 1, 2))
    first = next(row for row in page.model.rows if row.setup.engine.key in page.model.backends)
    assert len(first.place.nodes) == 2, "three nodes allow no tensor parallel: two are quicker"
    assert page.model.form.nodes == tuple(node.node_id for node in first.place.nodes)
    assert page.model.row is not None
    assert page.model.row.setup == first.setup
    assert page.form.nodes.spare.isVisible()
    assert page.form.nodes.spare.text().startswith("Dashed: not used by this plan")
    use_all(page)
    assert page.model.form.nodes == ("node0", "node1", "node2")
    assert not page.form.nodes.spare.isVisible()
    page.model.set_field("engine", "vllm")
    page.model.recompute()
    assert len(page.model.form.nodes) == 3, "what was clicked stays"


def test_every_way_to_divide_the_nodes_is_offered_and_what_cannot_be_says_why(opened: Open) -> None:
    page = opened(LLAMA, (0, 1, 2))
    use_all(page)
    parts = parts_of(page.form.split)
    assert list(parts) == ["TP 3", "PP 3", "DP 3"]
    assert not parts["TP 3"].isEnabled()
    assert "not 3" in parts["TP 3"].toolTip()
    assert parts["PP 3"].isEnabled()
    assert not parts["DP 3"].isEnabled(), "one user leaves two of three nodes idle"
    assert page.form.fields["parallelism"].error() == ""
    page.model.set_field("parallelism", Parallelism(3))
    page.model.recompute()
    assert "not 3" in page.form.fields["parallelism"].error(), "without pointing at it"


def test_splits_make_the_nodes_each_once() -> None:
    for count in range(1, 17):
        found = splits_of(count)
        assert {split.world_size for split in found} == {count}
        assert len(set(found)) == len(found)
        assert [split_of(key_of(split)) for split in found] == found
    assert splits_of(4)[:4] == [Parallelism(4), Parallelism(2, 2), Parallelism(1, 4), Parallelism(1, 1, 4)]


def check_plan_only(page: LaunchPage, why: str) -> None:
    """Nothing is red, the button says why, and the request can be written down."""
    assert not page.plan.launch.isEnabled()
    assert why in page.plan.launch.toolTip()
    assert (page.model.preview.verdict.text, page.model.preview.verdict.kind) == ("Plan only", "neutral")
    assert page.plan.chips[1].text() == "Plan only"
    assert page.form.fields["engine"].error() == page.form.fields["nodes"].error() == ""
    assert not any(severity == "error" for severity, *_ in page.plan.problems.lines())
    assert page.model.preview.request is not None, "it can be exported"


def test_an_engine_without_an_adapter_can_be_looked_at_but_not_launched(opened: Open) -> None:
    page = opened(LLAMA)
    page.form.engine.setCurrentIndex(page.form.engine.findData("trtllm"))
    page.model.recompute()
    assert page.form.engine.currentText() == "TensorRT-LLM"
    assert hints_of(page.model.form, page.model.backends, page.model.feeds.engines)["engine"] == "plan only"
    assert page.model.row is not None
    assert page.model.row.setup.engine.key == "trtllm"
    check_plan_only(page, "SparkDesk cannot start TensorRT-LLM yet")


def test_a_format_that_the_engine_does_not_run_is_off_with_the_reason(opened: Open) -> None:
    page = opened(LLAMA)
    page.model.set_field("engine", "vllm")
    page.model.recompute()
    offers = {offer.key: offer.reason for offer in page.model.offers("quantization")}
    assert offers["Q4_K_M"] == "vLLM does not run Q4_K_M. Choose another engine first."
    assert offers["NVFP4"] == ""
    page.model.set_field("engine", "llamacpp")
    page.model.recompute()
    assert page.model.form.quantization == "Q4_K_M", "a choice that is gone gives way to one that is there"


def test_several_nodes_are_planned_and_the_button_says_why_they_cannot_be_launched(opened: Open) -> None:
    page = opened(GPT, (0, 1))
    assert page.model.form.nodes == ("node0", "node1")
    assert page.model.row is not None
    assert len(page.model.row.place.nodes) == 2
    check_plan_only(page, "not built yet")
    page.model.set_field("port", "70000")
    page.model.recompute()
    assert page.model.preview.verdict.kind == "crit", "what is really wrong is still an error"
    assert page.model.blocker().startswith("Port: ")


def test_a_row_of_the_table_loads_into_the_form_and_the_table_stays(opened: Open) -> None:
    page = opened(GPT, (0, 1))
    rows = page.model.rows
    single = next(row for row in rows if len(row.place.nodes) == 1 and row.setup.engine.key == "vllm")
    page.model.choose_row(single)
    page.model.recompute()
    assert page.model.form.nodes == tuple(node.node_id for node in single.place.nodes)
    assert page.model.is_form(single)
    assert page.model.row is not None
    assert page.model.row.setup == single.setup
    assert [row.setup for row in page.model.rows] == [row.setup for row in rows]
    other = next(chip for chip in page.form.nodes.chips if chip.node_id in ("node0", "node1") and not chip.isChecked())
    assert "table still counts on it" in other.accessibleDescription()
    choose_nodes(page, 0, 1)
    assert set(page.model.form.nodes) == {"node0", "node1"}


def test_a_model_of_unknown_shape_hides_the_numbers_and_says_what_is_missing(opened: Open) -> None:
    page = opened(LLAMA)
    page.model.set_field("quantization", "FP8")
    page.form.model_name.selectAll()
    QTest.keyClicks(page.form.model_name, "someone/unheard-of")
    page.model.recompute()
    assert page.model.spec() is None
    assert (page.model.rows, page.model.row) == ((), None)
    assert "config.json" in page.model.rows_note
    assert page.model.form.quantization == "", "the format was one of the model before"
    assert page.model.preview.plan is not None
    assert "config.json" in page.form.shape.text()


def test_the_slider_offers_the_usual_lengths_up_to_what_the_model_was_made_for(opened: Open) -> None:
    page = opened()
    slider = page.form.context.slider
    slider.setValue(slider.maximum())
    assert page.model.form.context_tokens == "131,072"
    assert page.form.context.input.text() == "131,072"
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Left)
    assert page.model.form.context_tokens == "98,304"


def test_typing_asks_the_planner_once_when_it_rests(qtbot: QtBot, dressed: object) -> None:
    asked: list[int] = []

    def count(question: object) -> tuple[object, ...]:
        asked.append(1)
        return answer(question)  # type: ignore[arg-type]  # handed on

    page = open_page(qtbot, LaunchDesk(count, FEW[:1], reference().engines))  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: len(page.model.standings) == 1, timeout=3000)
    asked.clear()
    spy = QSignalSpy(page.model.rows_changed)
    click_text(page, "prompt", "123456")
    assert asked == [], "no figure is computed between two keys"
    qtbot.waitUntil(lambda: spy.count() == 1, timeout=3000)
    assert len(asked) <= 2


def test_a_plan_that_nobody_has_seen_is_not_launched(opened: Open) -> None:
    page = opened(GPT)
    asked = QSignalSpy(page.launch_asked)
    assert page.plan.launch.isEnabled()
    page.model.pick(next(spec.name for spec in FEW if spec.key == CODER))
    QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
    assert asked.count() == 0, "the form follows another best plan, which stands there only now"
    assert page.model.row is not None
    QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
    assert asked.count() == 1
    assert asked.at(0)[0] is page.model.preview.plan


def test_no_label_of_the_form_is_cut_with_everything_shown(opened: Open) -> None:
    page = opened(LLAMA, (0, 1, 2, 3), workload="coding")
    for name, value in (("context_tokens", "70,000"), ("concurrency", 9), ("kv_dtype", "fp8"), ("port", "9001")):
        page.model.set_field(name, value)
    page.model.recompute()
    QTest.qWait(50)
    assert not cut_labels(page.form)


def test_the_form_never_scrolls_sideways_in_the_least_window(opened: Open) -> None:
    page = opened(LLAMA)
    size = page_size(1100, 700)
    page.window().resize(*size)
    page.resize(*size)
    for name, value in (("concurrency", 9), ("kv_dtype", "fp8"), ("speculative", "ngram"), ("build", "tuned")):
        page.model.set_field(name, value)
    for name in ("prompt_tokens", "answer_tokens", "cached_percent", "context_tokens", "port"):
        page.model.set_field(name, "abc")
    page.model.recompute()
    QTest.qWait(30)
    (area,) = page.form.findChildren(QScrollArea)
    assert area.horizontalScrollBar().maximum() == 0
    assert cut_labels(page.form) == []
