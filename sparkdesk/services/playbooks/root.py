"""One run's way to root on its nodes: whether sudo asks there, the passwords that were typed, the conversation with it.

The one rule: a password lives in this object and in the channel of its own node, nowhere else. It is written only after
sudo answered with our own random prompt, it was proved by a command that does nothing before any payload is sent, and
with the end of the run it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from sparkdesk.core.command import Command, Exit, Outcome, Unknown
from sparkdesk.core.errors import Unreachable
from sparkdesk.core.ports import Process, Shell
from sparkdesk.core.sudo import (
    CHECK,
    Marks,
    Refusal,
    explain_refusal,
    is_line,
    read_refusal,
    redact,
    root_command,
    strip_marks,
)
from sparkdesk.services.clock import Clock
from sparkdesk.services.ident import new_id

MAX_ASKS = 2
"""A person is asked this often at a node; pam_faillock locks an account after three wrong ones."""
SIGN_IN_TIMEOUT_S = 60.0
"""For sudo to answer: a wrong password costs 2 s, a node whose name service hangs much more."""
CHECK_TIMEOUT_S = 30.0
MODE_FRESH_S = 60.0
POLL_S = 0.02
_NOTHING = Command(("true",))


@dataclass(frozen=True, slots=True)
class SharedPassword:
    """A password of which the person said that it is the same on all nodes of this run."""

    text: str = field(repr=False)


AskPassword = Callable[[str, str], Awaitable[str | SharedPassword | None]]
"""Asks the person: node id, why. None: they would not say."""


class RootRefused(Exception):
    """sudo did not let us: nothing was done."""

    def __init__(self, refusal: Refusal, message: str, remedy: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message
        self.remedy = remedy


@dataclass(slots=True)
class _Way:
    """What is known about sudo on a node, through one connection."""

    shell: Shell
    checked_s: float
    refusal: Refusal | None
    """None: it asks for nothing."""


@dataclass(slots=True)
class _Login:
    """The password of one node in this run."""

    gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    password: str = ""
    tried: set[str] = field(default_factory=set)
    was_declined: bool = False


class Root:
    """Runs commands as root on the nodes of one run. `identify` names a node's host key and user."""

    def __init__(
        self, clock: Clock, ask: AskPassword | None = None, identify: Callable[[str], str] = lambda node_id: node_id
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._identify = identify
        self._ways: dict[str, _Way] = {}
        self._logins: dict[str, _Login] = {}
        self._shared = ""
        self._person = asyncio.Lock()

    async def run(
        self, node_id: str, shell: Shell, command: Command, *, why: str, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Outcome:
        """The command's outcome as root. Raises RootRefused (nothing was done) and a NodeError (not connected)."""
        refusal = await self._find_way(node_id, shell)
        if refusal is None:
            marks = _new_marks()
            wrapped = root_command(command, marks, has_password=False, has_stdin=bool(stdin))
            outcome = await shell.run(wrapped, stdin=stdin, timeout_s=timeout_s)
            if marks.begun_line in outcome.stdout or not isinstance(outcome.fate, Exit):
                return _clean(outcome, marks, ())
            refusal = read_refusal(outcome)
            self._ways.pop(node_id, None)
            if refusal is not Refusal.NEEDS_PASSWORD:
                raise _refused(refusal, shell, outcome)
        elif refusal is not Refusal.NEEDS_PASSWORD:
            raise _refused(refusal, shell)
        password = await self._sign_in(node_id, shell, why)
        try:
            return await _converse(shell, command, password, stdin, timeout_s)
        except RootRefused as error:
            if error.refusal is Refusal.WRONG_PASSWORD:  # it was right a moment ago: somebody changed it
                self._logins.pop(self._identify(node_id), None)
            raise

    async def _find_way(self, node_id: str, shell: Shell) -> Refusal | None:
        """What sudo said lately on this connection, asked again after a minute."""
        way = self._ways.get(node_id)
        now_s = self._clock.monotonic_s()
        if way is not None and way.shell is shell and now_s - way.checked_s < MODE_FRESH_S:
            return way.refusal
        outcome = await shell.run(CHECK, timeout_s=CHECK_TIMEOUT_S)
        if not isinstance(outcome.fate, Exit):
            raise _no_answer(shell, outcome)
        refusal = None if outcome.is_ok else read_refusal(outcome)
        if refusal in (Refusal.BROKEN, Refusal.UNKNOWN):
            raise _refused(refusal, shell, outcome)
        self._ways[node_id] = _Way(shell, now_s, refusal)
        return refusal

    async def _sign_in(self, node_id: str, shell: Shell, why: str) -> str:
        """A password that sudo accepts on this node. One at a time: a wrong one is tried once, not by every step."""
        login = self._logins.setdefault(self._identify(node_id), _Login())
        async with login.gate:
            if login.password:
                return login.password
            for attempt in range(MAX_ASKS):
                words = why if attempt == 0 else f"{why}. The password was not accepted; nothing was changed"
                password = await self._hear(node_id, words, login)
                if not password:
                    login.was_declined = True
                    raise _refused(Refusal.NEEDS_PASSWORD, shell)
                login.tried.add(password)
                try:
                    outcome = await _converse(shell, _NOTHING, password, b"", CHECK_TIMEOUT_S)
                except RootRefused as error:
                    if error.refusal is not Refusal.WRONG_PASSWORD or attempt == MAX_ASKS - 1:
                        login.was_declined = True
                        raise
                    continue
                if not outcome.is_ok:
                    raise _no_answer(shell, outcome)
                login.password = password
                return password
        raise AssertionError("unreachable")

    async def _hear(self, node_id: str, why: str, login: _Login) -> str:
        """What the person answers, one question after another; "" when nobody is there, or they would not say."""
        if self._ask is None or login.was_declined:
            return ""
        async with self._person:
            if self._shared and self._shared not in login.tried:
                return self._shared
            answer = await self._ask(node_id, why)
        if isinstance(answer, SharedPassword):
            self._shared = answer.text
            return answer.text
        return answer or ""


async def _converse(shell: Shell, command: Command, password: str, stdin: bytes, timeout_s: float) -> Outcome:
    """Sign in to sudo and run the command. Raises RootRefused and a NodeError."""
    if not is_line(password):
        raise _refused(Refusal.WRONG_PASSWORD, shell)
    marks = _new_marks()
    wrapped = root_command(command, marks, has_password=True, has_stdin=bool(stdin))
    talk = _Talk(marks, password)
    try:
        async with asyncio.timeout(SIGN_IN_TIMEOUT_S) as limit, shell.open(wrapped) as process:
            async with asyncio.TaskGroup() as group:
                group.create_task(talk.read(process))
                await talk.sign_in(process)
                limit.reschedule(asyncio.get_running_loop().time() + timeout_s)
                if talk.is_begun:
                    await talk.give_input(process, stdin)
                else:
                    await process.close_stdin()
            ended = await process.outcome()
            stderr = ended.stderr or process.error_tail()
    except TimeoutError:
        words = f"no end within {timeout_s:g} s" if talk.is_begun else f"sudo gave no answer in {SIGN_IN_TIMEOUT_S:g} s"
        ended, stderr = Outcome(Unknown(words)), b""
    outcome = Outcome(ended.fate, bytes(talk.output), stderr, truncated=talk.is_cut)
    if talk.is_begun or (not isinstance(outcome.fate, Exit) and not talk.was_refused):
        return _clean(outcome, marks, (password,))
    refusal = Refusal.WRONG_PASSWORD if talk.was_refused else read_refusal(outcome)
    raise _refused(refusal, shell, _clean(outcome, marks, (password,)))


class _Talk:
    """What is said on one channel: prompt, password, the payload's first word, its output."""

    MAX_OUTPUT_BYTES = 1 << 20

    def __init__(self, marks: Marks, password: str) -> None:
        self.output = bytearray()
        self.is_begun = False
        self.is_cut = False
        self.was_refused = False
        self._marks = marks
        self._password = password
        self._has_ended = False

    async def read(self, process: Process) -> None:
        """Keep standard output, the first part of it, to its end."""
        async for chunk in process.chunks():
            room = self.MAX_OUTPUT_BYTES - len(self.output)
            self.is_cut = self.is_cut or len(chunk) > room
            self.output += chunk[:room]
            self.is_begun = self.is_begun or self._marks.begun_line in self.output
        self._has_ended = True

    async def sign_in(self, process: Process) -> None:
        """Until the payload has begun, sudo has ended, or it asks a second time."""
        prompt, was_sent = self._marks.prompt.encode(), False
        while not (self.is_begun or self._has_ended):
            prompts = process.error_tail().count(prompt)
            if prompts > 1:
                self.was_refused = True
                return
            if prompts == 1 and not was_sent:
                was_sent = True
                try:
                    await process.write(self._password.encode("utf-8", "surrogateescape") + b"\n")
                except Unreachable:
                    return  # it has just ended; how, its end tells
            await asyncio.sleep(POLL_S)

    async def give_input(self, process: Process, stdin: bytes) -> None:
        """The payload's own input, and the end of it."""
        try:
            if stdin:
                await process.write(stdin)
        except Unreachable:
            return  # the payload did not want it all
        await process.close_stdin()


def _new_marks() -> Marks:
    return Marks(prompt=f"sparkdesk{new_id()}", begun=f"begun{new_id()}")


def _clean(outcome: Outcome, marks: Marks, passwords: tuple[str, ...]) -> Outcome:
    stdout, stderr = (redact(strip_marks(data, marks), passwords) for data in (outcome.stdout, outcome.stderr))
    return replace(outcome, stdout=stdout, stderr=stderr)


def _no_answer(shell: Shell, outcome: Outcome) -> Unreachable:
    return Unreachable(
        f"sudo on {shell.node} gave no answer: {outcome.fate.words()}",
        remedy="Nothing was done. Try again when the node answers.",
        node=shell.node,
    )


def _refused(refusal: Refusal, shell: Shell, outcome: Outcome | None = None) -> RootRefused:
    return RootRefused(refusal, *explain_refusal(refusal, shell.node, outcome))
