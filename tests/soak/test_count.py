"""The judge of a soak: what grows is found, what comes and goes is not."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from tests.soak.count import Count, judge, slack_of, table, take_count

FLAT = Count(80_000, 3000, 2000, 30, 40, 2, 140_000, 250_000_000)


@pytest.mark.parametrize("name", [field.name for field in fields(Count)])
def test_what_grows_in_the_last_third_is_found(name: str) -> None:
    step = slack_of(name, 4) // 3 + 1
    counts = [replace(FLAT, **{name: getattr(FLAT, name) + at * step}) for at in range(12)]
    (words,) = judge(counts)
    assert words.startswith(name)


@pytest.mark.parametrize("name", [field.name for field in fields(Count)])
def test_what_comes_and_goes_or_grew_at_the_start_is_no_leak(name: str) -> None:
    high = slack_of(name, 4) * 3 + 7
    counts = [replace(FLAT, **{name: getattr(FLAT, name) + high * (at % 2)}) for at in range(12)]
    warm = [replace(FLAT, **{name: getattr(FLAT, name) - high}) for _ in range(4)]
    assert judge(counts) == []
    assert judge([*warm, *[FLAT] * 8]) == []


def test_references_to_none_that_are_lost_are_found_too() -> None:
    counts = [replace(FLAT, none_references=FLAT.none_references - at * 500) for at in range(12)]
    assert judge(counts)


def test_memory_may_grow_by_four_megabytes_in_the_last_two_thirds() -> None:
    def grown(total_bytes: int) -> list[Count]:
        """By so much, steadily, from the fifth of twelve moments to the last."""
        return [replace(FLAT, memory_bytes=FLAT.memory_bytes + max(at - 4, 0) * total_bytes // 7) for at in range(12)]

    assert judge(grown(3_900_000)) == []
    assert judge(grown(4_200_000))


def test_too_few_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="5 moments"):
        judge([FLAT] * 5)


def test_a_leaked_object_is_counted_and_counting_leaks_nothing(qapp: QApplication) -> None:
    before = take_count()
    timers = [QTimer(qapp) for _ in range(10)]
    during = take_count()
    for timer in timers:
        timer.deleteLater()
    del timer, timers
    after = take_count()
    assert during.qt_objects - before.qt_objects == 10
    assert during.python_qt_objects - before.python_qt_objects == 10
    assert (after.qt_objects, after.python_qt_objects) == (before.qt_objects, before.python_qt_objects)
    assert "qt_objects" in table([before, during, after])
