"""A node: what is kept about it, what is known about it, and how it is right now.

The one rule: a node's identity is its host key and machine id, never its address or its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class NodeState(StrEnum):
    """Where the line to a node stands. The words on screen come from `words`."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LIVE = "live"
    SLOW = "slow"
    """Connected, and its samples come late."""
    STALE = "stale"
    """Connected for all we know, but its samples have stopped: nothing of it may be shown as of now."""
    RECONNECTING = "reconnecting"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    IDENTITY_CHANGED = "identity_changed"
    ASLEEP = "asleep"
    """Shut down from here, or not tried while this computer sleeps: nobody waits for it."""

    @property
    def words(self) -> str:
        """The state in words."""
        return {
            NodeState.IDLE: "Not connected",
            NodeState.CONNECTING: "Connecting",
            NodeState.LIVE: "Live",
            NodeState.SLOW: "Slow",
            NodeState.STALE: "Stale",
            NodeState.RECONNECTING: "Reconnecting",
            NodeState.UNREACHABLE: "Unreachable",
            NodeState.REFUSED: "Not signed in",
            NodeState.IDENTITY_CHANGED: "Host key changed",
            NodeState.ASLEEP: "Asleep",
        }[self]


class SignIn(StrEnum):
    """What a node is offered at the sign-in."""

    AUTOMATIC = "automatic"
    """A key of this application for the node if there is one, then the agent and the user's usual keys."""
    AGENT = "agent"
    KEY = "key"
    """One key file, `NodeRecord.key_path`."""
    PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class JumpHost:
    """A machine that the way to a node leads through; its own host key was confirmed too."""

    address: str
    port: int
    user: str
    host_key: str
    key_path: str = ""

    @property
    def title(self) -> str:
        """How messages name it; errors of the way there carry it as their `node`."""
        return f"jump host {self.address}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JumpHost:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError or ValueError."""
        return cls(
            address=str(data["address"]),
            port=int(data["port"]),
            user=str(data["user"]),
            host_key=str(data["host_key"]),
            key_path=str(data.get("key_path", "")),
        )


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What is kept about a node. `host_key` is "" until a person confirmed it."""

    id: str
    name: str
    address: str
    port: int
    user: str
    host_key: str = ""
    machine_id: str = ""
    key_path: str = ""
    """A private key of the application for this node; "" means the user's agent and default keys."""
    sign_in: SignIn = SignIn.AUTOMATIC
    jump: JumpHost | None = None
    other_addresses: tuple[str, ...] = ()
    """Where else this same machine was met, "address:port"."""
    serial_hash: str = ""
    """SHA-256 of machine id and product serial, where clones share host key and machine id; never the serial."""
    macs: tuple[str, ...] = ()
    """Its wired management ports' hardware addresses, to wake it."""
    setup_runs: tuple[str, ...] = ()
    """Runs of playbooks that installed something for SparkDesk on the node, oldest first; removal offers their undo."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        # Without asdict's deep copies: a cluster is saved whole whenever one of its many nodes has said who it is.
        data = {name: getattr(self, name) for name in self.__slots__}
        return data | {"jump": None if self.jump is None else self.jump.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NodeRecord:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError or ValueError."""
        return cls(
            id=str(data["id"]),
            name=str(data["name"]),
            address=str(data["address"]),
            port=int(data["port"]),
            user=str(data["user"]),
            host_key=str(data.get("host_key", "")),
            machine_id=str(data.get("machine_id", "")),
            key_path=str(data.get("key_path", "")),
            sign_in=SignIn(data.get("sign_in", SignIn.AUTOMATIC)),
            jump=JumpHost.from_json(data["jump"]) if data.get("jump") else None,
            other_addresses=_texts(data.get("other_addresses")),
            serial_hash=str(data.get("serial_hash", "")),
            macs=_texts(data.get("macs")),
            setup_runs=_texts(data.get("setup_runs")),
        )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if value else ()


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A named group of nodes. `is_simulated` is a property of the record: nothing else knows."""

    id: str
    name: str
    nodes: tuple[NodeRecord, ...]
    is_simulated: bool = False
    shape: str = ""
    """single, pair, ring, switch, or "" when not known."""
    switch_name: str = ""
    note: str = ""
    """For example why simulated nodes are read-only."""
    engine_notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Backend key -> what must stand beside its answers, e.g. vllm: "simulated vLLM, real llama.cpp"."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return data | {"nodes": [node.to_json() for node in self.nodes], "engine_notes": dict(self.engine_notes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClusterRecord:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError or ValueError."""
        return cls(
            id=str(data["id"]),
            name=str(data["name"]),
            nodes=tuple(NodeRecord.from_json(node) for node in data["nodes"]),
            is_simulated=bool(data.get("is_simulated", False)),
            shape=str(data.get("shape", "")),
            switch_name=str(data.get("switch_name", "")),
            note=str(data.get("note", "")),
            engine_notes={str(key): str(text) for key, text in dict(data.get("engine_notes", {})).items()},
        )


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node said about itself when the probe began. Every text is untrusted; "" and None mean unknown."""

    hostname: str = ""
    machine_id: str = ""
    boot_id: str = ""
    vendor: str = ""
    product: str = ""
    os_version: str = ""
    kernel: str = ""
    python_version: str = ""
    driver_version: str = ""
    gpu_name: str = ""
    cpu_count: int | None = None
    mem_total_bytes: int | None = None
    home: str = ""
    others: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How a node is now. `message` and `remedy` are filled whenever the state is not LIVE or CONNECTING."""

    record: NodeRecord
    state: NodeState
    since_ms: int
    message: str = ""
    remedy: str = ""
    detail: str = ""
    facts: NodeFacts = field(default_factory=NodeFacts)
    log: tuple[str, ...] = ()
    """The last lines of the attempt to connect, oldest first."""

    @property
    def is_live(self) -> bool:
        """Whether the node answers now and what is shown of it is of now."""
        return self.state in (NodeState.LIVE, NodeState.SLOW)

    @property
    def is_connected(self) -> bool:
        """Whether a connection to the node stands, for all we know; work under way on it goes on."""
        return self.is_live or self.state is NodeState.STALE
