"""A recipe's file in the whole application: shown, approved by its bytes, remembered until a person forgets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.jobs.recipe.imported import digest_of
from tests.app.desk import first_run_page, play, until
from ui.launch.paste.drawer import PasteDrawer
from ui.launch.view import LaunchPage
from ui.settings.view import SettingsPage
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


async def drawer_of(desktop: Desktop, path: Path) -> PasteDrawer:
    """The drawer with what the file says."""
    await first_run_page(desktop)
    desktop.pages.add_all()
    desktop.window.show_page("launch")
    page = desktop.pages.launch_page
    assert isinstance(page, LaunchPage)
    page.open_import()
    assert page.dialog is not None
    page.dialog.fileSelected.emit(str(path))
    page.dialog.close()
    await until(lambda: page.paste is not None and page.paste.model.imported is not None, "the recipe's words")
    assert page.paste is not None
    return page.paste


def test_an_approved_recipe_is_known_after_a_restart_and_its_hooks_never_ran(app: QApplication, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "one.yaml"
    hook = f"touch {mark}"
    path.write_bytes(
        f"model: openai/gpt-oss-120b\r\nruntime: vllm\r\npre_exec: [{hook}]\r\npost_commands: [{hook}]\r\n"
        f"mods: [{hook}]\r\ndefaults: {{max_model_len: 16384}}\r\n".encode()
    )
    digest = digest_of(path.read_bytes())

    async def first(desktop: Desktop) -> None:
        drawer = await drawer_of(desktop, path)
        assert drawer.approval.words() == f"Not approved on this computer · sha256 {digest[:8]}…"
        page = desktop.pages.launch_page
        assert page is not None
        assert page.model.form.context_tokens != "16,384"
        QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
        assert page.model.form.context_tokens == "16,384"

    async def second(desktop: Desktop) -> None:
        drawer = await drawer_of(desktop, path)
        assert drawer.fill.text() == "Fill the form"
        desktop.window.show_page("settings")
        page = desktop.window.page("settings")
        assert isinstance(page, SettingsPage)
        (forget,) = [each for each in page.findChildren(Button) if each.text() == "Forget all"]
        QTest.mouseClick(forget, Qt.MouseButton.LeftButton)
        assert drawer.fill.text() == "Approve and fill the form"

    assert play(app, first) == 0
    assert digest in (paths.state_dir() / "window.json").read_text()
    assert play(app, second) == 0
    assert digest not in (paths.state_dir() / "window.json").read_text()
    assert not mark.exists()
