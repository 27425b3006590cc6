"""`ping` of a node: real echo requests where packets run over the cables, else the model of the cables answers.

The one rule: nobody answers but who would. Where there are no packets only "all nodes of this link" (ff02::1) can be
asked, and the machines that the model joins with the port answer. Words as iputils 20240117 has them.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time

import echo
from ip import eui64
from spark_state import ROOT, read_json, read_text

_HEADER_BYTES = 28  # of IP and ICMP
_LEAST_PAUSE_S = 0.002  # Source: iputils, MIN_USER_INTERVAL_MS
_FLAGS = ("-4", "-6", "-n", "-q", "-b", "-D", "-O")
_VALUES = ("-c", "-w", "-W", "-I", "-i", "-s", "-M", "-t")


def main(arguments: list[str]) -> int:
    """`ping [options] HOST`; a link-local host needs `-I IF` or %IF."""
    values: dict[str, str] = {}
    hosts, left, is_quiet = [], list(arguments), False
    while left:
        word = left.pop(0)
        if word in _VALUES and left:
            values[word] = left.pop(0)
        elif word[:2] in _VALUES and len(word) > 2:
            values[word[:2]] = word[2:]
        elif word.startswith("-") and word not in _FLAGS:
            print(f"ping: invalid option -- '{word[1:2]}'", file=sys.stderr)
            return 2
        elif word == "-q":
            is_quiet = True
        elif not word.startswith("-"):
            hosts.append(word)
    if len(hosts) != 1:
        print("ping: usage error: Destination address required", file=sys.stderr)
        return 2
    host, _percent, scope = hosts[0].partition("%")
    device = scope or values.get("-I", "")
    is_named = bool(device) and "/" not in device and os.path.isdir(f"{ROOT}/sys/class/net/{device}")
    if (device or host.startswith(("ff02:", "fe80:"))) and not is_named:
        print(f"ping: unknown iface: {device}", file=sys.stderr)
        return 2
    try:
        request = _request(host, device, values)
    except ValueError as error:
        print(f"ping: invalid argument: '{error}'", file=sys.stderr)
        return 1
    if read_json("ports")["is_real"]:
        return _ask(request, is_quiet=is_quiet)
    if host != "ff02::1":
        print("ping: connect: Network is unreachable", file=sys.stderr)
        return 2
    return _ask_model(device, max(1, request.probes))


def _request(host: str, device: str, values: dict[str, str]) -> echo.Request:
    """Raises ValueError with the word that is none."""
    numbers = {}
    for name, usual in (("-c", "0"), ("-s", "56"), ("-W", "1"), ("-w", "0"), ("-i", "1")):
        text = values.get(name, usual)
        if not text.replace(".", "", 1).isdecimal() or float(text) > 65507:
            raise ValueError(text)
        numbers[name] = float(text)
    return echo.Request(
        host,
        device,
        int(numbers["-c"]),
        int(numbers["-s"]),
        numbers["-W"],
        numbers["-w"],
        is_whole=values.get("-M") == "do",
        pause_s=max(_LEAST_PAUSE_S, numbers["-i"]),
    )


def _ask(request: echo.Request, *, is_quiet: bool) -> int:
    """Ask by packets."""
    try:
        end, target = echo.open_socket(request)
    except OSError as error:
        print(f"ping: connect: {error.strerror or error}", file=sys.stderr)
        return 2
    own = read_text(f"/sys/class/net/{request.device}/address")
    if ":" in request.host:
        source = f" from {eui64(own)}%{request.device} {request.device}:"
        print(f"PING {request.host} ({request.host}){source} {request.size} data bytes", flush=True)
    else:
        source = f" from {_address_of(request.device)} {request.device}:" if request.device else ""
        size = f"{request.size}({request.size + _HEADER_BYTES}) bytes of data."
        print(f"PING {request.host} ({request.host}){source} {size}", flush=True)
    over_s = time.monotonic() + request.end_s if request.end_s else float("inf")
    sent, errors, answered, begun_s = 0, 0, dict[int, float](), time.monotonic()
    while time.monotonic() < over_s and (not request.probes or sent < request.probes):
        sent += 1
        try:
            echo.send(end, target, sent, request.size)
        except OSError as error:
            mtu = echo.way_mtu(request)
            is_long = error.errno == errno.EMSGSIZE
            words = f"local error: message too long, mtu={mtu}" if is_long else f"sendmsg: {error.strerror}"
            print(f"ping: {words}", file=sys.stderr)
            errors += 1
        is_last = sent == request.probes
        pause_s = min(over_s, time.monotonic() + (request.wait_s if is_last else request.pause_s))
        answered |= _hear(end, request, pause_s, is_last=is_last, is_quiet=is_quiet)
    code = _sum_up(request.host, sent, len(answered), errors, took_s=time.monotonic() - begun_s)
    if answered:
        times = list(answered.values())
        mean = sum(times) / len(times)
        spread = (sum((one - mean) ** 2 for one in times) / len(times)) ** 0.5
        print(f"rtt min/avg/max/mdev = {min(times):.3f}/{mean:.3f}/{max(times):.3f}/{spread:.3f} ms")
    return code


def _address_of(device: str) -> str:
    """Its first IPv4 address."""
    rows = [port for port in read_json("ports")["ports"] if port["netdev"] == device and port["address"]]
    rows += [row for row in read_json("node")["addresses"] if row["device"] == device]
    return str(rows[0]["address"]).partition("/")[0] if rows else "0.0.0.0"


def _hear(
    end: socket.socket, request: echo.Request, until_s: float, *, is_last: bool, is_quiet: bool
) -> dict[int, float]:
    """Tell of who answers until then; the last request is over with its first answer, as iputils has it."""
    found: dict[int, float] = {}
    scope = f"%{request.device}" if request.device and ":" in request.host else ""
    while (left_s := until_s - time.monotonic()) > 0:
        answer = echo.receive(end, left_s)
        if answer is None:
            continue
        found.setdefault(answer.number, answer.time_ms)
        row = f"{answer.size} bytes from {answer.address}{scope}: icmp_seq={answer.number} ttl=64"
        if not is_quiet:
            print(f"{row} time={answer.time_ms:.3f} ms", flush=True)
        if is_last and answer.number == request.probes:
            break
    return found


def _sum_up(host: str, sent: int, received: int, errors: int, *, took_s: float = 0.0) -> int:
    lost = round(100 * (sent - received) / sent) if sent else 0
    wrong = f", +{errors} errors" if errors else ""
    print(f"\n--- {host} ping statistics ---")
    print(f"{sent} packets transmitted, {received} received{wrong}, {lost}% packet loss, time {took_s * 1000:.0f}ms")
    return 0 if received else 1


def _ask_model(device: str, count: int) -> int:
    """Ask the model of the cables."""
    own = eui64(read_text(f"/sys/class/net/{device}/address"))
    port = next((port for port in read_json("ports")["ports"] if port["netdev"] == device), None)
    has_carrier = read_text(f"/sys/class/net/{device}/carrier") == "1"
    print(f"PING ff02::1 (ff02::1) from {own}%{device} {device}: 56 data bytes")
    others = [eui64(mac) for mac, _address in port["peers"]] if port is not None else []
    for number in range(1, count + 1 if has_carrier else 1):
        print(f"64 bytes from {own}%{device}: icmp_seq={number} ttl=64 time=0.05 ms")
        for address in others if number < count or count == 1 else []:
            print(f"64 bytes from {address}%{device}: icmp_seq={number} ttl=64 time=0.30 ms")
    return _sum_up("ff02::1", count, count if has_carrier else 0, 0)
