"""What SparkDesk itself can do about a port: bring a half up, and give ports an MTU.

The one rule: it holds until the node restarts. What netplan keeps is written when a network is set up, never from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkdesk.core.cluster.half import cage_of
from sparkdesk.core.cluster.topology_problem import PortMtu
from sparkdesk.core.command import Command
from sparkdesk.core.probes.finding import as_root, make_fix
from sparkdesk.core.step import Expect, Playbook, Run, Wait

TRAIN_S = 30.0
"""So long a link may take until both ends agree. Own choice."""
LEAST_MTU, MOST_MTU = 1280, 9216
"""What IPv6 needs (RFC 8200), and what ports of switches take."""
_PLAIN = re.compile("[A-Za-z][A-Za-z0-9]{1,14}")


def make_link_fix(node_id: str, netdev: str) -> Playbook | None:
    """Bring a half up, and wait for its link. None for what is no half of a cage."""
    if not _is_half(netdev):
        return None
    wait = Wait(_read(netdev, "carrier"), Expect(reader="text", equals="1"), timeout_s=TRAIN_S)
    up = as_root("ip", "link", "set", "dev", netdev, "up")
    return make_fix(f"Bring {netdev} up", node_id, [up], verify=[wait], needs_lock=True)


def make_mtu_fix(node_id: str, ports: Sequence[PortMtu]) -> Playbook | None:
    """Give these ports of a node their MTU, until its next restart. None where one of them makes no sense."""
    if not ports or not all(_is_half(port.netdev) and LEAST_MTU <= port.wanted <= MOST_MTU for port in ports):
        return None
    values = " and ".join(dict.fromkeys(str(port.wanted) for port in ports))
    return make_fix(
        f"Set MTU {values} until the next restart",
        node_id,
        [_set_mtu(port.netdev, port.wanted) for port in ports],
        verify=[Run(_read(port.netdev, "mtu"), Expect(reader="text", equals=str(port.wanted))) for port in ports],
        undo=[_set_mtu(port.netdev, port.found) for port in ports],
        needs_lock=True,
    )


def _is_half(netdev: str) -> bool:
    return _PLAIN.fullmatch(netdev) is not None and bool(cage_of(netdev))


def _set_mtu(netdev: str, mtu: int) -> Run:
    return as_root("ip", "link", "set", "dev", netdev, "mtu", str(mtu))


def _read(netdev: str, name: str) -> Command:
    return Command(("cat", f"/sys/class/net/{netdev}/{name}"))
