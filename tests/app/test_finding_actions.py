"""A person mends, accepts and takes back findings by clicks; a node that runs out of memory is saved by one stop.

One simulated Spark; the list, the dialogs and the line to the node are real.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.command import Command
from sparkdesk.core.errors import NodeError
from sparkdesk.core.jobs.record import JobState
from tests.app.adding import click
from tests.app.desk import all_live, play, until
from tests.app.sparks import job_in, launch, record_of, running_sparks
from tests.simulator.conftest import Simulator
from ui.cluster.view import ClusterPage
from ui.findings.accept_dialog import AcceptDialog
from ui.findings.card import FindingCard
from ui.findings.panel import FindingPanel
from ui.playbook.ask_dialog import AskDialog
from ui.playbook.dialog import PlaybookDialog

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
OPTIONS = WindowOptions(is_forgetful=True)
HUNGRY = """
import json, os, time
def available():
    return int(next(row for row in open("/proc/meminfo") if row.startswith("MemAvailable")).split()[1]) * 1024
began, had = time.monotonic(), available()
part, file = (f"/run/sparkdesk-sim/{way}" for way in (f"docker/{os.getpid()}.part", f"loads/{os.getpid()}.json"))
while True:
    passed = time.monotonic() - began
    left = max(4.6, 14 - 2 * passed if passed < 3.7 else 6.6 - 0.12 * (passed - 3.7)) * 2**30
    row = {"pid": os.getpid(), "name": "hungry", "started_s": 0, "memory_bytes": int(had - left)}
    open(part, "w").write(json.dumps(row))
    os.replace(part, file)
    time.sleep(0.1)
"""
"""A program that takes the simulated memory, as that machine counts it, ever more of it. Not so fast that the server's
own guard ends it first.

It leaves more than the 4 GiB below which a job ends itself.
"""


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One Spark without docker, where root needs no password."""
    words = [word for fault in ("docker-down", "sudo-nopasswd") for word in ("--fault", f"{fault}:spark-5c2d")]
    with running_sparks(tmp_path_factory.mktemp("finding"), 1, *words) as simulator:
        yield simulator


async def all_findings(desktop: Desktop) -> FindingPanel:
    """The list of the cluster page, opened from its strip."""
    desktop.window.show_page("cluster")
    page = desktop.window.page("cluster")
    assert isinstance(page, ClusterPage)
    await until(page.findings.all.isVisible, "a finding in the strip", timeout_s=30.0)
    click(page.findings.all)
    return page.finding_drawer.panel


async def card_of(panel: FindingPanel, finding_id: str) -> FindingCard:
    """The card of a finding, once it is there."""
    await until(lambda: finding_id in panel.cards, finding_id, timeout_s=30.0)
    return panel.cards[finding_id]


async def shown(kind: type[QWidget]) -> QWidget:
    """The open window of this kind, as soon as it is there."""

    def found() -> list[QWidget]:
        return [each for each in QApplication.topLevelWidgets() if isinstance(each, kind) and each.isVisible()]

    await until(found, f"a {kind.__name__}")
    return found()[-1]


async def accept_and_take_back(panel: FindingPanel, card: FindingCard) -> None:
    click(card.accept)
    dialog = await shown(AcceptDialog)
    assert isinstance(dialog, AcceptDialog)
    QTest.keyClicks(dialog.input, "no containers here")
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    await until(lambda: card.concern is not None and card.concern.is_accepted, "the acceptance")
    click(panel.fold)
    assert card.note.text() == "Accepted: no containers here"
    click(card.unaccept)
    await until(lambda: card.concern is not None and not card.concern.is_accepted, "the finding's return")


async def mend(desktop: Desktop, panel: FindingPanel, card: FindingCard) -> None:
    assert card.concern is not None
    finding_id = card.concern.id
    click(card.fix)
    dialog = await shown(PlaybookDialog)
    assert isinstance(dialog, PlaybookDialog)
    assert "systemctl start docker" in dialog.text.toPlainText()
    assert not desktop.stack.runs.runs.value, "nothing runs before it was confirmed"
    click(dialog.confirm)
    await until(lambda: finding_id not in panel.cards, "the finding's end", timeout_s=30.0)
    click(dialog.cancel)


async def be_hungry(desktop: Desktop, node_id: str) -> None:
    """Take the node's memory until the connection goes."""
    try:
        async with desktop.stack.inventory.shell(node_id).open(Command(("python3", "-c", HUNGRY))) as process:
            async for _ in process.chunks():
                pass
    except NodeError:
        pass


async def save(desktop: Desktop, panel: FindingPanel, node_id: str) -> None:
    job = await launch(desktop.stack, node_id)
    desktop.stack.tasks.start(be_hungry, desktop, node_id)
    card = await card_of(panel, f"wedge/{node_id}/")
    await until(lambda: card.fix.isVisible(), "the way out")
    assert card.fix.text() == f"Stop {job.title}…"
    assert next(iter(desktop.stack.findings.findings.value)).rule == "wedge", "nothing is worse"
    click(card.fix)
    dialog = await shown(AskDialog)
    assert isinstance(dialog, AskDialog)
    assert job.job_id in dialog.commands.text()
    click(dialog.go)
    await job_in(desktop.stack, job.job_id, JobState.STOPPED)


def test_a_finding_is_accepted_taken_back_and_mended_and_a_full_node_is_saved_by_a_stop(
    app: QApplication, spark: Simulator
) -> None:
    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        await desktop.stack.inventory.open(record_of(spark))
        (node,) = await all_live(desktop, 1)
        node_id = node.record.id
        await desktop.stack.fleet.doctor.run(node_id)
        panel = await all_findings(desktop)
        card = await card_of(panel, f"docker-daemon/{node_id}/")
        await accept_and_take_back(panel, card)
        await mend(desktop, panel, card)
        await save(desktop, panel, node_id)

    assert play(app, story, OPTIONS) == 0
