"""The widgets of the further fields: made, laid out in folds and filled. They hold nothing.

The one rule: a field that has no place now is hidden, and a fold opens by itself only for an error inside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.launch.choice.option import Offer
from ui.launch.form import Form
from ui.launch.part.entry import Entry, LinesInput
from ui.launch.part.fold import Fold
from ui.launch.part.word_input import WordInput
from ui.launch.serving.fields import OFF, ON, SERVING_FIELDS, SERVING_TITLES
from ui.launch.serving.offer import PURPOSES, WORD_FIELDS
from ui.launch.serving.section import SECTIONS, has_place, section_of, summarize
from ui.widgets.field import TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented
from ui.widgets.toggle import CheckBox

PLACEHOLDERS = "{rank} {nodes} {head_ip} {cx7_ifname} {hca} {port}"
_CHOICES: dict[str, list[tuple[str, ...]]] = {
    "purpose": [*PURPOSES],
    "prefix_caching": [("", "Default"), (ON, "On"), (OFF, "Off")],
    "reach": [("node", "This node only"), ("lan", "LAN + API key")],
    "weights_from": [("auto", "Automatic"), ("hub", "Hub"), ("desk", "This computer")],
    "custom_ready": [("http", "HTTP answers"), ("port", "Port is open"), ("log", "Log says")],
}
_ROWS = {"custom_command": 4, "system_prompt": 3}
_MONO = ("custom_venv", "custom_stop_command", "speculative_model")
_EXAMPLES = {
    "custom_command": "python -m my_server --port {port}",
    "custom_stop_command": "None: the signals alone",
    "custom_venv": "~/venv, where there is no image",
    "custom_ready_value": "/health",
    "custom_base_path": "Empty: it does not speak OpenAI's",
    "max_batched_tokens": "Automatic",
    "speculative_model": "owner/name of the hub",
    "speculative_tokens": "Automatic",
    "memory_fraction": "As planned",
    "threads": "Automatic",
    "stop_after_s": "Never",
    "temperature": "As the model has it",
    "system_prompt": "What a new chat starts with",
}
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


class ServingPart:
    """The entries by name, and the folds that hold most of them."""

    def __init__(self, tell: Callable[[str, object], None]) -> None:
        self.editors = {name: _make_editor(name) for name in SERVING_FIELDS}
        self.entries = {name: Entry(name, SERVING_TITLES[name], self.editors[name]) for name in SERVING_FIELDS}
        self.folds = {section.key: Fold(section.title) for section in SECTIONS}
        self.speculation, self.custom = QWidget(), QWidget()
        for name, editor in self.editors.items():
            _connect(editor, lambda value, name=name: tell(name, value))  # type: ignore[misc]  # bound by name
        for section in SECTIONS:
            _lay_out(self.folds[section.key].column, section.names, self.entries)
        _lay_out(_column_of(self.speculation), ("speculative_model", "speculative_tokens"), self.entries)
        self._build_custom()
        self._trust = Label(_TRUST, "label", "text3", is_wrapped=True)
        self.folds["engine"].column.addWidget(self._trust)
        self.entries["restart_limit"].set_hint("0 to 10")
        self.entries["memory_fraction"].set_hint("0.85 is 85 %")
        self.entries["stop_after_s"].set_hint("8 h, 2 d")

    def _build_custom(self) -> None:
        column = _column_of(self.custom)
        names = tuple(name for name in SERVING_FIELDS if name.startswith("custom_"))
        self.entries["custom_command"].set_hint("read like a shell line; none runs it")
        order = ("custom_command", "custom_venv", "custom_ready", "custom_ready_value", "custom_base_path")
        _lay_out(column, (*order, *(name for name in names if name not in order)), self.entries)
        column.insertWidget(1, Label(f"Filled in: {PLACEHOLDERS}", "label", "text3", is_wrapped=True))

    def fill(self, form: Form, offers: Mapping[str, list[Offer]]) -> None:
        """Show what the form says, and only what has a place."""
        for name, editor in self.editors.items():
            _show(editor, getattr(form, name), offers.get(name, []))
            self.entries[name].setVisible(has_place(name, form))
        for name in ("speculation", "custom"):
            names = [
                each for each in SERVING_FIELDS if each.startswith("speculative" if name != "custom" else "custom_")
            ]
            getattr(self, name).setVisible(any(has_place(each, form) for each in names))
        for section in SECTIONS:
            fold = self.folds[section.key]
            fold.head.set_summary(summarize(section, form))
            fold.setVisible(any(has_place(each, form) for each in section.names))
        self._trust.setVisible(has_place("trust_remote_code", form))

    def open_for(self, names: Collection[str]) -> None:
        """Open the folds that hold one of these fields."""
        for key in {section_of(name) for name in names} - {""}:
            self.folds[key].set_open(is_open=True)


def _make_editor(name: str) -> QWidget:
    if name in WORD_FIELDS:
        return WordInput()
    if name in _CHOICES:
        return Segmented(_CHOICES[name], what=SERVING_TITLES[name])
    if name in _ROWS:
        return LinesInput(_EXAMPLES[name], _ROWS[name])
    if name == "trust_remote_code":
        return CheckBox("Let it run")
    return TextInput(placeholder=_EXAMPLES.get(name, ""), is_mono=name in _MONO)


def _connect(editor: QWidget, tell: Callable[[object], None]) -> None:
    if isinstance(editor, WordInput):
        editor.edited.connect(tell)
    elif isinstance(editor, Segmented):
        editor.changed.connect(tell)
    elif isinstance(editor, LinesInput):
        editor.textChanged.connect(lambda: tell(editor.toPlainText()))
    elif isinstance(editor, CheckBox):
        editor.toggled.connect(tell)
    elif isinstance(editor, TextInput):
        editor.textEdited.connect(tell)


def _show(editor: QWidget, value: object, offers: list[Offer]) -> None:
    if isinstance(editor, CheckBox):
        editor.setChecked(bool(value))
        return
    words = str(value)
    if isinstance(editor, WordInput):
        editor.show_word(offers, words)
    elif isinstance(editor, Segmented):
        editor.set_key(words)
        for offer in offers:
            editor.set_disabled_reason(offer.key, offer.reason)
    elif isinstance(editor, LinesInput):
        if editor.toPlainText() != words:
            editor.setPlainText(words)
    elif isinstance(editor, TextInput) and editor.text() != words:
        editor.setText(words)
        editor.setCursorPosition(0)


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
