"""A row of the matrix, a node's disk and a transfer as words.

The one rule: what is not known is called so, with why; a partial is never called there.
"""

from __future__ import annotations

from typing import Final

from sparkdesk.core.disk.view import DiskCell, DiskNode, DiskView, Holding, Kind, Transfer
from ui import text
from ui.widgets.cell_table import Cell

NEARLY_FULL_BYTES: Final = 50_000_000_000
"""Below this a large model does not fit any more; a choice of ours."""
KIND_TITLES: Final = {Kind.MODEL: "Models", Kind.IMAGE: "Images", Kind.FILE: "GGUF files"}
TASK_TITLES: Final = {
    "fetch": "Fetch",
    "copy": "Copy",
    "verify": "Verify",
    "remove": "Remove",
    "clean": "Empty the cache of",
}
MOST_NAME_CHARS: Final = 44
NO_DOCKER: Final = "docker did not answer there"
_TOKEN_SIGNS: Final = ("401", "403", "token", "gated")


def size_words(size_bytes: int | None) -> str:
    """ "40.6 GB"; "n/a" where nobody told."""
    return str(text.disk(size_bytes))


def used_words(used_ms: int | None, now_ms: int) -> str:
    """How long ago it was last read or written."""
    if used_ms is None:
        return text.NOT_KNOWN
    days = max(0, now_ms - used_ms) // 86_400_000
    if days >= 1:
        return f"{days} d ago"
    return f"{text.age(max(0, now_ms - used_ms) / 1000)} ago"


def short_name(name: str) -> str:
    """A name for a narrow column: a path loses the folders that all share, a long one its middle."""
    said = text.one_line(name, 200)
    said = said.partition("/models/")[2] if said.startswith("/") and "/models/" in said else said
    return said if len(said) <= MOST_NAME_CHARS else f"{said[:22]}{text.ELLIPSIS}{said[-21:]}"


def short_revision(revision: str) -> str:
    """The first characters of a commit or an image's id."""
    return text.one_line(revision.removeprefix("sha256:"), 80)[:8] or text.NOT_KNOWN


def free_words(node: DiskNode) -> str:
    """How much is free on a node's disk, of how much."""
    if node.free_bytes is None:
        return "free disk not known"
    whole = f" of {size_words(node.total_bytes)}" if node.total_bytes is not None else ""
    return f"{size_words(node.free_bytes)} free{whole}"


def is_nearly_full(node: DiskNode) -> bool:
    """Whether little is left."""
    return node.free_bytes is not None and node.free_bytes < NEARLY_FULL_BYTES


def state_words(node: DiskNode, now_ms: int) -> str:
    """What is the matter with a node's figures; "" when they are of now."""
    if node.problem:
        return f"{text.one_line(node.problem, 200)}. {text.one_line(node.remedy, 200)}".rstrip()
    if node.looked_ms is None:
        return "Reading the disk" if node.is_live else "Away: its disk was not read yet"
    if not node.is_live:
        return f"Away: figures of {text.age(max(0, now_ms - node.looked_ms) / 1000)} ago"
    return "Nearly full" if is_nearly_full(node) else ""


def why_unknown(node: DiskNode, kind: Kind) -> str:
    """Why a cell is not known."""
    if node.problem:
        return text.one_line(node.problem, 200)
    if node.looked_ms is None:
        return "being read" if node.is_live else "the node is away"
    return NO_DOCKER if kind is Kind.IMAGE else "it was not told"


def transfer_of(view: DiskView, kind_name: tuple[Kind, str], node_id: str) -> Transfer | None:
    """What is under way for a row on a node."""
    for one in view.transfers:
        is_row = one.key is not None and (one.key.kind, one.key.name) == kind_name
        if is_row and one.node_id == node_id and not one.result:
            return one
    return None


def cell_of(cell: DiskCell, node: DiskNode, kind: Kind, transfer: Transfer | None) -> Cell:
    """A cell of the matrix."""
    hint = "" if node.is_live else "figures of before the node went away"
    if transfer is not None and transfer.task in ("fetch", "copy"):
        share = f"{text.percent(transfer.fraction, is_done=False)} " if transfer.fraction is not None else ""
        return Cell(f"downloading {share}".strip(), "strong", hint=text.one_line(transfer.text, 200))
    match cell.holding:
        case Holding.WHOLE:
            return Cell("whole", "ok", hint=hint)
        case Holding.PARTIAL:
            known = f", {size_words(cell.size_bytes)} so far" if cell.size_bytes is not None else ""
            return Cell(f"partial{known}", "warn", hint=hint)
        case Holding.DOWNLOADING:
            known = f", {size_words(cell.size_bytes)} so far" if cell.size_bytes is not None else ""
            return Cell(f"downloading{known}", "strong", hint=hint)
        case Holding.NONE:
            return Cell("none", hint=hint)
    return Cell("not known", "unknown", hint=why_unknown(node, kind))


def transfer_title(transfer: Transfer, node_name: str) -> str:
    """ "Fetch o/n on spark-afe0"."""
    name = transfer.key.name if transfer.key is not None else "a compile cache"
    title = TASK_TITLES.get(transfer.task, "Change")
    return f"{title} {text.one_line(name, 120)} on {text.one_line(node_name, 64)}"


def transfer_words(transfer: Transfer) -> str:
    """How it stands, or how it ended and what helps."""
    if not transfer.result:
        return text.one_line(transfer.text, 160) or "Beginning"
    if transfer.result == "done":
        return "Done"
    said = text.one_line(transfer.message, 300) or "It did not end well"
    return f"{said.rstrip('.')}. {text.one_line(transfer.remedy, 200)}".rstrip()


def needs_token(transfer: Transfer) -> bool:
    """Whether a token of the hub may help: it refused, or asked for one."""
    said = f"{transfer.message} {transfer.remedy}".casefold()
    return transfer.result == "failed" and transfer.task == "fetch" and any(sign in said for sign in _TOKEN_SIGNS)
