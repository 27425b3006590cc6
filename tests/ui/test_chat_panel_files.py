"""Presets and the project's memory in the panel, over real files, in Qt's and asyncio's one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import qasync
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.session import ChatSettings
from sparkdesk.infra.text_folder import TextFiles
from sparkdesk.services.chat.context.memory import ProjectMemory
from sparkdesk.services.chat.presets import Presets
from sparkdesk.services.tasks import Tasks
from tests.ui.picture import host_page
from ui.bridge import Bridge
from ui.chat.panel.memory_section import MemorySection
from ui.chat.panel.model import PanelModel
from ui.chat.panel.prompt_section import PromptSection
from ui.chat.panel.section import WIDTH_PX
from ui.chat.panel.view import SettingsPanel
from ui.collector import collecting_here

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support")

SETTINGS = ChatSettings(system_prompt="Be careful.", folder="rust port", created_ms=1)
LEFT = Qt.MouseButton.LeftButton


class Desk:
    """A panel with real files behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bugs: list[BaseException] = []
        self.tasks = Tasks(on_error=self._note, on_bug=self._note)
        self.panel = SettingsPanel()
        self.told: list[dict[str, Any]] = []
        self.panel.changed.connect(self.told.append)
        self.host = host_page(self.panel, WIDTH_PX, 1000)
        presets = Presets(TextFiles(folder / "presets"))
        self.panel.attach(PanelModel(Bridge(self.tasks), presets, ProjectMemory(TextFiles(folder / "memory"))))
        self.panel.show_settings(SETTINGS, "chat1")

    def _note(self, _name: str, bug: BaseException) -> None:
        self.bugs.append(bug)

    @property
    def prompt(self) -> PromptSection:
        return self.panel.prompt

    @property
    def memory(self) -> MemorySection:
        return self.panel.memory

    @property
    def memory_file(self) -> Path:
        return self.folder / "memory" / "rust port.md"

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something can be seen."""
        try:
            async with asyncio.timeout(20):
                while not is_so():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not seen: {what}") from None

    async def menu(self) -> dict[str, Any]:
        """The actions of the presets' menu by their words, once it is open."""
        QTest.mouseClick(self.prompt.presets, LEFT)
        await self.until(lambda: self.prompt.menu is not None, "the menu")
        assert self.prompt.menu is not None
        return {act.text(): act for act in self.prompt.menu.actions()}

    async def memory_says(self, text: str) -> None:
        """Wait until the editor shows this text as the file's."""
        await self.until(lambda: self.memory.editor.toPlainText() == text and not self.memory.is_changed(), text)


def play(app: QApplication, folder: Path, story: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    """Open a panel, let the story happen, close everything; a bug in a task fails."""

    async def run() -> None:
        desk = Desk(folder)
        try:
            await story(desk)
        finally:
            await desk.tasks.close()
            desk.host.close()
            desk.host.deleteLater()
        assert desk.bugs == []

    loop = qasync.QEventLoop(app)
    with collecting_here(), loop:
        loop.run_until_complete(run())
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_a_preset_is_chosen_from_the_menu_and_can_be_undone(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert any(words.startswith("No presets yet") for words in await desk.menu())
        assert desk.prompt.menu is not None
        desk.prompt.menu.close()
        (tmp_path / "presets").mkdir()
        (tmp_path / "presets" / "R&D <b>.md").write_text("Be brief.\n")
        await asyncio.sleep(0.05)
        (await desk.menu())["R&&D <b>"].trigger()
        await desk.until(lambda: bool(desk.told), "the preset")
        assert desk.told == [{"system_prompt": "Be brief."}]
        assert desk.prompt.prompt.toPlainText() == "Be brief."
        desk.prompt.prompt.undo()
        assert desk.prompt.prompt.toPlainText() == "Be careful."

    play(dressed, tmp_path, story)


def test_a_prompt_is_saved_replaced_renamed_and_removed_as_a_preset(dressed: QApplication, tmp_path: Path) -> None:
    file = tmp_path / "presets" / "Careful.md"

    async def story(desk: Desk) -> None:
        (await desk.menu())["Save this prompt as a preset..."].trigger()
        dialog = desk.prompt.dialog
        assert dialog is not None
        assert not dialog.isModal()
        QTest.keyClicks(dialog.name, "Careful")
        QTest.mouseClick(dialog.save, LEFT)
        await desk.until(lambda: dialog.list.count() == 1, "the new preset")
        assert file.read_text() == "Be careful.\n"
        desk.prompt.prompt.setPlainText("Be very careful.")
        assert dialog.save.text() == "Replace"
        QTest.mouseClick(dialog.save, LEFT)
        await desk.until(lambda: file.read_text() == "Be very careful.\n", "the replaced preset")
        item = dialog.list.item(0)
        assert item is not None
        item.setText("Slow")
        await desk.until(lambda: (tmp_path / "presets" / "Slow.md").exists() and not file.exists(), "the new name")
        await desk.until(lambda: dialog.chosen() == "Slow", "the new name in the list")
        QTest.mouseClick(dialog.remove, LEFT)
        await asyncio.sleep(0.05)
        assert (tmp_path / "presets" / "Slow.md").exists()
        assert dialog.remove.text() == "Remove for good"
        QTest.mouseClick(dialog.remove, LEFT)
        await desk.until(lambda: dialog.list.count() == 0, "the empty list")
        assert list((tmp_path / "presets").iterdir()) == []

    play(dressed, tmp_path, story)


def test_a_bad_name_of_a_preset_is_said_and_the_list_shows_what_there_is(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "presets").mkdir()
        for name in ("a", "b"):
            (tmp_path / "presets" / f"{name}.md").write_text(name)
        desk.prompt.open_presets()
        dialog = desk.prompt.dialog
        assert dialog is not None
        await desk.until(lambda: dialog.list.count() == 2, "both")
        item = dialog.list.item(0)
        assert item is not None
        item.setText("B")
        await desk.until(lambda: "already" in dialog.problem.text(), "the reason")
        first = dialog.list.item(0)
        assert first is not None
        assert first.text() == "a"
        dialog.name.setText("x" * 300)
        QTest.mouseClick(dialog.save, LEFT)
        await desk.until(lambda: "too long" in dialog.problem.text(), "the other reason")

    play(dressed, tmp_path, story)


def test_a_folder_that_cannot_be_read_is_said_in_the_panel(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "presets").write_text("not a folder")
        QTest.mouseClick(desk.prompt.presets, LEFT)
        await desk.until(lambda: "cannot be read" in desk.prompt.problem.text(), "the reason")

    play(dressed, tmp_path, story)


def test_a_memory_is_written_when_it_is_left_and_with_the_save_key(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.memory.head.setChecked(True)
        await asyncio.sleep(0.05)
        desk.memory.editor.setFocus()
        QTest.keyClicks(desk.memory.editor, "We use tabs.")
        assert desk.memory.said.text() == "Not saved yet: Ctrl+S"
        QTest.keyClick(desk.memory.editor, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
        await desk.memory_says("We use tabs.")
        assert desk.memory_file.read_text() == "We use tabs."
        QTest.keyClicks(desk.memory.editor, " Always.")
        desk.panel.model.model.setFocus()
        await desk.memory_says("We use tabs. Always.")
        assert desk.memory_file.read_text() == "We use tabs. Always."
        assert "20 characters" in desk.memory.head.summary()
        assert desk.told == []

    play(dressed, tmp_path, story)


def test_what_another_editor_wrote_is_shown_when_one_looks_again(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "memory").mkdir()
        desk.memory_file.write_text("one")
        desk.memory.head.setChecked(True)
        await desk.memory_says("one")
        desk.memory_file.write_text("two")
        desk.memory.editor.setFocus()
        await desk.memory_says("two")

    play(dressed, tmp_path, story)


def test_what_is_typed_while_the_file_is_read_again_is_held_against_the_old_text(
    dressed: QApplication, tmp_path: Path
) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "memory").mkdir()
        desk.memory_file.write_text("start")
        desk.memory.head.setChecked(True)
        await desk.memory_says("start")
        desk.memory_file.write_text("theirs")
        desk.memory.editor.setFocus()
        QTest.keyClicks(desk.memory.editor, " mine")
        await asyncio.sleep(0.1)
        assert desk.memory.editor.toPlainText() == "start mine"
        desk.panel.model.model.setFocus()
        await desk.until(lambda: desk.memory.choice.isVisible(), "the question")
        assert desk.memory_file.read_text() == "theirs"

    play(dressed, tmp_path, story)


@pytest.mark.parametrize("stays", ["mine", "theirs"])
def test_two_changed_texts_are_told_and_the_person_says_which_stays(
    dressed: QApplication, tmp_path: Path, stays: str
) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "memory").mkdir()
        desk.memory_file.write_text("start")
        desk.memory.head.setChecked(True)
        await desk.memory_says("start")
        desk.memory.editor.setFocus()
        await asyncio.sleep(0.05)
        QTest.keyClicks(desk.memory.editor, " mine")
        desk.memory_file.write_text("theirs")
        desk.panel.model.model.setFocus()
        await desk.until(lambda: desk.memory.choice.isVisible(), "the question")
        assert desk.memory_file.read_text() == "theirs"
        assert desk.memory.editor.toPlainText() == "start mine"
        assert "changed the file" in desk.memory.problem.text()
        assert "theirs" in desk.memory.take_theirs.toolTip()
        QTest.mouseClick(desk.memory.keep_mine if stays == "mine" else desk.memory.take_theirs, LEFT)
        await desk.memory_says("start mine" if stays == "mine" else "theirs")
        assert desk.memory_file.read_text() == ("start mine" if stays == "mine" else "theirs")
        assert not desk.memory.choice.isVisible()
        assert not desk.memory.problem.isVisible()

    play(dressed, tmp_path, story)


def test_another_project_shows_its_own_memory_and_the_first_is_kept(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "memory").mkdir()
        (tmp_path / "memory" / "other.md").write_text("of the other")
        desk.memory.head.setChecked(True)
        await asyncio.sleep(0.05)
        desk.memory.editor.setFocus()
        QTest.keyClicks(desk.memory.editor, "of the first")
        desk.panel.show_settings(replace(SETTINGS, folder="other", created_ms=2), "chat2")
        await desk.memory_says("of the other")
        await desk.until(desk.memory_file.exists, "the first memory")
        assert desk.memory_file.read_text() == "of the first"
        assert (tmp_path / "memory" / "other.md").read_text() == "of the other"
        desk.panel.show_settings(replace(SETTINGS, folder="", created_ms=3), "chat3")
        assert desk.memory.why.isVisible()
        assert not desk.memory.editor.isVisible()

    play(dressed, tmp_path, story)


def test_whether_the_memory_goes_along_is_a_setting_of_the_chat(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.memory.head.setChecked(True)
        await asyncio.sleep(0)
        QTest.mouseClick(desk.memory.switch, LEFT)
        assert desk.told == [{"has_memory": False}]
        desk.panel.show_settings(replace(SETTINGS, has_memory=False), "chat1")
        desk.memory.head.setChecked(False)
        assert "not sent" in desk.memory.head.summary()

    play(dressed, tmp_path, story)


def test_a_memory_opens_in_the_person_s_editor_and_is_made_first(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        asked: list[str] = []
        desk.panel.file_asked.connect(asked.append)
        desk.memory.head.setChecked(True)
        await asyncio.sleep(0.05)
        QTest.mouseClick(desk.memory.open_file, LEFT)
        await desk.until(lambda: bool(asked), "the path")
        assert asked == [str(desk.memory_file)]
        assert desk.memory_file.read_text() == ""

    play(dressed, tmp_path, story)


def test_a_memory_that_cannot_be_written_is_said_and_what_was_written_stays(
    dressed: QApplication, tmp_path: Path
) -> None:
    async def story(desk: Desk) -> None:
        (tmp_path / "memory").mkdir()
        desk.memory_file.write_bytes(b"caf\xe9")
        desk.memory.head.setChecked(True)
        await desk.memory_says("caf\ufffd")
        desk.memory.editor.setFocus()
        await asyncio.sleep(0.05)
        QTest.keyClicks(desk.memory.editor, "x")
        desk.panel.model.model.setFocus()
        await desk.until(lambda: "UTF-8" in desk.memory.problem.text(), "the reason")
        assert desk.memory_file.read_bytes() == b"caf\xe9"
        assert desk.memory.editor.toPlainText() == "caf\ufffdx"
        assert desk.memory.head.mark() == "crit"

    play(dressed, tmp_path, story)
