"""What the kernel says about this computer's network, as it says it: asked for here, and judged as news or not."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.infra.network_watch import Known, NetworkWatch, take_message

GET_LINK, GET_ADDRESS, GET_ROUTE = 18, 22, 26
REQUEST_DUMP = 0x1 | 0x300
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="rtnetlink is Linux's")


def dump(kind: int) -> Iterator[bytes]:
    """The kernel's answer to "what links, addresses or routes are there", in the words it also uses for changes."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        sock.settimeout(5.0)
        sock.send(struct.pack("=IHHIIBxxx", 20, kind, REQUEST_DUMP, 1, 0, 0))
        while True:
            data = sock.recv(1 << 17)
            (kind_of_first,) = struct.unpack_from("=H", data, 4)
            if kind_of_first == 3:  # NLMSG_DONE
                return
            yield data


@linux
@pytest.mark.parametrize("kind", [GET_LINK, GET_ADDRESS], ids=["links", "addresses"])
def test_what_is_there_is_news_once_and_its_refresh_is_none(kind: int) -> None:
    known: Known = {}
    first = [take_message(known, data) for data in dump(kind)]
    assert first
    assert all(first)
    assert not any(take_message(known, data) for data in dump(kind))
    assert known


@linux
def test_an_address_that_goes_and_comes_again_is_news_both_times() -> None:
    known: Known = {}
    (data, *_) = dump(GET_ADDRESS)
    take_message(known, data)
    gone = bytearray(data)
    at = 0
    while at + 16 <= len(gone):
        length, kind = struct.unpack_from("=IH", gone, at)
        if kind == 20:  # RTM_NEWADDR becomes RTM_DELADDR
            struct.pack_into("=H", gone, at + 4, 21)
        at += (length + 3) & ~3
    assert take_message(known, bytes(gone))
    assert known == {}
    assert take_message(known, data)


@linux
def test_a_link_that_loses_its_carrier_is_news() -> None:
    def link(flags: int) -> bytes:
        return struct.pack("=IHHII", 32, 16, 0, 0, 0) + struct.pack("=BxHiII", 0, 1, 7, flags, 0)

    known: Known = {}
    assert take_message(known, link(0x1 | 0x40))
    assert not take_message(known, link(0x1 | 0x40 | 0x1000))  # another flag that says nothing about the carrier
    assert take_message(known, link(0x1))
    assert not take_message(known, link(0x1))


@given(st.binary(max_size=400))
def test_rubbish_is_no_news_and_no_error(data: bytes) -> None:
    take_message({}, data)


def test_where_nothing_can_be_told_the_reason_is_said() -> None:
    absence = NetworkWatch().absence
    assert (absence == "") == sys.platform.startswith("linux")
