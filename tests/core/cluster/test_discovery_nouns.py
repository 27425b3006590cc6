"""Ranges, sightings and neighbours: what a search reads and puts together, without touching anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.address_range import MAX_ADDRESSES, range_problem, read_ranges
from sparkdesk.core.cluster.candidate import Candidate, Sighting, Source
from sparkdesk.core.cluster.neighbour import Neighbourhood, SeenHost, read_neighbourhood, strangers
from sparkdesk.core.cluster.node import ClusterRecord, JumpHost, NodeRecord
from sparkdesk.core.cluster.sighting import MAX_CANDIDATES, known_name, likeness_of, merge


def test_every_way_to_write_a_range_is_read() -> None:
    assert read_ranges("10.0.20.0/30") == ("10.0.20.1", "10.0.20.2")
    assert read_ranges("192.168.1.10-12, 192.168.1.12-192.168.1.13;10.0.0.1") == (
        "192.168.1.10", "192.168.1.11", "192.168.1.12", "192.168.1.13", "10.0.0.1",
    )  # fmt: skip
    assert read_ranges("  ") == ()


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/8",
        "10.0.0.9-3",
        "10.0.0.1-400",
        "spark",
        "300.1.1.1",
        "10.0.0.0/33",
        "::/0",
        "1.2.3.4-",
        "a" * 2000,
        "10.0.0.0/22,10.4.0.0/22",
    ],
)
def test_what_is_no_range_or_too_large_is_said(text: str) -> None:
    assert range_problem(text)
    with pytest.raises(ValueError, match=r"."):
        read_ranges(text)


@given(st.text(max_size=80))
def test_any_text_is_a_range_or_a_problem(text: str) -> None:
    assert range_problem(text) or len(read_ranges(text)) <= MAX_ADDRESSES


def found(address: str, source: Source = Source.MDNS, **changes: object) -> Candidate:
    words = Sighting(source, f"{source} {address}")
    return Candidate(id="x", name=address, address=address, sightings=(words,), **changes)  # type: ignore[arg-type]


def test_two_sources_that_saw_one_address_make_one_candidate_with_two_reasons() -> None:
    listed = merge((), found("10.0.0.5", Source.RANGE))
    listed = merge(listed, found("10.0.0.6", Source.MDNS, other_addresses=("10.0.0.5",), likeness="named like a Spark"))
    (only,) = listed
    assert [sighting.source for sighting in only.sightings] == [Source.RANGE, Source.MDNS]
    assert only.other_addresses == ("10.0.0.6",)
    assert only.likeness == "named like a Spark"


def test_one_address_through_another_machine_is_another_candidate() -> None:
    jump = JumpHost("10.0.0.1", 22, "nvidia", "ssh-ed25519 AAAA")
    listed = merge((found("fe80::1%enp1s0f0np0"),), found("fe80::1%enp1s0f0np0", jump=jump))
    assert len(listed) == 2


def test_a_flood_of_strangers_is_bounded() -> None:
    listed: tuple[Candidate, ...] = ()
    for number in range(MAX_CANDIDATES + 50):
        listed = merge(listed, found(f"10.{number // 250}.0.{number % 250}"))
    assert len(listed) == MAX_CANDIDATES


def test_a_node_that_is_known_at_that_place_is_named() -> None:
    node = NodeRecord(
        id="n", name="spark-a", address="10.0.0.5", port=22, user="u", other_addresses=("spark-a.local:22",)
    )
    clusters = [ClusterRecord(id="c", name="C", nodes=(node,))]
    assert known_name(found("10.0.0.5"), clusters) == "spark-a"
    assert known_name(found("SPARK-A.local"), clusters) == "spark-a"
    assert known_name(found("10.0.0.6"), clusters) == ""


def test_a_factory_name_is_a_likeness_and_any_other_is_none() -> None:
    assert likeness_of("spark-5c2d.local") == "named like a Spark"
    assert likeness_of("spark-of-joy") == ""


def seen(port: str, mac: str, greeting: str = "") -> SeenHost:
    return SeenHost(port, "fe80::1", mac, greeting)


def test_own_halves_and_known_nodes_are_no_strangers_and_two_halves_are_one_machine() -> None:
    a = Neighbourhood(
        frozenset({"aa:00:00:00:00:01", "aa:00:00:00:00:02"}),
        (
            seen("enp1s0f0np0", "aa:00:00:00:00:02"),
            seen("enp1s0f0np0", "bb:00:00:00:00:01"),
            seen("enp1s0f0np0", "cc:00:00:00:00:01"),
            seen("enP2p1s0f0np0", "cc:00:00:00:00:02", "SSH-2.0-OpenSSH_9.6"),
        ),
    )
    b = Neighbourhood(frozenset({"bb:00:00:00:00:01"}))
    groups = strangers({"a": a, "b": b})
    assert groups["b"] == ()
    ((first, second),) = groups["a"]
    assert (first.mac, second.mac) == ("cc:00:00:00:00:02", "cc:00:00:00:00:01"), "what answers SSH comes first"


def test_behind_a_switch_each_address_is_its_own() -> None:
    many = tuple(seen("enp1s0f0np0", f"cc:00:00:00:00:0{number}") for number in range(3))
    assert len(strangers({"a": Neighbourhood(frozenset(), many)})["a"]) == 3


@given(st.dictionaries(st.sampled_from(["macs", "seen", "note"]), st.recursive(st.text() | st.integers() | st.none(),
       lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["port", "address", "mac"]), inner),
       max_leaves=12)))  # fmt: skip
def test_no_answer_of_a_node_breaks_the_reading(answer: dict[str, object]) -> None:
    view = read_neighbourhood(answer)
    for host in view.seen:
        assert host.scoped_address.startswith("fe80:")
