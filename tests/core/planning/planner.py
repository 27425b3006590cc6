"""The shipped tables and catalogue, and questions made of them, for tests of the search."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from sparkdesk.core.models.catalogue import find_model, read_catalogue
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.reference import FILES, Reference, read_reference
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Limits, Question
from sparkdesk.core.planning.workload import CHAT, Workload

ROOT = Path(__file__).resolve().parents[3]
GIB = 1 << 30


@cache
def reference() -> Reference:
    folder = ROOT / "resources" / "planning"
    return read_reference({stem: (folder / f"{stem}.toml").read_bytes() for stem in FILES})


@cache
def catalogue() -> tuple[ModelSpec, ...]:
    return read_catalogue((ROOT / "resources" / "catalogue" / "models.toml").read_bytes())


def spec_of(words: str) -> ModelSpec:
    match = find_model(catalogue(), words)
    assert match is not None, words
    return match.spec


def place_of(count: int, *, neighbours: tuple[Neighbour, ...] = (), free_gib: tuple[float, ...] = ()) -> Place:
    """Nodes n1, n2 ... of 121 GiB; `free_gib` what is available on each, where it was read."""
    free = (*free_gib, *(None for _ in range(count - len(free_gib))))
    nodes = (
        NodeRoom(f"n{at}", f"node {at}", 121 * GIB, None if left is None else int(left * GIB))
        for at, left in enumerate(free, start=1)
    )
    return Place(tuple(nodes), neighbours=neighbours)


def ask(model: str, nodes: int, load: Workload = CHAT, **limits: object) -> Question:
    return Question(spec_of(model), load, place_of(nodes), replace(Limits(), **limits))


def load_of(prompt: int, answer: int, users: int) -> Workload:
    return Workload("custom", "Custom", prompt, answer, users)


def first(rows: tuple[PlanRow, ...], **wanted: object) -> PlanRow:
    """The first row whose setup has these words: engine, weights, split, kv_dtype, speculative, build."""
    return next(row for row in rows if wanted.items() <= words_of(row).items())


def words_of(row: PlanRow) -> dict[str, object]:
    setup = row.setup
    return {
        "engine": setup.engine.key,
        "weights": setup.weights.key,
        "split": setup.parallelism.label,
        "kv_dtype": setup.kv_dtype,
        "speculative": setup.speculative,
        "build": setup.build.key,
        "nodes": len(row.place.nodes),
    }
