"""The settings page.

Rule: one column of at most 640 px; each block says what it changes.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.jobs.recipe.approval import Approvals
from ui import theme
from ui.bridge import watch
from ui.settings.hub_card import HubCard, HubTokenFeeds
from ui.settings.model import SCALES_PERCENT, SettingsModel
from ui.settings.rate import write_amount
from ui.text import THIN_SPACE
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.copy_field import CopyField
from ui.widgets.field import Field, Select, TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented
from ui.widgets.toggle import Switch

_WIDTH = 640


class SettingsPage(QScrollArea):
    """Looks, data, versions."""

    def __init__(
        self, model: SettingsModel, parent: QWidget | None = None, *, hub: HubTokenFeeds | None = None
    ) -> None:
        super().__init__(parent)
        self.model = model
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        body.setProperty("tone", "page")
        column = QVBoxLayout(body)
        column.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        column.setSpacing(theme.GAP)
        column.addWidget(Label("Settings", "page_title", "text"))
        self.hub_card = HubCard(hub) if hub is not None else None
        hub_cards = (self.hub_card,) if self.hub_card is not None else ()
        for card in (self._looks(), *hub_cards, self._energy(), self._recipes(), self._data(), self._about()):
            card.setMaximumWidth(_WIDTH)
            column.addWidget(card)
        column.addStretch(1)
        self.setWidget(body)

    def _looks(self) -> Card:
        card = Card()
        column = card.column(spacing=12)
        column.addWidget(Label("Appearance", "dense_strong", "text"))
        options: list[tuple[str, ...]] = [("system", "Like the desktop"), ("dark", "Dark"), ("light", "Light")]
        choice = Segmented(options, what="Theme", chosen=self.model.theme())
        choice.changed.connect(self.model.set_theme)
        choice.changed.connect(lambda key: theme.set_theme(theme.read_choice(key)))
        scale = Select()
        scale.set_options([(str(each), f"{each}{THIN_SPACE}%") for each in SCALES_PERCENT])
        scale.set_key(str(self.model.scale_percent()))
        scale.currentIndexChanged.connect(lambda _: self.model.set_scale_percent(int(scale.key())))
        motion = Switch("Reduce motion")
        motion.setChecked(self.model.is_motion_reduced())
        motion.toggled.connect(self.model.set_motion_reduced)
        motion.toggled.connect(lambda is_on: theme.set_motion(is_reduced=is_on))
        row = QHBoxLayout()
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(Label("Reduce motion", "body", "text"))
        words.addWidget(Label("Nothing slides, and the loader stands still.", "label", "text3"))
        row.addLayout(words, 1)
        row.addWidget(motion)
        column.addWidget(Field("Theme", choice))
        size = Field("Size of everything", scale, hint="from the next start")
        size.setMaximumWidth(240)
        column.addWidget(size)
        column.addLayout(row)
        return card

    def _energy(self) -> Card:
        card = Card()
        column = card.column(spacing=12)
        column.addWidget(Label("Energy", "dense_strong", "text"))
        rates = self.model.rates()
        row = QHBoxLayout()
        row.setSpacing(12)
        for label, text, store in (
            ("Price of a kWh", write_amount(rates.price_per_kwh), self.model.set_price),
            ("Currency", rates.currency, self.model.set_currency),
            ("CO2 of the grid, g for a kWh", write_amount(rates.grid_g_per_kwh), self.model.set_grid),
        ):
            row.addWidget(_typed(label, text, store), 1)
        column.addLayout(row)
        words = (
            "Without a price no cost is shown, and without the grid's figure no CO2. Both are on your bill or your "
            "supplier's page. A Spark measures its GPU rail only; what the wall gives is an estimate."
        )
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        return card

    def _recipes(self) -> Card:
        card = Card()
        column = card.column()
        column.addWidget(Label("Recipes", "dense_strong", "text"))
        count = Label("", "body", "text")
        forget = Button("Forget all", is_small=True)
        forget.clicked.connect(self.model.forget_recipes)
        row = QHBoxLayout()
        row.addWidget(count, 1)
        row.addWidget(forget)
        column.addLayout(row)
        words = (
            "A recipe fills the launch form only after you approved its exact text on this computer. "
            "What is forgotten is asked again; what runs goes on."
        )
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))

        def show(approvals: Approvals) -> None:
            count.setText(f"Approved recipes: {len(approvals.days)}")
            forget.set_disabled_reason("" if approvals.days else "None is approved")

        watch(self.model.approvals, self, show)
        return card

    def _data(self) -> Card:
        card = Card()
        column = card.column()
        column.addWidget(Label("Data and privacy", "dense_strong", "text"))
        column.addWidget(Field("Data folder", CopyField("Data folder", self.model.data_folder)))
        words = "SparkDesk sends nothing: no telemetry, no account. It talks only to the nodes you add."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        return card

    def _about(self) -> Card:
        card = Card()
        column = card.column()
        column.addWidget(Label("About", "dense_strong", "text"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for row, (name, version) in enumerate(self.model.versions):
            grid.addWidget(Label(name, "dense", "text3"), row, 0)
            grid.addWidget(Label(version, "dense", "text", is_selectable=True), row, 1)
        column.addLayout(grid)
        return card


def _typed(label: str, text: str, store: Callable[[str], str]) -> Field:
    """A field that is stored when it is left; what is wrong with it stands under it."""
    editor = TextInput(text, placeholder="not set")
    field = Field(label, editor)
    editor.editingFinished.connect(lambda: field.set_error(store(editor.text())))
    return field
