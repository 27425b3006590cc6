from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.first_run.address import Address, read_address, user_problem


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("spark-5c2d.local", Address("spark-5c2d.local")),
        (" 10.0.20.31 ", Address("10.0.20.31")),
        ("10.0.20.31:2222", Address("10.0.20.31", 2222)),
        ("nvidia@spark-5c2d", Address("spark-5c2d", 0, "nvidia")),
        ("nvidia@spark-5c2d:22", Address("spark-5c2d", 22, "nvidia")),
        ("fe80::1%enp1s0", Address("fe80::1%enp1s0")),
        ("[fd00::7]:22", Address("fd00::7", 22)),
        ("[fd00::7]", Address("fd00::7")),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, wanted: Address) -> None:
    assert read_address(text) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Type the name"),
        ("http://spark-5c2d", "without http"),
        ("spark/1", "without http"),
        ("-oProxyCommand=x", "neither a host name"),
        ("spark 5c2d", "neither a host name"),
        ("spark;reboot", "neither a host name"),
        ("x" * 300, "neither a host name"),
        ("spark:0", "1 to 65535"),
        ("spark:99999", "1 to 65535"),
        ("spark:22x", "1 to 65535"),
        ("spark:٣", "1 to 65535"),
        ("[fd00::7", "[address]:port"),
        ("[fd00::7]22", "[address]:port"),
        ("a b@spark", "letters, digits"),
        ("@spark", "Type the user"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^.*" + reason.replace("[", r"\[").replace("]", r"\]")):
        read_address(text)


@given(st.text(max_size=300))
def test_nothing_that_is_read_can_be_an_option_or_a_command(text: str) -> None:
    try:
        address = read_address(text)
    except ValueError:
        return
    assert not address.host.startswith("-")
    assert not set(address.host) & set(" ;|&$`'\"\\\n/@")
    assert 0 <= address.port <= 65535


@pytest.mark.parametrize("user", ["nvidia", "_apt", "a.b-c_d", "machine$"])
def test_a_user_name_of_linux_is_taken(user: str) -> None:
    assert user_problem(user) == ""


@pytest.mark.parametrize("user", ["", "-l", "a b", "x" * 65, "root;id", "ä"])
def test_another_is_not(user: str) -> None:
    assert user_problem(user)
