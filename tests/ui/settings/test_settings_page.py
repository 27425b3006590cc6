from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication

from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui import theme
from ui.main_window import MemoryStore
from ui.settings.model import SettingsModel, read_scale
from ui.settings.view import SettingsPage
from ui.widgets.field import Select
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


def test_settings_in_pictures(page: SettingsPage) -> None:
    assert guessing_labels(page) == []
    take_pictures(page, "settings")
