"""A person changes a node from its page: what will run is shown, root's password is asked for, and the node is as said.

Simulated Sparks with a root of their own; the clicks, the dialogs and the line to the node are real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeVar

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.probes.check import Verdict
from tests.app.adding import click, password_of
from tests.app.desk import all_live, node_in, play, until
from tests.app.sparks import launch, record_of, running_sparks
from tests.simulator.conftest import Simulator
from ui.node.view import NodePage
from ui.playbook.dialog import PlaybookDialog
from ui.playbook.question import REFUSED, SudoDialog
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
Dialog = TypeVar("Dialog", bound=QWidget)
OPTIONS = WindowOptions(is_forgetful=True)


@pytest.fixture(scope="module")
def sparks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_sparks(tmp_path_factory.mktemp("actions"), 2) as simulator:
        yield simulator


async def node_page(desktop: Desktop, simulator: Simulator) -> NodePage:
    """The first node's page, once both nodes are live."""
    await until(lambda: desktop.is_filled.value, "the window")
    desktop.pages.add_all()
    await desktop.stack.inventory.open(record_of(simulator))
    nodes = await all_live(desktop, 2)
    desktop.pages.node_pages.show_node(nodes[0].record.id)
    page = desktop.window.page("node")
    assert isinstance(page, NodePage)
    await until(lambda: boot_id(desktop, page), "the node's facts")
    return page


def boot_id(desktop: Desktop, page: NodePage) -> str:
    """The kernel's id of the boot that the page's node is in, "" before it was read."""
    return desktop.stack.inventory.status(page.model.node_id).facts.boot_id


async def dialog_of(kind: type[Dialog]) -> Dialog:
    """The dialog of this kind that is open, as soon as it is."""

    def shown() -> list[Dialog]:
        return [each for each in QApplication.topLevelWidgets() if isinstance(each, kind) and each.isVisible()]

    await until(shown, f"a {kind.__name__}")
    return shown()[-1]


async def give_password(password: str) -> None:
    """Type what sudo wants."""
    asked = await dialog_of(SudoDialog)
    QTest.keyClicks(asked.input, password)
    click(asked.give)


async def confirm(password: str) -> PlaybookDialog:
    """Read the plan, say yes, give root's password, wait for the end."""
    dialog = await dialog_of(PlaybookDialog)
    click(dialog.confirm)
    await give_password(password)
    await until(lambda: (run := dialog.model.run()) is not None and run.is_over, "the change's end", timeout_s=60.0)
    return dialog


def test_a_reboot_names_what_dies_stops_it_first_and_ends_with_another_boot(
    app: QApplication, sparks: Simulator
) -> None:
    async def story(desktop: Desktop) -> None:
        page = await node_page(desktop, sparks)
        job = await launch(desktop.stack, page.model.node_id)
        before = boot_id(desktop, page)
        click(page.bar.reboot)
        dialog = await dialog_of(PlaybookDialog)
        assert any(job.title in words for words in dialog.model.proposal.dying)
        assert any("CX-7" in words for words in dialog.model.proposal.warnings)
        seen: set[NodeState] = set()
        watch = desktop.stack.inventory.nodes.subscribe(lambda nodes: seen.add(nodes[0].state))
        dialog = await confirm(password_of(sparks))
        watch.close()
        run = dialog.model.run()
        assert run is not None
        assert (run.result, run.message) == ("done", ""), run.output
        await node_in(desktop, 0, NodeState.LIVE)
        await until(lambda: boot_id(desktop, page) not in ("", before), "another boot")
        assert NodeState.REFUSED not in seen
        assert NodeState.UNREACHABLE not in seen, "an ordered absence is no fault"
        click(dialog.cancel)

    assert play(app, story, OPTIONS) == 0


def test_what_the_doctor_finds_is_mended_by_its_fix_and_found_mended(app: QApplication, sparks: Simulator) -> None:
    name = str(sparks.node(0)["name"])

    async def story(desktop: Desktop) -> None:
        page = await node_page(desktop, sparks)
        await asyncio.to_thread(sparks.control, "on", "docker-down", name)
        page.show_node(page.model.node_id, "doctor")
        button = page.doctor.empty.findChild(Button)
        assert button is not None
        click(button)
        await until(lambda: page.model.check_up().state == "done", "the end of the check-up")
        (ill,) = [one for one in page.model.check_up().findings if one.check_id == "docker-daemon"]
        assert ill.verdict is Verdict.FAIL
        await until(lambda: page.doctor.list.choose("docker-daemon"), "the check in the list")
        click(page.doctor.panel.action)
        dialog = await dialog_of(PlaybookDialog)
        assert "systemctl start docker" in dialog.text.toPlainText()
        dialog = await confirm(password_of(sparks))
        run = dialog.model.run()
        assert run is not None
        assert run.result == "done", run.output
        click(dialog.cancel)
        before_ms = page.model.check_up().t_ms
        click(page.doctor.again)
        await until(
            lambda: page.model.check_up().state == "done" and page.model.check_up().t_ms != before_ms, "a new check-up"
        )
        (well,) = [one for one in page.model.check_up().findings if one.check_id == "docker-daemon"]
        assert well.verdict is Verdict.PASS

    try:
        assert play(app, story, OPTIONS) == 0
    finally:
        sparks.control("off", "docker-down", name)


def test_a_wrong_password_changes_nothing_and_is_asked_for_once_more(app: QApplication, sparks: Simulator) -> None:
    async def story(desktop: Desktop) -> None:
        page = await node_page(desktop, sparks)
        before = boot_id(desktop, page)
        click(page.bar.reboot)
        dialog = await dialog_of(PlaybookDialog)
        click(dialog.confirm)
        await give_password("not the password")
        asked = await dialog_of(SudoDialog)
        await until(lambda: asked.field.error() == REFUSED, "the refusal's words")
        click(asked.cancel)
        await until(lambda: (run := dialog.model.run()) is not None and run.is_over, "the change's end")
        run = dialog.model.run()
        assert run is not None
        assert run.result != "done"
        assert run.remedy
        assert boot_id(desktop, page) == before
        click(dialog.cancel)

    assert play(app, story, OPTIONS) == 0
