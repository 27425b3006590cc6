"""One lab for all of its tests; each test runs in the workstation's network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.anew import pytest_runtest_makereport as pytest_runtest_makereport
from tests.lab.anew import pytest_runtest_teardown as pytest_runtest_teardown
from tests.lab.lab import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Four nodes with real sshd."""
    with Lab(4, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def workstation(lab: Lab) -> Iterator[Lab]:
    """The lab, seen from its workstation; every link up."""
    with lab.workstation():
        yield lab
