#!/usr/bin/env -S python3 -S
"""Stands for ib_write_bw and ib_write_lat: both ends really meet, and the figure is one that a test may set.

The one rule: nothing is said before the two ports have reached each other over the cable: the client comes by TCP, as
perftest's does, and then a packet leaves by its own port to the address of the other's.
Options and words as the simulator's ib_write_bw has them; rows as perftest prints them. Figures: /var/lib/lab/rdma_gbps
and rdma_usec, "DEVICE NUMBER" a line; the slower end counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import sys
import time

PROGRAMS = "/usr/local/lib/lab/program"
sys.path.insert(0, PROGRAMS)

from ib_write_bw import Plan, Refused, parse  # noqa: E402 # type: ignore[import-not-found]

MEET_S = 30.0
REACH_S = 12.0
"""However slow the machine is: nobody waits once they have met, and a client has 25 s in all."""
WRITE_S = 0.2
"""How long a simulated run takes, however long was asked for."""
SIOCGIFADDR = 0x8915
SO_BINDTODEVICE = 25
RULE = "-" * 87
GBPS = {"rocep1s0f0": 92.57, "roceP2p1s0f0": 97.28, "rocep1s0f1": 92.57, "roceP2p1s0f1": 97.28}
"""Source: NVIDIA/dgx-spark-playbooks, connect-two-sparks (perftest): 92.57 + 97.28."""
USEC = 1.8
"""Our own: no capture of a Spark's is known."""


def main() -> int:
    """Wait for the other side, or write to it."""
    is_latency = os.path.basename(sys.argv[0]) == "ib_write_lat"
    print("# simulated", flush=True)
    try:
        plan = parse(sys.argv[1:])
        state = f"/sys/class/infiniband/{plan.device}/ports/1/state"
        if "ACTIVE" not in read(state) or read(f"/sys/class/net/{plan.netdev}/carrier") != "1":
            raise Refused(f" Port number 1 state is Down\n Couldn't set the link layer of {plan.device}")
        figure = meet(plan, is_latency)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f" Couldn't connect to {plan.host or 'the client'}: {error}", file=sys.stderr)
        return 1
    tell(plan, figure, is_latency)
    return 0


def read(path: str, default: str = "") -> str:
    """A file, stripped."""
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return default


def own_figure(device: str, is_latency: bool) -> float:
    """What this end can do: as the test says, else as units do."""
    rows = read(f"/var/lib/lab/{'rdma_usec' if is_latency else 'rdma_gbps'}").splitlines()
    told = {row.split()[0]: float(row.split()[1]) for row in rows}
    return told.get(device, USEC if is_latency else GBPS.get(device, 92.57))


def address_of(netdev: str) -> str:
    """The IPv4 address of a port: what its RoCE v2 GID is made of. Raises Refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            row = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("256s", netdev.encode()))
        except OSError:
            raise Refused(f" Failed to modify QP to RTR\n Unable to Connect the HCA's through the link: {netdev} "
                          "has no IPv4 address") from None  # fmt: skip
    return socket.inet_ntoa(row[20:24])


def meet(plan: Plan, is_latency: bool) -> float:
    """The figure of both ends together. Raises OSError, ValueError or Refused."""
    own = {"address": address_of(plan.netdev), "figure": own_figure(plan.device, is_latency), "size": plan.size}
    end = connect(plan) if plan.host else accept(plan)
    with end:
        end.settimeout(MEET_S)
        other = exchange(end, own)
        reached = reach(plan, str(other["address"])) if plan.host else be_reached(plan, end)
        end.sendall(b"yes\n" if reached else b"no!\n")
        if not reached or end.recv(4) != b"yes\n":
            raise Refused(" Completion with error at client\n Failed status 12: wr_id 0 syndrom 0x81\n"
                          " (the two ports do not reach each other)")  # fmt: skip
        time.sleep(WRITE_S)
    pick = max if is_latency else min
    return float(pick(own["figure"], other["figure"]))


def connect(plan: Plan) -> socket.socket:
    """perftest's client tries once: a server that is not there yet is an error."""
    return socket.create_connection((plan.host, plan.port), MEET_S)


def accept(plan: Plan) -> socket.socket:
    """perftest's server waits as long as it takes."""
    print("\n************************************\n* Waiting for client to connect... *\n"
          "************************************", flush=True)  # fmt: skip
    with socket.create_server(("", plan.port)) as listener:
        return listener.accept()[0]


def exchange(end: socket.socket, own: dict[str, object]) -> dict[str, float]:
    """Say who one is and hear who the other is."""
    end.sendall(json.dumps(own).encode() + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        piece = end.recv(1)
        if not piece:
            raise ValueError("the other side has ended")
        line += piece
    other = json.loads(line)
    assert other["size"] == own["size"], "the two ends were asked for different sizes"
    return dict(other)


def reach(plan: Plan, address: str) -> bool:
    """Whether a packet that leaves by this port reaches the other one's address, and an answer comes back.

    It may come in at the twin: both halves of a cage hear an ARP request, and either answers for the other.
    """
    own = address_of(plan.netdev)
    with datagrams(own) as sender, datagrams(own) as receiver:
        sender.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, plan.netdev.encode() + b"\0")
        receiver.settimeout(0.1)
        over_s = time.monotonic() + REACH_S
        while time.monotonic() < over_s:
            try:
                sender.sendto(str(receiver.getsockname()[1]).encode(), (address, plan.port))
                if receiver.recvfrom(64) == (b"back", (address, plan.port)):
                    return True
            except OSError:
                time.sleep(0.05)
    return False


def datagrams(address: str, port: int = 0) -> socket.socket:
    """A socket at an address of this node."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((address, port))
    return one


def be_reached(plan: Plan, end: socket.socket) -> bool:
    """Answer what comes to this port's address until the client has said how it went."""
    with datagrams(address_of(plan.netdev), plan.port) as echo:
        over_s = time.monotonic() + 2 * REACH_S
        while time.monotonic() < over_s:
            ready = select.select([end, echo], [], [], 0.1)[0]
            if echo in ready:
                port, sender = echo.recvfrom(64)
                echo.sendto(b"back", (sender[0], int(port)))
            if end in ready:
                return end.recv(4, socket.MSG_PEEK) == b"yes\n"
    return False


def tell(plan: Plan, figure: float, is_latency: bool) -> None:
    """perftest's page: its head and its row. The server of a bandwidth test prints no row."""
    name = "RDMA_Write Latency Test" if is_latency else "RDMA_Write BW Test"
    print(f"{RULE}\n                    {name}\n Dual-port       : OFF\t\tDevice         : {plan.device}\n"
          f" Number of qps   : 1\t\tTransport type : IB\n Link type       : Ethernet\n{RULE}")  # fmt: skip
    if is_latency:
        print(" #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   "
              "99% percentile[usec]   99.9% percentile[usec]")  # fmt: skip
        cells = (figure * 0.98, figure * 3, figure, figure * 1.01, 0.06, figure * 1.05, figure * 3)
        print(f" 2       {min(plan.iterations, 1000):<10}   " + "           ".join(f"{cell:.2f}" for cell in cells))
    else:
        print(" #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]")
        if plan.host:
            count = int(figure * 1e9 / 8 / plan.size)
            print(f" {plan.size:<10} {count:<14} 0.00               {figure:.2f}\t\t     {count / 1e6:.6f}")
    print(RULE)


if __name__ == "__main__":
    sys.exit(main())
