"""What services would publish about the nodes of a rack. Forms are those of real Sparks; no figure was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

from sparkdesk.core.cluster.details import CageHalf, NodeDetails, SudoMode, Update
from sparkdesk.core.cluster.forward import Forward, ForwardSpec, ForwardState
from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.command import Command
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.probes.assumption import FieldReport, FieldResult, Hold
from sparkdesk.core.probes.check import CheckUp, Finding, Verdict
from sparkdesk.core.step import Playbook, Run, Stage, Step
from tests.ui import rack
from ui.node.model import NodeActions, NodeFeeds, NodeModel

NOW_MS = rack.NOW_MS


def half(cage: str, k: int, width: int | None = 4) -> CageHalf:
    """One PCIe half of a cage."""
    domain = "0000" if k == 0 else "0002"
    function = 0 if cage == "P0" else 1
    netdev = f"en{'p1' if k == 0 else 'P2p1'}s0f{function}np{function}"
    device = f"roce{'p1' if k == 0 else 'P2p1'}s0f{function}"
    return CageHalf(
        cage, netdev, device, f"{domain}:01:00.{function}", width, 32.0, f"4c:bb:47:2e:3{k}:0{function}", ""
    )


def details(i: int = 0, **changes: object) -> NodeDetails:
    """A node's details as they are read."""
    updates = (
        Update("nvidia-driver-580-open", "580.142-0ubuntu1", "580.159.03-0ubuntu1"),
        Update("openssl", "3.0.13-0ubuntu3.5", "3.0.13-0ubuntu3.6", is_security=True),
        Update("linux-image-nvidia", "6.17.0-1008.8", "6.17.0-1014.14", is_security=True),
    )
    found = NodeDetails(
        node_id=f"node{i}",
        t_ms=NOW_MS - 200_000,
        vendor="NVIDIA",
        product="NVIDIA_DGX_Spark",
        board="P4242",
        dgx_os="DGX OS 7.5.0",
        ota_version="7.5.0",
        os_name="Ubuntu 24.04.5 LTS",
        kernel="6.17.0-1014-nvidia",
        driver="580.159.03",
        cuda="13.0",
        docker="29.2.1",
        container_toolkit="1.20.0",
        nccl="",
        python="3.12.3",
        bios="5.36_0ACUM018",
        gpu_firmware="580.159.03",
        mem_total_bytes=rack.TOTAL,
        swap_total_bytes=16 * rack.GIB,
        disk_total_bytes=3_936_000_000_000,
        disk_free_bytes=2_110_400_000_000,
        cpu_count=20,
        halves=(half("P0", 0), half("P0", 1), half("P1", 0), half("P1", 1, None)),
        groups=("nvidia", "adm", "sudo", "docker"),
        sudo=SudoMode.PASSWORD,
        macs=("4c:bb:47:2e:10:01",),
        clock_offset_s=0.04,
        updates=updates,
        updates_age_s=2 * 86_400,
        needs_reboot=False,
        problems=MappingProxyType(
            {"nccl": "no library of this name on the node", "nic_firmware": "the tool that tells it needs root"}
        ),
    )
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


def server(port: int = 8000, **changes: object) -> FoundServer:
    """A server that somebody else started."""
    found = FoundServer(
        id=f"node0:{port}",
        node_id="node0",
        host="127.0.0.1",
        port=port,
        api="openai",
        engine="vllm",
        title="qwen3-8b · vLLM",
        models=("qwen3-8b",),
        container="vllm-qwen",
        process="VLLM::EngineCore",
        owner="nvidia",
        is_healthy=True,
        has_metrics=True,
        is_exposed=False,
        t_ms=NOW_MS - 12_000,
    )
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


SERVERS = (
    server(),
    server(
        11434,
        api="ollama",
        engine="ollama",
        title="Ollama",
        models=("llama3.2:3b", "nomic-embed-text"),
        container="",
        process="ollama",
        owner="ollama",
        is_exposed=True,
        note="Nothing is loaded now.",
    ),
    server(30000, engine="", title="", models=(), container="", process="", owner="", needs_key=True, is_exposed=None),
)


def forward(kind: str, title: str, port: int, state: ForwardState = ForwardState.CLOSED, **changes: object) -> Forward:
    """A forward of node 0."""
    spec = ForwardSpec(kind, "node0", kind, title, port, is_wanted=state is not ForwardState.CLOSED)
    is_open = state is ForwardState.OPEN
    local = 43_117 if is_open else 0
    found = Forward(spec, state, local, f"http://127.0.0.1:{local}/" if is_open else "", True if is_open else None)
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


FORWARDS = (
    forward("dashboard", "DGX Dashboard", 11000, ForwardState.OPEN),
    forward("jupyter", "JupyterLab", 0),
    forward("open-webui", "Open WebUI", 8080, ForwardState.WAITING),
    forward("comfyui", "ComfyUI", 8188, ForwardState.OPEN, answers=False),
    forward(
        "tensorboard",
        "TensorBoard",
        6006,
        ForwardState.FAILED,
        message="The node refused the forward",
        remedy="Allow TCP forwarding in its /etc/ssh/sshd_config.",
    ),
    forward("own", "Grafana", 3000),
)


def fix_playbook() -> Playbook:
    """A fix as the doctor offers it."""
    step = Step(
        "group",
        "Add nvidia to the docker group",
        "node0",
        (Run(Command(("usermod", "-aG", "docker", "nvidia")), as_root=True),),
        undo=(Run(Command(("gpasswd", "-d", "nvidia", "docker")), as_root=True),),
    )
    return Playbook("Let nvidia use docker", (Stage("Group", (step,)),), needs_lock=True)


def finding(check_id: str, title: str, verdict: Verdict, message: str, **changes: object) -> Finding:
    """A finding on node 0."""
    remedy = "" if verdict is Verdict.PASS else "Do what is said here."
    found = Finding(check_id, "node0", title, verdict, message, remedy=remedy, source="DGX Spark user guide")
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


FINDINGS = (
    finding("disk-space", "Disk space", Verdict.PASS, "2,110 GB of 3,936 GB are free.", evidence="/dev/nvme0n1p2"),
    finding(
        "docker-group",
        "Docker without sudo",
        Verdict.FAIL,
        "nvidia is not in the group docker.",
        evidence="uid=1000(nvidia) gid=1000(nvidia) groups=1000(nvidia),27(sudo)",
        meaning="Every container has to be started through sudo, and SparkDesk's own do not start.",
        remedy="Add nvidia to the group docker; it counts from the next sign-in.",
        fix=fix_playbook(),
    ),
    finding("driver-branch", "Driver branch", Verdict.PASS, "580.159.03 is of the branch 580."),
    finding(
        "pcie-width",
        "PCIe width of the second controller",
        Verdict.WARN,
        "One half of P1 runs at x1, expected x4.",
        evidence="/sys/bus/pci/devices/0002:01:00.1/current_link_width: 1",
        meaning="The cage reaches a fraction of its rate.",
        is_unverified=True,
    ),
    finding("clock-skew", "Clock", Verdict.PASS, "The clock is 0.04 s ahead.", is_unverified=True),
    finding("kernel-signature", "Kernel memory", Verdict.UNREAD, "/proc/meminfo could not be read.", evidence=""),
)


def check_up(state: str = "done", **changes: object) -> CheckUp:
    """A check-up of node 0."""
    found = CheckUp("node0", state, NOW_MS - 180_000, FINDINGS)
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


def report(state: str = "done") -> FieldReport:
    """A field report of node 0: 39 held, 1 differs, 1 was not seen."""
    held = tuple(
        FieldResult(
            f"held-{k}",
            f"Assumption {k}",
            f"Counter {k} of the network card counts words of four bytes.",
            Hold.HELD,
            f"counter {k}: 4 bytes a word",
            "DGX Spark user guide, section 4",
            "core/telemetry/cage.py",
        )
        for k in range(38)
    )
    clock = FieldResult("clock-skew", "Clock", "The clock is kept.", Hold.HELD, "ok", "user guide", "core/probes")
    differs = FieldResult(
        "na-fields",
        "Fields that are N/A",
        "nvidia-smi gives [N/A] for memory.total.",
        Hold.DIFFERS,
        "memory.total: 124610 MiB",
        "a capture of 2026",
        "core/telemetry/builder.py",
    )
    unseen = FieldResult(
        "cable", "Cable", "A cage that is up shows 200000.", Hold.NOT_SEEN, "no cable", "guide", "core"
    )
    return FieldReport("node0", state, NOW_MS - 86_400_000, (*held, clock, differs, unseen))


def record_actions(calls: list[tuple[object, ...]]) -> NodeActions:
    """Actions that write down how they were called."""

    def recorder(name: str) -> Callable[..., None]:
        return lambda *words: calls.append((name, *words))

    return NodeActions(**{each.name: recorder(each.name) for each in fields(NodeActions)})


@dataclass
class NodeStage:
    """Feeds of the node page, changed by tests as services do."""

    now_ms: int = NOW_MS
    calls: list[tuple[object, ...]] = field(default_factory=list)
    nodes: Latest[tuple[NodeStatus, ...]] = field(
        default_factory=lambda: Latest(tuple(rack.status(i) for i in range(4)))
    )
    clusters: Latest[tuple[ClusterRecord, ...]] = field(
        default_factory=lambda: Latest(
            (rack.cluster(4, is_simulated=False), replace(rack.cluster(0, is_simulated=False), id="c2", name="desk"))
        )
    )
    open_cluster: Latest[ClusterRecord | None] = field(
        default_factory=lambda: Latest(rack.cluster(4, is_simulated=False))
    )
    details: Latest[Mapping[str, NodeDetails]] = field(default_factory=lambda: Latest({"node0": details()}))
    servers: Latest[tuple[FoundServer, ...]] = field(default_factory=lambda: Latest(SERVERS))
    forwards: Latest[tuple[Forward, ...]] = field(default_factory=lambda: Latest(FORWARDS))
    check_ups: Latest[Mapping[str, CheckUp]] = field(default_factory=lambda: Latest({"node0": check_up()}))
    reports: Latest[Mapping[str, FieldReport]] = field(default_factory=lambda: Latest({"node0": report()}))
    jobs: Latest[tuple[JobStatus, ...]] = field(default_factory=lambda: Latest(()))
    wake_reason: str = ""

    def feeds(self) -> NodeFeeds:
        """What the page reads."""
        return NodeFeeds(
            nodes=self.nodes,
            clusters=self.clusters,
            open_cluster=self.open_cluster,
            details=self.details,
            servers=self.servers,
            forwards=self.forwards,
            check_ups=self.check_ups,
            reports=self.reports,
            jobs=self.jobs,
            now_ms=lambda: self.now_ms,
            ssh_command=lambda node_id: f"ssh nvidia@{node_id}",
            can_wake=lambda _node_id: self.wake_reason,
        )

    def model(self) -> NodeModel:
        """The view-model over the feeds."""
        return NodeModel(self.feeds(), record_actions(self.calls))

    def set_status(self, status: NodeStatus) -> None:
        """Node 0 is so now."""
        self.nodes.set((status, *self.nodes.value[1:]))
