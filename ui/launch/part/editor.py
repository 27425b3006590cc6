"""The editors of the further fields: one for each, what a person does with it, and what it shows. They hold nothing.

The one rule: what is shown is what the form says, word for word; showing it is no edit of a person's.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from ui.launch.choice.option import Offer
from ui.launch.part.entry import LinesInput
from ui.launch.part.word_input import WordInput
from ui.launch.serving.fields import OFF, ON, SERVING_TITLES
from ui.launch.serving.offer import PURPOSES, WORD_FIELDS
from ui.widgets.field import TextInput
from ui.widgets.segmented import Segmented
from ui.widgets.toggle import CheckBox

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
    "load_timeout_s": "As planned",
    "temperature": "As the model has it",
    "system_prompt": "What a new chat starts with",
}


def make_editor(name: str) -> QWidget:
    """The widget in which a field is edited."""
    if name in WORD_FIELDS:
        return WordInput()
    if name in _CHOICES:
        return Segmented(_CHOICES[name], what=SERVING_TITLES[name])
    if name in _ROWS:
        return LinesInput(_EXAMPLES[name], _ROWS[name])
    if name == "trust_remote_code":
        return CheckBox("Let it run")
    return TextInput(placeholder=_EXAMPLES.get(name, ""), is_mono=name in _MONO)


def connect_editor(editor: QWidget, tell: Callable[[object], None]) -> None:
    """Have `tell` called with what a person makes of it."""
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


def show_value(editor: QWidget, value: object, offers: list[Offer]) -> None:
    """Show what the form says."""
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
