"""Performs one action of a step on its node. The one rule: it ends well only when it is known to be as expected.

How it fails otherwise stands in site.py.
"""

from __future__ import annotations

import asyncio

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Unknown
from sparkdesk.core.errors import CommandFailed, NodeError, StepFailed
from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.playbooks.reader import LineProgress, Verdict, judge, last_object, read, read_progress
from sparkdesk.core.ports import Process, Shell
from sparkdesk.core.step import (
    Action,
    Confirm,
    Expect,
    Follow,
    Keep,
    Push,
    PutFile,
    PutSecrets,
    Reconnect,
    Relay,
    Restore,
    Run,
    Serve,
    SignInAnew,
    Wait,
)
from sparkdesk.core.telemetry.frame import LOG_LINE_BYTES, LineFramer
from sparkdesk.services.playbooks.file import keep_file, put_file, restore
from sparkdesk.services.playbooks.push import push
from sparkdesk.services.playbooks.site import TAIL_BYTES, NotBegun, OutcomeUnknown, Site, explain, raise_unless_expected
from sparkdesk.services.playbooks.supply import put_secrets

PROGRESS_EVERY_S = 5.0
HOLD_S = 10.0
"""How long a line must hold, after a change that was to break it, until we believe that it did not break."""
END_TIMEOUT_S = 8.0
MAX_RELAYED_BYTES = 64 * 1024
GONE_LOOKS = 3
"""So many looks in a row must find nobody before a node counts as gone: one lost connection is not a shut-down."""


async def perform(action: Action, site: Site) -> None:
    """Perform the action. Raises StepFailed (or a kind of it) and StoreError."""
    try:
        match action:
            case Run():
                await _run(action, site)
            case PutFile():
                await put_file(action, site)
            case Wait():
                await _wait(action, site)
            case Follow():
                await _follow(action, site)
            case Serve():
                await _serve(action, site)
            case Reconnect():
                await (_reconnect if action.comes_back else _part)(action, site)
            case Confirm():
                await _confirm(action, site)
            case Keep():
                await keep_file(action, site)
            case Restore():
                await restore(action, site)
            case PutSecrets():
                await put_secrets(action, site)
            case Push():
                await push(action, site)
            case SignInAnew():
                await _sign_in_anew(action, site)
            case Relay():
                await _relay(action, site)
    except NodeError as error:
        kind = StepFailed if isinstance(error, CommandFailed) else NotBegun
        raise kind(
            f"{site.step.title}: {error.message}", remedy=error.remedy, detail=error.detail, node=error.node
        ) from error


# One function per action ----------------------------------------------------------------------------------------


async def _run(action: Run, site: Site) -> None:
    shell = site.shell()
    outcome = await site.run(
        shell, action.command, stdin=action.stdin, timeout_s=action.timeout_s, as_root=action.as_root
    )
    site.show(outcome)
    raise_unless_expected(action.expect, outcome, site, shell.node)


async def _wait(action: Wait, site: Site) -> None:
    try:
        await _wait_until_so(action, site)
    except asyncio.CancelledError:
        if action.on_cancel is not None:
            await _end(action, action.on_cancel, site)
        raise


async def _end(action: Wait, command: Command, site: Site) -> None:
    """End what was waited for: bounded, and not to be cancelled itself."""
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            await asyncio.shield(site.shell().run(command, stdin=action.stdin, timeout_s=END_TIMEOUT_S))
    except (TimeoutError, NodeError):
        pass  # the node is away: what runs there ends by its own limit


async def _wait_until_so(action: Wait, site: Site) -> None:
    start_s = site.clock.monotonic_s()
    said_s = start_s
    last: Outcome | None = None
    was_told = False
    while True:
        outcome = await _poll(action, site)
        if judge(action.expect, outcome) is Verdict.YES:
            return
        if action.give_up is not None and judge(action.give_up, outcome) is Verdict.YES:
            message, remedy = explain(outcome)
            raise StepFailed(f"{site.step.title}: {message}", remedy=remedy, detail=outcome.text[-4000:])
        if not isinstance(outcome.fate, Unknown | Refused):
            last = outcome
        was_told = was_told or _can_tell(action.expect, outcome)
        now_s = site.clock.monotonic_s()
        if now_s - start_s >= action.timeout_s:
            if action.ask and not was_told:
                await _decide(action, site)
                return
            raise _too_late(action, site, last)
        if progress := _progress_of(action, outcome):
            said_s = now_s
            site.say(progress.text, progress.fraction)
        if now_s - said_s >= PROGRESS_EVERY_S:
            said_s = now_s
            site.say(f"waiting, {now_s - start_s:.0f} s of at most {action.timeout_s:.0f} s")
        await asyncio.sleep(action.every_s)


def _can_tell(expect: Expect, outcome: Outcome) -> bool:
    """Whether a look said yes or no: one whose program gave no answer, or null for the field, did not."""
    if not isinstance(outcome.fate, Exit):
        return False
    return not expect.reader or read(expect.reader, outcome.stdout) not in (None, "null")


async def _decide(action: Wait, site: Site) -> None:
    """No look could tell: a person decides, and a yes goes on."""
    title = f"{site.step.title}: no check could run within {action.timeout_s:.0f} s"
    if site.decide is None:
        raise StepFailed(f"{title}, and there is nobody to ask", remedy="Run this from the window.")
    site.say(action.ask)
    if not await site.decide(action.ask):
        raise StepFailed(f"{title}, and it was not confirmed", remedy="Undo this step, or look at the node and go on.")


def _progress_of(action: Wait, outcome: Outcome) -> LineProgress | None:
    lines = outcome.text.strip().splitlines() if action.reader else []
    return read_progress(action.reader, lines[-1]) if lines else None


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
    remedy = "Read the log for what it waits for, then try again with more time."
    if progress := _progress_of(action, last):
        title += f": {progress.text}"
    elif isinstance((last_object(last.text) or {}).get("remedy"), str):  # it knows better than we do
        why, remedy = explain(last)
        title += f": {why}"
    return StepFailed(title, remedy=remedy, detail=make_plain(words))


async def _follow(action: Follow, site: Site) -> None:
    shell = site.shell()
    outcome = await site.locked(action.command, lambda command: _run_followed(action, command, shell, site))
    raise_unless_expected(action.expect, outcome, site, shell.node)


async def _run_followed(action: Follow, command: Command, shell: Shell, site: Site) -> Outcome:
    framer = LineFramer(LOG_LINE_BYTES, splits_returns=True)
    tail = b""
    try:
        async with asyncio.timeout(action.timeout_s), shell.open(command) as process:
            if action.stdin:
                await process.write(action.stdin)
            async for chunk in process.chunks():
                tail = (tail + chunk)[-TAIL_BYTES:]
                for line in framer.feed(chunk):
                    progress = read_progress(action.reader, line.data.decode("utf-8", "replace"))
                    if progress is not None:
                        site.say(progress.text, progress.fraction)
            ended = await process.outcome()
    except TimeoutError:
        ended = Outcome(Unknown(f"no end after {action.timeout_s:.0f} s"))
    return Outcome(ended.fate, ended.stdout or tail, ended.stderr)


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
        outcome = await site.locked(action.client, lambda command: shell.run(command, timeout_s=action.timeout_s))
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


async def _part(action: Reconnect, site: Site) -> None:
    """Until the node answers no more."""
    start_s = site.clock.monotonic_s()
    missed = 0
    while missed < GONE_LOOKS:
        missed = 0 if await answers(site) else missed + 1
        if site.clock.monotonic_s() - start_s >= action.timeout_s:
            raise StepFailed(
                f"{site.step.title}: the node still answers after {action.timeout_s:.0f} s",
                remedy="Look at its screen: something may hold the shut-down up. Or hold its power button.",
                node=site.step.node,
            )
        await asyncio.sleep(0.5)
    site.say("the node answers no more")


async def _sign_in_anew(action: SignInAnew, site: Site) -> None:
    """Nothing of it can be half done: without a new connection the step failed, whatever it did before."""
    if site.sign_in_anew is None:
        raise StepFailed(
            f"{site.step.title}: this run cannot sign in anew", remedy="Run this from the window.", node=site.step.node
        )
    start_s = site.clock.monotonic_s()
    try:
        async with asyncio.timeout(action.timeout_s):
            await site.sign_in_anew(site.step.node)
    except (TimeoutError, NodeError) as error:
        why, remedy = _why_away(error, site)
        raise StepFailed(
            f"{site.step.title}: no new sign-in after {site.clock.monotonic_s() - start_s:.0f} s{why}",
            remedy=remedy,
            node=site.step.node,
        ) from error
    site.say("signed in anew")


def _why_away(error: TimeoutError | NodeError, site: Site) -> tuple[str, str]:
    """What the line to the node says, and what to do."""
    try:
        if not isinstance(error, NodeError):
            site.shell()
    except NodeError as absence:
        error = absence
    if isinstance(error, NodeError):
        return f": {error.message}", error.remedy
    return "", "Wait until the node is live, then carry on."


async def _relay(action: Relay, site: Site) -> None:
    source, target = site.shells(action.node), site.shell()
    said = await source.run(action.source, timeout_s=action.timeout_s, max_bytes=MAX_RELAYED_BYTES)
    if not isinstance(said.fate, Exit):
        raise NotBegun(
            f"{site.step.title}: {source.node} did not tell what is handed on: {said.fate.words()}",
            remedy=f"Nothing was changed. Wait until {source.node} is back, then carry on.",
            node=source.node,
        )
    text = read(action.reader, said.stdout) if said.is_ok and not said.truncated else None
    if text is None:
        raise StepFailed(
            f"{site.step.title}: {source.node} printed something else than expected, and nothing was handed on",
            remedy=f"Look at what {' '.join(action.source.argv[:4])} prints on {source.node}, then carry on.",
            detail=make_plain((said.stdout[-2000:] + said.stderr[-2000:]).decode("utf-8", "replace")),
            node=source.node,
        )
    outcome = await site.run(target, action.target, stdin=f"{text}\n".encode(), timeout_s=action.timeout_s)
    site.show(outcome)
    raise_unless_expected(action.expect, outcome, site, target.node)


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
