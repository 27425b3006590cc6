"""What must not grow in a program that runs for weeks, counted at quiet moments; and the judgement whether it grew.

The one rule: least against least. What comes and goes moves the middle of a series, a leak moves its floor; so the
lowest count of the last third of the moments is held against the lowest of the third before it. The first third warms
up: pages are made on their first visit, and so are caches.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QMessageLogContext, QObject, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

LEAST_MOMENTS = 6
"""Two in each third: fewer say nothing."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are at one moment."""

    none_references: int
    """Where None is not immortal (CPython before 3.12), PySide 6.12.0 loses one with each void call, which ends in a
    crash. PySide 6.11.3 gains one for each virtual function of a new object that Qt calls first and Python does not
    override, which harms nothing: 6 for a pixmap that is painted on, 7 to 14 for a widget that is shown."""
    qt_objects: int
    """In the trees of all windows and of the application, with what Qt itself made."""
    python_qt_objects: int
    """Known to Python, in a tree or not."""
    descriptors: int
    tasks: int
    threads: int
    objects: int
    """That Python's collector knows."""
    memory_bytes: int
    """Resident."""


NONE_A_MOMENT = 3000
"""What PySide 6.11.3 gains with a cycle's new widgets (rows of a chat, a job's page); 1560 to 2350 were measured."""
NONE_LOST = 1500
"""More lost references to None than this are a crash that comes."""
SLACK = {
    "qt_objects": 4,
    "python_qt_objects": 4,
    "descriptors": 1,
    "tasks": 1,
    "threads": 1,
    "objects": 3000,
    "memory_bytes": 4_000_000,
}
"""What a floor may rise by from one third to the next: data that is kept on purpose. For memory it is what the last
two thirds may grow by together."""


def take_count() -> Count:
    """Count now, after everything that asked to be deleted is gone."""
    for _ in range(2):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
    known = gc.get_objects()
    qt_objects = sum(isinstance(each, QObject) for each in known)
    count = len(known)
    del known
    try:
        tasks = len(asyncio.all_tasks())
    except RuntimeError:
        tasks = 0
    return Count(
        none_references=sys.getrefcount(None),
        qt_objects=_count_trees(),
        python_qt_objects=qt_objects,
        descriptors=len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0,
        tasks=tasks,
        threads=threading.active_count(),
        objects=count,
        memory_bytes=resident_bytes(),
    )


def _count_trees() -> int:
    """Through Qt's own print-out: asked for its children, PySide would keep an object for each of them."""
    lines = 0

    def count(_kind: QtMsgType, _context: QMessageLogContext, _words: str) -> None:
        nonlocal lines
        lines += 1

    app = QApplication.instance()
    before = qInstallMessageHandler(count)
    try:
        for root in (*QApplication.topLevelWidgets(), app):
            if root is not None:
                root.dumpObjectTree()
    finally:
        qInstallMessageHandler(before)
    return lines


def resident_bytes() -> int:
    """Memory of this process that is in use; 0 where that is not told."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def slack_of(name: str, third: int) -> int:
    """What this count may rise by over so many moments."""
    return NONE_A_MOMENT * third if name == "none_references" else SLACK[name]


def judge(counts: Sequence[Count]) -> list[str]:
    """What grew, in words; nothing when all is flat.

    Raises:
        ValueError: fewer than LEAST_MOMENTS moments.
    """
    if len(counts) < LEAST_MOMENTS:
        raise ValueError(f"{len(counts)} moments say nothing; {LEAST_MOMENTS} are needed")
    third = len(counts) // 3
    before, last = counts[-2 * third : -third], counts[-third:]
    found = []
    for field in fields(Count):
        name = field.name
        least, later = (min(getattr(count, name) for count in part) for part in (before, last))
        grown = later - least
        if name == "memory_bytes":
            # Two floors that lie a third apart; the last two thirds are nearly twice as long.
            grown = grown * (2 * third - 1) // third
        slack = slack_of(name, third)
        if grown > slack or (name == "none_references" and grown < -NONE_LOST):
            found.append(f"{name} went from {least} to {later} in the last two thirds (allowed: {slack})")
    return found


def table(counts: Sequence[Count]) -> str:
    """All moments as text, one a line."""
    names = [field.name for field in fields(Count)]
    rows = [["moment", *names]]
    rows += [[str(at), *(str(getattr(count, name)) for name in names)] for at, count in enumerate(counts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)
