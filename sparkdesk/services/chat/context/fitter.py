"""What goes to a server with a question, by the conversation's own policy.

The one rule: the newest question always goes; what does not is named in what was sent, with the reason when the
policy could not be followed. A question that is far below the limit asks nothing of the server beforehand.

A conversation that is sent whole is not refused here when it does not fit: the server counts a prompt before it
computes anything and says so at once with its own numbers, which are better than ours (images, tools, its template).
Ollama alone cuts a prompt without a word, so for it a likely overflow is told beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparkdesk.core.chat.context import SentContext, WindowPolicy
from sparkdesk.core.chat.session import Turn, has_images
from sparkdesk.core.chat.window.exchange import can_be_sent, exchanges, numbers_of
from sparkdesk.core.chat.window.prompt import Prompt
from sparkdesk.core.chat.window.sent_memory import record_memory
from sparkdesk.core.chat.window.sliding import sliding
from sparkdesk.core.chat.window.summary import (
    HIGH_WATER,
    LOW_WATER,
    LastSummary,
    last_summary,
    summary_tokens,
    to_fold,
)
from sparkdesk.core.ports import Store
from sparkdesk.services.chat.context.embedding import Embedder
from sparkdesk.services.chat.context.gauge import Gauge, beside
from sparkdesk.services.chat.context.limits import ServerLimits
from sparkdesk.services.chat.context.memory import MAX_SENT_BYTES, ProjectMemory, SentMemory
from sparkdesk.services.chat.context.retrieval import retrieve
from sparkdesk.services.chat.context.summing import Summed, sum_up
from sparkdesk.services.chat.context.token_count import TokenCounter
from sparkdesk.services.chat.fitting import FitQuestion, Fitted

TRIES = 4
"""How often a window is narrowed until the server's own count of it fits."""
NARROWER = 32
"""Each further try has this part of the window less: one thirty-second."""
MAX_KEPT_SUMMARIES = 64
RETRY_TURNS = 6
"""A summary that failed is tried again after so many more turns."""
NO_LIMIT = "The server tells no limit of its context, so all of it was sent"
NO_VECTORS = "No embedding server runs, so the oldest messages were left out"
TOO_LARGE = (
    "The question and its files alone take about {tokens:,} tokens; {allowed:,} fit. The server may refuse it: shorten "
    "it, or choose to search older messages and files"
)
NOT_COUNTED = "Images are not counted: no server tells what they take before it reads them"
CUTS_SILENTLY = "About {tokens:,} tokens for a context of {limit:,}: Ollama leaves out what does not fit without a word"


@dataclass(frozen=True, slots=True)
class Cut:
    """A prompt that was chosen, and what was not."""

    prompt: Prompt
    left_out: tuple[int, ...] = ()
    summed_up: tuple[int, ...] = ()
    note: str = ""


class WindowFitter:
    """Fulfils ContextFitter."""

    def __init__(self, store: Store, memory: ProjectMemory | None = None) -> None:
        self._memory = memory
        self._embedder = Embedder(store)
        self._made: dict[str, LastSummary] = {}
        """The last summary of each chat. A stopped or replaced answer takes its own out of the branch."""
        self._failed: dict[str, tuple[int, str]] = {}
        """For each chat: how many turns it had when a summary failed, and why."""
        self.counter = TokenCounter()
        self.limits = ServerLimits()

    async def fit(self, question: FitQuestion) -> Fitted:
        """What to send. Never raises: what could not be counted, summed up or searched is in `sent.note`."""
        settings = question.settings
        memory = SentMemory()
        if self._memory is not None and settings.has_memory and settings.folder:
            memory = await self._memory.to_send(settings.folder)
        limit = self.limits.known(question.target)
        if settings.window is not WindowPolicy.WHOLE:
            limit = await self.limits.learn(question.target, question.client)
        gauge = await beside(len(question.turns), lambda: Gauge(self.counter, question, limit))
        whole = Prompt(question.turns, settings.system_prompt, memory.text)
        cut = await self._cut(question, gauge, whole)
        is_near = settings.window is not WindowPolicy.WHOLE and gauge.limit > 0 and gauge.is_near(cut.prompt)
        prompt = cut.prompt
        sent = SentContext(
            policy=settings.window,
            left_out=cut.left_out,
            summary=prompt.summary,
            summed_up=cut.summed_up,
            excerpts=prompt.excerpts,
            parts=await gauge.parts(prompt, is_near=is_near),
            note=_joined(_memory_note(memory), cut.note, NOT_COUNTED if is_near and has_images(prompt.turns) else ""),
        )
        return Fitted(prompt.messages(), record_memory(sent, memory.text, question.turns))

    async def _cut(self, question: FitQuestion, gauge: Gauge, whole: Prompt) -> Cut:
        match question.settings.window:
            case WindowPolicy.WHOLE:
                return _whole(gauge, whole, question.target.endpoint.engine)
            case _ if gauge.limit <= 0:
                return Cut(whole, note=NO_LIMIT)
            case WindowPolicy.SLIDING:
                return await _slide(gauge, whole, _left_before(question))
            case WindowPolicy.SUMMARISE:
                return await self._summarise(question, gauge, whole)
            case WindowPolicy.RETRIEVE:
                return await self._retrieve(question, gauge, whole)

    async def _retrieve(self, question: FitQuestion, gauge: Gauge, whole: Prompt) -> Cut:
        if await gauge.fits(whole):
            return _all(whole)
        server = question.target.embed()
        if server is None:
            slid = await _slide(gauge, whole, _left_before(question))
            return replace(slid, note=_joined(NO_VECTORS, slid.note))
        question.tell("Older messages and files are searched")
        found = await retrieve(self._embedder, question, server, gauge, whole)
        question.tell("")
        if found.prompt is None:
            slid = await _slide(gauge, whole, _left_before(question))
            return replace(slid, note=_joined(f"The oldest messages were left out: {found.problem}", slid.note))
        return Cut(found.prompt, found.left_out, note=found.problem)

    async def _summarise(self, question: FitQuestion, gauge: Gauge, whole: Prompt) -> Cut:
        """Sum up once the prompt passes the upper mark, so that it falls to the lower one."""
        last = self._last_summary(question)
        known = tuple(sorted(last.numbers))
        rest = tuple(turn for turn in whole.turns if turn.number not in last.numbers)
        base = replace(whole, turns=rest, summary=last.text)
        if await gauge.fits(base, HIGH_WATER):
            return _with_summary(_all(base), known)
        folded = _folded(gauge, base)
        if not folded:
            return _with_summary(await _slide(gauge, base, frozenset()), known)
        summed = await self._sum_up(question, gauge, last, folded)
        if not summed.text:
            slid = await _slide(gauge, base, _left_before(question))
            what = "the oldest were left out" if slid.left_out else "all of them were sent"
            note = f"The older messages could not be summed up ({summed.problem}): {what}"
            return _with_summary(replace(slid, note=_joined(note, slid.note)), known)
        numbers = last.numbers | frozenset(turn.number for turn in folded)
        self._keep_summary(question.session_id, LastSummary(summed.text, numbers))
        kept = tuple(turn for turn in rest if turn.number not in numbers)
        slid = await _slide(gauge, replace(base, turns=kept, summary=summed.text), frozenset())
        return _with_summary(slid, tuple(sorted(numbers)))

    async def _sum_up(self, question: FitQuestion, gauge: Gauge, last: LastSummary, folded: tuple[Turn, ...]) -> Summed:
        """A new summary; after one that failed none is tried for some turns, since each costs its time."""
        failed_at, problem = self._failed.get(question.session_id, (-RETRY_TURNS, ""))
        if failed_at <= len(question.turns) < failed_at + RETRY_TURNS:
            return Summed(problem=problem)
        question.tell(f"The model sums up {len(folded)} older messages")
        model, limit, estimate = question.target.endpoint.model, gauge.limit, gauge.estimate
        summed = await sum_up(question.client, model, last.text, folded, limit=limit, estimate=estimate)
        question.tell("")
        self._failed.pop(question.session_id, None)
        if not summed.text:
            self._failed[question.session_id] = (len(question.turns), summed.problem)
        return summed

    def _last_summary(self, question: FitQuestion) -> LastSummary:
        """The newest summary of the branch, or the one that was made last, when an answer that had it was replaced."""
        here = frozenset(turn.number for turn in question.turns)
        stored, made = last_summary(question.turns), self._made.get(question.session_id, LastSummary())
        return made if stored.numbers < made.numbers <= here else stored

    def _keep_summary(self, session_id: str, summary: LastSummary) -> None:
        self._made.pop(session_id, None)
        self._made[session_id] = summary
        if len(self._made) > MAX_KEPT_SUMMARIES:
            del self._made[next(iter(self._made))]


def _whole(gauge: Gauge, whole: Prompt, engine: str) -> Cut:
    if engine != "ollama" or not gauge.limit:
        return Cut(whole)
    tokens = gauge.guess(whole)
    return Cut(whole, note=CUTS_SILENTLY.format(tokens=tokens, limit=gauge.limit) if gauge.limit < tokens else "")


def _all(prompt: Prompt) -> Cut:
    """Everything that a template takes: a conversation that is cut to a window never begins with an answer."""
    found = exchanges(prompt.turns)
    kept = tuple(exchange for exchange in found if can_be_sent(exchange, found[-1]))
    out = tuple(exchange for exchange in found if not can_be_sent(exchange, found[-1]))
    return Cut(replace(prompt, turns=tuple(turn for exchange in kept for turn in exchange.turns)), numbers_of(out))


async def _slide(gauge: Gauge, base: Prompt, left_before: frozenset[int]) -> Cut:
    """Leave out the oldest exchanges until the server's own count fits."""
    if await gauge.fits(base):
        return _all(base)
    spare = 0
    for _ in range(TRIES):
        budget = gauge.allowed - gauge.fixed(base) - spare
        window = sliding(base.turns, gauge.turn_counts(base), budget, left_before=left_before)
        prompt = replace(base, turns=window.kept)
        tokens = await gauge.measure(prompt)
        if tokens <= gauge.allowed:
            return Cut(prompt, window.left_out)
        if len(exchanges(window.kept)) <= 1:
            return Cut(prompt, window.left_out, note=TOO_LARGE.format(tokens=tokens, allowed=gauge.allowed))
        # The measure taught the estimate; what it still is short by is kept free, so that each try is narrower.
        spare += max(0, tokens - gauge.guess(prompt)) + gauge.allowed // NARROWER
        left_before = frozenset()
    newest = exchanges(base.turns)[-1]
    return Cut(replace(base, turns=newest.turns), _others(base, newest.numbers))


def _folded(gauge: Gauge, base: Prompt) -> tuple[Turn, ...]:
    """The turns to sum up, so that the prompt with its new summary falls to the lower mark."""
    kept = gauge.fixed(replace(base, summary="")) + summary_tokens(gauge.limit)
    low = int(min(gauge.limit * LOW_WATER, gauge.allowed)) - kept
    return to_fold(base.turns, gauge.turn_counts(base), low)


def _with_summary(cut: Cut, summed_up: tuple[int, ...]) -> Cut:
    return replace(cut, left_out=tuple(sorted({*cut.left_out, *summed_up})), summed_up=summed_up)


def _left_before(question: FitQuestion) -> frozenset[int]:
    """What the newest answer of the branch was not given."""
    sent = next((turn.sent for turn in reversed(question.turns) if turn.sent is not None), None)
    return frozenset(sent.left_out) if sent is not None else frozenset()


def _others(prompt: Prompt, numbers: tuple[int, ...]) -> tuple[int, ...]:
    said = (number for exchange in exchanges(prompt.turns) for number in exchange.numbers)
    return tuple(number for number in said if number not in numbers)


def _memory_note(memory: SentMemory) -> str:
    if memory.cut_bytes:
        most = f"it may have {MAX_SENT_BYTES // 1024} KiB"
        return f"{memory.cut_bytes:,} bytes at the end of the project's memory were not sent: {most}"
    return memory.problem


def _joined(*notes: str) -> str:
    return ". ".join(note.rstrip(".") for note in notes if note)
