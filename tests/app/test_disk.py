"""Models on disk in the whole application: a small model comes from a simulated hub, is seen whole, and is removed."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.disk.view import DiskKey, Holding, Kind
from tests.app.desk import all_live, play, until
from ui.disk.view import DiskPage
from ui.playbook.dialog import PlaybookDialog
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
KEY = DiskKey(Kind.MODEL, "openai/gpt-oss-20b")


def click(button: Button) -> None:
    assert button.isEnabled(), button.toolTip()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


async def confirm(desktop: Desktop) -> str:
    """Read what would run, and say yes."""

    def shown() -> list[PlaybookDialog]:
        return [one for one in desktop.window.findChildren(PlaybookDialog) if one.isVisible()]

    await until(shown, "the steps")
    dialog = shown()[0]
    title = dialog.windowTitle()
    click(dialog.confirm)
    assert not dialog.isVisible(), "the bar of the page tells the rest"
    return title


def test_a_model_is_fetched_seen_whole_verified_and_removed(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await all_live(desktop, 1)
        desktop.window.show_page("disk")
        page = desktop.window.page("disk")
        assert isinstance(page, DiskPage)
        await until(lambda: all(node.looked_ms for node in page.model.nodes), "the disk's listing")
        node_id = page.model.nodes[0].node_id

        def holding() -> Holding:
            rows = [row for row in page.model.view.rows if row.key == KEY]
            return rows[0].cell(node_id).holding if rows else Holding.NONE

        click(page.get_model)
        assert page.dialog is not None
        page.dialog.name.setText(KEY.name)
        click(page.dialog.go)
        dialog = page.dialog
        await until(lambda: "It takes" in dialog.size_label.text(), "the size that the hub tells")
        click(dialog.go)
        await confirm(desktop)
        assert len(page.transfers.lines) == 1
        await until(lambda: holding() is Holding.WHOLE, "the whole model")
        page.model.choose_ident(("model", KEY.name))
        buttons = page.drawer.parts[node_id].buttons
        assert not buttons["fetch"].isEnabled(), "it is whole there"
        click(buttons["verify"])
        await confirm(desktop)

        def done() -> list[str]:
            return [one.task for one in page.model.view.transfers if one.result == "done"]

        await until(lambda: "verify" in done(), "a verified model")
        click(buttons["remove"])
        title = await confirm(desktop)
        assert "MB)" in title, "what becomes free is named"
        await until(lambda: "remove" in done() and holding() is Holding.NONE, "an empty place")

    options = WindowOptions(is_simulated=True, is_forgetful=True, simulation=("--nodes", "1"))
    assert play(app, story, options) == 0
