"""A bring-up over real SSH servers, joined as the application does, with a small plan of its own.

The one rule: each node is an OpenSSH server with a home of its own; what a step did is seen in that home.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.measurement import ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.command import Command
from sparkdesk.core.feed import Latest
from sparkdesk.core.step import Expect, Playbook, PutFile, Restore, Run, SignInAnew, Stage, Step, Wait
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.bringup.bringup import BringUp
from sparkdesk.services.bringup.parts import BringUpParts
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.wait import wait_for_value
from tests.infra.sshd import Sshd, running_sshd
from tests.services.fleet.fleet_desk import FleetDesk

REMOTE = Path(__file__).parents[3] / "sparkdesk" / "remote"
PING = (Path(__file__).parents[2] / "data" / "proof" / "ping.txt").read_text()
TRIAL_S = 20.0


@dataclass(frozen=True)
class Place:
    """A node: how it is reached, and the home in which its steps leave what they did."""

    record: NodeRecord
    home: Path


@contextmanager
def places(folder: Path, count: int = 2) -> Iterator[tuple[list[Place], list[Sshd]]]:
    """So many nodes, each with locks of its own."""
    with ExitStack() as stack:
        found, servers = [], []
        for number in range(1, count + 1):
            root = folder / f"node-{number}"
            (root / "locks").mkdir(parents=True)
            env = f"SetEnv HOME={root / 'sshd' / 'node-home'} SPARKDESK_LOCK_DIR={root / 'locks'}"
            server = stack.enter_context(running_sshd(root / "sshd", name=f"spark-{number}", options=[env]))
            servers.append(server)
            found.append(Place(server.record(), server.home))
        yield found, servers


class Desk:
    """One run of the program."""

    def __init__(
        self, folder: Path, nodes: Sequence[Place], owner: str = "anna@laptop", *, fresh_s: float = 60.0
    ) -> None:
        self.nodes = list(nodes)
        self.store = SqliteStore(folder / "data")
        self.fleet = FleetDesk(self.store)
        self.saved: dict[str, bytes] = {}
        self.questions: list[str] = []
        self.says_yes = True
        self.busy: dict[str, tuple[str, ...]] = {}
        """Node id -> the jobs that run there."""
        self.skips_what_stands = False
        """Whether the plan leaves out the steps of a chapter whose trace is there, as the real one does."""
        inventory = self.fleet.inventory
        self.runner = Runner(
            shells=inventory.shell,
            store=self.store,
            clock=self.fleet.clock,
            confirm=self._confirm,
            lock_program=(REMOTE / "lock.py").read_bytes(),
            owner=owner,
            sign_in_anew=inventory.sign_in_anew,
            settle_s=3.0,
        )
        self.runs = PlaybookRuns(tasks=self.fleet.tasks, runner=self.runner, store=self.store, clock=self.fleet.clock)
        self.topology = TopologyWatch(
            tasks=self.fleet.tasks,
            nodes=inventory.nodes,
            shells=inventory.shell,
            samples=lambda _node_id: Latest(None),
            store=self.store,
            program=(REMOTE / "beacon.py").read_bytes(),
            clock=self.fleet.clock,
        )
        self.bring_up = BringUp(
            BringUpParts(
                tasks=self.fleet.tasks,
                inventory=inventory,
                runs=self.runs,
                reader=Reader(
                    program=(REMOTE / "reader.py").read_bytes(), shells=inventory.shell, clock=self.fleet.clock
                ),
                topology=self.topology,
                clock=self.fleet.clock,
                store=self.store,
                programs={},
                save_file=self._save,
                busy=lambda: self.busy,
                fresh_s=fresh_s,
                plan=self.plan,
            )
        )

    async def _confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.says_yes

    async def _save(self, folder: Path | None, name: str, data: bytes) -> str:
        path = f"{folder or 'own'}/{name}"
        self.saved[path] = data
        return path

    @property
    def state(self) -> BringUpState:
        """How it stands."""
        return self.bring_up.state.value

    def ids(self) -> tuple[str, ...]:
        """The nodes' ids."""
        return tuple(node.record.id for node in self.nodes)

    def home(self, number: int) -> Path:
        """The home of node `number`, from 1."""
        return self.nodes[number - 1].home

    async def open(self, *, is_waiting: bool = True) -> None:
        """Open the store and the cluster, and take up what an earlier process left."""
        await self.store.open()
        cluster = ClusterRecord(id="c", name="Desk", nodes=tuple(node.record for node in self.nodes))
        await self.fleet.inventory.open(cluster)
        if is_waiting:
            await wait_for_value(
                self.fleet.inventory.nodes, lambda found: all(node.is_live for node in found), timeout_s=60
            )
        await self.runs.load()
        await self.bring_up.load()

    async def until(self, is_right: Callable[[BringUpState], bool], timeout_s: float = 60.0) -> BringUpState:
        """Until the state is as wanted."""
        return await wait_for_value(self.bring_up.state, is_right, timeout_s=timeout_s)

    async def until_in(self, *phases: Phase) -> BringUpState:
        """Until it is in one of these phases."""
        return await self.until(lambda state: state.phase in phases)

    async def look(self) -> BringUpState:
        """Read all nodes."""
        await self.bring_up.look(self.ids())
        return self.state

    async def close(self) -> None:
        """Quit."""
        self.bring_up.close()
        self.topology.close()
        await self.fleet.close()
        await self.store.close()

    # The plan ---------------------------------------------------------------------------------------------------

    def plan(self, case: Case, now_ms: int) -> BringUpPlan:
        """Three chapters and a proof, on every node that is not as it should be."""
        homes = {node.record.id: node.home for node in self.nodes}
        todo = [one for one in case.node_ids if case.reading(one).did_answer and not (homes[one] / "kept").exists()]
        stages = (
            Stage("Keys", tuple(keys_step(node_id) for node_id in self._lacking("key", todo))),
            Stage("Docker", tuple(docker_step(node_id) for node_id in self._lacking("group", todo))),
            *(Stage("Network", tuple(network_step(node_id) for node_id in some)) for some in (todo[:1], todo[1:])),
        )
        playbook = Playbook(
            f"Bring up {len(case.node_ids)} nodes", tuple(one for one in stages if one.steps), needs_lock=True
        )
        proof, items = make_proof([one for one in case.node_ids if case.reading(one).did_answer])
        rows = tuple(self._row(chapter, case, todo) for chapter in ("keys", "docker", "network"))
        matrix = Matrix(case.node_ids, rows)
        return BringUpPlan(
            case.mark, now_ms, case.node_ids, case.names(), case.topology.shape, matrix, playbook, proof, items,
            Scheme(), choices=case.choices,
        )  # fmt: skip

    def _lacking(self, trace: str, todo: Sequence[str]) -> list[str]:
        homes = {node.record.id: node.home for node in self.nodes}
        return [one for one in todo if not (self.skips_what_stands and (homes[one] / trace).exists())]

    def _row(self, chapter: str, case: Case, todo: Sequence[str]) -> Row:
        def cell(node_id: str) -> Cell:
            reading = case.reading(node_id)
            if not reading.did_answer:
                return Cell(CellState.UNREAD, "no answer", reading.message, reading.remedy)
            if node_id in todo:
                return Cell(CellState.PLANNED, "missing", step_ids=(f"{chapter}-{node_id}",))
            return Cell(CellState.PASS, "there")

        return Row(f"{chapter}-row", chapter, chapter, {node_id: cell(node_id) for node_id in case.node_ids})


def sh(script: str, expect: Expect = Expect()) -> Run:  # noqa: B008 - a frozen value
    """A script in the node's home."""
    return Run(Command(("sh", "-c", f'cd "$HOME" && {script}')), expect, timeout_s=30.0)


def keys_step(node_id: str) -> Step:
    """Writes a file, and waits while `hold` is there."""
    return Step(
        f"keys-{node_id}", f"Write the key of {node_id}", node_id,
        (PutFile("~/key", b"ours\n"), sh("touch begun; while [ -e hold ]; do sleep 0.05; done; test ! -e broken")),
        check=(sh("grep -q ours key && test ! -e hold && test ! -e broken"),),
        undo=(Restore("~/key"),),
        phase=Chapter.KEYS.value,
    )  # fmt: skip


def docker_step(node_id: str) -> Step:
    """Signs in anew."""
    return Step(
        f"docker-{node_id}", f"Put the user of {node_id} into the group docker", node_id,
        (sh("touch group"), SignInAnew(20.0)),
        check=(sh("test -e group"),), verify=(sh("test -e group"),), undo=(sh("test ! -e stuck && rm -f group"),),
        phase=Chapter.DOCKER.value,
    )  # fmt: skip


def network_step(node_id: str) -> Step:
    """Tries a network, signs in anew, looks, keeps. What `look` holds in the home is the answer of the look, and what
    `said` holds is what the undo says."""
    look = """cat look 2> /dev/null || echo '{"ok": true}'"""
    wait = Wait(
        Command(("sh", "-c", f'cd "$HOME" && {look}')), Expect(reader="json_field:ok", equals="true"),
        every_s=0.05, timeout_s=1.0, ask=f"Keep the network of {node_id}?",
    )  # fmt: skip
    return Step(
        f"network-{node_id}", f"Give {node_id} its addresses", node_id,
        (
            sh(f"""touch trial; echo '{{"ok": true, "trial_s": {TRIAL_S:g}}}'"""),
            SignInAnew(20.0),
            wait,
            sh("mv trial kept"),
        ),
        check=(sh("test -e kept"),), undo=(sh("rm -f trial kept; cat said 2> /dev/null || :"),),
        phase=Chapter.NETWORK.value,
    )  # fmt: skip


def make_proof(node_ids: Sequence[str]) -> tuple[Playbook, tuple[ProofItem, ...]]:
    """A ping of every node, which prints what ping prints; `lame` makes it wait."""
    steps, items = [], []
    for node_id in node_ids:
        script = f"while [ -e lame ]; do touch proving; sleep 0.05; done; printf '%s' '{PING}'"
        step = Step(
            f"proof-ping-{node_id}", f"Ping from {node_id}", node_id, (sh("touch container"), sh(script)),
            undo=(sh("rm -f container"),), phase=Chapter.PROOF.value,
        )  # fmt: skip
        steps.append(step)
        end = ProofEnd(node_id, node_id, "enp1s0f1np1", "192.168.100.1")
        part = ProofPart(step.id, end, replace(end, address="192.168.100.2"))
        items.append(ProofItem(f"ping-{node_id}", ProofKind.PING, "Ping", (node_id,), (step.id,), parts=(part,)))
    stages = (Stage("Ping", tuple(steps)),) if steps else ()
    return Playbook("Prove it", stages, needs_lock=True, only_measures=True), tuple(items)


async def until_file(path: Path, *, is_there: bool = True) -> None:
    """Wait until it is there, or gone."""
    async with asyncio.timeout(60):
        while path.exists() is not is_there:
            await asyncio.sleep(0.02)
