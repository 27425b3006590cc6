"""The program ends, hard, before an answer begins: what was asked can be answered after the restart, in its place.

The one rule: what lies on the disk at one moment is what a killed program leaves; it is copied and opened again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.chat.context import WindowPolicy
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.store.session_json import turn_from_json
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import ANSWER_AGAIN, CUT_BY_EXIT
from tests.servers.raw_http import answer, raw_server, stream
from tests.services.chat.chat_desk import Desk, chat_desk, done, end, target, words

LONG = "very " * 200


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with chat_desk(tmp_path / "desk") as desk:
        yield desk


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.01)


async def is_kept(desk: Desk, conversation: Conversation, turns: int) -> bool:
    return len(await desk.store.messages(conversation.id)) == turns


async def after_kill(desk: Desk, conversation: Conversation) -> tuple[Turn, ...]:
    """What a new start shows, and that it answers in the same place."""
    folder = desk.folder.with_name("after")
    shutil.copytree(desk.folder, folder)
    async with chat_desk(folder) as again:
        await again.chats.load()
        found = await again.chats.open(conversation.id)
        shown = found.turns.value
        async with raw_server(stream(words("Now"), end())) as server:
            found.use(target(server.port))
            found.fitter = WindowFitter(again.store)
            await found.change_settings(window=WindowPolicy.WHOLE)
            await found.regenerate()
            await done(found)
        assert [turn.number for turn in found.turns.value] == [turn.number for turn in shown]
        assert found.turns.value[-1].text == "Now"
        assert found.turns.value[-1].error == ""
        assert turn_from_json((await again.store.messages(found.id))[-1]).state is TurnState.DONE
    return shown


async def test_a_kill_between_question_and_first_word_leaves_an_answer_that_can_be_had_again(desk: Desk) -> None:
    async with raw_server(stream(is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("hello")
        await asyncio.wait_for(server.asked.wait(), 5)
        await eventually(lambda: is_kept(desk, conversation, 2))
        question, open_answer = await after_kill(desk, conversation)
        conversation.stop()
        await done(conversation)
    assert question.text == "hello"
    assert (open_answer.state, open_answer.error) == (TurnState.CUT_OFF, CUT_BY_EXIT)
    assert open_answer.remedy == ANSWER_AGAIN, "there is nothing to go on with"


async def test_a_kill_while_a_summary_is_made_leaves_an_answer_that_can_be_had_again(desk: Desk) -> None:
    async with raw_server(stream(words("said"), end())) as server:
        conversation = desk.chats.new(target(server.port))
        for at in range(4):
            await conversation.ask(f"{at} {LONG}")
            await done(conversation)

    async def hang(writer: asyncio.StreamWriter) -> None:
        """No page but that of answers, which never come."""
        is_chat = server.requests[-1].split()[1].endswith(b"/chat/completions")
        await (asyncio.sleep(60) if is_chat else answer("404 No", "", b"")(writer))

    async with raw_server(hang) as server:
        held = target(server.port)
        conversation.use(replace(held, endpoint=replace(held.endpoint, context_tokens=1024)))
        conversation.fitter = WindowFitter(desk.store)
        await conversation.change_settings(window=WindowPolicy.SUMMARISE, sampling=Sampling(max_tokens=16))
        await conversation.ask(f"last {LONG}")
        await eventually(lambda: _is_summing(conversation))
        await eventually(lambda: is_kept(desk, conversation, 10))
        shown = await after_kill(desk, conversation)
        conversation.stop()
        await done(conversation)
    assert shown[-2].text.startswith("last")
    assert (shown[-1].state, shown[-1].error) == (TurnState.CUT_OFF, CUT_BY_EXIT)


async def _is_summing(conversation: Conversation) -> bool:
    return "sums up" in conversation.activity.value
