"""What a bring-up reads on a node, and how the answers become its `NodeReading`.

The one rule: total, cheap and changes nothing: one request a node, and whatever comes back gives a reading whose gaps
say why. Where details and doctor read the same, the read and its parser are theirs.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sparkdesk.core.bringup import mesh, netplan_reading
from sparkdesk.core.bringup.reading import Interface, NodeReading
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes import form
from sparkdesk.core.probes.cage_half import CAGE_NAMES, HALF_READS, NET_ADDRESSES, build_halves
from sparkdesk.core.probes.details import (
    CLOCK,
    NCCL_FILES,
    NO_NCCL,
    OWN_NCCL_FILES,
    PACKAGES,
    SUDO,
    parse_packages,
    parse_sudo,
    read_dgx_os,
    read_nccl,
)
from sparkdesk.core.probes.doctor_docker import DAEMON_FILE, DAEMON_PID, MEMBERS, SERVER, SERVICE, UNITS, is_denied
from sparkdesk.core.probes.doctor_system import TIME
from sparkdesk.core.probes.read import Answer, Answers, Read, ReadCommand, ReadFile, answer_of

TOOLS = ("ib_write_bw", "ib_write_lat", "iperf3", "netplan", "arping", "earlyoom", "all_gather_perf", "ethtool")
"""What steps and proof call, or look for."""
GUARDS = ("earlyoom", "systemd-oomd")

_PLACE_SCRIPT = """printf 'home %s\\nhost %s\\nconnection %s\\n' "$HOME" "$(uname -n)" "${SSH_CONNECTION-}\""""
_TOOL_SCRIPT = """for t in "$@"; do
command -v "$t" > /dev/null || [ -x "$HOME/nccl-tests/build/$t" ] && echo "$t yes" || echo "$t no"
done"""
"""Source: NVIDIA/dgx-spark-playbooks, nccl: nccl-tests are built in the home, not installed."""
PLACE = ReadCommand(("sh", "-c", _PLACE_SCRIPT), max_bytes=2048)
PROGRAMS = ReadCommand(("sh", "-c", _TOOL_SCRIPT, "sh", *TOOLS), max_bytes=2048)
ADDRESSES = ReadCommand(("ip", "-j", "-4", "addr", "show"), max_bytes=64 * 1024)
ROUTES = ReadCommand(("ip", "-j", "-4", "route", "show"), max_bytes=64 * 1024)
ALL_ROUTES = ReadCommand(("ip", "-j", "-4", "route", "show", "table", "all"), max_bytes=64 * 1024)
"""Networks of VPNs stand in tables of their own; where `ip` does not know the word, the main table must do."""
NET_MTUS, NET_CARRIERS, NET_SPEEDS, NET_STATES = (
    ReadFile(f"/sys/class/net/*/{name}", max_bytes=64, max_files=256)
    for name in ("mtu", "carrier", "speed", "operstate")
)
"""A port that is switched off refuses carrier and speed. Source: the kernel's sysfs-class-net ABI."""
UPPERS = ReadFile("/sys/class/net/*/upper_*/uevent", max_bytes=256, max_files=64)
"""What is built on a port. Source: the kernel's sysfs-class-net and netdev_adjacent_sysfs_add."""
INET6 = ReadFile("/proc/net/if_inet6", max_bytes=16384)
ROUTES6 = ReadFile("/proc/net/ipv6_route", max_bytes=32768)
RDMA_STATES = ReadFile("/sys/class/infiniband/*/ports/1/state", max_bytes=64, max_files=32)
IMAGES = ReadCommand(("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"), timeout_s=8.0)
_TOLD_SCRIPT = """r=${SPARKDESK_ROOT-}; h=$(command -v nvidia-container-runtime-hook) && [ -e "$r$2" ] || exit 0
if [ -e "$r$1" ]; then [ -r "$r$1" ] || exit 0; grep -q '"nvidia"' "$r$1" && { echo known; exit 0; }; fi
[ -z "$(find -L "$h" -cnewer "$r$2")" ] && echo known || echo untold"""
TOOLKIT_KNOWN = ReadCommand(("sh", "-c", _TOLD_SCRIPT, "sh", DAEMON_FILE, DAEMON_PID), max_bytes=256)
GUARD_STATES = tuple(ReadCommand(("systemctl", "is-active", unit), max_bytes=256) for unit in GUARDS)
DOCKER_UNITS = ReadCommand(("systemctl", "is-active", *UNITS), max_bytes=256)
GUARD_ENABLED = ReadCommand(("systemctl", "is-enabled", GUARDS[0]), max_bytes=256)

READS: tuple[Read, ...] = tuple(
    dict.fromkeys(
        (
            form.DGX_RELEASE, form.KERNEL, form.DRIVER, *HALF_READS, NCCL_FILES, OWN_NCCL_FILES, NET_MTUS,
            NET_CARRIERS, NET_SPEEDS, NET_STATES, UPPERS, RDMA_STATES, INET6, ROUTES6, *netplan_reading.READS, CLOCK,
            SERVER, IMAGES, TIME, form.USER, form.GROUPS, MEMBERS, SUDO, SERVICE, form.TOOLKIT, TOOLKIT_KNOWN, PACKAGES,
            PLACE, PROGRAMS, ADDRESSES, ROUTES, ALL_ROUTES, *GUARD_STATES, DOCKER_UNITS,
            GUARD_ENABLED, *mesh.READS,
        )
    )
)  # fmt: skip

MAX_ITEMS = 256
MAX_IMAGES = 64
MAX_PROBLEM_CHARS = 300
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
"""An interface's name as we take it. Source: the kernel's IFNAMSIZ; dev_valid_name allows more than we ever need."""
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,200}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""Source: distribution/reference, the grammar of a tagged name."""
_TAKEN_TYPES = ("unicast", "blackhole", "unreachable", "prohibit", "throw")
"""Routes that claim a network; "local" and the like are of the node's own addresses. Source: ip-route(8)."""
FORM_PROBLEM = "the answer has another form than expected"


class _Gaps:
    """The reasons for what is not known, as they are met."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.problems: dict[str, str] = {}

    def answer(self, read: Read) -> Answer:
        """The answer to a read."""
        return answer_of(self.answers, read)

    def note(self, field: str, answer: Answer, otherwise: str = FORM_PROBLEM) -> None:
        """Say why a field is not known."""
        self.problems[field] = make_line(answer.why() or otherwise, max_chars=MAX_PROBLEM_CHARS)

    def line(self, field: str, read: Read, parse: Callable[[str], str] = str) -> str:
        """A field that is one line of an answer."""
        answer = self.answer(read)
        found = make_line(parse(answer.text), max_chars=200).strip() if answer.is_ok else ""
        if not found:
            self.note(field, answer)
        return found

    def rows(self, field: str, read: Read) -> list[dict[str, Any]] | None:
        """The rows that `ip -j` printed; None, with the reason, where it told none."""
        answer = self.answer(read)
        try:
            rows = json.loads(answer.text or "[]") if answer.is_ok and not answer.is_cut else None
        except (ValueError, RecursionError):
            rows = None
        if not isinstance(rows, list):
            if field:
                self.note(field, answer, "there is more than is read" if answer.is_cut else FORM_PROBLEM)
            return None
        return [row for row in rows if isinstance(row, dict)]


def read_node(answers: Answers, *, node_id: str, name: str, host_key: str) -> NodeReading:
    """One node's reading. `name` and `host_key` are the application's own. Total: any answers give a reading."""
    gaps = _Gaps(answers)
    known: dict[str, Any] = {}
    for fill in (_fill_account, _fill_system, _fill_docker, _fill_network, _fill_netplan, _fill_clock_and_guard):
        known |= fill(gaps)
    return NodeReading(
        node_id=node_id, name=name, host_key=host_key, ssh=mesh.read_ssh(answers), problems=gaps.problems, **known
    )


# Account and place ---------------------------------------------------------------------------------------------------


def _fill_account(gaps: _Gaps) -> dict[str, Any]:
    place = _read_place(gaps.answer(PLACE))
    home = place.get("home", "")
    if not home.startswith("/"):
        home = ""
        gaps.note("home", gaps.answer(PLACE), "the account has no home")
    groups = gaps.answer(form.GROUPS)
    names = tuple(make_line(word, max_chars=64) for word in groups.text.split()[:MAX_ITEMS]) if groups.is_ok else ()
    if not names:
        gaps.note("groups", groups)
    mode, words = parse_sudo(gaps.answer(SUDO))
    if words:
        gaps.problems["sudo"] = make_line(words, max_chars=MAX_PROBLEM_CHARS)
    return {
        "hostname": place.get("host", ""),
        "user": gaps.line("user", form.USER),
        "home": home,
        "groups": names or None,
        "docker_members": _read_members(gaps),
        "sudo": mode,
    }


def _read_place(answer: Answer) -> dict[str, str]:
    """home, host and connection, each a line."""
    rows = (line.partition(" ") for line in form.lines_of(answer.text))
    return {row[0]: make_line(row[2].strip(), max_chars=256) for row in rows if row[1]} if answer.is_ok else {}


def _read_members(gaps: _Gaps) -> tuple[str, ...] | None:
    """Who is in the group docker; None where there is no such group. Source: getent(1), group(5)."""
    answer = gaps.answer(MEMBERS)
    cells = form.lines_of(answer.text)[0].split(":")
    if answer.fault is None and answer.code == 2:
        gaps.problems["docker_members"] = "there is no group docker"
        return None
    if not answer.is_ok or len(cells) != 4 or cells[0] != "docker":
        gaps.note("docker_members", answer)
        return None
    return tuple(make_line(word, max_chars=64) for word in cells[3].split(",")[:MAX_ITEMS] if word)


# System and programs -------------------------------------------------------------------------------------------------


def _fill_system(gaps: _Gaps) -> dict[str, Any]:
    release = gaps.answer(form.DGX_RELEASE)
    dgx_os = read_dgx_os(release)
    if not dgx_os:
        gaps.note("dgx_os", release, "no version in /etc/dgx-release")
    nccl = read_nccl(gaps.answers)
    if not nccl:
        packages = gaps.answer(PACKAGES)
        why = NO_NCCL if packages.fault is None or packages.is_absent else packages.why()
        gaps.problems["nccl"] = make_line(why, max_chars=MAX_PROBLEM_CHARS)
    return {
        "dgx_os": dgx_os,
        "kernel": gaps.line("kernel", form.KERNEL),
        "driver": gaps.line("driver", form.DRIVER, form.parse_version),
        "nccl": nccl,
        "tools": _read_tools(gaps),
    }


def _read_tools(gaps: _Gaps) -> dict[str, bool | None]:
    answer = gaps.answer(PROGRAMS)
    rows = dict(line.split() for line in form.lines_of(answer.text) if len(line.split()) == 2) if answer.is_ok else {}
    found = {tool: {"yes": True, "no": False}.get(rows.get(tool, "")) for tool in TOOLS}
    if None in found.values():
        gaps.note("tools", answer)
    return found


def _fill_docker(gaps: _Gaps) -> dict[str, Any]:
    server, packages = gaps.answer(SERVER), parse_packages(gaps.answer(PACKAGES).text)
    version = form.parse_version(server.text) if server.is_ok else ""
    toolkit = form.parse_version(gaps.answer(form.TOOLKIT).text) if gaps.answer(form.TOOLKIT).is_ok else ""
    toolkit = toolkit or packages.get("nvidia-container-toolkit", "")
    if not toolkit:
        gaps.note("toolkit", gaps.answer(form.TOOLKIT))
    return {
        "docker": version,
        "docker_stopped": _read_stopped(gaps.answer(DOCKER_UNITS)),
        "docker_problem": "" if version else _docker_problem(gaps, server),
        "toolkit": toolkit,
        "is_toolkit_known": _KNOWN_WORDS.get(gaps.answer(TOOLKIT_KNOWN).text.strip()),
        "images": _read_images(gaps),
    }


def _read_stopped(answer: Answer) -> tuple[str, ...]:
    """A line for each unit, in their order. Source: systemctl(1), is-active."""
    words = answer.text.split() if answer.fault is None else []
    return (
        tuple(unit for unit, word in zip(UNITS, words, strict=True) if word in _DEAD_WORDS) if len(words) == 3 else ()
    )


_DEAD_WORDS = ("inactive", "failed", "unknown")
_KNOWN_WORDS = {"known": True, "untold": False}


def _docker_problem(gaps: _Gaps, server: Answer) -> str:
    if server.is_absent:
        return "absent"
    if is_denied(server):
        return "denied"
    service = gaps.answer(SERVICE)
    words = server.errors.lower()
    if "cannot connect to the docker daemon" in words or "is the docker daemon running" in words:
        return "down"
    if service.fault is None and service.text in ("inactive", "failed", "deactivating"):
        return "down"
    gaps.note("docker", server)
    return ""


def _read_images(gaps: _Gaps) -> tuple[str, ...]:
    answer = gaps.answer(IMAGES)
    if not answer.is_ok:
        gaps.note("images", answer)
        return ()
    lines = (line.strip() for line in form.lines_of(answer.text))
    return tuple(dict.fromkeys(line for line in lines if _IMAGE.fullmatch(line)))[:MAX_IMAGES]


def _fill_clock_and_guard(gaps: _Gaps) -> dict[str, Any]:
    time = gaps.answer(TIME)
    settings = form.parse_settings(time.text) if time.is_ok else {}
    state = settings.get("NTPSynchronized", "")
    if state not in ("yes", "no"):
        gaps.note("is_clock_synced", time)
    offset_ms = (gaps.answer(CLOCK).numbers or {}).get("offset_ms")
    if offset_ms is None:
        gaps.note("clock_offset_s", gaps.answer(CLOCK), "it was not measured")
    return {
        "is_clock_synced": {"yes": True, "no": False}.get(state),
        "is_clock_kept": _is_clock_kept(settings),
        "clock_offset_s": None if offset_ms is None else offset_ms / 1000,
        "is_guard_active": _read_guard(gaps),
        "is_guard_enabled": {"enabled": True, "disabled": False}.get(gaps.answer(GUARD_ENABLED).text),
    }


def _is_clock_kept(settings: Mapping[str, str]) -> bool | None:
    """Source: timedatectl(1): CanNTP says whether there is a service that could."""
    if settings.get("NTP") == "no" and settings.get("CanNTP") == "no":
        return None
    return {"yes": True, "no": False}.get(settings.get("NTP", ""))


def _read_guard(gaps: _Gaps) -> bool | None:
    """Whether one of the guards is active: sure when one is, or when both are told not to be. Source: systemctl(1)."""
    states = [gaps.answer(read) for read in GUARD_STATES]
    words = [state.text if state.fault is None else "" for state in states]
    if "active" in words:
        return True
    if all(word in ("inactive", "failed", "unknown", "deactivating", "activating") for word in words):
        return False
    gaps.note("is_guard_active", next(one for one, word in zip(states, words, strict=True) if not word or one.why()))
    return None


# Network -------------------------------------------------------------------------------------------------------------


def _fill_network(gaps: _Gaps) -> dict[str, Any]:
    interfaces = _read_interfaces(gaps)
    main = gaps.rows("routes", ROUTES)
    every = gaps.rows("", ALL_ROUTES)
    is_half_told = every is None and gaps.answer(ALL_ROUTES).is_ok
    if is_half_told:  # networks of a VPN may stand in what was cut off
        gaps.problems["routes"] = "its routing tables are longer than is read, or not understood"
    rows = [*(main or []), *(every or [])]
    defaults = [*_default_netdevs(rows), *_default_netdevs6(gaps.answer(ROUTES6))]
    netdev, address, client = _read_management(gaps, interfaces)
    return {
        "interfaces": interfaces,
        "routes": None if is_half_told or (main is None and every is None) else tuple(dict.fromkeys(_networks(rows))),
        "default_netdevs": tuple(dict.fromkeys(defaults)),
        "management": netdev,
        "management_address": address,
        "client_address": client,
    }


def _read_interfaces(gaps: _Gaps) -> Mapping[str, Interface]:
    rows = gaps.rows("interfaces", ADDRESSES) or []
    addresses = {str(row.get("ifname", "")): dict(_addresses_of(row)) for row in rows}
    uppers = dict(_uppers(gaps.answer(UPPERS)))
    mtus, carriers, speeds = (form.by_device(gaps.answer(read)) for read in (NET_MTUS, NET_CARRIERS, NET_SPEEDS))
    macs, links = form.by_device(gaps.answer(NET_ADDRESSES)), form.by_device(gaps.answer(NET_STATES))
    states = form.by_device(gaps.answer(RDMA_STATES), depth=3)
    rdma = {half.netdev: half.rdma_device for half in build_halves(gaps.answers)[0]}
    names = sorted({*macs, *mtus, *addresses}, key=lambda one: (one not in CAGE_NAMES, not addresses.get(one), one))
    found = {}
    for name in (one for one in names if _NAME.fullmatch(one)):
        speed_mbps = form.parse_number(speeds.get(name, ""))
        device = rdma.get(name, "")
        found[name] = Interface(
            name=name,
            mac=make_line(macs.get(name, "").lower(), max_chars=17),
            mtu=form.parse_whole(mtus.get(name, "")),
            carrier=_read_carrier(carriers.get(name, ""), links.get(name, "")),
            speed_gbps=speed_mbps / 1000 if speed_mbps is not None and speed_mbps > 0 else math.nan,
            addresses=tuple(addresses.get(name, ())),
            leased=tuple(text for text, is_leased in addresses.get(name, {}).items() if is_leased),
            part_of=uppers.get(name, ""),
            rdma_device=device,
            is_rdma_active="ACTIVE" in states[device].split() if device in states else None,
        )
        if len(found) >= MAX_ITEMS:
            break
    return found


def _read_carrier(carrier: str, state: str) -> bool | None:
    if carrier in ("0", "1"):
        return carrier == "1"
    return False if state in ("down", "lowerlayerdown", "notpresent") else None


def _addresses_of(row: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The global IPv4 addresses of one row of `ip -j addr`, "192.168.100.2/24", and whether each runs out.

    Source: ip-address(8): dynamic is what an address is that was not set for ever.
    """
    info = row.get("addr_info")
    for one in info[:16] if isinstance(info, list) else ():
        if isinstance(one, dict) and one.get("scope", "global") == "global":
            text = f"{one.get('local')}/{one.get('prefixlen')}"
            try:
                yield str(ipaddress.IPv4Interface(text)), one.get("dynamic") is True
            except ValueError:
                continue


def _uppers(answer: Answer) -> Iterator[tuple[str, str]]:
    """Ports that are part of something else. What runs beside them (macvlan, ipvlan) leaves them as they are."""
    for path, text in answer.texts if answer.fault is None else ():
        cells = path.split("/")
        kind = next((line[8:] for line in form.lines_of(text) if line.startswith("DEVTYPE=")), "").strip()
        if len(cells) == 7 and kind in ("bond", "bridge", "vlan"):
            yield cells[4], make_line(f"{cells[5].removeprefix('upper_')} ({kind})", max_chars=30)


def _networks(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Every network that a row claims; the default is none."""
    for row in rows[: 8 * MAX_ITEMS]:
        target = row.get("dst")
        if row.get("type", "unicast") not in _TAKEN_TYPES or not isinstance(target, str) or target == "default":
            continue
        try:
            yield str(ipaddress.IPv4Network(target, strict=False))
        except ValueError:
            continue


def _default_netdevs(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row.get("dst") == "default":
            hops = row.get("nexthops")
            ways = [row, *(one for one in hops if isinstance(one, dict))] if isinstance(hops, list) else [row]
            yield from (str(way["dev"]) for way in ways if _NAME.fullmatch(str(way.get("dev", ""))))


def _default_netdevs6(answer: Answer) -> Iterator[str]:
    """Source: the kernel's ipv6_route_seq_show: target, its length, ..., flags, device; lo holds the rejecting one."""
    for line in form.lines_of(answer.text) if answer.is_ok else ():
        cells = line.split()
        if len(cells) == 10 and cells[0] == "0" * 32 and cells[1] == "00" and cells[9] != "lo":
            yield from (cell for cell in cells[9:] if _NAME.fullmatch(cell))


def _read_management(gaps: _Gaps, interfaces: Mapping[str, Interface]) -> tuple[str, str, str]:
    """This sign-in's interface, its address, and whence it came, by SSH_CONNECTION. Source: ssh(1), "ENVIRONMENT"."""
    answer = gaps.answer(PLACE)
    words = _read_place(answer).get("connection", "").split()
    address, client = (_address_of(words[index] if len(words) == 4 else "") for index in (2, 0))
    if address is None:
        gaps.note("management", answer, "the sign-in does not say to which address it came")
        return "", "", ""
    if isinstance(address, ipaddress.IPv4Address):
        text = str(address)
        owners = [one.name for one in interfaces.values() if any(a.split("/")[0] == text for a in one.addresses)]
    else:
        text, _, scope = str(address).partition("%")
        owners = [scope] if scope in interfaces else list(_owners6(gaps.answer(INET6), text))
    if not owners:
        gaps.problems["management"] = make_line(f"no interface has {text}, to which this sign-in came", max_chars=200)
    return (owners[0] if owners else ""), text, str(client or "").partition("%")[0]


def _address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, an IPv4 one that is written as IPv6 as what it is; None for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _owners6(answer: Answer, address: str) -> Iterator[str]:
    """Source: the kernel's if6_seq_show: the address, index, prefix length, scope, flags and device."""
    wanted = ipaddress.IPv6Address(address).packed.hex()
    for line in form.lines_of(answer.text) if answer.is_ok else ():
        cells = line.split()
        if len(cells) == 6 and cells[0] == wanted and _NAME.fullmatch(cells[5]):
            yield cells[5]


# Netplan -------------------------------------------------------------------------------------------------------------


def _fill_netplan(gaps: _Gaps) -> dict[str, Any]:
    files, problem = netplan_reading.read_files(gaps.answers)
    if problem:
        gaps.problems["netplan"] = make_line(problem, max_chars=MAX_PROBLEM_CHARS)
    return {"netplan": files, "renderer": netplan_reading.read_renderer(gaps.answers, files)}
