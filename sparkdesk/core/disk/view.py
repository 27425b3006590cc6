"""Models on disk as a value: rows are models, images and files, columns are nodes; and how a node's listing is read.

The one rule: what a node did not tell is UNKNOWN or None, never "none" and never zero; words are left to the screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from sparkdesk.core.jobs.request import MODEL_PATTERN
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.transfer import again_words, transfer_words

MAX_ROWS = 1000
MAX_FILES = 200
MAX_BYTES = 1 << 50
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Kind(StrEnum):
    """What a row is."""

    MODEL = "model"
    """A repository of the hub's cache."""
    IMAGE = "image"
    FILE = "file"
    """A GGUF file below ~/models."""


class Holding(StrEnum):
    """Whether a node has it."""

    WHOLE = "whole"
    PARTIAL = "partial"
    DOWNLOADING = "downloading"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DiskKey:
    """Names a row: a hub id, an image's reference, a file's path."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class DiskFile:
    """One file of a model on one node. `whole_bytes` is None where nobody knows what it should be."""

    name: str
    size_bytes: int
    whole_bytes: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self.whole_bytes == self.size_bytes


@dataclass(frozen=True, slots=True)
class DiskCell:
    """One row on one node."""

    holding: Holding
    size_bytes: int | None = None
    revision: str = ""
    """The commit, or the image's id."""
    used_ms: int | None = None
    """When it was last read or written, as far as the node's disk notes it."""
    architecture: str = ""
    whole_bytes: int | None = None
    """What it takes when it is whole, where a part lies there and somebody knows."""
    files: tuple[DiskFile, ...] = ()
    """Those of a model's revision, and what is half fetched; MAX_FILES."""
    containers: tuple[str, ...] = ()
    """Those that run from an image, as docker names them."""
    coming: str = ""
    """Bytes, rate and time left of a download that runs on the node, whoever of us began it."""
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Something under way, or just over, for one row on one node. `result` is "" while it is under way."""

    run_id: str
    node_id: str
    key: DiskKey | None
    task: str
    """fetch, copy, verify, remove, clean."""
    text: str = ""
    """Bytes, rate and time left, as the step tells."""
    fraction: float | None = None
    result: str = ""
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class DiskNode:
    """A column. `problem` is why the node's disk is not known, with what helps."""

    node_id: str
    name: str
    is_live: bool
    free_bytes: int | None = None
    total_bytes: int | None = None
    caches: tuple[tuple[str, int], ...] = ()
    """Compile caches: name, bytes."""
    looked_ms: int | None = None
    problem: str = ""
    """Why the last look failed; the figures beside it are of `looked_ms`."""
    remedy: str = ""
    docker_problem: str = ""
    """absent, down, group (core/planning/launch/docker.DOCKER_PROBLEMS); "" where docker tells, or nobody knows why
    not."""
    user: str = ""


@dataclass(frozen=True, slots=True)
class DiskRow:
    """A model, image or file, and its cell on each node that is known."""

    key: DiskKey
    cells: Mapping[str, DiskCell] = field(default_factory=lambda: MappingProxyType({}))

    def cell(self, node_id: str) -> DiskCell:
        """On one node; UNKNOWN where nobody looked."""
        return self.cells.get(node_id, DiskCell(Holding.UNKNOWN))

    def size_bytes(self) -> int | None:
        """What the whole of it takes: as a node has it whole, or as a download told. None where nobody knows; a part
        is no size."""
        whole = [cell.size_bytes for cell in self.cells.values() if cell.holding is Holding.WHOLE]
        told = [cell.whole_bytes for cell in self.cells.values()]
        return max((size for size in whole if size is not None), default=None) or max(
            (size for size in told if size is not None), default=None
        )


@dataclass(frozen=True, slots=True)
class DiskView:
    """The whole matrix, models first, each kind by name."""

    nodes: tuple[DiskNode, ...] = ()
    rows: tuple[DiskRow, ...] = ()
    transfers: tuple[Transfer, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """What one node's disk holds, as remote/hub_cache.py told. `kinds` are those that it could tell at all."""

    cells: Mapping[DiskKey, DiskCell]
    caches: tuple[tuple[str, int], ...]
    free_bytes: int | None
    total_bytes: int | None
    kinds: frozenset[Kind]
    docker_problem: str = ""


def read_listing(found: Mapping[str, object]) -> Listing:
    """A node's listing. Total: any JSON object is fine."""
    cells: dict[DiskKey, DiskCell] = {}
    kinds = {Kind.MODEL, Kind.FILE}
    for row in _rows(found.get("models")):
        repo = row.get("repo")
        if isinstance(repo, str) and MODEL_PATTERN.match(repo):
            cells[DiskKey(Kind.MODEL, repo)] = _model_cell(row)
    for path, size in _sizes(found.get("files")):
        cells[DiskKey(Kind.FILE, path)] = DiskCell(Holding.WHOLE, size)
    running = _running(found.get("running"))
    if isinstance(found.get("images"), list):
        kinds.add(Kind.IMAGE)
    for row in _rows(found.get("images")):
        name = row.get("name")
        if isinstance(name, str) and name and name.isprintable():
            architecture, image_id = _word(row.get("architecture")), _word(row.get("id"))
            name = make_line(name, max_chars=256)
            cell = DiskCell(Holding.WHOLE, _count(row.get("bytes")), image_id, architecture=architecture)
            cells[DiskKey(Kind.IMAGE, name)] = replace(cell, containers=running.get(name, ()))
    _add_transfers(cells, found.get("transfers"))
    caches, docker = tuple(_sizes(found.get("caches"))), _word(found.get("docker"))
    return Listing(cells, caches, _count(found.get("free")), _count(found.get("total")), frozenset(kinds), docker)


def _running(value: object) -> dict[str, tuple[str, ...]]:
    """Image -> containers that run from it."""
    found: dict[str, tuple[str, ...]] = {}
    for row in value[:MAX_ROWS] if isinstance(value, list) else []:
        if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str):
            image = make_line(row[0], max_chars=256)
            found[image] = (*found.get(image, ()), _word(row[1]))
    return found


def _add_transfers(cells: dict[DiskKey, DiskCell], value: object) -> None:
    """Downloads that run on the node, with how far they are."""
    for row in _rows(value):
        kind, name = row.get("kind"), row.get("name")
        if kind not in (Kind.MODEL.value, Kind.IMAGE.value) or not isinstance(name, str) or not name.isprintable():
            continue
        key = DiskKey(Kind(str(kind)), make_line(name, max_chars=256))
        cell = cells.get(key, DiskCell(Holding.DOWNLOADING))
        done, total, rate = _count(row.get("done")), _count(row.get("total")), row.get("rate")
        is_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < MAX_BYTES
        cell = replace(cell, holding=Holding.DOWNLOADING)
        if done is not None and total:
            again = again_words(row.get("again"), min(1.0, done / total))
            known = float(rate) if is_rate and isinstance(rate, int | float) else None
            words = transfer_words(done, total, known, again)
            is_model = key.kind is Kind.MODEL  # of an image, what docker counts is packed: no size
            cell = replace(cell, coming=words, fraction=min(1.0, done / total))
            cell = replace(cell, whole_bytes=total) if is_model else cell
        cells[key] = cell


def _model_cell(row: Mapping[str, object]) -> DiskCell:
    state, revision, used_s = row.get("state"), row.get("revision"), row.get("used_s")
    is_time = isinstance(used_s, int | float) and not isinstance(used_s, bool) and 0 < used_s < 1e11
    partial = Holding.DOWNLOADING if row.get("is_growing") is True else Holding.PARTIAL
    return DiskCell(
        Holding.WHOLE if state == "whole" else partial,
        _count(row.get("bytes")),
        revision if isinstance(revision, str) and _COMMIT.fullmatch(revision) else "",
        round(float(used_s) * 1000) if is_time and isinstance(used_s, int | float) else None,
        whole_bytes=_count(row.get("total")) if state != "whole" else None,
        files=tuple(_files(row.get("files"))),
    )


def _files(value: object) -> Iterator[DiskFile]:
    for row in value[:MAX_FILES] if isinstance(value, list) else []:
        if isinstance(row, list) and len(row) == 3 and isinstance(row[0], str) and (size := _count(row[1])) is not None:
            yield DiskFile(make_line(row[0], max_chars=200), size, _count(row[2]))


def _rows(value: object) -> Iterator[Mapping[str, object]]:
    for row in value[:MAX_ROWS] if isinstance(value, list) else []:
        if isinstance(row, dict):
            yield row


def _sizes(value: object) -> Iterator[tuple[str, int]]:
    for name, size in list(value.items())[:MAX_ROWS] if isinstance(value, dict) else []:
        if (
            isinstance(name, str)
            and 0 < len(name) <= 1000
            and name.isprintable()
            and (count := _count(size)) is not None
        ):
            yield name, count


def _word(value: object) -> str:
    return make_line(value, max_chars=100) if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_BYTES
    return value if is_count and isinstance(value, int) else None
