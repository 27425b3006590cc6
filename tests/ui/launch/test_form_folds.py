"""What is folded in the launch form: made when it is opened first, and never out of sight when it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.switch import load_timeout_of
from tests.ui import rack
from tests.ui.launch.desk import LaunchDesk, choose_nodes
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.picture import cut_labels, host_page
from ui.launch.model import LaunchModel
from ui.launch.serving.fields import SERVING_FIELDS
from ui.launch.serving.section import CUSTOM_NAMES, SECTIONS, SPECULATION_NAMES
from ui.launch.view import LaunchPage

FEW = tuple(spec for spec in catalogue() if spec.key == "gpt-oss-120b")
FULL = LaunchRequest(
    engine="vllm",
    model="openai/gpt-oss-120b",
    nodes=("node1",),
    served_name="gpt",
    quantization="MXFP4",
    context_tokens=8192,
    memory_fraction=0.71,
    tool_parser="openai",
    reasoning_parser="openai_gptoss",
    attention_backend="TRITON_ATTN",
    prefix_caching=False,
    max_batched_tokens=8192,
    trust_remote_code=True,
    restart_limit=1,
    stop_after_s=7200,
    weights_from="hub",
    environment=(("A_B", "x y"),),
    system_prompt="Be brief.\nVery.",
    temperature=0.25,
)
Open = Callable[..., LaunchPage]


@pytest.fixture
def opened(qtbot: QtBot, dressed: object) -> Open:
    """Opens the page on a node; `found` is what the adapter says beside its own."""

    def open_one(*found: Problem, size: tuple[int, int] = (1232, 852)) -> LaunchPage:
        feeds = LaunchDesk(answer, FEW, reference().engines).feeds()
        page = LaunchPage(LaunchModel(replace(feeds, problems=lambda request: [*feeds.problems(request), *found])))
        qtbot.addWidget(host_page(page, *size))
        page.model.pick(FEW[0].name)
        choose_nodes(page, 1)
        page.model.set_field("engine", "vllm")
        page.model.recompute()
        return page

    return open_one


def plan_of(page: LaunchPage) -> LaunchPlan:
    assert page.model.preview.plan is not None, page.model.preview.errors
    return page.model.preview.plan


def test_no_folded_field_is_made_before_its_fold_is_opened(opened: Open) -> None:
    form = opened().form
    folded = {name for section in SECTIONS for name in section.names}
    assert not (folded | set(SPECULATION_NAMES) | set(CUSTOM_NAMES)) & form.fields.keys()
    QTest.mouseClick(form.serving.folds["life"].head, Qt.MouseButton.LeftButton)
    assert folded & form.fields.keys() == {"weights_from", "load_timeout_s", "restart_limit", "stop_after_s"}
    assert form.fields["restart_limit"].isVisible()
    assert form.fields["restart_limit"].editor.property("text") == "3", "and it says what the form says"


def test_a_request_comes_back_whole_whether_folds_were_opened_or_not(opened: Open) -> None:
    page = opened()
    page.load(FULL)
    page.model.recompute()
    touched = page.model.form.touched
    assert page.model.preview.request == FULL
    for key in ("engine", "chat", "life", "serving"):
        page.form.serving.folds[key].set_open(is_open=True)
    page.model.recompute()
    assert page.model.preview.request == FULL
    assert page.model.form.touched == touched, "to open is not to change"
    assert page.form.fields["temperature"].editor.property("text") == "0.25"
    page.form.serving.folds["chat"].set_open(is_open=False)
    page.load(FULL.model_copy(update={"temperature": None, "restart_limit": 0}))
    page.model.recompute()
    assert page.form.fields["temperature"].editor.property("text") == "", "what is folded again follows too"
    assert set(page.form.fields) >= set(SERVING_FIELDS) - {*SPECULATION_NAMES, *CUSTOM_NAMES}


def test_the_fields_of_a_custom_server_are_made_with_the_engine(opened: Open) -> None:
    page = opened()
    page.model.set_field("engine", "custom")
    entry = page.form.fields["custom_command"]
    assert entry.isVisible()
    page.model.set_field("custom_command", "python -m server --port {port}")
    assert entry.editor.property("plainText") == "python -m server --port {port}"
    page.model.set_field("engine", "vllm")
    page.model.set_field("custom_command", "")
    assert not entry.isVisible()


def test_a_warning_in_a_fold_marks_its_line_and_stands_at_its_field(opened: Open) -> None:
    words = "Warning of this test: TRITON_ATTN is slow here"
    page = opened(Problem(Severity.WARNING, words, "Choose FLASHINFER.", "attention_backend"))
    fold = page.form.serving.folds["engine"]
    assert not fold.is_open(), "a warning forbids nothing"
    assert fold.head.mark() == "warn"
    assert "a warning inside" in fold.head.accessibleName()
    fold.set_open(is_open=True)
    entry = page.form.fields["attention_backend"]
    assert entry.remark() == f"{words}. Choose FLASHINFER."
    assert entry.error() == ""
    assert entry.error_label().isVisible()
    assert page.form.serving.folds["life"].head.mark() == ""


def test_an_error_in_a_fold_that_was_never_opened_opens_it_and_marks_it_when_it_is_folded(opened: Open) -> None:
    page = opened(Problem(Severity.ERROR, "No such loader", "Choose another.", "load_format"))
    fold = page.form.serving.folds["engine"]
    assert fold.is_open()
    assert page.form.fields["load_format"].error() == "No such loader. Choose another."
    QTest.mouseClick(fold.head, Qt.MouseButton.LeftButton)
    page.model.recompute()
    assert not fold.is_open(), "who folds it has seen it"
    assert fold.head.mark() == "crit"


@pytest.mark.parametrize("size", [(1044, 652), (1232, 852)])
def test_a_flag_that_the_engine_does_not_know_is_said_at_the_field(opened: Open, size: tuple[int, int]) -> None:
    page = opened(size=size)
    known = Problem(Severity.WARNING, "vLLM has no flag --max-num-seq", "Did you mean --max-num-seqs?", "extra_flags")
    feeds = page.model.feeds
    page.model.feeds = replace(feeds, problems=lambda request: [*feeds.problems(request), known])
    page.model.set_field("extra_flags", "--max-num-seq 4")
    page.model.recompute()
    QTest.qWait(30)
    entry = page.form.fields["extra_flags"]
    said = entry.error_label()
    assert said.property("text") == "vLLM has no flag --max-num-seq. Did you mean --max-num-seqs?"
    assert said.isVisible()
    assert said.height() >= said.heightForWidth(said.width()), "whole, on as many lines as it needs"
    assert said.mapTo(page.form, said.rect().topRight()).x() <= page.form.width()
    assert entry.editor.accessibleDescription() == said.property("text")
    assert page.model.blocker() == "", "it may be a patched build"
    assert cut_labels(page.form) == []


def test_how_long_the_load_is_waited_for_goes_through_the_form_into_the_plan(opened: Open) -> None:
    page = opened()
    usual_s = load_timeout_of(plan_of(page).playbook)
    failed = rack.request(1, engine="vllm", model="openai/gpt-oss-120b", served_name="gpt")
    page.load_fix(failed, "Wait up to 40 minutes for it to load instead of 20", (), load_timeout_s=2400.0)
    page.model.recompute()
    assert load_timeout_of(plan_of(page).playbook) == 2400.0
    fold = page.form.serving.folds["life"]
    assert fold.is_open(), "what the fix changed is seen"
    assert "waits up to 40 min for the load" in fold.head.summary()
    entry = page.form.fields["load_timeout_s"]
    assert entry.editor.accessibleName() == "Wait for the load, changed by the fix"
    assert page.plan._reason.text() == "Waits up to 40 min for the load"
    entry.editor.setFocus()
    QTest.keyClick(entry.editor, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(entry.editor, "1 h")
    page.model.recompute()
    assert load_timeout_of(plan_of(page).playbook) == 3600.0
    page.model.reset("load_timeout_s")
    page.model.recompute()
    assert load_timeout_of(plan_of(page).playbook) == usual_s
    page.model.set_field("load_timeout_s", "long")
    page.model.recompute()
    assert entry.error().startswith("A time with its unit")


def test_an_engine_without_a_key_refuses_the_network_and_says_why_before_it_is_chosen(opened: Open) -> None:
    page = opened()
    refusal = "It has no key"
    feeds = page.model.feeds

    def problems(request: LaunchRequest) -> list[Problem]:
        found = [Problem(Severity.ERROR, refusal, "Keep it on the node.", "reach")] if request.reach == "lan" else []
        return [*found, *feeds.problems(request)]

    assert page.form.fields["reach"].remark() == ""
    page.model.set_field("reach", "lan")
    page.model.recompute()
    assert page.form.fields["reach"].remark().startswith("Whoever on the node's network has the key")
    page.model.set_field("reach", "node")
    page.model.reach._feeds = replace(feeds, problems=problems)
    page.model.reach._refusals.clear()
    page.model.recompute()
    offers = {offer.key: offer.reason for offer in page.model.offers("reach")}
    assert offers == {"node": "", "lan": refusal}
    assert page.form.fields["reach"].remark() == f"{refusal}."
