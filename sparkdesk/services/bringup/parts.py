"""What a bring-up stands on.

The one rule: the outside comes in here as callables; nothing below this reads a file or asks a person by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.ports import Store
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.tasks import Tasks

SaveFile = Callable[[Path | None, str, bytes], Awaitable[str]]
"""Writes a file of this name and gives its path. No folder: the application's own for reports. Raises SettingsError."""


@dataclass(frozen=True, slots=True)
class BringUpParts:
    """The services, and what the application knows besides them."""

    tasks: Tasks
    inventory: Inventory
    runs: PlaybookRuns
    """Over a runner that can sign in anew."""
    reader: Reader
    topology: TopologyWatch
    clock: Clock
    store: Store
    programs: Mapping[str, bytes]
    """Our programs for nodes, by the name of their module in remote/."""
    save_file: SaveFile
    torch_images: tuple[str, ...] = ()
    """Container images that are known to carry PyTorch, the best first."""
    busy: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Node id -> the names of jobs that run there."""
    in_use: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Node id -> what is reached there through the line that a fresh sign-in cuts."""
    obstacles: Callable[[], tuple[str, ...]] = tuple
    """Sentences: why nothing can be changed here at all."""
    fresh_s: float = 10.0
    """A plan that is older is compared with what the nodes say then, before it is applied."""
    plan: Callable[[Case, int], BringUpPlan] = make_plan
