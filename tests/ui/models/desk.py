"""The page of models over the rack, with the planner's own tables and catalogue or with those that a test brings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.planning.search.table import ModelRow, models_table
from sparkdesk.core.planning.setup import Setup
from tests.ui.launch.desk import node
from tests.ui.launch.real import catalogue, reference
from tests.ui.picture import host_page
from ui.models.cells import FIRST_COUNT
from ui.models.feeds import ModelsFeeds
from ui.models.model import ModelsModel
from ui.models.view import ModelsPage

TITLES = {"vllm": "vLLM", "llamacpp": "llama.cpp", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}


def specs(*keys: str) -> tuple[ModelSpec, ...]:
    """These models of the catalogue."""
    found = [find_model(catalogue(), key) for key in keys]
    return tuple(match.spec for match in found if match is not None)


class ModelsDesk:
    """Feeds of the page. `held` are hub ids whose files lie on every node."""

    def __init__(
        self, models: Sequence[ModelSpec], used_gib: Sequence[float] = (6.2, 6.2), held: Sequence[str] = ()
    ) -> None:
        self.contexts: Latest[tuple[NodeContext, ...]] = Latest(tuple(node(i, used) for i, used in enumerate(used_gib)))
        self.models = tuple(models)
        self.held = frozenset(held)
        self.asked: list[tuple[str, tuple[int, ...]]] = []
        self.remedies: list[tuple[str, int]] = []
        self.problem = ""
        self.learned: Latest[int] = Latest(0)
        self.correction: Correction | None = None

    def place(self, node_ids: tuple[str, ...]) -> Place:
        """These nodes."""
        known = {context.record.id: context for context in self.contexts.value}
        rooms = [NodeRoom(one, known[one].record.name, known[one].mem_total_bytes) for one in node_ids]
        return Place(
            tuple(
                replace(room, available_bytes=known[room.node_id].mem_available_bytes, held_repos=self.held)
                for room in rooms
            )
        )

    def row_for(self, spec: ModelSpec, place: Place, counts: tuple[int, ...]) -> ModelRow:
        """The planner itself."""
        self.asked.append((spec.key, counts))
        return models_table((spec,), place, reference(), counts, learned=self._learned)[0]

    def _learned(self, setup: Setup) -> Correction | None:
        found = self.correction
        return found if found is not None and found.model == setup.weights.repo else None

    def learn(self, correction: Correction, is_applied: bool = True) -> None:
        """Starts told this, or a person said whether it is applied."""
        self.correction = replace(correction, is_applied=is_applied)
        self.learned.set(self.learned.value + 1)

    def remedy(self, spec: ModelSpec, _place: Place, count: int) -> str:
        """Words of no planner."""
        self.remedies.append((spec.key, count))
        return f"What would fit: {count + 1} nodes."

    def feeds(self) -> ModelsFeeds:
        """What the page asks."""
        return ModelsFeeds(
            self.models,
            self.row_for,
            self.place,
            self.contexts,
            time.perf_counter,
            self.remedy,
            learned_changed=self.learned,
            set_learned=self.learn,
            engine_titles=TITLES,
            problem=self.problem,
        )


def open_models(qtbot: QtBot, desk: ModelsDesk, size: tuple[int, int] = (1232, 852)) -> ModelsPage:
    """The page, all of its models computed."""
    page = ModelsPage(ModelsModel(desk.feeds()))
    host = host_page(page, *size)
    qtbot.addWidget(host)
    host.activateWindow()
    qtbot.waitUntil(lambda: not page.model.is_computing, timeout=60_000)
    return page


def click(page: ModelsPage, key: str, count: int = 0) -> None:
    """Click a model's cell of a node count, or its name."""
    names = [entry.spec.key for entry in page.table.cells.entries]
    column = FIRST_COUNT + page.table.cells.counts.index(count) if count else 0
    index = page.table.cells.index(names.index(key), column)
    page.table.scrollTo(index)
    QTest.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=page.table.visualRect(index).center())
