"""What a node's network is beyond the files: ports, addresses, rules, routes; noted, and given back after netplan.

Why a file of its own: it is sent in front of link_trial.py over the same channel and run in the same interpreter, so
that each can be read by itself. networkd, which `netplan apply` starts anew, takes away what no file of netplan gives:
rules of a VPN, routes and addresses set by hand, on ports that netplan does not even name.

An "item" is the kernel's own message about an address, a route or a rule (rtnetlink(7)), without what changes by
itself, as text: two of them are compared by their letters, and one that is lost is told to the kernel again as it was.
What comes by DHCP or router advertisement, with an address, or with an end is not noted: who gave it gives it again.

The one rule: what was there before and is not ours is there afterwards, or is named. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import stat
import struct
import subprocess
import time

SETTLE_S, STABLE_S, NETWORKD_S, POLL_S, APPLY_S = 5.0, 1.5, 2.0, 0.1, 40.0
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HEADER, DUMP, CREATE, DELETE, DUMP_WAS_CUT = "=IHHII", 0x301, 0x605, 0x5, 0x10
KINDS = {"address": (22, 20, "=BBBBI"), "route": (26, 24, "=BBBBBBBBI"), "rule": (34, 32, "=BBBBBBBBI")}
ADDRESS_KEYS, ADDRESS_FLAGS = (1, 2, 3, 4, 9), 0x702  # without lifetimes; NOPREFIXROUTE, MCAUTOJOIN, ..., NODAD
ROUTE_KEYS, ROUTE_TYPES = (1, 2, 4, 5, 6, 7, 8, 9, 15, 18, 20, 21, 22, 30), (1, 6, 7, 8, 9)
OTHERS_ROUTES = (1, 2, 9, 16)  # by redirect, by the kernel, by router advertisement, by DHCP
BY_A_FILE = 4  # "static": what networkd gives by its files, and perhaps a person

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple

    Record = Dict[str, Any]

    # netplan_units.py, which is read before any of this is called.
    def is_set_by_netplan(name: str) -> bool: ...
    def given_by_files(name: str) -> Tuple[Set[str], Optional[int]]: ...


def safe_path() -> str:
    """The caller's folders of programs that root alone can write, then the system's: root runs nobody else's `ip`."""
    folders = []
    for folder in os.environ.get("PATH", "").split(":"):
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(folder) if os.path.isabs(folder) else None
            if found is not None and found.st_uid in (0, os.geteuid()) and not stat.S_IMODE(found.st_mode) & 0o022:
                folders.append(folder)
    return ":".join([*folders, SYSTEM_PATH])


ENV = dict(os.environ, PATH=safe_path(), LC_ALL="C.UTF-8")


class TrialError(Exception):
    """Two arguments: why it cannot be done, and what to do, in words for a person."""


def plain(text: str) -> str:
    """One bounded line of what another program said."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:300].strip()


def run(argv: List[str], limit_s: float) -> Tuple[int, str, str]:
    """Exit code, output and errors of a program; -1 when it could not be run to its end."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, env=ENV)
    except (OSError, subprocess.SubprocessError) as error:
        return -1, "", str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


# Items ---------------------------------------------------------------------------------------------------------------


def talk(kind: int, flags: int, body: bytes) -> Iterator[Tuple[int, int, bytes]]:
    """Say one thing to the kernel; type, flags and body of all it answers. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as channel:
        channel.settimeout(SETTLE_S)
        channel.send(struct.pack(HEADER, 16 + len(body), kind, flags, 1, 0) + body)
        while True:
            data, offset = channel.recv(1 << 18), 0
            while offset + 16 <= len(data):
                length, found, marks, _, _ = struct.unpack_from(HEADER, data, offset)
                if found == 2:  # an error, or 0 for "done"
                    code = -struct.unpack_from("=i", data, offset + 16)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                if found in (2, 3):
                    return
                yield found, marks, data[offset + 16 : offset + length]
                offset += max(16, (length + 3) & ~3)


def read_items() -> List[str]:
    """Every item of this node. Raises OSError."""
    items: List[str] = []
    for _ in range(5):
        items, is_whole = [], True
        for kind, (get, new, head) in KINDS.items():
            for family in (socket.AF_INET, socket.AF_INET6):
                try:
                    for found, marks, body in talk(get, DUMP, bytes([family]) + bytes(struct.calcsize(head) - 1)):
                        is_whole = is_whole and not marks & DUMP_WAS_CUT
                        item = make_item(kind, body) if found == new and body[0] == family else None
                        items += [] if item is None else [item]
                except OSError as error:
                    if error.errno not in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):  # a kernel without IPv6
                        raise
        if is_whole:
            break
    return items


def attributes(data: bytes) -> Dict[int, bytes]:
    """The attributes behind a message's head."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, key = struct.unpack_from("=HH", data, offset)
        found[key & 0x3FFF] = data[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)
    return found


def make_item(kind: str, body: bytes) -> Optional[str]:
    """A message as an item; None for what is not ours to give back."""
    head = KINDS[kind][2]
    fields, found = list(struct.unpack_from(head, body)), attributes(body[struct.calcsize(head) :])
    if kind == "address":
        flags = struct.unpack("=I", found.get(8, struct.pack("=I", fields[2])))[0]
        is_temporary = fields[0] == socket.AF_INET6 and flags & 1
        if not flags & 0x80 or is_temporary or fields[3] >= 253:  # it ends by itself; of the link, of the host
            return None
        found = {key: value for key, value in found.items() if key in ADDRESS_KEYS}
        fields[2], found[8] = 0, struct.pack("=I", flags & ADDRESS_FLAGS)
    elif kind == "route":
        ends_s = struct.unpack_from("=i", found[12], 8)[0] if len(found.get(12, b"")) >= 12 else 0
        if fields[7] not in ROUTE_TYPES or fields[5] in OTHERS_ROUTES or fields[8] & 0x200 or ends_s or 23 in found:
            return None
        left_out = (4, 5, 9) if 30 in found else ()  # the nexthop that it names has them
        found = {key: value for key, value in found.items() if key in ROUTE_KEYS and key not in left_out}
        fields[8] &= 4  # onlink; the others say how the port is
        if 9 in found:
            found[9] = without_port_state(found[9])
    else:
        if found.get(21) == b"\x02":  # the kernel's own three
            return None
        fields[8] &= ~0x1C
        found.pop(18, None)
    data = struct.pack(head, *fields)
    for key, value in sorted(found.items()):
        data += struct.pack("=HH", 4 + len(value), key) + value + bytes(-len(value) % 4)
    return "%s %s" % (kind, data.hex())


def without_port_state(hops: bytes) -> bytes:
    """The hops of a route over several ports, without what says how the ports are."""
    data, offset = bytearray(hops), 0
    while offset + 8 <= len(data):
        data[offset + 2] &= 4
        offset += max(8, (struct.unpack_from("=H", data, offset)[0] + 3) & ~3)
    return bytes(data)


def parts(item: str) -> Tuple[str, List[int], Dict[int, bytes]]:
    """Kind, head and attributes of an item."""
    kind, _, text = item.partition(" ")
    data, head = bytes.fromhex(text), KINDS[kind][2]
    return kind, list(struct.unpack_from(head, data)), attributes(data[struct.calcsize(head) :])


def ports_of(item: str) -> List[str]:
    """The names of the ports of an item; "" for one that is gone."""
    kind, fields, found = parts(item)
    numbers = [fields[4]] if kind == "address" else []
    if kind == "route" and 4 in found:
        numbers = list(struct.unpack("=I", found[4]))
    hops, offset = found.get(9, b"") if kind == "route" else b"", 0
    while offset + 8 <= len(hops):
        length, _, _, number = struct.unpack_from("=HBBI", hops, offset)
        numbers.append(number)
        offset += max(8, (length + 3) & ~3)
    return [port_name(number) for number in numbers]


def port_name(number: int) -> str:
    """The name of a port; "" where there is none any more."""
    try:
        return socket.if_indextoname(number)
    except OSError:
        return ""


def describe_item(item: str) -> str:
    """An item in words, as `ip` has them."""
    kind, fields, found = parts(item)
    if kind == "rule":
        return "rule %d" % struct.unpack("=I", found.get(6, bytes(4)))[0]
    raw = (found.get(2) or found.get(1)) if kind == "address" else found.get(1)
    text = "%s/%d" % (socket.inet_ntop(fields[0], raw), fields[1]) if raw else "default"
    where = " ".join(ports_of(item))
    return ("%s %s dev %s" % (kind, text, where)).strip() if where else "%s %s" % (kind, text)


def is_address_of(item: str, named: Dict[str, List[str]]) -> bool:
    """Whether it is one of these addresses, by port."""
    words = describe_item(item).split()
    return item.startswith("address ") and len(words) == 4 and words[1] in named.get(words[3], ())


def rank(item: str) -> int:
    """What must be there first: addresses, then routes, those over a gateway later, then rules."""
    kind, _, found = parts(item)
    return {"address": 0, "route": 1, "rule": 3}[kind] + (kind == "route" and bool({5, 9, 18} & set(found)))


def may_come_by_a_file(item: str) -> bool:
    """Whether networkd may give it by itself."""
    kind, fields, found = parts(item)
    by = fields[5] if kind == "route" else (found.get(21) or b"\0")[0]
    return kind == "address" or by == BY_A_FILE


def give_back(items: Iterable[str], is_settled: Callable[[], bool] = lambda: True, stable_s: float = 0.0) -> List[str]:
    """Wait until all of these are there and stay, and add what is not; those that could not be added.

    networkd drops what it does not know some moments after `netplan apply` has returned, hence the wait.
    """
    left = [item for item in items if all(ports_of(item))]
    begun_s = calm_s = time.monotonic()
    while True:
        try:
            now = set(read_items())
        except OSError:
            now = set()
        missing, is_late = [item for item in left if item not in now], time.monotonic() - begun_s >= NETWORKD_S
        for item in sorted(missing, key=rank):
            if (is_late or not stable_s or not may_come_by_a_file(item)) and add_item(item) == errno.EEXIST:
                left.remove(item)  # as good as this one
        if missing or not is_settled():
            calm_s = time.monotonic()
        if time.monotonic() - calm_s >= stable_s and not missing:
            return []
        if time.monotonic() - begun_s >= SETTLE_S + stable_s:
            return [item for item in missing if item in left and all(ports_of(item))]
        time.sleep(POLL_S)


def add_item(item: str) -> int:
    """Tell the kernel; the number of its error, or 0."""
    kind, _, text = item.partition(" ")
    try:
        list(talk(KINDS[kind][1], CREATE, bytes.fromhex(text)))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def remove_item(item: str) -> None:
    """Tell the kernel to forget it. Source: rtnetlink(7): the number of "delete" follows that of "new"."""
    kind, _, text = item.partition(" ")
    with contextlib.suppress(OSError):
        list(talk(KINDS[kind][1] + 1, DELETE, bytes.fromhex(text)))


def boot_id() -> str:
    """Which start of the machine this is: items name ports by numbers that hold until the next one."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read(64).strip()


# Ports ---------------------------------------------------------------------------------------------------------------


def read_ports() -> Dict[str, Record]:
    """Every port by name: {"carrier", "up", "mtu", "addresses": {"192.168.1.2/24": {...}}}. Raises TrialError."""
    return read_addresses(port_of)


def read_addresses(read: Callable[[Record], Any]) -> Dict[str, Any]:
    """Every port of `ip -j addr` by name, as this makes it. Raises TrialError."""
    code, out, err = run(["ip", "-j", "addr", "show"], 10.0)
    try:
        found = json.loads(out) if code == 0 else None
        assert isinstance(found, list)
        return {one["ifname"]: read(one) for one in found if "ifname" in one}
    except (ValueError, AssertionError, RecursionError, TypeError, AttributeError):
        raise TrialError("the ports cannot be read: " + plain(err), "Run `ip -j addr` on the node.") from None


def port_of(one: Record) -> Record:
    """One port of `ip -j addr`."""
    flags, keys = one.get("flags", ()), ("address", "broadcast", "scope", "dynamic", "noprefixroute", "label")
    infos = [info for info in one.get("addr_info", ()) if info.get("family") == "inet" and info.get("scope") != "link"]
    named = {"%s/%s" % (info.get("local"), info.get("prefixlen")): info for info in infos}
    addresses = {text: {key: info[key] for key in keys if key in info} for text, info in named.items()}
    return {"carrier": "LOWER_UP" in flags, "up": "UP" in flags, "mtu": one.get("mtu"), "addresses": addresses}


def find_wrong(wanted: Record, ports: Dict[str, Record]) -> str:
    """What is not as wanted, in words; "" when everything is."""
    wrong = []
    for name, want in wanted.items():
        if name not in ports:
            wrong.append("there is no port %s" % name)
            continue
        port = ports[name]
        if want["carrier"] and not port["carrier"]:
            wrong.append("%s has no link" % name)
        wrong += ["%s lacks %s" % (name, text) for text in want["addresses"] if text not in port["addresses"]]
        if want["mtu"] is not None and port["mtu"] != want["mtu"]:
            wrong.append("%s has MTU %s, not %s" % (name, port["mtu"], want["mtu"]))
    return "; ".join(wrong)


def waiting_for_link(wanted: Record, ports: Dict[str, Record]) -> List[str]:
    """Ports that had no link when the plan was made and have none now: networkd sets the MTU, and no address.

    Source: systemd.network(5), ConfigureWithoutCarrier=: without it, addresses are set once there is a carrier.
    """
    return [name for name, port in ports.items() if name in wanted and not wanted[name]["carrier"] | port["carrier"]]


def wait_until(limit_s: float, is_so: Callable[[], object]) -> None:
    """`netplan apply` returns before the addresses are set: look again and again, for some seconds at most."""
    until = time.monotonic() + limit_s
    while not is_so() and time.monotonic() < until:
        time.sleep(POLL_S)


def refuse_ports_in_use(wanted: Record) -> None:
    """The default route and this sign-in are never touched. Raises TrialError."""
    for family in ("-4", "-6"):
        code, out, err = run(["ip", family, "-j", "route", "show", "default"], 10.0)
        if code != 0:
            raise TrialError("the routes cannot be read: %s" % plain(err), "Run `ip route` on the node.")
        for name in wanted:
            if '"dev":"%s"' % name in out.replace(" ", ""):
                raise TrialError("%s carries the default route" % name, "Move the cable or the route, then look again.")
    address = session_address()
    used, words = {address}, "this sign-in came over %s"
    if not address:  # unknown is not safe: it may be any connection that is open now
        used, words = connected_addresses(), "a connection is open over %s, and which one is this sign-in is not known"
    for name, own in read_addresses(lambda one: {info.get("local") for info in one.get("addr_info", ())}).items():
        # over IPv6 link-local it is safe: nobody takes that address away
        if name in wanted and any(text in used and not text.startswith("fe80:") for text in map(str, own)):
            raise TrialError(words % name, "Sign in over the management address.")


def session_address() -> str:
    """The address at which this sign-in came in; sudo takes it out of the environment, our parents have it."""
    pid = os.getpid()
    while pid > 1:
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                found = re.search(rb"(?:^|\0)SSH_CONNECTION=\S+ \S+ (?:::ffff:)?([0-9A-Fa-f:.]+)", file.read(1 << 17))
            with open("/proc/%d/stat" % pid) as file:
                pid = int(file.read(4096).rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        if found:
            return found.group(1).decode()
    return ""


def connected_addresses() -> Set[str]:
    """The node's own addresses that have a TCP connection now. Raises TrialError where that cannot be read."""
    found = set()
    for name, family, form in (("tcp", socket.AF_INET, "=I"), ("tcp6", socket.AF_INET6, "=IIII")):
        try:
            with open("/proc/net/" + name) as file:
                rows = [line.split() for line in file.read(1 << 24).splitlines()[1:]]
        except FileNotFoundError:  # a kernel without IPv6
            rows = []
        except OSError as error:
            raise TrialError(
                "the connections cannot be read: %s" % error.strerror, "Run `ss -t` on the node."
            ) from None
        for row in rows:  # Source: proc(5) and the kernel's tcp4_seq_show: words of the machine's own order; 01: open
            if len(row) > 3 and row[3] == "01":
                text = row[1].split(":")[0]
                words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
                address = socket.inet_ntop(family, struct.pack(form, *words))
                found.add(address[7:] if address.startswith("::ffff:") and "." in address else address)
    return found


def put_port_back(name: str, before: Record, ours: List[str], given: Tuple[Set[str], Optional[int]]) -> str:
    """networkd leaves addresses and MTU of a port that lost its settings. What is not as before then, in words.

    `given` are the addresses and the MTU that somebody's file gives the port by now: these are not ours to take.
    """
    mtu, ours = before["mtu"] if given[1] is None else given[1], [text for text in ours if text not in given[0]]
    wait_until(SETTLE_S / 2, lambda: set(before["addresses"]) <= set(read_ports().get(name, before)["addresses"]))
    now = read_ports().get(name, before)
    for text in now["addresses"]:
        if text in ours and text not in before["addresses"]:
            run(["ip", "addr", "del", text, "dev", name], 10.0)
    add_missing(name, before)
    if isinstance(mtu, int) and now["mtu"] != mtu:
        run(["ip", "link", "set", "dev", name, "mtu", str(mtu)], 10.0)
    if not before["up"]:
        run(["ip", "link", "set", "dev", name, "down"], 10.0)
    now = read_ports().get(name, before)
    fixed = [text for text, info in before["addresses"].items() if not info.get("dynamic")]
    stays = ", ".join(text for text in now["addresses"] if text in ours and text not in before["addresses"])
    wrong = find_wrong({name: {"addresses": fixed, "mtu": mtu, "carrier": False}}, {name: now})
    return "%s still has %s" % (name, stays) if stays else wrong


def add_missing(name: str, before: Record) -> None:
    """Addresses that nobody's file gives: networkd takes them away from a port that it is told to manage."""
    now = read_ports().get(name, before)
    for text, info in before["addresses"].items():
        if text not in now["addresses"] and not info.get("dynamic"):
            pairs = [word for key in ("broadcast", "scope", "label") if key in info for word in (key, str(info[key]))]
            flags = ["noprefixroute"] if info.get("noprefixroute") else []
            peer = [text.split("/")[0], "peer", "%s/%s" % (info["address"], text.split("/")[1])]
            run(["ip", "addr", "add", *(peer if "address" in info else [text]), "dev", name, *pairs, *flags], 10.0)


def netplan(words: List[str], limit_s: float, program: str = "netplan") -> str:
    """Run it, or the part of it that makes units; in words why it failed, or ""."""
    code, out, err = run([program, *words], limit_s)
    if code == 0:
        return ""
    lines = [line for line in (err or out).splitlines() if line.strip()] or ["no word of it"]
    verb = words[0] if program == "netplan" else "generate"
    return "netplan %s failed: %s" % (verb, plain(next((line for line in lines if "rror" in line), lines[0])))


def apply_files() -> str:
    """`netplan apply`, and networkd reads its units anew; why it failed, or "".

    Since netplan 1.1 networkd is told only of what this very apply has made of the files, not of units that something
    had made of them before. Source: its cli/commands/apply.py; unverified on hardware [netplan-generator].
    """
    failure = netplan(["apply"], APPLY_S)
    if not failure:
        run(["networkctl", "reload"], APPLY_S)  # where there is no networkd, there is nothing to read
    return failure


def apply_netplan(
    ours: Iterable[str], items: Iterable[str], apply: Callable[[], str] = apply_files
) -> Tuple[str, List[str], List[str]]:
    """`netplan apply`, and all it took given back, and all it brought to other ports taken out again.

    `ours` are the ports that it is meant to change, `items` what is to be there afterwards. Gives why it failed, or "",
    what could not be given back, and the ports to which it brought what nobody had applied.
    """
    ports: Dict[str, Record] = {}
    noted: List[str] = []
    ours = set(ours)
    with contextlib.suppress(TrialError, OSError):  # what cannot be read must not keep a former network away
        ports = read_ports()
        noted = read_items()
    others = {name: dict(port, mtu=None, carrier=False) for name, port in ports.items() if name not in ours}

    def is_settled() -> bool:  # networkd starts anew, and gives addresses again one after another
        try:
            return not find_wrong(others, dict(ports, **read_ports()))
        except TrialError:
            return False

    failure, items = apply(), list(items)
    lost = give_back(items, is_settled, STABLE_S)
    linked = {name: port for name, port in ports.items() if name not in ours and port["carrier"]}
    return failure, lost, take_out_again(linked, {*noted, *items}) if noted else []


def take_out_again(ports: Dict[str, Record], items: Set[str]) -> List[str]:
    """What came to these ports by files that nobody had applied until now; the names of those that had some.

    Only what netplan's files give is taken out, and only from ports that had a link before: what else came meanwhile
    came for its own reasons. The edit goes on waiting in its file.
    """
    names = set()
    with contextlib.suppress(TrialError, OSError):
        ports = {name: port for name, port in ports.items() if is_set_by_netplan(name)}
        for item in read_items():
            found = [name for name in ports_of(item) if name in ports]
            given = {name: [*given_by_files(name)[0]] for name in found}
            is_files = is_address_of(item, given) if item.startswith("address") else may_come_by_a_file(item)
            if found and item not in items and is_files:
                remove_item(item)
                names.add(found[0])
        now = read_ports()
        for name, port in ports.items():
            if name in now and port["mtu"] != now[name]["mtu"] and now[name]["mtu"] == given_by_files(name)[1]:
                run(["ip", "link", "set", "dev", name, "mtu", str(port["mtu"])], 10.0)
                names.add(name)
    return sorted(names)
