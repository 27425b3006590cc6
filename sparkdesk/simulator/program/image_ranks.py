"""The ranks of an all_gather in simulated containers: they meet by TCP at MASTER_ADDR:MASTER_PORT, as torchrun's do.

The one rule: whom a rank cannot reach by packets it does not gather with; how long the data takes follows from the
ports of all ranks, and the devices' counters move meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from datetime import timedelta
from typing import Any

import rdma_rate
from ib_write_bw import moving
from spark_state import read_text

_RETRY_S = 0.1
_CONNECT_S = 1.0
_real_clock = time.perf_counter
_group: list[_Group] = []


class _Clock:
    """What an all_gather takes is what the model says, not what this computer does meanwhile."""

    gone_s = 0.0


class _Group:
    """Rank 0 has a line to each other one. Raises OSError or RuntimeError when they do not meet."""

    def __init__(self, timeout_s: float) -> None:
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._ends: list[socket.socket] = []
        self._lines: list[Any] = []
        if self.rank == 0:
            with socket.create_server((address, port)) as listener:
                listener.settimeout(timeout_s)
                for _other in range(self.world - 1):
                    self._add(listener.accept()[0], timeout_s)
        else:
            self._add(_connect(address, port, timeout_s), timeout_s)
        self.busbw_gbs = 0.0
        self.devices: list[str] = []

    def _add(self, end: socket.socket, timeout_s: float) -> None:
        end.settimeout(timeout_s)
        self._ends.append(end)
        self._lines.append(end.makefile("rw", encoding="ascii"))

    def gather(self, own: object) -> list[Any]:
        """What every rank has given, by rank."""
        if self.rank:
            _send(self._lines[0], [self.rank, own])
            return list(_receive(self._lines[0]))
        rows = sorted([[0, own], *(_receive(line) for line in self._lines)], key=lambda row: int(row[0]))
        if [row[0] for row in rows] != list(range(self.world)):
            raise RuntimeError("two processes have one rank")
        given = [row[1] for row in rows]
        for line in self._lines:
            _send(line, given)
        return given

    def close(self) -> None:
        """Leave the others."""
        for one in (*self._lines, *self._ends):
            one.close()


def _connect(address: str, port: int, timeout_s: float) -> socket.socket:
    over_s = _real_clock() + timeout_s
    while True:
        try:
            return socket.create_connection((address, port), _CONNECT_S)
        except OSError as error:
            if _real_clock() > over_s:
                words = f"The client socket has timed out while trying to connect to ({address}, {port})"
                raise RuntimeError(words) from error
            time.sleep(_RETRY_S)


def _send(line: Any, value: object) -> None:
    line.write(json.dumps(value) + "\n")
    line.flush()


def _receive(line: Any) -> Any:
    text = line.readline()
    if not text:
        raise RuntimeError("Connection closed by peer")
    return json.loads(text)


def begin(backend: str, timeout: timedelta = timedelta(minutes=30)) -> None:
    """torch.distributed.init_process_group: meet, and find the way of the data. Raises RuntimeError."""
    has = os.environ.get("SPARKDESK_CONTAINER", "").split()
    if backend not in ("nccl", "gloo"):
        raise RuntimeError(f"Unknown backend {backend}")
    if "network" not in has:
        raise RuntimeError("The client socket cannot be initialized: the container has not the node's network")
    time.perf_counter = lambda: _Clock.gone_s
    netdev = os.environ.get("NCCL_SOCKET_IFNAME", "").lstrip("=").split(",")[0]
    if netdev and not os.path.isdir(f"/sys/class/net/{netdev}"):
        raise RuntimeError("NCCL error: Bootstrap : no socket interface found")
    group = _Group(timeout.total_seconds())
    _group.append(group)
    group.devices = _find_devices(has) if backend == "nccl" else []
    ways = group.gather([_describe(device) for device in group.devices])
    if not all(ways):
        group.devices = []
    group.busbw_gbs = _busbw(ways, netdev)
    _log(group, netdev)


def _find_devices(has: list[str]) -> list[str]:
    """The RDMA devices that NCCL would use: allowed, named, with a link and an address; none means sockets."""
    if "rdma" not in has or "memlock" not in has or os.environ.get("NCCL_IB_DISABLE") == "1":
        return []
    names = [name.partition(":")[0] for name in os.environ.get("NCCL_IB_HCA", "").lstrip("=").split(",") if name]
    there = rdma_rate.devices()
    active = [name for name in (names or there) if name in there and rdma_rate.is_active(name)]
    return [name for name in active if rdma_rate.port_of(rdma_rate.netdev_of(name))["address"]]


def _describe(device: str) -> list[Any]:
    """Segment, MTU, and the share of what its half should give."""
    netdev = rdma_rate.netdev_of(device)
    port = rdma_rate.port_of(netdev)
    share = rdma_rate.half_gbps(netdev) / rdma_rate.GOOD_GBPS[int(port["half"])]
    return [port["segment"], int(port["mtu"]), share]


def _busbw(ways: list[list[list[Any]]], netdev: str) -> float:
    """GB/s. Raises RuntimeError where two neighbours share no wire."""
    if not all(ways):
        return rdma_rate.MANAGEMENT_GBS if netdev in ("", "enP7s7", "wlP9s9") else rdma_rate.SOCKET_GBS
    world = len(ways)
    pairs = [(ways[rank], ways[(rank + 1) % world]) for rank in range(world if world > 2 else 1)]
    halves = [rdma_rate.common_halves([row[0] for row in one], [row[0] for row in other]) for one, other in pairs]
    if min(halves) == 0:
        raise RuntimeError(
            "NCCL error: unhandled system error: Call to ibv_modify_qp failed with 110 Connection timed out"
        )
    rows = [row for way in ways for row in way]
    is_ring = world > 2 and len({row[0] for row in rows}) > 1
    return rdma_rate.gather_gbs(min(halves), min(row[1] for row in rows), min(row[2] for row in rows), is_ring=is_ring)


def _log(group: _Group, netdev: str) -> None:
    """What NCCL_DEBUG=INFO leaves of the way of the data, in NCCL's words."""
    file = os.environ.get("NCCL_DEBUG_FILE", "")
    if os.environ.get("NCCL_DEBUG") != "INFO" or not file:
        return
    head = f"{read_text('/etc/hostname')}:{os.getpid()}:{os.getpid()} [0] NCCL INFO"
    names = " ".join(f"[{index}]{name}:1/RoCE" for index, name in enumerate(group.devices))
    net = "IB" if group.devices else "Socket"
    rows = [f"NET/IB : Using {names} [RO]; OOB {netdev}:0<0>" if names else "NET/IB : No device found.",
            f"Using network {net}", f"Channel 00/0 : {group.rank}[0] -> {(group.rank + 1) % group.world}[0] [send] via "
            f"NET/{net}/0"]  # fmt: skip
    with open(file, "a", encoding="ascii") as stream:
        stream.writelines(f"{head} {row}\n" for row in rows)


def _now() -> _Group:
    if not _group:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return _group[0]


def rank() -> int:
    """Which of the processes this is."""
    return _now().rank


def world() -> int:
    """How many there are."""
    return _now().world


def barrier() -> None:
    """Wait for all."""
    _now().gather(None)


def gather_data(row: list[int], whole_bytes: int) -> list[list[int]]:
    """The rows of all ranks, after the time that so many bytes take."""
    group = _now()
    rows: list[list[int]] = group.gather(row)
    seconds = whole_bytes * (group.world - 1) / group.world / (group.busbw_gbs * 1e9)
    rate = group.busbw_gbs * 1e9 / max(1, len(group.devices))
    with contextlib.ExitStack() as stack:
        for device in group.devices:
            stack.enter_context(moving(device, received=rate, sent=rate))
        time.sleep(seconds)
    _Clock.gone_s += seconds
    return rows


def end() -> None:
    """torch.distributed.destroy_process_group."""
    _group.pop().close()
