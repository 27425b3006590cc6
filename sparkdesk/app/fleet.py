"""What the program can do about nodes beyond keeping a line to them: find, add, know, check, reach.

The one rule: services get what they need here; nothing in here decides anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkdesk import __version__, paths
from sparkdesk.app.remote import read_remote
from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.details import NodeDetails, note_in_record
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.ports import ConfiguredHost, EndpointClients, Secrets, Store
from sparkdesk.infra.mdns import MdnsListener
from sparkdesk.infra.ssh import NodeKeyFolder, SshConnector, UserKnownHosts
from sparkdesk.infra.ssh_config import read_ssh_config
from sparkdesk.infra.ssh_greeting import SshGreeter
from sparkdesk.infra.terminal import Terminal
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.calm import Calm
from sparkdesk.services.fleet.credentials import Credentials
from sparkdesk.services.fleet.details import DetailsReader
from sparkdesk.services.fleet.discovery import Discovery
from sparkdesk.services.fleet.doctor import Doctor
from sparkdesk.services.fleet.enrolment import Enroller, EnrolmentParts
from sparkdesk.services.fleet.field import FieldReports
from sparkdesk.services.fleet.forwards import Forwards
from sparkdesk.services.fleet.found_servers import FoundServers
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.key_attempt import KeyAttempts
from sparkdesk.services.fleet.look import Looks
from sparkdesk.services.fleet.power_cap import PowerCaps
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.fleet.touch import Touches
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class FleetParts:
    """What the fleet's services stand on."""

    tasks: Tasks
    inventory: Inventory
    telemetry: Telemetry
    connector: SshConnector
    launcher: Launcher
    store: Store
    secrets: Secrets
    clients: EndpointClients
    clock: Clock


class Fleet:
    """The fleet's services, joined."""

    def __init__(self, parts: FleetParts) -> None:
        self._parts = parts
        self._inventory = parts.inventory
        self.keys = NodeKeyFolder(paths.data_dir() / "keys")
        self.tools = Terminal(paths.data_dir() / "known_hosts")
        self.credentials = Credentials(parts.secrets)
        self.notices: list[tuple[str, str]] = []
        """What the start found that a person should know: a title and words."""
        touches = Touches(parts.clock)
        self.looks = Looks(parts.connector, touches, parts.clock)
        self.discovery = Discovery(
            tasks=parts.tasks,
            inventory=parts.inventory,
            listener=MdnsListener(),
            greeter=SshGreeter(),
            read_hosts=_read_hosts,
            program=read_remote("neighbours"),
            clock=parts.clock,
            touches=touches,
            finish_visit=self.looks.finish_visit,
        )
        self.enroller = Enroller(self._enrolment_parts())
        self.reader = Reader(program=read_remote("reader"), shells=parts.inventory.shell, clock=parts.clock)
        self.details = DetailsReader(reader=self.reader, store=parts.store, clock=parts.clock)
        self.doctor = Doctor(reader=self.reader, clock=parts.clock)
        self.field = FieldReports(
            inventory=parts.inventory,
            reader=self.reader,
            store=parts.store,
            clock=parts.clock,
            application=f"SparkDesk {__version__}",
        )
        self.servers = FoundServers(
            nodes=parts.inventory.nodes,
            shells=parts.inventory.shell,
            clients=parts.clients,
            secrets=parts.secrets,
            program=read_remote("servers"),
            clock=parts.clock,
            own_ports=self._own_ports,
        )
        self.topology = TopologyWatch(
            tasks=parts.tasks,
            nodes=parts.inventory.nodes,
            shells=parts.inventory.shell,
            samples=parts.telemetry.latest,
            store=parts.store,
            program=read_remote("beacon"),
            frames_program=read_remote("frames"),
            clock=parts.clock,
        )
        self.power_caps = PowerCaps(reader=self.reader, telemetry=parts.telemetry)
        self.calm = Calm(parts.inventory.nodes)
        self.forwards = Forwards(nodes=parts.inventory.nodes, store=parts.store, tasks=parts.tasks)
        self._join()

    def _join(self) -> None:
        """Let each hear of what it needs."""
        self._inventory.credentials = self.credentials
        hooks = (
            self.servers.watch,
            self.forwards.watch,
            self.details.on_live,
            self._parts.launcher.adopt,
            self.topology.on_live,
            self.power_caps.watch,
        )
        self._inventory.on_live += [self.calm.after_lines(hook) for hook in hooks]
        self.details.details.subscribe(self._note_details)
        self._parts.launcher.jobs.subscribe(lambda _jobs: self.servers.refresh_own())

    def _enrolment_parts(self) -> EnrolmentParts:
        parts = self._parts
        return EnrolmentParts(
            tasks=parts.tasks,
            connector=parts.connector,
            fleet=parts.inventory,
            credentials=self.credentials,
            keys=self.keys,
            known_hosts=UserKnownHosts(),
            store=parts.store,
            clock=parts.clock,
            computer=socket.gethostname()[:64],
            candidate=self._candidate,
            looks=self.looks,
        )

    async def open(self) -> None:
        """Read what is kept about nodes, and clear away set-ups of keys that were cut off. Raises StoreError."""
        await self._inventory.load()
        known = [node for cluster in self._inventory.clusters.value for node in cluster.nodes]
        await KeyAttempts(self._parts.store).clear_away(
            known, self.keys, self._parts.clock, lambda title, words: self.notices.append((title, words))
        )
        await self.details.load()
        await self.field.load()
        await self.forwards.load()
        await self.topology.load()

    def close(self) -> None:
        """Let go of forwards and of servers that were found, and look at cables no more."""
        self.enroller.cancel()
        self.discovery.stop()
        self.servers.close()
        self.forwards.close_all()
        self.topology.close()
        self.calm.close()

    async def forget(self, record: NodeRecord) -> None:
        """Drop what is kept about a node that was removed. Raises StoreError."""
        self.doctor.forget(record.id)
        self.tools.forget(record)
        await self.details.forget(record.id)
        await self.field.forget(record.id)
        await self.forwards.forget(record.id)
        await self.servers.forget(record)
        await self.keys.remove(record.id)

    def _note_details(self, known: Mapping[str, NodeDetails]) -> None:
        """What a node's details tell about who it is goes into its record, or shows that it is another machine."""
        for status in self._inventory.nodes.value:
            record, details = status.record, known.get(status.record.id)
            if details is None:
                continue
            self._inventory.set_serial_hash(record.id, details.serial_hash)
            noted = note_in_record(self._inventory.status(record.id).record, details)
            if noted is not None:
                self._parts.tasks.start(self._inventory.update_node, noted)

    def _candidate(self, candidate_id: str) -> Candidate | None:
        found = self.discovery.candidates.value
        return next((candidate for candidate in found if candidate.id == candidate_id), None)

    def _own_ports(self, node_id: str) -> set[int]:
        """The ports on which jobs of SparkDesk answer, or will answer, on a node."""
        jobs = [job for job in self._parts.launcher.jobs.value if not job.state.is_over and node_id in job.node_ids]
        plans = [plan for job in jobs if (plan := self._parts.launcher.plan_of(job.job_id)) is not None]
        ends = [*(job.endpoint for job in jobs), *(plan.endpoint for plan in plans)]
        return {end.port for end in ends if end is not None and end.node_id == node_id}


async def _read_hosts() -> Sequence[ConfiguredHost]:
    return await asyncio.to_thread(read_ssh_config)
