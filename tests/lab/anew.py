"""Hooks of pytest that keep one failure one failure: what a file's tests share is made anew after one that failed.

The tests of a file share one lab, since it takes seconds to make. The one rule: no test gets a node on which another
failed. It may be left half done; then the rest of the file fails too, and so many are not tried again (tests/lane.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

ANEW_AT_MOST = 3
"""Times for a file. More failures are no chance, and a lab that does not start takes long to say so."""
_HAS_FAILED = pytest.StashKey[bool]()
_MADE_ANEW = pytest.StashKey[Counter[Path]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note it on the test when its set-up or itself failed."""
    report = yield
    if report.failed:
        item.stash[_HAS_FAILED] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """After a failure, the taking away included, nothing that was set up is kept for the next test."""
    try:
        yield
    except BaseException:
        item.stash[_HAS_FAILED] = True
        raise
    finally:
        counts = item.config.stash.setdefault(_MADE_ANEW, Counter())
        if item.stash.get(_HAS_FAILED, False) and counts[item.path] < ANEW_AT_MOST:
            counts[item.path] += 1
            # What pytest itself does after the last test; it has no public name.
            item.session._setupstate.teardown_exact(None)
