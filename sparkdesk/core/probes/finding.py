"""Writes findings: what each check's judge and fix have in common.

The one rule: a verdict other than PASS has a remedy, evidence is what was read and nothing else, and a fix is a
playbook that a person reads before it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparkdesk.core.command import Command
from sparkdesk.core.plain_text import make_line, make_plain
from sparkdesk.core.probes.check import Finding, Verdict
from sparkdesk.core.probes.read import Answer, Answers, Probe, Read, answer_of, describe
from sparkdesk.core.step import Action, Playbook, Run, Stage, Step

MAX_EVIDENCE_CHARS = 2000
MAX_EVIDENCE_LINES = 12
NO_STEP = "SparkDesk has no step for this that would be safe."
"""Where a check offers no fix, its remedy says so and goes on with what a person does instead."""
READ_REMEDY = "Sign in to the node and try the same by hand; then run the doctor again."


class Case:
    """One probe's answers from one node, and the finding that is written about them."""

    def __init__(self, probe: Probe, answers: Answers, node_id: str, *, is_unverified: bool = True) -> None:
        self._probe = probe
        self._answers = answers
        self._is_unverified = is_unverified
        self.node_id = node_id

    def answer(self, read: Read) -> Answer:
        """The answer to one of the probe's reads."""
        return answer_of(self._answers, read)

    def good(self, message: str) -> Finding:
        """All is well."""
        return self._write(Verdict.PASS, message)

    def warn(self, message: str, *, meaning: str, remedy: str, fix: Playbook | None = None) -> Finding:
        """It works, and something is lost."""
        return self._write(Verdict.WARN, message, meaning=meaning, remedy=remedy, fix=fix)

    def fail(self, message: str, *, meaning: str, remedy: str, fix: Playbook | None = None) -> Finding:
        """Something does not work, or will not."""
        return self._write(Verdict.FAIL, message, meaning=meaning, remedy=remedy, fix=fix)

    def unread(self, why: str, *, remedy: str = READ_REMEDY, meaning: str = "") -> Finding:
        """It is not known: never a pass."""
        return self._write(Verdict.UNREAD, why, meaning=meaning, remedy=remedy)

    def not_read(self, read: Read) -> Finding:
        """This read gave nothing that can be judged."""
        why = self.answer(read).why() or "the answer has another form than expected"
        return self.unread(f"{describe(read)}: {why}")

    def _write(
        self, verdict: Verdict, message: str, *, meaning: str = "", remedy: str = "", fix: Playbook | None = None
    ) -> Finding:
        return Finding(
            check_id=self._probe.id,
            node_id=self.node_id,
            title=self._probe.title,
            verdict=verdict,
            message=make_line(message, max_chars=500),
            evidence=self._evidence(),
            meaning=meaning,
            remedy=remedy,
            fix=fix,
            source=self._probe.source,
            is_unverified=self._is_unverified,
        )

    def _evidence(self) -> str:
        parts = []
        for read in self._probe.reads:
            answer = self.answer(read)
            if answer.texts and not answer.why():
                rows = [(path or describe(read), text.strip()) for path, text in answer.texts]
            elif answer.numbers and answer.fault is None:
                rows = [(describe(read), ", ".join(f"{key} {value:.0f}" for key, value in answer.numbers.items()))]
            else:
                rows = [(describe(read), answer.why() or "nothing")]
            parts += [_show(name, text) for name, text in rows[:16]]
        return make_plain("\n".join(parts), max_chars=MAX_EVIDENCE_CHARS)


def _show(name: str, text: str) -> str:
    lines = text[:MAX_EVIDENCE_CHARS].split("\n")
    if len(lines) == 1:
        return f"{name}: {lines[0] or 'empty'}"
    more = [f"  ({len(lines) - MAX_EVIDENCE_LINES} more lines)"] if len(lines) > MAX_EVIDENCE_LINES else []
    return "\n".join([f"{name}:", *(f"  {line}" for line in lines[:MAX_EVIDENCE_LINES]), *more])


def as_root(*argv: str, timeout_s: float = 60.0) -> Run:
    """Run a command through sudo."""
    return Run(Command(argv), timeout_s=timeout_s, as_root=True)


def as_user(*argv: str) -> Run:
    """Run a command that reads, for a check or a verification."""
    return Run(Command(argv))


def make_fix(
    title: str,
    node_id: str,
    apply: Sequence[Action],
    *,
    verify: Sequence[Action] = (),
    undo: Sequence[Action] = (),
    needs_lock: bool = False,
) -> Playbook:
    """A playbook of one step. `needs_lock` where it changes packages, docker or the network."""
    step = Step("fix", title, node_id, apply=tuple(apply), verify=tuple(verify), undo=tuple(undo))
    return Playbook(title, (Stage(title, (step,)),), needs_lock=needs_lock)
