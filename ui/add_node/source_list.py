"""Where the search looks: a row a source with how far it is, and the range that a person types.

Rule: a source that cannot be searched says why; a range with a mistake is never sent.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.candidate import SearchProgress, SearchState, Source
from ui.add_node.search_model import SearchModel
from ui.add_node.words import SOURCES, sentence, source_status
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator, card_header
from ui.widgets.field import Field, TextInput
from ui.widgets.field_row import field_row
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.loader import Loader

_ORDER = (Source.MDNS, Source.SSH_CONFIG, Source.NEIGHBOUR, Source.RANGE)


class SourceRow(QWidget):
    """One source: title, figure, and a line below about what it is or why it cannot be searched."""

    def __init__(self, source: Source, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        words = SOURCES[source]
        self._about = words.about
        self._icon = words.icon
        self._mark = IconLabel(words.icon, "text3", size=14)
        self._loader = Loader(words.title, size=14)
        self.title = Label(words.title, "dense_medium", "text")
        self.status = Label("", "label", "text3")
        self.note = Label(words.about, "label", "text3", is_wrapped=True)
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self._mark)
        head.addWidget(self._loader)
        head.addWidget(self.title, 1)
        head.addWidget(self.status)
        below = QHBoxLayout()
        below.setContentsMargins(24, 0, 0, 0)
        below.addWidget(self.note)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addLayout(below)

    def show_progress(self, progress: SearchProgress) -> None:
        """Show how far the source is."""
        is_running = progress.state is SearchState.RUNNING
        cannot = progress.state is SearchState.UNAVAILABLE
        self._mark.setVisible(not is_running)
        self._loader.setVisible(is_running)
        self._loader.set_running(is_running)
        self._mark.set_icon("triangle-alert" if cannot else self._icon, "warn" if cannot else "text3")
        self.status.setText(source_status(progress))
        self.status.set_tint("warn" if cannot else "accenttext" if progress.found else "text3")
        is_told = cannot or progress.state is not SearchState.IDLE
        note = sentence(progress.note) if is_told else ""
        self.note.setText(note or self._about)
        self.note.set_tint("text2" if cannot else "text3")
        self.setAccessibleName(f"{self.title.text()}, {self.status.text()}. {self.note.text()}")


class SourceList(Card):
    """`range_given` carries a range without mistakes."""

    range_given = Signal(str)

    def __init__(self, search: SearchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._search = search
        self.rows = {source: SourceRow(source) for source in _ORDER}
        self.range = TextInput(placeholder="10.0.20.0/24")
        self._range_field = Field("Addresses", self.range)
        self.range_button = Button("Search it")
        column = self.column(spacing=12)
        column.addLayout(card_header("Where it looks"))
        for row in self.rows.values():
            column.addWidget(row)
        line = field_row(self._range_field, self.range_button, spacing=6)
        line.setContentsMargins(24, 0, 0, 0)
        column.addLayout(line)
        column.addStretch(1)
        column.addWidget(Separator())
        words = "It only listens and asks for names. It does not log in, and sends nothing secret."
        column.addWidget(Label(words, "label", "text3", is_wrapped=True))
        self.range.textEdited.connect(self._check)
        self.range.returnPressed.connect(self._give)
        self.range_button.clicked.connect(self._give)
        search.progress_changed.connect(self.refresh)
        self.refresh()
        self._check("")

    def refresh(self) -> None:
        """Show how far each source is."""
        for source, row in self.rows.items():
            row.show_progress(self._search.progress_of(source))

    def range_error(self) -> str:
        """Return what is wrong with the range typed, "" when nothing is."""
        return self._range_field.error()

    def _check(self, text: str) -> None:
        problem = sentence(self._search.range_problem(text), 200)
        self._range_field.set_error(problem)
        self.range_button.set_disabled_reason(problem or ("" if text.strip() else "Type a range of addresses first."))

    def _give(self) -> None:
        text = self.range.text().strip()
        self._check(text)
        if text and not self.range_error():
            self.range_given.emit(text)
