"""Feeds tell everybody, in order, and say what they dropped."""

from __future__ import annotations

from sparkdesk.core.feed import Latest, Lost, Stream


def test_a_late_subscriber_gets_the_newest_value_at_once() -> None:
    latest = Latest(1)
    latest.set(2)
    seen: list[int] = []
    latest.subscribe(seen.append)
    latest.set(3)
    assert seen == [2, 3]


def test_a_closed_subscription_hears_nothing_more() -> None:
    latest = Latest(0)
    seen: list[int] = []
    subscription = latest.subscribe(seen.append)
    subscription.close()
    subscription.close()
    latest.set(1)
    assert seen == [0]


def test_a_subscriber_may_leave_while_it_is_told() -> None:
    latest = Latest(0)
    seen: list[int] = []

    def once(value: int) -> None:
        seen.append(value)
        if value:
            subscription.close()

    subscription = latest.subscribe(once)
    latest.set(1)
    latest.set(2)
    assert seen == [0, 1]


def test_a_reader_gets_items_in_order_and_is_woken_once() -> None:
    stream: Stream[int] = Stream()
    wakes: list[None] = []
    reader = stream.read(lambda: wakes.append(None))
    for number in range(3):
        stream.put(number)
    assert len(wakes) == 1
    assert reader.drain() == [0, 1, 2]
    stream.put(3)
    assert len(wakes) == 2


def test_a_slow_reader_is_told_how_much_it_lost() -> None:
    stream: Stream[int] = Stream()
    reader = stream.read(lambda: None, limit=2)
    for number in range(5):
        stream.put(number)
    assert reader.drain() == [Lost(3), 3, 4]
    assert reader.drain() == []


def test_a_new_reader_first_gets_what_was_kept() -> None:
    stream: Stream[int] = Stream(keep=2)
    for number in range(5):
        stream.put(number)
    wakes: list[None] = []
    assert stream.read(lambda: wakes.append(None)).drain() == [3, 4]
    assert len(wakes) == 1


def test_a_reader_that_left_gets_nothing() -> None:
    stream: Stream[int] = Stream()
    reader = stream.read(lambda: None)
    reader.close()
    stream.put(1)
    assert reader.drain() == []


def test_a_new_reader_gets_all_that_is_kept_and_may_take_it_in_pieces() -> None:
    stream = Stream[int](keep=10)
    for number in range(20):
        stream.put(number)
    woken: list[bool] = []
    reader = stream.read(lambda: woken.append(True), limit=2)
    assert reader.drain(4) == [10, 11, 12, 13], "what was kept is not lost on a reader that has just come"
    assert reader.waits
    assert reader.drain() == [14, 15, 16, 17, 18, 19]
    assert not reader.waits
