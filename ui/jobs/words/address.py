"""How programs reach a server: through this computer's own port, or on the network where that was asked for.

The one rule: an address is given as the reader's computer would use it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan
from ui import text


@dataclass(frozen=True, slots=True)
class EndpointText:
    """How to reach a server. `url` is as programs on this computer reach it once a port of theirs leads to it."""

    url: str
    model: str
    tunnel: str
    where: str
    limits: str
    note: str
    base_path: str = "/v1"
    at: str = ""
    """The node's name and port."""
    more: str = ""
    purpose: str = "chat"
    is_lan: bool = False
    exposure: str = ""
    """What to say where it listens on the node's networks though nobody asked for that."""


EXPOSED = (
    "It listens on the networks of {node}, which nobody asked for: whoever reaches that node may use it, without a key "
    "of SparkDesk's. Stop it, and have it listen on 127.0.0.1."
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a server beside its plan."""

    limits: str = ""
    is_open: bool | None = None
    """Whether it listens beyond its node's loopback; None is not known."""


def endpoint_text(
    endpoint: Endpoint, node: NodeRecord | None, tunnel: str, plan: LaunchPlan | None = None, seen: Seen | None = None
) -> EndpointText:
    """The address of a server on a node, and what it takes."""
    seen = seen or Seen()
    port, is_lan = endpoint.port, plan is not None and plan.request.reach == "lan" and node is not None
    name = text.one_line(node.name, 64) if node is not None else ""
    host = _host(node.address) if node is not None and is_lan else "127.0.0.1"
    where = "Its node is not in this cluster"
    if is_lan:
        where = f"Served on {name}, port {port}, to its network; every request needs the key"
    elif node is not None:
        where = f"Served on {name}, port {port}, {_REACH[seen.is_open]}; copying opens it here"
    # What does not speak OpenAI's protocol has no context that we know of, whatever the form said.
    has_context = endpoint.context_tokens and endpoint.base_path
    parts = [f"{text.grouped(endpoint.context_tokens or 0)} tokens a request"] if has_context else []
    if plan is not None:
        users = plan.request.concurrency
        crowd = [f"{users}{text.THIN_SPACE}{'user' if users == 1 else 'users'}"] if endpoint.base_path else []
        parts = [text.one_line(plan.request.served_name, 64), *parts, *crowd]
    return EndpointText(
        url=f"http://{host}:{port}{endpoint.base_path}",
        model=text.one_line(endpoint.model, 200),
        tunnel=tunnel,
        where=where,
        limits=" · ".join(parts),
        note=text.one_line(endpoint.note, 120),
        base_path=endpoint.base_path,
        at=f"{name}:{port}" if name else "",
        more=seen.limits,
        purpose=plan.request.purpose if plan is not None else "chat",
        is_lan=is_lan,
        exposure=EXPOSED.format(node=name) if seen.is_open and name and not is_lan else "",
    )


_REACH = {
    True: "on more than its loopback",
    False: "reachable from the node itself only",
    None: "meant for the node itself only",
}
"""By whether it was seen to listen beyond the loopback."""


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
