"""What the code takes for true of a Spark's ports: names, pairs, speeds, counters."""

from __future__ import annotations

import re

from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGE_RDMA_DEVICES
from sparkdesk.core.probes.assumption import Assumption, Hold
from sparkdesk.core.probes.assumption_rule import Ruling, assume, matches, names_like, read_number, shown
from sparkdesk.core.probes.read import Answer, ReadCommand, ReadFile

_PLAYBOOKS = "NVIDIA/dgx-spark-playbooks 0db7c141, connect-two-sparks"
_CAGES = "core/cluster/port.py"
_NETDEVS = frozenset(name for pair in CAGE_NETDEVS.values() for name in pair)
_DEVICES = frozenset(name for pair in CAGE_RDMA_DEVICES.values() for name in pair)
_PAIRS = {
    device: netdev
    for cage, devices in CAGE_RDMA_DEVICES.items()
    for device, netdev in zip(devices, CAGE_NETDEVS[cage], strict=True)
}
_FUNCTIONS = "/sys/bus/pci/devices/000[02]:01:00.[01]"
_PORT = "/sys/class/infiniband/*/ports/1/"
LARGEST_FRAME_BYTES = 9216.0
"""A jumbo frame with its headers: a mean above it says that the counters' words are not what we take them for."""


def _judge_pairs(answer: Answer) -> Ruling:
    found = re.findall(r"^(\S+) port 1 ==> (\S+) \(\w+\)\s*$", answer.text, re.MULTILINE)
    if not found:
        return Hold.DIFFERS, shown(answer.text)
    is_right = all(_PAIRS.get(device) == netdev for device, netdev in found)
    return (Hold.HELD if is_right else Hold.DIFFERS), shown(answer.text)


def _by_device(answer: Answer, name: str) -> dict[str, float]:
    pattern = re.compile(rf"/infiniband/([^/]+)/ports/1/counters/{name}$")
    return {match.group(1): read_number(text) for path, text in answer.texts if (match := pattern.search(path))}


def _judge_words(answer: Answer) -> Ruling:
    """Words of 4 bytes: then the mean packet is at least a header's and at most a jumbo frame's length."""
    words, packets = _by_device(answer, "port_rcv_data"), _by_device(answer, "port_rcv_packets")
    means = {name: words[name] * 4 / packets[name] for name in words if packets.get(name, 0) >= 1000}
    if not means:
        return Hold.NOT_SEEN, "no RDMA traffic was received since the node was started"
    seen = ", ".join(f"{name}: {mean:.0f} B a packet" for name, mean in sorted(means.items()))
    is_right = all(12.0 <= mean <= LARGEST_FRAME_BYTES for mean in means.values())
    return (Hold.HELD if is_right else Hold.DIFFERS), shown(seen)


def _judge_states(answer: Answer) -> Ruling:
    known = {"1: DOWN", "2: INIT", "3: ARMED", "4: ACTIVE", "5: ACTIVE_DEFER"}
    states = {text.strip() for _, text in answer.texts}
    if not states:
        return Hold.NOT_SEEN, "there is no RDMA device"
    return (Hold.HELD if states <= known else Hold.DIFFERS), shown(", ".join(sorted(states)))


def _judge_widths(answer: Answer) -> Ruling:
    widths = {path.split("/")[5]: text.strip() for path, text in answer.texts if path.count("/") >= 6}
    if not widths:
        return Hold.NOT_SEEN, "no ConnectX-7 is seen on the bus"
    seen = ", ".join(f"{where} x{width}" for where, width in sorted(widths.items()))
    return (Hold.HELD if set(widths.values()) == {"4"} else Hold.DIFFERS), shown(seen)


def _judge_speeds(answer: Answer) -> Ruling:
    speeds = {path.split("/")[4]: read_number(text) for path, text in answer.texts if path.count("/") >= 5}
    up = {name: speed for name, speed in speeds.items() if name in _NETDEVS and speed > 0}
    if not up:
        return Hold.NOT_SEEN, "no cable is up"
    seen = ", ".join(f"{name} {speed:.0f} Mb/s" for name, speed in sorted(up.items()))
    return (Hold.HELD if set(up.values()) <= {200000.0, 100000.0} else Hold.DIFFERS), shown(seen)


def _judge_nearest_bridge(answer: Answer) -> Ruling:
    """LLDP is sent to the address of the nearest bridge: a neighbour that a port names came in by such a frame."""
    heard = {match.group(1) for match in re.finditer(r"^lldp\.([^.\s]+)\.via=LLDP\s*$", answer.text, re.MULTILINE)}
    named = sorted(heard & _NETDEVS)
    if not named:
        return Hold.NOT_SEEN, "no neighbour names itself by LLDP on a port of a cage"
    return Hold.HELD, shown(f"LLDP came in on {', '.join(named)}")


ASSUMPTIONS: tuple[Assumption, ...] = (
    assume(
        "cage-netdevs", "The ports of the two QSFP cages are called " + ", ".join(sorted(_NETDEVS)),
        ReadFile("/sys/class/net/en[pP]*s0f*/address"),
        names_like(r"/net/([^/]+)/", _NETDEVS, needs_all=False), source=_PLAYBOOKS, where=_CAGES,
    ),
    assume(
        "cage-rdma-devices", "Their RDMA devices are called " + ", ".join(sorted(_DEVICES)),
        ReadFile("/sys/class/infiniband/*/node_type"),
        names_like(r"/infiniband/([^/]+)/", _DEVICES, needs_all=False), source=_PLAYBOOKS, where=_CAGES,
    ),
    assume(
        "cage-pairs", "Each RDMA device belongs to the port of the same cage and half",
        ReadCommand(("ibdev2netdev",)), _judge_pairs, source=_PLAYBOOKS, where=_CAGES,
    ),
    assume(
        "cx7-functions", "Each half is a PCI function of a ConnectX-7 (15b3:1021)",
        ReadFile(f"{_FUNCTIONS}/device"), matches(r"^0x1021$"),
        source="lspci of two units", where="core/probes/details.py",
    ),
    assume(
        "cx7-width", "Each half has four PCIe lanes", ReadFile(f"{_FUNCTIONS}/current_link_width"),
        _judge_widths, source="tonyd2wild/DeepSeek-v4-Flash issue 35: firmware before April 2026 may give two",
        where="core/probes/doctor.py",
    ),
    assume(
        "cx7-pcie-speed", "Each half's PCIe link runs at 32 GT/s",
        ReadFile(f"{_FUNCTIONS}/current_link_speed"), matches(r"^32\.0 GT/s"),
        source="a review's lspci", where="core/probes/details.py",
    ),
    assume(
        "cx7-firmware", "The ports' firmware is of the 28 series", ReadFile("/sys/class/infiniband/*/fw_ver"),
        matches(r"^28\.\d+\.\d+$"), source="ours, from ConnectX-7 cards in other machines",
        where="simulator/machine/machine_files.py",
    ),
    assume(
        "rdma-state-words", "An RDMA port's state is a number with its word", ReadFile(_PORT + "state"), _judge_states,
        source="Linux's sysfs-class-infiniband", where="remote/probe.py",
    ),
    assume(
        "rdma-phys-state-words", "A port without a cable is 3: Disabled or 2: Polling, one with a cable 5: LinkUp",
        ReadFile(_PORT + "phys_state"), matches(r"^(2: Polling|3: Disabled|5: LinkUp)$"),
        source="Linux's sysfs-class-infiniband; which of them a Spark shows is ours",
        where="simulator/machine/machine_files.py",
    ),
    assume(
        "rdma-words", "RDMA data is counted in words of 4 bytes", ReadFile(_PORT + "counters/port_rcv_*"), _judge_words,
        source="Linux's sysfs-class-infiniband", where="core/telemetry/builder.py",
    ),
    assume(
        "rdma-rate", "A cabled RDMA port says 200 Gb/sec, or 100 behind some switches", ReadFile(_PORT + "rate"),
        matches(r"^(200|100) Gb/sec"), source="captures of a pair", where="core/telemetry/cage.py",
    ),
    assume(
        "link-speed", "A cabled port's line runs at 200000 or 100000 Mb/s", ReadFile("/sys/class/net/*/speed"),
        _judge_speeds, source=f"{_PLAYBOOKS}; multi-sparks-through-switch", where="core/telemetry/cage.py",
    ),
    assume(
        "gid-index", "GID 3 of an RDMA port is RoCE v2", ReadFile(_PORT + "gid_attrs/types/3"), matches(r"^RoCE v2$"),
        source=_PLAYBOOKS, where="core/planning",
    ),
    assume(
        "nearest-bridge", "A ConnectX-7 hands up frames for the nearest bridge (01:80:c2:00:00:0e)",
        ReadCommand(("lldpctl", "-f", "keyvalue")), _judge_nearest_bridge,
        source="ours; LLDP comes to that address (IEEE 802.1AB, 7.1)", where="remote/frames.py",
    ),
    assume(
        "arp-ignore", "A Spark answers ARP on each interface for all of its addresses, as Linux does by itself",
        ReadFile("/proc/sys/net/ipv4/conf/all/arp_ignore"), matches(r"^0$"),
        source="the kernel's ip-sysctl, arp_ignore; not seen of a DGX OS", where="core/bringup/proof/cause.py",
    ),
    assume(
        "netplan-renderer", "Netplan has systemd-networkd set the ports: NetworkManager does not run",
        ReadCommand(("systemctl", "is-active", "NetworkManager")), matches(r"^(inactive|failed|unknown)$"),
        source="ours: with NetworkManager nothing was tried", where="core/bringup/chapters/network.py",
    ),
    assume(
        "netplan-generator", "Netplan's own generator, which makes units without systemd, lies in /usr/libexec/netplan",
        ReadCommand(("ls", "/usr/libexec/netplan")), matches(r"^(generate|configure)$"),
        source="canonical/netplan 1.0, meson.build and cli/utils.py",
        where="remote/netplan_units.py",
    ),
    assume(
        "management-port", "The RJ45 port is called enP7s7", ReadFile("/sys/class/net/enP7s7/operstate"),
        matches(r"^(up|down|dormant|lowerlayerdown|unknown)$"), source="captures of several units",
        where="core/probes/details.py",
    ),
    assume(
        "management-pci", "The RJ45 port is at 0007:01:00.0 on the bus",
        ReadFile("/sys/bus/pci/devices/0007:01:00.0/net/*/address"),
        names_like(r"/net/([^/]+)/", frozenset({"enP7s7"}), needs_all=True), source="ours, from the port's name",
        where="simulator/machine/machine_files.py",
    ),
    assume(
        "wifi-port", "Wi-Fi is called wlP9s9", ReadFile("/sys/class/net/wlP9s9/operstate"),
        matches(r"^(up|down|dormant)$"), source="captures of several units", where="core/probes/details.py",
    ),
    assume(
        "wake-on-lan", "The RJ45 port may wake the machine", ReadFile("/sys/class/net/enP7s7/device/power/wakeup"),
        matches(r"^enabled$"), source="ours: that a Spark can be woken was reported by nobody we know",
        where="infra/wake.py",
    ),
)  # fmt: skip
