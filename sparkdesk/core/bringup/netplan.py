"""Our netplan file: its text from addresses. Where others' files stand, it adds and no more.

The one rule: the text holds only what was validated here.
netplan joins lists and overrides single settings over all of its files, in the order of their names; a file in /run
stands for the one of the same name in /etc. Source: netplan's reference, and tried with netplan 0.106.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sparkdesk.core.bringup.reading import Interface, NetplanFile
from sparkdesk.core.bringup.scheme import HalfAddress

OUR_FILE = "/etc/netplan/90-sparkdesk.yaml"
TRIAL_FILE = "/run/netplan/90-sparkdesk.yaml"
MIN_MTU, MAX_MTU = 576, 65535
"""What IPv4 asks for, and the longest packet that it knows. Source: RFC 791."""

_HEADER = f"""# Written by SparkDesk, for the CX-7 ports named below. Other files and other ports are left as they are.
# To remove it: sudo rm {OUR_FILE} && sudo netplan apply
network:
  version: 2
  ethernets:
"""
_LINK_LOCAL = """    # IPv6 link-local stays on: SparkDesk sees the cabling by it and reaches Sparks without an address.
"""
_OPTIONAL = """    # optional: a start does not wait for a cable that is out.
"""
_NETDEV = re.compile(r"[A-Za-z][A-Za-z0-9]{0,14}")
NETWORK_MANAGER = "NetworkManager"


_OUR_BLOCK = re.compile(
    rf"    ({_NETDEV.pattern}):\n"
    r"(?:      dhcp4: yes\n)?(?:      dhcp4: no\n      dhcp6: no\n)?(?:      link-local: \[ipv6\]\n)?"
    r"      optional: true\n      mtu: ([0-9]{3,5})\n(?:      addresses: \[([0-9./]{9,18})\]\n)?"
)


@dataclass(frozen=True, slots=True)
class OurBlock:
    """What our file says of one port. `address` "": none."""

    netdev: str
    text: str
    mtu: int
    address: str = ""


def read_ours(text: str) -> tuple[OurBlock, ...] | None:
    """The ports of a file that we wrote; None for one that somebody else wrote, or changed by a letter."""
    if not text.startswith(_HEADER):
        return None
    rest = text.removeprefix(_HEADER).removeprefix(_LINK_LOCAL).removeprefix(_OPTIONAL)
    found: dict[str, OurBlock] = {}
    while rest:
        start = _OUR_BLOCK.match(rest)
        if start is None or start[1] in found or not MIN_MTU <= int(start[2]) <= MAX_MTU:
            return None
        try:
            address = str(ipaddress.IPv4Interface(start[3])) if start[3] else ""
        except ValueError:
            return None
        found[start[1]] = OurBlock(start[1], start[0], int(start[2]), address)
        rest = rest[start.end() :]
    blocks = tuple(found.values())
    return blocks if blocks and text == _whole(blocks) else None


def netplan_text(addresses: Sequence[HalfAddress], former: Sequence[OurBlock] = ()) -> str:
    """The whole file; "" when it would name no port. Raises ValueError for what is no port, address or MTU.

    A port of which another file gives the address, or DHCP, gets its MTU only. `former` is what our file says so far:
    what it gives to other ports, or gives to these as it is wanted, stays.
    """
    blocks = {one.netdev: one for one in former}
    if len({one.netdev for one in addresses}) < len(addresses):
        raise ValueError("a port has one address of ours")
    for one in addresses:
        text, stands = _block(one), blocks.get(one.netdev)
        if stands is not None and stands.address == one.address and not one.leased:
            text = stands.text.replace(f"mtu: {stands.mtu}\n", f"mtu: {one.mtu}\n")
        if text:
            blocks[one.netdev] = OurBlock(one.netdev, text, one.mtu)
    return _whole(tuple(blocks.values()))


def _whole(blocks: Sequence[OurBlock]) -> str:
    text = "".join(one.text for one in blocks)
    has_link_local = "link-local" in text
    return f"{_HEADER}{_LINK_LOCAL if has_link_local else ''}{_OPTIONAL}{text}" if text else ""


def _block(one: HalfAddress) -> str:
    if _NETDEV.fullmatch(one.netdev) is None or not MIN_MTU <= one.mtu <= MAX_MTU:
        raise ValueError(f"not a port and its MTU: {one.netdev!r}, {one.mtu}")
    address = str(ipaddress.IPv4Interface(one.address))
    is_given = one.is_set_elsewhere or one.is_leased
    if is_given and not one.needs_mtu:
        return ""
    lines = [f"    {one.netdev}:"]
    if one.leased:  # a file of ours for this port alone would end a lease that a pattern of another file asked for
        lines += ["      dhcp4: yes"]
    if one.origin == "chosen" and not one.beside:  # with others' addresses there, DHCP may be where they come from
        lines += ["      dhcp4: no", "      dhcp6: no"]
    if one.origin == "chosen":
        lines += ["      link-local: [ipv6]"]
    lines += ["      optional: true", f"      mtu: {one.mtu}"]
    lines += [""] if is_given else [f"      addresses: [{address}]", ""]
    return "\n".join(lines)


def gives_address(text: str, netdev: str, address: str) -> bool:
    """Whether a netplan file, anybody's, gives this port this address. What it does not understand, it denies."""
    wanted = re.compile(rf"(?<![0-9.]){re.escape(address)}(?![0-9])")
    return any(wanted.search(line) for block in _blocks_of(text, netdev) for line in block)


def addresses_in(text: str, netdev: str) -> tuple[str, ...]:
    """The IPv4 addresses that a netplan file, anybody's, gives this port, as far as it is understood."""
    blocks = ("\n".join(block) for block in _blocks_of(text, netdev))
    lists = [found for block in blocks for found in _ADDRESS_LIST.findall(block)]
    return tuple(dict.fromkeys(one for words in lists for one in _ADDRESS.findall(words)))


_ADDRESS_LIST = re.compile(r"\baddresses[\"']?:\s*(\[[^]]*\]|(?:-[^\n]*\s*)+)")
_ADDRESS = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}/[0-9]{1,2}(?![0-9])")


def _blocks_of(text: str, netdev: str) -> Iterator[list[str]]:
    """What a netplan file says of a port, by lines without comments."""
    lines = [line.split("#")[0].rstrip() for line in text.splitlines()]
    pattern = re.compile(rf"^( *)[\"']?{re.escape(netdev)}[\"']?:(.*)$")
    for number, line in enumerate(lines):
        start = pattern.match(line)
        if start is None:
            continue
        block = [start[2]]
        for below in lines[number + 1 :]:
            if below.strip() and len(below) - len(below.lstrip()) <= len(start[1]):
                break
            block.append(below)
        yield block


def names_manager(file: NetplanFile) -> bool:
    """Whether a file has NetworkManager set ports, as far as its name and text tell.

    Source: NetworkManager's own files are called 90-NM-UUID.yaml (netplan.io, "netplan and NetworkManager").
    """
    lines = (line.split("#")[0] for line in (file.content or "").splitlines())
    is_named = any(re.search(r"\brenderer[\"']?: *[\"']?NetworkManager\b", line) for line in lines)
    return is_named or file.path.rpartition("/")[2].startswith("90-NM-")


def rival_of(text: str, port: Interface) -> str:
    """The name under which a netplan file takes this port by a pattern ahead of ours; "" when none does.

    systemd-networkd takes the first of netplan's files, which are called after these names, and no other one. Source:
    systemd.network(5); seen with netplan 0.106. What it does not understand, it passes over.
    """
    return next((name for name, block in _patterns(text) if name < port.name and _takes(block, port)), "")


def _patterns(text: str) -> Iterator[tuple[str, str]]:
    """The name and the words of each `match:`."""
    lines = [line.split("#")[0].rstrip() for line in text.splitlines()]
    for number, line in enumerate(lines):
        start = re.match(r"^( *)[\"']?match[\"']?:(.*)$", line)
        if start is None:
            continue
        above = (one for one in reversed(lines[:number]) if one.strip() and _indent(one) < len(start[1]))
        block = [start[2]]
        for below in lines[number + 1 :]:
            if below.strip() and _indent(below) <= len(start[1]):
                break
            block.append(below)
        yield next(above, "").strip().rstrip(":").strip("\"'"), "\n".join(block)


def _takes(block: str, port: Interface) -> bool:
    """Whether a `match:` is true of a port; all that it names must be."""
    words = dict(re.findall(r"\b(name|macaddress)[\"']?: *[\"']?([^\"',}\s]+)", block))
    driver = re.search(r"\bdriver[\"']?: *(\[[^]]*\]|[^,}\n]*)", block)
    if (driver is not None and not re.search(r"mlx5|\*", driver[1])) or not (words or driver):
        return False
    is_name = fnmatch.fnmatchcase(port.name, words["name"]) if "name" in words else True
    return is_name and words.get("macaddress", port.mac).lower() == port.mac


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
