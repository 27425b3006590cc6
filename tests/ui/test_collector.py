"""Garbage is collected in Qt's thread, and nowhere else."""

from __future__ import annotations

import gc
import threading

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from ui.collector import PERIOD_MS, collecting_here


class Loop:
    """Garbage that only the collector can find, and that remembers who took it away."""

    taken_by: list[int]

    def __init__(self, taken_by: list[int]) -> None:
        self.itself = self
        self.taken_by = taken_by

    def __del__(self) -> None:
        self.taken_by.append(threading.get_ident())


def make_garbage(taken_by: list[int], count: int) -> None:
    for _ in range(count):
        Loop(taken_by)


def test_garbage_of_another_thread_is_taken_away_by_qts(qapp: QApplication) -> None:
    taken_by: list[int] = []
    with collecting_here():
        thread = threading.Thread(target=make_garbage, args=(taken_by, 20_000))
        thread.start()
        thread.join()
        assert taken_by == []
        QTest.qWait(3 * PERIOD_MS)
        assert len(taken_by) == 20_000
        assert set(taken_by) == {threading.get_ident()}


def test_afterwards_python_collects_by_itself_again(qapp: QApplication) -> None:
    assert gc.isenabled()
    with collecting_here():
        assert not gc.isenabled()
    assert gc.isenabled()
