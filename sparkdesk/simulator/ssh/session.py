"""A session channel: a command, a shell or file transfer inside the node.

The one rule: bytes are passed on untouched, and a command that was cut off is ended with its whole group.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Mapping
from typing import Protocol

import asyncssh

from sparkdesk.simulator.node import wire
from sparkdesk.simulator.node.node import Command, Node, NodeError
from sparkdesk.simulator.ssh.stream import Sink, Source

_KILL_AFTER_S = 2.0


class Line(Protocol):
    """The connection that a session belongs to."""

    sessions: set[Session]
    delay_s: float
    number: int
    client: str
    """What SSH_CONNECTION is to say; "" for one who comes from this computer."""


class Session(asyncssh.SSHServerSession[bytes]):
    """One session channel: starts a command in the node and passes its streams."""

    def __init__(self, node: Node, connection: Line) -> None:
        self._node = node
        self._connection = connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._request: wire.Message = {"line": connection.number, "client": connection.client}
        self._number = 0
        self._terminal = -1
        self._stdin: Sink | None = None
        self._outputs: list[Source] = []
        self._early = bytearray()
        self._early_eof = False
        self._fate: tuple[int, int] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """The channel is open."""
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """A terminal for the command."""
        self._request |= {"terminal": term_type[:64] or "dumb", "columns": term_size[0], "rows": term_size[1]}
        return True

    def shell_requested(self) -> bool:
        """A login shell."""
        self._request["kind"] = "shell"
        return True

    def exec_requested(self, command: str) -> bool:
        """One command line, for the user's shell."""
        self._request |= {"kind": "exec", "command": command}
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only file transfer."""
        self._request["kind"] = "sftp"
        return subsystem == "sftp"

    def session_started(self) -> None:
        """Start it in the node, at once or, on a slow line, later."""
        if self._connection.delay_s:
            asyncio.get_running_loop().call_later(self._connection.delay_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        if self._channel is None:  # gone before it began
            return
        self._request["environment"] = dict(self._channel.get_environment())
        command = Command(started=self._started, ended=self._ended)
        ours: list[int] = []
        theirs: list[int] = []
        if "terminal" not in self._request:
            stdin_r, stdin_w = os.pipe()
            stdout_r, stdout_w = os.pipe()
            stderr_r, stderr_w = os.pipe()
            ours, theirs = [stdin_w, stdout_r, stderr_r], [stdin_r, stdout_w, stderr_w]
        try:
            self._number = self._node.execute(self._request, tuple(theirs), command)
        except NodeError as error:
            wire.close_all(ours)
            self._channel.write_stderr(f"{error}\n".encode())
            self._channel.exit(126)
            return
        finally:
            wire.close_all(theirs)
        if ours:
            self._join(ours[0], ours[1], ours[2])

    def _started(self, pid: int, terminal: int) -> None:
        if terminal >= 0:
            self._terminal = terminal
            self._join(os.dup(terminal), terminal, -1)

    def _join(self, stdin: int, stdout: int, stderr: int) -> None:
        """Connect the channel with the command's streams."""
        channel = self._channel
        assert channel is not None
        self._stdin = Sink(stdin, channel.pause_reading, channel.resume_reading)
        self._outputs = [Source(stdout, self._write_out, self._finish)]
        if stderr >= 0:
            self._outputs.append(Source(stderr, self._write_error, self._finish))
        if self._early:
            self._stdin.write(bytes(self._early))
        if self._early_eof:
            self.eof_received()

    def _write_out(self, data: bytes) -> None:
        if self._channel is not None:
            self._node.count_bytes(0, len(data))
            self._channel.write(data)

    def _write_error(self, data: bytes) -> None:
        if self._channel is not None:
            self._node.count_bytes(0, len(data))
            self._channel.write_stderr(data)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes for the command."""
        self._node.count_bytes(len(data), 0)
        if self._stdin is None:
            self._early += data
        else:
            self._stdin.write(data)

    def eof_received(self) -> bool:
        """End of the command's input; the channel stays open for its output."""
        self._early_eof = True
        if self._stdin is not None and self._terminal < 0:
            self._stdin.end()
        elif self._stdin is not None:
            self._stdin.write(b"\x04")
        return True

    def pause_writing(self) -> None:
        """The client is slow."""
        for output in self._outputs:
            output.pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        for output in self._outputs:
            output.resume()
        self._finish()

    def signal_received(self, signal: str) -> None:
        """A signal for the command's process group."""
        which = _signal_number(signal)
        if which and self._number and self._fate is None:
            self._node.signal(self._number, which)

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The client's window has another size."""
        if self._terminal >= 0:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def _ended(self, code: int, signal_number: int) -> None:
        self._fate = (code, signal_number)
        self._finish()

    def _finish(self) -> None:
        """Say how it ended, once it has ended and all its output was sent; a real sshd waits for both, too."""
        if any(output.is_open for output in self._outputs):
            return
        self._terminal = -1
        if self._fate is None or self._channel is None:
            return
        if self._channel.get_write_buffer_size():  # asyncssh would close after it without an end of the output
            self._channel.set_write_buffer_limits(0)  # says when all is out
            return
        code, which = self._fate
        channel, self._channel = self._channel, None
        channel.write_eof()
        if which:
            channel.exit_with_signal(signal.Signals(which).name[3:])
        else:
            channel.exit(code)

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: so goes the command's own process group, politely and then for sure."""
        self._connection.sessions.discard(self)
        self._channel = None
        is_finished = self._fate is not None and not any(output.is_open for output in self._outputs)
        for output in self._outputs:
            output.close()
        if self._stdin is not None:
            self._stdin.close()
        self._terminal = -1
        if self._number:
            self._leave(is_finished)

    def _leave(self, is_finished: bool) -> None:
        """A command that came to its end is forgotten; one that was cut off is ended."""
        try:
            if is_finished:
                self._node.forget(self._number)
                return
            self._node.signal(self._number, signal.SIGHUP)
            self._node.signal(self._number, signal.SIGTERM)
            asyncio.get_running_loop().call_later(_KILL_AFTER_S, self._kill)
        except OSError:  # the node itself has stopped
            return

    def _kill(self) -> None:
        try:
            self._node.signal(self._number, signal.SIGKILL)
            self._node.forget(self._number)
        except OSError:
            return


def _signal_number(name: str) -> int:
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        return 0
