"""The OpenSSH command that leads to a node as SparkDesk itself reaches it, and the same as lines for ~/.ssh/config.

The one rule: a record is text that a person or a stranger typed. A user or host that OpenSSH, a shell or a config file
could read as anything else is refused here; the only host key that counts is the pinned one.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.cluster.node import JumpHost, NodeRecord, SignIn
from sparkdesk.core.errors import SettingsError

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?")
_KEY = re.compile(r"[a-z0-9@.-]{4,60} [A-Za-z0-9+/]{16,8192}={0,3}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_JUMP = re.compile(r"(?:([^@,\s]+)@)?(?:\[([^\]\s]+)\]|([^:@,\[\]\s]+))(?::(\d{1,5}))?")
_FOLDER = re.compile(r"/[^\x00-\x1f\x7f]{0,1000}")


@dataclass(frozen=True, slots=True)
class _Hop:
    """One machine to sign in to."""

    address: str
    port: int
    user: str
    host_key: str
    key_path: str
    alias: str
    sign_in: SignIn = SignIn.AUTOMATIC


def alias_of(record: NodeRecord) -> str:
    """The name under which the node's key stands in its known_hosts file; safe as a file's name too."""
    plain = record.id if _ID.fullmatch(record.id) else hashlib.sha256(record.id.encode()).hexdigest()[:32]
    return f"sparkdesk-{plain}"


def known_hosts_text(record: NodeRecord) -> str:
    """The content of a known_hosts file with exactly the pinned keys: the node's, and its jump host's.

    Raises SettingsError when a key was not confirmed yet, or a part of the record cannot be used.
    """
    return "".join(f"{hop.alias} {hop.host_key}\n" for hop in _hops(record))


def ssh_argv(
    record: NodeRecord, known_hosts: str, *, program: str = "ssh", tunnel: tuple[str, int] | None = None
) -> tuple[str, ...]:
    """The command, word by word; `known_hosts` is the path of a file with `known_hosts_text`.

    With `tunnel`, a host and port as the node sees them, it runs nothing there and leads the same port of this
    computer to it.

    Raises SettingsError when a part of the record cannot be used.
    """
    *jumps, node = _hops(record)
    words = [program]
    if tunnel is not None:
        host, port = tunnel
        if not _HOST.fullmatch(host) or not 0 < port < 65536:
            raise SettingsError(
                "The server's address cannot stand in a command", remedy="Use it in the chat here.", node=record.name
            )
        end = f"[{host}]" if ":" in host else host
        words += ["-N", "-L", f"127.0.0.1:{port}:{end}:{port}"]
    words += _words(node, known_hosts)
    if jumps:
        way = [program, *_words(jumps[0], known_hosts), "-o", "ProxyCommand=none"]
        line = shlex.join(way).replace("%", "%%") + f" -W '[%h]:%p' -- {shlex.quote(jumps[0].address)}"
        words += ["-o", f"ProxyCommand={line}"]
    else:
        words += ["-o", "ProxyCommand=none"]
    return (*words, "--", node.address)


def ssh_config_text(record: NodeRecord, known_hosts: str) -> str:
    """The lines for ~/.ssh/config with which other programs reach the node. Raises SettingsError."""
    *jumps, node = _hops(record)
    lines = [
        f"Host {config_name(record)}",
        f"  HostName {node.address.replace('%', '%%')}",
        f"  Port {node.port}",
        f"  User {node.user}",
        f"  HostKeyAlias {node.alias}",
        f"  UserKnownHostsFile {_quoted(known_hosts)}",
        "  StrictHostKeyChecking yes",
    ]
    if node.key_path:
        lines.append(f"  IdentityFile {_quoted(node.key_path)}")
    if jumps:
        way = ["ssh", *_words(jumps[0], known_hosts)]
        lines.append(f"  ProxyCommand {shlex.join(way).replace('%', '%%')} -W '[%h]:%p' -- {jumps[0].address}")
    return "\n".join(lines) + "\n"


def config_name(record: NodeRecord) -> str:
    """What `ssh_config_text` calls the node: its name where that can stand there."""
    return record.name if _HOST.fullmatch(record.name) else alias_of(record)


def is_reached_by(record: NodeRecord, settings: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the user's own SSH settings for a name (`ssh -G`) lead to this node as SparkDesk reaches it."""

    def one(key: str) -> str:
        return settings.get(key, ("",))[0]

    hops = [one(key) for key in ("proxyjump", "proxycommand") if one(key) not in ("", "none")]
    if record.jump is None:
        has_way = not hops
    else:
        has_way = _is_jump(record.jump, one("proxyjump")) or _leads_by(record.jump, one("proxycommand"))
    has_key = not record.key_path or record.key_path in settings.get("identityfile", ())
    is_there = one("hostname").lower() == record.address.lower() and one("port") == str(record.port)
    return is_there and one("user") == record.user and has_way and has_key


def is_pinned_by(record: NodeRecord, settings: Mapping[str, tuple[str, ...]], known_hosts: str) -> bool:
    """Whether the user's own SSH settings for a name (`ssh -G`) accept nothing but the node's pinned key."""

    def one(key: str) -> str:
        return settings.get(key, ("",))[0]

    is_strict = one("stricthostkeychecking").lower() in ("yes", "true", "ask")
    is_only_file = one("userknownhostsfile").strip('"') == known_hosts
    return is_strict and is_only_file and one("hostkeyalias") == alias_of(record)


def _is_jump(jump: JumpHost, said: str) -> bool:
    """Whether a ProxyJump, [user@]host[:port], is this machine; what it leaves out is not held against it."""
    match = _JUMP.fullmatch(said)
    if match is None:
        return False
    user, bracketed, plain, port = match.groups()
    is_host = (bracketed or plain).lower() == jump.address.lower()
    return is_host and user in (None, jump.user) and port in (None, str(jump.port))


def _leads_by(jump: JumpHost, command: str) -> bool:
    """Whether a ProxyCommand goes to this machine: a whole word of it, as ssh takes a destination."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return any(_is_jump(jump, word) for word in words[1:])


def check_folder(folder: str) -> str:
    """A folder of the node, as it may be given to another program. Raises SettingsError."""
    if not _FOLDER.fullmatch(folder):
        raise SettingsError("A folder begins with /", remedy="Enter it as the node names it, such as /home/nvidia.")
    return folder


def _hops(record: NodeRecord) -> tuple[_Hop, ...]:
    """The machines on the way, the node last, each checked."""
    alias = alias_of(record)
    node = _Hop(record.address, record.port, record.user, record.host_key, record.key_path, alias, record.sign_in)
    hops = (_jump_hop(record.jump, alias), node) if record.jump is not None else (node,)
    for hop in hops:
        _check(hop, record.name)
    return hops


def _jump_hop(jump: JumpHost, alias: str) -> _Hop:
    return _Hop(jump.address, jump.port, jump.user, jump.host_key, jump.key_path, f"{alias}-jump")


def _check(hop: _Hop, name: str) -> None:
    if not hop.host_key:
        raise SettingsError(
            f"Nobody has confirmed the host key of {name} yet",
            remedy="Add the node first, and compare its fingerprint there.",
            node=name,
        )
    wrong = (
        "user name"
        if not _USER.fullmatch(hop.user)
        else "address"
        if not _HOST.fullmatch(hop.address)
        else "port"
        if not 0 < hop.port < 65536
        else "host key"
        if not _KEY.fullmatch(hop.host_key)
        else "key file's path"
        if any(ord(letter) < 32 for letter in hop.key_path) or "${" in hop.key_path
        else ""
    )
    if wrong:
        raise SettingsError(
            f"The {wrong} of {name} cannot stand in a command",
            remedy="Correct it in the node's settings: letters, digits and . _ - are safe.",
            node=name,
        )


def _words(hop: _Hop, known_hosts: str) -> list[str]:
    """Options for one machine. What the user's own settings say about trust and shared connections does not count."""
    words = ["-p", str(hop.port), "-l", hop.user]
    if hop.key_path:
        is_plain = not set(hop.key_path) & set(" %\"'\\")
        words += ["-i", hop.key_path] if is_plain else ["-o", f"IdentityFile={_quoted(hop.key_path)}"]
    options = {
        "UserKnownHostsFile": _quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": hop.alias,
        "UpdateHostKeys": "no",
        "VerifyHostKeyDNS": "no",
        "ControlPath": "none",
    }
    if hop.sign_in is SignIn.KEY:
        options["IdentitiesOnly"] = "yes"
    elif hop.sign_in is SignIn.PASSWORD:
        options["PubkeyAuthentication"] = "no"
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return words


def _quoted(path: str) -> str:
    """A path as OpenSSH's settings read it: per cent signs doubled, and in quotes where it has blanks."""
    text = path.replace("%", "%%")
    if not set(text) & set(" \"'\\"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
