"""The launch page with the real engine adapters: what is shown is what would run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from backends.llamacpp import LlamaCpp
from backends.vllm import Vllm
from sparkdesk.core.cluster.topology import Stranger, Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import Backend, NodeContext, PlanContext
from sparkdesk.core.jobs.plan import LaunchPlan, Problem
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec, WeightFormat
from tests.ui import rack
from tests.ui.picture import host_page, take_pictures
from tests.ui.test_launch_form import SPEC
from ui.launch.model import LaunchFeeds, LaunchModel
from ui.launch.view import LaunchPage

BIG = ModelSpec(
    name="openai/gpt-oss-120b",
    title="gpt-oss 120B",
    parameters=117_000_000_000,
    layers=(LayerGroup(LayerKind.FULL, 18, kv_heads=8, head_dim=64),),
    context_tokens=131_072,
    formats=(WeightFormat("MXFP4", 65_498_251_264, repo="openai/gpt-oss-120b", engines=("vllm",)),),
)
CATALOGUE = (SPEC, BIG)


def node(i: int, used_gib: float, ports: dict[int, str] | None = None) -> NodeContext:
    return NodeContext(
        rack.record(i),
        rack.status(i).facts,
        mem_total_bytes=rack.TOTAL,
        mem_available_bytes=rack.TOTAL - round(used_gib * rack.GIB),
        images=("nvcr.io/nvidia/vllm:26.05-py3",),
        weight_files={"/home/nvidia/models/SmolLM2-135M-Instruct.Q4_1.gguf": 98_362_432},
        used_ports=ports or {},
        programs={"llama-server": "/usr/bin/llama-server", "docker": "/usr/bin/docker"},
        home="/home/nvidia",
    )


RACK = (node(0, 93.8, {8080: "gpt-oss-120b"}), node(1, 6.2), node(2, 55.1), node(3, 9.6))


class Engines:
    """The real adapters behind the two calls that the page makes, as the launcher joins them."""

    def __init__(self, contexts: Sequence[NodeContext]) -> None:
        self.contexts: Latest[tuple[NodeContext, ...]] = Latest(tuple(contexts))
        self._backends: dict[str, Backend] = {"llamacpp": LlamaCpp(), "vllm": Vllm()}
        self._count = 0

    def _context(self, request: LaunchRequest) -> PlanContext:
        self._count += 1
        spec = next((spec for spec in CATALOGUE if spec.name == request.model), None)
        return PlanContext(f"job{self._count:013d}", "ada@desk", self.contexts.value, spec, job_program=b"#!/bin/sh\n")

    def problems(self, request: LaunchRequest) -> list[Problem]:
        return self._backends[request.engine].problems(request, self._context(request))

    def plan(self, request: LaunchRequest) -> LaunchPlan:
        return self._backends[request.engine].plan(request, self._context(request))

    def feeds(self) -> LaunchFeeds:
        infos = [backend.info for backend in self._backends.values()]
        return LaunchFeeds(infos, CATALOGUE, self.contexts, self.problems, self.plan, time.perf_counter)


def open_page(qtbot: QtBot, engines: Engines, **changes: object) -> LaunchPage:
    page = LaunchPage(LaunchModel(replace(engines.feeds(), **changes)))  # type: ignore[arg-type]  # by name
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    qtbot.waitUntil(lambda: page.model.preview.compute_ms > 0, timeout=3000)
    return page


@pytest.fixture
def page(qtbot: QtBot, dressed: object) -> LaunchPage:
    return open_page(qtbot, Engines(RACK))


def settle(page: LaunchPage) -> None:
    """Wait out the debounce."""
    QTest.qWait(160)


def test_the_page_opens_with_a_plan_that_fits(page: LaunchPage) -> None:
    assert page.model.preview.verdict.text == "Fits"
    assert page.plan.launch.text() == "Launch on spark-bd26"
    assert page.plan.launch.isEnabled()
    assert page.plan.commands.text().startswith("llama-server")
    assert "--model /home/nvidia/models/SmolLM2-135M-Instruct.Q4_1.gguf" in page.plan.commands.text()


def chips(page: LaunchPage) -> list[str]:
    return [chip.node_id for chip in page.form.nodes.chips if not chip.isHidden()]


def test_nodes_are_offered_in_the_order_of_their_cables_and_strangers_never(qtbot: QtBot, dressed: object) -> None:
    topology: Latest[Topology] = Latest(Topology())
    page = open_page(qtbot, Engines(RACK), topology=topology)
    assert chips(page) == ["node0", "node1", "node2", "node3"]
    stranger = Stranger("02:00:00:00:00:07", "storage")
    topology.set(Topology(rank_order=("node2", "node0", "gone", "node3"), strangers=(stranger,)))
    assert chips(page) == ["node2", "node0", "node3", "node1"], "whom no cable was seen of comes last"


def test_a_launch_on_several_nodes_has_their_ranks_by_cable_however_they_were_chosen(
    qtbot: QtBot, dressed: object
) -> None:
    topology = Latest(Topology(rank_order=("node3", "node1", "node0", "node2")))
    engines = Engines(RACK)
    infos = [replace(info, parallelisms=("single", "tensor")) for info in engines.feeds().backends]
    page = open_page(qtbot, engines, topology=topology, backends=infos)
    page.model.set_field("nodes", ())
    for node_id in ("node0", "node1", "node2", "node3"):
        page.model.toggle_node(node_id)
    assert page.model.form.nodes == ("node3", "node1", "node0", "node2")
    topology.set(Topology(rank_order=("node0", "node1", "node2", "node3")))
    settle(page)
    assert page.model.form.nodes == ("node0", "node1", "node2", "node3")
    assert page.model.preview.request is not None
    page.model.load(page.model.preview.request.model_copy(update={"nodes": ("node2", "node0")}))
    settle(page)
    assert page.model.preview.request.nodes == ("node0", "node2"), "also of a recipe for other cables"


def test_typing_a_port_changes_the_command(page: LaunchPage) -> None:
    page.form.port.selectAll()
    QTest.keyClicks(page.form.port, "9090")
    settle(page)
    assert "--port 9090" in page.plan.commands.text()
    assert page.model.form.served_name == "smollm2-135m-instruct"


def test_many_keys_make_one_computation(page: LaunchPage) -> None:
    spy = QSignalSpy(page.model.preview_changed)
    page.form.served.selectAll()
    QTest.keyClicks(page.form.served, "a-long-name-for-it")
    settle(page)
    assert spy.count() == 1


def test_an_error_stands_under_its_field_and_the_button_says_why(page: LaunchPage) -> None:
    page.form.port.selectAll()
    QTest.keyClicks(page.form.port, "80")
    settle(page)
    assert page.form.fields["port"].error() == "At least 1,024"
    assert not page.plan.launch.isEnabled()
    assert page.plan.launch.toolTip().count("Port: At least 1,024") == 1
    assert page.model.preview.verdict.text == "1 error"


def test_a_port_that_is_held_is_said_with_who_holds_it(page: LaunchPage) -> None:
    page.model.set_field("nodes", ("node0",))
    page.model.set_field("port", "8080")
    settle(page)
    assert page.form.fields["port"].error() == ("Port 8080 is in use on spark-5c2d by gpt-oss-120b. Take port 8081.")


def test_a_node_is_chosen_by_its_chip(page: LaunchPage) -> None:
    chip = page.form.nodes.chips[2]
    assert chip.accessibleName() == "spark-afe0, 66.5 GiB free"
    QTest.mouseClick(page.form.nodes.chips[1], Qt.MouseButton.LeftButton)
    QTest.mouseClick(chip, Qt.MouseButton.LeftButton)
    settle(page)
    assert page.model.form.nodes == ("node2",)
    assert page.plan.launch.text() == "Launch on spark-afe0"
    assert [c.isChecked() for c in page.form.nodes.chips] == [False, False, True, False]


def test_what_leaves_the_node_too_little_needs_launch_anyway(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, Engines((node(0, 93.8), node(1, 6.2), node(2, 32.0), node(3, 9.6))))
    page.model.pick(BIG.name)
    page.model.set_field("nodes", ("node0",))
    settle(page)
    assert page.model.preview.verdict.text == "1 error", "the engine itself would stop: nobody can mean that"
    assert not page.plan.anyway.isVisible()
    page.model.set_field("nodes", ("node2",))
    settle(page)
    assert page.model.preview.verdict.text == "Risky", page.model.preview.errors
    assert not page.plan.launch.isEnabled()
    assert page.plan.anyway.isVisible()
    QTest.mouseClick(page.plan.anyway, Qt.MouseButton.LeftButton)
    assert page.plan.launch.isEnabled()
    page.model.set_field("nodes", ("node1",))
    settle(page)
    assert not page.model.is_anyway, "another node is another risk"


def test_exactly_what_is_shown_is_launched_once(page: LaunchPage) -> None:
    spy = QSignalSpy(page.launch_asked)
    shown = page.model.preview.plan
    QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
    QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
    assert spy.count() == 1
    assert spy.at(0)[0] is shown
    page.end_launch()
    again = page.model.preview.plan
    assert again is not None
    assert shown is not None
    assert again.job_id != shown.job_id, "the next launch is another job"


def test_a_refused_launch_says_why_and_gives_the_form_back(page: LaunchPage) -> None:
    QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
    page.end_launch("spark-bd26 is gone", "Wait until it is live.")
    assert page.banner.title() == "spark-bd26 is gone"
    assert page.plan.launch.isEnabled()


def test_every_step_can_be_opened_and_read_whole(page: LaunchPage) -> None:
    steps = page.plan.steps
    assert steps.topLevelItemCount() == 4
    first = steps.topLevelItem(0)
    assert first is not None
    words = [first.child(i).text(0) for i in range(first.childCount()) if first.child(i)]  # type: ignore[union-attr]
    assert any(line.startswith("write ~/.local/state/sparkdesk/jobs/") for line in words)
    first.setExpanded(True)
    page.model.set_field("port", "9091")
    settle(page)
    again = steps.topLevelItem(0)
    assert again is not None
    assert again.isExpanded(), "what was open stays open when the plan changes"


def test_the_commands_can_be_copied(page: LaunchPage) -> None:
    page.plan.commands.copy_text()
    assert QGuiApplication.clipboard().text() == page.plan.commands.text()


def test_the_catalogue_says_what_fits_now(qtbot: QtBot, page: LaunchPage) -> None:
    qtbot.waitUntil(lambda: len(page.model.standings) == len(CATALOGUE), timeout=3000)
    QTest.qWait(20)
    rows = [page.catalogue.entries.index(i).data() for i in range(2)]
    assert rows == [
        "SmolLM2 135M Instruct, Q4_1 · llama.cpp · 98.4 MB, Fits, on all 4 nodes",
        "gpt-oss 120B, MXFP4 · vLLM · 65.5 GB, Fits",
    ]


def test_the_catalogue_is_searched_and_picked_by_keyboard(page: LaunchPage) -> None:
    QTest.keyClicks(page.catalogue.search, "oss")
    assert page.catalogue.entries.rowCount() == 1
    page.catalogue.list.setFocus()
    QTest.keyClick(page.catalogue.list, Qt.Key.Key_Down)
    QTest.keyClick(page.catalogue.list, Qt.Key.Key_Return)
    settle(page)
    assert page.model.form.model == BIG.name
    assert page.model.form.engine == "vllm"
    assert not page.form.fields["weights_path"].isVisible()


def test_a_model_that_is_not_in_the_catalogue_is_not_guessed_at(page: LaunchPage) -> None:
    page.model.set_field("model", "someone/unheard-of")
    page.model.set_field("engine", "vllm")
    settle(page)
    assert page.model.spec() is None
    assert page.model.preview.plan is not None
    assert page.model.preview.plan.ledgers[0].weights_bytes is None


def test_without_a_live_node_the_page_says_so(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, Engines(()))
    assert page.model.preview.errors["nodes"] == "Choose a node"
    assert not page.plan.launch.isEnabled()


def test_a_node_that_comes_later_is_taken(qtbot: QtBot, dressed: object) -> None:
    engines = Engines(())
    page = open_page(qtbot, engines)
    engines.contexts.set(RACK)
    settle(page)
    assert page.model.form.nodes == ("node1",)
    assert page.plan.launch.isEnabled()


def test_a_failed_launch_comes_back_into_the_form(page: LaunchPage) -> None:
    page.load(rack.request(2, port=8099, extra_flags=("--verbose",)))
    settle(page)
    assert (page.form.port.text(), page.form.flags.toPlainText()) == ("8099", "--verbose")
    assert page.plan.launch.text() == "Launch on spark-afe0"


def test_no_engine_at_all_is_said(qtbot: QtBot, dressed: object) -> None:
    feeds = replace(Engines(RACK).feeds(), backends=(), broken_backends=("other: no module named x",))
    page = LaunchPage(LaunchModel(feeds))
    qtbot.addWidget(host_page(page, 1232, 852))
    assert page.banner.title() == "An engine adapter could not be loaded"


def test_pictures_of_the_page(page: LaunchPage) -> None:
    settle(page)
    take_pictures(page, "launch")


def test_pictures_of_a_plan_that_is_too_big(page: LaunchPage) -> None:
    page.model.pick(BIG.name)
    page.model.set_field("nodes", ("node0",))
    settle(page)
    item = page.plan.steps.topLevelItem(1)
    assert item is not None
    item.setExpanded(True)
    take_pictures(page, "launch-big")


def test_pictures_of_errors(page: LaunchPage) -> None:
    page.model.set_field("port", "80")
    page.model.set_field("context_tokens", "x")
    page.model.set_field("environment", "FOO")
    settle(page)
    take_pictures(page, "launch-errors")


def test_a_page_that_is_shown_again_tells_the_memory_of_now(qtbot: QtBot, dressed: object) -> None:
    engines = Engines(RACK)
    full = replace(RACK[0], mem_available_bytes=2 * 2**30)
    feeds = replace(engines.feeds(), refresh_memory=lambda: engines.contexts.set((full, *RACK[1:])))
    page = LaunchPage(LaunchModel(feeds))
    qtbot.addWidget(host_page(page, 1232, 852))
    qtbot.waitUntil(lambda: page.form.nodes.chips[0].accessibleName() == "spark-5c2d, 2.0 GiB free", timeout=3000)
