from __future__ import annotations

import math

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel

from sparkdesk.core.telemetry.energy_rate import EnergyRates
from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui import theme
from ui.main_window import MemoryStore
from ui.settings.model import SettingsModel, read_scale
from ui.settings.rate import CURRENCY_KEY, GRID_KEY, PRICE_KEY, read_amount, read_rates, write_amount
from ui.settings.view import SettingsPage
from ui.widgets.field import Field, Select, TextInput
from ui.widgets.toggle import Switch


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def page(dressed: QApplication, store: MemoryStore) -> SettingsPage:
    model = SettingsModel(
        store, data_folder="/data/sparkdesk", versions=(("SparkDesk", "0.1.0"), ("<b>Qt</b>", "6.11.3"))
    )
    page = SettingsPage(model)
    host_page(page, 1232, 852)
    return page


def test_a_theme_is_worn_at_once_and_remembered(page: SettingsPage, store: MemoryStore) -> None:
    light = next(button for button in page.findChildren(QAbstractButton) if button.text() == "Light")
    QTest.mouseClick(light, Qt.MouseButton.LeftButton)
    assert (theme.name(), store.get("appearance.theme")) == ("light", "light")


def test_motion_is_reduced_at_once_and_remembered(page: SettingsPage, store: MemoryStore) -> None:
    theme.set_motion(is_reduced=False)
    switch = page.findChildren(Switch)[0]
    QTest.mouseClick(switch, Qt.MouseButton.LeftButton, pos=switch.rect().center())
    assert theme.is_motion_reduced()
    assert store.get("appearance.is_motion_reduced") is True


def test_a_scale_is_kept_for_the_next_start(page: SettingsPage, store: MemoryStore) -> None:
    page.findChildren(Select)[0].set_key("125")
    assert read_scale(store) == 125


@pytest.mark.parametrize("stored", [None, "125", 7, True, 1000])
def test_a_stored_scale_that_is_none_is_100(stored: object) -> None:
    store = MemoryStore()
    store.set("appearance.scale_percent", stored)
    assert read_scale(store) == 100


def test_a_stored_theme_that_is_none_is_the_systems() -> None:
    store = MemoryStore()
    store.set("appearance.theme", ["dark"])
    assert SettingsModel(store).theme() == "system"


def typed(page: SettingsPage, label: str, text: str) -> Field:
    field = next(field for field in page.findChildren(Field) if field.editor.accessibleName() == label)
    assert isinstance(field.editor, TextInput)
    field.editor.setText(text)
    QTest.keyClick(field.editor, Qt.Key.Key_Return)
    return field


def test_energy_has_no_price_until_somebody_names_one(page: SettingsPage, store: MemoryStore) -> None:
    rates = read_rates(store)
    assert math.isnan(rates.price_per_kwh)
    assert math.isnan(rates.grid_g_per_kwh)
    assert rates.currency == ""
    typed(page, "Price of a kWh", " 0,32 ")
    typed(page, "Currency", "EUR")
    typed(page, "CO2 of the grid, g for a kWh", "380")
    assert read_rates(store) == EnergyRates(0.32, "EUR", 380.0)
    typed(page, "Price of a kWh", "")
    assert math.isnan(read_rates(store).price_per_kwh)


@pytest.mark.parametrize("text", ["cheap", "-1", "1e9", "nan", "inf", "1.2.3", "1,000,000", "1_0", "٣"])
def test_a_price_that_is_none_is_refused_with_a_reason(page: SettingsPage, store: MemoryStore, text: str) -> None:
    typed(page, "Price of a kWh", "0.5")
    field = typed(page, "Price of a kWh", text)
    assert field.error()
    assert read_rates(store).price_per_kwh == 0.5
    assert typed(page, "Price of a kWh", "0.25").error() == ""


@pytest.mark.parametrize(
    ("text", "ways"),
    [("1,000", ("1000", "1.000")), (" 12,345 ", ("12345", "12.345")), ("380,125", ("380125", "380.125"))],
)
def test_a_comma_that_may_part_thousands_is_asked_about(
    page: SettingsPage, store: MemoryStore, text: str, ways: tuple[str, str]
) -> None:
    typed(page, "Price of a kWh", "0.5")
    error = typed(page, "Price of a kWh", text).error()
    assert all(way in error for way in ways), error
    assert read_rates(store).price_per_kwh == 0.5


@pytest.mark.parametrize(("text", "value"), [("0,325", 0.325), ("1,0000", 1.0), ("1000,5", 1000.5), ("1.000", 1.0)])
def test_a_comma_that_can_only_part_decimals_is_taken_as_a_dot(text: str, value: float) -> None:
    assert read_amount(text, 1e6) == (value, "")


def test_a_currency_is_a_short_word(page: SettingsPage, store: MemoryStore) -> None:
    assert typed(page, "Currency", "much too long a word").error()
    assert typed(page, "Currency", "5").error()
    assert typed(page, "Currency", "€").error() == ""
    assert read_rates(store).currency == "€"


@pytest.mark.parametrize("stored", [None, "0.3", True, -1, 1e300, math.nan, math.inf, [1], 10**400])
def test_a_stored_rate_that_is_none_is_no_rate(stored: object) -> None:
    store = MemoryStore()
    for key in (PRICE_KEY, GRID_KEY, CURRENCY_KEY):
        store.set(key, stored)
    rates = read_rates(store)
    assert math.isnan(rates.price_per_kwh)
    assert math.isnan(rates.grid_g_per_kwh)


def test_approved_recipes_are_counted_kept_and_forgotten(page: SettingsPage, store: MemoryStore) -> None:
    def said() -> list[str]:
        return [label.text() for label in page.findChildren(QLabel) if label.text().startswith("Approved recipes")]

    settings = page.model
    forget = next(button for button in page.findChildren(QAbstractButton) if button.text() == "Forget all")
    assert (said(), forget.isEnabled()) == (["Approved recipes: 0"], False)
    settings.approve_recipe("ab" * 32, "2026-11-21")
    settings.approve_recipe("cd" * 32, "2026-11-22")
    assert (said(), forget.isEnabled()) == (["Approved recipes: 2"], True)
    assert SettingsModel(store).approvals.value.day_of("ab" * 32) == "2026-11-21", "it outlives the window"
    QTest.mouseClick(forget, Qt.MouseButton.LeftButton)
    assert (said(), forget.isEnabled()) == (["Approved recipes: 0"], False)
    assert SettingsModel(store).approvals.value.days == ()


@pytest.mark.parametrize("value", [0.0, 0.3, 0.12345, 380.0, 1_000_000.0])
def test_a_rate_is_written_as_it_is_read(value: float) -> None:
    assert read_amount(write_amount(value), 1e6) == (value, "")


def test_settings_in_pictures(page: SettingsPage) -> None:
    assert guessing_labels(page) == []
    take_pictures(page, "settings")
