"""Conversations: kept as they are written, stopped at the server, and never losing what was shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.chat.event import ChatEvent, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Role, Sampling
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.chat.store.session_json import turn_from_json
from sparkdesk.core.chat.stream.openai_event import RETRY
from sparkdesk.core.errors import EndpointError, Unreachable
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.answering.run import NOTHING_SAID
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint, ClientSource
from sparkdesk.services.clock import SystemClock
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import answer, raw_server, stream
from tests.services.chat.chat_desk import Desk, chat_desk, done

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


@pytest.fixture(scope="module")
def endless() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=32_768, is_endless=True) as server:
        yield server


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with chat_desk(tmp_path) as desk:
        yield desk


def source_of(endpoint: Endpoint, clients: OpenAiClients | None = None) -> ClientSource:
    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = (clients or OpenAiClients()).open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()

    return source


def target(port: int, *, clients: OpenAiClients | None = None, note: str = "") -> ChatEndpoint:
    endpoint = Endpoint("n1", "127.0.0.1", port, "tiny", engine="llamacpp", context_tokens=4096, note=note)
    return ChatEndpoint("job1", endpoint, source_of(endpoint, clients), "spark-a", "", Sampling(temperature=0.0))


async def first_text(conversation: Conversation) -> None:
    """Wait until some of the answer has come."""
    has_come = asyncio.Event()
    reader = conversation.events.read(has_come.set)
    try:
        while True:
            await asyncio.wait_for(has_come.wait(), 20)
            has_come.clear()
            if any(isinstance(event, TextDelta) for event in reader.drain()):
                return
    finally:
        reader.close()


async def test_a_question_is_answered_by_a_real_model_and_outlives_a_restart(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port, note="real llama.cpp"))
    await conversation.ask("What is SparkDesk?")
    await done(conversation)
    question, turn = conversation.turns.value
    assert question.text == "What is SparkDesk?"
    assert turn.text == "SparkDesk is a control center for DGX Spark clusters."
    assert turn.state is TurnState.DONE
    assert turn.note.startswith("real llama.cpp; ")
    assert turn.note.endswith("tiny was asked for"), "a server of one model takes any name"
    assert turn.timing is not None
    assert turn.timing.is_counted_by_server
    assert turn.timing.ttft_s > 0
    assert turn.timing.completion_tokens == len(turn.text) + 1
    await desk.restart()
    (summary,) = desk.chats.sessions.value
    assert (summary.title, summary.label) == ("What is SparkDesk?", "tiny on spark-a")
    again = await desk.chats.open(summary.id)
    assert [replace(kept, timing=None) for kept in again.turns.value] == [
        replace(shown, timing=None) for shown in conversation.turns.value
    ]


async def test_the_second_question_is_sent_with_what_was_said_before() -> None:
    async with raw_server(stream(HELLO, STOP)) as server:
        desk = Desk(Path("unused"))
        desk.store = SqliteStore(None)
        await desk.store.open()
        desk.chats = Conversations(tasks=desk.tasks, store=desk.store, clock=SystemClock())
        conversation = desk.chats.new(replace(target(server.port), system_prompt="Be kind."))
        for text in ("one", "two"):
            await conversation.ask(text)
            await done(conversation)
        await desk.tasks.close()
        await desk.store.close()
    body = server.requests[1].decode()
    for part in ('"system","content":"Be kind."', '"user","content":"one"', '"assistant","content":"Hello"', '"two"'):
        assert part in body


async def test_stop_keeps_the_text_and_the_real_server_is_idle_soon(desk: Desk, endless: LlamaServer) -> None:
    conversation = desk.chats.new(target(endless.port))
    await conversation.ask("Go on.")
    await first_text(conversation)
    assert conversation.is_answering.value
    assert await asyncio.to_thread(endless.busy_slots) == 1
    conversation.stop()
    await done(conversation)
    assert await asyncio.to_thread(endless.wait_idle, 2.0)
    turn = conversation.turns.value[-1]
    assert turn.state is TurnState.STOPPED
    assert turn.text
    stored = turn_from_json((await desk.store.messages(conversation.id))[-1])
    assert stored.text == turn.text
    assert stored.state is TurnState.STOPPED


async def test_a_server_killed_while_it_answers_leaves_a_cut_off_turn_and_retry_asks_again(
    desk: Desk, llama: LlamaServer
) -> None:
    with llama_server(context_tokens=32_768, is_endless=True) as doomed:
        conversation = desk.chats.new(target(doomed.port))
        await conversation.ask("What is SparkDesk?")
        await first_text(conversation)
        await asyncio.to_thread(doomed.kill)
        await done(conversation)
    turn = conversation.turns.value[-1]
    assert turn.state is TurnState.CUT_OFF
    assert turn.text
    assert "cut off" in turn.error
    assert turn.remedy
    conversation.use(target(llama.port))
    await conversation.regenerate()
    await done(conversation)
    assert [kept.state for kept in conversation.turns.value] == [TurnState.DONE, TurnState.DONE]
    assert conversation.turns.value[-1].text.startswith("SparkDesk is")
    assert conversation.siblings(conversation.turns.value[-1].number) == (1, 2), "the cut answer stays beside it"
    assert len(await desk.store.messages(conversation.id)) == 3


async def test_no_answer_is_a_failed_turn_with_what_to_do_and_not_an_error_that_flies(desk: Desk) -> None:
    async with raw_server(answer("503 Busy", "application/json", b"{}", "Retry-After: 9")) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("hello")
        await done(conversation)
    turn = conversation.turns.value[-1]
    assert turn.state is TurnState.FAILED
    assert "overloaded" in turn.error
    assert turn.remedy == "Retry in 9 s."
    assert desk.errors == []


async def test_a_node_that_is_gone_is_a_failed_turn_and_the_chat_stays_readable(desk: Desk) -> None:
    def gone() -> AbstractAsyncContextManager[EndpointClient]:
        raise Unreachable("spark-a does not answer", remedy="Check its power and network.", node="spark-a")

    conversation = desk.chats.new(replace(target(1), source=gone))
    await conversation.ask("hello")
    await done(conversation)
    assert conversation.turns.value[-1].error == "spark-a does not answer"
    conversation.use(None)
    with pytest.raises(EndpointError, match="No model"):
        await conversation.ask("again")
    assert len(conversation.turns.value) == 2


class LostOnTheWay:
    """A client that says one word and then loses its node."""

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        yield TextDelta("Half", 1.0)
        raise Unreachable("The connection to spark-a was lost", remedy="Wait until it is live, then retry.")

    async def get(self, path: str, *, timeout_s: float = 5.0, max_bytes: int = 1 << 20) -> tuple[int, bytes]:
        return 200, b""

    async def post(
        self, path: str, body: Mapping[str, object], *, timeout_s: float = 30.0, max_bytes: int = 1 << 24
    ) -> tuple[int, bytes]:
        return 404, b""

    async def close(self) -> None:
        return


async def test_an_error_in_the_middle_of_an_answer_is_a_cut_and_keeps_the_text(desk: Desk) -> None:
    @asynccontextmanager
    async def lost() -> AsyncIterator[EndpointClient]:
        yield LostOnTheWay()

    doubts: list[str] = []
    conversation = desk.chats.new(replace(target(1), source=lost, doubt=lambda: doubts.append("job1")))
    await conversation.ask("hello")
    await done(conversation)
    turn = conversation.turns.value[-1]
    assert (turn.text, turn.state) == ("Half", TurnState.CUT_OFF)
    assert turn.error == "The connection to spark-a was lost"
    assert doubts == ["job1"], "whoever looks after the server is told"


async def test_an_error_inside_an_answer_of_status_200_raises_a_doubt_and_a_whole_answer_none(desk: Desk) -> None:
    doubts: list[str] = []
    error = b'data: {"error":{"message":"EngineCore encountered an issue.","code":500}}\n\n'
    for pieces, expected in (([HELLO, STOP, b"data: [DONE]\n\n"], 0), ([HELLO, error], 1), ([HELLO], 2)):
        async with raw_server(stream(*pieces)) as server:
            conversation = desk.chats.new(replace(target(server.port), doubt=lambda: doubts.append("job1")))
            await conversation.ask("hello")
            await done(conversation)
        assert len(doubts) == expected, (pieces, conversation.turns.value[-1])


async def test_a_failed_answer_says_that_words_are_kept_only_where_some_were_said(desk: Desk) -> None:
    error = b'data: {"error":{"message":"EngineCore encountered an issue.","code":500}}\n\n'
    for pieces, remedy in (([HELLO, error], RETRY), ([error], NOTHING_SAID)):
        async with raw_server(stream(*pieces)) as server:
            conversation = desk.chats.new(target(server.port))
            await conversation.ask("hello")
            await done(conversation)
        assert conversation.turns.value[-1].remedy == remedy


async def test_questions_asked_while_an_answer_is_written_wait_in_line(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await conversation.ask("ping")
    await conversation.ask("hello")
    assert [waiting.text for waiting in conversation.queued.value] == ["hello"]
    await done(conversation)
    assert [turn.text for turn in conversation.turns.value] == [
        "ping",
        "pong",
        "hello",
        "Hello from the tiny test model.",
    ]
    assert not conversation.queued.value


async def test_stop_holds_what_waits_in_line_and_a_person_sends_or_drops_it(
    desk: Desk, endless: LlamaServer, llama: LlamaServer
) -> None:
    conversation = desk.chats.new(target(endless.port))
    await conversation.ask("one")
    await first_text(conversation)
    for text in ("two", "ping"):
        await conversation.ask(text)
    conversation.stop()
    assert all(waiting.is_held for waiting in conversation.queued.value), "at once"
    await done(conversation)
    assert [turn.message.role for turn in conversation.turns.value] == [Role.USER, Role.ASSISTANT]
    assert [(waiting.text, waiting.is_held) for waiting in conversation.queued.value] == [("two", True), ("ping", True)]
    assert conversation.drop_queued(0).text == "two"
    conversation.use(target(llama.port))
    await conversation.send_queued(0)
    await done(conversation)
    question, answered = conversation.turns.value[2:]
    assert question.text == "ping"
    assert answered.state is TurnState.DONE
    assert conversation.queued.value == ()


async def test_the_end_of_the_program_keeps_what_had_come(desk: Desk, endless: LlamaServer) -> None:
    conversation = desk.chats.new(target(endless.port))
    await conversation.ask("Go on.")
    await first_text(conversation)
    await desk.restart()
    assert await asyncio.to_thread(endless.wait_idle, 2.0)
    (summary,) = desk.chats.sessions.value
    kept = (await desk.chats.open(summary.id)).turns.value[-1]
    assert kept.state is TurnState.STOPPED
    assert kept.text


async def test_an_answer_that_is_stopped_before_it_begins_is_over(desk: Desk) -> None:
    async with raw_server(stream(is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("What is SparkDesk?")
        conversation.stop()
        await done(conversation)
        assert not conversation.is_answering.value


async def test_a_silent_stop_before_the_first_word_ends_the_request(desk: Desk) -> None:
    async with raw_server(stream(is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("hello")
        await asyncio.wait_for(server.asked.wait(), 5)
        conversation.stop()
        await done(conversation)
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert conversation.turns.value[-1].state is TurnState.STOPPED


async def test_a_removed_chat_is_gone_from_the_list_and_the_disk(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await conversation.ask("ping")
    await done(conversation)
    await desk.chats.remove(conversation.id)
    assert desk.chats.sessions.value == ()
    await conversation.change_settings(folder="late")
    assert await desk.store.sessions() == (), "what is done to it late does not bring it back"
    assert await desk.store.messages(conversation.id) == ()
    with pytest.raises(KeyError):
        await desk.chats.open(conversation.id)


async def test_settings_hold_from_the_next_question_and_are_kept(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await conversation.change_settings(system_prompt="", sampling=Sampling(temperature=0.0, max_tokens=2))
    await conversation.ask("ping")
    await done(conversation)
    turn = conversation.turns.value[-1]
    assert (turn.text, turn.finish_reason) == ("po", "length")
    await desk.restart()
    again = await desk.chats.open(conversation.id)
    assert again.settings.value.sampling == Sampling(temperature=0.0, max_tokens=2)


async def test_an_answer_in_progress_can_be_looked_at_whole(desk: Desk, endless: LlamaServer) -> None:
    conversation = desk.chats.new(target(endless.port))
    await conversation.ask("Go on.")
    await first_text(conversation)
    live = conversation.live_turn()
    assert live is not None
    assert live.text
    conversation.stop()
    await done(conversation)
    assert conversation.live_turn() is None
