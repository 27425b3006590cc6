"""The figures of an answer in words: the few of the row, and all of them with what each means.

The one rule: a figure says who counted it, and one that is not known says why; neither is ever zero instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.stream.timing import AnswerTiming
from ui.text import (
    count,
    duration,
    first_token_time,
    grouped,
    is_known,
    one_line,
    percent,
    time_of_day,
    token_interval,
    token_rate,
)

J_PER_WH: Final = 3600.0
Part = tuple[str, str, str]
"""Words before a value, the value, words after it."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One line of all that is known: what it is, how much, and how that is known or why it is not."""

    title: str
    value: str
    words: str


def figures_of(turn: Turn) -> list[Part]:
    """The few figures of the row."""
    timing = turn.timing or AnswerTiming()
    first = first_token_time(timing.ttft_s)
    parts: list[Part] = [("TTFT", first.value, first.unit), rate_part(timing), _tokens(turn)]
    if timing.prompt_tokens is not None:
        share = _cached_share(timing)
        parts.append(("prompt", count(timing.prompt_tokens), f", {percent(share)} cached" if is_known(share) else ""))
    return parts


def rate_part(timing: AnswerTiming) -> Part:
    """How fast it came. Pieces are called pieces: one may hold several tokens, or half of one."""
    rate = token_rate(timing.tokens_per_s)
    return ("", rate.value, "tok/s" if timing.is_counted_by_server else "pieces/s")


def pieces_word(timing: AnswerTiming) -> str:
    """What is counted, for the number there is."""
    word = "token" if timing.is_counted_by_server else "piece"
    return word if timing.completion_tokens == 1 else f"{word}s"


def _tokens(turn: Turn) -> Part:
    timing, usage = turn.timing or AnswerTiming(), turn.usage or Usage()
    if not timing.is_counted_by_server:
        return ("", count(timing.completion_tokens), f"{pieces_word(timing)}, counted here")
    thought = f", {count(usage.reasoning_tokens)} thinking" if usage.reasoning_tokens else ""
    return ("", count(timing.completion_tokens), f"{pieces_word(timing)}{thought}")


def _cached_share(timing: AnswerTiming) -> float:
    """NaN also where a server says that more was cached than was asked."""
    if timing.cached_tokens is None or not timing.prompt_tokens or timing.cached_tokens > timing.prompt_tokens:
        return float("nan")
    return timing.cached_tokens / timing.prompt_tokens


def energy(energy_j: float) -> str:
    """Energy in joules, from 3,600 J on in watt-hours."""
    if not is_known(energy_j) or energy_j < 0:
        return "n/a"
    if energy_j >= J_PER_WH:
        return f"{grouped(energy_j / J_PER_WH, 2)} Wh"
    return f"{grouped(energy_j, 0 if energy_j >= 100 else 1)} J"


def details_of(turn: Turn) -> list[Detail]:
    """Everything that is known of how an answer came, and why the rest is not."""
    timing = turn.timing or AnswerTiming()
    return [
        _first(timing),
        _prefill(timing),
        *_decode(timing),
        _written(turn, timing),
        _thought(turn, timing),
        _prompt(timing),
        _energy(turn),
        _whole(turn, timing),
        Detail("Answered by", one_line(turn.label, 120) or "n/a", one_line(turn.note, 400)),
    ]


def details_text(turn: Turn) -> str:
    """The same as lines of plain text, for a tooltip and for the clipboard."""
    return "\n".join(
        f"{each.title}: {each.value}{f' ({each.words})' if each.words else ''}" for each in details_of(turn)
    )


def _first(timing: AnswerTiming) -> Detail:
    first = first_token_time(timing.ttft_s)
    words = "from the request to the first piece" if is_known(timing.ttft_s) else "no piece came"
    return Detail("First token (TTFT)", str(first), words)


def _prefill(timing: AnswerTiming) -> Detail:
    rate = token_rate(timing.prefill_tokens_per_s)
    if is_known(timing.prefill_tokens_per_s):
        return Detail("Prefill", str(rate), "prompt tokens that were not cached, by the server's own time")
    is_all_cached = timing.prompt_tokens is not None and timing.prompt_tokens == timing.cached_tokens
    return Detail("Prefill", "n/a", "all of the prompt was cached" if is_all_cached else "the server does not tell it")


def _decode(timing: AnswerTiming) -> list[Detail]:
    interval, rate = token_interval(timing.tpot_s), rate_part(timing)
    by = "of tokens by the server's count" if timing.is_counted_by_server else "of pieces counted here"
    known = is_known(timing.tpot_s)
    return [
        Detail("Time per token (TPOT)", str(interval), by if known else "one piece alone has no interval"),
        Detail(
            "Decode",
            f"{rate[1]} {rate[2]}" if known else rate[1],
            "1 / TPOT, of this answer alone" if known else "needs two pieces at least",
        ),
    ]


def _written(turn: Turn, timing: AnswerTiming) -> Detail:
    if timing.is_counted_by_server:
        words = "counted by the server, thinking included"
        if turn.finish_reason == "length":
            words += "; stopped at the limit"
        return Detail("Written", f"{count(timing.completion_tokens)} tokens", words)
    if timing.completion_tokens is None:
        return Detail("Written", "n/a", "nothing came")
    words = "events counted here, since the server gave no count: one may hold several tokens or half of one"
    return Detail("Written", f"{count(timing.completion_tokens)} pieces", words)


def _thought(turn: Turn, timing: AnswerTiming) -> Detail:
    usage = turn.usage or Usage()
    said = f", {timing.thinking_s:.1f} s" if is_known(timing.thinking_s) else ""
    if usage.reasoning_tokens is not None:
        return Detail("Thinking", f"{count(usage.reasoning_tokens)} tokens{said}", "counted by the server")
    if turn.reasoning:
        return Detail("Thinking", said[2:] or "n/a", "the server does not count its tokens apart")
    return Detail("Thinking", "none", "no reasoning came")


def _prompt(timing: AnswerTiming) -> Detail:
    if timing.prompt_tokens is None:
        return Detail("Prompt", "n/a", "the server gave no count")
    cached, share = timing.cached_tokens, _cached_share(timing)
    words = "counted by the server; it does not tell what was cached"
    if cached is not None and cached > timing.prompt_tokens:
        words = f"counted by the server; cached n/a, since {count(cached)} would be more than the prompt has"
    elif cached is not None:
        words = f"counted by the server; {count(cached)} cached, {percent(share)}"
    return Detail("Prompt", f"{count(timing.prompt_tokens)} tokens", words)


def _energy(turn: Turn) -> Detail:
    if is_known(turn.energy_j) and turn.energy_j >= 0:
        return Detail("Energy", energy(turn.energy_j), "of the GPUs of its nodes meanwhile, whatever else they did")
    return Detail("Energy", "n/a", "no power is measured for this server")


def _whole(turn: Turn, timing: AnswerTiming) -> Detail:
    ended = f"ended with {one_line(turn.finish_reason, 40)!r}" if turn.finish_reason else ""
    at = f"at {time_of_day(turn.t_ms)}" if turn.t_ms else ""
    took = timing.total_s
    value = "n/a" if not is_known(took) else f"{took:.1f} s" if took < 60 else duration(took)
    return Detail("Whole answer", value, ", ".join(word for word in (at, ended) if word))
