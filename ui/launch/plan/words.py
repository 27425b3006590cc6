"""What the plan column says of a row: the sentences and figures that tile, table and tooltip share.

The one rule: a figure is written in one place, so that no two parts of the column can disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparkdesk.core.jobs.plan import GIB, Fit, MemoryLedger, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.prediction import MeasuredCase, Prediction
from sparkdesk.core.planning.row import PlanRow, Toll
from sparkdesk.core.planning.workload import Workload
from ui import text
from ui.text import Quantity

_LONGEST_NAME: Final = 60
MOST_CURRENCY: Final = 8
_BESIDE_A_NUMBER: Final = re.compile(r"(?<=\d) (?=(?:ms|s|users?)\b)|(?<=\b[TPD]P) (?=\d)")
"""Where a line does not end: between a number and what it counts."""
QUALITY_WORDS: Final = ("none", "minimal", "small", "noticeable", "moderate")
"""By level of `Quality`: what the format costs in answers."""
GB10_GB_PER_S: Final = 273.0
"""Of unified memory. Source: NVIDIA's data sheet of DGX Spark."""


@dataclass(frozen=True, slots=True)
class TileWords:
    """One of the four figures: `alone` is there where neighbours make another figure of it."""

    title: str
    figure: Figure
    alone: Figure | None
    write: Callable[[float | None], Quantity]
    measured: float | None
    """What was measured of this very case, to stand beside the figure; None: nobody did, or not this of it."""
    is_supported: bool
    """A measured case is near and the device is fitted; else the figure is drawn without weight."""
    said: str = ""
    """The title in full, where there is no room for it."""

    @property
    def value(self) -> Quantity:
        """The figure with its unit."""
        return self.write(self.figure.value)

    @property
    def band(self) -> str:
        """ "13.9 – 17.8"; of minutes "4.0 – 6.0 min", for which a tile has room."""
        low, high = self.write(self.figure.low), self.write(self.figure.high)
        is_known = text.NOT_KNOWN not in (low.value, high.value)
        # A figure of minutes has its units inside.
        return _minutes_band(self.figure) if is_known and not high.unit else text.span(low, high)

    @property
    def beside(self) -> str:
        """What stands below it: the figure alone, the one that was measured; "" is neither."""
        parts = [] if self.alone is None else [f"alone {self.write(self.alone.value)}"]
        parts += [] if self.measured is None else [f"measured {self.write(self.measured)}"]
        return ", ".join(parts)

    @property
    def sentence(self) -> str:
        """All of it, for a screen reader."""
        title = self.said or self.title
        if not self.figure.is_known:
            return f"{title}: not known"
        said = f"{title}: about {self.value}, {self.band}"
        return f"{said}; {self.beside}" if self.beside else said


def _minutes_band(figure: Figure) -> str:
    """A band of seconds in minutes, with one decimal below 100."""
    decimals = 1 if figure.high < 99.95 * 60 else 0
    low, high = (text.grouped(time_s / 60, decimals) for time_s in (figure.low, figure.high))
    return f"{text.span(Quantity(low, ''), Quantity(high, ''))} min"


def token_words(tokens: int) -> str:
    """Write a count of tokens as people say it: 32K, 512, 1,000."""
    return f"{tokens // 1024}K" if tokens >= 1024 and tokens % 1024 == 0 else text.count(tokens)


def users_words(users: int) -> str:
    """ "1 user", "4 users"."""
    return "1 user" if users == 1 else f"{text.count(users)} users"


def tiles_of(row: PlanRow) -> tuple[TileWords, ...]:
    """TTFT, TPOT, each user's rate and everybody's."""
    load, shown = row.workload, row.shown
    alone = row.alone if row.shared is not None else None
    is_supported = shown.is_fitted and bool(shown.leans_on)
    case = shown.leans_on[0] if is_supported and not shown.leans_on[0].distance else None
    ttft_s, tpot_s = (case.ttft_s, case.tpot_s) if case is not None else (None, None)
    user_tok_s = 1.0 / tpot_s if tpot_s else None
    total_tok_s = load.users / tpot_s if tpot_s else None
    active = f"{text.count(load.users)} active"

    def tile(
        title: str,
        of: Callable[[Prediction], Figure],
        write: Callable[[float | None], Quantity],
        measured: float | None,
    ) -> TileWords:
        return TileWords(title, of(shown), of(alone) if alone else None, write, measured, is_supported)

    first = tile(_first_title(load), lambda p: p.ttft_s, text.first_token_time, ttft_s)

    return (
        replace(first, said=_first_title(load, is_full=True)),
        tile(f"TPOT, {users_words(load.users)}", lambda p: p.tpot_s, text.token_interval, tpot_s),
        tile(f"Each user, {active}", lambda p: p.user_tok_s, text.token_rate, user_tok_s),
        tile(f"Total, {active}", lambda p: p.output_tok_s, text.token_rate, total_tok_s),
    )


def _first_title(load: Workload, *, is_full: bool = False) -> str:
    """Whose first token it is: of users that start together, the last one's."""
    prompt = f"{token_words(load.prompt_tokens)} prompt"
    if load.users == 1:
        return f"TTFT, {prompt}"
    users = text.count(load.users)
    return f"TTFT of the last of {users} users, {prompt}" if is_full else f"TTFT, last of {users}"


def basis_sentence(request: LaunchRequest, row: PlanRow) -> str:
    """What the ledgers of a launch count, where that is not what table and figures count."""
    load = row.workload
    most = f"{text.count(request.concurrency)} {'request' if request.concurrency == 1 else 'requests'}"
    launched = f"{most} of {text.count(request.context_tokens)} tokens, as launched"
    return f"For {launched}; table and figures count {users_words(load.users)} of {text.count(load.context_tokens)}"


def need_sentence(ledger: MemoryLedger, name: str) -> str:
    """The sum that refuses a launch on this node: each part, all of them, and what is free; "" where one is not known.

    In GiB, each rounded by itself.
    """
    parts = [("weights", ledger.weights_bytes), ("KV cache", ledger.kv_bytes), ("runtime", ledger.runtime_bytes)]
    if ledger.undivided_bytes is not None:
        parts[:2] = [("weights and KV cache", ledger.undivided_bytes)]
    known = [(word, size) for word, size in parts if size is not None and size >= 0]
    if ledger.total_bytes is None or ledger.others_bytes is None or len(known) < len(parts):
        return ""
    free = ledger.total_bytes - ledger.others_bytes - ledger.reserve_bytes
    said = " + ".join(f"{word} {text.grouped(size / GIB, 1)}" for word, size in known)
    needed = sum(size for _, size in known)
    return f"It would take {said} = {text.memory(needed)}; free on {text.one_line(name, 40)}: {text.memory(free)}"


def neighbour_names(row: PlanRow) -> str:
    """ "gpt-oss-120b", "gpt-oss-120b and smollm2-135m"."""
    names = list(dict.fromkeys(_name(each.title) for each in row.place.neighbours))
    return " and ".join(", ".join(names).rsplit(", ", 1)) if names else ""


def neighbour_sentence(row: PlanRow) -> str:
    """What the two figures of a tile mean; "" where the nodes are free."""
    if row.shared is None:
        return ""
    names = neighbour_names(row) or "the neighbours"
    verb = "are" if len({each.title for each in row.place.neighbours}) > 1 else "is"
    return f"With {names} as busy as {'they' if verb == 'are' else 'it'} {verb} now; “alone” is without"


def toll_sentence(toll: Toll) -> str:
    """What the launch costs a neighbour."""
    name = _name(toll.title)
    if not text.is_known(toll.slowdown):
        return f"What this launch costs {name} is not known: how busy it is cannot be read"
    lost = 1.0 - toll.slowdown
    if lost < 0.005:
        return f"{name} keeps its speed"
    return f"{name} keeps {text.percent(toll.slowdown)} of its tok/s while this one is busy"


def toll_change(row: PlanRow) -> str:
    """The largest toll as a change: "−18 %"; "none" where nobody is there, n/a where it is not known."""
    if not row.tolls:
        return "none" if not row.place.neighbours else text.NOT_KNOWN
    known = [toll.slowdown for toll in row.tolls if text.is_known(toll.slowdown)]
    if len(known) < len(row.tolls):
        return text.NOT_KNOWN
    lost = 1.0 - min(known)
    return text.change(-100 * lost, "%") if lost >= 0.005 else "none"


def case_words(case: MeasuredCase) -> str:
    """ "NVIDIA table 3: NVFP4, TP 4, 32K/1K, 1 user → 15.55 s, 72 ms"."""
    said = f"{text.one_line(case.title, 160)} → {text.one_line(case.figures, 120)}"
    return _BESIDE_A_NUMBER.sub("\u00a0", said)


def leans_words(prediction: Prediction) -> tuple[str, str]:
    """What a prediction leans on, and what is not the same there."""
    if not prediction.is_fitted:
        return "Estimate, not fitted", "From the data sheet alone: no measured case of this device is known here"
    if not prediction.leans_on:
        return "No measured case is near", "From the model alone, so the band is its widest"
    nearest = prediction.leans_on[0]
    differs = text.one_line(nearest.distance, 200)
    return f"Leans on {case_words(nearest)}", f"Differs here: {differs}" if differs else "This very case was measured"


def engine_words(row: PlanRow) -> str:
    """ "vLLM tuned"; a build that is the only one is not named."""
    setup = row.setup
    has_builds = len(setup.engine.builds) > 1
    return f"{setup.engine.title} {setup.build.key}" if has_builds and setup.build.key else setup.engine.title


def short_engine(row: PlanRow) -> str:
    """The engine in a narrow column: its first build is not named."""
    title = row.setup.engine.title.replace("TensorRT-LLM", "TRT-LLM")
    builds = row.setup.engine.builds
    is_first = not builds or row.setup.build.key == builds[0].key
    return title if is_first else f"{title} {row.setup.build.key}"


def split_words(row: PlanRow) -> str:
    """ "TP 2 × PP 2"."""
    return row.setup.parallelism.label


def speculative_words(row: PlanRow) -> str:
    """ "eagle3", "none"."""
    return row.setup.speculative or "none"


def name_of(row: PlanRow) -> str:
    """A way to serve in a few words: "TP 4, NVFP4 with eagle3, KV fp8 on vLLM stock"."""
    draft = speculative_words(row)
    parts = [split_words(row), row.setup.weights.key + (f" with {draft}" if draft != "none" else "")]
    if row.setup.kv_dtype not in ("", "auto"):
        parts.append(f"KV {row.setup.kv_dtype}")
    return f"{', '.join(parts)} on {engine_words(row)}"


def kv_words(row: PlanRow) -> str:
    """ "fp8", "16 bit"."""
    return row.setup.kv_dtype if row.setup.kv_dtype not in ("", "auto") else "16 bit"


def quality_words(row: PlanRow) -> str:
    """The loss in one word."""
    level = row.quality.level
    return QUALITY_WORDS[level] if 0 <= level < len(QUALITY_WORDS) else text.NOT_KNOWN


def quality_sentence(row: PlanRow) -> str:
    """The loss with where it comes from: a measurement of this checkpoint, or only its class."""
    said = text.one_line(row.quality.words, 160) or quality_words(row)
    source = text.one_line(row.quality.source, 160)
    return f"{said} ({source})" if source else f"{said} (of the class, not measured on this checkpoint)"


def money(amount: float, currency: str = "") -> str:
    """An amount in the settings' currency: two figures after the point, three below 0.1."""
    if not text.is_known(amount):
        return text.NOT_KNOWN
    said = text.grouped(amount, 3 if abs(amount) < 0.1 else 2)
    return f"{said} {text.one_line(currency, MOST_CURRENCY)}".rstrip()


def why_words(row: PlanRow) -> str:
    """Why a row stands where it does: of one that fails, what would make it fit comes with it."""
    if row.why:
        return text.one_line(row.why, 300)
    problem = next(iter(row.problems), None)
    return text.one_line(problem.message, 300) if problem else ""


def short_why(row: PlanRow) -> str:
    """Why a row stands where it does, for a narrow column: what it is beside the first comes first."""
    said = why_words(row).replace(" times the time of the first", "\u00d7 the time")
    return said.replace(" times as fast as the first", "\u00d7 as fast")


def refusal(row: PlanRow) -> str:
    """Why a row cannot be ranked, with what would make it fit."""
    errors = (problem for problem in row.problems if problem.severity is Severity.ERROR)
    problem = next(errors, None) or next(iter(row.problems), None)
    if problem is None:
        return why_words(row)
    return text.one_line(f"{problem.message}. {problem.remedy}", 300)


def has_room(row: PlanRow) -> bool:
    """Whether a row is one that can be ranked: it fits, and nothing forbids it."""
    is_forbidden = any(problem.severity is Severity.ERROR for problem in row.problems)
    return row.rank > 0 and row.fit is not Fit.TOO_BIG and not is_forbidden


def best_of_each(rows: Sequence[PlanRow], own: PlanRow | None) -> tuple[PlanRow, ...]:
    """The best row of every division over nodes and format of the weights, in their order, and the form's own.

    One that does not fit stands for itself: it may be another one's reason to choose more nodes.
    """
    seen = set[tuple[Parallelism, str, bool]]()
    kept = []
    for row in rows:
        kind = row.setup.parallelism, row.setup.weights.key, has_room(row)
        if kind not in seen or row is own:
            kept.append(row)
        seen.add(kind)
    return tuple(kept)


def first_sentence(rows: Sequence[PlanRow]) -> str:
    """Why the first stands first, with its criterion; where nothing fits, that and what would make it fit."""
    if not rows:
        return ""
    first = rows[0]
    name = name_of(first)
    if has_room(first):
        start = f"First of {text.count(len(rows))}" if len(rows) > 1 else "The only way"
        return f"{start}: {name}. {why_words(first)}".rstrip(". ") + "."
    remedy = next((text.one_line(each.remedy, 300) for each in first.problems if each.remedy), "")
    return f"Nothing fits. Nearest: {name}. {why_words(first)}".rstrip(". ") + f". {remedy}".rstrip()


def own_sentence(rows: Sequence[PlanRow], own: PlanRow | None) -> str:
    """Why the form's own plan is not the first; "" where it is."""
    if own is None or not rows or own == rows[0]:
        return ""
    is_ranked = has_room(own) and own in rows
    return _said_of(own, f"Yours is number {text.count(own.rank)}" if is_ranked else "Yours")


def row_sentence(row: PlanRow) -> str:
    """Why a row stands where it does; of one that does not fit, what would make it fit."""
    return _said_of(row, f"Number {text.count(row.rank)}, {name_of(row)}" if has_room(row) else name_of(row))


def _said_of(row: PlanRow, start: str) -> str:
    said = why_words(row) if has_room(row) else refusal(row)
    return f"{start}: {said}".rstrip(". ") + "." if said else ""


def facts_of(row: PlanRow, currency: str = "") -> tuple[tuple[str, str], ...]:
    """The lines below the table: what, how much. Every hidden column of it is here for the chosen row."""
    load = row.workload
    most = text.count(row.max_concurrency) if row.max_concurrency is not None else text.NOT_KNOWN
    longest = text.count(row.max_context_tokens) if row.max_context_tokens is not None else text.NOT_KNOWN
    facts = [
        ("Longest context", f"{longest} tokens, {users_words(load.users)}"),
        ("Most users", f"{most} at {token_words(load.context_tokens)} each"),
        ("Engine", engine_words(row)),
        ("KV cache", kv_words(row)),
        ("Quality loss", quality_sentence(row)),
    ]
    if speculative_words(row) != "none":
        facts.append(("Speculative", speculative_words(row)))
    if row.cost.power_w.is_known:
        facts.append(("Power", f"{_of_band(row.cost.power_w, text.power)} at the wall, all nodes"))
    if row.cost.total_per_million.is_known:
        energy = row.cost.energy_per_million
        of_it = f", energy {money(energy.value, currency)}" if energy.is_known else ""
        facts.append(("Cost", f"{money(row.cost.total_per_million.value, currency)} per million tokens{of_it}"))
    if row.shown.memory_gb_per_s > 0:
        facts.append(("Memory read", _memory_words(row)))
    return tuple(facts)


def _memory_words(row: PlanRow) -> str:
    read = text.grouped(row.shown.memory_gb_per_s)
    is_gb10 = all(node.device == "gb10" for node in row.place.nodes)
    return f"{read} of {GB10_GB_PER_S:.0f} GB/s each node" if is_gb10 else f"{read} GB/s each node"


def _of_band(figure: Figure, write: Callable[[float | None], Quantity]) -> str:
    return f"{write(figure.value)} ({text.span(write(figure.low), write(figure.high))})"


def parts_title(row: PlanRow) -> str:
    """The heading over the parts bars."""
    names = neighbour_names(row) if row.shared is not None else ""
    return f"Where the time goes, beside {names}" if names else "Where the time goes"


def _name(title: str) -> str:
    return text.one_line(title, _LONGEST_NAME)
