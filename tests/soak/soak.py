"""Ten minutes of a working day in one: `make soak`. Fails when something grows that should not.

The whole application with its window, on four simulated Sparks behind real SSH that are asked four times a second: 600
samples a node, as many as come in ten minutes. Meanwhile pages and themes are switched, a model is launched, talked
to, stopped and removed, a node is lost and comes back, a cable fails and findings come and clear. The one rule: it is
counted only when the window shows the same as at the moment before: the map, four live nodes, no job, no finding of
ours. That the work really happened is checked too: a soak in which nothing happened proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QAbstractButton, QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.loop import run_in_loop
from sparkdesk.app.window import OpenedWindow, WindowOptions
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import Story, all_live, until
from tests.app.sparks import job_in, launch, record_of, running_sparks, switch_fault
from tests.servers.token_server import token_server
from tests.simulator.conftest import Simulator
from tests.soak.count import Count, judge, table, take_count
from ui import theme
from ui.cluster.view import ClusterPage
from ui.main_window import MainWindow, MemoryStore
from ui.shell.model import ShellModel
from ui.style import install_style
from ui.widgets.empty_state import EmptyState

NODES = 4
HZ = 4.0
SAMPLES = 600
"""Of each node: ten minutes at one a second."""
CYCLES = 8
LIMIT_S = 1800.0
WAIT_S = 120.0
PAGES = ("launch", "deployments", "chat", "settings", "add_node", "cluster")
LOOK_S = 0.12
"""How long a page is looked at."""
LOST, FAULTY = 1, 2
"""The node that goes and comes back, and the one whose cable fails."""
TOKENS = 300
TOKENS_PER_S = 200.0
TEXT = Path(__file__).resolve().parents[1] / "data" / "chat" / "sample.md"
GROWN = 50
"""How many of each a planted leak leaves behind in a cycle."""


class Soak:
    """One run: `counts` are the quiet moments, `deeds` what was done how often."""

    def __init__(self, sparks: Simulator, steady: ChatEndpoint, cycles: int, leak: str) -> None:
        self._sparks, self._steady, self._cycles = sparks, steady, cycles
        self._leak = leak
        self._kept: list[object] = []
        self.counts: list[Count] = []
        self.deeds = {"pages": 0, "jobs": 0, "answers": 0, "losses": 0, "findings": 0}
        self.samples: list[int] = []
        self.took_s = 0.0

    async def story(self, desktop: Desktop) -> None:
        """Everything, to the last count."""
        await wait_for_value(desktop.is_filled, bool, timeout_s=WAIT_S)
        desktop.pages.add_all()
        desktop.window.show_page("cluster")
        stack = desktop.stack
        await stack.inventory.open(record_of(self._sparks))
        await all_live(desktop, NODES)
        stack.sample_hz = HZ
        stack.telemetry.set_rate(HZ)
        nodes = [status.record for status in stack.inventory.nodes.value]
        self.samples = [0] * NODES
        for at, record in enumerate(nodes):
            stack.telemetry.latest(record.id).subscribe(lambda _sample, at=at: self._note_sample(at))
        begun_s = time.monotonic()
        for cycle in range(self._cycles):
            if cycle % 2:
                await self._fail(desktop, cycle)
            else:
                await self._work(desktop, cycle, nodes[0].id)
            due_s = begun_s + (cycle + 1) * SAMPLES / HZ / CYCLES
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._rest(desktop)
            self._plant()
            self.counts.append(take_count())
        self.took_s = time.monotonic() - begun_s

    def _note_sample(self, at: int) -> None:
        self.samples[at] += 1

    async def _walk(self, desktop: Desktop, cycle: int) -> None:
        """Every page, in one theme or the other, and every node and cable of the map."""
        for at, key in enumerate(PAGES):
            theme.set_theme("light" if (at + cycle // 2) % 2 else "dark")
            desktop.window.show_page(key)
            self.deeds["pages"] += 1
            await asyncio.sleep(LOOK_S)
        page = desktop.window.page("cluster")
        assert isinstance(page, ClusterPage)
        ways = page.ways.findChildren(QAbstractButton)
        for way in (*ways, ways[0]):
            way.click()
            await asyncio.sleep(LOOK_S)
        for card in page.model.scene.cards:
            page.model.select("node", card.node_id)
            await asyncio.sleep(LOOK_S / 2)
        for cable in page.model.scene.cables:
            page.model.select("cable", cable.key)
            await asyncio.sleep(LOOK_S / 2)
        desktop.pages.node_pages.show_node(page.model.scene.cards[cycle % NODES].node_id)
        await asyncio.sleep(LOOK_S)
        desktop.window.show_page("cluster")
        page.model.select("node", page.model.scene.cards[0].node_id)

    async def _work(self, desktop: Desktop, cycle: int, node_id: str) -> None:
        """Launch, talk, stop, remove: nothing is left of it."""
        stack = desktop.stack
        job = await launch(stack, node_id)
        self.deeds["jobs"] += 1
        await self._walk(desktop, cycle)
        desktop.pages.show_job(job.job_id)
        await asyncio.sleep(LOOK_S)
        desktop.pages.chat_with(job.job_id)
        await self._talk(desktop, None)
        await stack.launcher.stop(job.job_id)
        await job_in(stack, job.job_id, JobState.STOPPED, timeout_s=WAIT_S)
        await stack.launcher.remove(job.job_id)
        await self._talk(desktop, self._steady)

    async def _talk(self, desktop: Desktop, target: ChatEndpoint | None) -> None:
        """Ask the model that runs, to its end, or one that writes for ever until it has said enough; then forget it."""
        page = desktop.pages.chat_page
        assert page is not None
        page.model.start_new()
        conversation = page.model.conversation
        assert conversation is not None
        if target is not None:
            conversation.use(target)
        await until(lambda: page.model.target is not None, "a model to talk to", timeout_s=WAIT_S)
        page.model.ask("Tell me all of it.")
        await until(lambda: _has_said_enough(conversation), "an answer", timeout_s=WAIT_S)
        page.model.stop()
        await wait_for_value(conversation.is_answering, lambda is_on: not is_on, timeout_s=WAIT_S)
        self.deeds["answers"] += 1
        page.model.start_new()
        await desktop.stack.chat.conversations.remove(conversation.id)

    async def _fail(self, desktop: Desktop, cycle: int) -> None:
        """A cable fails on one node, another node goes, and both are well again."""
        stack, names = desktop.stack, [node["name"] for node in self._sparks.line["nodes"]]
        lost = stack.inventory.nodes.value[LOST].record.id
        await switch_fault(self._sparks, "on", "link-down", names[FAULTY])
        await switch_fault(self._sparks, "on", "node-gone", names[LOST])
        await self._walk(desktop, cycle)
        await wait_for_value(
            stack.inventory.nodes,
            lambda nodes: any(node.record.id == lost and not node.is_live for node in nodes),
            timeout_s=WAIT_S,
        )
        self.deeds["losses"] += 1
        sick = stack.inventory.nodes.value[FAULTY].record.id
        await wait_for_value(stack.findings.findings, lambda found: _is_sick(found, sick), timeout_s=WAIT_S)
        self.deeds["findings"] += 1
        await asyncio.sleep(LOOK_S)
        await switch_fault(self._sparks, "off", "node-gone", names[LOST])
        await switch_fault(self._sparks, "off", "link-down", names[FAULTY])
        stack.inventory.reconnect(lost)
        await wait_for_value(stack.findings.findings, lambda found: not _is_sick(found, sick), timeout_s=WAIT_S)

    async def _rest(self, desktop: Desktop) -> None:
        """The state in which it is counted."""
        stack = desktop.stack
        theme.set_theme("dark")
        desktop.window.show_page("cluster")
        desktop.window.banner().clear()
        await all_live(desktop, NODES)
        stack.telemetry.set_rate(HZ)
        await wait_for_value(stack.launcher.jobs, lambda jobs: not jobs, timeout_s=WAIT_S)
        await wait_for_value(
            stack.inventory.nodes, lambda nodes: all(n.state is NodeState.LIVE for n in nodes), timeout_s=WAIT_S
        )
        await asyncio.sleep(0.5)

    def _plant(self) -> None:
        """Leak on purpose, to show that it is seen."""
        if self._leak == "widget":
            app = QApplication.instance()
            for _ in range(GROWN):
                QTimer(app)
        elif self._leak == "none":
            self._kept.append([None] * 4000)
        elif self._leak == "descriptor":
            self._kept.append(open(os.devnull, "rb"))  # noqa: SIM115
        elif self._leak == "task":
            self._kept.append(asyncio.ensure_future(asyncio.sleep(LIMIT_S)))
        elif self._leak == "memory":
            self._kept.append(bytearray(os.urandom(1 << 20) * 2))

    def missing(self) -> list[str]:
        """What did not happen as often as it should, in words."""
        half = self._cycles // 2
        want = {"pages": 2 * half * len(PAGES), "jobs": half, "answers": 2 * half, "losses": half, "findings": half}
        found = [f"{name}: {self.deeds[name]} of {least}" for name, least in want.items() if self.deeds[name] < least]
        due = SAMPLES * self._cycles // CYCLES
        few = [count for at, count in enumerate(self.samples) if at != LOST and count < 0.9 * due]
        return found + [f"a node sent {count} samples of {due}" for count in few]


def _has_said_enough(conversation: Conversation) -> bool:
    """Many tokens, or all that it had to say."""
    timing, turns = conversation.live_timing(), conversation.turns.value
    if timing is None:
        return len(turns) > 1 and turns[-1].state is TurnState.DONE and bool(turns[-1].text)
    return (timing.completion_tokens or 0) >= TOKENS


def steady_endpoint(port: int) -> ChatEndpoint:
    """A model that writes the sample text for ever."""
    endpoint = Endpoint("steady", "127.0.0.1", port, "steady", context_tokens=1 << 20)

    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = OpenAiClients().open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()

    return ChatEndpoint("steady", endpoint, source, "steady")


def _is_sick(found: tuple[Concern, ...], node_id: str) -> bool:
    return any(concern.id.startswith(f"link/{node_id}/") for concern in found)


async def live(opened: OpenedWindow, story: Story) -> int:
    """The application's life around a story."""
    desktop = Desktop(opened, WindowOptions(is_forgetful=True))
    async with asyncio.TaskGroup() as group:
        life = group.create_task(desktop.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                await story(desktop)
        finally:
            opened.window.close()
            await asyncio.wait({life}, timeout=30)
    return 0


def run(cycles: int, leak: str) -> Soak:
    """The whole soak. Raises what its story raises."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.environ.update(HOME=name, SPARKDESK_HOME=str(home / "sparkdesk"))
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.pop("SSH_AUTH_SOCK", None)
        app = QApplication([])
        app.setQuitOnLastWindowClosed(False)
        install_style(app, "dark")
        with running_sparks(home, NODES) as sparks, token_server(TOKENS_PER_S, TEXT) as port:
            soak = Soak(sparks, steady_endpoint(port), cycles, leak)
            store = MemoryStore()
            window = MainWindow(ShellModel(), store)
            window.resize(1440, 900)
            window.add_page("cluster", "Cluster", "network", lambda: EmptyState("server", "Starting", ""))
            window.show_page("cluster")
            window.show()
            run_in_loop(app, lambda: live(OpenedWindow(app, window, store), soak.story))
    return soak


def main() -> int:
    """0 when nothing grew, 1 when something did, or did not happen."""
    parser = argparse.ArgumentParser(description="Ten minutes of work in one; fails when something grows.")
    parser.add_argument("--leak", choices=("widget", "none", "descriptor", "task", "memory"), default="")
    parser.add_argument("--cycles", type=int, default=CYCLES, help=f"fewer than {CYCLES} are a look, not a soak")
    parser.add_argument("--output", type=Path, default=Path("build/soak.json"))
    options = parser.parse_args()
    soak = run(options.cycles, options.leak)
    print(table(soak.counts))
    print(f"{soak.took_s:.0f} s, samples of each node {soak.samples}, {soak.deeds}")
    grown, missing = judge(soak.counts), soak.missing()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"grown": grown, "missing": missing, "deeds": soak.deeds}) + "\n", "utf-8")
    for words in (*grown, *missing):
        print(f"FAILED: {words}", file=sys.stderr)
    return 1 if grown or missing else 0


if __name__ == "__main__":
    sys.exit(main())
