"""Performs one action of a step on its node. The one rule: it ends well only when it is known to be as expected.

Three ways to fail: `StepFailed` (it is known that this did not work) and two kinds of it: `NotBegun` (no connection, no
channel: nothing was done) and `OutcomeUnknown` (the connection was lost or time ran out before the fate was known: it
may or may not have worked).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Unknown
from sparkdesk.core.errors import CommandFailed, NodeError, StepFailed, Unreachable
from sparkdesk.core.plain_text import make_line, make_plain
from sparkdesk.core.playbooks.reader import Verdict, judge, last_object, read_progress
from sparkdesk.core.ports import Process, Shell
from sparkdesk.core.step import (
    Action,
    Confirm,
    Expect,
    Follow,
    Output,
    Progress,
    PutFile,
    Reconnect,
    Restore,
    Run,
    Serve,
    Step,
    StepEvent,
    Wait,
)
from sparkdesk.core.telemetry.frame import LOG_LINE_BYTES, LineFramer
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.journal import FormerFile, Journal

FILE_TIMEOUT_S = 120.0
MAX_KEPT_BYTES = 1 << 20
"""The largest file that is kept for Restore: configuration, not weights."""
MAX_SHOWN_CHARS = 4000
PROGRESS_EVERY_S = 5.0
HOLD_S = 10.0
"""How long a line must hold, after a change that was to break it, until we believe that it did not break."""
TAIL_BYTES = 64 * 1024

# Says "absent", or mode and size of what is there. `~/` is the user's home.
_LOOK = """p=$1; case $p in "~/"*) p=$HOME/${p#"~/"};; esac
if [ -e "$p" ]; then stat -L -c 'there %a %s' -- "$p"; else echo absent; fi"""
_REMOVE = """p=$1; case $p in "~/"*) p=$HOME/${p#"~/"};; esac; rm -f -- "$p\""""


class OutcomeUnknown(StepFailed):
    """It may or may not have worked; only a look at the node can tell."""


class NotBegun(StepFailed):
    """Nothing reached the node."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a step's actions are performed, and who hears of them."""

    step: Step
    shells: Callable[[str], Shell]
    """A node's shell; raises a NodeError when the node is not live."""
    clock: Clock
    journal: Journal
    emit: Callable[[StepEvent], None]
    confirm: Callable[[str], Awaitable[bool]] | None = None

    def shell(self) -> Shell:
        """The shell of the step's node."""
        return self.shells(self.step.node)

    def say(self, text: str, fraction: float | None = None) -> None:
        """Tell how far the step is."""
        self.emit(Progress(self.step.id, self.clock.now_ms(), make_line(text, max_chars=400), fraction))

    def show(self, outcome: Outcome) -> None:
        """Tell what a command printed, if anything."""
        text = (outcome.stdout[-TAIL_BYTES:] + outcome.stderr[-TAIL_BYTES:]).decode("utf-8", "replace").strip()
        if text:
            shown = make_plain(text[-MAX_SHOWN_CHARS:], max_chars=MAX_SHOWN_CHARS)
            self.emit(Output(self.step.id, self.clock.now_ms(), shown))


async def perform(action: Action, site: Site) -> None:
    """Perform the action. Raises StepFailed (or a kind of it) and StoreError."""
    try:
        match action:
            case Run():
                await _run(action, site)
            case PutFile():
                await _put_file(action, site)
            case Wait():
                await _wait(action, site)
            case Follow():
                await _follow(action, site)
            case Serve():
                await _serve(action, site)
            case Reconnect():
                await _reconnect(action, site)
            case Confirm():
                await _confirm(action, site)
            case Restore():
                await _restore(action, site)
    except NodeError as error:
        kind = StepFailed if isinstance(error, CommandFailed) else NotBegun
        raise kind(
            f"{site.step.title}: {error.message}", remedy=error.remedy, detail=error.detail, node=error.node
        ) from error


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


# One function per action ----------------------------------------------------------------------------------------


async def _run(action: Run, site: Site) -> None:
    shell = site.shell()
    outcome = await shell.run(action.command, stdin=action.stdin, timeout_s=action.timeout_s)
    site.show(outcome)
    raise_unless_expected(action.expect, outcome, site, shell.node)


async def _put_file(action: PutFile, site: Site) -> None:
    shell = site.shell()
    step = site.step
    is_restored = any(isinstance(undo, Restore) and undo.path == action.path for undo in step.undo)
    if is_restored and (step.node, action.path) not in site.journal.record.former:
        found = await _look(shell, site, action.path)
        await site.journal.keep_file(step.node, action.path, await _fetch(shell, site, action.path, found))
    await _put(shell, site, action.path, action.content, action.mode)


async def _wait(action: Wait, site: Site) -> None:
    start_s = site.clock.monotonic_s()
    said_s = start_s
    last: Outcome | None = None
    while True:
        outcome = await _poll(action, site)
        if judge(action.expect, outcome) is Verdict.YES:
            return
        if action.give_up is not None and judge(action.give_up, outcome) is Verdict.YES:
            message, remedy = explain(outcome)
            raise StepFailed(f"{site.step.title}: {message}", remedy=remedy, detail=outcome.text[-4000:])
        if not isinstance(outcome.fate, Unknown | Refused):
            last = outcome
        now_s = site.clock.monotonic_s()
        if now_s - start_s >= action.timeout_s:
            raise _too_late(action, site, last)
        if now_s - said_s >= PROGRESS_EVERY_S:
            said_s = now_s
            site.say(f"waiting, {now_s - start_s:.0f} s of at most {action.timeout_s:.0f} s")
        await asyncio.sleep(action.every_s)


async def _poll(action: Wait, site: Site) -> Outcome:
    """One look; a node that is away for a moment is an unknown outcome, not the end of the waiting."""
    try:
        timeout_s = max(5.0, min(30.0, action.timeout_s))
        return await site.shell().run(action.command, stdin=action.stdin, timeout_s=timeout_s)
    except NodeError as error:
        return Outcome(Unknown(error.message))


def _too_late(action: Wait, site: Site, last: Outcome | None) -> StepFailed:
    title = f"{site.step.title}: not so after {action.timeout_s:.0f} s"
    if last is None:
        return OutcomeUnknown(
            f"{title}; the node never answered", remedy="Wait until the node is back, then look again."
        )
    words = (last.text or last.explain()).strip()[-400:]
    return StepFailed(
        title, remedy="Read the log for what it waits for, then try again with more time.", detail=make_plain(words)
    )


async def _follow(action: Follow, site: Site) -> None:
    shell = site.shell()
    framer = LineFramer(LOG_LINE_BYTES, splits_returns=True)
    tail = b""
    try:
        async with asyncio.timeout(action.timeout_s), shell.open(action.command) as process:
            async for chunk in process.chunks():
                tail = (tail + chunk)[-TAIL_BYTES:]
                for line in framer.feed(chunk):
                    progress = read_progress(action.reader, line.data.decode("utf-8", "replace"))
                    if progress is not None:
                        site.say(progress.text, progress.fraction)
            ended = await process.outcome()
    except TimeoutError:
        ended = Outcome(Unknown(f"no end after {action.timeout_s:.0f} s"))
    outcome = Outcome(ended.fate, ended.stdout or tail, ended.stderr)
    raise_unless_expected(action.expect, outcome, site, shell.node)


async def _serve(action: Serve, site: Site) -> None:
    server_shell, client_shell = site.shells(action.node), site.shell()
    try:
        async with asyncio.timeout(action.timeout_s), server_shell.open(action.server) as server:
            outcome = await _run_client(action, client_shell, server, site)
            await server.close_stdin()
    except TimeoutError:
        outcome = Outcome(Unknown(f"no end after {action.timeout_s:.0f} s"))
    site.show(outcome)
    raise_unless_expected(action.expect, outcome, site, client_shell.node)


async def _run_client(action: Serve, shell: Shell, server: Process, site: Site) -> Outcome:
    """Run the client; while the server may still be starting (5 s), a client that fails is begun again."""
    start_s = site.clock.monotonic_s()
    while True:
        outcome = await shell.run(action.client, timeout_s=action.timeout_s)
        is_early = site.clock.monotonic_s() - start_s < 5.0
        if not isinstance(outcome.fate, Exit) or judge(action.expect, outcome) is Verdict.YES or not is_early:
            return outcome
        await asyncio.sleep(0.5)


async def _reconnect(action: Reconnect, site: Site) -> None:
    start_s = site.clock.monotonic_s()
    hold_s = min(HOLD_S, action.timeout_s / 3)
    was_away = False
    while True:
        is_here = await answers(site)
        passed_s = site.clock.monotonic_s() - start_s
        if is_here and (was_away or passed_s >= hold_s):
            site.say("the node is back" if was_away else "the connection held")
            return
        was_away = was_away or not is_here
        if passed_s >= action.timeout_s:
            raise OutcomeUnknown(
                f"{site.step.title}: the node did not come back within {action.timeout_s:.0f} s",
                remedy="Look at the node's screen or power light; SparkDesk goes on when it is back.",
                node=site.step.node,
            )
        await asyncio.sleep(0.5)


async def answers(site: Site) -> bool:
    """Whether the step's node runs a command now."""
    try:
        return (await site.shell().run(Command(("true",)), timeout_s=5.0)).is_ok
    except NodeError:
        return False


async def _confirm(action: Confirm, site: Site) -> None:
    if site.confirm is None:
        raise StepFailed(
            f"{site.step.title}: a person must confirm, and there is nobody to ask",
            remedy="Run this from the window.",
        )
    if not await site.confirm(action.question):
        raise StepFailed(f"{site.step.title}: not confirmed", remedy="Nothing more was done. Start again to go on.")


async def _restore(action: Restore, site: Site) -> None:
    former = site.journal.record.former.get((site.step.node, action.path))
    if former is None:
        return  # it was never written
    shell = site.shell()
    if former.content is not None:
        await _put(shell, site, action.path, former.content, former.mode)
        return
    outcome = await shell.run(Command(("sh", "-c", _REMOVE, "sh", action.path)))
    raise_unless_expected(Expect(), outcome, site, shell.node)


# Files ------------------------------------------------------------------------------------------------------------


async def _look(shell: Shell, site: Site, path: str) -> tuple[int, int] | None:
    """Mode and size of a file, None when there is none."""
    command = Command(("sh", "-c", _LOOK, "sh", path))
    outcome = await shell.run(command, timeout_s=30.0)
    raise_unless_expected(Expect(), outcome, site, shell.node)
    words = (outcome.text.strip().splitlines() or [""])[-1].split()
    if words == ["absent"]:
        return None
    if len(words) != 3 or words[0] != "there":
        raise StepFailed(f"{site.step.title}: cannot see what is at {path}", remedy="Look at that path on the node.")
    return int(words[1], 8), int(words[2])


async def _fetch(shell: Shell, site: Site, path: str, found: tuple[int, int] | None) -> FormerFile:
    if found is None:
        return FormerFile(None)
    mode, size = found
    if size > MAX_KEPT_BYTES:
        raise StepFailed(
            f"{site.step.title}: {path} has {size} bytes; it is too large to be kept for undo",
            remedy="Move that file away first.",
            node=shell.node,
        )
    async with asyncio.timeout(FILE_TIMEOUT_S):
        return FormerFile(await shell.fetch(path, max_bytes=MAX_KEPT_BYTES), mode)


async def _put(shell: Shell, site: Site, path: str, content: bytes, mode: int) -> None:
    try:
        async with asyncio.timeout(FILE_TIMEOUT_S):
            await shell.put(content, path, mode=mode)
    except CommandFailed:
        raise
    except (Unreachable, TimeoutError) as error:
        raise OutcomeUnknown(
            f"{site.step.title}: the connection was lost while {path} was written",
            remedy="Wait until the node is back; SparkDesk then writes it again.",
            detail=str(error),
            node=shell.node,
        ) from error
