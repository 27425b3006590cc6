"""Messages between the simulator and the resident process of a node: one JSON object a packet, open files beside it.

The one rule: a packet is whole or it is an error; the resident is the only one that knows the node from inside, so
the simulator never reaches into a node but by these messages.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any

MAX_PACKET_BYTES = 192 * 1024  # below the kernel's usual limit for one packet of a unix socket (208 KiB)
MAX_FILES = 4

Message = dict[str, Any]


class PacketError(Exception):
    """A packet that is no message; its files are closed."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends that keep the borders of packets."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_PACKET_BYTES)
    return ours, theirs


def send(end: socket.socket, message: Message, files: tuple[int, ...] = ()) -> None:
    """Send one message with copies of these open files.

    Raises:
        ValueError: the message is too large for one packet.
        OSError: the other end is gone or its queue is full.
    """
    packet = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(packet) > MAX_PACKET_BYTES:
        raise ValueError(f"a message of {len(packet)} bytes; at most {MAX_PACKET_BYTES} fit")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    end.sendmsg([packet], ancillary)


def receive(end: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its files (the receiver owns them), or None when the other end is gone.

    Raises:
        BlockingIOError: nothing has come yet (non-blocking sockets).
        PacketError: it is no JSON object with the name of an operation, or it was cut.
    """
    room = socket.CMSG_LEN(MAX_FILES * array.array("i").itemsize)
    packet, ancillary, flags, _address = end.recvmsg(MAX_PACKET_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    files = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    if not packet:
        close_all(files.tolist())
        return None
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise PacketError("it was cut")
        return _message(packet), files.tolist()
    except PacketError:
        close_all(files.tolist())
        raise


def _message(packet: bytes) -> Message:
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise PacketError(f"it is no JSON: {type(error).__name__}") from error
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise PacketError("it names no operation")
    return message


def number(message: Message, name: str, highest: int) -> int:
    """A whole number from 0 to `highest`; one that is left out is 0. Raises PacketError for anything else."""
    value = message.get(name, 0)
    if type(value) is not int or not 0 <= value <= highest:
        raise PacketError(f"its {name} is no number from 0 to {highest}")
    return value


def close_all(files: list[int]) -> None:
    """Close files that came with a message nobody wants."""
    for number in files:
        os.close(number)
