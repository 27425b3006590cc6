"""The whole application in the test's process: its window, its loop, and a person's clicks.

The one rule: nothing of it is replaced. What a test does, it does through widgets; what it waits for, feeds tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.app.loop import run_in_loop
from sparkdesk.app.window import OpenedWindow, WindowOptions
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.infra.preference import PreferenceFile
from sparkdesk.services.wait import wait_for_value
from ui.add_node.page import AddNodePage
from ui.main_window import MainWindow, MemoryStore
from ui.shell.model import ShellModel
from ui.widgets.empty_state import EmptyState

Story = Callable[[Desktop], Coroutine[Any, Any, None]]
STORY_TIMEOUT_S = 180.0
BEAT_MS = 10


class Beat:
    """How much this thread computes between two turns of the loop: what a person feels as a stutter, without what
    other programs of a busy computer add to it."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._before_s = time.thread_time()
        self._timer = QTimer()
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now_s = time.thread_time()
        self.longest_s = max(self.longest_s, now_s - self._before_s)
        self._before_s = now_s

    def restart(self) -> None:
        """Forget what was measured."""
        self.longest_s = 0.0
        self._before_s = time.thread_time()


def play(
    app: QApplication, story: Story, options: WindowOptions | None = None, *, limit_s: float = STORY_TIMEOUT_S
) -> int:
    """Open the application, let `story` happen in it, close it by its window; gives its exit code."""
    options = options or WindowOptions()
    store = MemoryStore() if options.is_forgetful else PreferenceFile(paths.state_dir() / "window.json", is_held=True)
    window = MainWindow(ShellModel(), store)
    window.add_page("cluster", "Cluster", "network", lambda: EmptyState("server", "Starting", ""))
    window.show_page("cluster")
    window.show()
    opened = OpenedWindow(app, window, store)
    try:
        return run_in_loop(app, lambda: _live(opened, options, story, limit_s))
    finally:
        window.deleteLater()


async def _live(opened: OpenedWindow, options: WindowOptions, story: Story, limit_s: float) -> int:
    desktop = Desktop(opened, options)
    async with asyncio.TaskGroup() as group:
        life = group.create_task(desktop.run())
        try:
            async with asyncio.timeout(limit_s):
                await story(desktop)
        finally:
            opened.window.close()
            async with asyncio.timeout(30):
                await asyncio.wait({life})
    assert desktop.stack.tasks.names == ()
    return life.result()


async def until(is_right: Callable[[], object], what: str, *, timeout_s: float = 60.0) -> None:
    """Wait for something that only the screen shows."""
    try:
        async with asyncio.timeout(timeout_s):
            while not is_right():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


async def node_in(desktop: Desktop, index: int, *states: NodeState, timeout_s: float = 90.0) -> NodeStatus:
    """A node, once it is in one of these states."""
    try:
        nodes = await wait_for_value(
            desktop.stack.inventory.nodes,
            lambda nodes: len(nodes) > index and nodes[index].state in states,
            timeout_s=timeout_s,
        )
    except TimeoutError:
        now = desktop.stack.inventory.nodes.value
        raise AssertionError(f"never {states}: {now}") from None
    return nodes[index]


async def all_live(desktop: Desktop, count: int) -> tuple[NodeStatus, ...]:
    """The nodes, once so many are live."""
    return await wait_for_value(
        desktop.stack.inventory.nodes,
        lambda nodes: len(nodes) == count and all(node.is_live for node in nodes),
        timeout_s=40,
    )


async def first_run_page(desktop: Desktop) -> AddNodePage:
    """The page that a new user sees; its `cards` are the three ways to begin."""
    await until(lambda: isinstance(desktop.window.page("cluster"), AddNodePage), "the first-run page")
    page = desktop.window.page("cluster")
    assert isinstance(page, AddNodePage)
    return page


def type_into(field: QWidget, text: str) -> None:
    """Replace what a field holds by typing."""
    field.selectAll()  # type: ignore[attr-defined]
    QTest.keyClicks(field, text)
