"""The guided tour: the same window, driven as a person would, offscreen where there is no display.

It begins on the first-run page, starts the simulated cluster by its card, waits until the nodes are live, launches a
model server through the launch page, sees its speed measured, asks it a question in the chat page, checks the answer
against the server's own token counter, stops the server, and writes a picture of each screen. The one rule: every
stage either really happened or ends the tour with an error.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.folder import require_folders
from sparkdesk.app.loop import run_in_loop
from sparkdesk.app.window import OpenedWindow, WindowOptions, open_window, require_screen, wait_for_first_frame
from sparkdesk.core.chat.message import Message
from sparkdesk.core.chat.session import Turn, TurnState, request_messages
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.appraisal.judge import sentence
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.reading import GENERATED_TOKENS
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.services.wait import wait_for_value
from ui import theme
from ui.add_node.page import AddNodePage
from ui.cluster.view import ClusterPage
from ui.launch.model import LaunchModel

LIVE_TIMEOUT_S = 60.0
PLAN_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 180.0
ANSWER_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
SPEED_TIMEOUT_S = 180.0
LOOK_S = 0.2
SETTLE_S = 0.6
WORDS = ("lantern", "harbour", "violin", "meadow", "copper", "thunder", "walnut", "glacier", "saffron", "compass")
PAGE_OF = {"first-run": "cluster"}
WIDTH, HEIGHT = 1440, 900


class TourFailed(SparkDeskError):
    """A stage of the tour did not happen."""


@dataclass(frozen=True, slots=True)
class TourOptions:
    """Where the pictures go, and what is launched."""

    folder: Path
    model: str = "SmolLM2-135M-Instruct"
    """A model of the catalogue; its first engine serves it."""
    pace_s: float = 5.0
    """How long the charts may fill before their picture is taken."""
    hold_s: float = 0.0
    """How long the server runs before it is asked: for tests that kill it then."""


def run_tour(options: TourOptions, say: Callable[[str], None]) -> int:
    """Take the tour; `say` gets a line for each thing that happened. Gives the exit code: 0 only when all did."""
    require_screen()
    require_folders()
    window_options = WindowOptions(is_forgetful=True)
    opened = open_window(window_options)
    opened.window.resize(WIDTH, HEIGHT)
    wait_for_first_frame(opened.window)
    return run_in_loop(opened.app, lambda: _take(opened, window_options, options, say))


async def _take(opened: OpenedWindow, window: WindowOptions, options: TourOptions, say: Callable[[str], None]) -> int:
    desktop = Desktop(opened, window)
    async with asyncio.TaskGroup() as group:
        life = group.create_task(desktop.run())
        touring = group.create_task(_guide(Tour(desktop, options, say), say))
        await asyncio.wait({life, touring}, return_when=asyncio.FIRST_COMPLETED)
        if not touring.done():
            touring.cancel()
            say("FAILED: the window was closed before the end of the tour.")
            return 1
        opened.window.close()
        await life
        code = touring.result()
    if code == 0:
        say(f"Pictures are in {options.folder}")
    return code


async def _guide(tour: Tour, say: Callable[[str], None]) -> int:
    try:
        await tour.take()
    except SparkDeskError as error:
        say(f"FAILED: {error.sentence()}")
        if error.detail:
            say(error.detail[-2000:])
        tour.picture("failed")
        return 1
    return 0


def _is_settled(job: JobStatus) -> bool:
    return job.state is JobState.READY or job.state.is_over


class Tour:
    """One tour through one window."""

    def __init__(self, desktop: Desktop, options: TourOptions, say: Callable[[str], None]) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self._window = desktop.window
        self._options = options
        self._say = say
        self._number = 0
        self._begun_s = time.monotonic()

    async def take(self) -> None:
        """Every stage in order. Raises SparkDeskError."""
        self._options.folder.mkdir(parents=True, exist_ok=True)
        for old in self._options.folder.glob(f"{'[0-9]' * 2}-*.png"):
            old.unlink()  # else a picture of another tour would pass for one of this
        await self._begin()
        nodes = await self._see_nodes()
        job = await self._launch(nodes[0].record.id)
        await self._see_deployment(job)
        await self._see_speed(job)
        await self._chat(job)
        await self._see_again(job)
        await self._stop(job)

    @asynccontextmanager
    async def _within(self, timeout_s: float, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError:
            raise TourFailed(
                f"{what} did not happen within {timeout_s:g} s", remedy="Look at the picture and the log."
            ) from None

    def picture(self, name: str) -> None:
        """Write what the window shows now."""
        self._number += 1
        path = self._options.folder / f"{self._number:02}-{name}.png"
        focused = self._window.focusWidget()
        if focused is not None:
            focused.clearFocus()  # where a hidden page left it
        if not self._window.grab().save(str(path)):
            raise TourFailed(f"{path} could not be written", remedy="Check the folder and the free space.")

    async def _see(self, *names: str) -> None:
        """Pictures of these pages, in both themes."""
        choices: tuple[tuple[str, theme.ThemeChoice], ...] = (("", "dark"), ("-light", "light"))
        for suffix, choice in choices:
            theme.set_theme(choice)
            for name in names:
                self._window.show_page(PAGE_OF.get(name, name))
                await asyncio.sleep(SETTLE_S)
                self.picture(f"{name}{suffix}")
        theme.set_theme("dark")

    async def _begin(self) -> None:
        """The first-run page, and its third card."""
        async with self._within(LIVE_TIMEOUT_S, "The first-run page"):
            await wait_for_value(self._desktop.is_filled, lambda is_filled: is_filled, timeout_s=LIVE_TIMEOUT_S)
        await self._see("first-run")
        page = self._window.page("cluster")
        assert isinstance(page, AddNodePage)
        QTest.mouseClick(page.cards.simulate_button, Qt.MouseButton.LeftButton)

    async def _see_nodes(self) -> tuple[NodeStatus, ...]:
        inventory, telemetry = self._stack.inventory, self._stack.telemetry
        async with self._within(LIVE_TIMEOUT_S, "The start of the simulated cluster"):
            await wait_for_value(inventory.cluster, lambda cluster: cluster is not None, timeout_s=LIVE_TIMEOUT_S)
        begun_s = time.monotonic()
        async with self._within(LIVE_TIMEOUT_S, "A live line to every node"):
            nodes = await wait_for_value(
                inventory.nodes, lambda nodes: bool(nodes) and all(n.is_live for n in nodes), timeout_s=LIVE_TIMEOUT_S
            )
        live_s = time.monotonic() - begun_s
        async with self._within(LIVE_TIMEOUT_S, "A first sample of every node"):
            for node in nodes:
                feed = telemetry.latest(node.record.id)
                await wait_for_value(feed, lambda sample: sample is not None, timeout_s=LIVE_TIMEOUT_S)
        self._say(
            f"{len(nodes)} nodes live over SSH after {live_s:.2f} s, first samples {time.monotonic() - begun_s:.2f} s"
        )
        self._window.show_page("cluster")
        await asyncio.sleep(self._options.pace_s)
        self.picture("nodes")
        return nodes

    async def _launch(self, node_id: str) -> JobStatus:
        self._window.show_page("launch")
        page = self._desktop.pages.launch_page
        assert page is not None
        known = [spec.name for spec in page.model.feeds.catalogue]
        if self._options.model not in known:
            raise TourFailed(
                f"The catalogue has no model {self._options.model}", remedy=f"Choose one of: {', '.join(known)}."
            )
        page.model.pick(self._options.model)
        page.model.set_field("nodes", (node_id,))
        async with self._within(PLAN_TIMEOUT_S, "A plan without errors"):
            await _wait_for_plan(page.model)
        await asyncio.sleep(SETTLE_S)
        async with self._within(PLAN_TIMEOUT_S, "A plan without errors"):
            plan = await _wait_for_plan(page.model)  # made anew as nodes tell more: no waiting from here on
        ledger = plan.ledgers[0]
        name = self._stack.inventory.status(ledger.node_id).record.name
        free = "not known" if ledger.free_bytes is None else f"{ledger.free_bytes / 2**30:.1f} GiB left"
        self._say(f"Launch plan: {plan.title} on {name}: {ledger.fit}, {free}")
        for line in plan.commands[0].text.splitlines():
            self._say(f"    {line}")
        self.picture("plan")
        begun_s = time.monotonic()
        QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
        async with self._within(READY_TIMEOUT_S, "A ready model server"):
            job = await self._settled(plan.job_id)
        if job.state is not JobState.READY:
            raise TourFailed(job.message or f"The server is {job.state.words}", remedy=job.remedy or "Look at its log.")
        self._say(f"Model server ready after {time.monotonic() - begun_s:.2f} s: a first token was generated")
        return job

    async def _settled(self, job_id: str, is_right: Callable[[JobStatus], bool] = _is_settled) -> JobStatus:
        """The job, once it is as wanted."""

        def find(jobs: tuple[JobStatus, ...]) -> list[JobStatus]:
            return [job for job in jobs if job.job_id == job_id and is_right(job)]

        jobs = await wait_for_value(self._stack.launcher.jobs, lambda jobs: bool(find(jobs)), timeout_s=READY_TIMEOUT_S)
        return find(jobs)[0]

    async def _see_deployment(self, job: JobStatus) -> None:
        await asyncio.sleep(self._options.pace_s + self._options.hold_s)
        self._desktop.pages.show_job(job.job_id)
        await asyncio.sleep(SETTLE_S)
        self.picture("ready")

    async def _see_speed(self, job: JobStatus) -> None:
        """The check that every server gets: its tokens must not mix with those of the answer that is counted next."""
        appraisals = self._stack.assessment.appraisals
        async with self._within(SPEED_TIMEOUT_S, "A measured speed"):
            while appraisals.first_verdict(job.job_id) is None:
                now = self._stack.launcher.status(job.job_id)
                if now is None or now.state is not JobState.READY:
                    raise TourFailed("The server was lost while its speed was measured", remedy="Look at its log.")
                await asyncio.sleep(LOOK_S)
        verdict = appraisals.first_verdict(job.job_id)
        assert verdict is not None
        self._say(f"Speed of a fixed request: {sentence(verdict)}")
        await asyncio.sleep(SETTLE_S)
        self.picture("speed")

    async def _chat(self, job: JobStatus) -> None:
        word = random.choice(WORDS)  # another one each time: an answer that was stored or made up cannot be about it
        question = f"Write two short sentences about a {word}."
        before = await self._generated(job)
        self._desktop.pages.chat_with(job.job_id)
        page = self._desktop.pages.chat_page
        assert page is not None
        await asyncio.sleep(SETTLE_S)
        self._say(f"Question: {question}")
        QTest.keyClicks(page.composer.editor, question)
        QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)
        async with self._within(ANSWER_TIMEOUT_S, "An answer"):
            turn = await self._answer()
        await asyncio.sleep(SETTLE_S)
        self.picture("answer")
        if turn.state is not TurnState.DONE or not turn.text.strip() or turn.timing is None:
            raise TourFailed(turn.error or "The answer was cut off", remedy=turn.remedy or "Look at the server's log.")
        timing = turn.timing
        await self._require_asked(job, turn, question, word)
        self._say(f"Answer: {' '.join(turn.text.split())}")
        self._say(
            f"TTFT {timing.ttft_s * 1000:.0f} ms, {timing.tokens_per_s:.1f} tok/s, {timing.completion_tokens} tokens"
        )
        counted = await self._generated(job) - before
        if math.isnan(counted) or counted != timing.completion_tokens:
            raise TourFailed(
                f"The server counted {counted:g} tokens, the answer says {timing.completion_tokens}",
                remedy="One of the two is wrong: look at the server's /metrics.",
            )
        self._say(f"The server's own counter agrees: {counted:.0f} tokens generated")

    async def _require_asked(self, job: JobStatus, answer: Turn, question: str, word: str) -> None:
        """The answer stands below the question with the word, and the server read as many tokens as it has."""
        page = self._desktop.pages.chat_page
        assert page is not None
        asked = next((turn for turn in page.model.turns if turn.number == answer.parent), None)
        if asked is None or asked.text != question or word not in asked.text:
            raise TourFailed("The answer is not to the question", remedy="Look at the picture of the chat.")
        conversation = page.model.conversation
        assert conversation is not None
        wanted = await self._prompt_tokens(job, request_messages((asked,), conversation.settings.value.system_prompt))
        read = answer.usage.prompt_tokens if answer.usage is not None else None
        if read != wanted:
            raise TourFailed(
                f"The server read {read} tokens, the question with its template has {wanted}",
                remedy="It was asked something else: look at the server's log.",
            )
        self._say(f"The server was asked about the {word}: it read {read} tokens, as many as the question has")

    async def _prompt_tokens(self, job: JobStatus, messages: tuple[Message, ...]) -> int:
        """How many tokens the server's own template and tokenizer make of these messages."""
        said = [{"role": message.role.value, "content": message.text} for message in messages]
        async with self._stack.launcher.client(job.job_id) as client:
            _, prompt = await client.post("/apply-template", {"messages": said})
            text = str(json.loads(prompt).get("prompt", ""))
            _, tokens = await client.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return len(json.loads(tokens).get("tokens", ()))

    async def _answer(self) -> Turn:
        page = self._desktop.pages.chat_page
        assert page is not None
        conversation = page.model.conversation
        assert conversation is not None
        await wait_for_value(conversation.is_answering, lambda is_on: is_on, timeout_s=ANSWER_TIMEOUT_S)
        await wait_for_value(conversation.is_answering, lambda is_on: not is_on, timeout_s=ANSWER_TIMEOUT_S)
        return conversation.turns.value[-1]

    async def _generated(self, job: JobStatus) -> float:
        """The server's own counter of generated tokens, NaN when it does not tell."""
        endpoint, engine = job.endpoint, job.engine
        assert endpoint is not None
        async with self._stack.launcher.client(job.job_id) as client:
            status, body = await client.get(endpoint.metrics_path)
        if status != 200:
            raise TourFailed(f"The server's metrics page answered {status}", remedy="Look at the server's log.")
        readings = self._stack.backends[engine].readings(body.decode("utf-8", "replace"))
        return readings.get(GENERATED_TOKENS, math.nan)

    async def _see_again(self, job: JobStatus) -> None:
        """Every screen as the work has left it, the node that serves beside the map."""
        self._window.show_page("cluster")
        page = self._window.page("cluster")
        assert isinstance(page, ClusterPage)
        page.model.select("node", job.node_ids[0])
        await asyncio.sleep(self._options.pace_s)
        await self._see("cluster", "launch", "deployments", "chat", "settings")

    async def _stop(self, job: JobStatus) -> None:
        await self._stack.launcher.stop(job.job_id)
        async with self._within(STOP_TIMEOUT_S, "A verified stop"):
            stopped = await self._settled(job.job_id, is_right=lambda other: other.state.is_over)
        if stopped.state is not JobState.STOPPED or stopped.stop_error:
            raise TourFailed(stopped.stop_error or f"The server {stopped.state.words}", remedy="Look at its log.")
        self._say(f"Stopped and verified; the tour took {time.monotonic() - self._begun_s:.0f} s")


async def _wait_for_plan(model: LaunchModel) -> LaunchPlan:
    """The plan of the form, once it has one that may be launched."""
    found: asyncio.Future[LaunchPlan] = asyncio.get_running_loop().create_future()

    def look() -> None:
        plan = model.preview.plan
        if plan is not None and not model.blocker() and not found.done():
            found.set_result(plan)

    model.preview_changed.connect(look)
    try:
        model.recompute()
        return await found
    finally:
        model.preview_changed.disconnect(look)
