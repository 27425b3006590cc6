"""The launch page over the rack of four nodes, with whatever planner a test brings; the adapters are the real ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from backends.llamacpp import LlamaCpp
from backends.vllm import Vllm
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import Backend, NodeContext, PlanContext
from sparkdesk.core.jobs.plan import LaunchPlan, Problem
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.agent.workload import AgentRun
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.table import Cell
from sparkdesk.core.planning.setup import EngineProfile
from tests.ui import rack
from tests.ui.picture import host_page
from ui.launch.model import LaunchFeeds, LaunchModel
from ui.launch.view import LaunchPage


def node(i: int, used_gib: float) -> NodeContext:
    """Node `i` of the rack with so much of its memory in use."""
    return NodeContext(
        rack.record(i),
        rack.status(i).facts,
        mem_total_bytes=rack.TOTAL,
        mem_available_bytes=rack.TOTAL - round(used_gib * rack.GIB),
        images=("nvcr.io/nvidia/vllm:26.05-py3",),
        programs={"llama-server": "/usr/bin/llama-server", "docker": "/usr/bin/docker"},
        home="/home/nvidia",
    )


class LaunchDesk:
    """Feeds of the launch page. `used_gib` is by node; `neighbours` run there already; `more` are
    adapters beside the two."""

    def __init__(
        self,
        planner: Callable[[Question], tuple[PlanRow, ...]],
        catalogue: Sequence[ModelSpec],
        engines: Mapping[str, EngineProfile],
        used_gib: Sequence[float] = (6.2, 6.2, 6.2, 6.2),
        neighbours: tuple[Neighbour, ...] = (),
        more: Sequence[Backend] = (),
    ) -> None:
        self.contexts = Latest(tuple(node(i, used) for i, used in enumerate(used_gib)))
        self._planner = planner
        self._catalogue = tuple(catalogue)
        self._engines = engines
        self._neighbours = neighbours
        self._backends: dict[str, Backend] = {"vllm": Vllm(), "llamacpp": LlamaCpp()}
        self._backends |= {backend.info.key: backend for backend in more}
        self._count = 0
        self.best_cell: Callable[[ModelSpec, Place], Cell | None] | None = None
        self.refresh_memory: Callable[[], None] = lambda: None
        self.agent_run: Callable[[PlanRow, int], AgentRun | None] = lambda _row, _tasks: None

    def _context(self, request: LaunchRequest) -> PlanContext:
        self._count += 1
        match = find_model(self._catalogue, request.model)
        spec = match.spec if match is not None else None
        return PlanContext(f"job{self._count:013d}", "ada@desk", self.contexts.value, spec, job_program=b"#!/bin/sh\n")

    def _problems(self, request: LaunchRequest) -> list[Problem]:
        return self._backends[request.engine].problems(request, self._context(request))

    def _plan(self, request: LaunchRequest) -> LaunchPlan:
        return self._backends[request.engine].plan(request, self._context(request))

    def place(self, node_ids: tuple[str, ...]) -> Place:
        """The chosen nodes as they are now."""
        known = {context.record.id: context for context in self.contexts.value}
        rooms = tuple(
            NodeRoom(
                node_id,
                known[node_id].record.name,
                known[node_id].mem_total_bytes,
                known[node_id].mem_available_bytes,
            )
            for node_id in node_ids
        )
        there = tuple(each for each in self._neighbours if set(each.node_ids) & set(node_ids))
        return Place(rooms, neighbours=there)

    def feeds(self) -> LaunchFeeds:
        """What the page asks."""
        return LaunchFeeds(
            [backend.info for backend in self._backends.values()],
            self._catalogue,
            self.contexts,
            self._problems,
            self._plan,
            time.perf_counter,
            engines=self._engines,
            place=self.place,
            plan_rows=self._planner,
            best_cell=self.best_cell,
            refresh_memory=lambda: self.refresh_memory(),
            agent_run=self.agent_run,
        )


def open_page(qtbot: QtBot, desk: LaunchDesk, size: tuple[int, int] = (1232, 852)) -> LaunchPage:
    """The page, its first plan computed."""
    page = LaunchPage(LaunchModel(desk.feeds()))
    host = host_page(page, *size)
    qtbot.addWidget(host)
    host.activateWindow()
    page.model.recompute()
    return page


def choose_nodes(page: LaunchPage, *numbers: int) -> None:
    """Choose these nodes and no other."""
    wanted = {f"node{i}" for i in numbers}
    for node_id in (context.record.id for context in page.model.feeds.ranked_contexts()):
        if (node_id in page.model.form.nodes) is not (node_id in wanted):
            page.model.toggle_node(node_id)
    page.model.recompute()


def settle(page: LaunchPage) -> None:
    """Let layouts come to rest."""
    page.model.recompute()
    QTest.qWait(30)
