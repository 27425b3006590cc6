"""The bridge between feeds and Qt: what is closed leaves nothing behind with its parent."""

from __future__ import annotations

import gc

from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtGui import QTextDocument, QTextFrame
from PySide6.QtWidgets import QApplication

from sparkdesk.core.feed import Latest, Stream, Subscription
from ui.bridge import MOST_AT_ONCE, StreamPump, watch
from ui.chat.words.markdown import lay_out

TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n\n> said\n\n* one\n"


def count_of(kind: type[QObject]) -> int:
    """How many of a kind Python knows, those asked to be deleted left out."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_a_watch_ends_with_its_parent_and_with_its_subscription(qapp: QApplication) -> None:
    feed, seen = Latest(1), list[int]()
    first, second = QObject(), QObject()
    watch(feed, first, seen.append)
    subscription = watch(feed, second, seen.append)
    first.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    feed.set(2)
    subscription.close()
    subscription.close()
    feed.set(3)
    second.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert seen == [1, 1, 2]


def test_what_was_watched_is_forgotten_while_the_parent_lives_on(qapp: QApplication) -> None:
    def count() -> int:
        gc.collect()
        return sum(type(each) is Subscription for each in gc.get_objects())

    parent, before = QObject(), count()
    for _ in range(20):
        watch(Latest(1), parent, lambda _value: None).close()
    assert count() == before


def test_a_closed_pump_is_gone_while_its_parent_lives_on(qapp: QApplication) -> None:
    parent, stream = QObject(), Stream[int]()
    before = count_of(StreamPump)
    for _ in range(20):
        pump = StreamPump(stream, lambda _items: None, rate_hz=30, parent=parent)
        pump.close()
        pump.deleteLater()
        del pump
    assert count_of(StreamPump) == before


def test_an_answer_that_is_laid_out_again_and_again_leaves_no_frames(qapp: QApplication) -> None:
    document = QTextDocument()
    before = count_of(QTextFrame)
    for _ in range(20):
        lay_out(document, TABLE)
    assert count_of(QTextFrame) <= before + 1


def test_a_long_past_comes_in_pieces_and_whole(qapp: QApplication) -> None:
    parent, stream = QObject(), Stream[int](keep=10_000)
    for number in range(10_000):
        stream.put(number)
    seen: list[list[object]] = []
    pump = StreamPump(stream, lambda items: seen.append(list(items)), rate_hz=1, parent=parent)
    while sum(map(len, seen)) < 10_000:
        qapp.processEvents()
    assert [item for items in seen for item in items] == list(range(10_000))
    assert max(map(len, seen)) == MOST_AT_ONCE
    pump.close()
