"""The planner of the window: its tables, read once when first asked, and the cluster as it is at this moment.

The one rule: it asks no node and no network; every answer is computed here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from sparkdesk.app.plan_data import load_reference
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.agent.plan import plan_agents
from sparkdesk.core.planning.agent.workload import AgentRun
from sparkdesk.core.planning.cost import Prices
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.search.table import Cell, models_table
from sparkdesk.core.planning.setup import Setup
from sparkdesk.services.planning.neighbourhood import Busyness
from sparkdesk.services.planning.places import Places

if TYPE_CHECKING:
    from sparkdesk.app.stack import Stack


class Planner:
    """What the launch page asks of the planner."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._launcher = stack.launcher
        records = self._records = stack.records
        self.places = Places(
            contexts=lambda: stack.launcher.node_contexts.value,
            topology=stack.fleet.topology.topology,
            jobs=stack.launcher.jobs,
            servers=stack.fleet.servers.servers,
            samples=lambda node_id: stack.telemetry.latest(node_id).value,
            busyness=Busyness(
                plan_of=stack.launcher.plan_of,
                bandwidth_of=records.bandwidths.of,
                server_reading=records.server_readings.newest,
                active_parameters_of=self._active_parameters,
            ),
            catalogue=stack.launcher.catalogue,
        )

    @cached_property
    def reference(self) -> Reference:
        """Devices, engines, measurements, calibration. Raises SettingsError."""
        return load_reference()

    def place(self, node_ids: tuple[str, ...]) -> Place:
        """These nodes, as they are now."""
        return self.places.place(node_ids)

    def rows(self, question: Question) -> tuple[PlanRow, ...]:
        """Every way to serve the model there, ranked."""
        prices = Prices(rates=self._records.energies.rates())
        return plan_rows(replace(question, prices=prices, whole=self.places.everything()), self.reference)

    def currency(self) -> str:
        """What the settings call the money of costs; "" is not said."""
        return self._records.energies.rates().currency

    def agent_run(self, row: PlanRow, tasks: int) -> AgentRun:
        """How long so many tasks take, as many at once as the row has users, and with other numbers at once."""
        return plan_agents(row, self.reference, tasks=tasks, concurrency=row.workload.users)

    def best_cell(self, spec: ModelSpec, place: Place) -> Cell:
        """What a model does there for one user, in short."""
        (row,) = models_table((spec,), place, self.reference, (len(place.nodes),), learned=self.learned)
        return row.cells[0]

    def learned(self, setup: Setup) -> Correction | None:
        """What starts of this very setup taught of its memory, on a real engine or on a simulated one as here."""
        cluster = self._stack.inventory.cluster.value
        is_simulated = cluster is not None and bool(cluster.engine_notes.get(setup.engine.key))
        return self._stack.assessment.corrections.for_setup(setup, is_simulated=is_simulated)

    def _active_parameters(self, job_id: str) -> float:
        plan = self._launcher.plan_of(job_id)
        match = find_model(self._launcher.catalogue, plan.request.model) if plan is not None else None
        if match is None:
            return math.nan
        active = match.spec.active_parameters or match.spec.parameters
        return math.nan if active is None else float(active)
