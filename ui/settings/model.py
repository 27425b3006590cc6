"""What the settings page shows and stores.

Rule: QtCore only; what is stored may be anything and is read with care.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.recipe.approval import Approvals, read_approvals
from sparkdesk.core.telemetry.energy_rate import EnergyRates
from ui.preference import Preferences
from ui.settings.rate import (
    CURRENCY_KEY,
    GRID_KEY,
    MOST_GRID_G,
    MOST_PRICE,
    PRICE_KEY,
    read_amount,
    read_currency,
    read_rates,
)

SCALES_PERCENT: Final = (90, 100, 110, 125, 150)
THEME_KEY: Final = "appearance.theme"
SCALE_KEY: Final = "appearance.scale_percent"
MOTION_KEY: Final = "appearance.is_motion_reduced"
APPROVED_KEY: Final = "recipes.approved"
_THEMES: Final = ("system", "dark", "light")


def read_scale(store: Preferences) -> int:
    """Return the stored scale in percent, 100 for anything that is none of ours.

    Qt reads it from QT_SCALE_FACTOR before the first window, so a change waits for the next start.
    """
    value = store.get(SCALE_KEY, 100)
    return value if isinstance(value, int) and value in SCALES_PERCENT else 100


class SettingsModel(QObject):
    """Looks, the data folder and the versions of what runs. `versions` are (name, version) pairs."""

    theme_changed = Signal(str)
    motion_changed = Signal(bool)
    scale_changed = Signal(int)
    rates_changed = Signal()

    def __init__(
        self,
        store: Preferences,
        *,
        data_folder: str = "",
        versions: tuple[tuple[str, str], ...] = (),
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self.data_folder = data_folder
        self.versions = versions
        self.approvals: Latest[Approvals] = Latest(read_approvals(store.get(APPROVED_KEY)))
        """The recipes that may fill the launch form; kept with the settings, so on this computer only."""

    def theme(self) -> str:
        """Return "system", "dark" or "light"."""
        value = self._store.get(THEME_KEY, "system")
        return str(value) if value in _THEMES else "system"

    def set_theme(self, choice: str) -> None:
        """Store and announce a theme."""
        self._store.set(THEME_KEY, choice)
        self.theme_changed.emit(choice)

    def scale_percent(self) -> int:
        """Return the stored scale."""
        return read_scale(self._store)

    def set_scale_percent(self, scale_percent: int) -> None:
        """Store a scale for the next start."""
        self._store.set(SCALE_KEY, scale_percent)
        self.scale_changed.emit(scale_percent)

    def is_motion_reduced(self) -> bool:
        """Say whether things may not move."""
        return self._store.get(MOTION_KEY, False) is True

    def set_motion_reduced(self, is_reduced: bool) -> None:
        """Store and announce whether things may not move."""
        self._store.set(MOTION_KEY, is_reduced)
        self.motion_changed.emit(is_reduced)

    def rates(self) -> EnergyRates:
        """Return what was said that energy costs and causes."""
        return read_rates(self._store)

    def set_price(self, text: str) -> str:
        """Store the price of a kWh as typed, "" takes it back; return what is wrong with it, then nothing changes."""
        return self._set_amount(PRICE_KEY, text, MOST_PRICE)

    def set_grid(self, text: str) -> str:
        """Store the grid's grams of CO2 for a kWh as typed, as `set_price` does."""
        return self._set_amount(GRID_KEY, text, MOST_GRID_G)

    def set_currency(self, text: str) -> str:
        """Store the word beside a cost; return what is wrong with it, then nothing changes."""
        words, problem = read_currency(text)
        if not problem:
            self._store.set(CURRENCY_KEY, words)
            self.rates_changed.emit()
        return problem

    def approve_recipe(self, digest: str, day: str) -> None:
        """Remember that the person approved the text with this SHA-256 on this day (YYYY-MM-DD). Runs nothing."""
        self._set_approvals(self.approvals.value.add(digest, day))

    def forget_recipes(self) -> None:
        """Take back every approval. What a recipe filled or started before stays as it is."""
        self._set_approvals(Approvals())

    def _set_approvals(self, approvals: Approvals) -> None:
        self._store.set(APPROVED_KEY, approvals.written())
        self.approvals.set(approvals)

    def _set_amount(self, key: str, text: str, most: float) -> str:
        value, problem = read_amount(text, most)
        if not problem:
            self._store.set(key, value if value == value else "")
            self.rates_changed.emit()
        return problem
