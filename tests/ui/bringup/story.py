"""A bring-up of four nodes as services would publish it, moment by moment. No figure in it was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from PySide6.QtTest import QTest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter, FileDiff
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.outcome import node_words
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.measurement import Band, Grade, Measurement, ProofItem, ProofKind
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.bringup.state import BringUpState, Phase, Trial
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.cluster.topology import Cable, Shape, Stranger, Topology
from sparkdesk.core.command import Command
from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.run_view import INTERRUPTED, RunView, StepView
from sparkdesk.core.step import Playbook, PutFile, Run, SignInAnew, Stage, Step
from tests.ui import rack
from tests.ui.picture import host_page
from ui.bringup.model import BringUpFeeds, BringUpModel
from ui.bringup.view import BringUpPage

NOW_MS = rack.NOW_MS
IDS = ("node0", "node1", "node2", "node3")
NAMES = dict(zip(IDS, rack.NAMES, strict=True))
IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
PATH = "/etc/netplan/90-sparkdesk.yaml"
PROGRAM = "~/.local/state/sparkdesk/bringup/link_trial.py"
OK, WARN, FAIL, UNREAD = CellState.PASS, CellState.WARN, CellState.FAIL, CellState.UNREAD
PLANNED, WAITING, RUNNING, DONE = CellState.PLANNED, CellState.WAITING, CellState.RUNNING, CellState.DONE


def netplan(i: int) -> str:
    """The file of node `i`."""
    halves = "".join(
        f"    {netdev}:\n      dhcp4: false\n      link-local: [ipv6]\n      mtu: 9000\n"
        f"      addresses: [192.168.{100 + half}.{30 + i}/24]\n"
        for half, netdev in enumerate(("enp1s0f1np1", "enP2p1s0f1np1"))
    )
    return f"network:\n  version: 2\n  ethernets:\n{halves}"


OLD = "network:\n  version: 2\n  ethernets:\n    enp1s0f1np1: {dhcp4: true, mtu: 1500}\n"


def steps_of(i: int) -> tuple[Step, ...]:
    """What is done on node `i`."""
    node, name = IDS[i], rack.NAMES[i]
    group = Command(("usermod", "-aG", "docker", "nvidia"))
    key = Command(("python3", "ssh_mesh.py", "key"))
    trial = Run(Command(("python3", PROGRAM, "try")), as_root=True)
    keep = Run(Command(("python3", PROGRAM, "keep")), as_root=True)
    back = Run(Command(("python3", PROGRAM, "undo")), as_root=True)
    leave = (Run(Command(("gpasswd", "-d", "nvidia", "docker")), as_root=True),)
    return (
        Step(f"keys-key-{node}", f"Make a key pair on {name}", node, (Run(key),), undo=(Run(key),), phase="keys"),
        Step(f"docker-group-{node}", f"Add nvidia to the group docker on {name}", node, (Run(group, as_root=True),),
             undo=leave, phase="docker"),
        Step(f"docker-perftest-{node}", f"Install perftest on {name}", node,
             (Run(Command(("apt-get", "install", "-y", "perftest")), as_root=True),),
             check=(Run(Command(("dpkg-query", "-W", "perftest"))),), phase="docker"),
        Step(f"network-try-{node}", f"Try the addresses on {name}", node,
             (PutFile("/run/netplan/90-sparkdesk.yaml", netplan(i).encode(), as_root=True), trial, SignInAnew()),
             undo=(back,), phase="network"),
        Step(f"network-keep-{node}", f"Keep the addresses on {name}", node, (keep,), undo=(back,), phase="network"),
    )  # fmt: skip


STAGES = tuple(
    Stage(title, tuple(steps_of(i)[at] for i in range(4)))
    for at, title in enumerate(("Keys", "Docker", "perftest", "Try the network", "Keep the network"))
)
PLAYBOOK = Playbook("Bring up 4 nodes", STAGES, needs_lock=True)


def row(row_id: str, chapter: Chapter, title: str, *cells: Cell, is_unverified: bool = False) -> Row:
    """One check; a single cell is that of all nodes."""
    every = cells * 4 if len(cells) == 1 else cells
    return Row(row_id, chapter.value, title, dict(zip(IDS, every, strict=True)), is_unverified)


def changed(what: str, step: str, i: int, state: CellState = PLANNED, evidence: str = "") -> Cell:
    """A cell that the plan changes."""
    return Cell(state, what, evidence, "The plan changes it.", (f"{step}-{IDS[i]}",))


def matrix(network: tuple[CellState, ...] = (PLANNED,) * 4, access: CellState = PLANNED) -> Matrix:
    """All checks; `network` are the states of the network's cells by node, `access` that of keys and docker."""
    good = Cell(OK, "7.5.0 · 580.142", '$ cat /etc/dgx-release\nDGX_SWBUILD_VERSION="7.5.0"\n$ nvidia-smi\n580.142')
    old = Cell(WARN, "7.4.0, update advised", "$ cat /etc/dgx-release\nDGX_SWBUILD_VERSION=\"7.4.0\"",
               "Update DGX OS on spark-3995 when it suits; the others have 7.5.0.")  # fmt: skip
    slow = Cell(WARN, "100G", "$ cat /sys/class/net/enp1s0f1np1/speed\n100000",
                "Seat the cable again on spark-afe0 P1; the other cables run at 200G.")  # fmt: skip
    words = {PLANNED: "1500, to be 9000", WAITING: "next", RUNNING: "applying", DONE: "9000, two subnets"}
    mtus = [changed(words.get(state, "1500"), "network-try", i, state) for i, state in enumerate(network)]
    files = [
        changed({PLANNED: "to be written", DONE: "written"}.get(state, words[state]), "network-keep", i, state)
        for i, state in enumerate(network)
    ]
    said = "to be made" if access is PLANNED else "3 of 3 peers"
    return Matrix(
        IDS,
        (
            row("trust-key", Chapter.TRUST, "Host key pinned", Cell(OK, "ed25519, pinned")),
            row("hardware-os", Chapter.HARDWARE, "DGX OS, driver, kernel", good, good, good, old),
            row("hardware-clock", Chapter.HARDWARE, "Clock in sync", Cell(OK, "within 10 ms"), Cell(OK, "within 10 ms"),
                Cell(UNREAD, "not told", "$ timedatectl show\n(no answer)", "Look again."), Cell(OK, "within 10 ms")),
            row("keys-mesh", Chapter.KEYS, "SSH mesh, ed25519",
                *(changed(said, "keys-key", i, access) for i in range(4))),
            row("docker-group", Chapter.DOCKER, "sudo, docker group",
                *(changed("not a member" if access is PLANNED else "ready", "docker-group", i, access)
                  for i in range(4))),
            row("cabling-cage", Chapter.CABLING, "Cage in use", Cell(OK, "P1")),
            row("cabling-speed", Chapter.CABLING, "Link speed", Cell(OK, "200G"), Cell(OK, "200G"), slow,
                Cell(OK, "200G"), is_unverified=True),
            row("network-file", Chapter.NETWORK, "netplan 90-sparkdesk.yaml", *files),
            row("network-mtu", Chapter.NETWORK, "Addresses and MTU", *mtus),
            row("guard", Chapter.GUARD, "Memory guard", Cell(CellState.SKIPPED, "not asked for")),
        ),
    )  # fmt: skip


RDMA = Band("Gb/s", 185.0, 100.0, 200.0, source="reported 185 to 196")
NCCL = Band("GB/s", 21.875, 15.0, 25.0, source="NVIDIA connect-two-sparks")
PAIRS = ((0, 1), (0, 2), (1, 3))


def items() -> tuple[ProofItem, ...]:
    """What is measured."""
    found = []
    for a, b in PAIRS:
        ends, key = (IDS[a], IDS[b]), f"{a}{b}"
        found += [
            ProofItem(f"ping-{key}", ProofKind.PING, "Ping 8972 B, not split", ends, (f"ping-{key}",)),
            ProofItem(f"rdma-{key}", ProofKind.RDMA_BANDWIDTH, "RDMA write", ends, (f"rdma-{key}",), band=RDMA),
        ]
    found.append(
        ProofItem("tcp", ProofKind.TCP, "iperf3", (IDS[0], IDS[1]), skipped="RDMA is there, so TCP tells nothing.")
    )
    found.append(ProofItem("gather", ProofKind.ALL_GATHER, "NCCL all_gather, 1 GiB", IDS, ("gather",), band=NCCL))
    return tuple(found)


def proof() -> Playbook:
    """The playbook of the proof."""
    steps = tuple(
        Step(
            item.step_ids[0],
            f"Measure {item.title}",
            item.node_ids[0],
            (Run(Command(("ping", "-c", "20"))),),
            phase="proof",
        )
        for item in items()
        if item.step_ids
    )
    return Playbook("Prove", (Stage("Measure", steps),))


def measured(*, is_bad: bool = False) -> tuple[Measurement, ...]:
    """What came of it; none of it was measured, and it says so."""
    found = []
    for item in items():
        if item.skipped:
            found.append(Measurement(item, Grade.SKIPPED, message=item.skipped))
        elif item.kind is ProofKind.PING:
            found.append(
                Measurement(item, Grade.PASS, 0.0, "% loss", "20 of 20 on both halves, both ways", is_simulated=True)
            )
        elif item.kind is ProofKind.RDMA_BANDWIDTH and is_bad and item.id.endswith("02"):
            causes = ("One half only carries data: the other half's address is missing.", "The cable runs at 100G.")
            found.append(Measurement(item, Grade.WARN, 98.1, "Gb/s", "98.1 + 0.0, both halves · passes at 185", causes,
                                     "Look at the second half of spark-afe0 P1.", is_simulated=True))  # fmt: skip
        elif item.kind is ProofKind.RDMA_BANDWIDTH:
            found.append(
                Measurement(
                    item, Grade.PASS, 189.9, "Gb/s", "92.6 + 97.3, both halves · passes at 185", is_simulated=True
                )
            )
        elif is_bad:
            causes = (
                "The image has another NCCL than the host.",
                "NET/Socket was used instead of NET/IB.",
                "MTU is 1500.",
            )
            found.append(Measurement(item, Grade.FAIL, 3.1, "GB/s", "bus bandwidth · passes at 21.875", causes,
                                     "Choose an image with a newer NCCL.", is_simulated=True))  # fmt: skip
        else:
            found.append(
                Measurement(
                    item, Grade.PASS, 23.7, "GB/s", "bus bandwidth, NET/IB seen · passes at 21.875", is_simulated=True
                )
            )
    return tuple(found)


def diffs(*, is_known: bool = True) -> tuple[FileDiff, ...]:
    """The file of every node; of the third there is an old one."""
    note = "Subnets chosen free on all nodes. enP7s7 stays untouched."
    return tuple(
        FileDiff(node, PATH, OLD if i == 2 and is_known else None, netplan(i), is_known, note)
        for i, node in enumerate(IDS)
    )


PASSWORD = "sudo asks for a password on spark-5c2d, spark-bd26: it is asked once, and kept for this run only."


def plan(**changes: object) -> BringUpPlan:
    """The plan of four nodes on a switch."""
    made = BringUpPlan(
        mark="a1b2c3", made_ms=NOW_MS, node_ids=IDS, names=NAMES, shape=Shape.SWITCH, matrix=matrix(),
        playbook=PLAYBOOK, proof=proof(), proof_items=items(), scheme=Scheme(), diffs=diffs(),
        notes={"trust": (PASSWORD,), "network": ("The first node is the canary; the others follow in parallel.",)},
        choices=Choices(), image=IMAGE, is_simulated=True,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def run(states: Mapping[str, str], **changes: object) -> RunView:
    """A run whose steps stand so, by the beginning of their ids; what is not named waits."""
    found = {}
    for step in PLAYBOOK.steps():
        state = next((state for start, state in states.items() if step.id.startswith(start)), "")
        if state:
            found[step.id] = StepView(state, "apply")
    begun = frozenset(step_id for step_id, view in found.items() if view.state in ("done", "running", "failed"))
    return replace(RunView("r1", PLAYBOOK, NOW_MS - 40_000, steps=found, begun=begun), **changes)  # type: ignore[arg-type]


ACCESS_DONE = {"keys": "done", "docker": "done"}
CANARY_DONE = {**ACCESS_DONE, "network-try-node0": "done", "network-keep-node0": "done"}
HALF_WAY = {**CANARY_DONE, "network-try-node1": "running", "network-try-node2": "running"}
ALL_DONE = {"keys": "done", "docker": "done", "network": "done"}


def planned(**changes: object) -> BringUpState:
    """Read, and nothing changed yet."""
    return replace(BringUpState(Phase.PLANNED, IDS, matrix(), plan()), **changes)  # type: ignore[arg-type]


def reading() -> BringUpState:
    """The nodes are being read; some cells are there."""
    whole = matrix()
    rows = tuple(replace(each, cells={node: each.cells[node] for node in IDS[:2]}) for each in whole.rows[:3])
    waits = {node: Cell(RUNNING, "reading") for node in IDS[2:]}
    return BringUpState(
        Phase.READING, IDS, Matrix(IDS, tuple(replace(each, cells={**each.cells, **waits}) for each in rows))
    )


def running(*trials: Trial) -> BringUpState:
    """The canary is kept, two others are tried, the last one waits."""
    cells = matrix((DONE, RUNNING, RUNNING, WAITING), DONE)
    return BringUpState(Phase.RUNNING, IDS, cells, plan(), run(HALF_WAY), trials=trials, started_ms=NOW_MS - 40_000)


def trial(i: int, left_s: float = 42.0, question: str = "") -> Trial:
    """What is tried on node `i`."""
    return Trial(IDS[i], f"network-try-{IDS[i]}", NOW_MS + round(left_s * 1000), 60.0, question)


QUESTION = "SparkDesk could not tell whether spark-afe0 is reached over its new addresses. Keep them?"


def done(*, is_bad: bool = False, **changes: object) -> BringUpState:
    """Applied and proved."""
    ended = run(ALL_DONE, result="done", ended_ms=NOW_MS)
    state = BringUpState(
        Phase.DONE, IDS, matrix((DONE,) * 4, DONE), plan(), ended, measurements=measured(is_bad=is_bad),
        started_ms=NOW_MS - 58_000, ended_ms=NOW_MS, report_paths=("~/SparkDesk/bring-up-rack-4.md",),
    )  # fmt: skip
    return replace(state, **changes)  # type: ignore[arg-type]


def proving() -> BringUpState:
    """The first two measurements are there, the third runs."""
    now = RunView("r2", proof(), NOW_MS - 9000, steps={"ping-02": StepView("running", "apply")})
    ended = run(ALL_DONE, result="done", ended_ms=NOW_MS)
    return BringUpState(Phase.PROVING, IDS, matrix((DONE,) * 4, DONE), plan(), ended, proof_run=now,
                        measurements=measured()[:2], started_ms=NOW_MS - 50_000)  # fmt: skip


def failed() -> BringUpState:
    """The network of one node was rolled back; the others stand."""
    ended = run(
        {**CANARY_DONE, "network-try-node1": "done", "network-keep-node1": "done", "network-try-node2": "failed"},
        result="failed", message="spark-afe0 did not answer after the new addresses; it restored itself.",
        remedy="Look at the cable of P1, then continue.",
    )  # fmt: skip
    words = f"{ended.message} {node_words(ended, IDS, NAMES)}"
    cells = matrix((DONE, DONE, PLANNED, WAITING), DONE)
    return BringUpState(Phase.FAILED, IDS, cells, plan(), ended, message=words, remedy=ended.remedy,
                        started_ms=NOW_MS - 90_000, ended_ms=NOW_MS)  # fmt: skip


def interrupted() -> BringUpState:
    """An earlier SparkDesk ended in the middle."""
    ended = run(CANARY_DONE, result=INTERRUPTED)
    cells = matrix((DONE, WAITING, WAITING, WAITING), DONE)
    words = f"SparkDesk ended in the middle of it. {node_words(ended, IDS, NAMES)}"
    return BringUpState(Phase.INTERRUPTED, IDS, cells, plan(), ended, message=words, remedy="Continue it, or undo it.",
                        started_ms=NOW_MS - 90_000)  # fmt: skip


def undone() -> BringUpState:
    """All was taken back."""
    ended = run({"keys": "undone", "docker": "undone", "network": "undone"}, result="done", is_undo=True)
    rows = matrix((PLANNED,) * 4).rows
    back = tuple(
        replace(each, cells={node: replace(cell, state=CellState.UNDONE, text="as before") if cell.step_ids else cell
                             for node, cell in each.cells.items()})
        for each in rows
    )  # fmt: skip
    return BringUpState(
        Phase.UNDONE, IDS, Matrix(IDS, back), plan(), ended, started_ms=NOW_MS - 90_000, ended_ms=NOW_MS
    )


def all_green() -> BringUpState:
    """The second run: nothing to do."""
    whole = matrix((DONE,) * 4, DONE)
    rows = tuple(
        replace(each, cells={node: replace(cell, state=OK if cell.state is DONE else cell.state, step_ids=())
                             for node, cell in each.cells.items()})
        for each in whole.rows
    )  # fmt: skip
    kept = tuple(replace(diff, before=diff.after, note="Kept as is: a valid scheme was found.") for diff in diffs())
    return planned(matrix=Matrix(IDS, rows), plan=plan(playbook=Playbook("Bring up 4 nodes", ()), diffs=kept))


def wait_for(is_so: Callable[[], bool], most_ms: int = 5000) -> bool:
    """Let the event loop run until it is so; False when it was not within the time."""
    for _ in range(most_ms // 10):
        if is_so():
            return True
        QTest.qWait(10)
    return is_so()


@dataclass
class Desk:
    """The page with feeds that a test sets, and what the page asked for."""

    count: int = 4
    state: Latest[BringUpState] = field(default_factory=lambda: Latest(BringUpState()))
    topology: Latest[Topology] = field(default_factory=lambda: Latest(Topology()))
    images: Latest[tuple[str, ...]] = field(default_factory=lambda: Latest((IMAGE,)))
    now_ms: int = NOW_MS
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        record = rack.cluster(4) if self.count else None
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(tuple(rack.status(i) for i in range(self.count)))
        self.cluster: Latest[ClusterRecord | None] = Latest(record)
        feeds = BringUpFeeds(self.state, self.nodes, self.topology, self.cluster, lambda: self.now_ms, self.images)
        self.model = BringUpModel(feeds)
        self.page = BringUpPage(self.model)
        self.model.setParent(self.page)
        for name in _SIGNALS:
            getattr(self.page, f"{name}_asked").connect(lambda *said, what=name: self.asked.append((what, *said)))
        self.page.answered.connect(lambda node, is_yes: self.asked.append(("answered", node, is_yes)))

    def show(self, state: BringUpState | None = None, size: tuple[int, int] = (1232, 852)) -> BringUpPage:
        """Show the page as it is in this state."""
        if state is not None:
            self.state.set(state)
        host_page(self.page, *size)
        self.page.refresh()
        QTest.qWait(20)
        return self.page

    def rest(self) -> None:
        """Wait until the page has shown what was published."""
        assert wait_for(lambda: not self.page._soon.isActive())
        QTest.qWait(20)

    def find_stranger(self) -> None:
        """Another Spark is seen behind the first node's P1."""
        spark = Stranger("4c:bb:47:00:00:01", kind="spark")
        self.topology.set(
            replace(
                self.topology.value,
                cables=(Cable("node0:P1-other", (self.nodes.value[0].record.id, "P1"), stranger=spark),),
            )
        )


_SIGNALS = ("look", "apply", "prove", "pause", "cancel", "resume", "undo", "roll_back", "add", "save", "close")
