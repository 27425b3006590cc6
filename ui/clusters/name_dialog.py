"""Asks for one name: of a new cluster, of a cluster or node that is renamed.

The one rule: what is wrong with a name is said while it is typed; an empty or taken one cannot be given.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.name import check_name
from sparkdesk.core.errors import SettingsError
from ui import theme
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label


def name_problem(name: str, taken: Sequence[str] = ()) -> str:
    """Why a name cannot be used, "" when it can."""
    try:
        check_name(name, taken)
    except SettingsError as error:
        return f"{error.message}. {error.remedy}"
    return ""


class NameDialog(QDialog):
    """Open it with `open()`; `accepted` follows only a good name, `name()` gives it."""

    def __init__(
        self, title: str, *, words: str = "", name: str = "", taken: Sequence[str] = (), action: str, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setFixedWidth(420)
        self._taken = tuple(taken)
        self.input = TextInput(name)
        self.input.selectAll()
        self._field = Field("Name", self.input)
        self.cancel = Button("Cancel")
        self.give = Button(action, kind="primary")
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(title, "object_title", "text", is_wrapped=True))
        if words:
            column.addWidget(Label(words, "body", "text2", is_wrapped=True))
        column.addWidget(self._field)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.give)
        column.addLayout(row)
        self.give.setDefault(True)
        self.cancel.setAutoDefault(False)
        self.cancel.clicked.connect(self.reject)
        self.give.clicked.connect(self.accept)
        self.input.textChanged.connect(self._check)
        self.give.set_disabled_reason(name_problem(name, self._taken))
        self.input.setFocus()

    def name(self) -> str:
        """The name typed, without blanks around it."""
        return self.input.text().strip()

    def _check(self) -> None:
        problem = name_problem(self.input.text(), self._taken)
        self._field.set_error(problem)
        self.give.set_disabled_reason(problem)

    def accept(self) -> None:
        """Take the name, if it can be used."""
        self._check()
        if not name_problem(self.input.text(), self._taken):
            super().accept()
