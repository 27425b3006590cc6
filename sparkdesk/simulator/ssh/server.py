"""The SSH server of a node: keys only, commands and files inside the node, forwards to its loopback.

The one rule: bytes are passed on untouched, and nothing a client asks for runs or connects outside the node. Limits are
those of a stock sshd, so that what works here has a chance there.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Coroutine, Mapping
from typing import Any

import asyncssh

from sparkdesk.simulator.identity import USER
from sparkdesk.simulator.node import wire
from sparkdesk.simulator.node.node import Command, Node, NodeError
from sparkdesk.simulator.ssh.stream import Sink, Source

MAX_SESSIONS = 10  # a channel more is refused, as by sshd. Source: sshd_config MaxSessions
_LOGIN_TIMEOUT_S = 120.0
_KILL_AFTER_S = 2.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NodeServer:
    """Listens for one node. The set of its open connections is what a frozen node holds still."""

    def __init__(self, node: Node, host_key: asyncssh.SSHKey, clients: list[asyncssh.SSHKey]) -> None:
        self.node = node
        self.host_key = host_key
        self.clients = {key.public_data for key in clients}
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.is_frozen = False
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 when it does not."""
        return self._acceptor.get_port() if self._acceptor else 0

    async def listen(self, port: int) -> int:
        """Listen on the node's address; returns the port (`port` if it was free, or 0 for any). Raises OSError."""
        self._acceptor = await asyncssh.listen(
            self.node.identity.address,
            port,
            server_factory=lambda: Connection(self),
            server_host_keys=[self.host_key],
            encoding=None,
            line_editor=False,
            agent_forwarding=False,
            x11_forwarding=False,
            allow_scp=False,
            login_timeout=_LOGIN_TIMEOUT_S,
            config=[],
        )
        return self._acceptor.get_port()

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
        for connection in list(self.connections):
            connection.abort()

    async def change_host_key(self, key: asyncssh.SSHKey) -> None:
        """Answer with another key from now on, as a machine set up anew; who is connected is cut off."""
        port = self.port
        await self.close()
        self.host_key = key
        await self.listen(port)

    def freeze(self, is_on: bool) -> None:
        """Say nothing more on any connection, old or new, as a machine without power; or go on."""
        self.is_frozen = is_on
        self.node.freeze(is_on)
        for connection in self.connections:
            hold(connection, is_on)


def hold(connection: asyncssh.SSHServerConnection, is_on: bool) -> None:
    """Stop or go on reading from the network. asyncssh has no public name for its transport."""
    transport = getattr(connection, "_transport", None)
    if isinstance(transport, asyncio.Transport) and not transport.is_closing():
        if is_on and transport.is_reading():
            transport.pause_reading()
        elif not is_on and not transport.is_reading():
            transport.resume_reading()


class Connection(asyncssh.SSHServer):
    """One client's connection."""

    def __init__(self, server: NodeServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None
        self.sessions: set[Session] = set()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A client connected; a frozen node does not hear it."""
        self._connection = conn
        self._server.connections.add(conn)
        if self._server.is_frozen:
            asyncio.get_running_loop().call_soon(hold, conn, True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Every session of it hangs up by itself; here only the books are kept."""
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        """Everyone must sign in."""
        return True

    def password_auth_supported(self) -> bool:
        """Never: other people on this computer could try passwords."""
        return False

    def public_key_auth_supported(self) -> bool:
        """The only way in."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Only `nvidia`, only with a key that the simulator was started with."""
        return username == USER and key.public_data in self._server.clients

    def session_requested(self) -> Session:
        """A command, a shell or file transfer."""
        if len(self.sessions) >= MAX_SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "open failed")
        session = Session(self._server.node, self)
        self.sessions.add(session)
        return session

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Coroutine[Any, Any, Forward]:
        """A forward: the node's own loopback and nothing else."""
        node = self._server.node
        if dest_host not in (*_LOOPBACK, node.identity.name, f"{node.identity.name}.local"):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"a simulated node reaches only itself, not {dest_host}"
            )
        return open_forward(node, dest_port)


class Session(asyncssh.SSHServerSession[bytes]):
    """One session channel: starts a command in the node and passes its streams."""

    def __init__(self, node: Node, connection: Connection) -> None:
        self._node = node
        self._connection = connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._request: wire.Message = {}
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
        """Start it in the node."""
        assert self._channel is not None
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
        """Say how it ended, once it has ended and all its output was read; a real sshd waits for both, too."""
        if any(output.is_open for output in self._outputs):
            return
        self._terminal = -1
        if self._fate is None or self._channel is None:
            return
        code, which = self._fate
        channel, self._channel = self._channel, None
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


async def open_forward(node: Node, port: int) -> Forward:
    """Connect to a port of the node's loopback. Raises ChannelOpenError."""
    try:
        end = await node.connect(port)
    except (OSError, TimeoutError) as error:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, f"Connection refused ({error})") from error
    return Forward(node, end.detach())


class Forward(asyncssh.SSHTCPSession[bytes]):
    """One forwarded connection."""

    def __init__(self, node: Node, number: int) -> None:
        self._node = node
        self._file = number
        self._channel: asyncssh.SSHTCPChannel[bytes] | None = None
        self._sink: Sink | None = None
        self._source: Source | None = None

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """The channel is open."""
        self._channel = chan
        self._sink = Sink(os.dup(self._file), chan.pause_reading, chan.resume_reading, is_socket=True)

    def session_started(self) -> None:
        """Data may flow."""
        self._source = Source(self._file, self._send, self._end)

    def _send(self, data: bytes) -> None:
        if self._channel is not None:
            self._node.count_bytes(0, len(data))
            self._channel.write(data)

    def _end(self) -> None:
        """The server closed its side."""
        if self._channel is not None:
            self._channel.write_eof()
            if self._sink is None or not self._sink.is_open:
                self._channel.close()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes for the server."""
        self._node.count_bytes(len(data), 0)
        if self._sink is not None:
            self._sink.write(data)

    def eof_received(self) -> bool:
        """The client closed its side; the other way stays open."""
        if self._sink is not None:
            self._sink.end()
        return self._source is not None and self._source.is_open

    def pause_writing(self) -> None:
        """The client is slow."""
        if self._source is not None:
            self._source.pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._source is not None:
            self._source.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: close the connection to the server, which is how it learns of it."""
        self._channel = None
        if self._source is not None:
            self._source.close()
        else:
            os.close(self._file)
        if self._sink is not None:
            self._sink.close()
