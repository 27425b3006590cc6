"""Where adding the first node, or starting the simulation, stands.

Rule: QtCore only. The application moves it on; the page shows it. A changed host key has no way to be accepted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, Signal

TrustStage = Literal["none", "checking", "unknown_key", "changed_key", "password", "signing_in", "failed"]
SimulationStage = Literal["idle", "starting", "failed"]
SignIn = Literal["automatic", "password"]


@dataclass(frozen=True, slots=True)
class Trust:
    """One attempt to add a node. Fingerprints are written "SHA256:..."; `error` is about the password only."""

    stage: TrustStage = "none"
    host: str = ""
    port: int = 22
    user: str = ""
    fingerprint: str = ""
    pinned_fingerprint: str = ""
    error: str = ""
    message: str = ""
    remedy: str = ""
    detail: str = ""


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
    takes the path of the key file chosen. `add_requested` carries address, port, user and sign-in for who listens to
    the dialog of `Trust`.
    """

    start_simulation = Signal()
    find_wanted = Signal()
    who_given = Signal(object)
    key_file_wanted = Signal(object)
    add_requested = Signal(str, int, str, str)
    trust_given = Signal()
    password_given = Signal(str)
    cancelled = Signal()
    shortcuts_wanted = Signal()
    trust_changed = Signal()
    simulation_changed = Signal()

    def __init__(self, *, local_user: str = "", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.local_user = local_user
        self.trust = Trust()
        self.simulation = SimulationStart()

    def set_trust(self, trust: Trust) -> None:
        """Show where the attempt stands; `Trust()` ends it and closes the dialog."""
        self.trust = trust
        self.trust_changed.emit()

    def set_simulation(self, start: SimulationStart) -> None:
        """Show how far the simulated cluster is."""
        self.simulation = start
        self.simulation_changed.emit()
