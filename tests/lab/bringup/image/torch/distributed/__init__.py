"""Ranks that meet by TCP at MASTER_ADDR:MASTER_PORT, and gather the rules of tensors."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import timedelta
from typing import Any

GOOD_GBS = 23.74
"""Source: NVIDIA/dgx-spark-playbooks#103, a good pair."""
FIGURE = "/var/lib/lab/all_gather_gbs"
RETRY_S = 0.1
_group: list[_Group] = []
_real_clock = time.perf_counter
_gone_s = 0.0
time.perf_counter = lambda: _gone_s  # what an all_gather takes is what the figure says


class _Group:
    """Rank 0 has a line to each other one."""

    def __init__(self, timeout_s: float) -> None:
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self.lines: list[Any] = []
        self._sockets: list[socket.socket] = []
        if self.rank == 0:
            with socket.create_server((address, port)) as listener:
                listener.settimeout(timeout_s)
                for _ in range(self.world - 1):
                    self._add(listener.accept()[0], timeout_s)
        else:
            self._add(_connect(address, port, timeout_s), timeout_s)

    def _add(self, end: socket.socket, timeout_s: float) -> None:
        end.settimeout(timeout_s)
        self._sockets.append(end)
        self.lines.append(end.makefile("rw", encoding="ascii"))

    def gather(self, own: object) -> list[Any]:
        """What every rank has given, by rank."""
        if self.rank:
            _send(self.lines[0], [self.rank, own])
            return list(_receive(self.lines[0]))
        rows = sorted([[0, own], *(_receive(line) for line in self.lines)], key=lambda row: int(row[0]))
        assert [row[0] for row in rows] == list(range(self.world)), "two processes have one rank"
        given = [row[1] for row in rows]
        for line in self.lines:
            _send(line, given)
        return given

    def close(self) -> None:
        for one in (*self.lines, *self._sockets):
            one.close()


def _connect(address: str, port: int, timeout_s: float) -> socket.socket:
    over_s = _real_clock() + timeout_s
    while True:
        try:
            return socket.create_connection((address, port), RETRY_S * 10)
        except OSError as error:
            if _real_clock() > over_s:
                raise RuntimeError(f"The client socket has timed out while trying to connect to ({address}, {port})") \
                    from error  # fmt: skip
            time.sleep(RETRY_S)


def _send(line: Any, value: object) -> None:
    line.write(json.dumps(value) + "\n")
    line.flush()


def _receive(line: Any) -> Any:
    text = line.readline()
    if not text:
        raise RuntimeError("Connection closed by peer")
    return json.loads(text)


def init_process_group(backend: str, timeout: timedelta) -> None:
    has = os.environ["LAB_HAS"].split()
    assert backend == "nccl"
    if "network" not in has:
        raise RuntimeError("The client socket cannot be initialized: the container has no network of the node")
    way = _find_way(has)
    _group.append(_Group(timeout.total_seconds()))
    ways = _group[0].gather(way)
    with open(os.environ["NCCL_DEBUG_FILE"], "a", encoding="ascii") as log:
        devices = " ".join(f"[{index}]{name}:1/RoCE" for index, name in enumerate(way))
        log.write(f"lab:1:1 [0] NCCL INFO NET/IB : Using {devices} [RO]; OOB {os.environ.get('NCCL_SOCKET_IFNAME')}\n"
                  if way else "lab:1:1 [0] NCCL INFO NET/IB : No device found.\n")  # fmt: skip
        net = "IB" if all(ways) else "Socket"
        log.write(f"lab:1:1 [0] NCCL INFO Using network {net}\n")
        log.write(f"lab:1:1 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[0] [send] via NET/{net}/0\n")


def _find_way(has: list[str]) -> list[str]:
    """The RDMA devices that NCCL would use: named, active, allowed; none means sockets. Raises RuntimeError."""
    socket_port = os.environ.get("NCCL_SOCKET_IFNAME", "").lstrip("=")
    for one in filter(None, socket_port.split(",")):
        if not os.path.exists(f"/sys/class/net/{one}"):
            raise RuntimeError("NCCL error: Bootstrap : no socket interface found")
    if "rdma" not in has or "memlock" not in has or os.environ.get("NCCL_IB_DISABLE") == "1":
        return []
    wanted = [name.partition(":")[0] for name in os.environ.get("NCCL_IB_HCA", "").lstrip("=").split(",") if name]
    folder = "/sys/class/infiniband"
    found = []
    for name in wanted or sorted(os.listdir(folder)):
        try:
            (netdev,) = os.listdir(f"{folder}/{name}/device/net")
            with open(f"/sys/class/net/{netdev}/carrier", encoding="ascii") as stream:
                is_up = stream.read().strip() == "1"
        except (OSError, ValueError):
            is_up = False
        if is_up:
            found.append(name)
    return found


def _group_now() -> _Group:
    assert _group, "Default process group has not been initialized"
    return _group[0]


def get_rank() -> int:
    return _group_now().rank


def get_world_size() -> int:
    return _group_now().world


def barrier() -> None:
    _group_now().gather(None)


def all_gather_into_tensor(whole: Any, mine: Any) -> None:
    global _gone_s
    group = _group_now()
    assert whole.count == mine.count * group.world
    rows = group.gather([mine.count, mine.start, mine.step, figure()])
    whole.parts = [type(mine)(*row[:3]) for row in rows]
    busbw = min(row[3] for row in rows)
    _gone_s += whole.count * 4 / (busbw * group.world / (group.world - 1) * 1e9)


def figure() -> float:
    """GB/s of busbw."""
    try:
        with open(FIGURE, encoding="ascii") as stream:
            return float(stream.read())
    except FileNotFoundError:
        return GOOD_GBS


def destroy_process_group() -> None:
    _group.pop().close()
