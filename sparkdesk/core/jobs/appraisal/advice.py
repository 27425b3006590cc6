"""The next change that would help a running server most: rules over what its engine says now and how it was launched.

The one rule: a rule fires on readings alone, and what a change brings is the planner's prediction of the changed
launch, or said to be not known. Nothing is proposed that the planner sees not to fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sparkdesk.core.jobs.appraisal.judge import rate_words
from sparkdesk.core.jobs.appraisal.outlook import Outlook
from sparkdesk.core.jobs.next_change import NextChange
from sparkdesk.core.jobs.plan import GIB, Fit
from sparkdesk.core.jobs.rate import (
    ACCEPTANCE,
    ACCEPTED_LENGTH,
    PREEMPTION_RATE,
    PREFIX_SHARE,
    TTFT_MEAN_S,
    TTFT_P50_S,
)
from sparkdesk.core.jobs.reading import (
    GENERATED_TOKENS,
    KV_USED,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    TTFT_COUNT,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.workload import CHAT, Workload

NAN = math.nan
ROOMY_KV = 0.6
"""Source: the issue's own rule: requests wait although the cache has room."""
FULL_KV = 0.9
SLOW_TTFT_S = 1.0
FEW_HITS = 0.1
MUCH_REPEATED = 0.3
FILLED_BY_REQUESTS = ("vllm",)
"""Engines of which it is known that their KV usage counts what running requests hold, and not the kept prefixes, which
give way to them. Source: vLLM's block pool (usage is 1 less the free blocks, among which kept prefixes are)."""
MORE_SHARE, MOST_SHARE = 0.05, 0.9
"""So much more memory for an engine that takes a share, and no more than that in all. Our own choice."""
MOST_SEQUENCES = 256
SAFE = (Fit.FITS, Fit.TIGHT, Fit.UNKNOWN)
SMALL_CACHES = ("fp8", "fp8_e4m3", "q8_0")
"""8 bit KV types, the most usual first."""
PLAIN_CACHES = ("", "auto", "bf16", "fp16", "f16", "bfloat16", "float16")
NOT_PREDICTED = "What it brings is not predicted: the shape of this model is not known"
RESTART = "a restart"


@dataclass(frozen=True, slots=True)
class LiveView:
    """A server as it was launched, and what its engine says now. NaN: not known."""

    request: LaunchRequest
    readings: Mapping[str, float]
    """By the keys of core/jobs/reading.py and rate.py."""
    kv_dtypes: tuple[str, ...] = ()
    """Of the engine."""
    repeated_share: float = NAN
    """Part of each prompt that is known to be the same in all (a system prompt)."""
    restart_s: float = NAN
    """What earlier starts took."""

    def reading(self, key: str) -> float:
        """One reading; NaN: not known."""
        return self.readings.get(key, NAN)


Ask = Callable[[LaunchRequest, Workload], Outlook | None]
"""The planner: what a request does under a load in place of the running one; None where it cannot say."""


def find_change(view: LiveView, ask: Ask) -> NextChange | None:
    """The one change to propose now, the most harmful trouble first; None: nothing that the readings show."""
    for rule in (_preempted, _waiting, _speculating, _prefixes, _evicted):
        change = rule(view, ask)
        if change is not None:
            return change
    return None


# Rules ---------------------------------------------------------------------------------------------------------------


def _preempted(view: LiveView, ask: Ask) -> NextChange | None:
    """Preemptions: computed work is thrown away because the KV cache is full."""
    rate = view.reading(PREEMPTION_RATE)
    if not rate > 0.0:
        return None
    request, why = view.request, f"{rate:.2g} preemptions a second"
    if view.reading(KV_USED) >= 0.0:
        why += f"; the KV cache is {view.reading(KV_USED) * 100:.0f} % full"
    small = next((key for key in SMALL_CACHES if key in view.kv_dtypes), "")
    if small and request.kv_dtype in PLAIN_CACHES:
        change: tuple[tuple[str, object], ...] = (("kv_dtype", small),)
        title, quality = f"Keep the KV cache in {small.upper()}", "8 bit values cost a little quality"
    else:
        few = _fewer(view)
        if few >= request.concurrency:
            return None
        change, title = (("concurrency", few),), f"Answer {few} requests at once instead of {request.concurrency}"
        quality = "more requests wait for their turn"
    return _predicted(view, ask, NextChange("preemptions", title, why, "", quality, change))


def _waiting(view: LiveView, ask: Ask) -> NextChange | None:
    """Requests wait although the KV cache has room: the launch allows too few at once."""
    waiting, kv, running = (view.reading(key) for key in (REQUESTS_WAITING, KV_USED, REQUESTS_RUNNING))
    request = view.request
    if not waiting > 0.0 or not 0.0 <= kv < ROOMY_KV or not running >= request.concurrency:
        return None
    room = running * FULL_KV / kv if kv > 0.0 else MOST_SEQUENCES
    wanted = 1 << math.ceil(math.log2(running + waiting))
    most = 1 << math.floor(math.log2(min(wanted, room, 4 * request.concurrency, MOST_SEQUENCES)))
    while most > request.concurrency:
        draft = NextChange(
            key="more_sequences",
            title=f"Answer {most} requests at once instead of {request.concurrency}",
            why=f"{waiting:.0f} requests wait while the KV cache is {kv * 100:.0f} % full",
            effect="",
            cost="each answer comes more slowly",
            change=(("concurrency", most),),
        )
        proposal = _predicted(view, ask, draft)
        if proposal is not None:
            return proposal
        most //= 2
    return None


def _speculating(view: LiveView, ask: Ask) -> NextChange | None:
    """Guessing ahead costs more than the accepted guesses bring."""
    request, length = view.request, view.reading(ACCEPTED_LENGTH)
    if request.speculative in ("", "none") or not length >= 1.0:
        return None
    plain = request.model_copy(update={"speculative": "", "speculative_model": "", "speculative_tokens": None})
    load = load_of(view)
    now, then = ask(request, load), ask(plain, load)
    if now is None or then is None:
        return None
    break_even = _break_even(now, then)
    if not length < break_even:
        return None
    share = view.reading(ACCEPTANCE)
    accepted = f"{share * 100:.0f} % of the guesses are accepted, " if share >= 0.0 else ""
    why = f"{accepted}{length:.2f} tokens a step; below {break_even:.2f} the guessing costs more than it brings"
    faster = break_even / length
    return NextChange(
        key="speculation_off",
        title="Stop guessing tokens ahead",
        why=why[:1].upper() + why[1:],
        effect=f"Predicted {faster:.2g} times the tokens a second of each answer",
        cost=_cost(view, now, then, ""),
        change=(("speculative", ""), ("speculative_model", ""), ("speculative_tokens", None)),
    )


def _prefixes(view: LiveView, ask: Ask) -> NextChange | None:
    """Prompts that begin alike are read anew each time: the prefix cache is off."""
    ttft_s = _ttft(view)
    is_few = not view.reading(PREFIX_SHARE) >= FEW_HITS  # an engine without the cache may not count
    is_repeated = view.repeated_share >= MUCH_REPEATED
    if view.request.prefix_caching is not False or not (ttft_s >= SLOW_TTFT_S and is_few and is_repeated):
        return None
    change: tuple[tuple[str, object], ...] = (("prefix_caching", True),)
    now, then, effect = _sooner(view, ask, change)
    return NextChange(
        key="prefix_cache",
        title="Keep what prompts have in common",
        why=f"The first token takes {ttft_s:.1f} s, {view.repeated_share * 100:.0f} % of each prompt is the same, "
        "and the prefix cache is off",
        effect=effect,
        cost=_cost(view, now, then, "kept prefixes take room in the KV cache until others need it"),
        change=change,
    )


def _evicted(view: LiveView, ask: Ask) -> NextChange | None:
    """The prefix cache is on and prompts begin alike, and yet it keeps nothing: requests that run fill all the room.

    Hits alone do not tell that: prompts that have nothing in common are not found either. So it takes both, what the
    launch says that all prompts have in common, and a cache that is seen to be full of requests.
    """
    request, ttft_s, hits = view.request, _ttft(view), view.reading(PREFIX_SHARE)
    is_full = request.engine in FILLED_BY_REQUESTS and view.reading(KV_USED) >= FULL_KV
    is_repeated = view.repeated_share >= MUCH_REPEATED
    if request.prefix_caching is False or not (ttft_s >= SLOW_TTFT_S and hits < FEW_HITS and is_repeated and is_full):
        return None
    why = (
        f"The first token takes {ttft_s:.1f} s, {view.repeated_share * 100:.0f} % of each prompt is the same, and only "
        f"{hits * 100:.0f} % was still kept: requests fill {view.reading(KV_USED) * 100:.0f} % of the KV cache"
    )
    share, few = request.memory_fraction, _fewer(view)
    changes: list[tuple[str, str, tuple[tuple[str, object], ...]]] = []
    if share is not None and share + MORE_SHARE <= MOST_SHARE:
        more = round(share + MORE_SHARE, 2)
        title = f"Give it a memory share of {more:.2f} instead of {share:.2f}"
        changes.append((title, "less is left for the system", (("memory_fraction", more),)))
    if few < request.concurrency:
        title = f"Answer {few} requests at once instead of {request.concurrency}"
        changes.append((title, "more requests wait for their turn", (("concurrency", few),)))
    for title, price, change in changes:
        now, then, effect = _sooner(view, ask, change)
        if not _is_too_much(then):
            return NextChange("prefix_room", title, why, effect, _cost(view, now, then, price), change)
    return None


def _ttft(view: LiveView) -> float:
    median_s = view.reading(TTFT_P50_S)
    return median_s if median_s >= 0.0 else view.reading(TTFT_MEAN_S)


def _fewer(view: LiveView) -> int:
    """A fifth fewer requests at once than run now; never more than the launch allows."""
    running, most = view.reading(REQUESTS_RUNNING), view.request.concurrency
    return max(1, min(most - 1, math.floor(0.8 * running) if running >= 1.0 else most))


def _sooner(
    view: LiveView, ask: Ask, change: tuple[tuple[str, object], ...]
) -> tuple[Outlook | None, Outlook | None, str]:
    """The planner's outlooks of now, and with the change and all that prompts have in common kept; and the effect."""
    load, changed = load_of(view), view.request.model_copy(update=dict(change))
    kept = min(0.99, view.repeated_share)
    cached = Workload(load.key, load.title, load.prompt_tokens, load.answer_tokens, load.users, kept)
    now, then = ask(view.request, load), ask(changed, cached)
    effect = NOT_PREDICTED
    if now is not None and then is not None and now.prediction.ttft_s.is_known and then.prediction.ttft_s.is_known:
        before_s, after_s = now.prediction.ttft_s.value, then.prediction.ttft_s.value
        effect = f"Predicted time to first token: {before_s:.2g} s now, {after_s:.2g} s then"
    return now, then, effect


# Effect and cost -----------------------------------------------------------------------------------------------------


def load_of(view: LiveView) -> Workload:
    """The load that the server has: its users now, and the mean request since it was started."""
    users = view.reading(REQUESTS_RUNNING)
    count = view.reading(TTFT_COUNT)
    prompt = view.reading(PROMPT_TOKENS) / count if count > 0.0 else NAN
    answer = view.reading(GENERATED_TOKENS) / count if count > 0.0 else NAN
    most = view.request.context_tokens
    return Workload(
        "live",
        "What it does now",
        max(1, min(most, round(prompt) if prompt >= 1.0 else min(CHAT.prompt_tokens, most // 2))),
        max(1, min(most, round(answer) if answer >= 1.0 else min(CHAT.answer_tokens, most // 4))),
        max(1, round(users)) if users >= 1.0 else 1,
    )


def _predicted(view: LiveView, ask: Ask, draft: NextChange) -> NextChange | None:
    """The draft with the planner's figures of before and after; None where it sees that the change does not fit."""
    changed, load = view.request.model_copy(update=dict(draft.change)), load_of(view)
    is_more = changed.concurrency > view.request.concurrency
    users = changed.concurrency if is_more else min(load.users, changed.concurrency)
    after = Workload(load.key, load.title, load.prompt_tokens, load.answer_tokens, users)
    now, then = ask(view.request, load), ask(changed, after)
    if _is_too_much(then):
        return None
    return replace(draft, effect=_effect(now, then, load.users, users), cost=_cost(view, now, then, draft.cost))


def _is_too_much(outlook: Outlook | None) -> bool:
    """Whether the planner sees that it does not fit, be it that today's launch does not either."""
    return outlook is not None and outlook.fit not in SAFE


def _effect(now: Outlook | None, then: Outlook | None, users: int, users_then: int) -> str:
    if now is None or then is None:
        return NOT_PREDICTED
    before, after = now.prediction.output_tok_s, then.prediction.output_tok_s
    if not (before.is_known and after.is_known):
        return NOT_PREDICTED
    each = f"{rate_words(before.value / users)} and {rate_words(after.value / users_then)} each"
    return f"Predicted {rate_words(before.value)} tok/s now, {rate_words(after.value)} tok/s then ({each})"


def _cost(view: LiveView, now: Outlook | None, then: Outlook | None, price: str) -> str:
    restart = f"{RESTART} of about {view.restart_s:.0f} s" if view.restart_s > 0.0 else RESTART
    parts = [restart]
    if now is not None and then is not None and now.left_bytes is not None and then.left_bytes is not None:
        more = now.left_bytes - then.left_bytes
        if abs(more) >= GIB // 10:
            parts.append(f"{abs(more) / GIB:.1f} GiB {'more' if more > 0 else 'less'} memory")
    if price:
        parts.append(price)
    words = "; ".join(parts)
    return words[:1].upper() + words[1:]


def _break_even(now: Outlook, then: Outlook) -> float:
    """Tokens a step below which guessing is slower than not guessing; NaN: not known.

    The planner's time per token with guesses is a step's time over the tokens that it expects of one.
    """
    guessed, plain = now.prediction.tpot_s, then.prediction.tpot_s
    if not (guessed.is_known and plain.is_known and plain.value > 0.0):
        return NAN
    return guessed.value * now.step_tokens / plain.value
