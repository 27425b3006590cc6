"""Reads the address ranges that a person types for a search: "10.0.20.0/24, 192.168.1.10-40, spark.example".

The one rule: a range is small enough to be asked politely, one knock a host; what is larger is refused with its size.
"""

from __future__ import annotations

import ipaddress
import re

MAX_ADDRESSES = 1024
MAX_CHARS = 1000
_SPAN = re.compile(r"^(\d+\.\d+\.\d+\.\d+)-(\d+\.\d+\.\d+\.\d+|\d{1,3})$")


def read_ranges(text: str) -> tuple[str, ...]:
    """The addresses, each once, in order. Raises ValueError with words for the person."""
    if len(text) > MAX_CHARS:
        raise ValueError("This is too long")
    found: dict[str, None] = {}
    for part in re.split(r"[,;\s]+", text.strip()):
        if not part:
            continue
        for address in _expand(part):
            found[address] = None
        if len(found) > MAX_ADDRESSES:
            raise ValueError(f"This is more than {MAX_ADDRESSES} addresses; write a smaller range")
    return tuple(found)


def range_problem(text: str) -> str:
    """Why the text is no range, in words; "" when it is one, or empty."""
    try:
        read_ranges(text)
    except ValueError as error:
        return str(error)
    return ""


def _expand(part: str) -> list[str]:
    if "/" in part:
        return _expand_network(part)
    span = _SPAN.match(part)
    if span is not None:
        return _expand_span(span.group(1), span.group(2))
    return [str(_address(part))]


def _expand_network(part: str) -> list[str]:
    try:
        network = ipaddress.ip_network(part, strict=False)
    except ValueError:
        raise ValueError(f"{part} is no network; write for example 10.0.20.0/24") from None
    if network.num_addresses > MAX_ADDRESSES:
        raise ValueError(f"{part} has {network.num_addresses} addresses; at most {MAX_ADDRESSES} are searched")
    return [str(address) for address in network.hosts()]


def _expand_span(first: str, last: str) -> list[str]:
    start = _address(first)
    end = _address(last if "." in last else f"{first.rpartition('.')[0]}.{last}")
    count = int(end) - int(start) + 1
    if count < 1:
        raise ValueError(f"{first}-{last} ends before it begins")
    if count > MAX_ADDRESSES:
        raise ValueError(f"{first}-{last} has {count} addresses; at most {MAX_ADDRESSES} are searched")
    return [str(ipaddress.IPv4Address(int(start) + step)) for step in range(count)]


def _address(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError(f"{text[:60]} is no IPv4 address or range") from None
