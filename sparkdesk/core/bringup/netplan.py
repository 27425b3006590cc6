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
from dataclasses import dataclass, replace

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
    r"(?:      dhcp4: (yes|no)\n)?(      dhcp6: no\n)?(      link-local: \[ipv6\]\n)?"
    r"      optional: true\n      mtu: ([0-9]{3,5})\n(?:      addresses: \[([0-9./, ]{9,200})\]\n)?"
)
_EDITED_HEAD = re.compile(r"(?:(?: *#.*)?\n)*network:\n  version: 2\n  ethernets:\n")
_EDITED_LINE = re.compile(r"      [A-Za-z0-9 _.:/\[\]{},\"'#+=@%-]*")


@dataclass(frozen=True, slots=True)
class OurBlock:
    """What our file says of one port."""

    netdev: str
    mtu: int = 0
    addresses: tuple[str, ...] = ()
    dhcp4: str = ""
    """"yes", "no", or "" where nothing is said of it."""
    is_without_dhcp6: bool = False
    is_link_local: bool = False
    edited: str = ""
    """The lines as they stand, where somebody else has changed the file: then nothing else here is known."""

    @property
    def text(self) -> str:
        """The lines of it."""
        if self.edited:
            return self.edited
        lines = [f"    {self.netdev}:"]
        lines += [f"      dhcp4: {self.dhcp4}"] if self.dhcp4 else []
        lines += ["      dhcp6: no"] if self.is_without_dhcp6 else []
        lines += ["      link-local: [ipv6]"] if self.is_link_local else []
        lines += ["      optional: true", f"      mtu: {self.mtu}"]
        lines += [f"      addresses: [{', '.join(self.addresses)}]"] if self.addresses else []
        return "".join(f"{line}\n" for line in lines)


def read_ours(text: str) -> tuple[OurBlock, ...] | None:
    """The ports of a file that we wrote; None for one that somebody else wrote, or changed by a letter."""
    if not text.startswith(_HEADER):
        return None
    rest = text.removeprefix(_HEADER).removeprefix(_LINK_LOCAL).removeprefix(_OPTIONAL)
    found: dict[str, OurBlock] = {}
    while rest:
        start = _OUR_BLOCK.match(rest)
        if start is None or start[1] in found or not MIN_MTU <= int(start[5]) <= MAX_MTU:
            return None
        try:
            addresses = tuple(str(ipaddress.IPv4Interface(one)) for one in start[6].split(", ")) if start[6] else ()
        except ValueError:
            return None
        block = OurBlock(start[1], int(start[5]), addresses, start[2] or "", bool(start[3]), bool(start[4]))
        found[start[1]] = block
        rest = rest[start.end() :]
    blocks = tuple(found.values())
    return blocks if blocks and text == _whole(blocks) else None


def read_edited(text: str) -> tuple[OurBlock, ...] | None:
    """The ports of our file after somebody's edit, each with its lines as they stand; None where it is not understood.

    remote/trial_notes.py reads a file that is root's alone in the same way.
    """
    head = _EDITED_HEAD.match(text)
    found: dict[str, list[str]] = {}
    name = ""
    for line in text[head.end() :].splitlines() if head is not None else ():
        start = re.fullmatch(rf"    ({_NETDEV.pattern}):", line)
        if start is not None and start[1] not in found:
            name = start[1]
            found[name] = [line]
        elif re.fullmatch(r" *(?:#.*)?", line):
            continue
        elif start is None and name and _EDITED_LINE.fullmatch(line):
            found[name].append(line)
        else:
            return None
    if not found or any(len(lines) < 2 for lines in found.values()):
        return None
    return tuple(OurBlock(name, edited="\n".join((*lines, ""))) for name, lines in found.items())


def netplan_text(addresses: Sequence[HalfAddress], former: Sequence[OurBlock] = ()) -> str:
    """The whole file; "" when it would name no port. Raises ValueError for what is no port, address or MTU.

    A port of which another file gives the address, or DHCP, gets its MTU only. `former` is what our file says so far:
    what it gives to other ports stays, and so does what it says of these beside MTU and address.
    """
    blocks = {one.netdev: one for one in former}
    if len({one.netdev for one in addresses}) < len(addresses):
        raise ValueError("a port has one address of ours")
    for one in addresses:
        block, stands = _block(one), blocks.get(one.netdev)
        if block is not None and not (stands is not None and stands.edited and not one.is_to_set):
            blocks[one.netdev] = block if stands is None or stands.edited else _renew(stands, block, one)
    return _whole(tuple(blocks.values()))


def _renew(stands: OurBlock, block: OurBlock, one: HalfAddress) -> OurBlock:
    """What our file says of a port, with the MTU and address that are wanted now. Of a kept one, ours stays there."""
    addresses = block.addresses if one.origin == "chosen" else (*stands.addresses, *block.addresses)
    return replace(stands, mtu=block.mtu, addresses=tuple(dict.fromkeys(addresses)), dhcp4=block.dhcp4 or stands.dhcp4)


def _whole(blocks: Sequence[OurBlock]) -> str:
    text = "".join(one.text for one in blocks)
    has_link_local = "link-local" in text
    return f"{_HEADER}{_LINK_LOCAL if has_link_local else ''}{_OPTIONAL}{text}" if text else ""


def _block(one: HalfAddress) -> OurBlock | None:
    """What our file says of a port that it does not know yet; None for nothing."""
    if _NETDEV.fullmatch(one.netdev) is None or not MIN_MTU <= one.mtu <= MAX_MTU:
        raise ValueError(f"not a port and its MTU: {one.netdev!r}, {one.mtu}")
    address = str(ipaddress.IPv4Interface(one.address))
    is_given = one.is_set_elsewhere or one.is_leased
    if is_given and not one.needs_mtu and one.is_mtu_lasting is not False:
        return None
    # With others' addresses there, DHCP may be where they come from. Of a lease that a pattern of another file asked
    # for, a file of ours for this port alone would be the end.
    is_ours_alone = one.origin == "chosen" and not one.beside and not one.leased
    return OurBlock(
        one.netdev,
        one.mtu,
        () if is_given else (address,),
        "yes" if one.leased else "no" if is_ours_alone else "",
        is_without_dhcp6=is_ours_alone,
        is_link_local=one.origin == "chosen",
    )


def gives_address(text: str, netdev: str, address: str) -> bool:
    """Whether a netplan file, anybody's, gives this port this address. What it does not understand, it denies."""
    wanted = re.compile(rf"(?<![0-9.]){re.escape(address)}(?![0-9])")
    return any(wanted.search(line) for block in _blocks_of(text, netdev) for line in block)


def addresses_in(text: str, netdev: str) -> tuple[str, ...]:
    """The IPv4 addresses that a netplan file, anybody's, gives this port, as far as it is understood."""
    blocks = ("\n".join(block) for block in _blocks_of(text, netdev))
    lists = [found for block in blocks for found in _ADDRESS_LIST.findall(block)]
    return tuple(dict.fromkeys(one for words in lists for one in _ADDRESS.findall(words)))


def mtu_in(text: str, netdev: str) -> int | None:
    """The MTU that a netplan file, anybody's, gives this port, as far as it is understood; None for none."""
    for first, *lines in _blocks_of(text, netdev):
        indents = [_indent(line) for line in lines if line.strip()]
        while (inner := _INNER.sub(r"\1", first)) != first:  # what is said within, of routes, is not the port's
            first = inner
        own = [line for line in lines if line.strip() and _indent(line) == min(indents)]
        for line in (*first.strip(" {}").split(","), *own):
            if found := _MTU.fullmatch(line):
                return int(found[1])
    return None


_MTU = re.compile(r"\s*[\"']?mtu[\"']?:\s*[\"']?([0-9]{3,5})[\"']?\s*")
_INNER = re.compile(r"(:\s*)(?:\{[^{}]*\}|\[[^\[\]]*\])")
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
