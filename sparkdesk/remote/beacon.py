"""Finds out what this node's CX-7 ports are joined with: says so itself, listens to others, and asks who else is there.

    beacon.py TOKEN NODE_ID [SECONDS]

Run it on all nodes at the same time. On each CX-7 port with a carrier it sends small UDP packets to ff02::5d:1 that
name this node and port, and others of the port's full MTU (what swallows those only is an MTU fault); it counts those
of the same token that come in. A port with an IPv4 address does the same on 239.255.93.1, as some set-ups leave a port
without IPv6 (link-local: [] in netplan). Meanwhile one ping asks all IPv6 nodes of each link (ff02::1), for machines
that know nothing of beacons. Prints one JSON object within 2.5 s. Needs no rights, leaves nothing. Stdlib only, 3.8+.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time

GROUP = "ff02::5d:1"
GROUP_4 = "239.255.93.1"
"""Of the organisation's own range, which no router passes on (and the packets' hop limit is 1). RFC 2365."""
PORT = 47474
PERIOD_S = 0.15
LISTEN_S = 1.6
MAX_LISTEN_S = 1.9
END_S = 2.3
"""So long after the start whatever still runs is ended."""
HEADERS_BYTES = {socket.AF_INET6: 48, socket.AF_INET: 28}
"""IP and UDP."""
# Linux's numbers, which Python does not name (everywhere).
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
IP_MULTICAST_ALL = 49
IPV6_DONTFRAG = 62
MAX_PACKET_BYTES = 9216
MAX_PORTS = 8
MAX_HEARD = 4096
MAX_HOSTS = 256
MAX_NAMES = 64
MELLANOX = "0x15b3"
CX7_NAME = re.compile(r"^en[pP]\d*[pP]?\d*s0f\d+np\d+$")
ANSWER = re.compile(r"bytes from (fe80:[0-9a-f:]+[0-9a-f])(?:%\S+?)?: icmp_seq")
ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
NET = ROOT + "/sys/class/net"
RDMA = ROOT + "/sys/class/infiniband"


def read_text(path: str) -> str:
    """A small file, stripped; empty when it cannot be read (a port that is down refuses carrier and speed)."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(200).strip()
    except OSError:
        return ""


def read_number(path: str) -> int | None:
    """A number in a file, if there is one that means something."""
    text = read_text(path)
    return int(text) if text.isdigit() and len(text) < 10 else None


def list_names(folder: str) -> list[str]:
    """What is in a folder; nothing when there is none."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def find_ports() -> list[str]:
    """The ports of ConnectX cards, by the PCI vendor, else by name."""
    names = list_names(NET)
    found = [name for name in names if read_text(f"{NET}/{name}/device/vendor") == MELLANOX]
    return (found or [name for name in names if CX7_NAME.match(name)])[:MAX_PORTS]


def start(*argv: str) -> subprocess.Popen[bytes] | None:
    """A program that runs beside this one; None when it is missing."""
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, LC_ALL="C"),
        )
    except OSError:
        return None


def finish(process: subprocess.Popen[bytes] | None, end_s: float) -> str:
    """What a program said until now or until `end_s`; it is ended then."""
    if process is None:
        return ""
    try:
        output = process.communicate(timeout=max(0.05, end_s - time.monotonic()))[0]
    except subprocess.TimeoutExpired:
        process.kill()
        output = process.communicate()[0]
    return output[:131072].decode("utf-8", "replace")


def read_carrier(name: str) -> bool | None:
    """Whether there is a link; a port that is switched off has none."""
    text = read_text(f"{NET}/{name}/carrier")
    if text in ("0", "1"):
        return text == "1"
    return False if read_text(f"{NET}/{name}/operstate") in ("down", "lowerlayerdown") else None


def read_rdma() -> dict[str, tuple[str, bool]] | None:
    """The RDMA device of each netdev and whether it is active; None when the node shows no such devices at all."""
    if not os.path.isdir(RDMA):
        return None
    found = {}
    for device in list_names(RDMA)[:MAX_PORTS]:
        is_active = "ACTIVE" in read_text(f"{RDMA}/{device}/ports/1/state").split()
        for netdev in list_names(f"{RDMA}/{device}/device/net"):
            found[netdev] = (device, is_active)
    return found


def read_addresses() -> dict[str, list[str]]:
    """Every port's addresses with their prefix lengths, by `ip`."""
    try:
        rows = json.loads(finish(start("ip", "-j", "addr", "show"), time.monotonic() + 1.0) or "[]")
        return {
            row["ifname"]: [f"{one['local']}/{one['prefixlen']}" for one in row["addr_info"] if "local" in one]
            for row in rows
            if "ifname" in row
        }
    except (ValueError, KeyError, TypeError):
        return {}


def read_port(name: str, addresses: list[str], rdma: dict[str, tuple[str, bool]] | None) -> dict[str, object]:
    """The facts of one port."""
    device, is_active = (rdma or {}).get(name, ("", False))
    return {
        "name": name,
        "mac": read_text(f"{NET}/{name}/address"),
        "carrier": read_carrier(name),
        "speed_mbps": read_number(f"{NET}/{name}/speed"),
        "mtu": read_number(f"{NET}/{name}/mtu"),
        "link_changes": read_number(f"{NET}/{name}/carrier_changes"),
        "link_local": next((one.split("/")[0] for one in addresses if one.startswith("fe80:")), ""),
        "addresses": [one for one in addresses if not one.startswith("fe80:")][:16],
        "rdma": device,
        "is_rdma_active": None if rdma is None else is_active,
    }


def open_ipv6(name: str, index: int) -> socket.socket:
    """A socket that listens and sends on one port."""
    end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        group = socket.inet_pton(socket.AF_INET6, GROUP) + struct.pack("@I", index)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        end.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
        end.bind((GROUP, PORT, 0, index))
    except OSError:
        end.close()
        raise
    return end


def open_ipv4(name: str, index: int) -> socket.socket:
    """The same by IPv4."""
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
        request = struct.pack("@4s4si", socket.inet_aton(GROUP_4), bytes(4), index)
        end.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        end.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        end.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        end.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        end.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        end.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        end.bind((GROUP_4, PORT))
    except OSError:
        end.close()
        raise
    return end


class Beacon:
    """The sockets of all ports, and what came in through them."""

    def __init__(self, token: str, node_id: str) -> None:
        self.token, self.node_id = token, node_id
        self.sockets: list[tuple[str, int, socket.socket]] = []
        """Port, its number, socket."""
        self.errors: dict[str, str] = {}
        self.sized_sent: set[str] = set()
        self.heard: dict[tuple[str, str, str], list[int]] = {}

    def open(self, name: str, has_ipv4: bool) -> None:
        """Listen and send on one port."""
        for opener in (open_ipv6, open_ipv4) if has_ipv4 else (open_ipv6,):
            try:
                index = socket.if_nametoindex(name)
                end = opener(name, index)
            except OSError as error:
                self.errors[name] = str(error)
                continue
            end.setblocking(False)
            self.sockets.append((name, index, end))

    def send(self, mtus: dict[str, int]) -> None:
        """One small packet on each port, and one of its full size."""
        for name, index, end in self.sockets:
            target = (GROUP, PORT, 0, index) if end.family == socket.AF_INET6 else (GROUP_4, PORT)
            text = json.dumps([self.token, self.node_id, name]).encode()
            try:
                end.sendto(text, target)
            except OSError as error:
                self.errors[name] = str(error)
                continue
            size = mtus[name] - HEADERS_BYTES[end.family]
            if len(text) < size <= MAX_PACKET_BYTES:
                with contextlib.suppress(OSError):
                    end.sendto(text.ljust(size), target)
                    self.sized_sent.add(name)

    def receive(self, wait_s: float) -> None:
        """Count what comes in within this time."""
        by_end = {end: name for name, _, end in self.sockets}
        for end in select.select(list(by_end), [], [], wait_s)[0]:
            try:
                data = end.recv(MAX_PACKET_BYTES + 1)
                token, node_id, name = json.loads(data)
            except (OSError, ValueError, TypeError, RecursionError):
                continue
            key = (by_end[end], str(node_id)[:128], str(name)[:32])
            if token == self.token and (key in self.heard or len(self.heard) < MAX_HEARD):
                self.heard.setdefault(key, [0, 0])[data.endswith(b" ")] += 1

    def talk(self, mtus: dict[str, int], seconds: float) -> None:
        """Send and listen for so long."""
        end_s = time.monotonic() + seconds
        next_s = 0.0
        while (now_s := time.monotonic()) < end_s:
            if now_s >= next_s:
                next_s = now_s + PERIOD_S
                self.send(mtus)
            self.receive(max(0.0, min(next_s, end_s) - time.monotonic()))


def read_seen(pings: dict[str, subprocess.Popen[bytes] | None], end_s: float) -> list[dict[str, str]]:
    """Who answered, with its hardware address from the kernel's table. An old entry that did not answer is no proof."""
    answered = {(port, address) for port, ping in pings.items() for address in ANSWER.findall(finish(ping, end_s))}
    found = []
    if answered:
        for line in finish(start("ip", "-6", "neigh", "show"), end_s + 0.15).splitlines():
            words = line.split()
            if "dev" in words[:-1] and "lladdr" in words[:-1]:
                port, mac = words[words.index("dev") + 1], words[words.index("lladdr") + 1]
                if (port, words[0]) in answered:
                    found.append({"port": port, "address": words[0], "mac": mac})
    return found[:MAX_HOSTS]


def read_lldp(process: subprocess.Popen[bytes] | None, end_s: float) -> list[dict[str, object]]:
    """Who names itself at the other end, where lldpd runs and lets itself be asked: "lldp.PORT.chassis.name=...".

    A port may have several such neighbours, one after another: with a word that was there before begins the next.
    """
    found: list[dict[str, object]] = []
    newest: dict[str, dict[str, object]] = {}
    for line in finish(process, end_s).splitlines():
        key, _, value = line.partition("=")
        words = key.split(".")
        if len(words) < 4 or words[0] != "lldp" or words[2] != "chassis":
            continue
        word = ".".join(words[3:])
        told = {"name": value[:200], "mac": value[:200], "Bridge.enabled": value == "on"}.get(word)
        if told is None:
            continue
        word = "is_bridge" if word == "Bridge.enabled" else word
        if word in newest.get(words[1], {word: None}) and len(found) < MAX_NAMES:
            newest[words[1]] = {"port": words[1]}
            found.append(newest[words[1]])
        newest.get(words[1], {})[word] = told
    return found


def main() -> None:
    """Ask, say and listen at the same time, then tell."""
    begun_s = time.monotonic()
    token, node_id = [*sys.argv[1:3], "", ""][:2]
    seconds = min(float(sys.argv[3]) if len(sys.argv) > 3 else LISTEN_S, MAX_LISTEN_S)
    ports = find_ports()
    live = [name for name in ports if read_carrier(name)]
    pings = {name: start("ping", "-6", "-n", "-c", "2", "-w", "2", "-I", name, "ff02::1") for name in live}
    asked = ("-f", "keyvalue")
    lldp = start("lldpctl", *asked) or start("/usr/sbin/lldpctl", *asked)  # a user's PATH may go without sbin
    beacon = Beacon(token, node_id)
    addresses, rdma = read_addresses(), read_rdma()
    for name in live:
        beacon.open(name, any("." in one for one in addresses.get(name, [])))
    facts = [read_port(name, addresses.get(name, []), rdma) for name in ports]
    if beacon.sockets:
        beacon.talk({name: read_number(f"{NET}/{name}/mtu") or 0 for name in live}, seconds)
    seen = read_seen(pings, begun_s + END_S - 0.15)
    macs = [read_text(f"{NET}/{name}/address") for name in list_names(NET)]
    answer = {
        "node": node_id,
        "ports": facts,
        "macs": sorted({mac for mac in macs if mac})[:MAX_HOSTS],
        "heard": [[*key, *counts] for key, counts in sorted(beacon.heard.items())],
        "seen": seen,
        "lldp": read_lldp(lldp, begun_s + END_S),
        "sized_sent": sorted(beacon.sized_sent),
        "errors": beacon.errors,
        "note": "" if ports else "no CX-7 port is seen",
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
