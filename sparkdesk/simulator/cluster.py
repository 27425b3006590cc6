"""Run a cluster of simulated Sparks until it is told to end; the call target of the verb `simulate`.

The story: take the state folder, make or read who the nodes are, start one resident process a node (confined where
this computer allows it), listen for SSH on each node's own loopback address, print one JSON line, wait, end everything.
The one rule: that line is all that anyone needs to read; whoever wants more asks a node over SSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from sparkdesk.simulator import control, fault_switch, identity, password, program_set, running
from sparkdesk.simulator.confinement import privilege
from sparkdesk.simulator.engine import find_engine
from sparkdesk.simulator.fabric.cabling import SHAPES
from sparkdesk.simulator.fabric.fabric import Fabric
from sparkdesk.simulator.fault_switch import FaultSwitch
from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.node.node import Node, NodeError, Traits
from sparkdesk.simulator.node.secret import make_hash
from sparkdesk.simulator.power import Power
from sparkdesk.simulator.ssh.server import NodeServer
from sparkdesk.simulator.ssh.sign_in import SignIn

SCHEMA = 1
_CLIENT_KEY = "client_ed25519"
_STARTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What the verb was asked for. `faults`, `running` and `vendors` are (name, node) pairs; node "" is every node.

    `sign_in` is key, password or both. `tables` are flag tables by file name.
    """

    state: Path
    shape: str = "switch"
    count: int = 4
    authorized_keys: Path | None = None
    faults: tuple[tuple[str, str], ...] = ()
    running: tuple[tuple[str, str], ...] = ()
    vendors: tuple[tuple[str, str], ...] = ()
    port: int = 0
    is_until_eof: bool = False
    is_confined: bool | None = None
    sign_in: str = "key"
    password_file: Path | None = None
    boot_s: float = 5.0
    models: tuple[Path, ...] = ()
    tables: dict[str, Path] = field(default_factory=dict)
    is_fresh: bool = False
    """As they come out of their boxes: no port is set up, and nobody is in the group docker."""
    is_anew: bool = False
    """Other machines than those that the state folder had: what they were is forgotten."""


class Cluster:
    """The running nodes."""

    def __init__(self, options: Options, group: asyncio.TaskGroup) -> None:
        self._options = options
        self._servers: dict[str, NodeServer] = {}
        self._confined_reason = ""
        self._model_problem = ""
        self._engine_problem = ""
        self._key_file = options.state / _CLIENT_KEY
        self._power = Power(group, options.boot_s, self._start_servers)
        self.fabric = Fabric(options.shape, options.count, is_fresh=options.is_fresh)
        self.fabric.on_change = self._show_ports
        self.faults = FaultSwitch(self._servers, self._power, self.fabric)

    async def start(self) -> dict[str, Any]:
        """Bring every node up; returns the line to print.

        Raises:
            StateError, NodeError, OSError: it cannot; the text says why.
        """
        options = self._options
        nodes = identity.load(options.state, options.count)
        known = [node.name for node in nodes]
        if options.is_confined is not False:
            self.fabric.begin()
        for name, node in options.faults:
            fault_switch.check(name, node, known)
        for _name, node in (*options.running, *options.vendors):
            if node and node not in known:
                raise identity.StateError(f"no node is called {node!r}; there are: {', '.join(sorted(known))}")
        word = password.load(options.state, options.password_file)
        sign_in = SignIn(self._clients(), word if options.sign_in != "key" else "")
        program_dir = options.state / "program"
        program_set.install(program_dir, options.tables)
        engine = find_engine(options.models)
        self._model_problem = engine.model_problem
        self._engine_problem = engine.problem
        known_hash = make_hash(word)
        residents = [
            Node(
                node,
                options.state / "nodes" / node.name,
                program_dir,
                engine,
                self._traits(node, known_hash),
            )
            for node in nodes
        ]
        if os.geteuid() != 0:  # only then its user namespace must be there before the nodes
            await self.fabric.start()
        await self._start_residents(residents)
        ports = []
        for resident in residents:
            server = NodeServer(resident, asyncssh.import_private_key(resident.identity.host_key), sign_in, self)
            resident.on_power = functools.partial(self._power.request, server)
            self._servers[resident.identity.name] = server
            ports.append(await self._listen(server))
        self._remember_ports(nodes, ports)
        await self._power.listen(self._servers.values())
        for name, node in options.faults:
            await self.faults.set(name, node, is_on=True)
        for server in self._servers.values():
            self._start_servers(server)
        return self._line()

    def _show_ports(self) -> None:
        """Faults of cables have changed: the nodes' files show it."""
        for server in self._servers.values():
            server.node.show_ports()

    def _traits(self, own: identity.Identity, known_hash: str) -> Traits:
        vendors = [vendor for vendor, node in self._options.vendors if node in ("", own.name)]
        options = self._options
        return Traits(
            vendor=vendors[-1] if vendors else "nvidia",
            password_hash=known_hash,
            cabling=f"{options.shape} of {options.count}{', fresh' if options.is_fresh else ''}",
            fabric=self.fabric,
            is_fresh=options.is_fresh,
        )

    def _start_servers(self, server: NodeServer) -> None:
        """What somebody else runs on this node."""
        name = server.node.identity.name
        running.start(server.node, tuple(kind for kind, node in self._options.running if node in ("", name)))

    async def _start_residents(self, residents: list[Node]) -> None:
        """Confined if this computer allows it, else read-only; never half of them so."""
        if self._options.is_confined is not False:
            try:
                await _start_all(residents, is_confined=True)
                return
            except NodeError as error:
                if self._options.is_confined:
                    raise
                self._confined_reason = str(error)
        else:
            self._confined_reason = "it was asked for"
        if privilege.plain_user() is not None:
            self._options.state.chmod(0o711)  # the nodes' user must come to their folders; what else is there is root's
        self.fabric.give_up("the nodes are not confined")
        await _start_all(residents, is_confined=False)

    async def _listen(self, server: NodeServer) -> int:
        """The port that was asked for, else the one of last time, else any."""
        if self._options.port:
            return await server.listen(self._options.port)
        try:
            return await server.listen(server.node.identity.port)
        except OSError:
            return await server.listen(0)

    def _remember_ports(self, nodes: list[identity.Identity], ports: list[int]) -> None:
        changed = [identity.with_port(node, port) for node, port in zip(nodes, ports, strict=True)]
        if changed != nodes:
            identity.update(self._options.state, changed)

    def _clients(self) -> frozenset[bytes]:
        """Which keys may sign in: the given public ones, or a pair of our own in the state folder, or none."""
        if self._options.sign_in == "password":
            return frozenset()
        if self._options.authorized_keys is not None:
            keys = asyncssh.read_public_key_list(str(self._options.authorized_keys))
            if not keys:
                raise identity.StateError(f"{self._options.authorized_keys} holds no public key")
            return frozenset(key.public_data for key in keys)
        if not self._key_file.exists():
            text = identity.new_host_key().export_private_key("openssh")
            with open(os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(text)
        return frozenset({asyncssh.read_private_key(str(self._key_file)).public_data})

    def _line(self) -> dict[str, Any]:
        count = len(self._servers)
        line: dict[str, Any] = {
            "schema": SCHEMA,
            "name": f"simulated-{count}",
            "shape": SHAPES[self._options.shape].kind,
            "cabling": self._options.shape,
            "packets": self.fabric.is_real,
            "packets_reason": self.fabric.reason,
            "confined": not self._confined_reason,
            "reason": self._confined_reason,
            "sign_in": self._options.sign_in,
            "password_file": str(password.file_of(self._options.state)),
            "nodes": [
                {
                    "name": name,
                    "address": server.node.identity.address,
                    "port": server.port or server.kept_port,
                    "user": identity.USER,
                    "host_key": identity.public_line(server.host_key),
                    "mac": gb10.hardware_address(server.node.identity.index, 1),
                }
                for name, server in self._servers.items()
            ],
        }
        if self._model_problem:
            line["model_missing"] = self._model_problem
        if self._engine_problem:
            line["engine_missing"] = self._engine_problem
        return line

    def hints(self) -> str:
        """How a person gets in, for standard error. The password stands in a file and not here: this may be a log."""
        file = password.file_of(self._options.state)
        how = "" if self._options.sign_in == "password" else f" -i {self._options.authorized_keys or self._key_file}"
        if self._options.authorized_keys and how:
            how = " -i YOUR_KEY"
        rows = [
            f"  ssh{how} -p {server.port} {identity.USER}@{server.node.identity.address}   # {name}"
            for name, server in self._servers.items()
        ]
        if self.fabric.reason:
            rows.append(
                f"No packets run over their cables ({self.fabric.reason}): what the nodes say of them is a model"
            )
        over_ssh = "" if self._options.sign_in == "key" else " and ssh"
        return "\n".join(["Simulated Sparks are up:", *rows, f"The password for sudo{over_ssh} is in {file}", ""])

    def find_peer(self, node: Node, host: str) -> tuple[str, int] | None:
        """Another node's SSH server, by a name or address that this node reaches it by; None for a stranger."""
        name = host.partition("%")[0]
        for server in self._servers.values():
            if server.node is not node and name in self._names(node, server.node):
                return server.node.identity.address, server.port or server.kept_port
        return None

    def _names(self, node: Node, other: Node) -> set[str]:
        """How a node reaches another: by its name, by the management port, and by what its cables lead to."""
        index = other.identity.index
        names = {other.identity.name, f"{other.identity.name}.local", gb10.management_address(index)}
        macs = {port.mac for port in self.fabric.ports_of(index)}
        for port in self.fabric.ports_of(node.identity.index):
            for mac, address in port.peers:
                names |= {gb10.eui64(mac), address} if mac in macs else set()
        return names - {""}

    async def stop(self) -> None:
        """End all: connections first, then the nodes with everything in them."""
        self._power.close()
        for server in self._servers.values():
            await server.close()
        for server in self._servers.values():
            server.node.leave()
        for server in self._servers.values():
            server.node.stop()
        self.fabric.stop()


async def _start_all(residents: list[Node], *, is_confined: bool) -> None:
    """All or none, some at a time. Raises the first NodeError."""
    gate = asyncio.Semaphore(_STARTS_AT_ONCE)

    async def start(resident: Node) -> None:
        async with gate:
            await resident.start(is_confined=is_confined)

    results = await asyncio.gather(*map(start, residents), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        for resident in residents:
            resident.stop()
        raise failures[0]


async def serve(options: Options) -> int:
    """Run until end of input (`is_until_eof`) or a signal; returns the exit code.

    Raises:
        StateError, NodeError, OSError, KeyImportError: it could not start.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:  # it would wrap what is raised in it
        try:
            await _serve(options, group)
        except (identity.StateError, NodeError, OSError, asyncssh.KeyImportError) as error:
            failure = error
    if failure is not None:
        raise failure
    return 0


async def _serve(options: Options, group: asyncio.TaskGroup) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, ending.set)
    cluster = Cluster(options, group)
    try:
        line = await cluster.start()
        async with control.listen(options.state, cluster.faults.set):
            print(json.dumps(line, separators=(",", ":")), flush=True)
            print(cluster.hints(), file=sys.stderr, flush=True)
            if options.is_until_eof:
                _watch_stdin(loop, ending)
            await ending.wait()
    finally:
        await cluster.stop()


def _watch_stdin(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """Whoever started us holds our input open as long as it lives."""

    def look() -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(0, 4096):
                loop.remove_reader(0)
                ending.set()

    try:
        loop.add_reader(0, look)
    except PermissionError:  # a plain file or /dev/null is at its end at once
        ending.set()


def _allow_open_files() -> None:
    """As many as this user may have: each command of a node holds three here, and the usual limit is 1024."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(options: Options) -> int:
    """Run a cluster; the exit code is 0 after an ordinary end, 1 when it could not start (the reason on stderr)."""
    try:
        lock = identity.lock(options.state)
    except (identity.StateError, OSError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 1
    _allow_open_files()
    try:
        if options.is_anew:
            identity.forget(options.state)
        return asyncio.run(serve(options))
    except (identity.StateError, NodeError, OSError, asyncssh.KeyImportError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 1
    finally:
        os.close(lock)
