"""A magic packet is what the standard says, and it reaches a socket that listens for broadcasts."""

from __future__ import annotations

import socket

import pytest

from sparkdesk.core.errors import Unreachable
from sparkdesk.infra import wake
from sparkdesk.infra.wake import MagicPacketWaker, broadcast_addresses, magic_packet

MAC = "4c:bb:47:00:01:10"


def test_a_packet_is_the_address_sixteen_times_behind_six_bytes() -> None:
    packet = magic_packet(MAC)
    assert (len(packet), packet[:6], packet[6:]) == (102, b"\xff" * 6, bytes.fromhex("4cbb47000110") * 16)
    assert magic_packet("4C-BB-47-00-01-10") == packet
    for nonsense in ("", "4c:bb", "4c:bb:47:00:01:zz", MAC + ":00", f"{MAC}\n"):
        with pytest.raises(ValueError, match="no"):
            magic_packet(nonsense)


def test_it_goes_to_this_network_and_to_those_where_the_node_was_met() -> None:
    found = broadcast_addresses(["192.168.1.7", "spark-1.local", "fe80::1", "10.42.0.11", "192.168.1.9"])
    assert found == ("255.255.255.255", "192.168.1.255", "10.42.0.255")


async def test_a_listener_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "LIMITED", "127.255.255.255")  # nothing leaves this machine
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("0.0.0.0", 0))
        listener.settimeout(10)
        await MagicPacketWaker(ports=(listener.getsockname()[1],)).wake([MAC, "nonsense"], ["spark-1.local"])
        data, _ = listener.recvfrom(2048)
    assert data == magic_packet(MAC)


async def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(Unreachable, match="no hardware address") as caught:
        await MagicPacketWaker().wake(["nonsense"], [])
    assert caught.value.remedy
