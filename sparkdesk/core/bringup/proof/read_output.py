"""Reads what the tools of a proof print: ping, arping, perftest, iperf3, NCCL's version, our all_gather, nccl-tests.

The one rule: total, whatever a node prints; what is not there, or is no number that could be, is None. Formats: as
iputils, linux-rdma/perftest, ESnet/iperf and NVIDIA/nccl-tests print them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace

from sparkdesk.core.plain_text import make_line

MAX_CHARS = 20_000
MAX_LINES = 400
SIMULATED = "# simulated"
MOST_GBPS, MOST_GBS = 450.0, 60.0
"""What two cages could give at most, and some more: a figure above is none. Source: arithmetic."""
_PATH = re.compile(r"/sys/class/(net|infiniband)/([A-Za-z0-9_.]{1,64})/(\S{1,80}?):(.{0,60})")
_PING = re.compile(r"PING .{0,200}?(\d{1,6})\(\d{1,6}\) bytes of data")
_COUNTS = re.compile(r"(\d{1,6}) packets transmitted, (\d{1,6}) received")
_RTT = re.compile(r"rtt min/avg/max/mdev = [\d.]{1,12}/([\d.]{1,12})/")
_ARP_REPLY = re.compile(r"reply from \S{1,40} \[((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})\]")
_ARP_END = re.compile(r"Received (\d{1,6}) response")
_BW_HEAD = re.compile(r"BW average\[(Gb/sec|MB/sec|MiB/sec)\]")
_BW_ROW = re.compile(
    r"\s{0,8}\d{1,10}\s{1,40}\d{1,15}\s{1,40}[\d.]{1,12}\s{1,40}([\d.]{1,12})\s{1,40}[\d.]{1,12}\s{0,40}"
)
_LAT_ROW = re.compile(
    r"\s{0,8}\d{1,10}\s{1,40}\d{1,15}\s{1,40}[\d.]{1,12}\s{1,40}[\d.]{1,12}\s{1,40}([\d.]{1,12})(?:\s.{0,200})?"
)
_IPERF = re.compile(r'"sum_received":.{0,400}?"bits_per_second":\s{0,8}([\d.eE+]{1,30})', re.DOTALL)
_IPERF_ERROR = re.compile(r'"error":\s{0,8}"([^"]{1,200})"')
_VERSION = re.compile(r"\(\s?(\d{1,3}), (\d{1,3})(?:, (\d{1,4}))?[^)\n]{0,40}\)")
_AVERAGE = re.compile(r"^# Avg bus bandwidth\s{0,20}:\s{0,20}([0-9.]{1,12})", re.MULTILINE)
_ABSENT = re.compile(r"(?:not found|No such file or directory)\s{0,4}$")
_NO_IMAGE = re.compile(r"No such image|Unable to find image|not found locally|manifest unknown")
_NO_TORCH = re.compile(
    r"No module named 'torch'|has no attribute '_nccl_version'|\"python3?\": executable file not found"
)
_DENIED = re.compile(r"[Oo]peration not permitted|[Pp]ermission denied")


@dataclass(frozen=True, slots=True)
class LinkReading:
    """One half as the kernel tells it. Speed NaN when unknown; `width` is its PCIe lanes, `rdma` its state's word."""

    carrier: bool | None = None
    speed_gbps: float = math.nan
    mtu: int | None = None
    width: int | None = None
    rdma: str = ""


@dataclass(frozen=True, slots=True)
class PingReading:
    """One run of ping."""

    payload_bytes: int
    sent: int
    received: int
    mean_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ArpReading:
    """Who answered for an address, lower-case; `did_end` False: arping did not tell."""

    macs: tuple[str, ...] = ()
    did_end: bool = False


@dataclass(frozen=True, slots=True)
class GatherReading:
    """What one rank says. `busbw_gbs` None: it was not measured, for the reason in `message`."""

    busbw_gbs: float | None = None
    is_wrong: bool = False
    transports: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    nccl: str = ""
    message: str = ""
    remedy: str = ""


def number(text: object, most: float = 1e15) -> float | None:
    """A number from 0 to `most`; None for anything else, NaN too."""
    if isinstance(text, bool) or not isinstance(text, str | int | float) or len(str(text)[:40]) > 32:
        return None
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return None
    return value if 0 <= value <= most else None


def _lines(text: str) -> list[str]:
    return text[-MAX_CHARS:].split("\n")[-MAX_LINES:]


def is_marked_simulated(text: str) -> bool:
    """Whether a line says so: shims and simulated nodes print it."""
    return any(line.startswith(SIMULATED) for line in text.split("\n"))


def read_link(text: str, netdev: str, device: str) -> LinkReading:
    """What `grep -H ""` printed of one half's files."""
    found: dict[str, str] = {}
    for line in _lines(text):
        match = _PATH.match(line)
        if match is not None and match[2] in (netdev, device):
            found[match[3]] = match[4].strip()
    speed, mtu = number(found.get("speed"), 1e7), number(found.get("mtu"), 1e6)
    width = number(found.get("device/current_link_width"), 64)
    return LinkReading(
        {"1": True, "0": False}.get(found.get("carrier", "")),
        speed / 1000 if speed else math.nan,
        int(mtu) if mtu is not None else None,
        int(width) if width else None,
        make_line(found.get("ports/1/state", "").rpartition(": ")[2], max_chars=40),
    )


def read_pings(text: str) -> tuple[PingReading, ...]:
    """Every run of ping in it, in order."""
    found: list[PingReading] = []
    payload: int | None = None
    for line in _lines(text):
        if (head := _PING.search(line)) is not None:
            payload = int(head[1])
        elif payload is not None and (counts := _COUNTS.search(line)) is not None:
            found.append(PingReading(payload, int(counts[1]), min(int(counts[2]), int(counts[1]))))
            payload = None
        elif found and found[-1].mean_ms is None and (mean := _RTT.search(line)) is not None:
            found[-1] = replace(found[-1], mean_ms=number(mean[1], 1e6))
    return tuple(found)


def read_arping(text: str) -> ArpReading:
    """Who answered, and whether arping came to its end."""
    macs = dict.fromkeys(match[1].lower() for line in _lines(text) if (match := _ARP_REPLY.search(line)) is not None)
    return ArpReading(tuple(macs)[:16], any(_ARP_END.search(line) is not None for line in _lines(text)))


def read_bandwidth(text: str) -> float | None:
    """The last average of ib_write_bw in Gb/s; None where the table is in another unit."""
    is_gbps, value = False, None
    for line in _lines(text):
        if (head := _BW_HEAD.search(line)) is not None:
            is_gbps, value = head[1] == "Gb/sec", None
        elif is_gbps and (row := _BW_ROW.fullmatch(line)) is not None:
            value = number(row[1], MOST_GBPS)
    return value


def read_latency(text: str) -> float | None:
    """The last typical latency of ib_write_lat in µs; 0 is none."""
    is_table, value = False, None
    for line in _lines(text):
        if "t_typical[usec]" in line:
            is_table, value = True, None
        elif is_table and (row := _LAT_ROW.fullmatch(line)) is not None:
            value = number(row[1], 1e6) or None
    return value


def read_iperf(text: str) -> float | None:
    """What arrived, in Gb/s, of the end of iperf3's JSON."""
    found = _IPERF.findall(text[-MAX_CHARS:])
    bits = number(found[-1], 1e13) if found else None
    return bits / 1e9 if bits else None


def read_version(text: str) -> str:
    """What `print(torch.cuda.nccl.version())` prints: "2.28.9"; "" when it did not."""
    found = _VERSION.findall(text[-MAX_CHARS:])
    return ".".join(str(int(part)) for part in found[-1] if part) if found else ""


def read_gather(text: str) -> GatherReading | None:
    """The line of our program; nccl-tests' average where it printed that; None when neither is there."""
    said = last_record(text, "all_gather")
    if said is None:
        averages = _AVERAGE.findall(text[-MAX_CHARS:])
        value = number(averages[-1], MOST_GBS) if averages else None
        ways = tuple(way for way in ("NET/IB", "NET/Socket") if re.search(f"via {way}", text[-MAX_CHARS:]))
        return GatherReading(value, transports=ways) if value is not None else None
    is_ok, wrong = said.get("ok") is True, number(said.get("wrong"))
    busbw = number(said.get("busbw_gbs"), MOST_GBS) if is_ok else None
    return GatherReading(
        busbw,
        is_ok and wrong != 0,
        tuple(way for way in _texts(said.get("transports")) if way in ("NET/IB", "NET/Socket")),
        _texts(said.get("devices")),
        make_line(str(said.get("nccl") or ""), max_chars=24),
        make_line(str(said.get("message") or ""), max_chars=300),
        make_line(str(said.get("remedy") or ""), max_chars=200),
    )


def last_record(text: str, kind: str) -> dict[str, object] | None:
    """The last line that a program of ours printed of this kind; None where there is none."""
    for line in reversed(_lines(text)):
        if not line.lstrip().startswith("{"):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value.get("kind") == kind:
            return value
    return None


def _texts(value: object) -> tuple[str, ...]:
    each = value[:8] if isinstance(value, list) else []
    return tuple(make_line(text, max_chars=40) for text in each if isinstance(text, str))


# What went wrong -----------------------------------------------------------------------------------------------------


def is_absent(text: str, tool: str) -> bool:
    """Whether a shell, `env` or `timeout` says that there is no such program."""
    return any(tool in line and _ABSENT.search(line) is not None for line in _lines(text))


def has_no_image(text: str) -> bool:
    """Whether docker says that it has no such image."""
    return _NO_IMAGE.search(text[-MAX_CHARS:]) is not None


def has_no_torch(text: str) -> bool:
    """Whether an image has no Python, no PyTorch or one without NCCL, as docker and Python say it."""
    return _NO_TORCH.search(text[-MAX_CHARS:]) is not None


def is_denied(text: str) -> bool:
    """Whether the account may not do it."""
    return _DENIED.search(text[-MAX_CHARS:]) is not None


def last_words(text: str) -> str:
    """The last line that says something, for a message; iperf3's own error where it names one."""
    errors = _IPERF_ERROR.findall(text[-MAX_CHARS:])
    if errors:
        return make_line(errors[-1], max_chars=200)
    lines = [line.strip() for line in _lines(text) if line.strip(" -*\t\r") and not line.startswith(SIMULATED)]
    return make_line(lines[-1], max_chars=200) if lines else ""
