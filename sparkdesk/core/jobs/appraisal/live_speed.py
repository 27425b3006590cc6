"""How fast a server makes the tokens of one request at a time, by its engine's own counters while people use it.

The one rule: only tokens count of which it is known that one request ran alone while they were made, and only the time
in which they were made: no prefill, no queue, no pause between two requests. What leaves a doubt is left out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.jobs.reading import (
    DECODE_S,
    GENERATED_TOKENS,
    KV_TOKENS,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    TTFT_COUNT,
)

NAN = math.nan
_Page = tuple[float, Mapping[str, float]]
"""What an engine counted, and when, in monotonic seconds."""
GAP_S = 10.0
"""Between two pages; after a longer silence nobody knows what ran."""
OLDEST_S = 900.0
"""What was seen before says nothing of now."""
ENOUGH_TOKENS, ENOUGH_S, MANY_TOKENS = 256, 20.0, 2000
"""So many tokens that took so long together, or so many: a few short answers tell too little."""
BUSY_PAGES = 3
"""Of an engine that does not count its requests: what was seen on fewer pages may have been two at once, of which the
first page saw the one that began earlier and the last page the one that ended later."""


@dataclass(frozen=True, slots=True)
class LiveRate:
    """What was seen: tokens a second of one request alone, and how long its prompt and answer so far were (NaN: not
    told), both weighted by tokens."""

    tok_s: float
    context_tokens: float


@dataclass(frozen=True, slots=True)
class _Made:
    """Tokens that one request made alone in so much time, until then."""

    at_s: float
    tokens: float
    seconds: float
    context_tokens: float


@dataclass(frozen=True, slots=True)
class _Busy:
    """Pages on which one request ran, however many: their count, and the longest context (NaN: not told)."""

    pages: int = 0
    context_tokens: float = NAN

    def with_page(self, context_tokens: float) -> _Busy:
        """These pages and one more."""
        known = [each for each in (self.context_tokens, context_tokens) if math.isfinite(each)]
        return _Busy(self.pages + 1, max(known, default=NAN))


class LiveSpeed:
    """One job's. Two ways, never mixed: engines that count the seconds of decoding tell of whole requests between two
    moments of rest; all others, and requests without a rest, of the stretches within a request."""

    def __init__(self) -> None:
        self._pages: deque[_Page] = deque(maxlen=3)
        self._rest: _Page | None = None
        """The last page on which nothing ran, while what ran since was one request at most."""
        self._busy = _Busy()
        """The busy pages since then."""
        self._whole: deque[_Made] = deque()
        self._parts: deque[_Made] = deque()

    def take(self, now_s: float, page: Mapping[str, float]) -> None:
        """Take the newest page (monotonic seconds)."""
        before_s, before = self._pages[-1] if self._pages else (-math.inf, {})
        is_cut = now_s - before_s > GAP_S or page.get(GENERATED_TOKENS, 0.0) < before.get(GENERATED_TOKENS, 0.0)
        if is_cut:  # a silence, or an engine that was started again
            self._pages.clear()
            self._rest, self._busy = None, _Busy()
        self._pages.append((now_s, page))
        self._take_whole(now_s, page)
        self._take_part()
        for kept in (self._whole, self._parts):
            _trim(kept, now_s)

    def rates(self) -> tuple[LiveRate, ...]:
        """What is known now: none, one, or one of each way, of the newest tokens that are enough to tell."""
        return tuple(_rate(kept) for kept in (self._whole, self._parts) if _is_enough(kept))

    def forget(self) -> None:
        """Begin anew: what was seen was judged."""
        self._whole.clear()
        self._parts.clear()

    def _take_whole(self, now_s: float, page: Mapping[str, float]) -> None:
        """Whole requests by the engine's seconds of decoding: from one rest to the next there was exactly one."""
        running = page.get(REQUESTS_RUNNING, NAN) + page.get(REQUESTS_WAITING, 0.0)
        if running == 0.0:
            if self._rest is not None:
                made = _request_between(self._rest, (now_s, page), self._busy)
                if made is not None:
                    self._whole.append(made)
            self._rest, self._busy = (now_s, page), _Busy()
        elif running == 1.0 and self._rest is not None:
            self._busy = self._busy.with_page(page.get(KV_TOKENS, NAN))
        else:
            self._rest, self._busy = None, _Busy()

    def _take_part(self) -> None:
        """The stretch between the two pages before the newest, where all of it is of one and the same request."""
        if len(self._pages) < 3:
            return
        (begun_s, begun), (ended_s, ended), (_, last) = self._pages
        grown, then = (_growth(*pair, GENERATED_TOKENS) for pair in ((begun, ended), (ended, last)))
        # A request that began shows itself when its prompt is read: in this stretch, or in the next one where it ended
        # the one before. A stretch in which nothing grew is a prompt being read.
        is_one = all(_is_alone(page) for page in (begun, ended)) and not (
            _has_begun(begun, ended) or _has_begun(ended, last)
        )
        if is_one and grown > 0.0 and then > 0.0:
            self._parts.append(_Made(ended_s, grown, ended_s - begun_s, ended.get(KV_TOKENS, NAN)))


def _request_between(earlier: _Page, later: _Page, busy: _Busy) -> _Made | None:
    """The one request between two rests; None where there was none, more than one, or that cannot be told."""
    (rest_s, before), (now_s, page) = earlier, later
    tokens, seconds = _growth(before, page, GENERATED_TOKENS), _growth(before, page, DECODE_S)
    requests = _growth(before, page, TTFT_COUNT)
    if not (tokens > 1.0 and seconds > 0.0) or not busy.pages:
        return None
    if requests > 1.0 or (math.isnan(requests) and (busy.pages < BUSY_PAGES or seconds > now_s - rest_s)):
        return None  # one alone takes no longer than all the time there was
    if requests == 1.0:
        tokens -= 1.0  # the first token ends the prompt; its time is not among those of decoding
    return _Made(now_s, tokens, seconds, busy.context_tokens)


def _is_alone(page: Mapping[str, float]) -> bool:
    return page.get(REQUESTS_RUNNING) == 1.0 and not page.get(REQUESTS_WAITING, 0.0) > 0.0


def _has_begun(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether a prompt was read between two pages."""
    return any(_growth(before, after, key) > 0.0 for key in (TTFT_COUNT, PROMPT_TOKENS))


def _growth(before: Mapping[str, float], after: Mapping[str, float], key: str) -> float:
    """NaN where one of the pages does not tell."""
    return after.get(key, NAN) - before.get(key, NAN)


def _is_enough(kept: deque[_Made]) -> bool:
    tokens, seconds = math.fsum(one.tokens for one in kept), math.fsum(one.seconds for one in kept)
    return tokens >= ENOUGH_TOKENS and (seconds >= ENOUGH_S or tokens >= MANY_TOKENS)


def _trim(kept: deque[_Made], now_s: float) -> None:
    """Keep the newest that are enough: older ones would hide what changed."""
    while kept and now_s - kept[0].at_s > OLDEST_S:
        kept.popleft()
    while len(kept) > 1:
        oldest = kept.popleft()
        if not _is_enough(kept):
            kept.appendleft(oldest)
            return


def _rate(kept: deque[_Made]) -> LiveRate:
    tokens = math.fsum(one.tokens for one in kept)
    context = math.fsum(one.tokens * one.context_tokens for one in kept) / tokens
    return LiveRate(tokens / math.fsum(one.seconds for one in kept), context)
