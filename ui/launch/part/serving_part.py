"""The further fields of the form: laid out in folds, made when they are needed first, and filled. They hold nothing.

The one rule: a field that has no place now is hidden or not made; a fold opens by itself only for what must be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.launch.choice.option import Offer
from ui.launch.form import Form
from ui.launch.part.editor import connect_editor, make_editor, show_value
from ui.launch.part.entry import Entry
from ui.launch.part.tab_order import place_after
from ui.launch.serving.fields import SERVING_TITLES
from ui.launch.serving.section import (
    CUSTOM_NAMES,
    ENGINE,
    SECTIONS,
    SPECULATION_NAMES,
    Section,
    has_place,
    section_of,
    summarize,
)
from ui.widgets.fold import Fold
from ui.widgets.label import Label

PLACEHOLDERS = "{rank} {nodes} {head_ip} {cx7_ifname} {hca} {port}"
_PAIRS = (
    ("tool_parser", "reasoning_parser"),
    ("attention_backend", "moe_backend"),
    ("load_format", "memory_fraction"),
    ("restart_limit", "stop_after_s"),
    ("speculative_model", "speculative_tokens"),
    ("custom_ready_value", "custom_base_path"),
)
_TRUST = (
    "Python files of the model's repository run in its container. Read them first: they can do what the server can."
)
_HINTS: Final = {
    "restart_limit": "0 to 10",
    "memory_fraction": "0.85 is 85 %",
    "stop_after_s": "8 h, 2 d",
    "custom_command": "read like a shell line; none runs it",
}
IN_THE_OPEN: Final = ("purpose", "reach")
"""What is always there, outside of every fold."""


class ServingPart:
    """The entries by name, as far as they are made, and the folds that hold most of them.

    `tell` hears what a person changed; `made` that there are new entries, which nobody has filled yet.
    """

    def __init__(self, tell: Callable[[str, object], None], made: Callable[[], None]) -> None:
        self._tell, self._made = tell, made
        self.entries: dict[str, Entry] = {}
        self._make(IN_THE_OPEN)
        self.folds = {section.key: Fold(section.title, partial(self._open, section)) for section in SECTIONS}
        self.speculation, self.custom = QWidget(), QWidget()
        self.anchors: dict[QWidget, QWidget] = {}
        """What Tab leaves for these two when they are there; the form knows."""
        self._trust: Label | None = None

    def _make(self, names: Collection[str]) -> None:
        for name in names:
            editor = make_editor(name)
            connect_editor(editor, partial(self._tell, name))
            self.entries[name] = Entry(name, SERVING_TITLES[name], editor, hint=_HINTS.get(name, ""))

    def _open(self, section: Section, column: QVBoxLayout) -> None:
        self._build(section.names, column)
        holder = column.parentWidget()
        if section.key == ENGINE:
            self._trust = Label(_TRUST, "label", "text3", is_wrapped=True)
            column.addWidget(self._trust)
        if holder is not None:
            place_after(self.folds[section.key].head, holder)

    def _build(self, names: tuple[str, ...], column: QVBoxLayout) -> None:
        self._make(names)
        _lay_out(column, names, self.entries)
        self._made()

    def _need(self, holder: QWidget, names: tuple[str, ...], form: Form) -> None:
        """Show some fields that stand in the open where they have a place, made when that is so first."""
        has_any = any(has_place(name, form) for name in names)
        if has_any and names[0] not in self.entries:
            column = _column_of(holder)
            self._build(names, column)
            place_after(self.anchors[holder], holder)
            if holder is self.custom:
                column.insertWidget(1, Label(f"Filled in: {PLACEHOLDERS}", "label", "text3", is_wrapped=True))
        holder.setVisible(has_any)

    def fill(self, form: Form, offers: Callable[[str], list[Offer]]) -> None:
        """Show what the form says, and only what has a place; `offers` gives what a choice offers."""
        self._need(self.speculation, SPECULATION_NAMES, form)
        self._need(self.custom, CUSTOM_NAMES, form)
        for name, entry in self.entries.items():
            show_value(entry.editor, getattr(form, name), offers(name))
            entry.setVisible(has_place(name, form))
        for section in SECTIONS:
            fold = self.folds[section.key]
            fold.head.set_summary(summarize(section, form))
            fold.setVisible(any(has_place(each, form) for each in section.names))
        if self._trust is not None:
            self._trust.setVisible(has_place("trust_remote_code", form))

    def open_for(self, names: Collection[str]) -> None:
        """Open the folds that hold one of these fields."""
        for key in {section_of(name) for name in names} - {""}:
            self.folds[key].set_open(is_open=True)

    def mark(self, errors: Collection[str], warnings: Collection[str]) -> None:
        """Have each fold say that one of these fields is inside."""
        wrong, minded = ({section_of(name) for name in names} for names in (errors, warnings))
        for key, fold in self.folds.items():
            fold.head.set_mark("crit" if key in wrong else "warn" if key in minded else "")


def _column_of(holder: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(12)
    return column


def _lay_out(column: QVBoxLayout, names: tuple[str, ...], entries: Mapping[str, Entry]) -> None:
    """The fields below each other, some two in a row; what is wrong with those stands below both."""
    seconds = {second: first for first, second in _PAIRS if first in names and second in names}
    for name in names:
        if name in seconds:
            continue
        pair = next((other for other, first in seconds.items() if first == name), "")
        if not pair:
            column.addWidget(entries[name])
            continue
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(entries[name], 1)
        row.addWidget(entries[pair], 1)
        column.addLayout(row)
        column.addWidget(entries[name].error_label())
        column.addWidget(entries[pair].error_label())
