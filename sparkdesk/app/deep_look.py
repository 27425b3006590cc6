"""The look below all addresses: asked for, shown before it runs, and stopped when a person has seen enough.

The one rule: it reads only, yet as root; so a person says yes first, and no password outlives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.services.fleet.deep_look import DEEP_S
from sparkdesk.services.playbooks.root import Root
from ui.playbook.ask_dialog import AskDialog, Question

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.node_pages import NodePages

KEY = "deep look"
QUESTION = Question(
    "Listen on the cables with sudo?",
    f"For {DEEP_S:.0f} s every live node sends frames that name it on its QSFP ports, and notes who else speaks there. "
    "It finds ports without an address, tells a cable from a switch that hides, and reads a switch's name. No setting "
    "is changed.",
    "# on every live node, as root: the program remote/frames.py of SparkDesk, from its standard input\n"
    f"sudo python3 - TOKEN NODE_ID {DEEP_S:g}",
    action="Listen",
    keep="Not now",
    is_dangerous=False,
)


class DeepLook:
    """Asks, looks, stops."""

    def __init__(self, desktop: Desktop, pages: NodePages) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self._pages = pages
        self._is_under_way = False
        self.dialog: AskDialog | None = None

    def ask_or_stop(self) -> None:
        """Ask whether to look; when one is under way, stop it."""
        if self._is_under_way:
            self._desktop.bridge.cancel(KEY)
            return
        if self.dialog is None:
            dialog = self.dialog = AskDialog(QUESTION, self._desktop.window)
            dialog.accepted.connect(lambda: self._desktop.bridge.start_exclusive(KEY, self._look))
            dialog.finished.connect(self._forget)
            dialog.open()

    async def _look(self) -> None:
        questions = self._pages.questions
        root = Root(self._stack.clock, questions.ask_password, self._stack.identify)
        self._is_under_way = True
        try:
            await self._stack.fleet.topology.look_deep(root)
        finally:
            self._is_under_way = False
            if all(run.is_over for run in self._stack.runs.runs.value.values()):
                questions.forget()

    def _forget(self, _code: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
