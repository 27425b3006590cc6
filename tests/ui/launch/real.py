"""The launch page with the planner's own tables and catalogue: what a person would see of these models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pytestqt.qtbot import QtBot

from sparkdesk.core.models.catalogue import find_model, read_catalogue
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.agent.plan import plan_agents
from sparkdesk.core.planning.agent.workload import AgentRun
from sparkdesk.core.planning.place import Neighbour, Place
from sparkdesk.core.planning.reference import FILES, Reference, read_reference
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.search.table import Cell, models_table
from tests.ui.launch.desk import LaunchDesk, choose_nodes, open_page, settle
from ui.launch.view import LaunchPage

_RESOURCES = Path(__file__).resolve().parents[3] / "resources"


@lru_cache(maxsize=1)
def reference() -> Reference:
    """The tables that ship."""
    return read_reference({stem: (_RESOURCES / "planning" / f"{stem}.toml").read_bytes() for stem in FILES})


@lru_cache(maxsize=1)
def catalogue() -> tuple[ModelSpec, ...]:
    """The models that ship."""
    return read_catalogue((_RESOURCES / "catalogue" / "models.toml").read_bytes())


def answer(question: Question) -> tuple[PlanRow, ...]:
    """The planner itself."""
    return plan_rows(question, reference())


def best_cell(spec: ModelSpec, place: Place) -> Cell | None:
    """The planner's own quick word for the catalogue's list."""
    return models_table((spec,), place, reference(), (len(place.nodes),))[0].cells[0]


def agent_run(row: PlanRow, tasks: int) -> AgentRun:
    """So many tasks of the row's workload, as many at once as it has users."""
    return plan_agents(row, reference(), tasks=tasks, concurrency=row.workload.users)


def open_real(
    qtbot: QtBot,
    specs: Sequence[ModelSpec],
    used_gib: Sequence[float] = (6.2, 6.2, 6.2, 6.2),
    neighbours: tuple[Neighbour, ...] = (),
) -> LaunchPage:
    """The page over the planner itself, with these models."""
    desk = LaunchDesk(answer, specs, reference().engines, used_gib, neighbours)
    desk.best_cell = best_cell
    desk.agent_run = agent_run
    return open_page(qtbot, desk)


def show_model(
    page: LaunchPage, key: str, nodes: Sequence[int], workload: str = "chat", quantization: str = ""
) -> None:
    """Choose this model on these nodes."""
    found = find_model(catalogue(), key)
    assert found is not None, key
    page.model.pick(found.spec.name)
    page.model.choose_workload(workload)
    choose_nodes(page, *nodes)
    if quantization:
        page.model.set_field("quantization", quantization)
    settle(page)
