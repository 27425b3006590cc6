"""Launching in another server's place, following a fix, and the way out of a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.place import Neighbour
from sparkdesk.core.step import Playbook
from tests.ui import rack
from tests.ui.launch.desk import LaunchDesk, choose_nodes
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.picture import cut_labels, host_page
from ui.launch.feeds import LaunchFeeds
from ui.launch.model import LaunchModel
from ui.launch.occasion.occasion import RunningJob, without_job
from ui.launch.view import LaunchPage

GPT = "gpt-oss-120b"
FEW = tuple(spec for spec in catalogue() if spec.key in (GPT, "gpt-oss-20b"))
HOLDER = RunningJob("job1", "llama-3.3-70b", ("node1",))
HELD = Neighbour("job1", HOLDER.title, HOLDER.node_ids, 100.0, 10.0, 30 * rack.GIB)
FULL = Problem(Severity.ERROR, "Port 8000 is in use on spark-bd26 by llama-3.3-70b", "Take port 8001.", "port")


class SwitchDesk:
    """Feeds where a port is held by a server of ours until that is stopped."""

    def __init__(self, problems: tuple[Problem, ...] = (FULL,)) -> None:
        self.desk = LaunchDesk(answer, FEW, reference().engines, (6.2, 40.0, 6.2, 6.2), (HELD,))
        self.found = list(problems)
        self.planned: list[str] = []
        self.steps: list[Playbook] = []

    def feeds(self) -> LaunchFeeds:
        """What the page asks."""
        plain = self.desk.feeds()

        def plan(job_id: str, request: LaunchRequest) -> LaunchPlan:
            self.planned.append(job_id)
            return plain.plan(request)

        return replace(
            plain,
            problems=lambda request: [*plain.problems(request), *self.found],
            problems_without=lambda request, _job: plain.problems(request),
            switch_plan=plan,
            jobs_to_replace=lambda: (HOLDER,),
            show_playbook=self.steps.append,
        )


Open = Callable[..., LaunchPage]


@pytest.fixture
def opened(qtbot: QtBot, dressed: object) -> Open:
    """Opens the page on the node where a server of ours runs."""

    def open_one(desk: SwitchDesk) -> LaunchPage:
        page = LaunchPage(LaunchModel(desk.feeds()))
        host = host_page(page, 1232, 852)
        qtbot.addWidget(host)
        page.model.pick(next(spec.name for spec in FEW if spec.key == GPT))
        choose_nodes(page, 1)
        page.model.set_field("engine", "vllm")
        page.model.recompute()
        return page

    return open_one


def press(page: LaunchPage, words: str) -> None:
    QTest.qWait(20)  # what was there before goes with the loop's next turn
    button = next(each for each in page.findChildren(QPushButton) if each.text() == words and each.isVisible())
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    page.model.recompute()


def test_a_launch_takes_another_servers_place_in_one_plan_and_says_so(opened: Open) -> None:
    desk = SwitchDesk()
    page = opened(desk)
    assert page.model.preview.plan is None
    assert page.model.preview.replaceable == (HOLDER,)
    press(page, "Launch in place of llama-3.3-70b")
    assert page.switch_strip.isVisible()
    assert page.switch_strip.title() == "Takes the place of llama-3.3-70b: it is stopped first"
    assert page.model.preview.errors == {}
    assert desk.planned == ["job1"]
    assert page.model.row is not None
    assert page.model.row.place.neighbours == (), "the speed is that without it"
    asked = QSignalSpy(page.launch_asked)
    page.model.launch()
    assert (asked.count(), page.model.blocker()) == (1, "The launch is being written down")
    page.end_launch("The node is gone", "Wait for it.")
    assert page.switch_strip.isVisible(), "a refused launch is still that launch"
    page.end_launch()
    assert not page.switch_strip.isVisible(), "the next launch is a plain one"


def test_cancel_leaves_the_running_server_alone(opened: Open) -> None:
    page = opened(SwitchDesk())
    page.model.switching("job1")
    page.model.recompute()
    press(page, "Cancel")
    assert page.model.occasion.stop_job_id == ""
    assert not page.switch_strip.isVisible()
    assert "port" in page.model.preview.errors


def test_a_job_that_is_gone_is_not_replaced(opened: Open) -> None:
    page = opened(SwitchDesk())
    page.model.switching("nobody")
    assert page.model.occasion.stop_job_id == ""


def test_a_leaving_server_gives_back_what_it_holds_and_never_more_than_there_is() -> None:
    desk = SwitchDesk().desk
    place = desk.place(("node0", "node1"))
    freed = without_job(place, "job1")
    before, after = (each.nodes[1].available_bytes for each in (place, freed))
    assert before is not None
    assert after == before + 30 * rack.GIB
    assert freed.nodes[0] == place.nodes[0]
    assert freed.neighbours == ()
    huge = replace(place, neighbours=(replace(HELD, bytes_held=900 * rack.GIB),))
    assert without_job(huge, "job1").nodes[1].available_bytes == rack.TOTAL


def test_a_fix_fills_the_form_says_what_was_changed_and_marks_it_until_it_is_edited(opened: Open) -> None:
    page = opened(SwitchDesk(()))
    failed = rack.request(1, engine="vllm", model="openai/gpt-oss-120b", context_tokens=11_296)
    page.load_fix(failed, "Context 131,072 -> 11,296: the engine's own estimate", ["context_tokens"])
    page.model.recompute()
    entry = page.form.fields["context_tokens"]
    assert page.fix_strip.isVisible()
    assert page.fix_strip.title() == "Context 131,072 -> 11,296: the engine's own estimate"
    assert entry.editor.accessibleName() == "Context per request, changed by the fix"
    assert page.model.preview.request is not None
    assert page.model.preview.request.context_tokens == 11_296
    page.model.set_field("context_tokens", "12000")
    assert entry.editor.accessibleName() == "Context per request, changed"
    assert cut_labels(page.form) == []


def test_a_fix_that_stops_a_neighbour_is_a_switch(opened: Open) -> None:
    page = opened(SwitchDesk())
    request = page.model.preview.request
    assert request is not None
    page.load_fix(request, "Stop llama-3.3-70b first", (), "job1")
    page.model.recompute()
    assert page.switch_strip.isVisible()
    assert page.fix_strip.isVisible()


def test_the_next_free_port_is_one_click(opened: Open) -> None:
    desk = SwitchDesk(())
    held = tuple(replace(node, used_ports={8000: "python3", 8001: "nginx"}) for node in desk.desk.contexts.value)
    desk.desk.contexts.set(held)
    page = opened(desk)
    page.model.set_field("port", "8000")
    page.model.recompute()
    assert "port" in page.model.preview.errors
    press(page, "Take port 8002")
    assert page.model.form.port == "8002"
    assert page.form.port.text() == "8002"
    assert "port" not in page.model.preview.errors


def test_a_large_page_cache_offers_the_step_that_drops_it(opened: Open) -> None:
    cache = Problem(Severity.NOTE, "Files hold 40 GiB of memory as page cache", "Give it back.", "page_cache")
    desk = SwitchDesk((cache,))
    page = opened(desk)
    press(page, "Drop the page cache first")
    (shown,) = desk.steps
    assert shown.stages[0].steps[0].node == "node1"


def test_an_error_inside_a_fold_opens_it(opened: Open) -> None:
    page = opened(SwitchDesk(()))
    fold = page.form.serving.folds["life"]
    assert not fold.is_open()
    page.model.set_field("stop_after_s", "8")
    page.model.recompute()
    assert fold.is_open()
    assert page.form.fields["stop_after_s"].error().startswith("A time with its unit")
    assert not page.form.serving.folds["engine"].is_open()


def test_the_parsers_that_fit_are_chosen_and_said_to_be_suggested(opened: Open) -> None:
    page = opened(SwitchDesk(()))
    request = page.model.preview.request
    assert request is not None
    assert (request.tool_parser, request.reasoning_parser) == ("openai", "openai_gptoss")
    assert "tools openai, reasoning openai_gptoss" in page.form.serving.folds["serving"].head.summary()
    assert "tool_parser" not in page.model.changed_fields()
    page.model.set_field("tool_parser", "")
    page.model.recompute()
    assert page.model.preview.request is not None
    assert page.model.preview.request.tool_parser == "", "none is a choice too"
    assert "tool_parser" in page.model.changed_fields()


def test_an_engine_that_does_not_serve_the_purpose_says_so_in_the_list(opened: Open) -> None:
    page = opened(SwitchDesk(()))
    docker_down = tuple(replace(node, docker_problem="down") for node in page.model.feeds.contexts.value)
    page.model.feeds.contexts.set(docker_down)
    page.model.set_field("engine", "llamacpp")
    offers = {offer.key: offer.reason for offer in page.model.offers("engine")}
    assert "docker" in offers["vllm"].lower()
    assert offers["llamacpp"] == "", "the one that is chosen stays"


def test_the_names_of_ollama_stand_where_its_models_are_named(opened: Open) -> None:
    page = opened(SwitchDesk(()))
    page.model.set_field("engine", "ollama")
    assert page.form.served.accessibleName() == "Ollama model"
    for fold in page.form.serving.folds.values():
        fold.set_open(is_open=True)
    assert not page.form.fields["image"].isVisible()
    assert not page.form.fields["extra_flags"].isVisible()


def test_a_gated_model_leads_to_where_the_token_is_given(opened: Open) -> None:
    desk = SwitchDesk(())
    page = opened(desk)
    shown: list[str] = []
    page.model.feeds = replace(page.model.feeds, show_settings=lambda: shown.append("settings"))
    page.model.set_field("model", "example/gated")
    answered = tuple(replace(node, hub_answers={"example/gated": "no_token"}) for node in desk.desk.contexts.value)
    desk.desk.contexts.set(answered)
    page.model.recompute()
    assert "(401)" in page.form.fields["model"].error()
    press(page, "Open Settings")
    assert shown == ["settings"]
    desk.desk.contexts.set(tuple(replace(node, hub_answers={"example/gated": "missing"}) for node in answered))
    page.model.recompute()
    found = [mend.label for mends in page.model.mends().values() for mend in mends]
    assert "Open Settings" not in found, "no token makes a model exist"
