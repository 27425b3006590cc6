"""The newest turns as they are, and of all else the pieces that are nearest to the question.

The one rule: pieces are taken by nearness alone and sent in their own order, each with where it stands; together they
never take more than the window has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparkdesk.core.chat.context import Excerpt
from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.exchange import FILE_TOKENS, exchanges
from sparkdesk.core.chat.window.nearness import Vector, nearest
from sparkdesk.core.chat.window.piece import Piece, joined, pieces_of
from sparkdesk.core.chat.window.prompt import Prompt, without_files
from sparkdesk.core.chat.window.sliding import sliding
from sparkdesk.services.chat.context.embedding import Embedder
from sparkdesk.services.chat.context.gauge import Gauge
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.fitting import FitQuestion

NEWEST_SHARE = 0.5
"""Of the room for turns: for the newest as they are. The rest is for excerpts."""
TRIES = 3
NOTHING_NEAR = "no embedding of older messages could be made"


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The prompt with its excerpts, or None and why. `left_out`: turns that did not go as they are."""

    prompt: Prompt | None = None
    left_out: tuple[int, ...] = ()
    problem: str = ""


async def retrieve(
    embedder: Embedder, question: FitQuestion, server: ChatEndpoint, gauge: Gauge, whole: Prompt
) -> Retrieved:
    """The newest turns and the nearest excerpts, within what the prompt may take. Never raises."""
    if not gauge.estimate.is_calibrated:
        await gauge.measure(replace(whole, turns=exchanges(whole.turns)[-1].turns))
    room = int((gauge.allowed - gauge.fixed(whole)) * NEWEST_SHARE)
    turns, bare = _with_room(whole.turns, gauge, room)
    before = next((turn.sent.left_out for turn in reversed(turns) if turn.sent is not None), ())
    counts = gauge.turn_counts(replace(whole, turns=turns))
    window = sliding(turns, counts, room, left_before=frozenset(before))
    as_they_are = {turn.number for turn in window.kept} - bare
    rest = tuple(turn for turn in whole.turns if turn.number not in as_they_are)
    pieces = pieces_of(rest, files_only=bare)
    asked = next((turn.text for turn in reversed(window.kept) if turn.message.role is Role.USER), "")
    found = await embedder.embed(question.session_id, server, asked, pieces)
    if found.question is None or not found.vectors:
        return Retrieved(problem=found.problem or NOTHING_NEAR)
    prompt = replace(whole, turns=window.kept)
    excerpts = await _excerpts(found.question, found.vectors, pieces, gauge, prompt)
    left_out = tuple(sorted({*window.left_out, *bare}))
    return Retrieved(replace(prompt, excerpts=excerpts), left_out, _told(found.problem))


async def _excerpts(
    asked: Vector, vectors: Mapping[str, Vector], pieces: tuple[Piece, ...], gauge: Gauge, prompt: Prompt
) -> tuple[Excerpt, ...]:
    """The nearest pieces that fit beside the prompt, by the server's own count where it counts."""
    spare = 0
    for _ in range(TRIES):
        budget = gauge.allowed - gauge.guess(prompt) - spare
        chosen = nearest(asked, pieces, vectors, budget=budget, count=lambda text: gauge.count(text) + FILE_TOKENS)
        near = tuple(Excerpt(piece.turn, piece.source, piece.text, cosine) for piece, cosine in joined(chosen))
        full = replace(prompt, excerpts=near)
        tokens = await gauge.measure(full)
        if tokens <= gauge.allowed:
            return near
        # The measure taught the estimate; what it still is short by is kept free.
        spare += max(0, tokens - gauge.guess(full)) + FILE_TOKENS
    return ()


def _with_room(turns: tuple[Turn, ...], gauge: Gauge, budget: int) -> tuple[tuple[Turn, ...], frozenset[int]]:
    """The turns, and the numbers of those whose files go as excerpts: of the newest when it is too large with them."""
    newest = exchanges(turns)[-1].turns if turns else ()
    if sum(gauge.turn_counts(Prompt(newest))) <= budget:
        return turns, frozenset()
    # A file without a word about it cannot be searched: there is no question.
    bare = frozenset(turn.number for turn in newest if turn.message.files and turn.text.strip())
    return tuple(without_files(turn) if turn.number in bare else turn for turn in turns), bare


def _told(problem: str) -> str:
    return f"Some pieces were not searched: {problem}" if problem else ""
