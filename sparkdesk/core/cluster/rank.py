"""The order of nodes in a job of several: as they are cabled, so that neighbours in rank are neighbours by cable.

The one rule: an order only orders. It adds nobody (a stranger on a cable is no rank) and leaves out nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def ranked(node_ids: Iterable[str], rank_order: Sequence[str]) -> tuple[str, ...]:
    """These nodes, each once, in the cabling's order (`Topology.rank_order`); whom it does not know comes last."""
    place = {node_id: at for at, node_id in reversed(tuple(enumerate(rank_order)))}
    return tuple(sorted(dict.fromkeys(node_ids), key=lambda node_id: place.get(node_id, len(rank_order))))
