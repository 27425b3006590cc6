"""A forwarded connection: to the node's own loopback, or from node to node to another's SSH server.

The one rule: nothing a client asks for connects to anything else.
"""

from __future__ import annotations

import asyncio
import os
import socket

import asyncssh

from sparkdesk.simulator.node.node import Node
from sparkdesk.simulator.ssh.stream import Sink, Source

_PEER_TIMEOUT_S = 5.0


async def open_forward(node: Node, port: int) -> Forward:
    """Connect to a port of the node's loopback. Raises ChannelOpenError."""
    try:
        end = await node.connect(port)
    except (OSError, TimeoutError) as error:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, f"Connection refused ({error})") from error
    return Forward(node, end.detach())


async def open_peer(node: Node, address: str, port: int) -> Forward:
    """Connect to the SSH server of another node of the cluster. Raises ChannelOpenError."""
    loop = asyncio.get_running_loop()
    end = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    end.setblocking(False)
    try:
        await asyncio.wait_for(loop.sock_connect(end, (address, port)), _PEER_TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        end.close()
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "No route to host") from error
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
