"""A person brings nodes up: what they press, type and read on its page, in the window of the whole application.

The one rule: what is done is done by clicks and keys; how a node stands is asked of the node itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.services.wait import wait_for_value
from tests.app.adding import click, cluster_page, password_of
from tests.app.desk import all_live, until
from tests.app.program import require
from tests.app.sparks import record_of
from tests.simulator.conftest import Simulator, running
from tests.simulator.test_bringup_network import ask
from ui.bringup.manifest_dialog import ManifestDialog
from ui.bringup.view import BringUpPage
from ui.playbook.question import SudoDialog

RUN_TIMEOUT_S = 300.0
SETTLE_S = 1.2
"""By then whatever the page asks for by itself is under way."""
LOOK = "ls -A /etc/netplan /run/netplan ~/.ssh 2>/dev/null; id -nG; getent group docker; stat -c %a ~; ip -o -4 addr"


@contextmanager
def boxes(home: Path, shape: str, *words: str) -> Iterator[Simulator]:
    """Nodes as they come out of their boxes, on real cables; skipped where there can be none."""
    with running(home, home / "sparks", "--shape", shape, "--fresh", *words) as simulator:
        require(simulator.line["packets"], f"no real cables here: {simulator.line['packets_reason']}")
        yield simulator


def lasting(simulator: Simulator) -> ClusterRecord:
    """The cluster as one that is opened again at the next start."""
    return replace(record_of(simulator), is_simulated=False)


async def nodes_now(simulator: Simulator) -> list[tuple[int | None, str]]:
    """What of files, groups and addresses the nodes themselves tell."""
    return [await ask(simulator, LOOK, index) for index in range(len(simulator.line["nodes"]))]


@dataclass
class BringingUp:
    """The page, the window that it is in, and the nodes. `clicks` counts what was pressed on the way."""

    desktop: Desktop
    simulator: Simulator
    clicks: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The titles of the questions for a password."""

    @property
    def page(self) -> BringUpPage:
        """The page itself."""
        page = self.desktop.window.page("bringup")
        assert isinstance(page, BringUpPage)
        return page

    @property
    def state(self) -> BringUpState:
        """How the bring-up stands."""
        return self.page.model.state

    def press(self, button: QWidget, what: str) -> None:
        """Click a button that can be seen."""
        click(button)
        self.clicks.append(what)

    async def go(self, key: str) -> None:
        """Press a button of the page's head, once it is there."""
        await until(lambda: key in self.page.buttons and self.page.buttons[key].isVisible(), f"the button {key}")
        self.press(self.page.buttons[key], self.page.buttons[key].text())

    async def reach(self, *phases: Phase, timeout_s: float = RUN_TIMEOUT_S) -> BringUpState:
        """Until it is in one of these phases; a failure or a question for a password on the way is told at once."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self.state.phase not in phases:
            now = self.state
            assert now.phase is not Phase.FAILED, (
                f"{now.message} | {now.remedy}\n{now.run.output[-2000:] if now.run else ''}"
            )
            assert not self.questions(), f"asked: {self.questions()[0].windowTitle()}"
            assert asyncio.get_running_loop().time() < deadline_s, f"never {phases}: {now.phase} {now.message}"
            await asyncio.sleep(0.05)
        return self.state

    async def stay(self, phase: Phase) -> BringUpState:
        """It is in this phase, and nothing begins by itself."""
        await self.reach(phase)
        await asyncio.sleep(SETTLE_S)
        assert self.state.phase is phase
        return self.state

    async def plan(self) -> BringUpState:
        """Until there is a plan of what is chosen."""
        await until(lambda: self.state.phase is Phase.PLANNED and self.page.model.is_fresh(), "the plan")
        return await self.stay(Phase.PLANNED)

    async def look_again(self) -> BringUpState:
        """Press "Check again" once every node is live, as a look is of those that are; wait for what is found."""
        model = self.page.model
        await until(lambda: len(model.live_nodes()) == len(model.feeds.nodes.value), "all nodes live")
        await self.go("look")
        await until(lambda: self.state.phase is Phase.READING, "the look begins")
        return await self.plan()

    async def until_steps(self, chapter: str, state: str) -> None:
        """Until a step of this chapter is in this state."""

        def is_there() -> bool:
            run = self.state.run
            steps = run.playbook.steps() if run is not None else ()
            return run is not None and any(step.phase == chapter and run.step(step.id).state == state for step in steps)

        await until(is_there, f"a step of {chapter} that is {state}", timeout_s=RUN_TIMEOUT_S)

    # The password ---------------------------------------------------------------------------------------------------

    def questions(self) -> list[SudoDialog]:
        """The questions for a password on the screen."""
        return [each for each in self.desktop.window.findChildren(SudoDialog) if each.isVisible()]

    async def question(self) -> SudoDialog:
        """The question for a password, once it is there."""
        await until(self.questions, "the question for a password", timeout_s=RUN_TIMEOUT_S)
        (dialog,) = self.questions()
        self.asked.append(dialog.windowTitle())
        return dialog

    async def give(self, word: str = "", *, is_same: bool = True) -> None:
        """Type the password and go on; it comes with the tick for the other nodes, which is taken away if wished."""
        dialog = await self.question()
        if dialog.same.isChecked() is not is_same:
            QTest.mouseClick(dialog.same, Qt.MouseButton.LeftButton, pos=dialog.same.rect().center() / 8)
        assert dialog.same.isChecked() is is_same
        QTest.keyClicks(dialog.input, word or password_of(self.simulator))
        self.press(dialog.give, dialog.give.text())
        await until(lambda: not dialog.isVisible(), "the question is gone")

    # The way back ---------------------------------------------------------------------------------------------------

    async def open_undo(self) -> ManifestDialog:
        """Press "Undo…"; gives the list of what was done."""
        await until(self.page.side.undo.isEnabled, "something to take back")
        self.press(self.page.side.undo, "Undo…")
        dialog = self.page.dialog
        assert isinstance(dialog, ManifestDialog)
        await until(dialog.isVisible, "the manifest")
        return dialog

    async def undo_all(self) -> BringUpState:
        """Take back everything; the password is asked for once."""
        dialog = await self.open_undo()
        self.press(dialog.all, dialog.all.text())
        await self.give()
        await self.reach(Phase.UNDONE)
        return await self.stay(Phase.UNDONE)


async def open_boxes(desktop: Desktop, simulator: Simulator, record: ClusterRecord | None = None) -> None:
    """Open the cluster of these nodes, and wait until all are live."""
    await until(lambda: desktop.is_filled.value, "the window")
    cluster = record or record_of(simulator)
    desktop.pages.add_all()
    desktop.window.show_page("cluster")
    await desktop.stack.inventory.open(cluster)
    await all_live(desktop, len(cluster.nodes))


async def from_the_map(desktop: Desktop, simulator: Simulator) -> BringingUp:
    """Press "Bring up" on the cluster's page."""
    page = await cluster_page(desktop)
    person = BringingUp(desktop, simulator)
    await until(lambda: page.bring_up.isVisible() and page.bring_up.isEnabled(), "the button on the cluster's page")
    person.press(page.bring_up, page.bring_up.text())
    await until(lambda: desktop.window.page_key() == "bringup", "the bring-up page")
    return person


async def page_by_itself(desktop: Desktop, simulator: Simulator) -> BringingUp:
    """The bring-up page, which a start shows where an earlier one was interrupted."""
    await wait_for_value(desktop.is_filled, bool, timeout_s=40)
    await until(lambda: desktop.window.page_key() == "bringup", "the bring-up page")
    await all_live(desktop, len(simulator.line["nodes"]))
    return BringingUp(desktop, simulator)
