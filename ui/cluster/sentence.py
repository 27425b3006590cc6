"""The state of a cluster in one sentence: that all is well, or the worst thing with its button.

The one rule: "all well" is said only when every node was heard and nothing that was heard is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui import text
from ui.cluster.cable import Cable
from ui.cluster.card import NodeCard

Tone = Literal["ok", "busy", "note", "warn", "crit"]
LOW_MEMORY_BYTES = 8 * text.GIB
"""Below this a node may freeze. Source: DESIGN section 12, the word Risky."""


class Sentence(NamedTuple):
    """What to say; `action` is a button's text, `kind` what it does ("node", "cable", "job", "add") and to what."""

    tone: Tone
    words: str
    action: str = ""
    kind: str = ""
    target: str = ""


NO_NODE = Sentence("note", "No node yet.", "Add node", "add")
_FAULTS: tuple[tuple[NodeState, str, str], ...] = (
    (
        NodeState.IDENTITY_CHANGED,
        "{name} shows another host key than the one you trusted. Nothing was sent.",
        "Compare keys",
    ),
    (NodeState.REFUSED, "{name} waits for a sign-in.", "Sign in"),
    (NodeState.UNREACHABLE, "{name} does not answer.", "Look at it"),
)


def build_sentence(
    nodes: Sequence[NodeStatus], cards: Sequence[NodeCard], cables: Sequence[Cable], jobs: Sequence[JobStatus]
) -> Sentence:
    """The sentence on top of the page."""
    if not nodes:
        return NO_NODE
    found = _node_fault(nodes) or _silence(nodes, cards) or _memory_fault(cards) or _job_fault(jobs)
    return found or _cable_fault(cables) or _waiting(nodes, cards) or _all_well(nodes, cards, cables)


def _node_fault(nodes: Sequence[NodeStatus]) -> Sentence | None:
    for state, words, action in _FAULTS:
        hit = [node for node in nodes if node.state is state]
        if hit:
            more = f" So do {len(hit) - 1} more." if len(hit) > 1 and state is NodeState.IDENTITY_CHANGED else ""
            if len(hit) > 1 and not more:
                more = f" {len(hit) - 1} more like it."
            said = words.format(name=text.one_line(hit[0].record.name, 64)) + more
            return Sentence("crit", said, action, "node", hit[0].record.id)
    return None


def _memory_fault(cards: Sequence[NodeCard]) -> Sentence | None:
    measured = [card for card in cards if card.memory.total and card.look == "live"]
    low = [card for card in measured if card.memory.available < LOW_MEMORY_BYTES]
    if not low:
        return None
    worst = min(low, key=lambda card: card.memory.available)
    words = f"Only {text.memory(worst.memory.available)} free on {worst.name}: below 8 GiB a node may freeze."
    return Sentence("warn", words, "Look at it", "node", worst.node_id)


def _job_fault(jobs: Sequence[JobStatus]) -> Sentence | None:
    # Only the newest job of each title: an old failure that was launched again is history.
    seen: set[str] = set()
    for job in jobs:
        if job.state is JobState.FAILED and job.title not in seen:
            return Sentence("warn", f"{text.one_line(job.title, 80)} failed.", "See why", "job", job.job_id)
        seen.add(job.title)
    return None


def _cable_fault(cables: Sequence[Cable]) -> Sentence | None:
    for look in ("down", "degraded"):
        hit = [cable for cable in cables if cable.look == look]
        if hit:
            title = hit[0].hint.splitlines()[0]
            more = f" {len(hit) - 1} more cables like it." if len(hit) > 1 else ""
            return Sentence("warn", f"Cable {title}.{more}", "Look at it", "cable", hit[0].key)
    return None


def _silence(nodes: Sequence[NodeStatus], cards: Sequence[NodeCard]) -> Sentence | None:
    """A node that was heard and is not heard now: worse than a launch that failed."""
    live = sum(node.is_live for node in nodes)
    again = [node for node in nodes if node.state in (NodeState.RECONNECTING, NodeState.STALE)]
    if again:
        name = text.one_line(again[0].record.name, 64)
        verb = "is being reconnected" if again[0].state is NodeState.RECONNECTING else "has gone quiet"
        return Sentence(
            "warn", f"{live} of {len(nodes)} nodes live: {name} {verb}.", "Look at it", "node", again[0].record.id
        )
    heard = {node.record.id for node in nodes if node.is_live}
    stale = next((card for card in cards if card.look == "stale" and card.node_id in heard), None)
    if stale is not None:
        return Sentence(
            "warn", f"{stale.name} sends nothing new; its values are old.", "Look at it", "node", stale.node_id
        )
    return None


def _waiting(nodes: Sequence[NodeStatus], cards: Sequence[NodeCard]) -> Sentence | None:
    live = sum(node.is_live for node in nodes)
    asleep = [node for node in nodes if node.state is NodeState.ASLEEP]
    if asleep and live + len(asleep) == len(nodes):
        name = text.one_line(asleep[0].record.name, 64)
        who = f"{name} is asleep" if len(asleep) == 1 else f"{len(asleep)} nodes are asleep"
        return Sentence("note", f"{live} of {len(nodes)} nodes live; {who}.", "Look at it", "node", asleep[0].record.id)
    if live < len(nodes):
        return Sentence("busy", f"Connecting: {live} of {len(nodes)} nodes live.")
    if any(card.look == "loading" for card in cards):
        return Sentence("busy", f"{live} {_nodes(live)} live, reading the first values.")
    return None


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"


def _all_well(nodes: Sequence[NodeStatus], cards: Sequence[NodeCard], cables: Sequence[Cable]) -> Sentence:
    measured = [card for card in cards if card.memory.total]
    live = f"{len(nodes)} {_nodes(len(nodes))} live"
    if len(measured) < len(cards):
        return Sentence("note", f"{live}; memory is not known on {len(cards) - len(measured)}.")
    least = min(measured, key=lambda card: card.memory.available)
    free = f"least free memory {text.memory(least.memory.available)} on {least.name}"
    if len(nodes) == 1:
        free = f"free memory {text.memory(least.memory.available)}"
    unknown = sum(cable.look == "unknown" for cable in cables)
    if unknown:
        return Sentence("note", f"{live}, {free}. {unknown} {'cable is' if unknown == 1 else 'cables are'} not known.")
    return Sentence("ok", f"All well: {live}, {free}.")
