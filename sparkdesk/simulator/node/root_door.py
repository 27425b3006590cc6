"""The resident's side of `sudo`: who asks, what it needs of them, and commands as the node's root.

The one rule: nobody becomes root but by the password's hash or a fault that frees them of it; a process says who it is
by its credentials, which the kernel tells, and never by its words. Only root may ask for power or for a repair.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from sparkdesk.simulator.node import secret, wire
from sparkdesk.simulator.node.command import Commands
from sparkdesk.simulator.node.node_network import MOST_MTU, BadSetting, NodeNetwork

SOCKET_NAME = "root.sock"
_MAX_CALLERS = 32
_REMEMBER_S = 900.0  # Source: sudoers(5), timestamp_timeout 15 minutes
_ETH_ARP = 0x0806  # Source: linux/if_ether.h
_POWER = ("reboot", "poweroff")
CHANGEABLE = ("docker-down", "no-toolkit", "clock-skew", "failed-unit")  # what programs of root's can bring about


class RootDoor:
    """Listens inside a confined node. `conditions` are the faults that are on; `tell` speaks to the simulator."""

    def __init__(self, folder: Path, commands: Commands, known: str, conditions: set[str]) -> None:
        self.commands = commands
        self.known = known
        self.conditions = conditions
        self.remembered: dict[tuple[int, int], float] = {}
        self.lines: dict[int, int] = {}  # process id of a command -> the connection that it came by
        self.callers: dict[int, Caller] = {}
        self.children: dict[int, Caller] = {}
        self.on_power: Callable[[str], None] = lambda how: None
        self.on_change: Callable[[str, bool], None] = lambda name, is_on: None
        self.network = NodeNetwork()
        self.on_network: Callable[[], None] = lambda: None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(folder / SOCKET_NAME))
        (folder / SOCKET_NAME).chmod(0o666)
        self.listener.listen(_MAX_CALLERS)
        self.listener.setblocking(False)

    def accept(self) -> Caller | None:
        """A new caller; None when it is gone already or there are too many."""
        try:
            end, _address = self.listener.accept()
        except OSError:
            return None
        if len(self.callers) >= _MAX_CALLERS:
            end.close()
            return None
        end.setblocking(False)
        caller = Caller(end, self)
        self.callers[end.fileno()] = caller
        return caller

    def drop(self, number: int) -> None:
        """The caller is gone: what it started as root hears the line hang up."""
        caller = self.callers.pop(number)
        caller.end.close()
        if caller.child:
            for which in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(caller.child, which)

    def reap(self, pid: int, status: int) -> bool:
        """Tell the caller how its command ended; False when it is nobody's."""
        caller = self.children.pop(pid, None)
        if caller is None:
            return False
        caller.child = 0
        which = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        caller.say({"op": "ended", "code": 0 if which else os.WEXITSTATUS(status), "signal": which})
        return True


class Caller:
    """One process that asks: a `sudo`, or a program of root's that wants the machine's power or a repair."""

    def __init__(self, end: socket.socket, door: RootDoor) -> None:
        self.end = end
        self.child = 0
        self._door = door
        self._is_let_in = False
        size = struct.calcsize("3i")
        self._pid, user, _group = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        self._is_root = user == 0 and _user_namespace(self._pid) == _user_namespace(os.getpid())
        self._is_known_user = user in (0, 1000)

    def say(self, message: wire.Message, files: tuple[int, ...] = ()) -> None:
        """Answer; a caller that is gone or does not listen hears nothing."""
        with contextlib.suppress(OSError):
            wire.send(self.end, message, files)

    def answer(self) -> bool:
        """Do what its next message asks; False when it is gone."""
        try:
            packet = wire.receive(self.end)
        except wire.PacketError:
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        if packet is None:
            return False
        message, files = packet
        try:
            return self._do(message, files)
        except (wire.PacketError, KeyError, TypeError, ValueError, AttributeError):
            return False
        finally:
            wire.close_all(files)

    def _do(self, message: wire.Message, files: list[int]) -> bool:
        op = message["op"]
        if op == "ask":
            self._ask(has_reset=bool(message.get("reset")))
        elif op == "password":
            self._try(str(message["password"]), is_remembered=bool(message.get("remember", True)))
        elif op == "forget":
            self._door.remembered.pop(self._key(), None)
        elif op == "run" and self._is_let_in and not self.child:
            self._run(message, files)
        elif op == "signal" and self.child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child, wire.number(message, "signal", 64))
        elif op == "power" and self._is_root and message.get("how") in _POWER:
            self._door.on_power(str(message["how"]))
            self.say({"op": "done"})
        elif op == "change" and self._is_root and message.get("condition") in CHANGEABLE:
            self._door.on_change(str(message["condition"]), bool(message.get("on")))
            self.say({"op": "done"})
        elif op == "arp" and self._is_known_user:
            self._open_arp(str(message["netdev"]))
        elif op == "network" and self._is_root:
            self._set_network(message)
        else:
            return False
        return True

    def _open_arp(self, netdev: str) -> None:
        """A socket for ARP on one port, as the file of `arping` gives it to everyone on a real node."""
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0) as end:
                end.bind((netdev, _ETH_ARP))
                self.say({"op": "done"}, (end.fileno(),))
        except OSError as error:
            self.say({"op": "refused", "reason": str(error)})

    def _set_network(self, message: wire.Message) -> None:
        """Do what `ip` or `netplan` of root's wants: MTU, `addresses` that are to be all, one to `add` or `remove`."""
        network, netdev = self._door.network, str(message["netdev"])
        try:
            if "addresses" in message:
                network.set_addresses(netdev, [str(address) for address in message["addresses"]])
            if "add" in message:
                network.add_address(netdev, str(message["add"]))
            if "remove" in message:
                network.remove_address(netdev, str(message["remove"]))
            if "mtu" in message:
                network.set_mtu(netdev, wire.number(message, "mtu", MOST_MTU))
        except BadSetting as error:
            self.say({"op": "refused", "reason": str(error)})
            return
        self._door.on_network()
        self.say({"op": "done"})

    def _ask(self, *, has_reset: bool) -> None:
        """Whether it needs a password; where it does not, it is let in."""
        on = self._door.conditions
        until_s = 0.0 if has_reset else self._door.remembered.get(self._key(), 0.0)
        is_free = self._is_root or "sudo-nopasswd" in on or until_s > time.monotonic()
        if is_free and self._is_known_user and ("not-in-sudoers" not in on or self._is_root):
            self._is_let_in = True
        self.say({"op": "answer", "needs": "" if self._is_let_in else "password"})

    def _try(self, given: str, *, is_remembered: bool) -> None:
        is_right = secret.is_right(given, self._door.known)
        is_allowed = self._is_known_user and "not-in-sudoers" not in self._door.conditions
        if is_right and is_allowed:
            self._is_let_in = True
            if is_remembered:
                self._door.remembered[self._key()] = time.monotonic() + _REMEMBER_S
        self.say({"op": "answer", "is_right": is_right, "is_allowed": is_allowed})

    def _key(self) -> tuple[int, int]:
        """What a remembered password counts for: the terminal's session, or the parent process where there is none.

        On a real node the parent of a connection's commands is a process of sshd's own for that connection.
        """
        fields = _stat(self._pid)
        parent, session, terminal = int(fields[1]), int(fields[3]), int(fields[4])
        if terminal:
            return session, terminal
        if parent == os.getpid() and self._pid in self._door.lines:
            return parent, -self._door.lines[self._pid]
        return parent, int(_stat(parent)[19])

    def _run(self, message: wire.Message, files: list[int]) -> None:
        if len(files) != 3 or message.get("user") not in ("root", "nvidia"):
            raise wire.PacketError("it is no command")
        pid = os.fork()
        if pid == 0:
            self._door.commands.become_root(message, tuple(files))
        self.child = pid
        self._door.children[pid] = self


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after the name. Raises ValueError when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()
    except OSError as error:
        raise ValueError("it is gone") from error


def _user_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/user")
    except OSError:
        return ""
