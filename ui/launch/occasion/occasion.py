"""Why the form is filled: in another server's place, after a failure, beside a server. Pure.

The one rule: nothing is stopped by itself: what is stopped first is in the plan that a person reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from ui.launch.form import Form


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A server of ours that could give its place."""

    job_id: str
    title: str
    node_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occasion:
    """A plain launch has nothing in it."""

    stop_job_id: str = ""
    """The job that this launch takes the place of."""
    stop_title: str = ""
    fix_words: str = ""
    """What was changed after a failure: "Ask for 11,296 tokens of context instead of 131,072"."""
    fixed: frozenset[str] = frozenset()
    """The form's fields that the fix changed and that nobody edited since."""
    beside: Form | None = None
    """The form of the server that this one shall stand beside, to go back to."""


def without_job(place: Place, job_id: str) -> Place:
    """The place as it will be once a job of ours is stopped: as far as it is known what it holds."""
    leaving = next((each for each in place.neighbours if each.job_id == job_id), None)
    if not job_id or leaving is None:
        return place
    nodes = tuple(_freed(room, leaving) for room in place.nodes)
    others = tuple(each for each in place.neighbours if each.job_id != job_id)
    return replace(place, nodes=nodes, neighbours=others)


def _freed(room: NodeRoom, leaving: Neighbour) -> NodeRoom:
    if room.node_id not in leaving.node_ids or room.available_bytes is None or leaving.bytes_held is None:
        return room
    most = room.total_bytes if room.total_bytes is not None else room.available_bytes + leaving.bytes_held
    return replace(room, available_bytes=min(room.available_bytes + leaving.bytes_held, most))
