"""The SSH mesh between nodes: what is read of ~/.ssh, what each node should have there, and how a line of ours is told.

Each node has a key pair of its own, made there, whose private half never leaves it; its public half stands in each
peer's authorized_keys, the host keys that the application has pinned stand in known_hosts, and a block of ~/.ssh/config
says as whom a peer is reached. The one rule: only what carries our own mark is ours; everything else in these files is
other people's.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.lane_finder import standing_of
from sparkdesk.core.bringup.netplan import OUR_FILE
from sparkdesk.core.bringup.reading import NodeReading, SshReading
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.playbooks.reader import read_public_key
from sparkdesk.core.probes.form import lines_of, parse_whole
from sparkdesk.core.probes.read import MAX_TEXT_BYTES, Answer, Answers, ReadCommand, ReadFile, answer_of

WORD = "sparkdesk-mesh"
"""Every line of ours says it, with the name and the id of the node that it is about: "sparkdesk-mesh spark-1 ID"."""
KEY_FILE = "~/.ssh/id_ed25519_sparkdesk"
AUTHORIZED, KNOWN_HOSTS, CONFIG = "~/.ssh/authorized_keys", "~/.ssh/known_hosts", "~/.ssh/config"
_MODES_SCRIPT = """for f in "$HOME/." "$HOME/.ssh" "$HOME/.ssh/authorized_keys" "$HOME/.ssh/id_ed25519_sparkdesk"
do stat -c %a -- "$f" 2>/dev/null || echo -; done"""
_MODES = ReadCommand(("sh", "-c", _MODES_SCRIPT), max_bytes=256)
_CONNECTION = ReadCommand(("printenv", "SSH_CONNECTION"), max_bytes=256)
_PUBLIC = ReadFile(f"{KEY_FILE}.pub", max_bytes=4096)
# $1 the file's name, then what prints our own part of it; both programs end with 2 where they cannot read.
_OWN_SCRIPT = """f=$HOME/.ssh/$1; shift
[ -e "$f" ] || { [ -x "$HOME/.ssh" ] || [ ! -e "$HOME/.ssh" ]; exit; }
[ -f "$f" ] || exit 2
"$@" "$f"; [ $? -le 1 ]"""
_LINES_OF_OURS = ("grep", "-a", "-e", f" {WORD} ", "--")
_BLOCKS_OF_OURS = ("sed", "-n", "-e", f"/^# >>> {WORD} /,/^# <<< {WORD}$/p", "--")
_AUTHORIZED, _KNOWN, _CONFIG = (
    ReadCommand(("sh", "-c", _OWN_SCRIPT, "sh", path.rpartition("/")[2], *words), max_bytes=MAX_TEXT_BYTES)
    for path, words in ((AUTHORIZED, _LINES_OF_OURS), (KNOWN_HOSTS, _LINES_OF_OURS), (CONFIG, _BLOCKS_OF_OURS))
)
"""However long these files are, what is not ours stays on the node. Source: grep(1), sed(1) and its exit status."""
READS = (_MODES, _CONNECTION, _PUBLIC, _AUTHORIZED, _KNOWN, _CONFIG)
"""What `read_ssh` understands. Source: ssh(1) for SSH_CONNECTION, sshd(8) and ssh_config(5) for the files."""

MAX_LINES = 256
_MODE = re.compile(r"[0-7]{3,4}")
_OURS = re.compile(rf"[ -~]{{1,2000}} {WORD} [A-Za-z0-9._-]{{1,64}} [A-Za-z0-9._-]{{1,64}}")
_BEGIN = re.compile(rf"# >>> {WORD} [A-Za-z0-9._-]{{1,64}} [A-Za-z0-9._-]{{1,64}}")
_END = f"# <<< {WORD}"


def read_ssh(answers: Answers) -> SshReading:
    """What was read of a node's ~/.ssh; total. What could not be read is None or ""."""
    said = answer_of(answers, _MODES)
    modes = [line if _MODE.fullmatch(line) else "" for line in said.text.split("\n")] if said.is_ok else []
    home, folder, authorized, private = modes if len(modes) == 4 else ("", "", "", "")
    public = answer_of(answers, _PUBLIC)
    key = read_public_key(public.text) if public.is_ok and not public.is_cut and private == "600" else None
    lines = _lines(answer_of(answers, _AUTHORIZED))
    known = _lines(answer_of(answers, _KNOWN))
    return SshReading(
        home_mode=home,
        folder_mode=folder,
        authorized_mode=authorized,
        public_key=key or "",
        authorized=None if lines is None else tuple(line for line in lines if _OURS.fullmatch(line))[:MAX_LINES],
        known_hosts=None if known is None else tuple(line for line in known if _OURS.fullmatch(line))[:MAX_LINES],
        config=_our_part(_lines(answer_of(answers, _CONFIG))),
        port=_port(answer_of(answers, _CONNECTION)),
    )


def _lines(answer: Answer) -> list[str] | None:
    """Our own lines of a file; none where there is no file, None where it is not known what is in it."""
    return lines_of(answer.texts[0][1]) if answer.is_ok and answer.texts and not answer.is_cut else None


def _our_part(lines: list[str] | None) -> str | None:
    """Our blocks of a configuration, marker lines included, one after another."""
    if lines is None:
        return None
    kept: list[str] = []
    is_ours = False
    for line in lines[: 8 * MAX_LINES]:
        is_ours = is_ours or _BEGIN.fullmatch(line) is not None
        if is_ours:
            kept.append(line)
        is_ours = is_ours and line != _END
    return "".join(f"{line}\n" for line in kept)


def _port(answer: Answer) -> int | None:
    """The port of the node's own SSH server: the last word of SSH_CONNECTION."""
    words = answer.text.split() if answer.is_ok else []
    port = parse_whole(words[3]) if len(words) == 4 else None
    return port if port is not None and 0 < port < 65536 else None


# What each node should have ------------------------------------------------------------------------------------------

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""One label: a name with dots in it could be that of a host elsewhere. What a node calls itself is not asked at all."""
_HOST_KEY = re.compile(r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,1800}={0,2}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the mesh as its peers reach it. `address` is that of the management network; `names` begin with it."""

    node_id: str
    name: str
    comment: str
    """What our lines about it end with: "sparkdesk-mesh spark-1 ID"."""
    user: str
    host_key: str
    address: str
    names: tuple[str, ...]
    """Every address that peers may use for it; none of them is another node's."""
    port: int = SSH_PORT
    alias: str = ""
    """Its name in SparkDesk, which stands for `address`; "" where it is no plain word, or another node has it too."""

    @property
    def known_line(self) -> str:
        """Its line of known_hosts. Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: what follows the key is a comment."""
        names = [name if self.port == SSH_PORT else f"[{name}]:{self.port}" for name in self.names]
        return f"{','.join(names)} {self.host_key} {self.comment}"

    @property
    def block(self) -> str:
        """Its block of ~/.ssh/config. It ends with `Host *`, so that what follows is for all hosts, as it was before.

        Source: ssh_config(5): the first value of a setting counts, so that every one that leads there stands here, lest
        the person's own `Host *` lead elsewhere. IdentityFile adds up; without IdentitiesOnly an agent's keys go first,
        and with UpdateHostKeys ssh would write host keys there that nobody confirmed.
        """
        lines = [f"# >>> {self.comment}"]
        lines += [f"Host {self.alias}", f"    HostName {self.address}"] if self.alias and self.address else []
        hosts = (*self.names, *([self.alias] if self.alias and self.address else []))
        lines += [f"Host {' '.join(hosts)}", "    HostName %h", f"    User {self.user}", f"    Port {self.port}"]
        lines += ["    ProxyCommand none", "    ProxyJump none", "    ControlPath none"]
        lines += [f"    IdentityFile {KEY_FILE}", "    IdentitiesOnly yes", "    UpdateHostKeys no", "Host *", _END]
        return "".join(f"{line}\n" for line in lines)


def find_members(case: Case, scheme: Scheme) -> tuple[Member, ...]:
    """The nodes that can be members. A name or address that two nodes claim is nobody's."""
    readings = [case.reading(node_id) for node_id in case.node_ids]
    claims = {one.node_id: _claimed(one, scheme, case) for one in readings if not why_not(one)}
    counts = Counter(name for names in claims.values() for name in names)
    called = Counter(one.name.lower() for one in readings)
    members = []
    for one in readings:
        names = tuple(name for name in claims.get(one.node_id, ()) if counts[name] == 1)
        if names:
            address = names[0] if names[0] == management_address(one, case) else ""
            comment = _comment(one)
            port, alias = one.ssh.port or SSH_PORT, one.name if called[one.name.lower()] == 1 else ""
            alias = alias if _HOST.fullmatch(alias) and alias.lower() != "localhost" and not alias.isdigit() else ""
            members.append(
                Member(one.node_id, one.name, comment, one.user, one.host_key, address, names, port, alias)
            )  # fmt: skip
    return tuple(members)


def why_not(reading: NodeReading) -> str:
    """Why a node cannot be a member; "" when nothing stands against it."""
    if not reading.did_answer:
        return f"{reading.name} did not answer"
    if not _USER.fullmatch(reading.user):
        return f"the user name on {reading.name} is not known, or no plain word"
    if not _HOST_KEY.fullmatch(reading.host_key):
        return f"no host key of {reading.name} is pinned"
    return ""


def plain_word(text: str) -> str:
    """The text as one word of at most 64 plain letters."""
    return _NOT_PLAIN.sub("-", text)[:64] or "-"


def _claimed(reading: NodeReading, scheme: Scheme, case: Case) -> tuple[str, ...]:
    """The addresses that a node is reached by, management first, its cables' last."""
    management = management_address(reading, case)
    cables = {end.host for end in scheme.of_node(reading.node_id) if _is_local(end.host, case)}
    cables |= _known_to_peers(reading, case)
    return tuple(dict.fromkeys([*([management] if management else []), *sorted(cables)]))


def _known_to_peers(reading: NodeReading, case: Case) -> set[str]:
    """Addresses that peers know the node by already, and that stand there still, though this scheme has none of them:
    the Spark behind them is off, or was not picked. A node's own word makes nothing of an address."""
    end = f" {reading.host_key} {_comment(reading)}"
    lines = [line for one in case.node_ids for line in case.reading(one).ssh.known_hosts or () if line.endswith(end)]
    names = {name for line in lines for name in line.partition(" ")[0].split(",")}
    known = {name.rpartition("]")[0].removeprefix("[") or name for name in names}
    standing = {str(one.ip) for port in reading.interfaces.values() for one in standing_of(reading, port)}
    is_dark = any(
        not port.addresses and port.carrier is False and port.rdma_device for port in reading.interfaces.values()
    )
    is_told = not is_dark or all(file.content is not None for file in reading.netplan or () if file.path == OUR_FILE)
    return {name for name in known if _is_local(name, case) and (name in standing or not is_told)}


def _comment(reading: NodeReading) -> str:
    return f"{WORD} {plain_word(reading.name)} {plain_word(reading.node_id)}"


def management_address(reading: NodeReading, case: Case) -> str:
    """The address of the management network: the one that SparkDesk itself uses. Where that is a name, or leads
    through a tunnel, the node's own word counts, but for nothing beyond the local network: it must not stand for a
    host elsewhere. "" where there is none."""
    if is_address(reading.address, case) and not case.is_simulated:
        return reading.address
    return reading.management_address if _is_local(reading.management_address, case) else ""


def _is_local(text: str, case: Case) -> bool:
    if not is_address(text, case):
        return False
    address = ipaddress.ip_address(text)
    return case.is_simulated or not (address.is_global or address.is_reserved)


def is_address(text: str, case: Case) -> bool:
    """Whether another machine could reach a node at this; simulated nodes have loopback addresses."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    is_odd = address.is_multicast or address.is_unspecified or address.is_link_local or "%" in text
    return not is_odd and (case.is_simulated or not address.is_loopback)
