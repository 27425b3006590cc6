"""Everything the cluster page shows at one moment, made from what services know. Pure: no Qt, no clock of its own.

The one rule: a scene is a value. Two equal scenes need no repaint, and a test reads it without a window; what a part is
made from decides whether it is made anew, never the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.cluster.port import Port
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_USED, REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.cage import ports_of
from sparkdesk.core.telemetry.free_memory import read_free
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.jobs.trace import Traces
from ui import text
from ui.cluster.cable import Cable, CableBuilder, CableFacts, Look, switch_titles, title_at, title_of
from ui.cluster.card import STALE_AFTER_S, Found, NodeCard, Served, build_card, with_concerns
from ui.cluster.map.wiring import Shape, Wiring, build_wiring, has_look
from ui.cluster.sentence import NO_NODE, Sentence, Told, build_sentence
from ui.jobs.mark import Mark, current_phase, is_coming_up, is_serving, mark_of_job, mark_of_silent_job
from ui.jobs.total_rate import total_rate
from ui.total import NO_TOTAL, total_of

NO_TOPOLOGY = Topology()
NO_WIRING = Wiring()


@dataclass(frozen=True, slots=True)
class Scene:
    """The page as a value."""

    title: str = ""
    subtitle: str = ""
    is_simulated: bool = False
    shape: Shape = "loose"
    sentence: Sentence = NO_NODE
    cards: tuple[NodeCard, ...] = ()
    cables: tuple[Cable, ...] = ()
    switch_titles: tuple[str, ...] = ()
    """By the switches' numbers."""
    switch_detail: str = ""
    topology: Topology = NO_TOPOLOGY
    """What the cables are drawn from; before the first look it is empty."""
    look_words: str = ""
    """How the look for cables stands, "" when it is done: "Looking at the cables", or why the last one failed."""
    wiring: Wiring = NO_WIRING
    """Which lines are drawn, and how they are placed."""
    guests: tuple[str, ...] = ()
    """Devices on the switch that are no node of the cluster."""

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes in the cluster's order."""
        return tuple(card.node_id for card in self.cards)

    def switch_title(self, number: int) -> str:
        """What the switch of this number is called."""
        return title_at(self.switch_titles, number)

    def card(self, node_id: str) -> NodeCard | None:
        """A node's card."""
        return next((card for card in self.cards if card.node_id == node_id), None)

    def cable(self, key: str) -> Cable | None:
        """A cable by its key."""
        return next((cable for cable in self.cables if cable.key == key), None)


@dataclass(frozen=True, slots=True)
class Known:
    """What a scene is made from. `samples` are the newest by node, with their age in s."""

    cluster: ClusterRecord | None
    nodes: Sequence[NodeStatus]
    jobs: Sequence[JobStatus] = ()
    samples: Mapping[str, tuple[Sample, float]] = field(default_factory=dict)
    traces: Traces | None = None
    plan_of: Callable[[str], LaunchPlan | None] = lambda _job_id: None
    servers: Sequence[FoundServer] = ()
    server_reading: Callable[[str, str], float] = lambda _server_id, _key: math.nan
    """What a found server tells now: its id and a key of the metric table; NaN when it does not."""
    topology: Topology = NO_TOPOLOGY
    concerns: Sequence[Concern] = ()
    heard: frozenset[str] | None = None
    """The nodes that were heard long enough to say that nothing is wrong; None: nobody counts."""


def build_scene(known: Known) -> Scene:
    """The scene of this moment."""
    return SceneBuilder().build(known)


@dataclass(frozen=True, slots=True)
class _Made:
    """A card and what it was made from, as far as that can change it."""

    status: NodeStatus
    sample: Sample | None
    served: tuple[Served, ...]
    found: tuple[Found, ...]
    concerns: tuple[Concern, ...]
    card: NodeCard

    def is_of(
        self,
        status: NodeStatus,
        sample: Sample | None,
        served: tuple[Served, ...],
        found: tuple[Found, ...],
        concerns: tuple[Concern, ...],
    ) -> bool:
        """Whether the card of these is the one."""
        is_same = self.status is status and self.sample is sample
        return is_same and self.served == served and self.found == found and self.concerns == concerns


class SceneBuilder:
    """Builds one scene after another; of many nodes only those are looked at of which something new is known."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}
        self._ports: dict[str, tuple[Sample, tuple[Port, ...]]] = {}
        self._cables = CableBuilder()

    def build(self, known: Known) -> Scene:
        """The scene of this moment."""
        cards = self._build_cards(known)
        cluster, topology = known.cluster, known.topology
        wiring = build_wiring(topology, cluster.shape if cluster else "", tuple(card.node_id for card in cards))
        facts = CableFacts(
            topology,
            self._find_ports(known),
            old_ages(known.nodes, known.samples),
            {card.node_id: card.name for card in cards},
            switch_titles(topology, cluster.switch_name if cluster else ""),
        )
        cables = self._cables.build(wiring, facts)
        guests = _guests(topology) if wiring.is_seen else ()
        return Scene(
            title=text.one_line(cluster.name, 80) if cluster else "Cluster",
            subtitle=_subtitle(wiring.shape, known),
            is_simulated=cluster.is_simulated if cluster else False,
            shape=wiring.shape,
            sentence=build_sentence(_told(known, cards, cables)),
            cards=cards,
            cables=cables,
            switch_titles=facts.switch_titles,
            switch_detail=_switch_detail(wiring, cables, facts.ports),
            topology=topology,
            look_words=_look_words(known),
            wiring=wiring,
            guests=guests,
        )

    def _build_cards(self, known: Known) -> tuple[NodeCard, ...]:
        before, self._made = self._made, {}
        found: dict[str, list[Found]] = {}
        for server in known.servers:
            found.setdefault(server.node_id, []).append(_found(server, known))
        concerns: dict[str, list[Concern]] = {}
        for concern in known.concerns:
            concerns.setdefault(concern.node_id, []).append(concern)
        silent = old_ages(known.nodes, known.samples)
        cards = []
        for node in known.nodes:
            node_id = node.record.id
            sample, age_s = known.samples.get(node_id, (None, math.nan))
            served, others = served_on(node_id, known, silent), tuple(found.get(node_id, ()))
            parts = (node, sample, served, others, tuple(concerns.get(node_id, ())))
            made = before.get(node_id)
            # The age of values is told in words only where they are old.
            is_old = sample is not None and not (node.is_live and age_s <= STALE_AFTER_S)
            if is_old or made is None or not made.is_of(*parts):
                card = build_card(node, sample, age_s, served, others)
                made = _Made(*parts, with_concerns(card, parts[4]))
            if not is_old:
                self._made[node_id] = made
            cards.append(made.card)
        return tuple(cards)

    def _find_ports(self, known: Known) -> dict[End, Port]:
        before, self._ports = self._ports, {}
        ports: dict[End, Port] = {}
        for node in known.nodes:
            node_id = node.record.id
            found = known.samples.get(node_id)
            # An old sample says nothing about a cable of now.
            if found is None or not node.is_live or not found[1] <= STALE_AFTER_S:
                continue
            told = before.get(node_id)
            if told is None or told[0] is not found[0]:
                told = (found[0], tuple(ports_of(found[0])))
            self._ports[node_id] = told
            for port in told[1]:
                ports[node_id, port.cage] = port
        return ports


def old_ages(nodes: Sequence[NodeStatus], samples: Mapping[str, tuple[Sample, float]]) -> dict[str, float]:
    """The nodes that tell nothing of now, with the age of what they told last; NaN: they never told anything."""
    ages = {node.record.id: samples.get(node.record.id, (None, math.nan))[1] for node in nodes}
    return {
        node.record.id: ages[node.record.id]
        for node in nodes
        if not node.is_live or ages[node.record.id] > STALE_AFTER_S
    }


def job_mark(job: JobStatus, silent: Mapping[str, float]) -> Mark:
    """The chip of a job: of a silent node nobody knows its state of now. `silent` is as `old_ages` gives it."""
    ages = [silent[node_id] for node_id in job.node_ids if node_id in silent]
    return mark_of_silent_job(job, max(ages, key=lambda age: (age == age, age))) if ages else mark_of_job(job)


def _guests(topology: Topology) -> tuple[str, ...]:
    """Devices on a switch: those that no cable of a node leads to."""
    on_cables = {cable.stranger for cable in topology.cables if cable.stranger is not None}
    there = [one for one in topology.strangers if one not in on_cables]
    return tuple(f"{title_of(one)} ({one.mac})" if one.mac else title_of(one) for one in there)


def _look_words(known: Known) -> str:
    """How the look for cables stands; "" where what is drawn is of the last look and that was well."""
    topology = known.topology
    if topology.state is LookState.NONE:
        return "The cables have not been looked at yet"
    if topology.state is LookState.LOOKING:
        return "" if has_look(topology) else "Detecting the cables"
    if topology.state is not LookState.FAILED:
        return ""
    why = text.one_line(topology.message, 120) or "the last look failed"
    if not has_look(topology):
        return f"Where the cables lead is not known: {why}"
    now_ms = max((round(sample.t_ms + age_s * 1000) for sample, age_s in known.samples.values()), default=0)
    age = text.age((now_ms - topology.seen_ms) / 1000) if now_ms and topology.seen_ms else ""
    return f"Cables as seen {age} ago: {why}" if age else f"Cables as seen before: {why}"


def _told(known: Known, cards: Sequence[NodeCard], cables: Sequence[Cable]) -> Told:
    """What the sentence is made from; the rate is that of the deployments that tell one."""
    return Told(
        known.nodes,
        cards,
        cables,
        known.jobs,
        known.servers,
        known.concerns,
        known.topology,
        total_rate(known.jobs, known.traces.newest) if known.traces else NO_TOTAL,
        known.heard,
        total_of(known.server_reading(server.id, GENERATED_RATE) for server in known.servers),
        read_free((card.node_id, known.samples[card.node_id][0]) for card in cards if card.look == "live"),
    )


def _found(server: FoundServer, known: Known) -> Found:
    def read(key: str) -> float:
        value = known.server_reading(server.id, key)
        return value if text.is_known(value) else math.nan  # one object, so that equal cards are equal

    return Found(server, read(GENERATED_RATE), read(REQUESTS_RUNNING), read(REQUESTS_WAITING), read(KV_USED))


def served_on(node_id: str, known: Known, silent: Mapping[str, float]) -> tuple[Served, ...]:
    """What runs or starts on a node, ready ones first. `silent` is as `old_ages` gives it."""
    jobs = [job for job in known.jobs if node_id in job.node_ids and is_serving(job)]
    jobs.sort(key=lambda job: job.state is not JobState.READY)
    return tuple(_served(job, node_id, known, silent) for job in jobs)


def _served(job: JobStatus, node_id: str, known: Known, silent: Mapping[str, float]) -> Served:
    plan = known.plan_of(job.job_id)
    ledger = next((each for each in plan.ledgers if each.node_id == node_id), None) if plan else None
    phase = current_phase(job)
    return Served(
        job_id=job.job_id,
        title=job.title,
        mark=job_mark(job, silent),
        is_ready=job.state is JobState.READY,
        token_rate=known.traces.newest(job.job_id, GENERATED_RATE) if known.traces else math.nan,
        running=job.reading(REQUESTS_RUNNING),
        waiting=job.reading(REQUESTS_WAITING),
        kv_used=job.reading(KV_USED),
        concurrency=plan.request.concurrency if plan else None,
        ledger=ledger,
        note=(phase.note or phase.title) if phase and is_coming_up(job) else job.state.words,
    )


_LINKED: frozenset[Look] = frozenset(("up", "degraded", "wrong"))
"""A cable that is set up wrongly has its link too."""
_SHAPE_WORDS: dict[Shape, str] = {
    "single": "",
    "pair": "direct cable",
    "ring": "ring",
    "switch": "switch",
    "chain": "chain",
    "loop": "loop",
    "mixed": "mixed cabling",
    "loose": "shape not known",
}


def _missing_words(known: Known) -> Iterator[str]:
    """Who is not there where the shape counts him: "1 node away"."""
    topology, there = known.topology, {node.record.id for node in known.nodes}
    for nodes, words in ((topology.away, "away"), (topology.apart, "not on it")):
        count = len(there.intersection(nodes))
        if count:
            yield f"{count} {'node' if count == 1 else 'nodes'} {words}"


def _subtitle(shape: Shape, known: Known) -> str:
    count = len(known.nodes)
    if not count:
        return ""
    parts = [f"{count} {'node' if count == 1 else 'nodes'}"]
    words = "no cable between them" if shape == "single" and count > 1 else _SHAPE_WORDS[shape]
    if shape == "pair" and known.topology.doubt:
        words = "pair"  # a switch that tells nothing of itself looks the same
    if words:
        parts.append(", ".join((words, *_missing_words(known))))
    ready = sum(job.state is JobState.READY for job in known.jobs)
    found = len(known.servers)
    if ready or not found:
        parts.append(f"{ready} {'model' if ready == 1 else 'models'} served" if ready else "no model served")
    if found:
        parts.append(f"{found} found running")
    return " · ".join(parts)


def _switch_detail(wiring: Wiring, cables: Sequence[Cable], ports: Mapping[End, Port]) -> str:
    """Of the cables that end on a switch, and only of those: how many have their link, and what they carry now."""
    ends = {link.key: link.ends[0] for link in wiring.links if link.to == "switch"}
    there = [cable for cable in cables if cable.key in ends and cable.look in _LINKED]
    sent = total_of((ports[at].tx_gbps for cable in there if (at := ends[cable.key]) in ports), of=len(there))
    parts = [f"{len(there)} {'cable' if len(there) == 1 else 'cables'} up" if there else "no cable known"]
    if sent.told:
        parts.append(f"{sent.words(text.line_rate(sent.value))} now")
    return " · ".join(parts)
