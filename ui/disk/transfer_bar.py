"""The bar below the matrix: what is under way, how fast, how long; and what went wrong, with what helps.

The one rule: a failed transfer stays until a person resumes it or puts it away.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.disk.view import Transfer
from ui.disk import words
from ui.disk.model import DiskModel
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.label import ElidedLabel, plain_tooltip
from ui.widgets.meter import Meter

MOST_SHOWN = 4


class TransferLine(QWidget):
    """One transfer."""

    def __init__(self, model: DiskModel, run_id: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run_id = run_id
        self.title = ElidedLabel("", "dense_medium", "text", mode=Qt.TextElideMode.ElideMiddle)
        self.meter = Meter("Progress", height=4, has_levels=False)
        self.meter.setFixedWidth(120)
        self.said = ElidedLabel("", "dense", "text2")
        self.help = ElidedLabel("", "label", "text2")
        self.token = Button("Enter the token", is_small=True, icon="key")
        self.resume = Button("Resume", is_small=True, icon="play")
        self.cancel = Button("Cancel", is_small=True)
        self.away = IconButton("x", "Put this away", size=24)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        lines = QVBoxLayout()
        lines.setSpacing(0)
        lines.addWidget(self.said)
        lines.addWidget(self.help)
        row.addWidget(self.title, 2)
        row.addWidget(self.meter)
        row.addLayout(lines, 3)
        for part in (self.token, self.resume, self.cancel, self.away):
            row.addWidget(part)
        self.token.clicked.connect(model.actions.enter_token)
        self.resume.clicked.connect(lambda: model.resume(run_id))
        self.cancel.clicked.connect(lambda: model.actions.cancel(run_id))
        self.away.clicked.connect(lambda: model.put_away(run_id))

    def show_transfer(self, one: Transfer, node_name: str) -> None:
        """Show how it stands."""
        is_over = bool(one.result)
        self.title.setText(words.transfer_title(one, node_name))
        self.meter.setVisible(not is_over and one.fraction is not None)
        self.meter.set_fraction(one.fraction)
        self.said.setText(words.transfer_words(one))
        self.help.setText(words.help_words(one))
        self.help.setVisible(bool(words.help_words(one)))
        self.said.set_tint("crit" if one.result == "failed" else "warn" if is_over else "text2")
        whole = f"{words.transfer_words(one)}. {words.help_words(one)}" if words.help_words(one) else ""
        for part in (self.said, self.help):
            part.setToolTip(plain_tooltip(whole or words.transfer_words(one)))
        self.resume.setText("Try again" if one.result == "failed" else "Resume")
        self.token.setVisible(words.needs_token(one))
        self.resume.setVisible(is_over)
        self.cancel.setVisible(not is_over)
        self.away.setVisible(is_over)
        self.setAccessibleName(f"{words.transfer_title(one, node_name)}: {whole or words.transfer_words(one)}")


class TransferBar(Card):
    """The lines; hidden while there is none."""

    def __init__(self, model: DiskModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.lines: list[TransferLine] = []
        self._column = QVBoxLayout()
        self._column.setSpacing(4)
        self.column(spacing=4, margins=(12, 8, 12, 8)).addLayout(self._column)
        self.setAccessibleName("Transfers")
        self.setVisible(False)

    def refresh(self) -> None:
        """Show the transfers of now, the newest ones."""
        shown = self._model.transfers()[-MOST_SHOWN:]
        if [line.run_id for line in self.lines] != [one.run_id for one in shown]:
            for line in self.lines:
                line.setVisible(False)
                line.deleteLater()
            self.lines = [TransferLine(self._model, one.run_id) for one in shown]
            for line in self.lines:
                self._column.addWidget(line)
        for line, one in zip(self.lines, shown, strict=True):
            line.show_transfer(one, self._model.node_name(one.node_id))
        self.setVisible(bool(shown))
