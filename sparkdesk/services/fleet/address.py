"""One attempt to reach a node that has several addresses: the main one first, then the others in turn.

The one rule: every address must prove itself with the same trusted key; one that answers as another machine is refused
and said, and the others are still tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sparkdesk.core.cluster.identity import addresses_of
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import HostKeyChanged, Unreachable
from sparkdesk.core.ports import Connection


class Opener(Protocol):
    """Makes a connection to one address. `is_bare`: with keys only, no password. Raises NodeError."""

    async def __call__(self, record: NodeRecord, *, is_bare: bool) -> Connection: ...


async def connect_in_turn(
    record: NodeRecord, connect: Opener, note: Callable[[str], None], *, is_bare: bool = False
) -> Connection:
    """A connection by the first address that answers as this node; `note` hears what is tried.

    Raises what the main address failed with when none does; a sign-in that is refused, or a node that is busy, ends it
    at once, for that is the node.
    """
    places = addresses_of(record) if record.host_key else ((record.address, record.port),)
    failed: list[Unreachable | HostKeyChanged] = []
    impostors = []
    for address, port in places:
        note(f"connecting to {address} port {port} as {record.user}")
        try:
            return await connect(replace(record, address=address, port=port), is_bare=is_bare)
        except HostKeyChanged as error:
            failed.append(error)
            impostors.append(f"{address} port {port} answers as another machine: refused")
            note(impostors[-1])
        except Unreachable as error:
            failed.append(error)
            if len(places) > 1:
                note(error.message)
    main = failed[0]
    if isinstance(main, HostKeyChanged) or not impostors:
        raise main
    raise Unreachable(
        f"{main.message}; {'; '.join(impostors)}",
        remedy=main.remedy,
        detail="\n".join(error.detail for error in failed if error.detail),
        node=main.node,
    ) from main
