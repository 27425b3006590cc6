"""What was read of one node before a bring-up: all that its plan rests on, typed and bounded.

The one rule: None and "" mean not known; nothing here is guessed, and `problems` says why something is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.cluster.details import SudoMode


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface. `addresses` are its global IPv4 addresses, "192.168.100.2/24"; MTU in bytes."""

    name: str
    mac: str = ""
    mtu: int | None = None
    carrier: bool | None = None
    speed_gbps: float = math.nan
    addresses: tuple[str, ...] = ()
    rdma_device: str = ""
    is_rdma_active: bool | None = None
    leased: tuple[str, ...] = ()
    """Those of `addresses` that run out: DHCP gave them, and may give others next time."""
    part_of: str = ""
    """The bond, bridge or VLAN that is built on it: "bond0 (bond)". Its addresses are there, if anywhere."""
    unit_addresses: tuple[str, ...] | None = None
    """What the units of systemd-networkd give it; None: not known."""
    unit_mtu: int | None = None
    """The MTU that these give it, 0 where they give none; None: not known."""


@dataclass(frozen=True, slots=True)
class NetplanFile:
    """A file that netplan reads. `content` None: the account may not read it (most are 0600 root)."""

    path: str
    content: str | None = None


@dataclass(frozen=True, slots=True)
class SshReading:
    """What lies in ~/.ssh that the mesh needs. Modes are octal texts, "" where there is nothing."""

    home_mode: str = ""
    folder_mode: str = ""
    authorized_mode: str = ""
    public_key: str = ""
    """The public half of the mesh's own key, one line; "" when there is none."""
    authorized: tuple[str, ...] | None = None
    """Our mesh's own lines of ~/.ssh/authorized_keys (see mesh.py); None: not read."""
    known_hosts: tuple[str, ...] | None = None
    """Our own lines of ~/.ssh/known_hosts; None: not read."""
    config: str | None = None
    """Our own part of ~/.ssh/config; "" when there is none, None: not read."""
    port: int | None = None
    """Of the node's own SSH server, as this sign-in came in; None: not known."""


@dataclass(frozen=True, slots=True)
class NodeReading:
    """One node. Every text is untrusted, plain and bounded."""

    node_id: str
    name: str
    did_answer: bool = True
    message: str = ""
    """Why it did not answer, with `remedy`."""
    remedy: str = ""
    address: str = ""
    """By which SparkDesk itself reaches it, an address or a name; not the node's own word."""
    hostname: str = ""
    host_key: str = ""
    """As the application has pinned it: "ssh-ed25519 AAAA..."."""
    user: str = ""
    home: str = ""
    groups: tuple[str, ...] | None = None
    """Of this sign-in (`id -Gn`)."""
    docker_members: tuple[str, ...] | None = None
    """Of the group docker, as the system's database has them; None: not read or no such group."""
    sudo: SudoMode = SudoMode.UNKNOWN
    dgx_os: str = ""
    kernel: str = ""
    driver: str = ""
    docker: str = ""
    """The daemon's version as this account gets it; "" when it gets none."""
    docker_problem: str = ""
    """"absent", "denied", "down", or "" when it answers or nobody knows."""
    docker_stopped: tuple[str, ...] = ()
    """Those of docker's units that are known not to run: "docker.service", "docker.socket", "containerd.service"."""
    toolkit: str = ""
    is_toolkit_known: bool | None = None
    """False: the toolkit came after docker's last start, and docker's file does not name it. None: not told."""
    nccl: str = ""
    """Of the host's own library; "" when there is none or it is not known (`problems`)."""
    tools: Mapping[str, bool | None] = field(default_factory=lambda: MappingProxyType({}))
    """Program -> whether it is there: ib_write_bw, ib_write_lat, iperf3, netplan, arping, earlyoom, all_gather_perf."""
    ssh: SshReading = field(default_factory=SshReading)
    management: str = ""
    """The interface through which this sign-in came, and its address without the prefix."""
    management_address: str = ""
    client_address: str = ""
    """The address from which this sign-in came, as the node sees it: no subnet of ours may cover it."""
    default_netdevs: tuple[str, ...] = ()
    """Interfaces of default routes: never touched."""
    routes: tuple[str, ...] | None = None
    """Every IPv4 network that the node routes, "10.0.20.0/24", default excepted; None: not read."""
    interfaces: Mapping[str, Interface] = field(default_factory=lambda: MappingProxyType({}))
    netplan: tuple[NetplanFile, ...] | None = None
    """In /etc, /run and /lib; None: not read."""
    renderer: str = ""
    """What netplan sets the ports with: "networkd", "NetworkManager", or "" where nothing tells."""
    is_clock_synced: bool | None = None
    """Whether a time server was reached."""
    is_clock_kept: bool | None = None
    """Whether the node is set to keep its time over the network; False only where it could be and is not."""
    clock_offset_s: float | None = None
    is_guard_active: bool | None = None
    """Whether earlyoom, or systemd-oomd, watches the memory."""
    is_guard_enabled: bool | None = None
    """Whether earlyoom starts with the node; None where there is none, or nothing tells."""
    guard_file: str | None = None
    """What stands in earlyoom's file of options; "" where there is no such file, None: not known."""
    images: tuple[str, ...] = ()
    """Container images there that can serve, "name:tag"."""
    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Field -> why it is not known."""
