"""The way from a program of the node to its resident, which alone can start commands as root, cut power or repair.

The one rule: who asks is told by the kernel and not by us; a resident that says no is obeyed.
"""

from __future__ import annotations

import array
import json
import socket
from typing import Any

from spark_state import LIVE

_MAX_BYTES = 64 * 1024


class DoorClosed(Exception):
    """Nobody answers, or the answer was no."""


class Door:
    """One conversation."""

    def __init__(self) -> None:
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._end.connect(f"{LIVE}/root.sock")
        except OSError as error:
            raise DoorClosed(str(error)) from error

    def say(self, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
        """Send one message with these open files."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        try:
            self._end.sendmsg([json.dumps(message).encode("ascii")], rights)
        except OSError as error:
            raise DoorClosed(str(error)) from error

    def take_socket(self) -> socket.socket:
        """The socket that comes with the answer."""
        try:
            packet, files, _flags, _address = socket.recv_fds(self._end, _MAX_BYTES, 1)
        except OSError as error:
            raise DoorClosed(str(error)) from error
        if not packet or not files:
            raise DoorClosed("permission denied")
        return socket.socket(fileno=files[0])

    def hear(self) -> dict[str, Any]:
        """The answer."""
        try:
            packet = self._end.recv(_MAX_BYTES)
        except OSError as error:
            raise DoorClosed(str(error)) from error
        if not packet:
            raise DoorClosed("permission denied")
        answer: dict[str, Any] = json.loads(packet)
        return answer


def ask_as_root(message: dict[str, Any]) -> None:
    """What only root may ask: {"op": "power", "how"}, {"op": "change", "condition", "on"}, or of a port's network.

    The last is {"op": "network", "netdev"} with "mtu", "addresses", "add" or "remove". Raises DoorClosed.
    """
    door = Door()
    door.say(message)
    answer = door.hear()
    if answer["op"] == "refused":
        raise DoorClosed(str(answer["reason"]))


def change(condition: str, *, is_on: bool) -> bool:
    """End or begin one of the faults that root's programs can bring about; False when the asker is not root."""
    try:
        ask_as_root({"op": "change", "condition": condition, "on": is_on})
    except DoorClosed:
        return False
    return True
