"""The meter: figures of a real server, and none that nobody told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.chat.context import PoolUse
from sparkdesk.core.chat.message import Sampling
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.context.meter import ContextMeter
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from tests.servers.llamacpp import llama_server
from tests.servers.raw_http import raw_server, stream
from tests.services.chat.context.window_desk import target


@pytest.fixture
async def conversation(tmp_path: Path) -> AsyncIterator[Conversation]:
    store, tasks = SqliteStore(tmp_path), Tasks()
    await store.open()
    conversation = Conversations(tasks=tasks, store=store, clock=SystemClock()).new(None)
    conversation.fitter = WindowFitter(store)
    yield conversation
    await tasks.close()
    await store.close()


async def test_the_meter_tells_the_servers_own_figures(conversation: Conversation) -> None:
    assert isinstance(conversation.fitter, WindowFitter)
    meter = ContextMeter(conversation.fitter)
    assert meter.use(conversation).used is None
    with llama_server(context_tokens=2048, slots=2) as llama:
        pool = PoolUse(used_fraction=0.25, capacity_tokens=2048)
        at = replace(target(llama.port, engine=""), pool=lambda: pool)
        conversation.use(at)
        assert meter.use(conversation).limit is None, "nobody told it yet"
        await meter.learn(at)
        assert meter.use(conversation).limit == 1024, "of one slot"
        assert meter.use(conversation).own_share is None, "nothing was asked yet"
        await conversation.change_settings(system_prompt="Be brief.", sampling=Sampling(max_tokens=8))
        await conversation.ask("Hello there")
        async with asyncio.timeout(20):
            while meter.use(conversation).used is None:
                await asyncio.sleep(0)
            assert meter.use(conversation).is_about, "estimated while the first answer is written"
            await conversation.finished()
        assert not meter.use(conversation).is_about
        use = meter.use(conversation)
        assert await meter.count(conversation, "hello") == TokenCount(5, True)
    assert use.prompt == len("system\nBe brief.\nuser\nHello there\nassistant\n") + 5
    assert use.answer is not None
    assert use.parts.total == use.prompt
    assert use.pool == PoolUse(0.25, 2048, slots=2)
    assert use.own_share == (use.prompt + use.answer) / 2048
    assert (await meter.count(conversation, "hello")).is_counted, "it was counted before"
    assert not (await meter.count(conversation, "hello again")).is_counted


async def test_a_question_of_this_chat_that_waits_is_not_told_as_somebody_elses(conversation: Conversation) -> None:
    assert isinstance(conversation.fitter, WindowFitter)
    meter = ContextMeter(conversation.fitter)
    pools = [PoolUse(running=0, waiting=1)]

    def waiting() -> int | None:
        told = meter.use(conversation).pool
        return told.waiting if told is not None else None

    async with raw_server(stream(is_held=True)) as server:
        conversation.use(replace(target(server.port, engine=""), pool=lambda: pools[-1]))
        assert waiting() == 1, "nothing was asked here"
        await conversation.ask("Hello there")
        assert waiting() == 0
        conversation.stop()
        await asyncio.wait_for(conversation.finished(), 20)
        assert waiting() == 0, "told while it was answered"
        pools.append(PoolUse(running=1, waiting=2))
        assert waiting() == 2
