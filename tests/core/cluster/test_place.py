"""What a person types as a place is read, or it is said that it cannot be."""

from __future__ import annotations

import pytest

from sparkdesk.core.cluster.enrolment import Place, Who, read_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.1", Place("me", "10.0.0.1", 22)),
        ("bob@gate.example:2222", Place("bob", "gate.example", 2222)),
        ("[fe80::1%enp1s0f0np0]:22", Place("me", "fe80::1%enp1s0f0np0", 22)),
        ("bob@[::1]", Place("bob", "::1", 22)),
        ("fe80::1%enp1s0f0np0", Place("me", "fe80::1%enp1s0f0np0", 22)),
        ("spark_1", Place("me", "spark_1", 22)),
    ],
)
def test_a_place_is_read(text: str, place: Place) -> None:
    assert read_place(text, user="me") == place


@pytest.mark.parametrize(
    "text", ["", "a b", "-x", "host:", "host:0", "host:99999", "host:x", "@", "[::1", "$(id)", "a;b"]
)
def test_what_is_no_place_is_none(text: str) -> None:
    assert read_place(text, user="me") is None


def test_a_user_and_an_address_are_enough() -> None:
    assert Who("10.0.0.1", user="nvidia").problem() == ""
    assert Who("fe80::1%enp1s0f0np0", user="nvidia", jump="bob@gate").problem() == ""
    assert "user name" in Who("10.0.0.1").problem()


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("10.0.0.1", True), ("spark-1.local", True), ("fe80::1%enp1s0f1np1", True), ("2001:db8::7", True),
        ("10.0.0.1:", False), ("10.0.0.1:22", False), ("fe80::1%", False), ("1:2:3", False), (":", False),
        ("spark:", False), ("::1%a b", False),
    ],
)  # fmt: skip
def test_an_address_is_a_name_or_an_ip_address_and_nothing_else(address: str, is_right: bool) -> None:
    assert (Who(address, user="bob").problem() == "") is is_right
