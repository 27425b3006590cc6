"""The menu of a node's card: what can be done with the deployments that run there.

The one rule: it asks and never acts; whoever hears the signal asks the person before anything stops.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from ui.cluster.card import CardJob

ACTIONS = (("chat", "Chat"), ("logs", "Logs"), ("stop", "Stop\u2026"))


def make_menu(parent: QWidget, jobs: tuple[CardJob, ...], ask: Callable[[str, str], None]) -> QMenu:
    """A menu with Chat, Logs and Stop of one deployment, or one submenu for each of several. It deletes itself."""
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    for job in jobs:
        # A title is untrusted text: an ampersand in it is no shortcut.
        part = menu if len(jobs) == 1 else menu.addMenu(job.title.replace("&", "&&"))
        for key, words in ACTIONS:
            part.addAction(_action(part, job, key, words, ask))
    return menu


def _action(menu: QMenu, job: CardJob, key: str, words: str, ask: Callable[[str, str], None]) -> QAction:
    action = QAction(words, menu)
    if key == "chat" and not job.is_ready:
        action.setEnabled(False)
        action.setText(f"{words} (not ready)")
    if key == "stop" and not job.is_ours:
        action.setEnabled(False)
        action.setText(f"{words} (started by somebody else)")
    action.triggered.connect(lambda: ask(job.job_id, key))
    return action
