"""The state of a cluster in one sentence: that all is well, or the worst thing with its button.

The one rule: "all well" is said only when every node was heard, its cables were looked at, and nothing that was seen is
wrong; what a person has accepted, and what is a note, is not wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.findings.judge_missing import PAIR
from sparkdesk.core.findings.judge_missing import RULE as MISSING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.free_memory import LOW_BYTES, FreeMemory, find_least
from ui import text
from ui.cluster.cable import Cable
from ui.cluster.card import NodeCard
from ui.findings import words
from ui.total import NO_TOTAL, Total

Tone = Literal["ok", "busy", "note", "warn", "crit"]
NOT_SEEN = Topology()
_MEMORY_RULES = ("wedge",)
"""Findings that say the same as a low memory seen here; who accepted one has accepted the other."""


class Sentence(NamedTuple):
    """What to say; `action` is a button's text, `kind` what it does and to what.

    Kinds: "node", "cable", "job", "add", "look" (at the cables again), "finding" (show it) and "fix" (a finding's fix).
    """

    tone: Tone
    words: str
    action: str = ""
    kind: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the sentence is made from. `token_rate` is that of all deployments."""

    nodes: Sequence[NodeStatus]
    cards: Sequence[NodeCard]
    cables: Sequence[Cable] = ()
    jobs: Sequence[JobStatus] = ()
    servers: Sequence[FoundServer] = ()
    concerns: Sequence[Concern] = ()
    topology: Topology = NOT_SEEN
    token_rate: Total = NO_TOTAL
    heard: frozenset[str] | None = None
    """The nodes that were heard long enough to say that nothing is wrong; None: nobody counts."""
    found_rate: Total = NO_TOTAL
    """The rate of the servers that others started."""
    frees: Sequence[FreeMemory] = ()
    """The free memory of the live nodes that tell it."""

    def has_accepted(self, node_id: str, rules: Sequence[str]) -> bool:
        """Whether the person lives with one of these findings of a node."""
        return any(one.is_accepted and one.node_id == node_id and one.rule in rules for one in self.concerns)


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


def build_sentence(told: Told) -> Sentence:
    """The sentence on top of the page."""
    if not told.nodes:
        return NO_NODE
    found = (
        _node_fault(told.nodes)
        or _finding(told, Severity.CRIT)
        or _silence(told.nodes, told.cards)
        or _memory_fault(told)
        or _job_fault(told.jobs)
        or _finding(told, Severity.WARN)
        or _cable_fault(told)
        or _waiting(told.nodes, told.cards)
        or _unseen(told)
    )
    return found or _all_well(told)


def _finding(told: Told, severity: Severity) -> Sentence | None:
    worst = words.worst(one for one in told.concerns if one.severity is severity)
    if worst is None:
        return None
    names = {card.node_id: card.name for card in told.cards}
    rest = words.count(told.concerns).open - 1
    more = f" {words.open_words(rest, 'more ')}." if rest else ""
    said = f"{words.place_of(worst, names)}: {words.title_of(worst)}.{more}"
    label = words.fix_label(worst)
    action, kind = (label, "fix") if label else ("Show", "finding")
    return Sentence("crit" if severity is Severity.CRIT else "warn", said, action, kind, worst.id)


def _node_fault(nodes: Sequence[NodeStatus]) -> Sentence | None:
    for state, phrase, action in _FAULTS:
        hit = [node for node in nodes if node.state is state]
        if hit:
            more = f" So do {len(hit) - 1} more." if len(hit) > 1 and state is NodeState.IDENTITY_CHANGED else ""
            if len(hit) > 1 and not more:
                more = f" {len(hit) - 1} more like it."
            said = phrase.format(name=text.one_line(hit[0].record.name, 64)) + more
            return Sentence("crit", said, action, "node", hit[0].record.id)
    return None


def _memory_fault(told: Told) -> Sentence | None:
    low = [one for one in told.frees if one.is_low and not told.has_accepted(one.node_id, _MEMORY_RULES)]
    worst = find_least(low)
    if worst is None:
        return None
    limit = f"below {LOW_BYTES / text.GIB:.0f} GiB a node may freeze"
    said = f"Only {text.memory(worst.free_bytes)} free on {_name_of(told, worst.node_id)}: {limit}."
    return Sentence("warn", said, "Look at it", "node", worst.node_id)


def _name_of(told: Told, node_id: str) -> str:
    return next((card.name for card in told.cards if card.node_id == node_id), node_id)


def _job_fault(jobs: Sequence[JobStatus]) -> Sentence | None:
    # Only the newest job of each title: an old failure that was launched again is history.
    seen: set[str] = set()
    for job in jobs:
        if job.state is JobState.FAILED and job.title not in seen:
            return Sentence("warn", f"{text.one_line(job.title, 80)} failed.", "See why", "job", job.job_id)
        seen.add(job.title)
    return None


def _cable_fault(told: Told) -> Sentence | None:
    if not told.topology.seen_ms:
        return None  # where they lead is a guess until somebody has looked
    accepted = {(one.node_id, one.subject) for one in told.concerns if one.is_accepted}
    if len(told.nodes) == PAIR:  # one cable is enough for two: who does without it has accepted both cages
        accepted |= {(node, cage) for node, _ in accepted if told.has_accepted(node, (MISSING,)) for cage in CAGES}
    for look in ("one_way", "down", "wrong", "degraded"):
        hit = [cable for cable in told.cables if cable.look == look and not accepted.intersection(cable.ends)]
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
        count = f"{live} of {len(nodes)} nodes live: " if len(nodes) > 1 else ""
        return Sentence("warn", f"{count}{name} {verb}.", "Look at it", "node", again[0].record.id)
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
        count = f"{live} of {len(nodes)} nodes live; " if len(nodes) > 1 else ""
        return Sentence("note", f"{count}{who}.", "Look at it", "node", asleep[0].record.id)
    if live < len(nodes):
        words = f": {live} of {len(nodes)} nodes live" if len(nodes) > 1 else " to the node"
        return Sentence("busy", f"Connecting{words}.")
    if any(card.look == "loading" for card in cards):
        return Sentence("busy", f"{live} {_nodes(live)} live, reading the first values.")
    return None


def _unseen(told: Told) -> Sentence | None:
    """Nobody has looked yet: that is not well."""
    topology, count = told.topology, len(told.nodes)
    if count < 2 or topology.seen_ms:
        return None
    if topology.state is LookState.FAILED:
        why = text.one_line(topology.message, 160) or "no reason was given"
        return Sentence("note", f"The cables could not be looked at: {why}.".replace("..", "."), "Look again", "look")
    return Sentence("busy", f"Looking at {count} {_nodes(count)}.")


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"


def _what_runs(told: Told) -> str:
    """ "2 models, 228 tok/s, 1 found running (41 tok/s)"; the nodes where nothing is served."""
    ready = sum(job.state is JobState.READY for job in told.jobs)
    count = len(told.nodes)
    parts = [f"{ready} {'model' if ready == 1 else 'models'}" if ready else f"{count} {_nodes(count)} live"]
    if ready and told.token_rate.told:
        parts.append(told.token_rate.words(text.token_rate(told.token_rate.value)))
    if told.servers:
        rate = f" ({told.found_rate.words(text.token_rate(told.found_rate.value))})" if told.found_rate.told else ""
        parts.append(f"{len(told.servers)} found running{rate}")
    return ", ".join(parts)


def _all_well(told: Told) -> Sentence:
    what, count = _what_runs(told), len(told.nodes)
    least = find_least(told.frees)
    if least is None or len(told.frees) < len(told.cards):
        return Sentence("note", f"{what}; memory is not known on {len(told.cards) - len(told.frees)}.")
    free = f"least free memory {text.memory(least.free_bytes)} on {_name_of(told, least.node_id)}"
    if count == 1:
        free = f"free memory {text.memory(least.free_bytes)}"
    unknown = sum(cable.look == "unknown" for cable in told.cables)
    if unknown:
        return Sentence("note", f"{what}, {free}. {unknown} {'cable is' if unknown == 1 else 'cables are'} not known.")
    if told.heard is not None and any(node.record.id not in told.heard for node in told.nodes):
        return Sentence("note", f"Nothing wrong so far: {what}, {free}.")
    return Sentence("ok", f"All well: {what}, {free}.")
