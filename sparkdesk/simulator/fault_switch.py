"""Switches faults and actions at run time, from the options and from the control socket.

The one rule: a name that is not in the table changes nothing and says which there are.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import asyncssh

from sparkdesk.simulator import identity
from sparkdesk.simulator.fabric.fabric import Fabric, FabricError
from sparkdesk.simulator.fault import ACTIONS, FAULTS
from sparkdesk.simulator.power import Power
from sparkdesk.simulator.ssh.server import NodeServer


class FaultSwitch:
    """The faults of a running cluster."""

    def __init__(self, servers: Mapping[str, NodeServer], power: Power, fabric: Fabric) -> None:
        self._servers = servers
        self._power = power
        self._fabric = fabric

    async def set(self, name: str, node: str, *, is_on: bool) -> str:
        """Switch a fault, or do an action; returns the node's host key line. `node` is NODE or NODE:PLACE.

        Raises StateError for a wrong name.
        """
        node, place = check(name, node, tuple(self._servers))
        server = self._servers[node]
        if name in ACTIONS:
            self._act(name, server, is_on=is_on)
        elif FAULTS[name].is_of_cage:
            await self._change_cable(name, server, place, is_on=is_on)
        elif FAULTS[name].is_inside:
            names = set(server.node.traits.conditions)
            server.node.set_conditions(names | {name} if is_on else names - {name})
        elif name == "node-gone":
            if server.node.is_up:
                server.freeze(is_on)
        elif name == "slow-ssh":
            server.is_slow = is_on
        else:
            await self._change_identity(name, server, is_on=is_on)
        return identity.public_line(server.host_key)

    async def _change_cable(self, name: str, server: NodeServer, place: str, *, is_on: bool) -> None:
        try:
            await self._fabric.set_fault(name, server.node.identity.index, place, is_on=is_on)
        except (ValueError, FabricError) as error:
            raise identity.StateError(str(error)) from error

    def _act(self, name: str, server: NodeServer, *, is_on: bool) -> None:
        if not is_on:
            raise identity.StateError(f"{name} has no off")
        if name != "wake":
            self._power.request(server, "reboot" if name == "reboot" else "poweroff")
        elif not self._power.wake(server):
            raise identity.StateError(f"{server.node.identity.name} is not switched off")

    async def _change_identity(self, name: str, server: NodeServer, *, is_on: bool) -> None:
        own = server.node.identity
        if not is_on:
            server.node.set_machine_id("")
            await server.change_host_key(asyncssh.import_private_key(own.host_key))
            return
        key, machine_id = identity.new_host_key(), ""
        if name == "same-identity":
            others = [other.node.identity for other in self._servers.values() if other is not server]
            if not others:
                raise identity.StateError("same-identity needs a second node")
            key, machine_id = asyncssh.import_private_key(others[0].host_key), others[0].machine_id
        elif name == "other-machine":
            machine_id = secrets.token_hex(16)
        server.node.set_machine_id(machine_id)
        await server.change_host_key(key)


def check(name: str, node: str, known: Sequence[str]) -> tuple[str, str]:
    """The node's name and the place in it, of NODE or NODE:PLACE. A node's number (from 1) is as good as its name.

    Raises StateError when there is no such fault or node, or when the fault is not at a place.
    """
    if name not in FAULTS and name not in ACTIONS:
        raise identity.StateError(f"no fault is called {name!r}; there are: {', '.join((*FAULTS, *ACTIONS))}")
    found, colon, place = node.partition(":")
    if found.isdecimal() and 1 <= int(found) <= len(known):
        found = known[int(found) - 1]
    if found not in known:
        raise identity.StateError(f"no node is called {found!r}; there are: {', '.join(sorted(known))}")
    if colon and not (name in FAULTS and FAULTS[name].is_of_cage):
        raise identity.StateError(f"{name} is a fault of the whole node; leave out {place!r}")
    return found, place
