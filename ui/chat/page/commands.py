"""What the chat page does by name: for the palette, for the list of shortcuts, and for the keys themselves.

Rule: a key works on the page only, so that the same key stays free on others; a letter works at a message only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence

from ui.action import ActionRegistry

if TYPE_CHECKING:
    from ui.chat.view import ChatPage

MESSAGE_KEYS: Final = (
    ("copy", "Copy the message", "C", "copy"),
    ("edit", "Change the question and ask anew", "E", "pencil"),
    ("regenerate", "Answer again, beside this answer", "R", "refresh-cw"),
    ("branch", "Go on from this message in a branch", "B", "git-fork"),
    ("older", "Show the version before", "Left", "chevron-left"),
    ("newer", "Show the version after", "Right", "chevron-right"),
    ("open", "Open the thought and what was left out", "O", "brain"),
    ("details", "Show all figures of the answer", "D", "gauge"),
    ("choices", "Show how sure the model was of each token", "P", "gauge"),
)
"""What is done to a message, its words, its letter while the keyboard is at one, and its icon."""
HINT: Final = "C copy   E change   R again   B branch   ← → versions   O open   D figures   P how sure   ? all keys"


def add_commands(page: ChatPage, registry: ActionRegistry, show: Callable[[], object]) -> None:
    """Register everything. `show` brings the page up, for the palette; a page made anew takes the old one's place."""

    def shown(run: Callable[[], object]) -> Callable[[], object]:
        def show_and_run() -> None:
            show()
            run()

        return show_and_run

    for key, title, keys, icon, run in _page_actions(page):
        registry.remove(key)
        action = registry.add(key, f"Chat: {title}", shown(run), icon=icon)
        # On this page only: the window's own list of actions would take the key on every page.
        action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        page.window().removeAction(action)
        page.addAction(action)
    for key, title, keys, icon in MESSAGE_KEYS:
        name = f"chat.message.{key}"
        registry.remove(name)
        act = shown(partial(_act, page, key))
        action = registry.add(name, f"Chat: {title}", act, icon=icon, note="at a message")
        # Only told here: the letter is the transcript's own, and works while the keyboard is at a message.
        action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        page.window().removeAction(action)


def _page_actions(page: ChatPage) -> tuple[tuple[str, str, str, str, Callable[[], object]], ...]:
    return (
        ("chat.new", "New chat", "Ctrl+N", "plus", page.start_new),
        ("chat.find", "Find in this chat", "Ctrl+F", "search", partial(_find, page)),
        ("chat.export", "Export this chat", "Ctrl+E", "share-2", page.export),
        ("chat.rename", "Rename this chat", "F2", "pencil", page.head.title.begin),
        ("chat.before", "Previous chat", "Alt+Up", "arrow-up", lambda: page.sessions.move_on(-1)),
        ("chat.after", "Next chat", "Alt+Down", "arrow-down", lambda: page.sessions.move_on(1)),
        ("chat.messages", "Go to the messages", "Ctrl+Up", "message-square", partial(_go_to_messages, page)),
        ("chat.continue", "Go on with the answer that was cut off", "", "play", partial(_resume, page)),
        ("chat.stop", "Stop the answer", "", "square", lambda: page.shown.stop()),
        ("chat.compare", "Compare models", "", "columns-2", page.head.compare.toggle),
    )


def _in_comparison(page: ChatPage, words: str) -> bool:
    """Whether models are compared; then say where this is done."""
    if page.is_comparing and page.comparison is not None:
        page.comparison.composer.say(words)
        return True
    return False


def _act(page: ChatPage, key: str) -> None:
    if not _in_comparison(page, "Go to a message of a column first, then press its letter."):
        page.transcript.act_here(key)


def _find(page: ChatPage) -> None:
    if not _in_comparison(page, "Find works in one chat. The list at the left searches comparisons too."):
        page.search.begin()


def _resume(page: ChatPage) -> None:
    if not _in_comparison(page, "An answer goes on from its own column: press its button there."):
        page.resume()


def _go_to_messages(page: ChatPage) -> None:
    if page.is_comparing and page.comparison is not None:
        for column in page.comparison.columns[:1]:
            column.transcript.focus_messages()
    else:
        page.transcript.focus_messages()
