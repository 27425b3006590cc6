"""Calls a person back to the bring-up page while its question waits for an answer: a banner, a badge, a notice.

The one rule: it is said on every other page for as long as the question stands, and goes by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkdesk.core.bringup.state import BringUpState
from ui import text

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

PAGE = "bringup"
ANSWER = "Answer"


class BringUpCall:
    """`restore_badge`: shows at "Cluster" again what else stands there."""

    def __init__(self, desktop: Desktop, restore_badge: Callable[[], None]) -> None:
        self._desktop = desktop
        self._restore_badge = restore_badge
        self._asked: tuple[str, ...] = ()
        """The questions that stand."""
        self._has_badge = False
        self._told = ""
        """What this says in the banner, which others use too."""
        self._is_wired = False
        desktop.window.page_shown.connect(self._show)
        self._watch = desktop.stack.bring_up.state.subscribe(self._take)

    @property
    def is_asking(self) -> bool:
        """Whether a person must decide now."""
        return bool(self._asked)

    def _take(self, state: BringUpState) -> None:
        asked = tuple(text.one_line(trial.question, 300) for trial in state.trials if trial.question)
        if asked == self._asked:
            return
        new = [question for question in asked if question not in self._asked]
        self._asked = asked
        for question in new:
            if self._desktop.window.page_key() != PAGE:
                self._desktop.keep_notice("warn", question, "Without an answer the node restores itself.", page=PAGE)
        self._show()

    def _show(self, _page: str = "") -> None:
        window = self._desktop.window
        if self._asked:
            window.set_badge("cluster", str(len(self._asked)), needs_you=True)
        elif self._has_badge:
            self._restore_badge()
        self._has_badge = bool(self._asked)
        if self._asked and window.page_key() != PAGE:
            self._wire()
            words = "A network is tried there; without an answer it restores itself soon."
            window.banner().show_notice("warn", self._asked[0], words, second=ANSWER)
            self._told = self._asked[0]
        elif self._told and window.banner().title() == self._told:
            self._told = ""
            window.banner().clear()

    def _wire(self) -> None:
        if not self._is_wired:
            self._is_wired = True
            self._desktop.window.banner().second_clicked.connect(self._answer)

    def _answer(self) -> None:
        self._desktop.window.show_page(PAGE)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
