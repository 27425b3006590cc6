"""The proof as rows: what is measured between whom, its value, the band it is held against, and what to make of it.

The one rule: pure; what was not measured has no value and says why, and a simulated figure says that it is one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, Literal, TypeGuard

from sparkdesk.core.bringup.proof.image_choice import LATER_IMAGE
from sparkdesk.core.bringup.proof.measurement import Band, Grade, Measurement, ProofItem, ProofKind
from sparkdesk.core.bringup.proof.verdict import open_parts
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.playbooks.run_view import RUNNING
from ui import text

RowState = Literal["pass", "warn", "fail", "unread", "skipped", "waiting", "running"]
STATES: Final[dict[RowState, tuple[str, str]]] = {
    "pass": ("Passed", "circle-check"),
    "warn": ("Warning", "triangle-alert"),
    "fail": ("Failed", "octagon-alert"),
    "unread": ("Not measured", "circle-help"),
    "skipped": ("Skipped", "minus"),
    "waiting": ("To be measured", "circle-dashed"),
    "running": ("Measuring", "loader"),
}
_WORST: Final[tuple[RowState, ...]] = ("fail", "warn", "unread", "running", "waiting", "pass", "skipped")
MOST_NAMED: Final = 2
"""So many parts that were left out have room in a chip."""
_TELLING: Final = (
    ProofKind.ALL_GATHER,
    ProofKind.RDMA_BANDWIDTH,
    ProofKind.TCP,
    ProofKind.RDMA_LATENCY,
    ProofKind.GPU_CLOCK,
    ProofKind.PING,
    ProofKind.NCCL_IMAGE,
    ProofKind.NCCL_HOST,
    ProofKind.LINK,
    ProofKind.DUPLICATE,
)
"""What a person looks for first once all is measured: what the whole of it comes to."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A band as it is drawn, in shares of its scale (0..1). `value` None: nothing was measured."""

    value: float | None
    pass_at: float | None
    warn_at: float | None
    is_lower_better: bool = False


@dataclass(frozen=True, slots=True)
class ProofRow:
    """One measurement. `value` and `unit` are "" where there is none."""

    key: str
    title: str
    state: RowState
    value: str = ""
    unit: str = ""
    line: str = ""
    causes: tuple[str, ...] = ()
    remedy: str = ""
    scale: Scale | None = None
    is_simulated: bool = False
    kind: ProofKind = ProofKind.LINK
    image: str = ""
    """The whole name of the image that the title names short."""
    is_past: bool = False
    """It tells of an earlier time: nothing in it is bright."""

    @property
    def spoken(self) -> str:
        """The whole row in words."""
        figure = f"{self.value} {self.unit}".strip()
        title = self.title.replace(_short(self.image), self.image) if self.image else self.title
        parts = (title, STATES[self.state][0], figure, self.line, "simulated" if self.is_simulated else "")
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ProofGroup:
    """The rows between the same nodes."""

    key: str
    title: str
    rows: tuple[ProofRow, ...]

    @property
    def state(self) -> RowState:
        """The worst of its rows."""
        return min((row.state for row in self.rows), key=_WORST.index, default="waiting")


@dataclass(frozen=True, slots=True)
class Chipped:
    """A chip: its words, the state whose colour it wears, its icon."""

    words: str
    state: RowState
    icon: str


def proof_groups(state: BringUpState, names: Mapping[str, str]) -> tuple[ProofGroup, ...]:
    """All of the proof, measured or not, a group for each set of nodes, in the order of the plan."""
    measured = {measurement.item.id: measurement for measurement in state.measurements}
    items = list(state.plan.proof_items) if state.plan is not None else []
    known = {item.id for item in items}
    items += [measurement.item for measurement in state.measurements if measurement.item.id not in known]
    short = Counter(_short(image) for image in {item.image for item in items})
    groups: dict[tuple[str, ...], list[ProofRow]] = {}
    for item in items:
        row = _row(item, measured.get(item.id), state)
        if item.image and short[_short(item.image)] == 1:
            row = replace(row, title=row.title.replace(item.image, _short(item.image)), image=item.image)
        groups.setdefault(_pair(item), []).append(row)
    found = []
    for pair, rows in groups.items():
        title = _title(pair, state, names)
        found.append(ProofGroup("|".join(pair), title, tuple(_without_place(row, title, len(pair)) for row in rows)))
    return tuple(found)


def _short(image: str) -> str:
    """An image's name without where it comes from."""
    return image.rpartition("/")[2]


def _without_place(row: ProofRow, place: str, count: int) -> ProofRow:
    """The row without the nodes at the end of its title: they stand above it."""
    return replace(row, title=row.title.removesuffix(f", {place}").removesuffix(f", {count} nodes"))


def overall(groups: tuple[ProofGroup, ...]) -> RowState:
    """The worst of all."""
    return min((group.state for group in groups), key=_WORST.index, default="waiting")


def head_chip(state: BringUpState, groups: tuple[ProofGroup, ...]) -> Chipped:
    """What all of it comes to: never "Passed" where NCCL was left out, nor for what stands no more."""
    worst = overall(groups)
    words, icon = STATES[worst]
    if state.past_proof:
        return Chipped(text.one_line(state.past_proof, 40).capitalize(), "skipped", "clock")
    if worst in ("pass", "skipped") and (missing := open_parts(state.measurements)):
        said = f"{', '.join(missing)} not proved" if len(missing) <= MOST_NAMED else "Not proved in part"
        return Chipped(said[:1].upper() + said[1:], "warn", STATES["warn"][1])
    return Chipped(words, worst, icon)


def group_chip(group: ProofGroup) -> Chipped:
    """The worst of a group; what was skipped in it is counted."""
    words, icon = STATES[group.state]
    skipped = sum(row.state == "skipped" for row in group.rows)
    more = f", {skipped} skipped" if skipped and group.state != "skipped" else ""
    return Chipped(f"{words}{more}", group.state, icon)


def worst_first(groups: tuple[ProofGroup, ...]) -> tuple[ProofGroup, ...]:
    """Groups and their rows with what stands out before the others, and then what tells most."""
    sorted_rows = (replace(group, rows=tuple(sorted(group.rows, key=_rank))) for group in groups)
    return tuple(sorted(sorted_rows, key=lambda group: min((_rank(row) for row in group.rows), default=(99, 99))))


def _rank(row: ProofRow) -> tuple[int, int]:
    return _WORST.index(row.state), _TELLING.index(row.kind)


def _pair(item: ProofItem) -> tuple[str, ...]:
    return tuple(sorted(set(item.node_ids)))


def _title(pair: tuple[str, ...], state: BringUpState, names: Mapping[str, str]) -> str:
    order = {node_id: at for at, node_id in enumerate(state.node_ids)}
    said = [text.one_line(names.get(node, node), 64) for node in sorted(pair, key=lambda node: order.get(node, 99))]
    if len(said) > 2:
        return f"All {len(said)} nodes"
    return " ↔ ".join(said) or "The cluster"


def _row(item: ProofItem, found: Measurement | None, state: BringUpState) -> ProofRow:
    title = text.one_line(item.title, 80).replace(LATER_IMAGE, "the image")
    if found is None:
        return ProofRow(item.id, title, *_before(item, state), kind=item.kind)
    value = found.value if found.value is not None and math.isfinite(found.value) else None
    return ProofRow(
        item.id,
        title,
        found.grade.value,
        value=_figure(value, found.unit) if value is not None else "",
        unit=text.one_line(found.unit, 12) if value is not None else "",
        line=text.one_line(found.message or (item.skipped if found.grade is Grade.SKIPPED else ""), 300),
        causes=tuple(text.one_line(cause, 200) for cause in found.causes[:8]),
        remedy=text.one_line(found.remedy, 300),
        scale=make_scale(item.band, value) if found.grade is not Grade.SKIPPED and _tells(item.band) else None,
        is_simulated=found.is_simulated,
        kind=item.kind,
        is_past=bool(state.past_proof),
    )


def _tells(band: Band | None) -> TypeGuard[Band]:
    """Whether a value can be better or worse within the scale; a mark at its very end, or at nothing, draws nothing."""
    if band is None:
        return False
    return not math.isfinite(band.top) or (band.pass_at != band.top and band.pass_at != 0)


def _before(item: ProofItem, state: BringUpState) -> tuple[RowState, str, str, str]:
    """State, value, unit and line of what has not been measured."""
    if item.skipped:
        return "skipped", "", "", text.one_line(item.skipped, 300)
    run = state.proof_run if state.phase is Phase.PROVING else None
    is_running = run is not None and any(run.step(step).state == RUNNING for step in item.step_ids)
    waits = "waits for docker" if item.image == LATER_IMAGE else ""
    words = " · ".join(part for part in (waits, _mark_words(item.band)) if part)
    return ("running" if is_running else "waiting"), "", "", words


def _mark_words(band: Band | None) -> str:
    if band is None or not math.isfinite(band.pass_at):
        return ""
    side = "up to" if band.is_lower_better else "at"
    return f"passes {side} {_figure(band.pass_at, band.unit)} {text.one_line(band.unit, 12)}"


def _figure(value: float, unit: str = "") -> str:
    """At most three figures behind the point where they matter: 0.09, 1.9, 23.7, 189.9, 8,972; 2.41 GHz."""
    if value and (abs(value) < 1 or unit == "GHz"):
        return text.grouped(value, 2)
    return text.grouped(value, 0 if float(value).is_integer() or abs(value) >= 1000 else 1)


def make_scale(band: Band, value: float | None) -> Scale:
    """A band in shares of its scale; the value may lie at most at the end."""
    top = band.top if math.isfinite(band.top) and band.top > 0 else max(band.pass_at, value or 0.0, 1.0)

    def share(number: float | None) -> float | None:
        if number is None or not math.isfinite(number):
            return None
        return min(1.0, max(0.0, number / top))

    return Scale(share(value), share(band.pass_at), share(band.warn_at), band.is_lower_better)


def saved_words(paths: Sequence[str]) -> str:
    """Where the report lies: the names first, since a path is long and is cut at its end; "" when it is not saved."""
    files = [PurePath(text.one_line(PurePath(path).name, 120)) for path in paths[:4]]
    stem = files[0].stem if files else ""
    # A name once: the end of its second file says which it is.
    names = " and ".join(file.suffix if at and file.stem == stem else file.name for at, file in enumerate(files))
    return f"Saved: {names} in {text.one_line(str(PurePath(paths[0]).parent), 300)}" if names else ""
