"""A model and its cells as words: what the table, the detail and a screen reader say.

The one rule: a figure never stands without what it is of, and a node count that nobody owns is called so in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.search.table import Cell, Verdict
from sparkdesk.core.planning.workload import CHAT
from ui import text
from ui.jobs.mark import Mark
from ui.launch.preview import FIT_KINDS

NOT_OWNED: Final = "not owned"
WORKLOAD: Final = f"one chat user, {CHAT.prompt_tokens // 1024}K prompt and {CHAT.answer_tokens} answer"
_GGUF: Final = "_GGUF"
_ICONS: Final[dict[Fit, str]] = {
    Fit.FITS: "circle-check",
    Fit.TIGHT: "triangle-alert",
    Fit.RISKY: "triangle-alert",
    Fit.TOO_BIG: "octagon-alert",
    Fit.UNKNOWN: "circle-help",
}


def node_words(count: int) -> str:
    """ "1 node", "4 nodes"."""
    return "1 node" if count == 1 else f"{text.count(count)} nodes"


def mark_of(cell: Cell) -> Mark:
    """The word of a cell with its sign."""
    if cell.verdict is Verdict.NO and cell.fit is Fit.UNKNOWN:
        return Mark("No way", "crit", "octagon-alert")
    return Mark(cell.fit.value, FIT_KINDS[cell.fit], _ICONS[cell.fit])


def runs(cell: Cell | None) -> bool:
    """Whether there is a plan with figures: it fits, or it is risky."""
    return cell is not None and cell.verdict in (Verdict.FITS, Verdict.RISKY)


def speed_cell(cell: Cell) -> str:
    """Tokens a second, without the unit, which the heading has."""
    return text.token_rate(cell.user_tok_s.value).value


def context_cell(tokens: int | None) -> str:
    """A context in a narrow column: 128K, 1,024K."""
    if tokens is None:
        return text.NOT_KNOWN
    if tokens < 1:
        return "none safe"
    return f"{tokens // 1024:,}K" if tokens >= 1024 else text.count(tokens)


def context_sentence(tokens: int | None) -> str:
    """The longest context of one user; 0: even a short one leaves too little for the system."""
    if tokens is not None and tokens < 1:
        return "no context leaves a node the 8 GiB that it needs"
    return f"longest context {text.count(tokens)} tokens"


def missing_words(cell: Cell) -> str:
    """What is too little on the fullest node; "" where that is not known."""
    if cell.missing_bytes is None:
        return ""
    return f"{text.memory(cell.missing_bytes)} missing"


def short_words(cell: Cell) -> str:
    """The same in a narrow column: "−92.0 GiB"."""
    return f"{text.MINUS}{text.memory(cell.missing_bytes)}" if cell.missing_bytes is not None else ""


def format_words(cell: Cell) -> str:
    """The format in a narrow column; that it is a GGUF stands below then."""
    return cell.quantization.removesuffix(_GGUF)


def split_words(cell: Cell) -> str:
    """How the plan is divided; "" on one node."""
    split = cell.parallelism if cell.used_nodes > 1 else ""
    return split or ("GGUF" if cell.quantization.endswith(_GGUF) else "")


def is_measured(cell: Cell) -> bool:
    """Whether its memory is what earlier starts told, and no longer the planner's."""
    return cell.learned is not None and cell.learned.is_applied


def learned_words(cell: Cell) -> str:
    """What starts told of this plan's memory beside what the planner reckons; "" where there was none."""
    told, planned = cell.ledger, cell.planned
    if cell.learned is None or told is None or planned is None:
        return ""
    count = cell.learned.starts
    starts = "1 start" if count == 1 else f"{text.count(count)} starts"
    if not cell.learned.is_applied:
        return f"Measured here by {starts}, and not used: these are the planner's own figures"
    rows = (
        ("weights", told.weights_bytes, planned.weights_bytes),
        ("KV cache", told.kv_bytes, planned.kv_bytes),
        ("runtime", told.runtime_bytes, planned.runtime_bytes),
    )
    parts = [
        f"{name} {text.memory(now)} instead of {text.memory(before).value}"
        for name, now, before in rows
        if now is not None and before is not None and text.memory(now) != text.memory(before)
    ]
    return f"Measured here by {starts}: {', '.join(parts) or 'as the planner reckons'}"


def plan_words(cell: Cell, engine_titles: Mapping[str, str]) -> str:
    """ "MXFP4 on vLLM, TP 2"; where nodes are left over, that and why."""
    said = f"{cell.quantization} on {engine_titles.get(cell.engine, cell.engine)}"
    said += f", {cell.parallelism}" if cell.used_nodes > 1 else ", one node"
    if cell.used_nodes < cell.nodes:
        said += f". It takes {cell.used_nodes} of {cell.nodes}: no plan on more ranks before it"
    return said


def band_words(figure: Figure) -> str:
    """The band of a rate: "44.1 – 60.2 tok/s"."""
    if not figure.is_known:
        return text.NOT_KNOWN
    return f"{text.span(text.token_rate(figure.low), text.token_rate(figure.high))} tok/s"


def leans_words(cell: Cell) -> str:
    """The measured case that the speed leans on, and what is not the same there."""
    case = cell.leans_on
    if case is None:
        return "No measured case is near: from the model alone, so the band is its widest"
    said = f"Leans on {text.one_line(case.title, 160)} → {text.one_line(case.figures, 120)}"
    return f"{said}. Differs here: {text.one_line(case.distance, 200)}" if case.distance else f"{said}: this very case"


def measured_tok_s(cell: Cell) -> float | None:
    """What was measured of this very case for one user; None: nobody did."""
    case = cell.leans_on
    is_it = case is not None and not case.distance
    return 1.0 / case.tpot_s if is_it and case is not None and case.tpot_s else None


def size_words(spec: ModelSpec) -> str:
    """Parameters: 116.8 B, 135 M."""
    return _parameters(spec.parameters)


def active_words(spec: ModelSpec) -> str:
    """What one token passes through, of a mixture of experts; "" of a dense model."""
    return f"{_parameters(spec.active_parameters)} active" if spec.active_parameters else ""


def _parameters(count: int | None) -> str:
    if not count:
        return text.NOT_KNOWN
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def formats_words(spec: ModelSpec) -> str:
    """Formats with the memory that their weights take, all nodes together."""
    sizes = [f"{one.key} {text.memory(one.weight_bytes)}" for one in spec.formats if one.key]
    return ", ".join(sizes) or "No format is known"


def cell_sentence(title: str, cell: Cell | None, engine_titles: Mapping[str, str]) -> str:
    """A cell in one sentence, for who does not see the table."""
    if cell is None:
        return f"{title}: being computed"
    where = node_words(cell.nodes) + ("" if cell.is_owned else f", {NOT_OWNED}")
    said = f"{title} on {where}: {mark_of(cell).text}"
    if not runs(cell):
        missing = missing_words(cell)
        return f"{said}, {missing}" if missing else said
    return (
        f"{said}, {plan_words(cell, engine_titles)}; about {text.token_rate(cell.user_tok_s.value)} for one user, "
        f"{context_sentence(cell.max_context_tokens)}{', memory as measured here' if is_measured(cell) else ''}"
    )
