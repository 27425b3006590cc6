"""What a host key, or a refused sign-in, means for a person.

The one rule: a key that is not the trusted one is a changed key; it is never offered to be trusted instead.
"""

from __future__ import annotations

import re

import asyncssh

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.cluster.node import SignIn as How
from sparkdesk.core.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, NodeError, Unreachable
from sparkdesk.core.plain_text import make_line
from sparkdesk.infra.ssh import algorithm
from sparkdesk.infra.ssh.key import SignIn, read_host_key, write_host_key

COMPARE = (
    "At the node's own console run: for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done "
    "and compare the SHA256 line, then trust the key here."
)
_RENEW = "On the node run: sudo ssh-keygen -A && sudo systemctl restart ssh"
_PASSWORD_METHODS = {"password", "keyboard-interactive"}
_RECEIVED = re.compile(r"No matching host key algorithm found, sent .* and received (\S+)")


def read_trusted(record: NodeRecord) -> asyncssh.SSHKey | None:
    """The key that was confirmed for the node. Raises HostKeyChanged, Unreachable (too weak)."""
    if not record.host_key:
        return None
    try:
        key = read_host_key(record.host_key)
    except ValueError as error:
        raise HostKeyChanged(
            f"The host key that is kept for {record.name} cannot be read",
            remedy="Remove the node here and add it again.",
            trusted=record.host_key[:100],
            offered="not asked",
            node=record.name,
        ) from error
    if not algorithm.is_strong(key):
        raise _too_weak(record, key)
    return key


def judge_key(record: NodeRecord, trusted: asyncssh.SSHKey | None, offered: asyncssh.SSHKey | None) -> NodeError:
    """What a key that is not the trusted one means."""
    if trusted is not None:
        return _changed(record, trusted, offered.get_fingerprint() if offered is not None else "a host certificate")
    if offered is None:
        return Unreachable(
            f"{record.name} showed no host key of its own, perhaps a certificate",
            remedy="SparkDesk trusts no certificate authority: let the node's SSH server show a plain host key too.",
            node=record.name,
        )
    if not algorithm.is_strong(offered):
        return _too_weak(record, offered)
    return HostKeyUnknown(
        f"Nobody has confirmed the host key of {record.name} yet",
        remedy=COMPARE,
        host_key=write_host_key(offered),
        fingerprint=offered.get_fingerprint(),
        node=record.name,
    )


def judge_kinds(record: NodeRecord, trusted: asyncssh.SSHKey | None, kinds: tuple[str, ...]) -> NodeError | None:
    """What it means that a node offers only these kinds of host key; None when there is one that we accept."""
    if not kinds or set(kinds) & set(algorithm.HOST_KEYS):
        return None
    names = make_line(", ".join(kinds), max_chars=200)
    if trusted is not None:
        return _changed(record, trusted, f"no key of an accepted kind ({names})")
    if all("-cert-" in kind for kind in kinds):
        return judge_key(record, None, None)
    return Unreachable(
        f"{record.name} has only host keys of kinds that SparkDesk does not accept: {names}",
        remedy=_RENEW,
        detail=f"accepted: {', '.join(algorithm.HOST_KEYS)}",
        node=record.name,
    )


def kinds_in(error: BaseException) -> tuple[str, ...]:
    """The kinds of host key that the node offered, when that is what the key exchange failed on."""
    found = _RECEIVED.search(str(error)) if isinstance(error, asyncssh.KeyExchangeFailed) else None
    return tuple(found.group(1).split(","))[:50] if found else ()


def explain_refusal(error: NodeError, record: NodeRecord, sign_in: SignIn) -> NodeError:
    """A refused sign-in with what was tried, what the node offers and the step that fits; others as they are."""
    if not isinstance(error, AuthFailed):
        return error
    detail = f"{sign_in.explain()}\n{error.detail}"
    if sign_in.obstacle is not None and not sign_in.tried:
        found = sign_in.obstacle
        refusal = type(found)(found.message, remedy=found.remedy, detail=detail, node=record.name)
        return _mark(refusal, sign_in)
    if any(not words.startswith("key ") for words in sign_in.tried):
        remedy = "Check the password and the user name, then enter the password again."
    elif not _PASSWORD_METHODS & set(sign_in.offered):
        remedy = "The node takes no password: add a public key of this computer to ~/.ssh/authorized_keys on the node."
        if not sign_in.tried:
            remedy = "SparkDesk found no SSH key on this computer. Make one and add its public line on the node."
    elif record.sign_in is How.AGENT and not sign_in.tried:
        remedy = "Load a key into the SSH agent (ssh-add), or sign in another way."
    else:
        remedy = "Enter the password once, or add your public key to ~/.ssh/authorized_keys on the node."
    message = f"{record.name} refused the sign-in as {record.user}"
    return _mark(AuthFailed(message, remedy=remedy, detail=detail, node=record.name), sign_in)


def _mark(refusal: AuthFailed, sign_in: SignIn) -> AuthFailed:
    refusal.takes_password = bool(_PASSWORD_METHODS & set(sign_in.offered))
    refusal.was_login = bool(sign_in.tried)
    return refusal


def _changed(record: NodeRecord, trusted: asyncssh.SSHKey, offered: str) -> HostKeyChanged:
    return HostKeyChanged(
        f"{record.name} shows another host key than the one you trusted",
        remedy=(
            "Nothing was sent. If you know that the node was installed anew, remove it here, add it again and "
            "compare the fingerprint at its own console; else somebody may be in between."
        ),
        trusted=trusted.get_fingerprint(),
        offered=offered,
        node=record.name,
    )


def _too_weak(record: NodeRecord, key: asyncssh.SSHKey) -> Unreachable:
    return Unreachable(
        f"{record.name} proves itself with a host key that is too weak ({key.get_algorithm()})",
        remedy=_RENEW,
        detail=key.get_fingerprint(),
        node=record.name,
    )
