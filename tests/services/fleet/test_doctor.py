"""The doctor reads a node for real, tells as it goes, and passes nothing for a node that is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkdesk.core.errors import Unreachable
from sparkdesk.core.ports import Shell
from sparkdesk.core.probes.check import CheckUp, Verdict
from sparkdesk.core.probes.doctor import CHECKS
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.doctor import Doctor
from sparkdesk.services.fleet.reader import Reader
from tests.fakes.shell import LocalShell
from tests.remote.spark_root import make_spark

PROGRAM = (Path(__file__).resolve().parents[3] / "sparkdesk" / "remote" / "reader.py").read_bytes()


class Clinic:
    """A doctor, and a node that is a folder with a Spark's files."""

    def __init__(self, folder: Path) -> None:
        make_spark(folder / "root")
        (folder / "home").mkdir()
        self.shell = LocalShell(folder / "home", env={"SPARKDESK_ROOT": str(folder / "root")})
        self.doctor = Doctor(
            reader=Reader(program=PROGRAM, shells=self._shell, clock=SystemClock()), clock=SystemClock()
        )
        self.seen: list[CheckUp] = []
        self.doctor.check_ups.subscribe(lambda ups: self.seen.append(ups.get("n1", CheckUp("n1"))))

    def _shell(self, node_id: str) -> Shell:
        if node_id != "n1":
            raise Unreachable("This node is no longer in the cluster", remedy="Add it again.", node=node_id)
        return self.shell


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


async def test_a_check_up_tells_first_what_is_quick_and_then_the_rest(clinic: Clinic) -> None:
    found = await clinic.doctor.run("n1")
    assert (found.state, len(found.findings), found.message) == ("done", len(CHECKS), "")
    assert found.t_ms > 0
    assert [up.state for up in clinic.seen] == ["none", "running", "running", "running", "done"]
    counts = [len(up.findings) for up in clinic.seen]
    assert counts == sorted(counts)
    assert 0 < counts[2] < counts[3]
    by_id = {finding.check_id: finding for finding in found.findings}
    assert by_id["driver-branch"].verdict is Verdict.PASS
    assert by_id["gpu-answers"].verdict is not Verdict.PASS  # no nvidia-smi here
    assert "127535084 kB" in by_id["swap"].evidence


async def test_a_node_that_is_lost_half_way_fails_the_check_up_with_a_remedy(clinic: Clinic) -> None:
    cut: list[bool] = []

    def lose(ups: object) -> None:
        if clinic.seen and clinic.seen[-1].findings and not cut:
            cut.append(True)
            clinic.shell.cut()

    clinic.doctor.check_ups.subscribe(lose)
    found = await clinic.doctor.run("n1")
    assert cut
    assert found.state == "failed"
    assert found.message
    assert found.remedy
    assert len(found.findings) < len(CHECKS)
    clinic.shell.mend()
    assert (await clinic.doctor.run("n1")).state == "done"


async def test_a_node_that_is_away_has_no_findings(clinic: Clinic) -> None:
    found = await clinic.doctor.run("gone")
    assert (found.state, found.findings, found.remedy) == ("failed", (), "Add it again.")
    clinic.doctor.forget("gone")
    assert "gone" not in clinic.doctor.check_ups.value


async def test_one_check_up_at_a_time_and_an_ended_one_says_so(clinic: Clinic) -> None:
    first = asyncio.gather(clinic.doctor.run("n1"))
    await asyncio.sleep(0.05)
    assert (await clinic.doctor.run("n1")).state == "running"
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    ended = clinic.doctor.check_ups.value["n1"]
    assert (ended.state, ended.message) == ("failed", "The check-up was ended")
