"""The simulator's side of the cables: which wires there are, which faults are on, the process with the real network.

The one rule: where this computer allows no such network, the reason is kept and said; the nodes then answer from the
same model, and no packet is ever made up.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkdesk.simulator.fabric.cabling import Wire, make_wires
from sparkdesk.simulator.fabric.port import SMALL_MTU, LinkFault, Port, find_devices, make_ports, read_fault
from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.node import wire

START_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 10.0
_END_S = 2.0
_FIRST_INDEX = 1000
"""Numbers of the far ends, beyond those of bridges."""
_FIRST_MANAGEMENT = 2000
_MANAGEMENT = "mgmt"
"""The bridge that all management ports are on, like the switch of a room."""
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from sparkdesk.simulator.fabric.patchbay import main; main()"


class FabricError(Exception):
    """The real network does not do what it should; the text is the kernel's."""


class Fabric:
    """The cables of `count` nodes in a shape, and the network of their management ports.

    `on_change` is told after a fault has come or gone. Of nodes that are `is_fresh` nobody has set up a fast port.
    """

    def __init__(self, shape: str, count: int, *, is_fresh: bool = False) -> None:
        self.shape = shape
        self.wires: tuple[Wire, ...] = make_wires(shape, count)
        self.reason = "it was not started"
        """Why no packets run; "" when they do."""
        self.user_namespace = -1
        """An open file of the user namespace that all nodes must be in; -1 when there is none such."""
        self.on_change: Callable[[], None] = lambda: None
        self._count = count
        self._is_fresh = is_fresh
        self._faults: frozenset[LinkFault] = frozenset()
        self._dark: frozenset[int] = frozenset()
        self._ports = make_ports(self.wires, (), count, is_fresh=is_fresh)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._gate = asyncio.Lock()
        self._is_begun = False

    @property
    def is_real(self) -> bool:
        """Whether packets run over the cables."""
        return not self.reason

    def ports_of(self, node: int) -> list[Port]:
        """The four ports of a node as they are now."""
        return [port for port in self._ports if port.node == node]

    def setting_of(self, node: int) -> wire.Message:
        """What the node is told of its ports."""
        return {"is_real": self.is_real, "ports": [port.as_dict() for port in self.ports_of(node)]}

    def begin(self) -> None:
        """Start the process with the network; `start` waits for it."""
        control, theirs = wire.pair()
        root = Path(__file__).resolve().parents[3]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _CODE, str(root), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            cwd="/",
        )
        theirs.close()
        control.setblocking(False)
        self._control = control
        self._is_begun = True

    async def start(self) -> None:
        """Wait for the network, once; where there is none, `reason` says why."""
        async with self._gate:
            if not self._is_begun:
                return
            self._is_begun = False
            await self._start()

    async def _start(self) -> None:
        try:
            message, files = await self._hear(START_TIMEOUT_S)
        except FabricError as error:
            self.give_up(str(error))
            return
        if message["op"] != "ready":
            self.give_up(str(message.get("reason", "it gave no reason"))[:300])
            return
        self.reason = ""
        if files:
            self.user_namespace = files[0]

    def give_up(self, reason: str) -> None:
        """There are no packets, and this is why."""
        self.reason = reason
        self._is_begun = False
        self.stop()

    async def plug(self, node: int, network: int) -> None:
        """Make the ports of a node in its network, an open file, and join them as they should be.

        Raises FabricError.
        """
        ports = [
            {
                "end": _end_of(port),
                "index": _FIRST_INDEX + 4 * node + at,
                "netdev": port.netdev,
                "mac": port.mac,
                "number": gb10.netdev_number(port.netdev) + 1,
                "mtu": port.mtu,
            }
            for at, port in enumerate(self.ports_of(node))
        ]
        ports.append({
            "end": f"n{node}m",
            "index": _FIRST_MANAGEMENT + node,
            "netdev": gb10.MANAGEMENT_NETDEV,
            "mac": gb10.hardware_address(node, gb10.netdev_number(gb10.MANAGEMENT_NETDEV)),
            "number": gb10.netdev_number(gb10.MANAGEMENT_NETDEV) + 1,
            "mtu": SMALL_MTU,
        })  # fmt: skip
        await self._ask({"op": "plug", "ports": ports}, (network,))

    async def join(self) -> None:
        """Let every wire be as the model has it. Raises FabricError."""
        ports = [
            {
                "end": _end_of(port),
                "segment": port.segment,
                "is_switched": port.is_switched,
                "carrier": port.carrier,
                "is_deaf": port.is_deaf,
                "mtu": port.wire_mtu,
            }
            for port in self._ports
        ]
        ports += [_management(node) for node in range(1, self._count + 1)]
        devices = [{"segment": device.segment, "mac": device.mac} for device in find_devices(self._faults)]
        if self.is_real:
            await self._ask({"op": "wires", "ports": ports, "devices": devices})

    async def set_fault(self, name: str, node: int, place: str, *, is_on: bool) -> None:
        """Switch a fault of a cage on or off. Raises ValueError for a wrong place, FabricError."""
        fault = read_fault(name, node, place, self.wires)
        self._faults = self._faults | {fault} if is_on else self._faults - {fault}
        await self._change()

    async def set_power(self, node: int, *, is_on: bool) -> None:
        """A node has power or not: without, the other end of its cable has no link. Raises FabricError."""
        dark = self._dark - {node} if is_on else self._dark | {node}
        if dark != self._dark:
            self._dark = dark
            await self._change()

    async def _change(self) -> None:
        self._ports = make_ports(self.wires, self._faults, self._count, self._dark, is_fresh=self._is_fresh)
        await self.join()
        self.on_change()

    async def _ask(self, message: wire.Message, files: tuple[int, ...] = ()) -> None:
        async with self._gate:
            if self._control is None:
                raise FabricError("the cables' process has ended")
            try:
                wire.send(self._control, message, files)
            except OSError as error:
                raise FabricError(str(error)) from error
            answer, _files = await self._hear(_ANSWER_TIMEOUT_S)
        if answer["op"] != "done":
            raise FabricError(str(answer.get("reason", "it gave no reason")))

    async def _hear(self, timeout_s: float) -> tuple[dict[str, Any], list[int]]:
        """The next message of the process. Raises FabricError when none comes."""
        control, loop = self._control, asyncio.get_running_loop()
        if control is None:
            raise FabricError("it was not started")
        ready = asyncio.Event()
        loop.add_reader(control, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), timeout_s)
            packet = wire.receive(control)
        except (OSError, TimeoutError, wire.PacketError) as error:
            raise FabricError(str(error) or "it does not answer") from error
        finally:
            loop.remove_reader(control)
        if packet is None:
            raise FabricError("the cables' process has ended")
        return packet

    def stop(self) -> None:
        """End the network; safe to call twice."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.user_namespace >= 0:
            os.close(self.user_namespace)
            self.user_namespace = -1
        process, self._process = self._process, None
        if process is not None:
            try:
                process.wait(timeout=_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5.0)


def _management(node: int) -> dict[str, Any]:
    """The far end of a management port: always in its switch."""
    return {
        "end": f"n{node}m",
        "segment": _MANAGEMENT,
        "is_switched": True,
        "carrier": True,
        "is_deaf": False,
        "mtu": SMALL_MTU,
    }


def _end_of(port: Port) -> str:
    return f"n{port.node}p{port.cage}{'ab'[port.half]}"
