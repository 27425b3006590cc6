"""What is known about a node beyond its samples: make, system, software, rights, ports.

The one rule: "" and None mean not known; `problems` says why. Unknown vendors and products are accepted as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


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
