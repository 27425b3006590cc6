"""What the card of one node says, in words and rounded figures. Pure: no Qt, no clock.

Figures are rounded as they are shown, so that two equal cards look alike and need no repaint. The one rule: what was
not measured is None or "n/a"; busy comes from the engines, never from GPU utilisation (a waiting rank polls).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.jobs.plan import MemoryLedger
from sparkdesk.core.telemetry.metric import ENGINE_BUSY, GPU_POWER
from sparkdesk.core.telemetry.sample import Sample
from ui import text
from ui.findings import words
from ui.jobs.mark import READ_ONLY, Mark
from ui.quantity import title_of_card, write_quantity
from ui.total import Total, total_of

Look = Literal["live", "loading", "stale", "alarm"]
STALE_AFTER_S = 3.0
"""Values older than this are pale; Source: DESIGN section 8, three missed samples at 1 Hz."""
STALE_CHIP_AFTER_S = 10.0
_TENTH_GIB = text.GIB // 10


@dataclass(frozen=True, slots=True)
class Served:
    """One deployment on a node. Numbers are NaN when the engine did not say."""

    job_id: str
    title: str
    mark: Mark
    is_ready: bool
    token_rate: float = math.nan
    running: float = math.nan
    waiting: float = math.nan
    kv_used: float = math.nan
    concurrency: int | None = None
    ledger: MemoryLedger | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A server that others started on a node, with what it tells. Numbers are NaN when it does not."""

    server: FoundServer
    token_rate: float = math.nan
    running: float = math.nan
    waiting: float = math.nan
    kv_used: float = math.nan


class FoundNote(NamedTuple):
    """A found server in words: its name, its rate and requests, and its KV cache; "" where it does not tell."""

    name: str
    work: str = ""
    kv: str = ""

    @property
    def told(self) -> str:
        """All that it tells of its work."""
        return " · ".join(filter(None, (self.work, self.kv)))


class CardJob(NamedTuple):
    """A deployment that the card's menu offers something for."""

    job_id: str
    title: str
    is_ready: bool
    is_ours: bool
    """Whether it may be stopped from here."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Unified memory of a node in bytes, rounded to a tenth of a GiB. `total` 0: nothing is known."""

    total: int = 0
    weights: int = 0
    kv: int = 0
    kv_used: int | None = 0
    """None: an engine does not tell."""
    other: int = 0
    cache: int | None = 0
    """None: the node does not tell."""

    @property
    def used(self) -> int:
        """What programs hold."""
        return self.weights + self.kv + self.other

    @property
    def available(self) -> int:
        """What a program could still get: free and page cache."""
        return self.total - self.used


@dataclass(frozen=True, slots=True)
class Figure:
    """A label with its value; `fraction` draws a meter below, `hint` says why a value is missing."""

    label: str
    value: str
    unit: str = ""
    fraction: float | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class NodeCard:
    """All that is painted of one node."""

    node_id: str
    name: str
    look: Look
    mark: Mark
    headline: str = ""
    detail: str = ""
    detail_short: str = ""
    """The same with less words, for a narrow card."""
    finding: Mark | None = None
    """How many findings of the node nobody has accepted yet; notes do not count."""
    serving: Mark | None = None
    jobs: tuple[CardJob, ...] = ()
    found_notes: tuple[FoundNote, ...] = ()
    """Servers that others started there: shown and talked to, never stopped."""
    memory: Memory = Memory()
    caption: str = ""
    cache_caption: str = ""
    figures: tuple[Figure, ...] = ()
    message: str = ""
    action: str = ""
    """A link on the card, e.g. "Compare keys"; pressing it selects the node, where the buttons are."""
    sentence: str = ""
    """The whole card for a screen reader."""

    @property
    def found(self) -> tuple[str, ...]:
        """The names of the servers that others started there."""
        return tuple(note.name for note in self.found_notes)


_ALARMS: dict[NodeState, tuple[Mark, str]] = {
    NodeState.UNREACHABLE: (Mark("Unreachable", "crit", "unplug"), "Reconnect"),
    NodeState.REFUSED: (Mark("Not signed in", "crit", "lock"), "Sign in"),
    NodeState.IDENTITY_CHANGED: (Mark("Host key changed", "crit", "key"), "Compare keys"),
    NodeState.IDLE: (Mark("Not connected", "neutral", "circle-dashed"), "Connect"),
    NodeState.ASLEEP: (Mark("Asleep", "neutral", "pause"), "Wake"),
}


FOUND_MARK = Mark("Found running", "neutral", "eye")
NOT_OURS = "not started by SparkDesk"
NOT_OURS_SHORT = "not ours"
COUNTED = "Requests that run now; how many fit at once, a found server does not tell"
RAIL = "What the GPU's own rail draws: about half of the box"


def build_card(
    status: NodeStatus,
    sample: Sample | None,
    age_s: float,
    served: Sequence[Served],
    found: Sequence[Found] = (),
) -> NodeCard:
    """The card of a node. `age_s`: how old the sample is (NaN: there is none). `found` are servers others started."""
    name = text.one_line(status.record.name, 64)
    if status.state in _ALARMS:
        return _alarm_card(status, name)
    if sample is None:
        word = "Reading" if status.is_live else status.state.words
        mark = _state_mark(status.state, math.nan) if status.state is NodeState.STALE else Mark(word)
        card = NodeCard(status.record.id, name, "loading", mark)
        return replace(card, sentence=f"{name}, {word.lower()}")
    card = _measured_card(status, name, sample, age_s, served, found)
    return _with_found(card, found) if found else card


def _with_found(card: NodeCard, found: Sequence[Found]) -> NodeCard:
    """What runs there and is not ours: in our place where we serve nothing, else as a count behind our own."""
    notes = tuple(_note_of(one) for one in found)
    said = (f"{note.name} ({note.told.replace(' · ', ', ')})" if note.told else note.name for note in notes)
    spoken = f"{card.sentence}, found running: {', '.join(said)}, {NOT_OURS}"
    if card.serving is not None:
        return replace(card, headline=f"{card.headline} +{len(notes)} found", found_notes=notes, sentence=spoken)
    more = f" +{len(notes) - 1}" if len(notes) > 1 else ""
    work = _work_words(found)
    return replace(
        card,
        headline=notes[0].name + more,
        detail=f"{work} · {NOT_OURS_SHORT}" if work else NOT_OURS,
        detail_short=_work_words(found, is_short=True) or NOT_OURS_SHORT,
        serving=FOUND_MARK,
        found_notes=notes,
        sentence=spoken.replace("no model served, ", "", 1),
    )


def _note_of(found: Found) -> FoundNote:
    kv = f"KV {text.percent(found.kv_used)}" if text.is_known(found.kv_used) else ""
    return FoundNote(found_words(found.server), _work_words((found,)), kv)


def found_words(server: FoundServer) -> str:
    """A found server in a few words: "qwen3-8b · vLLM"."""
    said = server.title or (server.models[0] if server.models else "") or f"a server on port {server.port}"
    return text.one_line(said, 80)


def with_concerns(card: NodeCard, concerns: Sequence[Concern]) -> NodeCard:
    """The same card with what is wrong with the node, notes and what was accepted left out."""
    open_ones = [one for one in concerns if words.is_open(one)]
    if not open_ones:
        return card
    is_crit = any(one.severity is Severity.CRIT for one in open_ones)
    told = words.open_words(len(open_ones))
    spoken = ", ".join(text.one_line(one.title, 120) for one in open_ones)
    mark = Mark(told, "crit" if is_crit else "warn")
    return replace(card, finding=mark, sentence=f"{card.sentence}, {told}: {spoken}")


def _alarm_card(status: NodeStatus, name: str) -> NodeCard:
    mark, action = _ALARMS[status.state]
    message = text.one_line(status.message or status.state.words, 240)
    card = NodeCard(status.record.id, name, "alarm", mark, message=message, action=action)
    remedy = text.one_line(status.remedy, 240)
    return replace(card, sentence=f"{name}, {mark.text.lower()}. {message} {remedy}".strip())


def _measured_card(
    status: NodeStatus, name: str, sample: Sample, age_s: float, served: Sequence[Served], found: Sequence[Found]
) -> NodeCard:
    is_old = not status.is_live or age_s > STALE_AFTER_S
    memory = measure_memory(sample, served)
    card = NodeCard(
        node_id=status.record.id,
        name=name,
        look="stale" if is_old else "live",
        mark=_state_mark(status.state, age_s),
        headline=_headline(served),
        detail=_detail(served),
        detail_short=_detail(served, is_short=True),
        serving=served[0].mark if served else None,
        jobs=tuple(CardJob(one.job_id, one.title, one.is_ready, one.mark != READ_ONLY) for one in served),
        memory=memory,
        caption=_caption(memory, sample, is_old=is_old),
        cache_caption=f"{text.memory(memory.cache).value} page cache" if memory.cache and not is_old else "",
        figures=_figures(sample, _busy_figure(served, found)),
    )
    return replace(card, sentence=_sentence(card, served, age_s if is_old else 0.0))


def _state_mark(state: NodeState, age_s: float) -> Mark:
    if state is NodeState.RECONNECTING:
        return Mark("Reconnecting", "warn", "clock")
    if state is NodeState.STALE or age_s > STALE_CHIP_AFTER_S:
        return Mark(f"Stale {text.age(age_s)}" if text.is_known(age_s) else "Stale", "warn", "clock")
    if age_s > STALE_AFTER_S:
        return Mark(f"{text.age(age_s)} ago", "neutral", "clock")
    if state is NodeState.SLOW:
        return Mark("Slow", "warn", "clock")
    return Mark("Live", "ok", "circle-check")


def _headline(served: Sequence[Served]) -> str:
    if not served:
        return "No model served"
    more = f" +{len(served) - 1}" if len(served) > 1 else ""
    return text.one_line(served[0].title, 80) + more


def _detail(served: Sequence[Served], *, is_short: bool = False) -> str:
    ready = [one for one in served if one.is_ready]
    if not ready:
        return text.one_line(served[0].note, 60) if served else ""
    return _work_words(ready, is_short=is_short) or "engine metrics n/a"


def _work_words(engines: Sequence[Served | Found], *, is_short: bool = False) -> str:
    """ "228 tok/s · 8 running, 14 waiting" of all that tell; "" when none does."""
    parts = []
    rate = total_of(one.token_rate for one in engines)
    if rate.told:
        parts.append(rate.words(text.token_rate(rate.value)))
    running, waiting = total_of(one.running for one in engines), total_of(one.waiting for one in engines)
    if running.told and is_short:
        parts.append(_count(running) + (f" / {_count(waiting)}" if waiting.told else ""))
    elif running.told:
        queue = f", {waiting.words(f'{waiting.value:.0f}')} waiting" if waiting.told else ""
        parts.append(f"{running.words(f'{running.value:.0f}')} running{queue}")
    return " · ".join(parts)


def _count(found: Total) -> str:
    """ "8+" where some do not tell."""
    return f"{found.value:.0f}{'+' if found.is_partial else ''}"


def measure_memory(sample: Sample, served: Sequence[Served]) -> Memory:
    """The ledger of a node: what is in use is measured, how much of it are weights and KV is what was planned."""
    total, available = sample.value("mem_total_bytes"), sample.value("mem_available_bytes")
    if not (text.is_known(total) and text.is_known(available)) or total <= 0:
        return Memory()
    used = max(0.0, total - available)
    weights = _rounded(min(used, _planned(served, "weights_bytes")))
    kv = _rounded(min(max(0.0, used - weights), _planned(served, "kv_bytes")))
    in_caches = [one.ledger.kv_bytes * one.kv_used for one in served if one.ledger is not None and one.ledger.kv_bytes]
    kv_used = sum(in_caches)  # one that is not known makes the sum not known
    page_cache = sample.value("mem_page_cache_bytes")
    # What is free is said beside other figures of it: it is rounded by itself, and the rest makes up the whole.
    rest = max(0, _rounded(total) - _rounded(min(available, total)) - weights - kv)
    return Memory(
        total=_rounded(total),
        weights=weights,
        kv=kv,
        kv_used=min(kv, _rounded(kv_used)) if text.is_known(kv_used) else None,
        other=rest,
        cache=_rounded(min(page_cache, available)) if text.is_known(page_cache) else None,
    )


def _planned(served: Sequence[Served], part: str) -> float:
    ledgers = [one.ledger for one in served if one.ledger is not None]
    return float(sum(getattr(ledger, part) or 0 for ledger in ledgers))


def _rounded(size_bytes: float) -> int:
    return round(size_bytes / _TENTH_GIB) * _TENTH_GIB


def _caption(memory: Memory, sample: Sample, *, is_old: bool) -> str:
    if is_old:
        return f"Last seen {text.time_of_day(sample.t_ms)}. Values are old."
    if not memory.total:
        return "Unified memory n/a"
    return f"{text.memory(memory.used).value} / {text.memory(memory.total)} used"


def busy_share(served: Sequence[Served]) -> float:
    """Running requests over the slots that were launched, 0..1; NaN when no engine tells."""
    known = [one for one in served if one.is_ready and text.is_known(one.running) and one.concurrency]
    slots = sum(one.concurrency or 0 for one in known)
    return min(1.0, sum(one.running for one in known) / slots) if slots else math.nan


def _busy_figure(served: Sequence[Served], found: Sequence[Found]) -> Figure:
    """How busy the engines are: a share of the slots that we launched, or a count where others' slots are not known."""
    busy, others = busy_share(served), [one.running for one in found]
    if any(running > 0 for running in others):
        running = total_of([*(one.running for one in served if one.is_ready), *others])
        return Figure(title_of_card(ENGINE_BUSY), _count(running), "req", hint=COUNTED)
    if not served and others and all(running == 0 for running in others):
        busy = 0.0
    if text.is_known(busy):
        return Figure(title_of_card(ENGINE_BUSY), f"{busy * 100:.0f}", "%", round(busy, 2))
    hint = "The engine does not report it" if served or found else "No model is served here"
    return Figure(title_of_card(ENGINE_BUSY), text.NOT_KNOWN, hint=hint)


def _figures(sample: Sample, busy: Figure) -> tuple[Figure, ...]:
    """Busy, and what the table calls its rows."""
    shown = [(key, write_quantity(key, sample.value(key))) for key in ("gpu_sm_clock_mhz", "gpu_temp_c", GPU_POWER)]
    rows = [Figure(title_of_card(key), *said, hint=RAIL if key == GPU_POWER else "") for key, said in shown]
    return (busy, *rows)


def _sentence(card: NodeCard, served: Sequence[Served], age_s: float) -> str:
    parts = [card.name, card.mark.text.lower()]
    if age_s and text.is_known(age_s):
        parts.append(f"values are {text.age(age_s)} old")
    for one in served:
        parts.append(f"{text.one_line(one.title, 80)} {one.mark.text.lower()}")
    if not served:
        parts.append("no model served")
    if card.detail:
        parts.append(card.detail.replace(" · ", ", "))
    if card.memory.total:
        used, total = text.memory(card.memory.used).value, text.memory(card.memory.total).value
        parts.append(f"memory {used} of {total} gibibytes used")
    parts += [f"{one.label} {one.value} {one.unit}".strip() for one in card.figures]
    return ", ".join(parts)
