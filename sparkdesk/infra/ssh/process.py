"""A command on a node while it runs: its streams as bytes, with bounds.

The one rule: what is not known is `Unknown`. asyncssh ends a lost channel without an exception and without an exit
code, so a missing code is never read as success.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import asyncssh

from sparkdesk.core.command import Exit, Outcome, Signal, Unknown
from sparkdesk.core.errors import Unreachable
from sparkdesk.infra.ssh.error import FOREIGN

ERROR_TAIL_BYTES = 8 * 1024
QUEUE_BYTES = 256 * 1024
"""So much unread output is kept; then the node has to wait."""

CLOSE_TIMEOUT_S = 2.0


class ChannelSession(asyncssh.SSHClientSession[bytes]):
    """What asyncssh tells about one channel, kept until somebody reads it."""

    def __init__(self) -> None:
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.chunks: deque[bytes] = deque()
        self.queued_bytes = 0
        self.errors = bytearray()
        self.has_ended = False
        self.is_discarding = False
        self.exit_code: int | None = None
        self.exit_signal = ""
        self.was_cut = False
        self.changed = asyncio.Event()
        self.closed = asyncio.Event()
        self.can_write = asyncio.Event()
        self.can_write.set()
        self._is_paused = False

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """asyncssh: the channel is open."""
        self.channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """asyncssh: output came; beyond QUEUE_BYTES the channel stops reading."""
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self.errors += data
            del self.errors[:-ERROR_TAIL_BYTES]
            return
        if self.is_discarding:
            return
        self.chunks.append(data)
        self.queued_bytes += len(data)
        if self.queued_bytes > QUEUE_BYTES and not self._is_paused and self.channel is not None:
            self._is_paused = True
            self.channel.pause_reading()
        self.changed.set()

    def eof_received(self) -> bool:
        """asyncssh: no more output; the channel stays open for the exit code."""
        self.has_ended = True
        self.changed.set()
        return True

    def exit_status_received(self, status: int) -> None:
        """asyncssh: the program ended."""
        self.exit_code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """asyncssh: a signal ended the program."""
        self.exit_signal = signal

    def pause_writing(self) -> None:
        """asyncssh: the node does not take more input now."""
        self.can_write.clear()

    def resume_writing(self) -> None:
        """asyncssh: it does again."""
        self.can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncssh: the channel is closed, or the connection below it is."""
        # asyncssh forgets an end of the output that comes before the session has started: the fate stands for it then.
        self.was_cut = exc is not None or not (self.has_ended or self.exit_code is not None or self.exit_signal)
        self.has_ended = True
        self.closed.set()
        self.changed.set()
        self.can_write.set()

    def take(self) -> bytes:
        """The oldest piece; reading goes on when half of the queue is free again."""
        data = self.chunks.popleft()
        self.queued_bytes -= len(data)
        if self._is_paused and self.queued_bytes < QUEUE_BYTES // 2:
            self.resume()
        return data

    def resume(self) -> None:
        """Let the node send again."""
        if self._is_paused and self.channel is not None:
            self._is_paused = False
            self.channel.resume_reading()


class NodeProcess:
    """A command that runs on a node; fulfils core's Process."""

    def __init__(self, session: ChannelSession, node: str) -> None:
        self._session = session
        self._node = node
        self._is_closing = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Standard output in pieces of any size; ends at end of file or when the connection is lost."""
        session = self._session
        while True:
            while session.chunks:
                yield session.take()
            if session.has_ended:
                return
            session.changed.clear()
            await session.changed.wait()

    def error_tail(self) -> bytes:
        """The last 8 KiB of standard error so far."""
        return bytes(self._session.errors)

    async def write(self, data: bytes) -> None:
        """Send bytes to standard input and wait until the node takes more. Raises Unreachable when it cannot."""
        self.write_now(data)
        await self._session.can_write.wait()

    def write_now(self, data: bytes) -> None:
        """As `write`, but does not wait. Raises Unreachable."""
        session = self._session
        if session.channel is None or session.closed.is_set():
            raise self._gone()
        try:
            session.channel.write(data)
        except FOREIGN as error:
            raise self._gone() from error

    async def close_stdin(self) -> None:
        """Send end of file; nothing happens when the channel is gone already."""
        self.close_stdin_now()

    def close_stdin_now(self) -> None:
        """As `close_stdin`."""
        session = self._session
        if session.channel is None or session.closed.is_set():
            return
        try:
            session.channel.write_eof()
        except FOREIGN:
            return  # the channel is closing: there is no input left to end

    async def outcome(self) -> Outcome:
        """Wait for the end. What stands unread beyond half the queue is dropped: read `chunks()` first if it counts."""
        session = self._session
        if session.queued_bytes > QUEUE_BYTES // 2:
            session.is_discarding = True
            session.resume()
        while not session.closed.is_set():
            session.changed.clear()
            if session.queued_bytes > QUEUE_BYTES // 2:
                session.is_discarding = True
                session.resume()
            await session.changed.wait()
        return Outcome(fate=self.fate(), stderr=self.error_tail())

    def fate(self) -> Exit | Signal | Unknown:
        """What is known about the end of the program."""
        session = self._session
        if session.exit_signal:
            return Signal(session.exit_signal)
        if session.exit_code is not None:
            return Exit(session.exit_code)
        return Unknown("closed before its end" if self._is_closing else "connection lost")

    @property
    def was_cut(self) -> bool:
        """Whether output may be missing because the connection broke before its end."""
        return self._session.was_cut

    async def close(self) -> None:
        """End the channel, bounded. A program that still runs is asked to end: sshd alone would leave it behind."""
        session = self._session
        channel = session.channel
        if channel is None or session.closed.is_set():
            return
        self._is_closing = True
        try:
            if session.exit_code is None and not session.exit_signal:
                channel.write_eof()
                channel.terminate()
            channel.close()
            session.is_discarding = True
            session.resume()
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await session.closed.wait()
        except FOREIGN:
            return  # gone in this moment, or the node does not answer: the slot is given back all the same

    def _gone(self) -> Unreachable:
        return Unreachable(
            f"{self._node} no longer takes input for this command",
            remedy="It has ended, or the connection was lost. Look at its state before you start it again.",
            node=self._node,
        )
