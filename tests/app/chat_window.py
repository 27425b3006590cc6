"""What a person does in the chat of the whole window: connect to a server, ask, choose a file, open a menu.

The one rule: clicks and keys only; what is waited for is what the screen shows.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QMenu

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.chat.session import Turn
from tests.app.adding import click
from tests.app.desk import type_into, until
from tests.servers.llamacpp import LlamaServer
from ui.chat.compare.page import ComparePage
from ui.chat.view import ChatPage


async def open_chat(desktop: Desktop) -> ChatPage:
    """The chat page of the window, in the usual size."""
    await until(lambda: desktop.is_filled.value, "the window")
    desktop.pages.add_all()
    desktop.window.resize(1440, 900)
    desktop.window.show_page("chat")
    page = desktop.pages.chat_page
    assert page is not None
    desktop.window.activateWindow()
    await until(lambda: page.isVisible() and desktop.window.isActiveWindow(), "the chat page")
    page.composer.setFocus()
    return page


def url_of(server: LlamaServer) -> str:
    """Its address as a person types it."""
    return f"http://{server.host}:{server.port}/v1"


async def connect(page: ChatPage, server: LlamaServer, key: str = "") -> None:
    """Connect by address and key, in the form of the panel."""
    form = page.settings.model.server
    if not form.isVisible():
        click(page.settings.model.connect_server)
    type_into(form.address, url_of(server))
    type_into(form.key, key)
    QTest.keyClick(form.key, Qt.Key.Key_Return)


async def connected(page: ChatPage, server: LlamaServer, key: str = "") -> None:
    """Connect, and wait until the chat talks to that server."""
    await connect(page, server, key)
    await until(
        lambda: page.model.target is not None and page.model.target.endpoint.port == server.port, "the server's model"
    )


async def ask(page: ChatPage, question: str) -> Turn:
    """Type a question and wait for its answer."""
    before = len(page.model.turns)
    QTest.keyClicks(page.composer.editor, question)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)
    await until(lambda: len(page.model.turns) > before + 1 and not page.model.is_answering, "the answer")
    return page.model.turns[-1]


async def compare(page: ChatPage) -> ComparePage:
    """Press the switch above the chat."""
    click(page.head.compare)
    assert page.comparison is not None
    await until(page.comparison.isVisible, "the comparison")
    return page.comparison


async def answered(comparison: ComparePage) -> None:
    """Wait for the answer of every column."""
    places = range(len(comparison.columns))
    await until(
        lambda: not comparison.model.is_answering and all(comparison.model.last_answer(at) for at in places),
        "every column's answer",
    )


async def choose_file(desktop: Desktop, path: Path) -> None:
    """Type a path into the dialog that asks for a file, and accept it."""

    def dialogs() -> list[QFileDialog]:
        return [each for each in desktop.window.findChildren(QFileDialog) if each.isVisible()]

    await until(dialogs, "the dialog that asks for a file")
    dialog = dialogs()[-1]
    (field,) = dialog.findChildren(QLineEdit, "fileNameEdit")
    field.setText(str(path))
    QTimer.singleShot(0, dialog.accept)


async def choose_in_menu(*words: str) -> None:
    """Choose in the menu that is open, going down by these words."""
    await until(lambda: isinstance(QApplication.activePopupWidget(), QMenu), "the menu")
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    for word in words[:-1]:
        action = next(each for each in menu.actions() if word in each.text())
        inner = action.menu()
        assert isinstance(inner, QMenu), word
        menu = inner
    action = next(each for each in menu.actions() if words[-1] in each.text())
    action.trigger()
    while (popup := QApplication.activePopupWidget()) is not None:
        popup.close()
