"""What a bring-up may change on a node, as a value that can be held against another: files, groups, network, programs.

The one rule: everything in these folders counts but what is named here: what shadow's tools keep of a file before they
change it (a name ending in "-"), what installed packages brought, and what the lab itself writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.lab.lab import USER, LabNode

Snapshot = Mapping[str, str]
"""Path, or "address of enp1s0f0np0" and the like -> how it stands."""
FOLDERS = ("etc", "home", "root", "run", "tmp", "var/tmp", "lib/netplan", "var/lib/sparkdesk")
OF_PACKAGES = (
    "etc/default/earlyoom",
    "etc/systemd/system/multi-user.target.wants",
    "etc/systemd/system/multi-user.target.wants/earlyoom.service",
)
OF_LAB = (
    "run/boot_id", "run/dbus", "run/docker.pid", "run/lab", "run/meminfo", "run/networkd.log", "run/sparkdesk-sim",
    "run/speed", "run/sshd.log", "run/sshd.pid", "run/sudo", "run/sysclass", "run/systemd/netif",
)  # fmt: skip
"""What the lab's stand-ins and the programs of a boot write while they run."""
BROUGHT = f"home/{USER}/.local"
"""Our own folder of the node: leases and journals of jobs; no setting of the machine."""
PROGRAMS = f"{BROUGHT}/state/sparkdesk/bringup"
"""The programs that a bring-up brings, which go with it."""
LEASES = ("sparkdesk-lease-", "sparkdesk-busy-")
"""Files of the node's lock (remote/lock.py): a lease that nobody lets go of ends by itself."""
BY_NETWORKD = ("promote_secondaries", "accept_ra")
"""What systemd-networkd sets on a port that a file once named, and leaves so. Seen with systemd 252."""
RUNS = "program "
"""Before the command line of one; what an earlier test's application left may end meanwhile."""
SETTLE_S = 30.0
"""However slow the machine is; nobody waits once it is as it was."""
_READ = f"""id -Gn {USER}; ip -d -j addr; for f in -4 -6; do ip $f -d -j route show table all; ip $f -j rule; done
systemctl is-active docker; docker info --format '{{{{json .Runtimes}}}}'
docker ps --format '{{{{.Names}}}}' | tr '\\n' ' '; echo; timedatectl show -p NTP --value
cd /proc/sys/net; grep -rs '' ipv4/conf ipv6/conf"""
"""A line each, but for the last."""


def take_snapshot(node: LabNode) -> Snapshot:
    """The node as it stands now."""
    found = dict(_describe_files(node))
    said = _read(node)
    groups, ports, routes4, rules4, routes6, rules6, is_active, runtimes, containers, is_clock_kept = said[:10]
    found |= {f"groups of {USER}": groups, "docker": f"{is_active}, {runtimes}", "containers": containers.strip()}
    found |= {"clock is kept": is_clock_kept} | dict.fromkeys(_programs_of_nobody(node), "runs")
    for row in json.loads(ports):
        found |= _describe_port(row)
    for name, text in (("route", routes4), ("rule", rules4), ("route of IPv6", routes6), ("rule of IPv6", rules6)):
        found |= {f"{name} {json.dumps(row, sort_keys=True)}": "there" for row in json.loads(text or "[]")}
    for line in said[10:]:
        name, _, value = line.partition(":")
        if not name.endswith(BY_NETWORKD):
            found[f"net/{name}"] = value
    return found


def _read(node: LabNode) -> list[str]:
    """What its programs say, once no address of it is on trial any more (RFC 4862: a new one is, for a second)."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        said = node.run("sh", "-c", f"{_READ}; true").splitlines()
        if '"tentative"' not in said[1] or time.monotonic() > deadline_s:
            return said
        time.sleep(0.1)


def _describe_files(node: LabNode) -> Iterator[tuple[str, str]]:
    for name in FOLDERS:
        folder = node.root / name
        if folder.is_dir():
            whole = () if name.startswith("run") else (folder,)
            for path in (*whole, *folder.rglob("*")):
                key = str(path.relative_to(node.root))
                if _counts(key) and not path.name.startswith(LEASES):
                    yield key, _describe(path)


def _counts(key: str) -> bool:
    is_other = key.startswith(BROUGHT) and not key.startswith(PROGRAMS)
    is_labs = any(key == one or key.startswith(f"{one}/") for one in OF_LAB)
    return not (key.endswith("-") or key in OF_PACKAGES or is_other or is_labs)


def _describe(path: Path) -> str:
    """Kind, mode, owner and content. Links are not followed: those of a node lead out of it from here."""
    about = path.lstat()
    words = f"{stat.filemode(about.st_mode)} {about.st_uid}:{about.st_gid}"
    if stat.S_ISLNK(about.st_mode):
        return f"{words} -> {os.readlink(path)}"
    if stat.S_ISREG(about.st_mode):
        return f"{words} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return words


def _programs_of_nobody(node: LabNode) -> Iterator[str]:
    """What runs on the node with nobody behind it: a timer, and whatever outlived its sign-in."""
    for process in psutil.Process(node.holder.pid).children():
        try:
            words = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if words and not words.startswith("sshd:"):
            yield f"{RUNS}{words}"


def _describe_port(row: Mapping[str, Any]) -> dict[str, str]:
    """MTU, whether it is switched on, its own settings, and its addresses with all that they say but how long."""
    lives = ("valid_life_time", "preferred_life_time")
    addresses = [{key: one[key] for key in one if key not in lives} for one in row.get("addr_info", ())]
    own = {key: row.get(key) for key in ("address", "master", "txqlen", "altnames")}
    return {
        f"mtu of {row['ifname']}": f"{row['mtu']}, {'up' if 'UP' in row['flags'] else 'down'}",
        f"settings of {row['ifname']}": json.dumps(own),
        f"addresses of {row['ifname']}": " ".join(sorted(json.dumps(one, sort_keys=True) for one in addresses)),
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not as it was, a line each."""
    return [
        f"{name}: {before.get(name, 'nothing')} -> {after.get(name, 'nothing')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) and (name in after or not name.startswith(RUNS))
    ]


def differences_of(node: LabNode, before: Snapshot, *, settle_s: float = SETTLE_S) -> list[str]:
    """What is not as it was once the network has settled: an address takes a moment to come and go."""
    deadline_s = time.monotonic() + settle_s
    while True:
        found = differences(before, take_snapshot(node))
        if not found or time.monotonic() > deadline_s:
            return found
        time.sleep(0.2)
