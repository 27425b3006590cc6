"""How a model of the catalogue stands on the chosen nodes: does it fit, how fast is its best plan, who holds its files.

The one rule: what was not computed or not seen is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.search.table import Cell
from ui import text
from ui.jobs.mark import Mark
from ui.launch.preview import FIT_ICONS, FIT_KINDS

NO_MARK = Mark("", "neutral", "")
MAX_NAMED = 2
LEAST_BYTES = 1_000_000
"""No model is smaller: weights of less stand for a size that nobody knows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a row of the catalogue says of its model."""

    fit: Mark = NO_MARK
    speed: str = ""
    """Of one user, with its unit."""
    best: str = ""
    """Format and split of the plan that it is of, short."""
    plan: str = ""
    """That plan in words."""
    holders: str = ""
    """Which nodes hold its files."""
    is_fitting: bool = False


def stand(cell: Cell | None, fit: Mark, holders: str, engine_titles: Mapping[str, str]) -> Standing:
    """What the best plan says; without one, `fit` alone."""
    if cell is None or cell.fit is Fit.UNKNOWN:
        return Standing(fit, holders=holders, is_fitting=fit.text in (Fit.FITS.value, Fit.TIGHT.value))
    kind = FIT_KINDS[cell.fit]
    mark = Mark(cell.fit.value, kind, FIT_ICONS.get(kind))
    is_fitting = cell.fit in (Fit.FITS, Fit.TIGHT)
    if cell.fit is Fit.TOO_BIG or not cell.user_tok_s.is_known:
        return Standing(mark, holders=holders, is_fitting=is_fitting)
    where = f"{cell.parallelism} on {cell.used_nodes} nodes" if cell.used_nodes > 1 else "one node"
    plan = f"{cell.quantization} on {engine_titles.get(cell.engine, cell.engine)}, {where}"
    best = cell.quantization + (f", {cell.parallelism}" if cell.used_nodes > 1 else "")
    return Standing(mark, str(text.token_rate(cell.user_tok_s.value)), best, plan, holders, is_fitting)


def find_holders(spec: ModelSpec, contexts: Sequence[NodeContext], place: Place) -> str:
    """Which nodes hold files of the model, in words; "" is none that is known of."""
    repos = {weights.repo for weights in spec.formats if weights.repo}
    files = {weights.file for weights in spec.formats if weights.file}
    held = {node.node_id for node in place.nodes if repos & node.held_repos}
    held |= {c.record.id for c in contexts if files & {PurePosixPath(path).name for path in c.weight_files}}
    names = [text.one_line(context.record.name, 40) for context in contexts if context.record.id in held]
    if not names:
        return ""
    if len(names) == len(contexts) > 1:
        return f"on all {len(names)} nodes"
    return "on " + ", ".join(names) if len(names) <= MAX_NAMED else f"on {len(names)} of {len(contexts)} nodes"


def describe_spec(spec: ModelSpec, engine_titles: Mapping[str, str]) -> str:
    """Formats, engines and the size of the smallest weights, in one line."""
    formats = spec.formats
    engines = ", ".join(engine_titles[key] for key in spec.engines if key in engine_titles) or "no engine here"
    sizes = [weights.weight_bytes for weights in formats if weights.weight_bytes >= LEAST_BYTES]
    named = ", ".join(dict.fromkeys(weights.key for weights in formats if weights.key))
    parts = [named, engines, str(text.disk(min(sizes))) if sizes else ""]
    return " · ".join(part for part in parts if part)


def describe_shape(spec: ModelSpec | None, model: str = "") -> str:
    """What is known of a model's shape, in one line. `model`: what the person wrote."""
    if spec is None and not model.strip():
        return "From the catalogue, or by its name on the hub"
    if spec is None:
        return "Not in the catalogue: needs config.json before its memory and speed can be told"
    parts = []
    if spec.parameters:
        billions = spec.parameters / 1e9
        kind = "" if spec.active_parameters else " dense" if spec.experts is None else ""
        parts.append(f"{billions:.1f} B{kind}" if billions >= 1 else f"{spec.parameters / 1e6:.1f} M{kind}")
    if spec.active_parameters:
        parts.append(f"{spec.active_parameters / 1e9:.1f} B active")
    layers = sum(group.count for group in spec.layers)
    if layers:
        parts.append(f"{layers} layers")
    heads = sorted({group.kv_heads for group in spec.layers if group.kv_heads})
    if heads:
        parts.append(f"{' and '.join(map(str, heads))} KV heads")
    return " · ".join(parts)


def say_unknown(model: str) -> str:
    """Why there is nothing to compare, where this name is no entry of the catalogue."""
    if not model.strip():
        return "Choose a model: then memory, speed and every way to serve it stand here."
    return "The shape of this model is not known: its config.json is needed to compare plans."


def is_match(spec: ModelSpec, needle: str, engine_titles: Mapping[str, str]) -> bool:
    """Whether every word of the search is in name, key, title, purposes, formats or engines."""
    repos = " ".join(weights.repo for weights in spec.formats)
    said = f"{spec.name} {spec.key} {spec.title} {' '.join(spec.purposes)} {repos} {describe_spec(spec, engine_titles)}"
    return all(word in said.lower() for word in needle.lower().split())
