"""A sliding window: the oldest exchanges are left out until the rest fits.

The one rule: the newest exchange stays, whatever it takes; what is older goes whole, the oldest first, and by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.exchange import can_be_sent, exchanges, numbers_of

SLACK = 0.75
"""Once something must go, so much goes that the rest takes this part of the budget: the next questions then begin with
the same tokens, which the server still has in its cache."""
FULL = 0.5
"""No more is left out than leaves this part of the budget in use, where less would do: not for the cache's sake, nor
because it was left out before the budget grew."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent and what is not. Every turn that says something is in one of the two."""

    kept: tuple[Turn, ...]
    left_out: tuple[int, ...]
    """Numbers, in order."""
    tokens: int
    """Of what is kept."""


def sliding(
    turns: tuple[Turn, ...], counts: Sequence[int], budget: int, *, left_before: frozenset[int] = frozenset()
) -> Window:
    """The newest exchanges of `turns` that take at most `budget` tokens; `counts` has the tokens of each turn.

    `left_before` were left out for the last answer: they stay out as long as the rest fits and the whole does not, so
    that what is sent goes on to begin with the same words. Only the newest exchange alone may be over the budget.
    """
    # By identity: an older store may have turns without numbers of their own.
    sizes = {id(turn): count for turn, count in zip(turns, counts, strict=True)}
    found = exchanges(turns)
    if not found:
        return Window((), (), 0)
    takes = [sum(sizes[id(turn)] for turn in exchange.turns) for exchange in found]
    usable = [can_be_sent(exchange, found[-1]) for exchange in found]
    total = sum(size for size, is_usable in zip(takes, usable, strict=True) if is_usable)
    was_left = [bool(left_before.intersection(exchange.numbers)) for exchange in found]
    first = _first_kept(takes, usable, budget, was_left) if total > budget else 0
    kept = tuple(exchange for at, exchange in enumerate(found) if at >= first and usable[at])
    out = tuple(exchange for at, exchange in enumerate(found) if at < first or not usable[at])
    size = sum(size for at, size in enumerate(takes) if at >= first and usable[at])
    return Window(tuple(turn for exchange in kept for turn in exchange.turns), numbers_of(out), size)


def _first_kept(takes: Sequence[int], usable: Sequence[bool], budget: int, was_left: Sequence[bool]) -> int:
    """The place of the oldest exchange that stays: where it was before, else so far on that there is slack."""
    first = _first_that_fits(takes, usable, budget)
    able = [at for at in range(len(takes)) if usable[at]]
    stays = [at for at in able if not was_left[at]]
    is_tail = bool(stays) and stays == able[len(able) - len(stays) :]
    if is_tail and stays[0] >= first and sum(takes[at] for at in stays) >= budget * FULL:
        return stays[0]
    # Not where that would throw away much that fits: a few long exchanges are better sent than cached.
    spare = _first_that_fits(takes, usable, int(budget * SLACK))
    rest = sum(takes[at] for at in able if at >= spare)
    return spare if rest >= budget * FULL else first


def _first_that_fits(takes: Sequence[int], usable: Sequence[bool], budget: int) -> int:
    """The place of the oldest exchange from which on all fit; at least the newest."""
    size, first = 0, len(takes) - 1
    for at in range(len(takes) - 1, -1, -1):
        size += takes[at] if usable[at] else 0
        if size > budget:
            break
        first = at
    return first
