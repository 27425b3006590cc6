"""What a GB10 is, as numbers and words: the one place for constants of the real machine.

The one rule: each stands with its source, and what nobody of ours has seen on hardware says so, with the assumption
that a real Spark can be held against.
Source unless said otherwise: public captures of DGX Spark units (nvidia-smi, /proc/meminfo, lspci, ethtool).
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = "6.17.0-1014-nvidia"
# The build line is unverified on hardware [kernel-build-line].
KERNEL_VERSION = "#14-Ubuntu SMP PREEMPT_DYNAMIC Wed Apr 15 09:12:44 UTC 2026"
DRIVER = "580.142"
OTHER_DRIVER = "590.44.01"  # of a branch that DGX OS does not have; the number is ours
CUDA = "13.0"
NIC_FIRMWARE = "28.45.4028"  # unverified on hardware [cx7-firmware]
DGX_OS = "7.5.0"
CORES = 20  # ten Cortex-A725 and ten Cortex-X925; which ids are which: unverified on hardware [cpu-order]

KIB = 1024
DISK_SECTORS = 8_001_573_552  # of 512 bytes: a 4 TB unit; unverified on hardware [disk-size]
SWAP_IN_USE_KB = 6 * KIB * KIB  # with the fault swap-on
SHORT_OF_MEMORY_KB = KIB * KIB  # what is left with the fault memory-pressure
MEMORY_PRESSURE = (72.0, 41.0)  # percent of the time that some, all tasks wait then; made up for the simulator
MEM_TOTAL_KB = 127_535_084
SWAP_TOTAL_KB = 16_777_212
OS_MEMORY_KB = 2_831_155  # 2.7 GiB: what a fresh desktop uses
OS_CACHE_KB = 1_468_006  # 1.4 GiB of page cache on a fresh desktop

IDLE_SM_MHZ = 208.0
LOAD_SM_MHZ = 2418.0
SLOW_SM_MHZ = (500.0, 950.0)  # the slow state under load
SLOW_POWER_W = 24.0  # unverified on hardware [gpu-slow-power]
CAPPED_SM_MHZ = 1480.0  # with the fault power-capped; made up for the simulator
MAX_SM_MHZ = 3003
IDLE_POWER_W = 4.0
AWAKE_POWER_W = 11.2  # P0 with nothing to do
LOAD_POWER_W = 78.0
AMBIENT_C = 33.0
LOAD_C = 74.0

MANAGEMENT_NETDEV = "enP7s7"
WIFI_NETDEV = "wlP9s9"


@dataclass(frozen=True, slots=True)
class CageHalf:
    """One PCIe half of a QSFP cage: its network device, its RDMA device, its PCI function and the cage's number."""

    netdev: str
    rdma: str
    pci: str
    cage: int


# Source: NVIDIA's playbooks, the same on every unit. Cage 1 is the one farther from the RJ45 socket.
HALVES = (
    CageHalf("enp1s0f0np0", "rocep1s0f0", "0000:01:00.0", 0),
    CageHalf("enp1s0f1np1", "rocep1s0f1", "0000:01:00.1", 1),
    CageHalf("enP2p1s0f0np0", "roceP2p1s0f0", "0002:01:00.0", 0),
    CageHalf("enP2p1s0f1np1", "roceP2p1s0f1", "0002:01:00.1", 1),
)
CABLED_CAGE = 1  # the usual one
FABRIC_MTU = 9000
FABRIC_MBPS = 200_000
MANAGEMENT_MBPS = 10_000


DESK_ADDRESS = "192.168.10.1"
"""Where who signs in from this computer seems to come from, in the network of the management ports."""


def management_address(index: int) -> str:
    """The address of node `index` (from 1) on the wired management port."""
    return f"192.168.10.{10 + index}"


def half_number(half: CageHalf) -> int:
    """0 for the half in PCI domain 0, 1 for its twin."""
    return int(half.pci.startswith("0002:"))


def netdev_number(netdev: str) -> int:
    """Its place among the node's network devices: the last part of its MAC."""
    return ("lo", MANAGEMENT_NETDEV, WIFI_NETDEV, *(half.netdev for half in HALVES)).index(netdev)


def hardware_address(index: int, port: int) -> str:
    """A MAC of node `index` (from 1); 4c:bb:47 is NVIDIA's prefix as seen on units, the rest is ours."""
    return f"4c:bb:47:77:{index:02x}:{port:02x}"


def link_local(index: int, port: int) -> str:
    """The IPv6 link-local address of a port of node `index` (from 1)."""
    return eui64(hardware_address(index, port))


def eui64(mac: str) -> str:
    """The IPv6 link-local address that follows from a MAC. Source: RFC 4291, appendix A (modified EUI-64)."""
    octets = [int(part, 16) for part in mac.split(":")]
    words = (octets[0] ^ 2) << 8 | octets[1], octets[2] << 8 | 0xFF, 0xFE00 | octets[3], octets[4] << 8 | octets[5]
    return "fe80::" + ":".join(f"{word:x}" for word in words)
