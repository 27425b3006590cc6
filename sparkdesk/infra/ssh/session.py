"""One connection to one node; fulfils core's Connection.

The one rule: everything that waits on the node is bounded, in time and in size, and at most six session channels are
open at once (sshd allows ten: one for the probe, one for logs, the rest for commands); the seventh waits here.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_hex
from typing import Any

import asyncssh

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Unknown
from sparkdesk.core.errors import NO_CHANNEL_REMEDY, CommandFailed, NodeBusy, NodeError, Unreachable
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import LocalAddress, Process
from sparkdesk.infra.ssh.error import FOREIGN, map_error
from sparkdesk.infra.ssh.process import ChannelSession, NodeProcess

MAX_CHANNELS = 6
OPEN_TIMEOUT_S = 15.0
OPEN_TRIES = 5
CLOSE_TIMEOUT_S = 3.0
PUT_BYTES_PER_S = 1 << 20
"""A slow line still gets its file across: one second more for each of these."""

# $1 path, $2 mode, $3 size, $4 suffix. The file is never more open than asked for, never half written under its own
# name, and a symlink at the temporary name is not followed (set -C). A cut connection shows as a wrong size.
_PUT = (
    'case $1 in "~/"*) p=$HOME/${1#??};; *) p=$1;; esac; '
    't=$p.$4; umask 077; mkdir -p -- "$(dirname -- "$p")" || exit 73; set -C; '
    '{ cat > "$t"; } || { rm -f -- "$t"; exit 73; }; set +C; '
    'if [ "$(wc -c < "$t")" -eq "$3" ] && chmod "$2" "$t" && mv -f -- "$t" "$p"; then exit 0; fi; '
    'rm -f -- "$t"; exit 74'
)
# $1 path, $2 bytes.
_FETCH = (
    'case $1 in "~/"*) p=$HOME/${1#??};; *) p=$1;; esac; '
    '[ -e "$p" ] || { echo "no such file" >&2; exit 66; }; [ -d "$p" ] && { echo "is a folder" >&2; exit 66; }; '
    'exec head -c "$2" < "$p"'
)


_FULL = ("No space left", "quota exceeded", "File too large")
"""How a node's programs say ENOSPC, EDQUOT and EFBIG. Source: GNU libc, strerror."""

_Opened = tuple["asyncssh.SSHClientChannel[bytes]", Any]


class LostNotice:
    """Told once, with the reason in words, when the connection is gone."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.reason = ""

    def set(self, reason: str) -> None:
        """The connection is gone; only the first reason counts."""
        if not self.event.is_set():
            self.reason = reason
            self.event.set()


class _Opening:
    """How far a command has come: once the node was asked, a silence leaves the command's fate unknown."""

    def __init__(self) -> None:
        self.has_slot = False
        self.was_sent = False

    def begin(self) -> ChannelSession:
        """The channel is open; asyncssh now sends the command."""
        self.was_sent = True
        return ChannelSession()


async def _end_listener(listener: asyncssh.SSHListener) -> None:
    listener.close()
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await listener.wait_closed()
    except FOREIGN:
        pass  # a connection through it hangs; it ends with the node's connection


class NodeSession:
    """One node, connected; bytes in, bytes out."""

    def __init__(self, connection: asyncssh.SSHClientConnection, node: str, lost: LostNotice) -> None:
        self._connection = connection
        self._node = node
        self._lost = lost
        self._slots = asyncio.Semaphore(MAX_CHANNELS)
        self._jump: NodeSession | None = None

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """asyncssh's own, for the connector: the way to a node behind this one."""
        return self._connection

    def ends_with(self, jump: NodeSession) -> None:
        """This connection runs over that one, which is closed with it."""
        self._jump = jump

    @property
    def node(self) -> str:
        """The node's name, for messages."""
        return self._node

    async def run(
        self, command: Command, *, stdin: bytes = b"", timeout_s: float = 30.0, max_bytes: int = 1 << 20
    ) -> Outcome:
        """Run to the end; a lost connection, a time-out and a refused channel are fates, not exceptions."""
        output = bytearray()
        process: NodeProcess | None = None
        opening = _Opening()
        is_truncated = False
        try:
            async with asyncio.timeout(timeout_s), self._start(command, opening) as process:
                if stdin:
                    process.write_now(stdin)
                process.close_stdin_now()
                async for chunk in process.chunks():
                    output += chunk
                    if len(output) > max_bytes:
                        is_truncated = True
                        break
                if not is_truncated:
                    await process.outcome()
        except TimeoutError:
            if not opening.has_slot:
                return Outcome(Refused(f"no free channel within {timeout_s:g} s"))
            fate = Unknown(f"no end within {timeout_s:g} s")
            return Outcome(fate, bytes(output[:max_bytes]), process.error_tail() if process else b"", is_truncated)
        except NodeError as error:
            if process is None:
                return Outcome(Unknown(error.message) if opening.was_sent else Refused(error.message, error.remedy))
            # The program closed its input early or the line broke while input was sent: its fate tells which.
        end = Unknown(f"stopped after {max_bytes} bytes of output") if is_truncated else process.fate()
        return Outcome(end, bytes(output[:max_bytes]), process.error_tail(), is_truncated or process.was_cut)

    @asynccontextmanager
    async def open(self, command: Command) -> AsyncIterator[Process]:
        """Start a command and talk to it; leaving the block closes the channel. Raises NodeBusy, Unreachable."""
        async with self._start(command, _Opening()) as process:
            yield process

    @asynccontextmanager
    async def _start(self, command: Command, opening: _Opening) -> AsyncIterator[NodeProcess]:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError as error:
            raise NodeBusy(
                f"All {MAX_CHANNELS} channels to {self._node} are in use",
                remedy="Wait for a running command to end.",
                node=self._node,
            ) from error
        opening.has_slot = True
        try:
            process = NodeProcess(await self._open_channel(_prepare(command), opening), self._node)
            try:
                yield process
            finally:
                await process.close()
        finally:
            self._slots.release()

    async def _open_channel(self, line: str, opening: _Opening) -> ChannelSession:
        """A channel that runs the line; a node that has no free one is asked a few times more."""
        for attempt in range(1, OPEN_TRIES + 1):
            if self._lost.event.is_set():
                raise self._gone()
            try:
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    return await self._create_session(line, opening)
            except asyncssh.ChannelOpenError as error:
                if self._lost.event.is_set() or self._connection.is_closed():
                    raise self._gone() from error
                opening.was_sent = False
                if attempt == OPEN_TRIES:
                    raise map_error(error, node=self._node) from error
            except FOREIGN as error:
                raise map_error(error, node=self._node) from error
            except AttributeError as error:
                # asyncssh's: the line ended in the very turn in which the node said yes, and it looks at what is gone.
                if self._lost.event.is_set() or self._connection.is_closed():
                    raise self._gone() from error
                raise
            await asyncio.sleep(0.1 * 2**attempt * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    async def _create_session(self, line: str, opening: _Opening) -> ChannelSession:
        answer: asyncio.Future[_Opened] = asyncio.ensure_future(
            self._connection.create_session(opening.begin, line, encoding=None, request_pty=False)
        )
        try:
            await asyncio.shield(answer)
        except asyncio.CancelledError:
            # The node may open it a moment later: an answer that nobody waits for would keep its slot for ever.
            answer.add_done_callback(_close_late)
            raise
        session: ChannelSession = answer.result()[1]
        return session

    async def put(self, data: bytes, path: str, *, mode: int) -> None:
        """Write a file whole with exactly this mode; missing folders are made, 0700.

        Raises CommandFailed (with the node's own words), Unreachable, NodeBusy.
        """
        if not 0 <= mode <= 0o777:
            raise ValueError(f"not a file mode: {mode:o}")
        command = Command(("sh", "-c", _PUT, "sh", path, f"{mode:o}", str(len(data)), f"sparkdesk-{token_hex(6)}"))
        timeout_s = 30.0 + len(data) / PUT_BYTES_PER_S
        outcome = await self.run(command, stdin=data, timeout_s=timeout_s)
        if not outcome.is_ok:
            raise self._failed(f"{path} could not be written", outcome)

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """The content of a file. Raises CommandFailed when it is missing or larger, Unreachable, NodeBusy."""
        command = Command(("sh", "-c", _FETCH, "sh", path, str(max_bytes + 1)))
        timeout_s = 30.0 + max_bytes / PUT_BYTES_PER_S
        outcome = await self.run(command, timeout_s=timeout_s, max_bytes=max_bytes + 1)
        if not outcome.is_ok or outcome.truncated:
            raise self._failed(f"{path} could not be read", outcome)
        if len(outcome.stdout) > max_bytes:
            raise CommandFailed(
                f"{path} is larger than {max_bytes} bytes", remedy="Look at it on the node itself.", node=self._node
            )
        return outcome.stdout

    @asynccontextmanager
    async def forward(self, host: str, port: int) -> AsyncIterator[LocalAddress]:
        """A unix socket, in a folder that only this user can enter, that leads to host:port as the node sees it."""
        if self._lost.event.is_set():
            raise self._gone()
        with _private_folder() as folder:
            path = f"{folder}/s"
            try:
                listener = await self._connection.forward_local_path_to_port(path, host, port)
            except FOREIGN as error:
                raise map_error(error, node=self._node) from error
            try:
                yield LocalAddress(path)
            finally:
                await _end_listener(listener)

    @asynccontextmanager
    async def forward_port(self, host: str, port: int, *, local_port: int = 0) -> AsyncIterator[int]:
        """A port of 127.0.0.1 that leads to host:port as the node sees it; gives the port's number."""
        if self._lost.event.is_set():
            raise self._gone()
        try:
            listener = await self._connection.forward_local_port("127.0.0.1", local_port, host, port)
        except OSError as error:
            raise NodeBusy(
                f"Port {local_port} of this computer is taken",
                remedy="Let SparkDesk choose another port.",
                detail=str(error),
                node=self._node,
            ) from error
        except FOREIGN as error:
            raise map_error(error, node=self._node) from error
        try:
            yield listener.get_port()
        finally:
            await _end_listener(listener)

    async def answers(self, host: str, port: int, *, timeout_s: float = 5.0) -> bool | None:
        """Whether something accepts connections there; None when that is not known in time.

        Raises CommandFailed when sshd forbids forwards, Unreachable.
        """
        if self._lost.event.is_set():
            raise self._gone()
        answer = asyncio.ensure_future(self._connection.open_connection(host, port, encoding=None))
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.shield(answer)
        except (TimeoutError, asyncio.CancelledError) as error:
            answer.add_done_callback(_close_late_stream)  # the node may open it a moment later
            if isinstance(error, TimeoutError):
                return None
            raise
        except asyncssh.ChannelOpenError as error:
            if error.code == asyncssh.OPEN_CONNECT_FAILED:
                return False
            if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise self._no_forwards(error) from error
            raise map_error(error, node=self._node) from error
        except FOREIGN as error:
            raise map_error(error, node=self._node) from error
        writer.close()
        return True

    def _no_forwards(self, error: asyncssh.ChannelOpenError) -> CommandFailed:
        return CommandFailed(
            f"{self._node}'s SSH server forbids forwards",
            remedy="On the node set AllowTcpForwarding yes in /etc/ssh/sshd_config, take no-port-forwarding from the "
            "key's line in ~/.ssh/authorized_keys, then: sudo systemctl reload ssh",
            detail=error.reason[:400],
            node=self._node,
        )

    async def close(self) -> None:
        """Close within a bounded time; safe to call twice."""
        self._lost.set("closed by this computer")
        self._connection.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.wait_closed()
        except FOREIGN:
            self._connection.abort()
        jump, self._jump = self._jump, None
        if jump is not None:
            await jump.close()

    async def wait_closed(self) -> str:
        """Wait until the connection is gone; gives the reason in words."""
        await self._lost.event.wait()
        return self._lost.reason

    def _gone(self) -> Unreachable:
        return Unreachable(
            f"The connection to {self._node} is gone: {self._lost.reason or 'closing'}",
            remedy="SparkDesk connects again; then repeat.",
            node=self._node,
        )

    def _failed(self, message: str, outcome: Outcome) -> NodeError:
        if isinstance(outcome.fate, Refused):
            remedy = outcome.fate.remedy or NO_CHANNEL_REMEDY
            return NodeBusy(f"{message}: {outcome.fate.reason}", remedy=remedy, node=self._node)
        if isinstance(outcome.fate, Exit):
            said = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
            is_full = bool(said) and any(words in said[-1] for words in _FULL)
            message = f"The disk of {self._node} is full: {message}" if is_full else message
            return CommandFailed(
                f"{message}: {make_line(said[-1], max_chars=200)}" if said else message,
                remedy="Make room on its disk, and repeat." if is_full else "Mend that on the node, and repeat.",
                detail=outcome.explain(),
                node=self._node,
            )
        return Unreachable(
            f"{message}: {outcome.fate.words()}", remedy="Check the connection, then repeat.", node=self._node
        )


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for this user alone (mkdtemp: 0700), where the session's own short-lived files belong."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = runtime if runtime and os.path.isdir(runtime) else None
    return tempfile.TemporaryDirectory(prefix="sparkdesk-", dir=parent, ignore_cleanup_errors=True)


def _prepare(command: Command) -> str:
    """The line to send. Programs answer in English and with a decimal point unless the command says otherwise."""
    if not {"LC_ALL", "LANG"} & set(command.env):
        command = replace(command, env={**command.env, "LC_ALL": "C.UTF-8"})
    return command.to_shell()


def _close_late(answer: asyncio.Future[_Opened]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        answer.result()[0].close()


def _close_late_stream(answer: asyncio.Future[tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        answer.result()[1].close()
