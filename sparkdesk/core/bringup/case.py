"""What a bring-up's plan is made of: readings, cabling, what the person chose. Chapters are functions of it.

The one rule: the same case gives the same plan, byte for byte; what is random (`mark`) or read comes in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.cluster.topology import Topology

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose. `chapters` empty: all of them; values of Chapter."""

    chapters: frozenset[str] = frozenset()
    wants_guard: bool = False
    """The memory guard is optional."""
    image: str = ""
    """The image that the all_gather proof runs in; "" names none."""
    picks_image: bool = True
    """Whether, without a name, the best image that all nodes have is taken, which is read anew after the run where
    docker did not answer before. False leaves that proof out, and says so."""
    all_gather_bytes: int = GIB
    """1 to 4 GiB; never 16: that has frozen nodes."""
    mtu: int = 9000


@dataclass(frozen=True, slots=True)
class Case:
    """One bring-up before its plan. `mark`: an id of this plan, lower-case letters and digits, safe in names."""

    node_ids: tuple[str, ...]
    """In the order of ranks; the first is the canary."""
    readings: Mapping[str, NodeReading]
    topology: Topology
    choices: Choices = Choices()
    mark: str = "plan"
    programs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Our programs for nodes, by the name of their module in remote/."""
    torch_images: tuple[str, ...] = ()
    """Images that are known to carry PyTorch, the best first: of those that all nodes have, one is picked by it."""
    is_simulated: bool = False
    """Whether the cluster's record says so."""
    obstacles: tuple[str, ...] = ()
    """Sentences that the application knows, and no reading: e.g. why simulated nodes can only be read here."""
    busy: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Node id -> the names of jobs that run there; what loads links and GPU is measured beside them, or left out."""
    in_use: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Node id -> what is reached there through SparkDesk's own connection, which a fresh sign-in cuts."""

    def reading(self, node_id: str) -> NodeReading:
        """What was read of a node; one that nobody read did not answer."""
        missing = NodeReading(node_id, node_id, did_answer=False, message="It was not read", remedy="Look again.")
        return self.readings.get(node_id, missing)

    def names(self) -> Mapping[str, str]:
        """Node id -> the name that it has in SparkDesk."""
        return {node_id: self.reading(node_id).name for node_id in self.node_ids}
