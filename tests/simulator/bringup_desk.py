"""A whole bring-up over simulated nodes, joined as the application joins it.

The one rule: nothing of the nodes is known but what their SSH servers say; the password is the one of the file.
"""

from __future__ import annotations

from pathlib import Path

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.feed import Latest
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.bringup.bringup import BringUp
from sparkdesk.services.bringup.parts import BringUpParts
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.wait import wait_for_value
from tests.services.fleet.fleet_desk import FleetDesk
from tests.simulator.conftest import Simulator
from tests.simulator.test_read import read_remote

SIGN_IN = ("name", "address", "port", "user", "host_key")
PROGRAMS = (
    "net_state", "trial_notes", "netplan_units", "link_trial", "ssh_mesh", "mesh_undo", "all_gather", "gpu_load"
)  # fmt: skip
IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
AT_REST = (Phase.PLANNED, Phase.DONE, Phase.FAILED, Phase.PAUSED, Phase.UNDONE, Phase.INTERRUPTED)


class Desk:
    """One run of the program, beside a simulator."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.simulator = simulator
        key = str(simulator.state / "client_ed25519")
        self.records = tuple(
            NodeRecord(f"n{number}", *(row[name] for name in SIGN_IN), key_path=key)
            for number, row in enumerate(simulator.line["nodes"], start=1)
        )
        self.store = SqliteStore(folder / "data")
        self.fleet = FleetDesk(self.store)
        self.saved: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.busy: dict[str, tuple[str, ...]] = {}
        """Node id -> the jobs that run there."""
        self.says_yes = True
        inventory, clock, tasks = self.fleet.inventory, self.fleet.clock, self.fleet.tasks
        self.runner = Runner(
            shells=inventory.shell,
            store=self.store,
            clock=clock,
            confirm=self._confirm,
            ask_password=self._ask_password,
            lock_program=read_remote("lock"),
            owner="anna@desk",
            sign_in_anew=inventory.sign_in_anew,
        )
        runs = PlaybookRuns(tasks=tasks, runner=self.runner, store=self.store, clock=clock)
        self.runs = runs
        self.topology = TopologyWatch(
            tasks=tasks,
            nodes=inventory.nodes,
            shells=inventory.shell,
            samples=lambda _node_id: Latest(None),
            store=self.store,
            program=read_remote("beacon"),
            clock=clock,
        )
        self.bring_up = BringUp(
            BringUpParts(
                tasks=tasks,
                inventory=inventory,
                runs=runs,
                reader=Reader(program=read_remote("reader"), shells=inventory.shell, clock=clock),
                topology=self.topology,
                clock=clock,
                store=self.store,
                programs={name: read_remote(name) for name in PROGRAMS},
                save_file=self._save,
                busy=lambda: self.busy,
                fresh_s=0.0,  # two readings of nodes that nobody changes make one plan
            )
        )

    async def _confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self.says_yes

    async def _ask_password(self, node_id: str, words: str) -> str | None:
        self.asked.append(node_id)
        return (self.simulator.state / "password").read_text().strip()

    async def _save(self, folder: Path | None, name: str, data: bytes) -> str:
        self.saved[name] = data
        return name

    async def open(self) -> None:
        """Sign in to every node."""
        await self.store.open()
        await self.fleet.inventory.open(ClusterRecord(id="c", name="Desk", nodes=self.records, is_simulated=True))
        await wait_for_value(
            self.fleet.inventory.nodes, lambda found: all(node.is_live for node in found), timeout_s=60
        )
        await self.runs.load()
        await self.bring_up.load()

    async def look(self, choices: Choices = Choices(image=IMAGE)) -> BringUpState:  # noqa: B008 - a frozen value
        """Read all nodes and plan."""
        await self.bring_up.look(tuple(record.id for record in self.records), choices)
        return await self.rest()

    async def rest(self, timeout_s: float = 180.0) -> BringUpState:
        """How it stands once nothing is under way."""
        return await wait_for_value(self.bring_up.state, lambda state: state.phase in AT_REST, timeout_s=timeout_s)

    async def close(self) -> None:
        """Quit."""
        self.bring_up.close()
        self.topology.close()
        await self.fleet.close()
        await self.store.close()
