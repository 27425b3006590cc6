"""The page of what these Sparks can run, joined with the planner, and its way to the launch page.

The one rule: it works without any node too; then its columns are of Sparks that nobody uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.app.planner import Planner
from sparkdesk.core.errors import PlanError, SettingsError
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import Place, widen_place
from sparkdesk.core.planning.search.combination import choose_nodes
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.table import ModelRow, models_table
from sparkdesk.core.planning.workload import CHAT
from ui.models.feeds import ModelsFeeds
from ui.models.model import ModelsModel
from ui.models.view import ModelsPage

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop


class ModelsPane:
    """Makes the page and answers it."""

    def __init__(self, desktop: Desktop, planner: Planner) -> None:
        self._stack = desktop.stack
        self._start = desktop.bridge.start
        self._planner = planner

    def make(self) -> ModelsPage:
        """The page; whoever makes it joins `plan_asked`."""
        return ModelsPage(ModelsModel(self._feeds()))

    def _feeds(self) -> ModelsFeeds:
        launcher, corrections, start = self._stack.launcher, self._stack.assessment.corrections, self._start
        problem, titles = "", dict[str, str]()
        try:
            titles = {key: profile.title for key, profile in self._planner.reference.engines.items()}
        except SettingsError as error:
            problem = error.sentence()
        return ModelsFeeds(
            catalogue=() if problem else launcher.catalogue,
            row_for=self._row_for,
            place=self._planner.place,
            contexts=launcher.node_contexts,
            clock_s=self._stack.clock.monotonic_s,
            remedy=self.remedy,
            refresh_memory=launcher.refresh_memory,
            learned_changed=corrections.changed,
            set_learned=lambda correction, is_applied: start(corrections.apply_correction, correction, is_applied),
            engine_titles=titles,
            problem=problem,
        )

    def _row_for(self, spec: ModelSpec, place: Place, counts: tuple[int, ...]) -> ModelRow:
        return models_table((spec,), place, self._planner.reference, counts, learned=self._planner.learned)[0]

    def remedy(self, spec: ModelSpec, place: Place, count: int) -> str:
        """What would make the model fit that does not fit on so many nodes; "" where the planner knows nothing."""
        question = Question(spec, CHAT, choose_nodes(widen_place(place, count), count))
        try:
            rows = self._planner.rows(question)
        except PlanError as error:
            return error.remedy
        return next((problem.remedy for row in rows for problem in row.problems if problem.remedy), "")
