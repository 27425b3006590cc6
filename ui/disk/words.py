"""A row of the matrix, a node's disk and a transfer as words.

The one rule: what is not known is called so, with why; a partial is never called there.
"""

from __future__ import annotations

from typing import Final

from sparkdesk.core.disk.view import MAX_FILES, DiskCell, DiskNode, DiskRow, DiskView, Holding, Kind, Transfer
from sparkdesk.core.planning.launch.docker import DOCKER_PROBLEMS
from sparkdesk.core.transfer import size_words as transfer_size_words
from ui import text
from ui.widgets.cell_table import Cell

NEARLY_FULL_BYTES: Final = 50_000_000_000
"""Below this a large model does not fit any more; a choice of ours."""
LEAST_SHOWN_BYTES: Final = 100_000
"""Of less a figure in MB would read 0.0."""
KIND_TITLES: Final = {Kind.MODEL: "Models", Kind.IMAGE: "Images", Kind.FILE: "GGUF files"}
TASK_TITLES: Final = {
    "fetch": "Fetch",
    "copy": "Copy",
    "verify": "Verify",
    "remove": "Remove",
    "clean": "Empty the cache of",
}
MOST_NAME_CHARS: Final = 44
JUST_NOW_MS: Final = 60_000
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
    return f"nothing free{whole}" if is_full(node) else f"{size_words(node.free_bytes)} free{whole}"


def is_full(node: DiskNode) -> bool:
    """Whether so little is left that a figure would read 0.0."""
    return node.free_bytes is not None and node.free_bytes < LEAST_SHOWN_BYTES


def is_nearly_full(node: DiskNode) -> bool:
    """Whether little is left."""
    return node.free_bytes is not None and node.free_bytes < NEARLY_FULL_BYTES


def state_words(node: DiskNode, now_ms: int) -> str:
    """What is the matter with a node's figures; "" when they are of now."""
    if not node.is_live and node.looked_ms is not None:
        return f"Away: figures of {age_words(node, now_ms)}"  # why, the cluster's page tells
    if node.problem:
        said = text.one_line(node.problem, 200).rstrip(".")
        old = f"As of {age_words(node, now_ms)}: {said}" if node.looked_ms is not None else said
        return f"{old}. {text.one_line(node.remedy, 200)}".rstrip()
    if node.looked_ms is None:
        return "Reading the disk" if node.is_live else "Away: its disk was not read yet"
    return ("Full" if is_full(node) else "Nearly full") if is_nearly_full(node) else ""


def age_words(node: DiskNode, now_ms: int) -> str:
    """How long ago a node's disk was read."""
    return f"{text.age(max(0, now_ms - (node.looked_ms or 0)) / 1000)} ago"


def look_words(node: DiskNode, now_ms: int) -> str:
    """When a node's disk was read, for a node of which nothing else is to be said."""
    is_new = node.looked_ms is not None and now_ms - node.looked_ms < JUST_NOW_MS
    return "Read just now" if is_new else f"Read {age_words(node, now_ms)}"


def files_words(row: DiskRow, nodes: tuple[DiskNode, ...]) -> str:
    """The files of a model, each with its size, and where it is not whole, or not at all; a line each."""
    held = {
        node.name: {file.name: file for file in row.cell(node.node_id).files}
        for node in nodes
        if row.cell(node.node_id).files
    }
    names = sorted({name for files in held.values() for name in files})
    lines = []
    for name in names[:MAX_FILES]:
        sizes = [(where, files.get(name)) for where, files in held.items()]
        there = [file for _, file in sizes if file is not None]
        whole = max((file.whole_bytes or 0 for file in there), default=0) or max(file.size_bytes for file in there)
        parts = [
            f"partial on {text.one_line(where, 64)}" for where, file in sizes if file is not None and not file.is_whole
        ]
        parts += [f"not on {text.one_line(where, 64)}" for where, file in sizes if file is None]
        lines.append(f"{text.one_line(name, 120)}: {transfer_size_words(whole)}, {', '.join(parts) or 'whole'}")
    if len(names) > MAX_FILES:
        lines.append(f"and {len(names) - MAX_FILES} more")
    return "\n".join(lines)


def revision_words(row: DiskRow, nodes: tuple[DiskNode, ...]) -> str:
    """Which node holds which revision, where they differ; "" where all that is known is the same."""
    held: dict[str, list[str]] = {}
    for node in nodes:
        if revision := row.cell(node.node_id).revision:
            held.setdefault(revision, []).append(text.one_line(node.name, 64))
    if len(held) < 2:
        return ""
    said = "; ".join(f"{short_revision(one)} on {', '.join(names)}" for one, names in held.items())
    return f"The nodes hold different revisions: {said}. Fetch it again where it is old."


def why_unknown(node: DiskNode, kind: Kind) -> str:
    """Why a cell is not known."""
    if node.problem:
        return text.one_line(node.problem, 200)
    if node.looked_ms is None:
        return "being read" if node.is_live else "the node is away"
    if kind is not Kind.IMAGE:
        return "it was not told"
    if node.docker_problem not in DOCKER_PROBLEMS:
        return NO_DOCKER
    words = {"node": text.one_line(node.name, 64), "user": text.one_line(node.user, 64) or "The account"}
    message, remedy = (said.format(**words) for said in DOCKER_PROBLEMS[node.docker_problem])
    return f"{message}. {remedy}"


def transfer_of(view: DiskView, kind_name: tuple[Kind, str], node_id: str) -> Transfer | None:
    """What is under way for a row on a node."""
    for one in view.transfers:
        is_row = one.key is not None and (one.key.kind, one.key.name) == kind_name
        if is_row and one.node_id == node_id and not one.result:
            return one
    return None


def part_words(cell: DiskCell, whole_bytes: int | None) -> str:
    """How much of it is there, and of how much where that is known: ", 17.5 of 42.7 GB"."""
    if cell.size_bytes is None:
        return ""
    if cell.size_bytes < LEAST_SHOWN_BYTES:
        return ", hardly any of it"
    if whole_bytes is None or whole_bytes <= cell.size_bytes:
        return f", {size_words(cell.size_bytes)} so far"
    return f", {transfer_size_words(cell.size_bytes, whole_bytes)} of {transfer_size_words(whole_bytes)}"


def coming_cell(fraction: float | None, said: str) -> Cell:
    """Of what comes now: the share, rate and time left; the bytes stand in the bar and the hint. Before the first byte
    nobody knows yet whether anything will come."""
    if not said.strip() and fraction is None:
        return Cell("asking for it", "strong", hint="Nothing has come yet")
    share = f" {text.percent(fraction, is_done=False)}" if fraction is not None else ""
    rate = text.one_line(said, 200).partition("; ")[0].partition(", ")[2]
    if "trying again" in said:  # what it waits for is more than a rate
        rate = text.one_line(said, 200).partition("; ")[2].partition("; ")[0].partition(", ")[2]
    return Cell(f"downloading{share}{f', {rate}' if rate else ''}", "strong", hint=text.one_line(said, 200))


def cell_of(
    cell: DiskCell, node: DiskNode, kind: Kind, transfer: Transfer | None, whole_bytes: int | None = None
) -> Cell:
    """A cell of the matrix. `whole_bytes` is what the row takes when it is whole, where that is known."""
    hint = "" if node.is_live else "figures of before the node went away"
    if node.is_live and node.problem:
        hint = "figures of before the last look, which failed"
    if transfer is not None and transfer.task in ("fetch", "copy"):
        return coming_cell(transfer.fraction, transfer.text)
    match cell.holding:
        case Holding.WHOLE:
            return Cell("whole", "ok", hint=hint)
        case Holding.PARTIAL:
            return Cell(f"partial{part_words(cell, whole_bytes)}", "warn", hint=hint)
        case Holding.DOWNLOADING:
            if cell.coming:
                return coming_cell(cell.fraction, cell.coming)
            return Cell(f"downloading{part_words(cell, whole_bytes)}", "strong", hint=hint)
        case Holding.NONE:
            return Cell("none", hint=hint)
    return Cell("not known", "unknown", hint=why_unknown(node, kind))


def transfer_title(transfer: Transfer, node_name: str) -> str:
    """ "Fetch o/n on spark-afe0"."""
    name = transfer.key.name if transfer.key is not None else "a compile cache"
    title = TASK_TITLES.get(transfer.task, "Change")
    return f"{title} {text.one_line(name, 120)} on {text.one_line(node_name, 64)}"


def transfer_words(transfer: Transfer) -> str:
    """How it stands, or how it ended; what helps then is `help_words`."""
    if not transfer.result:
        return text.one_line(transfer.text, 160) or "Beginning"
    if transfer.result == "done":
        return "Done"
    name = transfer.key.name if transfer.key is not None else ""
    said = text.one_line(transfer.message, 300) or "It did not end well"
    before, colon, rest = said.partition(": ")
    said = f"{rest[:1].upper()}{rest[1:]}" if colon and name and name in before else said  # the title says it already
    before, full, _path = said.partition(" is full: ")  # which file could not be written helps nobody here
    return f"{before} is full" if full and before.startswith("The disk of ") else said.rstrip(".")


def help_words(transfer: Transfer) -> str:
    """What helps with one that did not end well; "" for any other."""
    return text.one_line(transfer.remedy, 200) if transfer.result not in ("", "done") else ""


def needs_token(transfer: Transfer) -> bool:
    """Whether a token of the hub may help: it refused, or asked for one."""
    said = f"{transfer.message} {transfer.remedy}".casefold()
    return transfer.result == "failed" and transfer.task == "fetch" and any(sign in said for sign in _TOKEN_SIGNS)
