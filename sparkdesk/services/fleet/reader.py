"""Carries out a probe's reads on a node, many in one go, and measures the node's clock while it is at it.

The one rule: a read that gave nothing is an answer with a fault; only a node that could not be asked raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparkdesk.core.errors import CommandFailed
from sparkdesk.core.ports import Shell
from sparkdesk.core.probes.read import Answer, Answers, Fault, Read, ReadClock
from sparkdesk.core.probes.read_json import MAX_READS, decode_answers, decode_span, encode_reads
from sparkdesk.services.clock import Clock
from sparkdesk.services.remote_program import run_program

TOTAL_S = 40.0
"""The longest that one request may keep a node busy."""
SPARE_S = 15.0
"""For the sign-in shell and the program's start, beyond TOTAL_S."""


class Reader:
    """Reads nodes. `program` is remote/reader.py; `shells` gives a live node's shell or raises Unreachable."""

    def __init__(self, *, program: bytes, shells: Callable[[str], Shell], clock: Clock) -> None:
        self._program = program
        self._shells = shells
        self._clock = clock

    async def read(self, where: str | Shell, reads: Sequence[Read]) -> Answers:
        """An answer for each read. `where` is a node's id or its shell.

        Raises Unreachable (not live, or lost meanwhile), NodeBusy, CommandFailed (no Python there, no answer at all).
        """
        shell = self._shells(where) if isinstance(where, str) else where
        found: dict[Read, Answer] = {}
        left = list(dict.fromkeys(reads))
        while left:
            answers = await self._ask(shell, left[:MAX_READS])
            done = {read: answer for read, answer in answers.items() if answer is not None}
            if not done:  # the reader always has room for one: this is not our program that answers
                fault = Answer(fault=Fault.UNREADABLE, problem="the node gave no answer")
                done = dict.fromkeys(left[:MAX_READS], fault)
            found |= done
            left = [read for read in left if read not in done]
        return found

    async def _ask(self, shell: Shell, reads: Sequence[Read]) -> dict[Read, Answer | None]:
        request = encode_reads(reads)
        sent_ms = self._clock.now_ms()
        args = ("reading", str(len(request)), f"{TOTAL_S:g}")
        data = await run_program(shell, self._program, args, stdin=request, timeout_s=TOTAL_S + SPARE_S)
        received_ms = self._clock.now_ms()
        if data.get("reader") != 1:
            raise CommandFailed(
                f"{shell.node} gave an answer that is not the reader's",
                remedy="Look at what the node's shell start-up files print, then repeat.",
                node=shell.node,
            )
        answers = decode_answers(reads, data)
        span = decode_span(data)
        if span is not None:
            for read, answer in answers.items():
                if isinstance(read, ReadClock) and answer is not None and answer.fault is None:
                    answers[read] = _with_offset(answer, (sent_ms, received_ms), span)
        return answers


def _with_offset(answer: Answer, ours_ms: tuple[float, float], theirs_ms: tuple[float, float]) -> Answer:
    """The clock's answer with its offset from ours. Source: RFC 5905 section 8, the clock filter's sample."""
    offset_ms = ((theirs_ms[0] - ours_ms[0]) + (theirs_ms[1] - ours_ms[1])) / 2
    error_ms = max(0.0, ((ours_ms[1] - ours_ms[0]) - (theirs_ms[1] - theirs_ms[0])) / 2)
    return Answer(numbers={**(answer.numbers or {}), "offset_ms": offset_ms, "error_ms": error_ms})
