"""What a person looks for among the models: words, purposes, size, what fits now, what is on disk, and the order.

The one rule: it only tells the view-model; what passes is decided there.
"""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui.launch.part.filter_chip import FilterChip
from ui.models import words
from ui.models.model import FURTHER, LEAST_COLUMNS, ModelsModel
from ui.widgets.field import Select, TextInput

_SIZES = (
    ("", "Any size"),
    ("small", "Below 10 B"),
    ("middle", "10 to 40 B"),
    ("large", "40 to 130 B"),
    ("huge", "130 B and more"),
)


class FilterRow(QWidget):
    """Search, chips and choices."""

    def __init__(self, model: ModelsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.search = TextInput(placeholder="Search models", is_small=True, icon_name="search")
        self.search.setAccessibleName("Search models")
        self.search.setMinimumWidth(88)  # chips that are on are wider: in a small window the search makes room
        self.search.setMaximumWidth(164)
        self.purposes = {purpose: FilterChip(purpose.capitalize()) for purpose in model.purposes()}
        self.fits = FilterChip("Fits now")
        self.on_disk = FilterChip("On disk")
        self.sizes, self.order, self.nodes = (Select(is_small=True) for _ in range(3))
        for select, name, width in (
            (self.sizes, "Size", 128),
            (self.order, "Order", 150),
            (self.nodes, "Node counts", 134),
        ):
            select.setAccessibleName(name)
            select.setFixedWidth(width)
        self.sizes.set_options(list(_SIZES))
        self._build()
        self.search.textChanged.connect(lambda typed: model.set_filter(needle=typed))
        for chip in self.purposes.values():
            chip.toggled.connect(lambda _on: self._tell_purposes())
        self.fits.toggled.connect(lambda on: model.set_filter(fits_now=on))
        self.on_disk.toggled.connect(lambda on: model.set_filter(on_disk=on))
        self.sizes.currentIndexChanged.connect(lambda _at: model.set_filter(size=self.sizes.key()))
        self.order.currentIndexChanged.connect(lambda _at: model.set_order(self.order.key()))
        self.nodes.currentIndexChanged.connect(lambda _at: model.set_most_nodes(int(self.nodes.key() or 0)))
        model.place_changed.connect(self._offer)
        model.entries_changed.connect(self._follow)
        self._offer()

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.search, 100)
        for chip in self.purposes.values():
            row.addWidget(chip)
        row.addSpacing(8)
        row.addWidget(self.fits)
        row.addWidget(self.on_disk)
        row.addStretch(1)
        for part in (self.sizes, self.order, self.nodes):
            row.addWidget(part)

    def _tell_purposes(self) -> None:
        chosen = frozenset(purpose for purpose, chip in self.purposes.items() if chip.isChecked())
        self._model.set_filter(purposes=chosen)

    def _offer(self) -> None:
        """Orders and node counts follow the nodes that there are."""
        least = max(LEAST_COLUMNS, self._model.owned)
        counts = (least, *(count for count in FURTHER if count > least))
        self.nodes.blockSignals(True)
        self.nodes.set_options([(str(count), f"Up to {words.node_words(count)}") for count in counts])
        self.nodes.blockSignals(False)
        self.order.set_options(self._model.orders())

    def _follow(self) -> None:
        """Show what the heading or a cleared filter chose."""
        wanted = self._model.filter
        if self.order.key() != self._model.order:
            self.order.set_key(self._model.order)
        if self.search.text() != wanted.needle:
            self.search.setText(wanted.needle)
        if self.sizes.key() != wanted.size:
            self.sizes.set_key(wanted.size)
        chips = [(self.fits, wanted.fits_now), (self.on_disk, wanted.on_disk)]
        chips += [(chip, purpose in wanted.purposes) for purpose, chip in self.purposes.items()]
        for chip, is_on in chips:
            if chip.isChecked() is not is_on:
                chip.blockSignals(True)
                chip.setChecked(is_on)
                chip.blockSignals(False)
                chip.updateGeometry()
                chip.update()
