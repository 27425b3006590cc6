"""Where a step's actions are performed, who hears of them, and the ways in which one fails.

Ways to fail: `StepFailed` (it is known that this did not work) and kinds of it: `NotBegun` (no connection, no channel:
nothing was done), `NotPermitted` (nothing was done either: sudo refused) and `OutcomeUnknown` (the connection was lost
or time ran out before the fate was known: it may or may not have worked). The one rule: they are never mixed up.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sparkdesk.core.command import Command, Exit, Outcome, Refused
from sparkdesk.core.errors import StepFailed
from sparkdesk.core.plain_text import make_line, make_plain
from sparkdesk.core.playbooks.reader import Verdict, judge, last_object
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Expect, Output, Progress, Step, StepEvent
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.journal import Journal
from sparkdesk.services.playbooks.root import Root, RootRefused
from sparkdesk.services.playbooks.supply import Supplies

MAX_SHOWN_CHARS = 4000
TAIL_BYTES = 64 * 1024
_ABSENT = re.compile(r"^cannot start ([^:]{1,200}): \[Errno 2\] No such file or directory: '\1'$")
"""What remote/guard.py says of a program that is not there."""


Hold = Callable[[str, Command, Callable[[Command], Awaitable[Outcome]]], Awaitable[Outcome]]
"""Runs a node's command under the run's lock there (Leases.hold)."""


class OutcomeUnknown(StepFailed):
    """It may or may not have worked; only a look at the node can tell."""


class NotBegun(StepFailed):
    """Nothing reached the node."""


class NotPermitted(StepFailed):
    """sudo refused: nothing was done, and asking again in a moment changes nothing."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a step's actions are performed, and who hears of them."""

    step: Step
    shells: Callable[[str], Shell]
    """A node's shell; raises a NodeError when the node is not live."""
    clock: Clock
    journal: Journal
    emit: Callable[[StepEvent], None]
    root: Root
    confirm: Callable[[str], Awaitable[bool]] | None = None
    decide: Callable[[str], Awaitable[bool]] | None = None
    """Asks the person what a Wait could not tell."""
    sign_in_anew: Callable[[str], Awaitable[None]] | None = None
    """Closes our connection to a node and ends when a new one stands; raises a NodeError."""
    hold: Hold | None = None
    """For what changes a locked node; None where nothing is locked, and for what only looks."""
    supplies: Supplies = field(default_factory=Supplies)

    def shell(self) -> Shell:
        """The shell of the step's node."""
        return self.shells(self.step.node)

    async def run(
        self, shell: Shell, command: Command, *, stdin: bytes = b"", timeout_s: float = 30.0, as_root: bool = False
    ) -> Outcome:
        """Run a command, through sudo when `as_root`. Raises NotPermitted and a NodeError."""
        why = self.step.title

        async def run(command: Command) -> Outcome:
            if not as_root:
                return await shell.run(command, stdin=stdin, timeout_s=timeout_s)
            return await self.root.run(self.step.node, shell, command, why=why, stdin=stdin, timeout_s=timeout_s)

        try:
            return await self.locked(command, run)
        except RootRefused as error:
            raise NotPermitted(f"{why}: {error.message}", remedy=error.remedy, node=shell.node) from error

    async def locked(self, command: Command, run: Callable[[Command], Awaitable[Outcome]]) -> Outcome:
        """What becomes of the command by `run`, under the lock of the step's node where there is one."""
        return await (run(command) if self.hold is None else self.hold(self.step.node, command, run))

    def say(self, text: str, fraction: float | None = None) -> None:
        """Tell how far the step is."""
        self.emit(Progress(self.step.id, self.clock.now_ms(), make_line(text, max_chars=400), fraction))

    def show(self, outcome: Outcome) -> None:
        """Tell what a command printed, if anything."""
        text = (outcome.stdout[-TAIL_BYTES:] + outcome.stderr[-TAIL_BYTES:]).decode("utf-8", "replace").strip()
        if text:
            shown = make_plain(text[-MAX_SHOWN_CHARS:], max_chars=MAX_SHOWN_CHARS)
            self.emit(Output(self.step.id, self.clock.now_ms(), shown))


def raise_unless_expected(expect: Expect, outcome: Outcome, site: Site, node: str) -> None:
    """Raises StepFailed or OutcomeUnknown unless the outcome is as expected."""
    verdict = judge(expect, outcome)
    if verdict is Verdict.YES:
        return
    message, remedy = explain(outcome)
    detail = make_plain((outcome.stderr[-4000:] or outcome.stdout[-4000:]).decode("utf-8", "replace"))
    if isinstance(outcome.fate, Refused):
        raise NotBegun(f"{site.step.title}: {message}", remedy="Try again in a moment.", detail=detail, node=node)
    if verdict is Verdict.UNKNOWN:
        raise OutcomeUnknown(
            f"{site.step.title}: {message}",
            remedy="Wait until the node is back; SparkDesk then looks what became of it.",
            detail=detail,
            node=node,
        )
    if (absent := _ABSENT.match(message)) is not None:
        remedy = "Install it there, or write the whole path of the program."
        what = f"{absent[1]}, or what its first line runs it with," if "/" in absent[1] else absent[1]
        raise StepFailed(f"{what} is not on {node}", remedy=remedy, detail=detail, node=node)
    raise StepFailed(f"{site.step.title}: {message}", remedy=remedy, detail=detail, node=node)


def explain(outcome: Outcome) -> tuple[str, str]:
    """Why an outcome is not as expected, and what to do: in the program's own words when it gave any."""
    said = last_object(outcome.text) or {}
    words = next((said[key] for key in ("message", "error", "detail", "reason") if isinstance(said.get(key), str)), "")
    remedy = said.get("remedy")
    message = make_line(str(words), max_chars=500) if words else make_line(outcome.explain(), max_chars=500)
    if outcome.fate == Exit(0) and not words:
        message = "the command ended well but did not report what was expected"
    usual = "Read the details, mend the cause on the node, then try again."
    return message, make_line(remedy, max_chars=500) if isinstance(remedy, str) and remedy else usual
