"""The view-model of Models on disk: rows that pass the filter, in their order, and the one that is chosen.

The one rule: QtCore only; it reads the matrix as it stands and asks for changes, which a person reads first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.disk.view import DiskKey, DiskNode, DiskRow, DiskView, Holding, Kind, Transfer
from ui import text
from ui.bridge import watch
from ui.disk import words
from ui.disk.feeds import DiskActions, DiskFeeds
from ui.widgets.cell_table import Cell, Table

ORDERS: Final = (("name", "Name"), ("size", "Largest first"), ("used", "Last used first"))
KINDS: Final = (("", "All"), ("model", "Models"), ("image", "Images"), ("file", "Files"), ("cache", "Compile caches"))
MOST_TILES: Final = 8
"""Nodes that have a tile with their free disk above the table; of more, the headings tell."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table: a row of the matrix, or a compile cache by its name."""

    row: DiskRow | None = None
    cache: str = ""

    @property
    def ident(self) -> tuple[str, str]:
        """What names it for good."""
        return (self.row.key.kind.value, self.row.key.name) if self.row is not None else ("cache", self.cache)

    def sizes(self, view: DiskView) -> dict[str, int]:
        """Bytes by node, as far as they are known."""
        if self.row is None:
            return {
                node.node_id: dict(node.caches)[self.cache] for node in view.nodes if self.cache in dict(node.caches)
            }
        return {at: cell.size_bytes for at, cell in self.row.cells.items() if cell.size_bytes is not None}

    def used_ms(self) -> int | None:
        """When it was last used on any node."""
        times = [cell.used_ms for cell in self.row.cells.values() if cell.used_ms] if self.row is not None else []
        return max(times, default=None)


class DiskModel(QObject):
    """Entries, the table of them, the chosen one, and the transfers."""

    changed = Signal()
    chosen_changed = Signal()

    def __init__(self, feeds: DiskFeeds, actions: DiskActions, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.actions = actions
        self.view = feeds.view.value
        self.needle = ""
        self.kind = ""
        self.order = "name"
        self.entries: tuple[Entry | None, ...] = ()
        """By line of the table; None is a heading."""
        self.chosen: tuple[str, str] = ("", "")
        self._put_away: set[str] = set()
        watch(feeds.view, self, self._take)

    def _take(self, view: DiskView) -> None:
        self.view = view
        self.refresh()

    def refresh(self) -> None:
        """Show the matrix of now."""
        found: list[Entry | None] = []
        for _title, entries in self._groups():
            found += [None, *entries]
        self.entries = tuple(found)
        self.changed.emit()

    # What is looked for --------------------------------------------------------------------------------------------

    def set_needle(self, needle: str) -> None:
        """Look for a name."""
        self.needle = needle
        self.refresh()

    def set_kind(self, kind: str) -> None:
        """Look for one kind; "" for all."""
        self.kind = kind
        self.refresh()

    def set_order(self, order: str) -> None:
        """Order the rows of each kind; see ORDERS."""
        self.order = order
        self.refresh()

    def clear_filter(self) -> None:
        """Let all pass."""
        self.needle, self.kind = "", ""
        self.refresh()

    @property
    def has_filter(self) -> bool:
        """Whether something may be left out."""
        return bool(self.needle or self.kind)

    def _groups(self) -> list[tuple[str, list[Entry]]]:
        groups = [
            (words.KIND_TITLES[kind], [Entry(row) for row in self.view.rows if row.key.kind is kind]) for kind in Kind
        ]
        caches = sorted({name for node in self.view.nodes for name, _ in node.caches})
        groups.append(("Compile caches", [Entry(cache=name) for name in caches]))
        shown = [(title, self._sorted([one for one in entries if self._passes(one)])) for title, entries in groups]
        return [(title, entries) for title, entries in shown if entries]

    def _passes(self, entry: Entry) -> bool:
        kind, name = entry.ident
        return (not self.kind or kind == self.kind) and self.needle.strip().casefold() in name.casefold()

    def _sorted(self, entries: list[Entry]) -> list[Entry]:
        if self.order == "size":
            return sorted(entries, key=lambda one: -max(one.sizes(self.view).values(), default=-1))
        if self.order == "used":
            return sorted(entries, key=lambda one: -(one.used_ms() or 0))
        return sorted(entries, key=lambda one: one.ident[1].casefold())

    # The table -----------------------------------------------------------------------------------------------------

    def table(self) -> Table:
        """The matrix as cells."""
        is_told = len(self.nodes) <= MOST_TILES
        heads = [text.one_line(node.name, 64) for node in self.nodes]
        if not is_told:
            heads = [f"{head} · {words.free_words(node)}" for head, node in zip(heads, self.nodes, strict=True)]
        headers = ("On the nodes' disks", "Size", "Revision", "Last used", *heads)
        rows: list[tuple[Cell, ...]] = []
        for title, entries in self._groups():
            rows.append((Cell(title, "section"),))
            rows += [self._line(entry) for entry in entries]
        return Table(headers, tuple(rows))

    @property
    def nodes(self) -> tuple[DiskNode, ...]:
        """The columns."""
        return self.view.nodes

    def _line(self, entry: Entry) -> tuple[Cell, ...]:
        sizes = entry.sizes(self.view)
        whole = entry.row.size_bytes() if entry.row is not None else max(sizes.values(), default=None)
        size = Cell(words.size_words(whole))
        name = Cell(words.short_name(entry.ident[1]), "strong", hint=text.one_line(entry.ident[1], 200))
        if entry.row is None:
            held = [
                Cell(words.size_words(sizes[node.node_id])) if node.node_id in sizes else Cell("none")
                for node in self.nodes
            ]
            return (name, size, Cell(""), Cell(""), *held)
        revisions = self.revisions(entry.row)
        told = [words.short_revision(one) for one in revisions] or [text.NOT_KNOWN]
        revision = Cell(told[0]) if len(told) == 1 else Cell(f"{len(told)} of them", "warn", "differ")
        key = entry.row.key
        cells = [
            words.cell_of(
                entry.row.cell(node.node_id),
                node,
                key.kind,
                words.transfer_of(self.view, (key.kind, key.name), node.node_id),
                whole,
            )
            for node in self.nodes
        ]
        return (name, size, revision, Cell(words.used_words(entry.used_ms(), self.feeds.now_ms())), *cells)

    @staticmethod
    def revisions(row: DiskRow) -> tuple[str, ...]:
        """The different revisions on the nodes."""
        return tuple(sorted({cell.revision for cell in row.cells.values() if cell.revision}))

    # The chosen one ------------------------------------------------------------------------------------------------

    def choose(self, line: int) -> None:
        """Choose a line of the table; a heading chooses nothing."""
        entry = self.entries[line] if 0 <= line < len(self.entries) else None
        self.choose_ident(entry.ident if entry is not None else ("", ""))

    def choose_ident(self, ident: tuple[str, str]) -> None:
        """Choose by name."""
        if ident != self.chosen:
            self.chosen = ident
            self.chosen_changed.emit()

    def chosen_entry(self) -> Entry | None:
        """The chosen row as it is now."""
        return next((one for one in self.entries if one is not None and one.ident == self.chosen), None)

    def chosen_line(self) -> int:
        """Its line; -1 where it is not shown."""
        idents = [one.ident if one is not None else None for one in self.entries]
        return idents.index(self.chosen) if self.chosen in idents else -1

    # What can be done ----------------------------------------------------------------------------------------------

    def lacking(self, row: DiskRow) -> tuple[str, ...]:
        """Live nodes that certainly lack it, or have a part."""
        lacks = (Holding.NONE, Holding.PARTIAL)
        return tuple(
            node.node_id
            for node in self.nodes
            if node.is_live and row.cell(node.node_id).holding in lacks and not self.is_busy(row.key, node.node_id)
        )

    def is_busy(self, key: DiskKey, node_id: str) -> bool:
        """Whether something of ours is under way for it there."""
        return words.transfer_of(self.view, (key.kind, key.name), node_id) is not None

    def obstacle(self, task: str, row: DiskRow, node: DiskNode) -> str:
        """Why a task cannot be asked for now; "" when it can."""
        holding = row.cell(node.node_id).holding
        if not node.is_live:
            return f"{node.name} is away"
        if self.is_busy(row.key, node.node_id):
            return "Something is under way for it: see the bar below"
        if task == "fetch" and row.key.kind is Kind.FILE:
            return "Nobody knows where this file came from: copy it from this computer"
        if task in ("fetch", "copy") and holding is Holding.WHOLE:
            return "It is whole there"
        if task == "verify" and row.key.kind is not Kind.MODEL:
            return "It has no checksums to compare with"
        if task in ("verify", "remove") and holding in (Holding.NONE, Holding.UNKNOWN):
            return "It is not there" if holding is Holding.NONE else words.why_unknown(node, row.key.kind)
        users = self.feeds.users(row.key, node.node_id) if task == "remove" else ()
        return f"{', '.join(users)} runs with it: stop it first" if users else ""

    def transfers(self) -> tuple[Transfer, ...]:
        """Those under way and those just over that were not put away, the newest last; done ones go by themselves, and
        so do those that were begun anew."""
        newest = {(one.key, one.node_id, one.task): one.run_id for one in self.view.transfers}
        return tuple(
            one
            for one in self.view.transfers
            if one.run_id not in self._put_away
            and one.result != "done"
            and (not one.result or newest[one.key, one.node_id, one.task] == one.run_id)
        )

    def put_away(self, run_id: str) -> None:
        """Show a transfer that is over no more."""
        self._put_away.add(run_id)
        self.changed.emit()

    def resume(self, run_id: str) -> None:
        """Carry on what was cancelled or failed."""
        self._put_away.discard(run_id)
        self.actions.resume(run_id)

    def node_name(self, node_id: str) -> str:
        """A node's name."""
        return next((node.name for node in self.nodes if node.node_id == node_id), node_id)
