"""What a bring-up may change on a node, as a value that can be held against another: files, groups, network.

The one rule: everything in these folders counts but what is named here: what shadow's tools keep of a file before they
change it (a name ending in "-"), and what installed packages brought.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from tests.lab.lab import USER, LabNode

Snapshot = Mapping[str, str]
"""Path, or "address of enp1s0f0np0" and the like -> how it stands."""
FOLDERS = ("etc", "home", "root", "run/netplan", "run/sparkdesk", "lib/netplan", "var/lib/sparkdesk")
OF_PACKAGES = (
    "etc/default/earlyoom",
    "etc/systemd/system/multi-user.target.wants",
    "etc/systemd/system/multi-user.target.wants/earlyoom.service",
)
BROUGHT = f"home/{USER}/.local"
"""Our own folder of the node: leases and journals of jobs; no setting of the machine."""
PROGRAMS = f"{BROUGHT}/state/sparkdesk/bringup"
"""The programs that a bring-up brings, which go with it."""
SETTLE_S = 30.0
"""However slow the machine is; nobody waits once it is as it was."""


def take_snapshot(node: LabNode) -> Snapshot:
    """The node as it stands now."""
    found: dict[str, str] = {}
    for name in FOLDERS:
        folder = node.root / name
        if folder.is_dir():
            whole = () if name.startswith("run/") else (folder,)  # an empty folder of a boot is nothing
            for path in (*whole, *folder.rglob("*")):
                key = str(path.relative_to(node.root))
                is_other = key.startswith(BROUGHT) and not key.startswith(PROGRAMS)
                if not (key.endswith("-") or key in OF_PACKAGES or is_other):
                    found[key] = _describe(path)
    found[f"groups of {USER}"] = node.run("id", "-Gn", USER).strip()
    for row in json.loads(node.run("ip", "-j", "addr")):
        found |= _describe_port(row)
    routes = json.loads(node.run("ip", "-j", "route"))
    found["routes"] = json.dumps(sorted(f"{row['dst']} {row.get('dev')} {row.get('gateway', '')}" for row in routes))
    return found


def _describe(path: Path) -> str:
    """Kind, mode, owner and content. Links are not followed: those of a node lead out of it from here."""
    about = path.lstat()
    words = f"{stat.filemode(about.st_mode)} {about.st_uid}:{about.st_gid}"
    if stat.S_ISLNK(about.st_mode):
        return f"{words} -> {os.readlink(path)}"
    if stat.S_ISREG(about.st_mode):
        return f"{words} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return words


def _describe_port(row: Mapping[str, object]) -> dict[str, str]:
    """MTU, whether it is switched on, and its addresses."""
    info = row.get("addr_info")
    rows = info if isinstance(info, list) else []
    addresses = sorted(f"{one['local']}/{one['prefixlen']} {one['scope']}" for one in rows)
    flags = row.get("flags")
    state = "up" if isinstance(flags, list) and "UP" in flags else "down"
    return {
        f"mtu of {row['ifname']}": f"{row['mtu']}, {state}",
        f"addresses of {row['ifname']}": " ".join(addresses),
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not as it was, a line each."""
    return [
        f"{name}: {before.get(name, 'nothing')} -> {after.get(name, 'nothing')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def differences_of(node: LabNode, before: Snapshot, *, settle_s: float = SETTLE_S) -> list[str]:
    """What is not as it was once the network has settled: an address takes a moment to come and go."""
    deadline_s = time.monotonic() + settle_s
    while True:
        found = differences(before, take_snapshot(node))
        if not found or time.monotonic() > deadline_s:
            return found
        time.sleep(0.2)
