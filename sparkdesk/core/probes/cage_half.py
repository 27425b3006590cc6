"""The PCIe halves of the QSFP cages: what is read of them, and how that is put together.

The one rule: a half is told by the node's own sysfs, by PCI function; the name map is only the fall-back, because the
interfaces may be absent until a cable is seen. Source: the kernel's sysfs-class-net and -infiniband ABI and NVIDIA's
playbooks; unverified on hardware [cage-netdevs, cage-rdma-devices, cx7-functions].
"""

from __future__ import annotations

import re

from sparkdesk.core.cluster.details import CageHalf
from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGE_RDMA_DEVICES
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes import form
from sparkdesk.core.probes.read import Answer, Answers, ReadFile, answer_of

NET_ADDRESSES = ReadFile("/sys/class/net/*/address", max_bytes=64, max_files=64)
PCI_NETS = ReadFile("/sys/bus/pci/devices/*/net/*/address", max_bytes=64, max_files=64)
PCI_RDMA = ReadFile("/sys/bus/pci/devices/*/infiniband/*/fw_ver", max_bytes=64, max_files=32)
RDMA_FIRMWARE = ReadFile("/sys/class/infiniband/*/fw_ver", max_bytes=64, max_files=32)
HALF_READS = (NET_ADDRESSES, PCI_NETS, PCI_RDMA, RDMA_FIRMWARE, form.PCIE_WIDTHS, form.PCIE_SPEEDS)

_MAC = re.compile(r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")
_NO_MACS = ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff")
CAGE_NAMES = frozenset(name for pair in CAGE_NETDEVS.values() for name in pair)


def build_halves(answers: Answers) -> tuple[tuple[CageHalf, ...], str]:
    """The halves that the node shows, in the order P0, P1; and, when some are missing, a word on it."""
    functions = {form.folder_of(path, 1): form.folder_of(path, 3) for path, _ in answer_of(answers, PCI_NETS).texts}
    rdma_of = {form.folder_of(path, 3): form.folder_of(path, 1) for path, _ in answer_of(answers, PCI_RDMA).texts}
    macs = _by_netdev(answer_of(answers, NET_ADDRESSES)) | _by_netdev(answer_of(answers, PCI_NETS))
    versions = form.by_device(answer_of(answers, RDMA_FIRMWARE)) | form.by_device(answer_of(answers, PCI_RDMA))
    widths = form.by_device(answer_of(answers, form.PCIE_WIDTHS))
    speeds = form.by_device(answer_of(answers, form.PCIE_SPEEDS))
    halves = []
    for cage, netdevs in CAGE_NETDEVS.items():
        for netdev, usual_rdma in zip(netdevs, CAGE_RDMA_DEVICES[cage], strict=True):
            pci = functions.get(netdev) or form.pci_address_of(netdev)
            rdma = rdma_of.get(pci) or (usual_rdma if usual_rdma in versions else "")
            if netdev not in macs and pci not in widths and not rdma:
                continue
            half = CageHalf(
                cage=cage,
                netdev=netdev,
                rdma_device=make_line(rdma, max_chars=64),
                pci_address=make_line(pci, max_chars=32),
                pcie_width=form.parse_whole(widths.get(pci, "")),
                pcie_gts=form.parse_number(speeds.get(pci, "")),
                mac=macs.get(netdev, ""),
                firmware=make_line(versions.get(rdma, ""), max_chars=64),
            )
            halves.append(half)
    if len(halves) == len(CAGE_NAMES):
        return tuple(halves), ""
    why = answer_of(answers, NET_ADDRESSES).why()
    return tuple(halves), why or f"{len(halves)} of 4 halves are there; the others may appear when a cable is put in"


def find_wired_macs(answer: Answer) -> tuple[str, ...]:
    """Hardware addresses of the wired ports that are no QSFP cages, by name; USB adapters (enx...) are left out."""
    macs = _by_netdev(answer)
    names = sorted(name for name in macs if re.match(r"^(en(?!x)|eth)", name) and name not in CAGE_NAMES)
    return tuple(dict.fromkeys(macs[name] for name in names))[:8]


def _by_netdev(answer: Answer) -> dict[str, str]:
    """Interface -> hardware address, of a glob over .../INTERFACE/address."""
    found = {name: text.lower() for name, text in form.by_device(answer).items()}
    return {name: mac for name, mac in found.items() if _MAC.match(mac) and mac not in _NO_MACS}
