"""The menus of the list: what can be done with a conversation, and with a folder.

Rule: a menu names what it does and calls back; folders and titles in it are plain text, an ampersand is no shortcut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QWidget

from sparkdesk.core.chat.transfer.chat_copy import TransferForm
from sparkdesk.services.chat.conversations import ChatSummary
from ui.text import cut, one_line


@dataclass(frozen=True, slots=True)
class ChatDeeds:
    """What the entries of a conversation's menu call."""

    open: Callable[[], None]
    rename: Callable[[], None]
    pin: Callable[[bool], None]
    move: Callable[[str], None]
    ask_folder: Callable[[], None]
    ask_tags: Callable[[], None]
    export: Callable[[str], None]
    load: Callable[[], None]
    remove: Callable[[], None]


def chat_menu(parent: QWidget, summary: ChatSummary, folders: Sequence[str], deeds: ChatDeeds) -> QMenu:
    """The menu of a conversation. It deletes itself."""
    menu = _menu(parent)
    menu.addAction("Open").triggered.connect(lambda: deeds.open())
    # The key stands in the words: as a shortcut of an entry it would be taken from the list itself.
    menu.addAction("Rename\tF2").triggered.connect(lambda: deeds.rename())
    menu.addAction("Unpin" if summary.is_pinned else "Pin").triggered.connect(lambda: deeds.pin(not summary.is_pinned))
    _add_folders(menu.addMenu("Move to folder"), summary, folders, deeds)
    menu.addAction("Tags…").triggered.connect(lambda: deeds.ask_tags())
    menu.addSeparator()
    add_forms(menu.addMenu("Export as"), deeds.export)
    menu.addAction("Import chats…").triggered.connect(lambda: deeds.load())
    menu.addSeparator()
    menu.addAction("Delete…\tDel").triggered.connect(lambda: deeds.remove())
    return menu


def folder_menu(parent: QWidget, *, is_open: bool, fold: Callable[[], None], export: Callable[[str], None]) -> QMenu:
    """The menu of a folder's heading. It deletes itself."""
    menu = _menu(parent)
    menu.addAction("Close folder" if is_open else "Open folder").triggered.connect(lambda: fold())
    add_forms(menu.addMenu("Export its chats as"), export)
    return menu


def _menu(parent: QWidget) -> QMenu:
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return menu


def _add_folders(menu: QMenu, summary: ChatSummary, folders: Sequence[str], deeds: ChatDeeds) -> None:
    for folder in ("", *folders):
        words = cut(one_line(folder, 100), 40).replace("&", "&&") if folder else "No folder"
        action = menu.addAction(words)
        action.setCheckable(True)
        action.setChecked(folder == summary.folder)
        action.triggered.connect(lambda _checked=False, name=folder: deeds.move(name))
    menu.addSeparator()
    menu.addAction("New folder…").triggered.connect(lambda: deeds.ask_folder())


def add_forms(menu: QMenu, export: Callable[[str], None]) -> None:
    """Offer every form of file; `export` gets a form's value."""
    for form in TransferForm:
        menu.addAction(f"{form.words}…").triggered.connect(lambda _checked=False, name=form.value: export(name))
