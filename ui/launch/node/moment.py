"""Whether the nodes have changed since a plan was made, so much that it is made anew. Pure.

The one rule: memory that breathes is no change; a server that comes or goes, or another tenth of its work, is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.planning.place import Neighbour, Place

STEP_BYTES: Final = 1 << 28
"""Less is not seen in a figure of GiB with one decimal, or comes and goes by itself."""
STEP_GB_PER_S: Final = 27.0
"""A tenth of what a node's memory does."""


def has_moved(before: Sequence[NodeContext] | None, after: Sequence[NodeContext]) -> bool:
    """Whether a node came, went, or has other memory left; nothing seen before is a change."""
    if before is None or len(before) != len(after):
        return True
    return any(_is_other(old, new) for old, new in zip(before, after, strict=True))


def _is_other(old: NodeContext, new: NodeContext) -> bool:
    if replace(old, mem_available_bytes=None) != replace(new, mem_available_bytes=None):
        return True
    left, now = old.mem_available_bytes, new.mem_available_bytes
    return abs(now - left) >= STEP_BYTES if left is not None and now is not None else left is not now


def has_changed(before: Place, after: Place) -> bool:
    """Whether others work on the nodes now, or those who did are busier or idler."""
    old, new = ({(one.job_id, one.title): one for one in place.neighbours} for place in (before, after))
    return old.keys() != new.keys() or any(_is_busier(old[key], new[key]) for key in old)


def _is_busier(old: Neighbour, new: Neighbour) -> bool:
    was, now = old.gb_per_s, new.gb_per_s
    if math.isnan(was) or math.isnan(now):
        return math.isnan(was) is not math.isnan(now)
    return abs(now - was) >= STEP_GB_PER_S
