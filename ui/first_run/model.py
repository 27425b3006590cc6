"""What a person wants of the first page, and how far the start of the simulation is.

Rule: QtCore only. The application moves it on; the page shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, Signal

SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("4 nodes around a switch", ()),
    ("3 nodes in a ring", ("--shape", "ring")),
    ("2 nodes, one cable", ("--shape", "pair")),
    ("1 node", ("--nodes", "1")),
    ("8 nodes around a switch", ("--nodes", "8")),
)
"""What can be tried, and the simulator's words for it; the first is what the card offers."""

SimulationStage = Literal["idle", "starting", "failed"]


@dataclass(frozen=True, slots=True)
class SimulationStart:
    """How far the simulated cluster is; `progress` is one line ("2 of 4 nodes are up")."""

    stage: SimulationStage = "idle"
    progress: str = ""
    message: str = ""
    remedy: str = ""
    detail: str = ""


class FirstRunModel(QObject):
    """The page emits what the person wants; the application answers with the setters.

    `who_given` carries the `Who` of the form; `find_wanted` opens the search. `key_file_wanted` carries a function that
    takes the path of the key file chosen. `start_simulation` carries the simulator's words for the shape.
    """

    start_simulation = Signal(object)
    find_wanted = Signal()
    who_given = Signal(object)
    key_file_wanted = Signal(object)
    shortcuts_wanted = Signal()
    simulation_changed = Signal()

    def __init__(self, *, local_user: str = "", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.local_user = local_user
        self.simulation = SimulationStart()

    def set_simulation(self, start: SimulationStart) -> None:
        """Show how far the simulated cluster is."""
        self.simulation = start
        self.simulation_changed.emit()
