"""Everything that can be done by name: one registry feeds shortcuts, the command palette and the shortcut list.

Rule: an action is added once, by the page or shell that owns it; nobody keeps a second list of shortcuts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

# How the reader of the palette sees that nothing happens without a plan first.
PLAN_NOTE: Final = "shows plan first"


class Command(NamedTuple):
    """One entry: `title` as read, `note` paler after it."""

    key: str
    title: str
    icon: str
    note: str
    action: QAction


class ActionRegistry(QObject):
    """Actions by key. Shortcuts work in the window given at the start."""

    changed = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._commands: dict[str, Command] = {}

    def add(
        self,
        key: str,
        title: str,
        run: Callable[[], object],
        *,
        shortcut: str = "",
        icon: str = "",
        note: str = "",
    ) -> QAction:
        """Add an action. Raises ValueError when the key or the shortcut is taken; the message names by whom.

        `title` may say what it belongs to first ("Deployment: Logs of gpt-oss-120b").
        """
        if key in self._commands:
            raise ValueError(f"there is already an action {key!r}")
        self._refuse_conflict(shortcut)
        action = QAction(title, self._window)
        action.triggered.connect(lambda: run())
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        self._window.addAction(action)
        self._commands[key] = Command(key, title, icon, note, action)
        self.changed.emit()
        return action

    def _refuse_conflict(self, shortcut: str) -> None:
        wanted = QKeySequence(shortcut)
        for command in self._commands.values():
            if shortcut and command.action.shortcut() == wanted:
                raise ValueError(f"{shortcut} already belongs to {command.title!r}")

    def remove(self, key: str) -> None:
        """Take an action away (a node or deployment that is gone); an unknown key is no error."""
        command = self._commands.pop(key, None)
        if command is not None:
            self._window.removeAction(command.action)
            command.action.deleteLater()
            self.changed.emit()

    def run(self, key: str) -> None:
        """Do it, as if its shortcut had been pressed."""
        self._commands[key].action.trigger()

    def commands(self) -> tuple[Command, ...]:
        """Return all entries in the order they were added, pages ("go.") first: some are added late."""
        return tuple(sorted(self._commands.values(), key=lambda each: not each.key.startswith("go.")))

    def find(self, words: str) -> list[Command]:
        """Return enabled entries whose title or note contains every word typed; titles that start so come first."""
        parts = words.lower().split()
        found = [each for each in self.commands() if each.action.isEnabled() and _matches(each, parts)]
        if parts:
            found.sort(key=lambda each: not each.title.lower().startswith(parts[0]))
        return found


def _matches(command: Command, parts: list[str]) -> bool:
    text = f"{command.title} {command.note}".lower()
    return all(part in text for part in parts)
