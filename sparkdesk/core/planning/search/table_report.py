"""The table of what the Sparks can run, as others read it: a JSON document for programs, text for people.

The one rule: as of `report`: no NaN in JSON. Node counts that a person does not have are marked in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sparkdesk.core.planning.search.report import SCHEMA, figure_json
from sparkdesk.core.planning.search.table import Cell, ModelRow, Verdict

WIDTH = 30
"""Characters of a node count's column."""


def models_json(rows: Sequence[ModelRow]) -> dict[str, Any]:
    """All rows; `nodes` has one entry for each node count."""
    return {"schema": SCHEMA, "models": [_row_json(row) for row in rows]}


def models_text(rows: Sequence[ModelRow]) -> str:
    """Aligned text: verdict, quantization, how it is divided, tokens a second of one user, longest context."""
    counts = rows[0].cells if rows else ()
    heads = [f"{cell.nodes} {'node' if cell.nodes == 1 else 'nodes'}{'' if cell.is_owned else ' *'}" for cell in counts]
    lines = [f"{'model':<30} {'size':>8}  " + "".join(f"{head:<{WIDTH}}" for head in heads).rstrip()]
    for row in rows:
        spec = row.spec
        size = "n/a" if spec.parameters is None else f"{spec.parameters / 1e9:.1f} B"
        cells = "".join(f"{_cell_text(cell):<{WIDTH}}" for cell in row.cells)
        lines.append(f"{spec.key or spec.name:<30.30} {size:>8}  {cells}".rstrip())
    notes = ["Format, split, tokens a second of one user, longest context of one request."]
    if any(not cell.is_owned for cell in counts):
        notes.append("* more nodes than you have")
    return "\n".join([*lines, "", *notes])


def _row_json(row: ModelRow) -> dict[str, Any]:
    spec = row.spec
    return {
        "model": spec.name,
        "key": spec.key,
        "title": spec.title,
        "purposes": list(row.purposes),
        "parameters": spec.parameters,
        "active_parameters": spec.active_parameters,
        "context_tokens": spec.context_tokens,
        "nodes": [_cell_json(cell) for cell in row.cells],
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "nodes": cell.nodes,
        "is_owned": cell.is_owned,
        "verdict": cell.verdict.value,
        "fits": cell.verdict is Verdict.FITS,
        "used_nodes": cell.used_nodes,
        "engine": cell.engine,
        "quantization": cell.quantization,
        "repo": cell.repo,
        "is_repo_checked": bool(cell.repo) and not cell.is_repo_recalled,
        "parallelism": cell.parallelism,
        "user_tok_s": figure_json(cell.user_tok_s),
        "max_context_tokens": cell.max_context_tokens,
        "missing_bytes": cell.missing_bytes,
    }


def _cell_text(cell: Cell) -> str:
    match cell.verdict:
        case Verdict.FITS | Verdict.RISKY:
            speed = f"{cell.user_tok_s.value:.1f}" if cell.user_tok_s.is_known else "n/a"
            split = "" if cell.used_nodes == 1 else f" {cell.parallelism}"
            risk = "risky " if cell.verdict is Verdict.RISKY else ""
            return f"{risk}{cell.quantization}{split} {speed} {_tokens(cell.max_context_tokens)}"
        case Verdict.NO if cell.missing_bytes is not None:
            return f"no, {_gib(cell.missing_bytes)} GiB missing"
        case _:
            return cell.verdict.value


def _tokens(count: int | None) -> str:
    if count is None:
        return "n/a"
    return f"{count // 1024}K" if count >= 1024 else str(count)


def _gib(missing_bytes: float) -> str:
    """Rounded up, so that what is missing is never said to be nothing."""
    return str(math.ceil(missing_bytes / (1 << 30)))
