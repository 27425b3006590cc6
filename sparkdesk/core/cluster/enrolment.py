"""How adding a node stands: who, trust, sign in. The service moves it on; a page shows it.

The one rule: trust comes before sign-in. No stage after "trust" is reached without a host key that a person confirmed
or that this computer trusted before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.cluster.node import SignIn


class EnrolStage(StrEnum):
    """Where the attempt is."""

    IDLE = "idle"
    LOOKING = "looking"
    """Asking for the host key; nothing secret has been sent."""
    TRUST = "trust"
    """A person must compare `offer` (or, first, `jump_offer`) and say yes."""
    CHANGED_KEY = "changed_key"
    """Refused: the address is known with another key. There is no way on from here but removing the node."""
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


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One attempt to add a node, as a page shows it. `log` is the live text log, oldest first."""

    stage: EnrolStage = EnrolStage.IDLE
    who: Who | None = None
    offer: KeyOffer | None = None
    trusted_fingerprint: str = ""
    """With CHANGED_KEY: what was trusted before."""
    known_as: str = ""
    tried: str = ""
    """What was offered and what the node takes, in words."""
    can_set_up_key: bool = False
    """Signed in by password: a key pair made for this node can take its place."""
    log: tuple[str, ...] = ()
    message: str = ""
    remedy: str = ""
    detail: str = ""
    node_id: str = ""
    """With DONE: the node."""
