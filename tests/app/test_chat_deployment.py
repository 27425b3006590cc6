"""The chat with a deployment of ours in the whole window: an answer with all its figures, what of the window is full,
a failure explained by a model, and a longer context where a conversation does not fit.

One simulated Spark with a real llama.cpp; one window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.chat.message import FilePart
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.command import Command
from sparkdesk.core.jobs.evidence import CAUTION
from sparkdesk.core.jobs.record import JobState, JobStatus
from tests.app.adding import click, words_on
from tests.app.chat_window import ask, connected, open_chat
from tests.app.desk import all_live, play, until
from tests.app.picture import take_pictures
from tests.app.sparks import job_in, launch, plan_of, record_of, running_sparks
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.simulator.conftest import Simulator
from tests.ui.picture import SHOTS
from ui import theme
from ui.chat.turn.figure_row import StatsLine
from ui.chat.turn.problem_row import Problem
from ui.chat.view import ChatPage
from ui.jobs.explain_dialog import NO_MODEL, ExplainDialog

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support")
TOKEN = "hf_abcdefghijklmnop"
LONG = "heron " * 6000


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_sparks(tmp_path_factory.mktemp("talk"), 1) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def endless() -> Iterator[LlamaServer]:
    """One with room for a failure's evidence: of the small model's alphabet each letter is nearly a token."""
    with llama_server(context_tokens=16384, is_endless=True) as server:
        yield server


async def run_on(desktop: Desktop, node_id: str, script: str) -> None:
    """A command on the node, to its end."""
    async with desktop.stack.inventory.shell(node_id).open(Command(("sh", "-c", script))) as process:
        async for _ in process.chunks():
            pass


async def fail(desktop: Desktop, node_id: str, name: str) -> JobStatus:
    """A launch whose weights end too early, with what must not leave the desk in its command."""
    # With a stop between: the token would take the name with it.
    file = f"/home/nvidia/models/{name}.{TOKEN}.gguf"
    await run_on(desktop, node_id, f"cp ~/models/tinytool.gguf {file}")
    await desktop.stack.launcher.survey(node_id)
    plan = await plan_of(desktop.stack, node_id)
    broken = plan.request.model_copy(update={"weights_path": file, "port": 8090})
    broken_plan = desktop.stack.launcher.plan(broken)
    await run_on(desktop, node_id, f"truncate -s 300000 {file}")
    return await job_in(desktop.stack, await desktop.stack.launcher.launch(broken_plan), JobState.FAILED)


async def open_explain(desktop: Desktop, job_id: str) -> ExplainDialog:
    desktop.pages.show_job(job_id)
    page = desktop.pages.deployments_page
    assert page is not None
    banner = page.detail.banner
    await until(lambda: banner.isVisible() and "Explain this failure" in banner._second.text(), "the way to explain")
    click(banner._second)
    await until(lambda: isinstance(page.dialog, ExplainDialog), "the question")
    assert isinstance(page.dialog, ExplainDialog)
    return page.dialog


def answer_figures(page: ChatPage) -> str:
    """All figures of the last answer, opened by their arrow."""
    line = [each for each in page.transcript.column.widgets() if isinstance(each, StatsLine)][-1]
    click(line.buttons["details"])
    assert line.details is not None
    return words_on(line.details)


async def see_figures(desktop: Desktop, page: ChatPage, name: str) -> None:
    answer = await ask(page, "What is the weather in Paris?")
    assert answer.state is TurnState.DONE
    said = answer_figures(page)
    for words in ("First token (TTFT)", "Prefill", "Time per token (TPOT)", "Prompt", "Energy", f"on {name}"):
        assert words in said, words
    context = page.settings.context
    target = page.model.target
    assert target is not None
    await until(lambda: page.model.context_use().limit is not None, "the server's own limit")
    use = page.model.context_use()
    assert use.pool is not None
    assert use.pool.slots is not None
    assert use.used is not None
    assert context.rows.isVisible()
    # Its size is told by the server's metrics, which are asked now and then.
    await until(lambda: "Server KV pool" in context.words.text(), "the server's cache")
    clock = desktop.stack.clock
    await until(lambda: target.energy_j(clock.monotonic_s() - 3) > 0, "what its node drew")
    await take_pictures(desktop, "chat-figures")


def test_a_deployment_is_talked_to_its_failure_explained_and_its_context_raised(
    app: QApplication, spark: Simulator, endless: LlamaServer
) -> None:
    name = str(spark.node(0)["name"])

    async def story(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        await desktop.stack.inventory.open(record_of(spark))
        (node,) = await all_live(desktop, 1)
        failed = await fail(desktop, node.record.id, name)
        dialog = await open_explain(desktop, failed.job_id)
        assert not dialog.ask.isEnabled()
        assert NO_MODEL in words_on(dialog)
        click(dialog.cancel)
        job = await launch(desktop.stack, node.record.id)
        desktop.pages.chat_with(job.job_id)
        await until(lambda: page.model.target is not None, "the deployment in the chat")
        await see_figures(desktop, page, name)
        await connected(page, endless)
        await explain(desktop, page, failed, spark, endless.port)
        desktop.pages.chat_with(job.job_id)
        await raise_context(desktop, page, job)
        await desktop.stack.launcher.stop(job.job_id)

    assert play(app, story) == 0


async def explain(desktop: Desktop, page: ChatPage, failed: JobStatus, spark: Simulator, port: int) -> None:
    """What is sent is seen first and names nobody; what comes back is called an opinion."""
    dialog = await open_explain(desktop, failed.job_id)
    shown = dialog.text.text()
    for choice in ("light", "dark"):
        theme.set_theme("light" if choice == "light" else "dark")
        await asyncio.sleep(0.1)
        assert dialog.grab().save(str(SHOTS / f"app-chat-explain-{choice}.png"))
    record = spark.node(0)
    for secret in (TOKEN, str(record["name"]), str(record["address"]), "/home/nvidia", "nvidia@"):
        assert secret not in shown, f"{secret} would be sent"
    assert "(name).(token)" in shown, "by the node's own name, whatever its form"
    assert "tensor" in shown, "the line that tells why"
    dialog.models.set_key(next(each.id for each in page.model.endpoints if each.endpoint.port == port))
    click(dialog.ask)
    await until(lambda: page.isVisible() and page.model.turns, "the question")
    assert page.model.turns[0].text == f"Why did {failed.title} fail?", "the task is the system prompt"
    sent = next(part for part in page.model.turns[0].message.parts if isinstance(part, FilePart))
    assert sent.text.strip() == shown.strip(), "nothing else than what was shown"
    await until(lambda: CAUTION in words_on(page.transcript), "what the answer will be")
    await until(lambda: len(page.model.tail) > 20, "some words of the answer")
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Escape)
    await until(lambda: len(page.model.turns) > 1 and not page.model.is_answering, "the answer")
    await until(lambda: CAUTION in words_on(page.transcript), "what the answer is")
    await take_pictures(desktop, "chat-explained")


async def raise_context(desktop: Desktop, page: ChatPage, job: JobStatus) -> None:
    """A conversation that does not fit leads to the launch form, with what it needs."""
    click(page.sessions.new)
    page.composer.model.set_text("")
    page.composer.editor.setPlainText(LONG)
    QTest.keyClick(page.composer.editor, Qt.Key.Key_Return)
    await until(lambda: len(page.model.turns) > 1 and not page.model.is_answering, "the refusal")
    await until(lambda: any(isinstance(each, Problem) for each in page.transcript.column.widgets()), "what is wrong")
    (problem,) = [each for each in page.transcript.column.widgets() if isinstance(each, Problem)]
    assert "4,096" in problem.words()
    await take_pictures(desktop, "chat-overflow")
    click(problem.buttons["raise"])
    form = desktop.pages.launch_page
    assert form is not None
    await until(form.isVisible, "the launch form")
    plan = desktop.stack.launcher.plan_of(job.job_id)
    assert plan is not None
    least = plan.request.context_tokens
    await until(lambda: int(form.model.form.context_tokens.replace(",", "")) > least, "the longer context")
    await take_pictures(desktop, "chat-raise")
