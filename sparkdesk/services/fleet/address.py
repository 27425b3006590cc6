"""One attempt to reach a node that has several addresses: the main one first, then the others in turn.

The one rule: every address must prove itself with the same trusted key; one that answers as another machine is refused
and said, and then left alone for a minute, while the others are still tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sparkdesk.core.cluster.identity import addresses_of
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import HostKeyChanged, Unreachable
from sparkdesk.core.ports import Connection
from sparkdesk.services.clock import Clock

REST_S = 60.0
"""Another machine is not ours to knock at again and again: at most one touch a minute without a sign-in."""


class Opener(Protocol):
    """Makes a connection to one address. `is_bare`: with keys only, no password. Raises NodeError."""

    async def __call__(self, record: NodeRecord, *, is_bare: bool) -> Connection: ...


class Impostors:
    """Addresses of one node that answered as another machine, and what they are refused for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._met: dict[tuple[str, int], tuple[float, HostKeyChanged]] = {}

    def find(self, place: tuple[str, int]) -> HostKeyChanged | None:
        """Why this address is left alone for now; None when it is not."""
        met_s, error = self._met.get(place, (0.0, None))
        is_resting = error is not None and self._clock.monotonic_s() - met_s < REST_S
        return error.with_traceback(None) if error is not None and is_resting else None

    def remember(self, place: tuple[str, int], error: HostKeyChanged) -> None:
        """It answered as another machine just now."""
        self._met[place] = (self._clock.monotonic_s(), error)

    def forget(self) -> None:
        """A person wants every address tried again."""
        self._met.clear()


async def connect_in_turn(
    record: NodeRecord, connect: Opener, note: Callable[[str], None], impostors: Impostors, *, is_bare: bool = False
) -> Connection:
    """A connection by the first address that answers as this node; `note` hears what is tried.

    Raises what the main address failed with when none does; a sign-in that is refused, or a node that is busy, ends it
    at once, for that is the node.
    """
    places = addresses_of(record) if record.host_key else ((record.address, record.port),)
    failed: list[Unreachable | HostKeyChanged] = []
    refused = []
    for place in places:
        address, port = place
        words = f"{address} port {port} answers as another machine: refused"
        known = impostors.find(place)
        if known is not None:
            failed.append(known)
            refused.append(words)
            continue
        note(f"connecting to {address} port {port} as {record.user}")
        try:
            return await connect(replace(record, address=address, port=port), is_bare=is_bare)
        except HostKeyChanged as error:
            impostors.remember(place, error)
            failed.append(error)
            refused.append(words)
            note(words)
        except Unreachable as error:
            failed.append(error)
            if len(places) > 1:
                note(error.message)
    main = failed[0]
    if isinstance(main, HostKeyChanged) or not refused:
        raise main
    raise Unreachable(
        f"{main.message}; {'; '.join(refused)}",
        remedy=main.remedy,
        detail="\n".join(error.detail for error in failed if error.detail),
        node=main.node,
    ) from main
