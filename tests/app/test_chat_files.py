"""What of the chat lies in files of the person's: exports, imports, code, prompts, memories, drafts.

One window with one real llama.cpp, connected by its address; then the next window of the same person.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.chat.transfer.chat_copy import TransferForm
from tests.app.adding import click, words_on
from tests.app.chat_window import ask, choose_file, choose_in_menu, connected, open_chat
from tests.app.desk import play, until
from tests.app.picture import take_pictures
from tests.app.program import require_engine
from tests.servers.llamacpp import LlamaServer, llama_server
from ui.chat.sessions.ask import AskRemove
from ui.chat.view import ChatPage
from ui.chat.words.code_row import CodeBlock
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support")
QUESTION = "Say heron"
DRAFT = "half a thought"
SYSTEM = "You are a careful heron."
FACT = "The heron is grey."
CODE = "print('heron')\n"


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    require_engine()
    with llama_server(context_tokens=2048) as server:
        yield server


def type_command(page: ChatPage, words: str) -> None:
    QTest.keyClicks(page.composer.editor, words)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)


async def export_and_import(desktop: Desktop, page: ChatPage, folder: Path) -> None:
    """Out in every form, and in again from every file."""
    for form in TransferForm:
        path = folder / f"chat{form.suffix}.{form.value}{form.suffix}"
        click(page.head.export)
        await choose_in_menu(form.words)
        await choose_file(desktop, path)
        await until(lambda path=path: path.exists() and path.stat().st_size > 0, f"the file as {form.value}")
        assert QUESTION in path.read_text(), form
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        known = len(page.model.sessions)
        click(page.sessions.load)
        await choose_file(desktop, path)
        await until(lambda known=known: len(page.model.sessions) == known + 1, f"the chat out of {form.value}")
    mine = page.model.session_ids()[0]
    for other in [each.id for each in page.model.sessions if each.id != mine]:
        page.sessions.chosen.emit(other)
        await until(lambda other=other: page.model.session_ids() == (other,), "the imported chat")
        assert page.model.turns[0].text == QUESTION
        page.list_model.remove(other)
    page.sessions.chosen.emit(mine)
    await until(lambda: page.model.session_ids() == (mine,), "the chat")


async def save_code(desktop: Desktop, page: ChatPage, folder: Path) -> None:
    """A code block of an answer goes to the file that the person names."""
    said = [{"role": "user", "content": "Code?"}, {"role": "assistant", "content": f"```python\n{CODE}```"}]
    (folder / "code.jsonl").write_text(json.dumps({"messages": said}) + "\n")
    known = {each.id for each in page.model.sessions}
    click(page.sessions.load)
    await choose_file(desktop, folder / "code.jsonl")
    await until(lambda: len(page.model.sessions) > len(known), "the chat with code")
    page.sessions.chosen.emit(next(each.id for each in page.model.sessions if each.id not in known))
    await until(lambda: page.transcript.findChildren(CodeBlock), "the code")
    block = page.transcript.findChildren(CodeBlock)[0]
    save = next(each for each in block.findChildren(Button) if "Save" in each.text())
    click(save)
    saved = folder / "heron.py"
    await choose_file(desktop, saved)
    await until(lambda: saved.exists() and saved.stat().st_size > 0, "the file with the code")
    assert saved.read_text().strip() == CODE.strip()


async def use_preset(page: ChatPage) -> None:
    """A file that was put there is found by its name, and its prompt is seen in the panel."""
    conversation = page.model.conversation
    assert conversation is not None
    type_command(page, "/preset Heron")
    await until(lambda: conversation.settings.value.system_prompt == SYSTEM, "the prompt of the preset")
    await until(lambda: page.settings.prompt.prompt.toPlainText() == SYSTEM, "the prompt in the panel")


async def use_memory(desktop: Desktop, page: ChatPage, opened: Opened) -> None:
    """Outside a folder it says what to do; inside it, a line goes to a file that the person can open."""
    conversation = page.model.conversation
    assert conversation is not None
    type_command(page, f"/remember {FACT}")
    await until(lambda: "folder" in " ".join(words_on(desktop.window).split()), "why nothing was kept")
    assert not (paths.config_dir() / "memories").exists()
    page.list_model.move(conversation.id, "Birds")
    await until(lambda: conversation.settings.value.folder == "Birds", "the folder")
    memory = page.settings.memory
    click(memory.head)
    type_command(page, f"/remember {FACT}")
    await until(lambda: FACT in memory.editor.toPlainText(), "the memory in the panel")
    (file,) = (paths.config_dir() / "memories").iterdir()
    assert FACT in file.read_text()
    click(memory.open_file)
    await until(lambda: opened.paths, "the way to the editor")
    assert [Path(path) for path in opened.paths] == [file]
    await take_pictures(desktop, "chat-memory")
    answer = await ask(page, "What colour is it?")
    assert answer.sent is not None
    assert FACT in answer.sent.memory, "the memory goes along"


class Opened(QObject):
    """Stands for the person's own editor: which files were to be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []
        QDesktopServices.setUrlHandler("file", self, "take")

    @Slot(QUrl)
    def take(self, url: QUrl) -> None:
        self.paths.append(url.toLocalFile())


def test_chats_code_prompts_and_memories_go_to_files_and_come_back(
    app: QApplication, server: LlamaServer, tmp_path: Path
) -> None:
    prompts = paths.config_dir() / "prompts"
    prompts.mkdir(parents=True)
    (prompts / "Heron.md").write_text(SYSTEM)
    opened = Opened()

    async def story(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        await connected(page, server)
        await ask(page, QUESTION)
        await export_and_import(desktop, page, tmp_path)
        await use_preset(page)
        await use_memory(desktop, page, opened)
        await save_code(desktop, page, tmp_path)

    try:
        assert play(app, story) == 0
    finally:
        QDesktopServices.unsetUrlHandler("file")


def test_a_draft_outlives_the_window_and_goes_with_its_chat(app: QApplication, server: LlamaServer) -> None:
    ids: list[str] = []

    async def write(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        await connected(page, server)
        await ask(page, QUESTION)
        ids.extend(page.model.session_ids())
        QTest.keyClicks(page.composer.editor, "of the old chat")
        click(page.sessions.new)
        QTest.keyClicks(page.composer.editor, DRAFT)

    async def find(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        await until(lambda: page.composer.text() == DRAFT, "the draft of the new chat")
        page.sessions.chosen.emit(ids[0])
        await until(lambda: page.composer.text() == "of the old chat", "the draft of the old chat")
        page.sessions.ask_remove(ids[0])
        assert isinstance(page.sessions.dialog, AskRemove)
        click(page.sessions.dialog.remove)
        await until(lambda: not page.model.sessions, "the end of the chat")
        assert page.composer.text() == DRAFT, "the new chat's own draft"

    async def look(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        await until(lambda: page.composer.text() == DRAFT, "the draft of the new chat")
        assert list(await desktop.stack.store.documents("draft")) == ["new"]

    for story in (write, find, look):
        assert play(app, story) == 0
