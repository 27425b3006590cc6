"""Mistakes of ours: caught wherever they fly, reported once each, and the application lives on.

The one rule: no mistake is silent, and none is repeated for ever: the same one again and again is counted, not shown.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sparkdesk import __version__, paths
from sparkdesk.core.bug import describe_bug
from sparkdesk.infra.crash_report import write_report

log = logging.getLogger(__name__)

MESSAGE = "SparkDesk made a mistake and goes on"
MAX_SHOWN_CHARS = 8000
MAX_REPORTS = 20
"""In one life of the program: a mistake in a timer would fill the disk."""


class Faults:
    """Takes what was not expected. `show` gets message, remedy and report."""

    def __init__(self, show: Callable[[str, str, str], None]) -> None:
        self._show = show
        self._seen: dict[str, int] = {}

    def take(self, name: str, bug: BaseException) -> None:
        """Write a report and show it; the same mistake at the same place is only counted."""
        last = traceback.extract_tb(bug.__traceback__)[-1:]
        place = f"{type(bug).__name__} {last[0].filename}:{last[0].lineno}" if last else type(bug).__name__
        self._seen[place] = self._seen.get(place, 0) + 1
        if self._seen[place] > 1 or len(self._seen) > MAX_REPORTS:
            return
        report = describe_bug(bug)
        path = _write(f"SparkDesk {__version__}\n{name}\n{report}")
        remedy = f"A report is in {path}." if path else "Its report could not be written: see the details."
        self._show(MESSAGE, remedy, report[-MAX_SHOWN_CHARS:])

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take what flies out of Qt's slots and the loop's callbacks. Needs a running loop."""
        loop = asyncio.get_running_loop()
        before = sys.excepthook
        sys.excepthook = self._on_slot
        loop.set_exception_handler(self._on_callback)
        try:
            yield
        finally:
            sys.excepthook = before
            loop.set_exception_handler(None)

    def _on_slot(self, kind: type[BaseException], bug: BaseException, trace: TracebackType | None) -> None:
        log.error("bug in a slot\n%s", describe_bug(bug))
        self.take("a slot", bug)

    def _on_callback(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        bug = context.get("exception")
        words = str(context.get("message", "a callback"))
        log.error("bug in the loop: %s\n%s", words, describe_bug(bug) if isinstance(bug, BaseException) else "")
        if isinstance(bug, BaseException):
            self.take(words, bug)


def _write(text: str) -> Path | None:
    try:
        return write_report(paths.log_dir(), text)
    except OSError:
        return None
