"""How adding a node stands: who, trust, sign in. The service moves it on; a page shows it.

The one rule: trust comes before sign-in. No stage after "trust" is reached without a host key that a person confirmed
or that this computer trusted before.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.cluster.node import SignIn

_USER = re.compile(r"[^\W][\w.@\\-]{0,63}\$?|_[\w.-]{0,63}")
_NAME = re.compile(r"[^\W_](?:[\w.-]{0,252})")
_SCOPE = re.compile(r"[\w.-]{1,32}")
_BRACKETS = re.compile(r"\[([^\[\]]+)\](?::([^:]*))?")


class EnrolStage(StrEnum):
    """Where the attempt is."""

    IDLE = "idle"
    LOOKING = "looking"
    """Asking for the host key; nothing secret has been sent."""
    TRUST = "trust"
    """A person must compare `offer` (or, first, `jump_offer`) and say yes."""
    CHANGED_KEY = "changed_key"
    """Refused: the machine shows another key than the one that was trusted. From here there is only the way back."""
    SIGNING_IN = "signing_in"
    NEEDS_PASSWORD = "needs_password"
    NEEDS_PASSPHRASE = "needs_passphrase"
    """The key file is locked."""
    IDENTIFYING = "identifying"
    """Signed in; reading who it is."""
    SAME_NODE = "same_node"
    """It is a node that is known already, at another address: `known_as`."""
    SETTING_UP_KEY = "setting_up_key"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class KeyOffer:
    """A host key to compare. `art` is OpenSSH's randomart of the fingerprint, "" when not made."""

    host: str
    fingerprint: str
    key_type: str
    art: str = ""
    known_as: str = ""
    """This computer trusts the same key already, as this node: it is the same machine, or a copy of it."""
    in_known_hosts: bool = False
    """The user's own ~/.ssh/known_hosts has the same key for this address."""
    other_fingerprint: str = ""
    """The user's own ~/.ssh/known_hosts has another key for this address, and not this one."""
    other_key_type: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """The first row: who is to be added and how. `jump` is "[user@]host[:port]", "" for none."""

    address: str
    port: int = 22
    user: str = ""
    sign_in: SignIn = SignIn.AUTOMATIC
    key_path: str = ""
    jump: str = ""
    candidate_id: str = ""
    """The candidate it came from; its confirmed jump host, if any, is used."""

    def problem(self) -> str:
        """Why this cannot be tried, in words; "" when it can."""
        if not _is_host(self.address):
            return "Enter the name or the address of the machine."
        if not 0 < self.port < 65536:
            return "A port is a number from 1 to 65535."
        if not _USER.fullmatch(self.user):
            return "Enter the user name on the machine: letters, digits, dots and dashes."
        if self.sign_in is SignIn.KEY and not self.key_path:
            return "Choose the key file to sign in with."
        if self.jump and read_place(self.jump, user=self.user) is None:
            return "Write the jump host as [user@]host[:port]."
        return ""


@dataclass(frozen=True, slots=True)
class Place:
    """An SSH server's address and the user there."""

    user: str
    address: str
    port: int


def read_place(text: str, *, user: str) -> Place | None:
    """Read "[user@]host[:port]", an IPv6 address with a port in brackets; None when it is not such a text."""
    before, _, rest = text.strip().rpartition("@")
    match = _BRACKETS.fullmatch(rest)
    if match is not None:
        address, port = match.group(1), match.group(2)
    elif rest.count(":") == 1:
        address, _, port = rest.partition(":")
    else:
        address, port = rest, None
    if port is not None and not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    number = int(port) if port is not None else 22
    name = before or user
    if not _is_host(address) or not 0 < number < 65536 or not _USER.fullmatch(name):
        return None
    return Place(name, address, number)


def _is_host(text: str) -> bool:
    """A name or an address; a link-local one names its port after a percent sign."""
    if ":" not in text:
        return _NAME.fullmatch(text) is not None
    address, percent, scope = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not percent or _SCOPE.fullmatch(scope) is not None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One attempt to add a node, as a page shows it. `log` is the live text log, oldest first."""

    stage: EnrolStage = EnrolStage.IDLE
    who: Who | None = None
    offer: KeyOffer | None = None
    trusted_fingerprint: str = ""
    """With CHANGED_KEY: what was trusted before."""
    known_as: str = ""
    asked_for: str = ""
    """With NEEDS_PASSWORD: whose password, when it is not the node's own: "jump host 10.0.0.1"."""
    tried: str = ""
    """What was offered and what the node takes, in words."""
    can_set_up_key: bool = False
    """Signed in by password: a key pair made for this node can take its place."""
    key_plan: str = ""
    """With `can_set_up_key`: every step of that and its exact lines, to be read before."""
    log: tuple[str, ...] = ()
    message: str = ""
    remedy: str = ""
    detail: str = ""
    node_id: str = ""
    """With DONE: the node."""
