"""Cases whose nodes have their whole SSH mesh already, as the steps of its chapter leave it."""

from __future__ import annotations

import base64
from dataclasses import replace

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.mesh import find_members
from sparkdesk.core.bringup.reading import SshReading
from sparkdesk.core.bringup.scheme import Scheme

RIGHTS = SshReading(home_mode="750", folder_mode="700", authorized_mode="600", authorized=(), known_hosts=(), config="",
                    port=22)  # fmt: skip


def make_key(number: int) -> str:
    """An ed25519 public key that is no one's."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([number]) * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def with_mesh(case: Case, scheme: Scheme | None = None) -> Case:
    """The case where every node has its key pair, its peers' keys, and their host keys and users."""
    members = find_members(case, scheme or Scheme())
    keys = {one.node_id: make_key(number) for number, one in enumerate(members, start=1)}
    readings = dict(case.readings)
    for one in members:
        peers = [peer for peer in members if peer is not one]
        ssh = replace(
            RIGHTS,
            public_key=keys[one.node_id],
            authorized=tuple(f"{keys[peer.node_id]} {peer.comment}" for peer in peers),
            known_hosts=tuple(peer.known_line for peer in peers),
            config="".join(peer.block for peer in peers),
        )
        readings[one.node_id] = replace(case.reading(one.node_id), ssh=ssh)
    return replace(case, readings=readings)
