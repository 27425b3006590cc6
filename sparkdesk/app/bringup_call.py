"""Tells on every other page how a bring-up stands: how far it is, its question that waits, and how it ended.

The one rule: what a person must answer is said for as long as the question stands, and goes by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from sparkdesk.core.bringup.state import BringUpState, Phase, Trial
from ui import text
from ui.bringup.outline import CHAPTERS, current_chapter

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

PAGE = "bringup"
ANSWER, SHOW = "Answer", "Show"
_AT_WORK = (Phase.RUNNING, Phase.PROVING, Phase.UNDOING)


def badge_of(state: BringUpState) -> str:
    """What stands beside "Cluster" in place of the findings: questions, or how far it is; "" where nothing is done."""
    asked = sum(bool(trial.question) for trial in state.trials)
    if asked or state.phase not in _AT_WORK:
        return str(asked) if asked else ""
    return "undo" if state.phase is Phase.UNDOING else f"{CHAPTERS.index(current_chapter(state)) + 1}/{len(CHAPTERS)}"


def _restores(trial: Trial) -> str:
    """By the clock on the wall: what is said here stands still."""
    return f"A network is tried there. Without an answer it restores itself at {text.time_of_day(trial.ends_ms)}."


class BringUpCall:
    """`restore_badge`: shows at "Cluster" again what else stands there."""

    def __init__(self, desktop: Desktop, restore_badge: Callable[[], None]) -> None:
        self._desktop = desktop
        self._restore_badge = restore_badge
        self._asked: tuple[tuple[str, str], ...] = ()
        """The questions that stand, the most pressing first, and what comes without an answer."""
        self._state = BringUpState()
        self._badge = ""
        self._failure: tuple[str, str] | None = None
        """How it stopped while nobody looked at it."""
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
        before, self._state = self._state, state
        asked = tuple(
            (text.one_line(trial.question, 300), _restores(trial))
            for trial in sorted(state.trials, key=lambda trial: trial.ends_ms)
            if trial.question
        )
        if before.phase in _AT_WORK and state.phase not in _AT_WORK:
            self._tell_end(state)
        elif state.phase in _AT_WORK:
            self._failure = None
        elif asked == self._asked:
            return
        new = [question for question in asked if question not in self._asked]
        self._asked = asked
        for question, words in new:
            if self._desktop.window.page_key() != PAGE:
                self._desktop.keep_notice("warn", question, words, page=PAGE)
        self._show()

    def _tell_end(self, state: BringUpState) -> None:
        """It is over while another page is looked at: that is kept among the notices, and a failure is shown."""
        if self._desktop.window.page_key() == PAGE:
            return
        title, words = text.one_line(state.message, 300), text.one_line(state.remedy, 300)
        if state.phase is Phase.FAILED and not state.is_wanted:
            self._failure = (title or "The bring-up stopped", words or "Its page says how each node stands.")
            self._desktop.keep_notice("crit", *self._failure, page=PAGE)
        elif state.phase in (Phase.DONE, Phase.UNDONE):
            title = "The bring-up is over" if state.phase is Phase.DONE else "The bring-up was taken back"
            self._desktop.keep_notice("ok", title, "Its page tells what was done and measured.", page=PAGE)

    def _show(self, page: str = "") -> None:
        """Say it; anew on each page that is shown, also where it was closed on the one before."""
        self._show_badge()
        if page:
            self._told = self._told if self._desktop.window.banner().isVisible() else ""
        banner, is_away = self._desktop.window.banner(), self._desktop.window.page_key() != PAGE
        if not is_away:
            self._failure = None
        if self._asked and is_away:
            self._say("warn", *self._asked[0], ANSWER)
        elif self._failure is not None:
            self._say("crit", *self._failure, SHOW)
        elif self._told and banner.title() == self._told:
            self._told = ""
            banner.clear()

    def _say(self, kind: Literal["warn", "crit"], title: str, words: str, button: str) -> None:
        """In the banner of every page."""
        if self._told == title:
            return
        self._wire()
        self._desktop.window.banner().show_notice(kind, title, words, second=button)
        self._told = title

    def _show_badge(self) -> None:
        badge = badge_of(self._state)
        if badge:
            self._desktop.window.set_badge("cluster", badge, needs_you=bool(self._asked))
        elif self._badge:
            self._restore_badge()
        self._badge = badge

    def _wire(self) -> None:
        if not self._is_wired:
            self._is_wired = True
            self._desktop.window.banner().second_clicked.connect(self._answer)
            self._desktop.window.banner().closed.connect(self._forget_failure)

    def _answer(self) -> None:
        self._desktop.window.show_page(PAGE)

    def _forget_failure(self) -> None:
        self._failure = None

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
