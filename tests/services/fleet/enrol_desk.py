"""A desk at which nodes are added: the services, joined as the application joins them, on real SSH and real SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, Who
from sparkdesk.core.cluster.node import NodeRecord, NodeState, SignIn
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.ssh import NodeKeyFolder, SshConnector, UserKnownHosts
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.credentials import Credentials
from sparkdesk.services.fleet.enrolment import Enroller, EnrolmentParts
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.infra.ssh_server import SshServer
from tests.infra.sshd import Sshd

TIMEOUT_S = 30.0
PASSWORD = "correct horse"


class MovedClock(SystemClock):
    """This computer's clock, moved on by `move` without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self._moved_s = 0.0

    def move(self, seconds_s: float) -> None:
        self._moved_s += seconds_s

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._moved_s


class EnrolDesk:
    """The enroller with its parts; `data` is the application's folder."""

    def __init__(self, data: Path, candidates: Mapping[str, Candidate] | None = None) -> None:
        self.data = data
        self.clock = MovedClock()
        self.tasks = Tasks()
        self.store = SqliteStore(data)
        self.connector = SshConnector()
        self.inventory = Inventory(tasks=self.tasks, connector=self.connector, store=self.store, clock=self.clock)
        self.secrets = KeyringSecrets()
        self.credentials = Credentials(self.secrets)
        self.inventory.credentials = self.credentials
        self.enroller = Enroller(
            EnrolmentParts(
                tasks=self.tasks, connector=self.connector, fleet=self.inventory, credentials=self.credentials,
                keys=NodeKeyFolder(data / "keys"), known_hosts=UserKnownHosts(), store=self.store, clock=self.clock,
                computer="ana@laptop", candidate=(candidates or {}).get,
            )
        )  # fmt: skip

    async def open(self) -> None:
        await self.store.open()
        await self.inventory.load()

    @property
    def now(self) -> Enrolment:
        """How the attempt stands."""
        return self.enroller.enrolment.value

    @property
    def records(self) -> list[NodeRecord]:
        """The nodes of the open cluster."""
        return [status.record for status in self.inventory.nodes.value]

    def start(self, server: Sshd | SshServer, sign_in: SignIn = SignIn.AUTOMATIC, **changes: str) -> None:
        """Begin with this server."""
        user = server.user if isinstance(server, Sshd) else "nvidia"
        who = {"address": "127.0.0.1", "user": user, **changes}
        self.enroller.start(Who(port=server.port, sign_in=sign_in, **who))

    async def reach(self, stage: EnrolStage, *, has_choice: bool | None = None) -> Enrolment:
        """Until the attempt is at this stage; any end that is not wanted fails at once, with its words."""

        def is_there(now: Enrolment) -> bool:
            if now.stage in (EnrolStage.FAILED, EnrolStage.CHANGED_KEY) and now.stage is not stage:
                raise AssertionError(f"{now.message} | {now.remedy} | {now.detail}\n" + "\n".join(now.log))
            return now.stage is stage and (has_choice is None or now.can_set_up_key is has_choice)

        return await wait_for_value(self.enroller.enrolment, is_there, timeout_s=TIMEOUT_S)

    async def inventory_is(self, state: NodeState) -> None:
        """Until the first node's line stands so."""
        await wait_for_value(
            self.inventory.nodes, lambda nodes: bool(nodes) and nodes[0].state is state, timeout_s=TIMEOUT_S
        )

    async def idle(self) -> None:
        """Until no attempt is under way, its clean-up included."""
        for task in [task for task, name in self.tasks._running.items() if name == "add node"]:
            while not task.done():
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()


async def sign_in_by_password(desk: EnrolDesk, server: Sshd | SshServer, *, remember: bool = False) -> None:
    """Up to the choice between a key and the password."""
    desk.start(server, SignIn.PASSWORD)
    await desk.reach(EnrolStage.TRUST)
    desk.enroller.trust()
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(PASSWORD, remember=remember)
    await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)


def home_of(server: Sshd) -> dict[str, bytes]:
    """Every file of the node's home; folders end in a slash."""
    found = {}
    for path in server.home.rglob("*"):
        name = str(path.relative_to(server.home))
        found[name + "/" if path.is_dir() else name] = b"" if path.is_dir() else path.read_bytes()
    return found


def keys_of(desk: EnrolDesk) -> list[str]:
    return sorted(path.name for path in (desk.data / "keys").glob("*"))
