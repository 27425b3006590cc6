"""Everything that SparkDesk can do, put together without a face: the window and the headless verbs use the same.

The one rule: services get what they need here and nowhere else; whoever opens a stack closes it.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from sparkdesk import paths
from sparkdesk.app.bringup_stack import make_bring_up
from sparkdesk.app.chat_stack import ChatStack
from sparkdesk.app.fleet import Fleet, FleetParts
from sparkdesk.app.plan_data import load_catalogue, load_flag_tables, load_images
from sparkdesk.app.planner import Planner
from sparkdesk.app.plugin import FoundBackends, find_backends
from sparkdesk.app.records import RecordParts, Records
from sparkdesk.app.remote import read_remote
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.playbooks.fetch.transfer import PROGRAMS
from sparkdesk.core.playbooks.job import JOB_PARTS
from sparkdesk.core.ports import Connection
from sparkdesk.infra.desk_files import DeskFiles
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.network_watch import NetworkWatch
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.simulation import Simulation
from sparkdesk.infra.ssh import SshConnector, ensure_key
from sparkdesk.infra.store import SqliteStore
from sparkdesk.infra.wake import MagicPacketWaker
from sparkdesk.services.appraisal.assessment import Assessment, AssessmentParts
from sparkdesk.services.clock import ClockWatch, SystemClock
from sparkdesk.services.disk.hub_access import HUB_PROGRAM
from sparkdesk.services.disk.shelf import DiskShelf
from sparkdesk.services.findings import Findings, FindingsParts
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.power import Power
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.jobs.start.plans import PlanParts
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.playbooks.supply import Supplies
from sparkdesk.services.secret_store import SecretStore
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry

log = logging.getLogger(__name__)

SIMULATED_NAME = "simulated-4"
FRESH_NAME = f"{SIMULATED_NAME}-fresh"
PLANNED_PROGRAMS = (*JOB_PARTS, *PROGRAMS, "ollama", HUB_PROGRAM)
"""Our programs that a launch plan may bring to a node."""
STEP_TIMEOUT_S = 12.0
"""Longer than any step waits by itself."""


class Stack:
    """The services, joined. `folder` None keeps everything in memory (nothing survives)."""

    def __init__(self, *, folder: Path | None = None, sample_hz: float = 1.0) -> None:
        found = find_backends()
        self.backends = found.backends
        self.clock = SystemClock()
        self.tasks = Tasks()
        self.store = SqliteStore(folder)
        self.secrets = KeyringSecrets()
        self.secret_store = SecretStore(self.secrets)
        self.connector = SshConnector()
        self.inventory = Inventory(
            tasks=self.tasks, connector=self.connector, store=self.store, clock=self.clock, network=NetworkWatch()
        )
        self.sample_hz = sample_hz
        probe = (read_remote("gpu"), read_remote("probe"))
        self.telemetry = Telemetry(clock=self.clock, programs=probe, hz=sample_hz, on_facts=self.inventory.set_facts)
        self.inventory.follow(self.telemetry.pulse)
        self.runner = self._make_runner()
        clients = OpenAiClients(
            failures={key: backend.failure for key, backend in found.backends.items()}, name_of=self.inventory.name_of
        )
        self.launcher = self._make_launcher(found, clients)
        self.fleet = Fleet(
            FleetParts(
                tasks=self.tasks,
                inventory=self.inventory,
                telemetry=self.telemetry,
                connector=self.connector,
                launcher=self.launcher,
                store=self.store,
                secrets=self.secrets,
                clients=clients,
                clock=self.clock,
            )
        )
        self.findings = self._make_findings()
        self.records = self._make_records(folder)
        self.planner = Planner(self)
        self.assessment = self._make_assessment()
        self.runs = PlaybookRuns(tasks=self.tasks, runner=self.runner, store=self.store, clock=self.clock)
        self.runs.on_step.append(self.launcher.looks.take_step)
        self.power = self._make_power()
        self.bring_up = make_bring_up(self)
        self.clock_watch = self._make_clock_watch()
        self.disk_programs = {name: read_remote(name) for name in PROGRAMS}
        self.disk = self._make_disk()
        self.chat = ChatStack(
            tasks=self.tasks,
            store=self.store,
            clock=self.clock,
            secrets=self.secrets,
            clients=clients,
            folder=paths.config_dir(),
        )
        self.simulation: Simulation | None = None
        self.inventory.on_live.append(self._watch)

    def _make_runner(self) -> Runner:
        return Runner(
            shells=self.inventory.shell,
            store=self.store,
            clock=self.clock,
            lock_program=read_remote("lock"),
            owner=owner_name(),
            identify=self.identify,
            sign_in_anew=self.inventory.sign_in_anew,
            supplies=Supplies(
                secret=self.secret_store.get,
                files=DeskFiles(paths.data_dir() / "images"),
                receive_program=read_remote("receive"),
            ),
        )

    def _make_power(self) -> Power:
        return Power(
            inventory=self.inventory,
            runs=self.runs,
            waker=MagicPacketWaker(),
            jobs=self.launcher.jobs,
            stop_plan=self.launcher.stop_plan,
            servers=self.fleet.servers.servers,
            samples=self.telemetry.latest,
        )

    def _make_disk(self) -> DiskShelf:
        return DiskShelf(
            tasks=self.tasks,
            nodes=self.inventory.nodes,
            shells=self.inventory.shell,
            runs=self.runs,
            clock=self.clock,
            programs=self.disk_programs,
            on_change=self._survey_soon,
        )

    def _survey_soon(self, node_id: str) -> None:
        """Plans see what a node's disk holds now."""
        self.tasks.start_exclusive(f"survey {node_id}", self.launcher.survey, node_id)

    def _make_clock_watch(self) -> ClockWatch:
        """With all that remembers times. The sums of energy come first: they listen to the samples, which come with
        other times from the telemetry.
        """
        fleet = self.fleet
        on_nodes = (fleet.topology, fleet.details, fleet.doctor, fleet.servers, self.bring_up)
        moved = (self.records, self.telemetry, *on_nodes, self.findings, self.assessment)
        return ClockWatch(self.clock, [one.move_times for one in moved])

    def _make_launcher(self, found: FoundBackends, clients: OpenAiClients) -> Launcher:
        return Launcher(
            tasks=self.tasks,
            inventory=self.inventory,
            telemetry=self.telemetry,
            runner=self.runner,
            store=self.store,
            parts=PlanParts(
                backends=found.backends,
                owner=owner_name(),
                job_program=read_remote("job"),
                catalogue=load_catalogue(),
                programs={name: read_remote(name) for name in PLANNED_PROGRAMS},
                images=load_images(),
                flag_tables=load_flag_tables(),
            ),
            broken_backends=found.broken,
            clients=clients,
            secret_store=self.secret_store,
            jobs_program=read_remote("jobs"),
            survey_program=read_remote("survey"),
            clock=self.clock,
        )

    def _make_assessment(self) -> Assessment:
        assessment = Assessment(
            AssessmentParts(
                tasks=self.tasks,
                clock=self.clock,
                store=self.store,
                launcher=self.launcher,
                telemetry=self.telemetry,
                reference=lambda: self.planner.reference,
                place=self.planner.place,
                name_of=self.inventory.name_of,
            )
        )
        self.launcher.correct_with(assessment.corrections)
        self.findings.more_judges.append(assessment.appraisals.judgements)
        return assessment

    def _make_findings(self) -> Findings:
        parts = FindingsParts(
            tasks=self.tasks,
            inventory=self.inventory,
            telemetry=self.telemetry,
            details=self.fleet.details,
            doctor=self.fleet.doctor,
            launcher=self.launcher,
            power_caps=self.fleet.power_caps,
            store=self.store,
            clock=self.clock,
            topology=self.fleet.topology.topology,
        )
        return Findings(parts)

    def _make_records(self, folder: Path | None) -> Records:
        parts = RecordParts(
            tasks=self.tasks,
            inventory=self.inventory,
            telemetry=self.telemetry,
            launcher=self.launcher,
            servers=self.fleet.servers,
            backends=self.backends,
            clock=self.clock,
            folder=folder,
        )
        return Records(parts)

    async def _watch(self, node_id: str, connection: Connection) -> None:
        await self.telemetry.watch(node_id, connection)

    async def open(self) -> None:
        """Open the store, read what is kept about nodes, and the chats. Raises StoreError."""
        await self.store.open()
        await self.fleet.open()
        await self.findings.load()
        await self.runs.load()
        await self.bring_up.load()
        await self.chat.open()
        await self.records.open()
        await self.assessment.load()
        self.tasks.start(self.findings.run)
        self.tasks.start(self.clock_watch.run)

    def identify(self, node_id: str) -> str:
        """Whose password it is: that of this user at the holder of this host key."""
        record = self.inventory.status(node_id).record
        return f"{record.host_key} {record.user}"

    async def forget(self, record: NodeRecord) -> None:
        """Drop what is kept about a node that was removed. Raises StoreError."""
        await self.fleet.forget(record)
        await self.findings.forget(record.id)
        await self.records.recorder.forget(record.id)

    async def known_clusters(self) -> tuple[ClusterRecord, ...]:
        """The clusters of this computer that are real; a simulated one is started anew, by itself."""
        return tuple(cluster for cluster in await self.store.clusters() if not cluster.is_simulated)

    async def open_simulation(self, options: Sequence[str] = ()) -> ClusterRecord:
        """Start the simulated cluster and connect to it. Raises SimulationFailed."""
        key = paths.data_dir() / "keys" / "simulated_ed25519"
        public_line = await asyncio.to_thread(ensure_key, key)
        await asyncio.to_thread(key.with_name(f"{key.name}.pub").write_text, public_line + "\n")
        if self.simulation is not None:
            await self.simulation.stop()
        state = paths.data_dir() / "simulated" / (FRESH_NAME if "--fresh" in options else SIMULATED_NAME)
        self.simulation = Simulation(state, client_key=key, tasks=self.tasks)
        cluster = await self.simulation.start(options)
        self.tasks.start_exclusive("simulation's end", self.simulation.watch)
        await self.inventory.open(cluster)
        return cluster

    def own_key(self) -> Path:
        """Where this application's own SSH key for real nodes lies."""
        return paths.data_dir() / "keys" / "id_ed25519"

    async def close(self) -> None:
        """Close everything in the order in which it leans on each other. What hangs does not keep the next waiting."""
        self.fleet.close()
        self.bring_up.close()
        self.assessment.close()
        self.disk.close()
        steps = [self.records.close, self.chat.close, self.launcher.close, self.inventory.close]
        if self.simulation is not None:
            steps.append(self.simulation.stop)
        for step in (*steps, self.tasks.close, self.store.close):
            try:
                async with asyncio.timeout(STEP_TIMEOUT_S):
                    await step()
            except TimeoutError:
                log.error("%s did not end within %g s", step.__qualname__, STEP_TIMEOUT_S)
            except SparkDeskError as error:
                log.warning("%s: %s", step.__qualname__, error.sentence())


def owner_name() -> str:
    """user@computer, as job folders on nodes name who started a job."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:128]
