"""`ib_write_bw` of a node: RDMA from one node's port to another's, so that a person can see a cable carry traffic.

Simulated: no data is moved. The counters of both ends are, for as long as a real run would take, at the rate seen on
units (rdma_rate.py). The one rule: the two ports must really reach each other, by packets, on the cable between them.
Options and words as perftest has them; ib_write_lat.py shares them.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import rdma_rate
from ip import eui64
from spark_state import LIVE, ROOT, read_json, read_text

_PORT = 18515
_CONNECT_S = 10.0
_REACH_S = 3.0
_RETRY_S = 0.2
_MAX_LINE_BYTES = 400
_SO_BINDTODEVICE = 25
_RULE = "-" * 87
_VALUES = {
    "-d": "device", "--ib-dev": "device", "-p": "port", "--port": "port", "-D": "seconds", "--duration": "seconds",
    "-s": "size", "--size": "size", "-n": "iterations", "--iters": "iterations", "-i": "ib_port", "-x": "gid",
    "-q": "pairs",
}  # fmt: skip
_FLAGS = ("-F", "--report_gbits", "--CPU-freq", "-R", "--run_infinitely")


SIMULATED = "# simulated: no data is moved"
_NOT_REACHED = (" Completion with error at client\n Failed status 12: wr_id 0 syndrom 0x81\n"
                " (the two ports do not reach each other)")  # fmt: skip
Told = dict[str, object]


@dataclass(frozen=True)
class Plan:
    """What was asked for. `host` is "" at the side that waits; `seconds` is infinite where it never ends."""

    device: str
    netdev: str
    host: str
    port: int
    size: int
    seconds: float
    iterations: int


class Refused(Exception):
    """The words for what cannot be."""


def parse(arguments: list[str], program: str = "ib_write_bw") -> Plan:
    """Raises Refused."""
    values: dict[str, str] = {}
    hosts, words = [], list(arguments)
    while words:
        word, _equals, value = words.pop(0).partition("=")
        if word in _VALUES:
            if not value and not words:
                raise Refused(f"{program}: option requires an argument -- '{word.lstrip('-')}'")
            values[_VALUES[word]] = value or words.pop(0)
        elif word == "--run_infinitely":
            values["endless"] = "1"
        elif word.startswith("-") and word not in _FLAGS:
            raise Refused(f"{program}: invalid option -- '{word.lstrip('-')[:1]}'\n Invalid Command or flag.")
        elif not word.startswith("-"):
            hosts.append(word)
    numbers = {"port": _PORT, "size": 65536, "iterations": 5000, "seconds": 0}
    for name in numbers:
        if name in values:
            if not values[name].isdecimal() or len(values[name]) > 9:
                raise Refused(f" Invalid {name}: {values[name]}")
            numbers[name] = int(values[name])
    if not 1 <= numbers["size"] <= 2**30 or not 1 <= numbers["port"] < 65536 or len(hosts) > 1:
        raise Refused(" Invalid Command or flag.")
    devices = sorted(os.listdir(f"{ROOT}/sys/class/infiniband"))
    device = values.get("device", devices[0])
    if device not in devices:
        raise Refused(f" IB device {device} not found\n Unable to find the Infiniband/RoCE device")
    (netdev,) = os.listdir(f"{ROOT}/sys/class/infiniband/{device}/device/net")
    seconds = float("inf") if "endless" in values else float(numbers["seconds"])
    return Plan(
        device, netdev, hosts[0] if hosts else "", numbers["port"], numbers["size"], seconds, numbers["iterations"]
    )


def main(arguments: list[str]) -> int:
    """`ib_write_bw -d DEVICE [options] [HOST]`: without a host it waits for one that has this node's address."""
    return serve(arguments, "ib_write_bw", _wait, _ask)


def serve(arguments: list[str], program: str, wait: Callable[[Plan], int], ask: Callable[[Plan], int]) -> int:
    """Read the options, and be the side that waits or the one that asks; the exit code."""
    print(SIMULATED, flush=True)
    try:
        plan = parse(arguments, program)
        if not read_json("ports")["is_real"]:
            raise Refused(f"{program}: not simulated here, as no packets run over these cables")
        if read_text(f"/sys/class/infiniband/{plan.device}/ports/1/state") != "4: ACTIVE":
            raise Refused(f" Port number 1 state is Down\n Couldn't set the link layer of {plan.device}")
        return ask(plan) if plan.host else wait(plan)
    except Refused as error:
        print(error, file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f" Couldn't connect to {arguments[-1]}: {error}\n Unable to open file descriptor for socket connection",
              file=sys.stderr)  # fmt: skip
    except KeyboardInterrupt:
        return 130
    return 1


def _wait(plan: Plan) -> int:
    """The side that is written to."""
    with meet_client(plan) as (end, other):
        _head(plan)
        with moving(plan.device, received=_rate(plan, other), sent=0.0):
            while end.recv(64):
                pass
    print(_RULE)
    return 0


@contextlib.contextmanager
def meet_client(plan: Plan) -> Iterator[tuple[socket.socket, Told]]:
    """Wait for the other side, and be reached by it: its connection, and what it told. Raises Refused, OSError."""
    print("\n************************************\n* Waiting for client to connect... *\n"
          "************************************", flush=True)  # fmt: skip
    with socket.create_server(("", plan.port)) as listener:
        end, _address = listener.accept()
    with end, _reachable(plan) as echo:
        end.settimeout(_CONNECT_S)
        other = _tell(end, plan)
        answer = _read_answer(end, echo)
        if answer is None:
            raise Refused(_NOT_REACHED)
        end.settimeout(None)
        yield end, other


def _ask(plan: Plan) -> int:
    """The side that writes."""
    with meet_server(plan) as (end, other):
        rate = _rate(plan, other)
        seconds = plan.seconds or plan.iterations * plan.size / rate
        _head(plan)
        begun_s = time.monotonic()
        with moving(plan.device, received=0.0, sent=rate), contextlib.suppress(KeyboardInterrupt):
            while (left_s := seconds - (time.monotonic() - begun_s)) > 0:
                if select.select([end], [], [], min(left_s, 1.0))[0] and not end.recv(64):
                    break  # the other side has ended
        spent_s = time.monotonic() - begun_s
    gbps = rate * 8 / 1e9
    count = int(rate * spent_s / plan.size)
    print(f" {plan.size:<10} {count:<14} 0.00               {gbps:.2f}\t\t     {rate / plan.size / 1e6:.6f}\n{_RULE}")
    return 0


@contextlib.contextmanager
def meet_server(plan: Plan) -> Iterator[tuple[socket.socket, Told]]:
    """Reach the other side. Raises Refused, OSError."""
    with socket.create_connection((plan.host, plan.port), _CONNECT_S) as end, _reachable(plan) as probe:
        other = _tell(end, plan)
        if not _reach(probe, plan, str(other["link_local"])):
            raise Refused(_NOT_REACHED)
        end.sendall(b"go\n")
        yield end, other


def _tell(end: socket.socket, plan: Plan) -> Told:
    """Say what one's own port is and hear what the other's is. Raises ValueError or OSError."""
    mac = read_text(f"/sys/class/net/{plan.netdev}/address")
    gbps = rdma_rate.half_gbps(plan.netdev)
    end.sendall(json.dumps({"link_local": eui64(mac), "gbps": gbps}).encode() + b"\n")
    line = b""
    while not line.endswith(b"\n") and len(line) < _MAX_LINE_BYTES:
        piece = end.recv(1)
        if not piece:
            raise ValueError("the other side has ended")
        line += piece
    other = json.loads(line)
    if not isinstance(other, dict) or "link_local" not in other or not isinstance(other.get("gbps"), float):
        raise ValueError("it is no program of perftest")
    return other


@contextlib.contextmanager
def _reachable(plan: Plan) -> Iterator[socket.socket]:
    """A socket on one's own port: what comes in there came by that cable."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as end:
        end.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, plan.netdev.encode() + b"\0")
        end.bind(("::", plan.port))
        yield end


def _reach(probe: socket.socket, plan: Plan, address: str) -> bool:
    """Whether a packet goes to the other port and back."""
    scope, over_s = socket.if_nametoindex(plan.netdev), time.monotonic() + _REACH_S
    while time.monotonic() < over_s:
        with contextlib.suppress(OSError):
            probe.sendto(b"reach", (address, plan.port, 0, scope))
        if select.select([probe], [], [], _RETRY_S)[0]:
            with contextlib.suppress(OSError):
                return probe.recv(64) == b"back"
    return False


def _read_answer(end: socket.socket, echo: socket.socket) -> bytes | None:
    """Answer what reaches the port until the other side goes on; None when it gives up."""
    over_s = time.monotonic() + 2 * _REACH_S
    while time.monotonic() < over_s:
        ready = select.select([end, echo], [], [], _RETRY_S)[0]
        if echo in ready:
            _data, sender = echo.recvfrom(64)
            echo.sendto(b"back", sender)
        if end in ready:
            return end.recv(64) or None
    return None


def _rate(plan: Plan, other: Told) -> float:
    """Bytes a second: what the slower of both ports gives."""
    return min(rdma_rate.half_gbps(plan.netdev), float(str(other["gbps"]))) * 1e9 / 8


@contextlib.contextmanager
def moving(device: str, *, received: float, sent: float) -> Iterator[None]:
    """The counters of this port move as long as the block runs, in bytes a second."""
    path = f"{LIVE}/rdma/{os.getpid()}.json"
    with open(path, "w", encoding="ascii") as stream:
        json.dump({"pid": os.getpid(), "device": device, "received": received, "sent": sent}, stream)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _head(plan: Plan) -> None:
    print(f"{_RULE}\n                    RDMA_Write BW Test\n"
          f" Dual-port       : OFF\t\tDevice         : {plan.device}\n Number of qps   : 1\t\tTransport type : IB\n"
          f" Link type       : Ethernet\n{_RULE}\n"
          " #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]",
          flush=True)  # fmt: skip
