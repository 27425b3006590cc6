"""Whether the addresses and the MTU of a port come again with the next start, or were set by hand.

The one rule: only a file makes something last: netplan's own, as far as they could be read, else the units of
systemd-networkd. Where neither tells, it is not known; what lies in /run/netplan is gone with the next start.
"""

from __future__ import annotations

import ipaddress
import re

from sparkdesk.core.bringup.netplan import NETWORK_MANAGER, gives_address, mtu_in
from sparkdesk.core.bringup.reading import Interface, NetplanFile, NodeReading

ETHERNET_MTU = 1500
"""What a port has by itself. Source: the kernel's ether_setup, ETH_DATA_LEN."""


def is_address_lasting(reading: NodeReading, port: Interface, address: ipaddress.IPv4Interface) -> bool | None:
    """Whether an address that stands comes again. Where nothing that netplan reads so much as names it, it was set by
    hand; NetworkManager has files of its own."""
    text = str(address)
    if text in port.leased:
        return True
    files = _lasting_files(reading)
    units = port.unit_addresses if _do_units_last(reading) else None
    if any(gives_address(file.content or "", port.name, text) for file in files) or text in (units or ()):
        return True
    if reading.renderer == NETWORK_MANAGER or any(str(address.ip) in (file.content or "") for file in files):
        return None
    return False if _is_read(reading) or units is not None else None


def is_mtu_lasting(reading: NodeReading, port: Interface) -> bool | None:
    """Whether the MTU that stands comes again."""
    if port.mtu in (None, ETHERNET_MTU):
        return None if port.mtu is None else True
    files = _lasting_files(reading)
    by_name = sorted(files, key=lambda file: file.path.rpartition("/")[2])
    given = [mtu for file in by_name if (mtu := mtu_in(file.content or "", port.name)) is not None]
    units = port.unit_mtu if _do_units_last(reading) else None
    if given[-1:] == [port.mtu] or units == port.mtu:
        return True
    # A pattern (match:) may be true of this port, under any name.
    is_named = any(re.search(rf"\b{port.mtu}\b", file.content or "") for file in files)
    if reading.renderer == NETWORK_MANAGER or (is_named and not given):
        return None
    return False if _is_read(reading) or units is not None else None


def _lasting_files(reading: NodeReading) -> list[NetplanFile]:
    return [file for file in reading.netplan or () if not file.path.startswith("/run/")]


def _do_units_last(reading: NodeReading) -> bool:
    """netplan makes units of its files in /run too, and those go."""
    return reading.netplan is not None and len(_lasting_files(reading)) == len(reading.netplan)


def _is_read(reading: NodeReading) -> bool:
    is_whole = reading.netplan is not None and "netplan" not in reading.problems
    return is_whole and all(file.content is not None for file in _lasting_files(reading))
