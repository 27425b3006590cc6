"""A concern appears after it has lasted, clears after it has been gone, and silence does neither."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.findings.concern import Concern, Judgement, Severity, worst_first
from sparkdesk.core.findings.standing import LONGEST_STEP_MS, Standings

SLOW = Concern("slow", "n1", Severity.WARN, "Slow", "600 MHz", "Mend it.", fingerprint="x")
IS = Judgement(SLOW.id, SLOW, appear_s=10, clear_s=10)
IS_NOT = Judgement(SLOW.id, appear_s=10, clear_s=10)
UNKNOWN = replace(IS_NOT, is_known=False)


class Course:
    """Judgements every two seconds."""

    def __init__(self) -> None:
        self.standings = Standings()
        self.now_ms = 1_000_000

    def go(self, judgement: Judgement, seconds: int) -> tuple[Concern, ...]:
        """The same judgement for so long; what stands then."""
        for _ in range(seconds // 2):
            self.now_ms += 2000
            self.standings.take([judgement], self.now_ms)
        return self.standings.concerns


def test_it_appears_after_it_has_lasted_and_tells_since_when() -> None:
    course = Course()
    course.go(IS_NOT, 20)
    begun_ms = course.now_ms + 2000
    assert course.go(IS, 10) == ()
    (shown,) = course.go(IS, 2)
    assert shown.since_ms == begun_ms


def test_it_clears_after_it_has_been_gone() -> None:
    course = Course()
    course.go(IS, 12)
    assert course.go(IS_NOT, 10)
    assert course.go(IS_NOT, 2) == ()


def test_what_comes_and_goes_never_appears_and_never_clears() -> None:
    course = Course()
    for _ in range(10):
        assert course.go(IS, 6) == ()
        course.go(IS_NOT, 6)
    course.go(IS, 12)
    for _ in range(10):
        assert course.go(IS_NOT, 6)
        assert course.go(IS, 6)


def test_silence_neither_raises_nor_clears_nor_counts() -> None:
    course = Course()
    course.go(IS, 6)
    assert course.go(UNKNOWN, 600) == ()
    assert course.go(IS, 4) == ()
    assert course.go(IS, 2)
    course.go(IS_NOT, 6)
    assert course.go(UNKNOWN, 600)
    assert course.go(IS_NOT, 4)
    assert course.go(IS_NOT, 2) == ()
    course.go(IS, 12)
    course.standings.take([], course.now_ms + 10**9)
    assert course.standings.concerns


def test_a_computer_that_slept_has_not_seen_what_was_meanwhile() -> None:
    course = Course()
    long = replace(IS, appear_s=LONGEST_STEP_MS / 1000 + 1)
    course.go(long, 2)
    course.now_ms += 3_600_000
    assert course.go(long, 2) == ()


def test_figures_move_while_it_stands_and_another_severity_must_last_too() -> None:
    course = Course()
    (first,) = course.go(IS, 12)
    moved = replace(IS, concern=replace(SLOW, evidence="650 MHz"))
    (shown,) = course.go(moved, 2)
    assert (shown.evidence, shown.since_ms) == ("650 MHz", first.since_ms)
    worse = replace(IS, concern=replace(SLOW, severity=Severity.CRIT))
    (shown,) = course.go(worse, 10)
    assert shown.severity is Severity.WARN
    (shown,) = course.go(worse, 2)
    assert (shown.severity, shown.since_ms) == (Severity.CRIT, first.since_ms)


def test_what_is_true_for_seconds_says_of_when_it_is_once_nobody_can_tell() -> None:
    course = Course()
    course.go(IS, 12)
    (shown,) = course.go(UNKNOWN, 60)
    assert shown.silent_ms == 0, "what lasts is as true as before"
    course.go(IS, 2)
    heard_ms = course.now_ms
    (shown,) = course.go(replace(UNKNOWN, is_brief=True), 600)
    assert shown.silent_ms == heard_ms
    course.standings.move_times(5000)
    course.now_ms += 5000
    assert course.standings.concerns[0].silent_ms == heard_ms + 5000
    (shown,) = course.go(IS, 2)
    assert shown.silent_ms == 0


def test_what_stands_until_it_has_been_gone_for_long_enough_tells_what_there_is_now() -> None:
    course = Course()
    course.go(IS, 12)
    (shown,) = course.go(replace(IS_NOT, easing="900 MHz"), 6)
    assert shown.evidence == "900 MHz"
    (shown,) = course.go(IS, 2)
    assert shown.evidence == SLOW.evidence


def test_what_was_about_a_node_that_was_removed_is_forgotten() -> None:
    course = Course()
    course.go(IS, 12)
    course.standings.keep_nodes(["n2"])
    assert course.standings.concerns == ()


def test_the_worst_comes_first_and_what_was_accepted_last() -> None:
    crit = replace(SLOW, rule="b", severity=Severity.CRIT)
    note = replace(SLOW, rule="c", severity=Severity.NOTE, since_ms=9)
    later = replace(SLOW, rule="d", since_ms=5)
    accepted = replace(crit, rule="e", is_accepted=True)
    assert [one.rule for one in worst_first([accepted, note, SLOW, later, crit])] == ["b", "d", "slow", "c", "e"]
