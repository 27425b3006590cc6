"""What is known about a node beyond its samples: make, system, software, rights, ports.

The one rule: "" and None mean not known; `problems` says why. Unknown vendors and products are accepted as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sparkdesk.core.cluster.node import NodeRecord


class SudoMode(StrEnum):
    """What sudo wants of this account."""

    NO_PASSWORD = "no_password"
    PASSWORD = "password"
    NOT_ALLOWED = "not_allowed"
    ABSENT = "absent"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """In words."""
        return {
            "no_password": "without a password",
            "password": "with a password",
            "not_allowed": "not allowed",
            "absent": "not installed",
            "unknown": "not known",
        }[self.value]


@dataclass(frozen=True, slots=True)
class CageHalf:
    """One PCIe half of a QSFP cage: its netdev, RDMA device, PCIe link width and speed, and hardware address."""

    cage: str
    netdev: str
    rdma_device: str = ""
    pci_address: str = ""
    pcie_width: int | None = None
    pcie_gts: float | None = None
    mac: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """A pending update, as the system's own package list knows it (nothing is fetched)."""

    package: str
    installed: str
    available: str
    is_security: bool = False


@dataclass(frozen=True, slots=True)
class NodeDetails:
    """A node's details as of `t_ms`. Every text is untrusted."""

    node_id: str
    t_ms: int = 0
    vendor: str = ""
    product: str = ""
    board: str = ""
    dgx_os: str = ""
    """"DGX OS 7.4.0", from /etc/dgx-release."""
    ota_version: str = ""
    os_name: str = ""
    kernel: str = ""
    driver: str = ""
    cuda: str = ""
    docker: str = ""
    container_toolkit: str = ""
    nccl: str = ""
    python: str = ""
    bios: str = ""
    gpu_firmware: str = ""
    nic_firmware: str = ""
    mem_total_bytes: int | None = None
    swap_total_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    cpu_count: int | None = None
    halves: tuple[CageHalf, ...] = ()
    groups: tuple[str, ...] = ()
    sudo: SudoMode = SudoMode.UNKNOWN
    macs: tuple[str, ...] = ()
    """Of wired management ports."""
    clock_offset_s: float | None = None
    updates: tuple[Update, ...] | None = None
    """None: not known."""
    updates_age_s: float | None = None
    """How old the node's own package lists are."""
    needs_reboot: bool | None = None
    serial_hash: str = ""
    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Field name -> why it is not known."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        data["halves"] = [asdict(half) for half in self.halves]
        data["updates"] = None if self.updates is None else [asdict(update) for update in self.updates]
        return data | {"problems": dict(self.problems)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NodeDetails:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError, ValueError or AttributeError."""
        known: dict[str, Any] = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        known["halves"] = tuple(CageHalf(**half) for half in data.get("halves", ()))
        updates = data.get("updates")
        known["updates"] = None if updates is None else tuple(Update(**update) for update in updates)
        known["sudo"] = SudoMode(data.get("sudo", SudoMode.UNKNOWN))
        known["groups"], known["macs"] = tuple(data.get("groups", ())), tuple(data.get("macs", ()))
        known["problems"] = {str(name): str(words) for name, words in data.get("problems", {}).items()}
        return cls(**known)


def note_in_record(record: NodeRecord, details: NodeDetails) -> NodeRecord | None:
    """The record with what its details add for good (hardware addresses, serial hash); None when that is nothing new.

    What is not known now stays as it was kept: a node that is asleep must still be woken.
    """
    noted = replace(record, macs=details.macs or record.macs, serial_hash=details.serial_hash or record.serial_hash)
    return noted if noted != record else None
