"""Which records mean one machine, and where a machine may be met."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.identity import Likeness, addresses_of, check_new, compare, with_address
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import NodeError

ONE = NodeRecord(
    "1", "spark-1", "10.0.0.1", 22, "nvidia", host_key="ssh-ed25519 AAAA", machine_id="m1", serial_hash="s1"
)


@pytest.mark.parametrize(
    ("changes", "likeness"),
    [
        ({"address": "10.0.0.9", "name": "other"}, Likeness.SAME),
        ({"machine_id": "", "serial_hash": ""}, Likeness.SAME),
        ({"serial_hash": "s2"}, Likeness.COPY),
        ({"machine_id": "m2"}, Likeness.COPY),
        ({"machine_id": "m2", "serial_hash": ""}, Likeness.COPY),
        ({"host_key": "ssh-ed25519 BBBB"}, Likeness.OTHER),
        ({"host_key": ""}, Likeness.OTHER),
    ],
)
def test_host_key_machine_id_and_serial_tell_machines_apart_and_addresses_do_not(
    changes: dict[str, str], likeness: Likeness
) -> None:
    two = replace(ONE, id="2", **changes)  # type: ignore[arg-type]
    assert compare(ONE, two) is likeness
    assert compare(two, ONE) is likeness


def test_a_machine_that_is_known_is_refused_with_the_way_to_add_its_address() -> None:
    with pytest.raises(NodeError, match=r"spark-2 has the same host key as spark-1") as caught:
        check_new(replace(ONE, id="2", name="spark-2"), [ONE])
    assert "add this address to spark-1" in caught.value.remedy


def test_copies_are_never_merged_and_the_remedy_gives_each_what_is_its_own() -> None:
    with pytest.raises(NodeError, match="two machines with the same host key and machine id") as caught:
        check_new(replace(ONE, id="2", name="spark-2", serial_hash="s2"), [ONE])
    assert "machine-id" in caught.value.remedy
    assert "ssh_host_" in caught.value.remedy
    with pytest.raises(NodeError, match="two machines with the same host key") as caught:
        check_new(replace(ONE, id="2", name="spark-2", machine_id="m2"), [ONE])
    assert "rm /etc/machine-id" not in caught.value.remedy


def test_a_node_is_met_at_its_main_address_first_and_at_each_other_once() -> None:
    record = with_address(with_address(ONE, "10.0.0.7", 22), "fe80::1%enp1", 2222)
    assert record.other_addresses == ("10.0.0.7:22", "[fe80::1%enp1]:2222")
    assert addresses_of(record) == (("10.0.0.1", 22), ("10.0.0.7", 22), ("fe80::1%enp1", 2222))
    assert with_address(record, "10.0.0.1", 22) is record
    assert with_address(record, "10.0.0.7", 22) is record


@given(st.lists(st.text(max_size=12), max_size=5).map(tuple))
def test_other_addresses_that_cannot_be_read_are_left_out(others: tuple[str, ...]) -> None:
    for address, port in addresses_of(replace(ONE, other_addresses=others)):
        assert address
        assert 0 < port < 65536
