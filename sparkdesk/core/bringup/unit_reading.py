"""What systemd-networkd's units give each port: its addresses and MTU, as they come again with the next start.

The one rule: what units give is known only where every unit of a port was read. Those that netplan made may be root's
and networkd's alone (mode 640 since netplan 1.0.1, CVE-2022-4968): then nothing is known of them here. Source:
systemd.network(5) and systemd.link(5); networkd-state-file.c for links/INDEX; udev's database for the .link file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from sparkdesk.core.probes import form
from sparkdesk.core.probes.read import Answers, Read, ReadFile, answer_of

INDEXES = ReadFile("/sys/class/net/*/ifindex", max_bytes=64, max_files=256)
LINKS = ReadFile("/run/systemd/netif/links/*", max_files=256)
UDEV = ReadFile("/run/udev/data/n*", max_bytes=8192, max_files=256)
UNITS = tuple(
    ReadFile(path, max_bytes=8192)
    for path in ("/run/systemd/network/*", "/etc/systemd/network/*", "/etc/systemd/network/*.d/*.conf")
)
READS: tuple[Read, ...] = (INDEXES, LINKS, UDEV, *UNITS)
_LASTING = ("/etc/systemd/network/", "/run/systemd/network/10-netplan-")
"""netplan makes its own anew at each start; what else lies in /run is gone then."""
_SYSTEMS = ("/usr/lib/systemd/network/", "/lib/systemd/network/")
"""The distribution's .link files name ports, and set no MTU. Source: systemd's 99-default.link."""


def read_units(answers: Answers) -> Mapping[str, tuple[tuple[str, ...] | None, int | None]]:
    """Addresses and MTU (0: none) by port, as its units give them; None for what is not known. Total."""
    links, udev = (_by_index(answers, read) for read in (LINKS, UDEV))
    units: dict[str, str] = {}
    for read in UNITS:
        answer = answer_of(answers, read)
        units |= dict(answer.texts) if answer.fault is None and not answer.is_cut else {}
    found = {}
    for name, index in form.by_device(answer_of(answers, INDEXES)).items():
        paths = list(_network_paths(links[index])) if index in links else None
        addresses, mtu = _given(paths, units) if paths is not None else (None, None)
        if mtu == 0:
            mtu = _link_mtu(udev.get(index, ""), units)
        found[name] = (addresses, mtu)
    return found


def _by_index(answers: Answers, read: Read) -> dict[str, str]:
    """Texts by the number of their port."""
    return {path.rpartition("/")[2].removeprefix("n"): text for path, text in answer_of(answers, read).texts}


def _network_paths(text: str) -> Iterator[str]:
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in ("NETWORK_FILE", "NETWORK_FILE_DROPINS"):
            yield from (path for path in value.strip().strip('"').split(":") if path)


def _given(paths: Iterable[str], units: Mapping[str, str]) -> tuple[tuple[str, ...] | None, int | None]:
    """What these units say together; nothing where one of them is not known, or does not last."""
    addresses: dict[str, None] = {}
    mtu = 0
    for path in paths:
        if path not in units or not path.startswith(_LASTING):
            return None, None
        for section, key, value in _settings(units[path]):
            if key == "Address" and section in ("[Network]", "[Address]"):
                addresses[_canonical(value)] = None
            elif (section, key) == ("[Link]", "MTUBytes"):
                mtu = int(value) if value.isascii() and value.isdigit() and len(value) <= 5 else 0
    return tuple(addresses), mtu


def _link_mtu(udev: str, units: Mapping[str, str]) -> int | None:
    """The MTU of the .link file by which udev has set the port; 0 for none, None where that is not known."""
    key = "E:ID_NET_LINK_FILE="
    path = next((line.removeprefix(key).strip() for line in udev.splitlines() if line.startswith(key)), "")
    if path.startswith(_SYSTEMS):
        return 0
    return _given([path], units)[1]


def _settings(text: str) -> Iterator[tuple[str, str, str]]:
    section = ""
    for line in text.splitlines():
        section = line.strip() if line.startswith("[") else section
        key, sign, value = line.partition("=")
        if sign:
            yield section, key.strip(), value.strip()


def _canonical(text: str) -> str:
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError:
        return text
