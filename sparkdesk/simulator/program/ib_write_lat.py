"""`ib_write_lat` of a node: how long a small RDMA write takes from one node's port to another's.

The one rule: as for ib_write_bw, the two ports must really reach each other; the figures are then made up for the
simulator, as no capture of a Spark's is known. Options and columns as perftest has them.
"""

from __future__ import annotations

from ib_write_bw import Plan, meet_client, meet_server, serve

_TYPICAL_USEC = 1.8
_RULE = "-" * 87
_COLUMNS = (" #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   "
            "99% percentile[usec]   99.9% percentile[usec]")  # fmt: skip


def main(arguments: list[str]) -> int:
    """`ib_write_lat -d DEVICE [options] [HOST]`."""
    return serve(arguments, "ib_write_lat", _wait, _ask)


def _wait(plan: Plan) -> int:
    """The side that is written to; it measures as well."""
    with meet_client(plan) as (end, _other):
        while end.recv(64):
            pass
    _tell(plan)
    return 0


def _ask(plan: Plan) -> int:
    """The side that writes."""
    with meet_server(plan):
        pass
    _tell(plan)
    return 0


def _tell(plan: Plan) -> None:
    usec = _TYPICAL_USEC
    cells = (usec * 0.96, usec * 2.4, usec, usec * 1.01, 0.06, usec * 1.06, usec * 2.4)
    row = "           ".join(f"{cell:.2f}" for cell in cells)
    size = 2 if plan.size == 65536 else plan.size  # its own usual size
    print(f"{_RULE}\n                    RDMA_Write Latency Test\n"
          f" Dual-port       : OFF\t\tDevice         : {plan.device}\n Number of qps   : 1\t\tTransport type : IB\n"
          f" Link type       : Ethernet\n{_RULE}\n{_COLUMNS}\n"
          f" {size:<7} {min(plan.iterations, 1000):<14} {row}\n{_RULE}")  # fmt: skip
