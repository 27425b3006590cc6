"""The launcher with everything under it real: processes, sockets, SQLite, HTTP. Only the line to the node is local."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from uuid import uuid4

from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.job import JOB_PARTS
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.jobs.start.plans import PlanParts
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.supply import Supplies
from sparkdesk.services.secret_store import SecretStore
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry
from tests.fakes.connector import LocalConnector
from tests.fakes.echo_backend import Echo

REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
CLUSTER = ClusterRecord(
    "c1", "Test", tuple(NodeRecord(f"n{i}", f"spark-{i}", "127.0.0.1", 22, "spark", host_key="k") for i in (1, 2))
)
JOBS = ".local/state/sparkdesk/jobs"


class Rig:
    """One run of the program: `start` and `close` may be done again over the same folder, as a person does."""

    def __init__(
        self,
        folder: Path,
        *,
        owner: str = "me@here",
        backends: Mapping[str, Backend] | None = None,
        path: str = "",
        root: Path | None = None,
        look_every_s: float = 0.5,
    ) -> None:
        self.folder = folder
        self.echo = Echo()
        self.tasks = Tasks()
        self.store = SqliteStore(folder / f"data-{owner}")
        clock = SystemClock()
        env = {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
        self.root = root
        if root is not None:
            env["SPARKDESK_ROOT"] = str(root)
            self._write_boot_id()
        self.connector = LocalConnector(folder / "nodes", env)
        self.inventory = Inventory(tasks=self.tasks, connector=self.connector, store=self.store, clock=clock)
        telemetry = Telemetry(clock=clock, programs=())
        self.secrets = SecretStore(KeyringSecrets(encrypted=()))
        runner = Runner(
            shells=self.inventory.shell,
            store=self.store,
            clock=clock,
            settle_s=5.0,
            supplies=Supplies(secret=self.secrets.get),
        )
        self.make_launcher = partial(
            Launcher,
            tasks=self.tasks,
            inventory=self.inventory,
            telemetry=telemetry,
            runner=runner,
            store=self.store,
            parts=PlanParts(
                backends or {"echo": self.echo},
                owner,
                (REMOTE / "job.py").read_bytes(),
                programs={name: (REMOTE / f"{name}.py").read_bytes() for name in JOB_PARTS},
            ),
            clients=OpenAiClients(),
            jobs_program=(REMOTE / "jobs.py").read_bytes(),
            survey_program=(REMOTE / "survey.py").read_bytes(),
            clock=clock,
            look_every_s=look_every_s,
            secret_store=self.secrets,
        )
        self.launcher = self.make_launcher()
        self.inventory.on_live.append(self.launcher.adopt)
        self.states: list[JobState] = []
        self.launcher.jobs.subscribe(self._note)

    def _write_boot_id(self) -> None:
        assert self.root is not None
        path = self.root / "proc/sys/kernel/random/boot_id"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{uuid4()}\n")

    def reboot(self, node_id: str) -> None:
        """The node goes, all that runs on it ends, and its next boot has another id."""
        self.connector.lose(node_id)
        for record in (self.folder / "nodes" / node_id / JOBS).glob("*/job.json"):
            job = json.loads(record.read_bytes())
            for key in ("guard_pid", "pid"):
                if job[key] and is_running(job[key]):
                    os.kill(job[key], signal.SIGKILL)
        self._write_boot_id()

    def _note(self, jobs: tuple[JobStatus, ...]) -> None:
        states = [job.state for job in jobs if not job.account]  # another account of this machine may run jobs too
        if states and (not self.states or self.states[-1] is not states[0]):
            self.states.append(states[0])

    async def start(self) -> None:
        """Open the program on the cluster; both nodes are live and looked at."""
        await self.store.open()
        await self.inventory.open(CLUSTER)
        await until(lambda: sum(bool(c.home) for c in self.launcher.node_contexts.value) == 2)

    async def close(self) -> None:
        """Quit the program as the application does."""
        await self.launcher.close()
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()

    def request(self, *flags: str, port: int = 0, engine: str = "echo", restart_limit: int = 0) -> LaunchRequest:
        """A request for the small engine on the first node."""
        return LaunchRequest(
            engine=engine,
            model="tiny",
            nodes=("n1",),
            served_name="tiny",
            port=port or free_port(),
            extra_flags=flags,
            restart_limit=restart_limit,
        )

    async def launch(self, *flags: str, port: int = 0) -> str:
        """Launch the small engine; gives the job's id."""
        return await self.launcher.launch(self.launcher.plan(self.request(*flags, port=port)))

    def status(self, job_id: str) -> JobStatus:
        """The job as the screens see it."""
        return next(job for job in self.launcher.jobs.value if job.job_id == job_id)

    async def until_state(self, job_id: str, *states: JobState) -> JobStatus:
        """Wait until the job stands so."""
        await until(lambda: any(j.job_id == job_id and j.state in states for j in self.launcher.jobs.value))
        return self.status(job_id)

    def lines(self, job_id: str, source: str = "engine") -> list[str]:
        """The texts of the log that came from this source."""
        return [line.text for line in self.launcher.log(job_id).past if line.source == source]

    def record(self, job_id: str, name: str = "job.json") -> dict[str, object]:
        """A file of the job's folder on its node; empty when there is none."""
        path = self.folder / "nodes" / "n1" / JOBS / job_id / name
        found: dict[str, object] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    def pid(self, job_id: str) -> int:
        """The engine's process."""
        pid = self.record(job_id)["pid"]
        assert isinstance(pid, int)
        return pid


def end_jobs(folder: Path) -> None:
    """Whatever a test left running is stopped by its own program."""
    for program in folder.glob(f"nodes/*/{JOBS}/*/job.py"):
        home = program.parents[5]
        command = [sys.executable, "-I", str(program), "stop", str(program.parent)]
        subprocess.run(command, env={**os.environ, "HOME": str(home)}, capture_output=True, timeout=60, check=False)


def is_running(pid: int) -> bool:
    """Whether a process of this id runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def until(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    """Wait, bounded, until it is so."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
