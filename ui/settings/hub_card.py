"""The card of the hub's token: set, replaced, forgotten, and where it is kept.

The one rule: the token is never shown again, not even to the person who typed it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from sparkdesk.core.feed import Latest
from ui.bridge import watch
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label

WORDS: Final = (
    "Some models are given out only to who accepted their terms. Make a token that may read in the hub's settings, "
    "accept the terms on the model's page, and enter it here. It reaches a node only for a fetch, never in a command."
)


@dataclass(frozen=True, slots=True)
class HubToken:
    """How the token stands: `is_set` None is not known yet; `problem` is what was wrong with the last one."""

    is_set: bool | None = None
    is_durable: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class HubTokenFeeds:
    """What the card reads and asks for; `store` takes "" to forget."""

    token: Latest[HubToken]
    store: Callable[[str], None]


def token_words(token: HubToken) -> str:
    """How it stands, in words."""
    if token.is_set is None:
        return "Not known yet"
    if not token.is_set:
        return "No token is kept"
    place = "in this computer's keyring" if token.is_durable else "in memory only, until SparkDesk ends"
    return f"A token is kept {place}"


class HubCard(Card):
    """The card."""

    def __init__(self, feeds: HubTokenFeeds, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self.said = Label("", "body", "text")
        self.typed = TextInput(placeholder="hf_")
        self.typed.setEchoMode(QLineEdit.EchoMode.Password)
        self.field = Field("Token", self.typed)
        self.save = Button("Save", is_small=True)
        self.forget = Button("Forget", is_small=True)
        column = self.column(spacing=8)
        column.addWidget(Label("Model hub", "dense_strong", "text"))
        column.addWidget(Label(WORDS, "dense", "text2", is_wrapped=True))
        column.addWidget(self.field)
        row = QHBoxLayout()
        row.addWidget(self.said, 1)
        row.addWidget(self.forget)
        row.addWidget(self.save)
        column.addLayout(row)
        self.save.clicked.connect(self._save)
        self.typed.returnPressed.connect(self._save)
        self.forget.clicked.connect(lambda: feeds.store(""))
        watch(feeds.token, self, self._show)

    def _show(self, token: HubToken) -> None:
        self.said.setText(token_words(token))
        self.save.setText("Replace" if token.is_set else "Save")
        self.save.updateGeometry()
        self.forget.set_disabled_reason("" if token.is_set else "There is none")
        self.field.set_error(token.problem)

    def _save(self) -> None:
        typed = self.typed.text().strip()
        self.typed.clear()
        if typed:
            self._feeds.store(typed)
