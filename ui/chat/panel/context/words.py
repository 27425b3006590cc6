"""What is said about the window and the server's KV cache, from what is known of them alone.

The one rule: a figure that nobody told is left out or called n/a with its reason; none is worked out of nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sparkdesk.core.chat.context import ContextUse, SentContext, WindowPolicy
from sparkdesk.core.plain_text import reveal_hidden
from ui.chat.panel.context.bar import Piece
from ui.text import count, is_known, one_line, percent, pool
from ui.theme import Token
from ui.widgets.meter import HIGH_SHARE

MAX_CHARS: Final = 400_000
"""Of what is shown to be read; more would only keep the window busy."""
POLICIES: tuple[tuple[WindowPolicy, str, str], ...] = (
    (WindowPolicy.WHOLE, "Ask me", "All of it is sent; you are asked when it is full."),
    (WindowPolicy.SLIDING, "Sliding window", "The oldest messages are not sent; they stay here."),
    (WindowPolicy.SUMMARISE, "Summarise", "The model sums up the oldest messages."),
    (WindowPolicy.RETRIEVE, "Retrieve", "Of older messages and files, what is nearest."),
)
"""What is done when the window is full: its name, and one line that explains it."""


def pieces_of(use: ContextUse, files: int | None = None) -> list[Piece]:
    """The parts of the window; together they are what is in use. `files` is how many go along."""
    parts = use.parts
    told: list[tuple[str, int | None, Token]] = [
        ("System prompt", parts.system, "s4"),
        ("Memory", parts.memory, "s2"),
        (f"Files, {files}" if files else "Files", parts.files, "s3"),
        ("Messages", parts.messages, "s1"),
        ("Template", parts.template, "s5"),
    ]
    pieces = [Piece(words, tokens, tint) for words, tokens, tint in told if tokens]
    if use.prompt is not None:
        rest = use.prompt - sum(piece.tokens for piece in pieces)
        if rest > 0:
            pieces.append(Piece("Not told apart" if pieces else "Prompt, last question", rest, "control", True))
        if use.answer:
            pieces.append(Piece("Last answer", use.answer, "ledger_cache"))
    if use.since:
        words = "This answer, about" if use.prompt is None else "Written since, about"
        pieces.append(Piece(words, use.since, "ledger_cache", True))
    return pieces


def figure_words(use: ContextUse) -> tuple[str, str]:
    """The figure in the heading, and what stands paler behind it."""
    if use.used is None and not use.limit:
        return "n/a", ""
    if use.used is None:
        return "", f"{count(use.limit)} tokens"
    about = "about " if use.is_about else ""
    return f"{about}{count(use.used)}", f" / {count(use.limit)} tokens" if use.limit else " tokens, limit n/a"


def ring_words(use: ContextUse) -> str:
    """What the composer's ring says beyond its percent; "" when that is all."""
    if not use.limit or not (use.is_about or use.is_refused):
        return ""
    more = f", {limit_words(use)}" if use.is_refused else ""
    return f"{figure_words(use)[0]} of {count(use.limit)} tokens{more}"


def count_words(use: ContextUse) -> str:
    """Who counted, and what was read from the cache; "" when there is nothing to say yet."""
    if use.used is None:
        return "Counted with the first answer."
    if use.prompt is None:
        return "Estimated: the server counts with its answer."
    said = []
    if use.since:
        said.append("Counted by the server; what was written since is estimated.")
    elif use.parts.total is not None:
        said.append("Counted by the server" + ("." if use.parts.is_counted else "; the parts are estimated."))
    if use.cached is not None and use.prompt:
        said.append(f"{percent(use.cached / use.prompt)} of the last prompt came from its cache.")
    return " ".join(said)


def pool_words(use: ContextUse) -> str:
    """The server's KV cache, and what a question here takes of it; "" when the server tells nothing of it."""
    told = use.pool
    if told is None:
        return ""
    said = []
    if told.capacity_tokens:
        said.append(f"{pool(told.capacity_tokens)} tokens")
    if told.used_fraction is not None and is_known(told.used_fraction):
        said.append(f"{percent(told.used_fraction)} in use by requests that run")
    words = [f"Server KV pool: {', '.join(said)}."] if said else []
    # What a server keeps of a chat after its answer is not told: this is what it takes, not what it holds.
    if told.capacity_tokens and use.used is not None and use.own_share is not None and not use.is_refused:
        share = f"{use.own_share * 100:.1f}"
        words.append(f"A question here takes about {pool(use.used)} of it ({share}\u202f%).")
    if told.waiting:
        words.append(f"{count(told.waiting)} waiting in its queue.")
    return " ".join(words)


def limit_words(use: ContextUse, *, has_server: bool = True) -> str:
    """What must be minded: how near the end is, or that it is not known where it is."""
    over = (use.used or 0) - (use.limit or 0)
    if use.is_refused:
        return f"{count(over)} tokens too many: refused." if use.limit and over > 0 else "Refused: it is too long."
    if use.fraction is None:
        return "" if use.limit or use.used is None or not has_server else "The server does not tell its limit."
    if use.fraction >= 1:
        return "The window is full."
    if use.fraction >= HIGH_SHARE:
        return f"{count(-over)} tokens are left."
    return ""


def sent_words(sent: SentContext | None) -> str:
    """What happened with the last question, in a few words; "" when all of the chat was sent."""
    if sent is None:
        return ""
    said = []
    left_out = len(sent.left_out)
    if left_out:
        messages = f"{count(left_out)} message{'s' if left_out != 1 else ''}"
        said.append(f"{messages} {'summed up' if sent.summary else 'left out'}")
    if sent.excerpts:
        said.append(f"{count(len(sent.excerpts))} excerpt{'s' if len(sent.excerpts) != 1 else ''} found")
    return ", ".join(said)


def sent_text(sent: SentContext, said: Callable[[int], str]) -> str:
    """Everything that stood in place of turns, to be read; `said` gives the words of a turn by its number."""
    blocks = []
    if sent.note:
        blocks.append(sent.note)
    if sent.summary:
        blocks.append(f"Sent in their place, summed up by the model:\n\n{sent.summary}")
    for excerpt in sent.excerpts:
        source = one_line(excerpt.source, 120) or f"message {excerpt.turn + 1}"
        blocks.append(f"Sent from {source}, nearness {excerpt.nearness:.2f}:\n\n{excerpt.text}")
    for number in sent.left_out:
        blocks.append(f"Not sent as it is, message {number + 1}:\n\n{said(number) or 'not here any more'}")
    return reveal_hidden("\n\n\n".join(blocks)[:MAX_CHARS])
