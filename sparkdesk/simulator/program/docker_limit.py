"""The limits and devices of `docker run`, checked as docker's client and daemon check them.

The one rule: what the daemon refuses is refused in its words; what is taken is shown by `inspect`. Source: moby's
daemon/daemon_unix.go and docker/cli's opts, of Docker CE 28.
"""

from __future__ import annotations

import os
import re
from typing import Any

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_LEAST_BYTES = 6 * 2**20
_CAPABILITY_NAMES = """
ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
"""
_CAPABILITIES = frozenset(_CAPABILITY_NAMES.split())
_ULIMIT_NAMES = """
core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack
"""
_ULIMITS = frozenset(_ULIMIT_NAMES.split())
_DEVICES = ("/dev/infiniband", "/dev/nvidia", "/dev/nvhost", "/dev/dri", "/dev/null", "/dev/fuse")  # a Spark has these


class LimitError(Exception):
    """The daemon's words."""


def size_bytes(text: str) -> int:
    """`64g` as docker reads it; the client has checked its form already."""
    match = re.fullmatch(r"([0-9.]+) ?([A-Za-z]*)", text)
    if match is None:
        return -1 if text == "-1" else 0
    return int(float(match[1]) * _UNITS[match[2].lower()[:1]])


def check_limits(options: dict[str, list[str]]) -> dict[str, Any]:
    """What `inspect` shows below HostConfig. Raises LimitError."""
    memory = size_bytes(options.get("memory", ["0"])[-1])
    swap = size_bytes(options.get("memory-swap", ["0"])[-1])
    if 0 < memory < _LEAST_BYTES:
        raise LimitError("Minimum memory limit allowed is 6MB")
    if swap > 0 and memory == 0:
        raise LimitError("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < memory:
        raise LimitError("Minimum memoryswap limit should be larger than memory limit, see usage")
    score = options.get("oom-score-adj", ["0"])[-1]
    if not -1000 <= int(score) <= 1000:
        raise LimitError(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    for name in (*options.get("cap-add", []), *options.get("cap-drop", [])):
        if name.upper().removeprefix("CAP_") not in _CAPABILITIES:
            raise LimitError(f'invalid CapAdd: unknown capability: "CAP_{name.upper().removeprefix("CAP_")}"')
    for device in options.get("device", []):
        outside = device.split(":")[0]
        if not outside.startswith(_DEVICES) and not os.path.exists(outside):
            raise LimitError(f'error gathering device information while adding custom device "{outside}": '
                             "no such file or directory")  # fmt: skip
    return {
        "Memory": memory,
        "MemorySwap": swap or (2 * memory if memory else 0),
        "OomScoreAdj": int(score),
        "ShmSize": size_bytes(options["shm-size"][-1]) if "shm-size" in options else 64 * 2**20,
        "IpcMode": options.get("ipc", ["private"])[-1],
        "CapAdd": options.get("cap-add", []),
        "Binds": options.get("volume", []),
        "Ulimits": [_ulimit(text) for text in options.get("ulimit", [])],
    }


def ulimit_problem(text: str) -> str:
    """Why docker's client refuses this `--ulimit`, or ""."""
    match = re.fullmatch(r"([a-z]+)=(-?\d+)(?::(-?\d+))?", text)
    if match is None:
        return f"invalid ulimit argument: {text}"
    if match[1] not in _ULIMITS:
        return f"invalid ulimit type: {match[1]}"
    soft, hard = int(match[2]), int(match[3] or match[2])
    is_more = hard != -1 and (soft == -1 or soft > hard)
    return f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}" if is_more else ""


def _ulimit(text: str) -> dict[str, Any]:
    name, _equals, value = text.partition("=")
    soft, _colon, hard = value.partition(":")
    return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
