"""What a node prints about its cables is read within bounds, whatever it is."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.beacon import MAX_HEARD, MAX_PORTS, read_view
from sparkdesk.core.cluster.half import Half, HeardBeacon, LldpName, NodeView, cage_of
from sparkdesk.core.cluster.topology import build_topology

PORT = {
    "name": "enp1s0f0np0", "mac": "4C:BB:47:00:00:20", "carrier": True, "speed_mbps": 200000, "mtu": 9000,
    "link_local": "fe80::4ebb:47ff:fe00:20", "addresses": ["192.168.100.10/24"], "rdma": "rocep1s0f0",
    "is_rdma_active": True,
}  # fmt: skip


def test_an_answer_becomes_a_view() -> None:
    answer = {
        "ports": [PORT],
        "macs": ["4c:bb:47:00:00:20", "4c:bb:47:00:00:10"],
        "heard": [["enp1s0f0np0", "n2", "enP2p1s0f0np0", 9, 8]],
        "lldp": [{"port": "enp1s0f0np0", "name": "sn\x1b[31m3700", "mac": "b8:59:9f:00:00:01", "is_bridge": True}],
        "sized_sent": ["enp1s0f0np0"],
    }
    view = read_view("n1", "spark-1", answer)
    assert view.halves == (
        Half(
            "n1", "enp1s0f0np0", "rocep1s0f0", "4c:bb:47:00:00:20", "fe80::4ebb:47ff:fe00:20", True, 200.0, 9000,
            ("192.168.100.10/24",), True,
        ),
    )  # fmt: skip
    assert view.heard == (HeardBeacon("enp1s0f0np0", "n2", "enP2p1s0f0np0", 9, 8),)
    assert view.lldp == (LldpName("enp1s0f0np0", "sn3700", "b8:59:9f:00:00:01", True),)
    assert view.sized_sent == {"enp1s0f0np0"}


def test_what_is_not_as_it_should_be_is_unknown_not_a_number() -> None:
    odd = {**PORT, "mac": "no", "carrier": "1", "speed_mbps": -1, "mtu": True, "link_local": 5, "is_rdma_active": "yes"}
    (half,) = read_view("n1", "", {"ports": [odd, {"name": "a b"}, 7]}).halves
    assert math.isnan(half.speed_gbps)
    assert (half.mac, half.carrier, half.mtu, half.link_local, half.is_rdma_active) == ("", None, None, "", None)


def test_an_endless_answer_is_bounded() -> None:
    row = ["enp1s0f0np0", "n2", "enp1s0f0np0", 1, 1]
    ports = [{**PORT, "name": f"p{number}"} for number in range(99)]
    view = read_view("n1", "", {"ports": ports, "heard": [row] * (MAX_HEARD + 5)})
    assert len(view.halves) == MAX_PORTS
    assert len(view.heard) == MAX_HEARD


def test_a_cage_is_told_by_the_function_number_in_the_name() -> None:
    assert [cage_of(name) for name in ("enp1s0f0np0", "enP2p1s0f1np1", "enp3s0f1", "enP7s7", "")] == [
        "P0", "P1", "P1", "", "",
    ]  # fmt: skip


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["enp1s0f0np0"]),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_port = st.fixed_dictionaries({"name": st.just("enp1s0f0np0")}, optional={key: _json for key in PORT if key != "name"})
_answer = st.fixed_dictionaries(
    {},
    optional={
        "ports": _json | st.lists(_port, max_size=3), "macs": _json, "seen": _json, "lldp": _json, "note": _json,
        "heard": _json | st.lists(st.tuples(_json, _json, _json, _json, _json).map(list), max_size=3),
        "sized_sent": _json,
    },
)  # fmt: skip


@given(_answer)
def test_any_answer_gives_a_view_and_a_topology(answer: dict[str, object]) -> None:
    view = read_view("n1", "spark-1", answer)
    assert isinstance(view, NodeView)
    build_topology({"n1": view}, {})
