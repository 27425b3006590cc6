"""The simulator's side of a node: starts its resident process and talks to it.

The one rule: everything in a node happens through its resident; this side holds only open files that it handed over,
and takes what comes from there as it would from a stranger: checked, bounded, or left out with a line in the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sparkdesk.simulator.confinement import privilege
from sparkdesk.simulator.fabric.fabric import Fabric, FabricError
from sparkdesk.simulator.identity import Identity
from sparkdesk.simulator.machine.machine_files import DASHBOARD_PORT, HUB_PORT, JUPYTER_PORT
from sparkdesk.simulator.node import wire
from sparkdesk.simulator.node.root_door import CHANGEABLE

START_TIMEOUT_S = 20.0
_SOCKET_TIMEOUT_S = 5.0
_FLUSH_S = 0.5
_END_S = 2.0
_MAX_ID = 2**53
_MAX_PID = 2**22  # Source: linux/threads.h PID_MAX_LIMIT
_MAX_REASON = 1000
# port -> the program that answers one connection
_SERVICES = {str(DASHBOARD_PORT): "dashboard", str(JUPYTER_PORT): "jupyter", str(HUB_PORT): "hub"}
_MAX_COMPLAINTS = 20  # lines in the log for one node
_log = logging.getLogger(__name__)
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from sparkdesk.simulator.node.build import main; main()"


class NodeError(Exception):
    """A node did not start or does not answer."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the nodes run models with: the engine's packages, the model files by name.

    `problem` says why the engine cannot run, `model_problem` why there is no model; "" where all is well.
    """

    packages: tuple[Path, ...] = ()
    models: dict[str, Path] = field(default_factory=dict)
    problem: str = ""
    model_problem: str = ""


@dataclass(slots=True)
class Traits:
    """What a node is beside its identity. `conditions` are the faults that its resident brings about.

    `machine_id` is another one than its own, or ""; `cabling` names the shape that it is a part of.
    """

    vendor: str = "nvidia"
    password_hash: str = ""
    conditions: set[str] = field(default_factory=set)
    machine_id: str = ""
    cabling: str = ""
    fabric: Fabric | None = None
    is_fresh: bool = False
    """As it comes out of its box: no port is set up, and the user is not in the group docker."""


@dataclass(slots=True)
class Command:
    """A command that runs in the node. Callbacks: started(process id, terminal or -1), ended(code, signal)."""

    started: Callable[[int, int], None]
    ended: Callable[[int, int], None]
    is_started: bool = False


class Node:
    """One simulated Spark, from outside."""

    def __init__(
        self,
        identity: Identity,
        folder: Path,
        program_dir: Path,
        engine: Engine,
        traits: Traits | None = None,
    ) -> None:
        self.identity = identity
        self.traits = traits or Traits()
        self.is_confined = True
        self.on_power: Callable[[str], None] = lambda how: None
        self._folder = folder
        self._program_dir = program_dir
        self._engine = engine
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._commands: dict[int, Command] = {}
        self._sockets: dict[int, asyncio.Future[socket.socket]] = {}
        self._count = 0
        self._received_bytes = 0
        self._sent_bytes = 0
        self._complaints = 0
        self._boots = 0
        self._flush: asyncio.TimerHandle | None = None
        self._door: socket.socket | None = None

    async def start(self, *, is_confined: bool) -> None:
        """Start the resident and wait until the node is up.

        Raises:
            NodeError: it did not come up; its text says why in the kernel's words.
        """
        self.is_confined = is_confined
        self._boots += 1
        control = self._spawn()
        fabric = self.traits.fabric
        user_namespace = fabric.user_namespace if fabric is not None and is_confined else -1
        wire.send(control, self._setting(), (user_namespace,) if user_namespace >= 0 else ())
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[wire.Message, list[int]] | None] = loop.create_future()
        loop.add_reader(control, _first_answer, control, answer)
        try:
            message, files = await asyncio.wait_for(answer, START_TIMEOUT_S) or (None, [])
        except TimeoutError:
            message, files = {"op": "failed", "reason": f"no answer within {START_TIMEOUT_S:g} s"}, []
        loop.remove_reader(control)
        if message is None or message["op"] != "ready":
            control.close()
            self._kill()
            reason = str(message.get("reason", "no reason"))[:_MAX_REASON] if message else self._last_words()
            raise NodeError(f"{self.identity.name} did not start: {reason}")
        self._control = control
        loop.add_reader(control, self._answer)
        try:
            self._take_door(files)
            await self._plug_in(files)
        finally:
            wire.close_all(files)

    def _take_door(self, files: list[int]) -> None:
        """Keep the socket that listens inside the node for the SSH of its peers, if it is one."""
        if len(files) > 1 and stat.S_ISSOCK(os.fstat(files[1]).st_mode):
            end = socket.socket(fileno=files.pop(1))
            if end.family == socket.AF_INET and end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._door = end
            else:
                end.close()

    def door(self) -> socket.socket | None:
        """A copy of the socket that listens inside the node's own network; None where it has none."""
        return self._door.dup() if self._door is not None else None

    def sign_in(self, line: int) -> None:
        """Somebody has signed in by the connection of this number: what it may do is settled now."""
        if self.is_up:
            self._send({"op": "sign_in", "line": line})

    async def _plug_in(self, files: list[int]) -> None:
        """Join the node's network, an open file, with the cables, and tell the node of its ports."""
        fabric = self.traits.fabric
        if fabric is None:
            return
        await fabric.start()
        try:
            if files and fabric.is_real:
                await fabric.plug(self.identity.index, files[0])
            await fabric.set_power(self.identity.index, is_on=True)
            await fabric.join()
        except FabricError as error:
            _log.warning("%s has no cables: %s", self.identity.name, error)
        self.show_ports()

    async def lose_power(self) -> None:
        """End the node and everything in it; the others see its cables go dark."""
        self.stop()
        if self.traits.fabric is not None:
            try:
                await self.traits.fabric.set_power(self.identity.index, is_on=False)
            except FabricError as error:
                _log.warning("the cables of %s stay as they are: %s", self.identity.name, error)

    def show_ports(self) -> None:
        """Tell the node what its ports are like now."""
        fabric = self.traits.fabric
        if fabric is not None and self.is_up:
            self._send({"op": "ports", **fabric.setting_of(self.identity.index)})

    def _spawn(self) -> socket.socket:
        """Start the resident's process; our end of its socket."""
        self._folder.mkdir(parents=True, exist_ok=True)
        control, theirs = wire.pair()
        root = Path(__file__).resolve().parents[3]
        with open(self._folder / "resident.log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _CODE, str(root), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
            )
        theirs.close()
        control.setblocking(False)
        return control

    @property
    def is_up(self) -> bool:
        """Whether its resident runs and has said so."""
        return self._control is not None

    @property
    def root(self) -> Path:
        """The node's own folder on this computer. What is in it was written by strangers."""
        return self._folder / self._root_name()

    def set_conditions(self, names: set[str]) -> None:
        """These faults are on inside the node, and no other; kept over restarts."""
        self.traits.conditions = names
        if self.is_up:
            self._send({"op": "conditions", "names": sorted(names)})

    def set_machine_id(self, text: str) -> None:
        """Show another machine id; "" is its own."""
        self.traits.machine_id = text
        if self.is_up:
            self._send({"op": "machine_id", "text": text or self.identity.machine_id})

    def _setting(self) -> wire.Message:
        traits = self.traits
        own = self.identity.public()
        return {
            "op": "begin",
            **own,
            "machine_id": traits.machine_id or own["machine_id"],
            "vendor": traits.vendor,
            "password_hash": traits.password_hash,
            "conditions": sorted(traits.conditions),
            "services": _SERVICES,
            "ports": traits.fabric.setting_of(self.identity.index)["ports"] if traits.fabric is not None else [],
            "cabling": traits.cabling,
            "is_first_boot": self._boots == 1,
            "is_fresh": traits.is_fresh,
            "confined": self.is_confined,
            "address": self.identity.address,
            "root": str(self.root),
            "program_dir": str(self._program_dir),
            "python": os.path.realpath(sys.executable),
            "boot_id": str(uuid.uuid4()),
            "engine_problem": self._engine.problem,
            "packages": [str(path) for path in self._engine.packages],
            "models": {name: str(path) for name, path in self._engine.models.items()},
        }

    def _root_name(self) -> str:
        """Confined nodes keep their ids apart from this computer's; who is not confined has a folder to each user."""
        user = None if self.is_confined else privilege.plain_user()
        return "root" if user is None else f"root-{user[0]}"

    def _last_words(self) -> str:
        lines = (self._folder / "resident.log").read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "its process ended at once"

    def execute(self, message: wire.Message, files: tuple[int, ...], command: Command) -> int:
        """Start a command with copies of these files as its streams; returns its number.

        Raises:
            NodeError: the node is gone or the command is too long.
        """
        self._count += 1
        self._commands[self._count] = command
        try:
            self._send({**message, "op": "exec", "id": self._count}, files)
        except (OSError, ValueError) as error:
            del self._commands[self._count]
            raise NodeError(str(error)) from error
        return self._count

    def signal(self, number: int, which: int) -> None:
        """Send a signal to the process group of a command that is not forgotten."""
        self._send({"op": "signal", "id": number, "signal": which})

    def forget(self, number: int) -> None:
        """Nothing more will be asked about this command; what it left running is the node's own."""
        self._send({"op": "forget", "id": number})

    async def connect(self, port: int) -> socket.socket:
        """A connection to this port of the node's own loopback.

        Raises:
            OSError: refused, or no answer.
        """
        loop = asyncio.get_running_loop()
        if self.is_confined:
            self._count += 1
            number = self._count
            self._sockets[number] = loop.create_future()
            self._send({"op": "socket", "id": number})
            try:
                end = await asyncio.wait_for(self._sockets[number], _SOCKET_TIMEOUT_S)
            finally:
                self._sockets.pop(number, None)
            address = "127.0.0.1"
        else:
            end, address = socket.socket(socket.AF_INET, socket.SOCK_STREAM), self.identity.address
        end.setblocking(False)
        try:
            await asyncio.wait_for(loop.sock_connect(end, (address, port)), _SOCKET_TIMEOUT_S)
        except (OSError, asyncio.CancelledError):
            end.close()
            raise
        return end

    def count_bytes(self, received_bytes: int, sent_bytes: int) -> None:
        """Real bytes that crossed the management port; passed on now and then."""
        self._received_bytes += received_bytes
        self._sent_bytes += sent_bytes
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush_bytes)

    def freeze(self, is_on: bool) -> None:
        """Stop or continue everything in the node."""
        self._send({"op": "freeze", "on": is_on})

    def leave(self) -> None:
        """Let go of its resident, which ends then with everything in the node; `stop` waits for that."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._door is not None:
            self._door.close()
            self._door = None
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
            self._lose_all()

    def stop(self) -> None:
        """End the node and everything in it."""
        self.leave()
        self._kill()

    def _kill(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5.0)

    def _flush_bytes(self) -> None:
        self._flush = None
        if not self.is_up:
            return
        received, self._received_bytes = self._received_bytes, 0
        sent, self._sent_bytes = self._sent_bytes, 0
        self._send({"op": "traffic", "received": received, "sent": sent})

    def _send(self, message: wire.Message, files: tuple[int, ...] = ()) -> None:
        if self._control is None:
            raise BrokenPipeError(f"{self.identity.name} has stopped")
        wire.send(self._control, message, files)

    def _answer(self) -> None:
        """Take one message of the resident."""
        if self._control is None:
            return
        try:
            packet = wire.receive(self._control)
        except BlockingIOError:
            return
        except wire.PacketError as error:
            self._complain(str(error))
            return
        except OSError:
            packet = None
        if packet is None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._lose_all()
            return
        message, files = packet
        try:
            self.take(message, files)
        except wire.PacketError as error:
            self._complain(str(error))
        finally:
            wire.close_all(files)

    def take(self, message: wire.Message, files: list[int]) -> None:
        """Do what a message of the resident says; files that are used are taken out of `files`.

        Raises:
            PacketError: it has not the shape of one, or nobody waits for it. Nothing was done.
        """
        number = wire.number(message, "id", _MAX_ID)
        if message["op"] == "started" and number in self._commands and not self._commands[number].is_started:
            pid = wire.number(message, "pid", _MAX_PID)
            if files and not os.isatty(files[-1]):
                raise wire.PacketError("its file is no terminal")
            self._commands[number].is_started = True
            self._commands[number].started(pid, files.pop() if files else -1)
        elif message["op"] == "ended" and number in self._commands:
            code, which = wire.number(message, "code", 255), wire.number(message, "signal", 64)
            self._commands.pop(number).ended(code, which)
        elif message["op"] == "power" and message.get("how") in ("reboot", "poweroff"):
            self.on_power(str(message["how"]))
        elif message["op"] == "condition" and message.get("name") in CHANGEABLE:
            name = {str(message["name"])}
            self.traits.conditions = (
                self.traits.conditions | name if message.get("on") else self.traits.conditions - name
            )
        elif message["op"] == "socket" and files:
            if not stat.S_ISSOCK(os.fstat(files[-1]).st_mode):
                raise wire.PacketError("its file is no socket")
            waiter = self._sockets.get(number)
            if waiter is not None and not waiter.done():
                waiter.set_result(socket.socket(fileno=files.pop()))
        else:
            raise wire.PacketError("nobody waits for it")

    def _complain(self, words: str) -> None:
        """A line in the log, as long as there are not too many."""
        self._complaints += 1
        if self._complaints <= _MAX_COMPLAINTS:
            _log.warning("%s: a packet of the node is left out: %s", self.identity.name, words)

    def _lose_all(self) -> None:
        """The resident died: so did every command."""
        commands, self._commands = self._commands, {}
        for command in commands.values():
            command.ended(0, 9)


def _first_answer(control: socket.socket, answer: asyncio.Future[tuple[wire.Message, list[int]] | None]) -> None:
    try:
        packet = wire.receive(control)
    except (OSError, wire.PacketError):
        packet = None
    if not answer.done():
        answer.set_result(packet)
    elif packet:
        wire.close_all(packet[1])
    asyncio.get_running_loop().remove_reader(control)
