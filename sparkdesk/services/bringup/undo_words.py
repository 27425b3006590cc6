"""What nodes say while something is taken back there: of a copy that was made, of later changes that went too.

The one rule: what a node prints is a text of a stranger: one plain line of it is kept, and only of its own JSON answer.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkdesk.core.bringup.outcome import undo_words
from sparkdesk.core.step import Output, Step, StepEvent, StepStarted
from sparkdesk.services.playbooks.passage import ROLL_BACK

MAX_TOLD = 64


class UndoWords:
    """The words of one undo. `name_of` gives a node's name."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of = name_of
        self._parts: dict[str, str] = {}
        self.told: tuple[str, ...] = ()
        """Each with the name of its node, in the order in which they were said."""

    def clear(self) -> None:
        """Another undo, or another run, begins."""
        self._parts.clear()
        self.told = ()

    def hear(self, step: Step, event: StepEvent) -> None:
        """An event of a step, whatever it does."""
        if isinstance(event, StepStarted):
            self._parts[step.id] = event.part
        elif isinstance(event, Output) and self._parts.get(step.id) in ("undo", ROLL_BACK):
            words = undo_words(event.text)
            if words:
                self.add(f"{self._name_of(step.node)}: {words}")

    def add(self, line: str) -> None:
        """Tell this too."""
        if line not in self.told and len(self.told) < MAX_TOLD:
            self.told = (*self.told, line)
