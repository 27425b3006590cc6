"""What can be talked to among the model servers that others started.

The one rule: a server is offered for each model that it names, and only while its node is live.
"""

from __future__ import annotations

from functools import partial

from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.fleet.found_servers import FoundServers

MAX_OFFERS = 200


def offer_found(found: FoundServers, nodes: tuple[NodeStatus, ...]) -> tuple[ChatEndpoint, ...]:
    """The servers' models as endpoints of the chat, in the servers' order."""
    names = {status.record.id: status.record.name for status in nodes if status.is_connected}
    offers = [
        ChatEndpoint(
            id=f"{server.id} {model}",
            endpoint=found.endpoint(server.id, model),
            source=partial(found.client, server.id),
            node=names[server.node_id],
        )
        for server in found.servers.value
        if server.node_id in names and not server.needs_key
        for model in server.models
    ]
    return tuple(offers[:MAX_OFFERS])
