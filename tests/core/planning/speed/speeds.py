"""What the tests of speed share: the shipped data, and setups made from it in a line."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Link, NodeRoom, Place
from sparkdesk.core.planning.reference import FILES, Reference, read_reference
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import Workload

RESOURCES = Path(__file__).resolve().parents[4] / "resources"
ONE, TP2, PP2, DP2 = Parallelism(), Parallelism(2), Parallelism(1, 2), Parallelism(1, 1, 2)
CABLE = Link(23.7, 32e-6, title="200G cable")


@cache
def reference() -> Reference:
    """The planner's shipped data."""
    return read_reference({stem: (RESOURCES / "planning" / f"{stem}.toml").read_bytes() for stem in FILES})


@cache
def catalogue() -> dict[str, ModelSpec]:
    """The shipped models by key."""
    return {spec.key: spec for spec in read_catalogue((RESOURCES / "catalogue" / "models.toml").read_bytes())}


def setup(
    model: str, weights: str, parallelism: Parallelism = ONE, *, engine: str = "vllm", build: str = "stock"
) -> Setup:
    """A setup of the shipped catalogue."""
    spec, profile = catalogue()[model], reference().engines[engine]
    return Setup(
        spec=spec,
        weights=next(one for one in spec.formats if one.key == weights),
        engine=profile,
        build=next(one for one in profile.builds if one.key == build),
        parallelism=parallelism,
    )


def place(nodes: int = 1, *, link: Link | None = CABLE, device: str = "gb10", clock: float = 1.0) -> Place:
    """So many equal nodes."""
    rooms = tuple(NodeRoom(f"n{at}", f"spark-{at}", device=device, sm_clock_share=clock) for at in range(nodes))
    return Place(rooms, link if nodes > 1 else None)


def load(prompt: int = 2048, answer: int = 512, users: int = 1, *, cached: float = 0.0) -> Workload:
    """A workload of these sizes."""
    return Workload("custom", "Custom", prompt, answer, users, cached)
