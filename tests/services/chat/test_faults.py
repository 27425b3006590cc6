"""Conversations whose server, or the way to it, fails: nothing shown is lost or doubled, and no chat is stuck.

The one rule: real sockets, a real store and, where it is killed, a real llama.cpp. After each fault the chat answers
again, and nothing of it runs on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.chat.context import WindowPolicy
from sparkdesk.core.chat.event import TextDelta
from sparkdesk.core.chat.message import AnswerForm, ImagePart, Sampling
from sparkdesk.core.chat.session import Turn, TurnFailure, TurnState
from sparkdesk.core.chat.store.session_json import turn_from_json
from sparkdesk.core.chat.window.overflow import Remedy, Server, offers
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.endpoint import ChatEndpoint
from tests.servers.chosen_port import chosen_port
from tests.servers.llamacpp import llama_server
from tests.servers.raw_http import Answerer, answer, raw_server, stream
from tests.services.chat.chat_desk import Desk, bodies, chat_desk, done, end, target, words

CAPTURES = Path(__file__).resolve().parents[2] / "data" / "captures"
JSON = "application/json"
GREEDY = Sampling(temperature=0.0, max_tokens=12)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with chat_desk(tmp_path) as desk:
        yield desk
        assert [name for name in desk.tasks.names if name != "index chats"] == [], "nothing of a chat runs on"


def with_client(server: ChatEndpoint, open_one: Callable[[Endpoint], EndpointClient]) -> ChatEndpoint:
    """The same server, talked to by another client."""

    @asynccontextmanager
    async def source() -> AsyncIterator[EndpointClient]:
        client = open_one(server.endpoint)
        try:
            yield client
        finally:
            await client.close()

    return replace(server, source=source)


async def some_text(conversation: Conversation) -> str:
    """Wait until the answer has words; gives them."""
    reader = conversation.events.read((came := asyncio.Event()).set)
    try:
        while not (live := conversation.live_turn()) or not live.text:
            await asyncio.wait_for(came.wait(), 20)
            came.clear()
            if any(isinstance(event, TextDelta) for event in reader.drain()):
                await asyncio.sleep(0)
        return live.text
    finally:
        reader.close()


async def ask(conversation: Conversation, *texts: str) -> Turn:
    """Ask and wait, one after the other; gives the last answer."""
    for text in texts:
        await conversation.ask(text)
        await done(conversation)
    return conversation.turns.value[-1]


async def kept(desk: Desk, conversation: Conversation) -> Turn:
    """The last message as it lies in the store."""
    return turn_from_json((await desk.store.messages(conversation.id))[-1])


def refused(status: str, body: bytes, *head: str) -> Answerer:
    return answer(status, JSON, body, *head)


async def test_an_answer_cut_by_the_death_of_its_server_goes_on_once_the_server_is_back(desk: Desk) -> None:
    port = chosen_port()
    conversation = desk.chats.new(target(port))
    with llama_server(context_tokens=32_768, is_endless=True, port=port) as doomed:
        await conversation.ask("What is SparkDesk?")
        await some_text(conversation)
        await asyncio.to_thread(doomed.kill)
        await done(conversation)
    cut = conversation.turns.value[-1]
    assert (cut.state, cut.failure and cut.failure.kind) == (TurnState.CUT_OFF, "lost")
    assert (await kept(desk, conversation)).text == cut.text

    await conversation.continue_answer()
    await done(conversation)
    again = conversation.turns.value[-1]
    assert (again.text, again.state) == (cut.text, TurnState.CUT_OFF), "the server is not back yet"
    assert again.failure is not None
    assert again.failure.kind == "unreachable"

    await desk.restart()
    conversation = await desk.chats.open(conversation.id)
    conversation.use(target(port))
    await conversation.change_settings(sampling=GREEDY)
    with llama_server(context_tokens=32_768, is_endless=True, port=port):
        await conversation.continue_answer()
        await done(conversation)
    whole = conversation.turns.value[-1]
    assert (whole.state, whole.finish_reason, whole.failure) == (TurnState.DONE, "length", None)
    assert whole.text.startswith(cut.text)
    assert 0 < len(whole.text) - len(cut.text) < 200, "once, and no more than was asked for"
    assert (await kept(desk, conversation)).text == whole.text
    assert len(conversation.turns.value) == 2


async def test_a_socket_that_falls_silent_keeps_the_words_and_says_how_long_it_was_waited_for(desk: Desk) -> None:
    async with raw_server(stream(words("Half"), is_held=True)) as server:
        conversation = desk.chats.new(
            with_client(target(server.port), lambda at: OpenAiClients(stall_timeout_s=0.2).open(at, None))
        )
        turn = await ask(conversation, "hello")
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert (turn.text, turn.state) == ("Half", TurnState.CUT_OFF)
    assert turn.failure == TurnFailure("stalled")
    assert "0.2 s" in turn.error
    assert conversation.continuation is not None


async def never(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("answerer", [never, stream(is_held=True)], ids=["accepts only", "sends a head only"])
async def test_a_server_that_accepts_and_never_answers_is_left_at_once(desk: Desk, answerer: Answerer) -> None:
    async with raw_server(answerer) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("hello")
        await asyncio.wait_for(server.asked.wait(), 5)
        conversation.stop()
        await done(conversation)
        await asyncio.wait_for(server.hung_up.wait(), 5)
    turn = conversation.turns.value[-1]
    assert (turn.state, turn.text, turn.error) == (TurnState.STOPPED, "", "")
    assert (await kept(desk, conversation)).state is TurnState.STOPPED


async def test_a_way_that_never_opens_is_left_at_once(desk: Desk) -> None:
    is_waiting = asyncio.Event()

    @asynccontextmanager
    async def hang() -> AsyncIterator[EndpointClient]:
        is_waiting.set()
        await asyncio.sleep(60)
        yield OpenAiClients().open(target(1).endpoint, None)

    conversation = desk.chats.new(replace(target(1), source=hang))
    await conversation.ask("hello")
    await asyncio.wait_for(is_waiting.wait(), 5)
    conversation.stop()
    await done(conversation)
    assert conversation.turns.value[-1].state is TurnState.STOPPED
    assert conversation.activity.value == ""


async def test_a_stop_while_it_is_chosen_what_is_sent_ends_the_question(desk: Desk) -> None:
    async with raw_server(never) as server:
        conversation = desk.chats.new(target(server.port))
        conversation.fitter = WindowFitter(desk.store)
        await conversation.change_settings(window=WindowPolicy.SLIDING)
        await conversation.ask("word " * 4000)
        await asyncio.wait_for(server.asked.wait(), 5)
        assert conversation.activity.value
        conversation.stop()
        await done(conversation)
        assert b"/chat/completions" not in server.requests[0].split(b"\r\n", 1)[0]
    assert conversation.turns.value[-1].state is TurnState.STOPPED
    assert conversation.activity.value == ""


async def test_the_seconds_that_a_busy_server_wants_are_kept_with_the_answer(desk: Desk) -> None:
    async with raw_server(refused("429 Too Many Requests", b"{}", "Retry-After: 9")) as server:
        conversation = desk.chats.new(target(server.port))
        turn = await ask(conversation, "hello")
    assert turn.failure is not None
    assert (turn.failure.kind, turn.failure.retry_after_s) == ("overloaded", 9.0)
    assert (await kept(desk, conversation)).failure == turn.failure


async def test_a_model_that_still_loads_is_told_and_answers_in_the_same_place_later(desk: Desk) -> None:
    loading = b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
    async with raw_server(refused("503 Service Unavailable", loading)) as server:
        conversation = desk.chats.new(target(server.port))
        turn = await ask(conversation, "hello")
    assert turn.failure is not None
    assert (turn.state, turn.failure.kind) == (TurnState.FAILED, "loading")
    async with raw_server(stream(words("Now"), end())) as server:
        conversation.use(target(server.port))
        await conversation.regenerate()
        await done(conversation)
    assert [each.text for each in conversation.turns.value] == ["hello", "Now"]
    assert len(await desk.store.messages(conversation.id)) == 2


async def test_a_conversation_that_outgrows_a_real_server_is_offered_ways_on_by_its_own_numbers(desk: Desk) -> None:
    with llama_server(context_tokens=512) as llama:
        conversation = desk.chats.new(target(llama.port))
        turn = await ask(conversation, "word " * 900)
        assert turn.failure is not None
        assert turn.failure.kind == "context_overflow"
        assert turn.failure.context_tokens == 512
        assert (turn.failure.prompt_tokens or 0) > 512
        ways = offers(turn.failure, conversation.settings.value, Server(can_relaunch=True))
        assert [way.remedy for way in ways] == [Remedy.RAISE, Remedy.SUMMARISE, Remedy.DROP]
        raised = ways[0].context_tokens
        assert raised is not None
        assert raised > (turn.failure.prompt_tokens or 0)


async def test_another_model_than_was_asked_for_is_noted_with_its_answer(desk: Desk) -> None:
    with llama_server() as llama:
        asked = target(llama.port)
        asked = replace(asked, endpoint=replace(asked.endpoint, model="llama-70b"))
        conversation = desk.chats.new(with_client(asked, lambda at: OpenAiClients().open(at, None)))
        turn = await ask(conversation, "ping", "ping")
    assert turn.text == "pong"
    assert turn.note.count("llama-70b was asked for") == 1


async def test_two_chats_on_a_server_of_one_slot_are_answered_each_with_its_own(desk: Desk) -> None:
    with llama_server(slots=1) as llama:
        one, other = (desk.chats.new(replace(target(llama.port), sampling=GREEDY)) for _ in range(2))
        for conversation, text in ((one, "ping"), (other, "hello"), (one, "hello"), (other, "ping")):
            await conversation.ask(text)
        await asyncio.gather(done(one), done(other))
    said = [[turn.text for turn in conversation.turns.value] for conversation in (one, other)]
    assert said == [["ping", "pong", "hello", said[0][3]], ["hello", said[1][1], "ping", "pong"]]
    assert said[0][3] == said[1][1] != ""
    assert {turn.state for turn in (*one.turns.value, *other.turns.value)} == {TurnState.DONE}


async def test_a_failed_answer_holds_the_line_also_after_a_restart(desk: Desk) -> None:
    async with raw_server(stream(words("Half"), 0.2)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("one")
        await conversation.ask("two")
        await done(conversation)
        assert len(server.requests) == 1
    assert conversation.turns.value[-1].state is TurnState.CUT_OFF
    await desk.restart()
    conversation = await desk.chats.open(conversation.id)
    assert [(each.text, each.is_held) for each in conversation.queued.value] == [("two", True)]
    async with raw_server(stream(words("Yes"), end())) as server:
        conversation.use(target(server.port))
        await conversation.send_queued()
        await done(conversation)
    assert [turn.text for turn in conversation.turns.value] == ["one", "Half", "two", "Yes"]
    assert conversation.queued.value == ()


async def test_a_stop_while_an_answer_goes_on_keeps_its_words_once(desk: Desk) -> None:
    async with raw_server(stream(words("One two"), 0.05)) as server:
        conversation = desk.chats.new(target(server.port))
        await ask(conversation, "count")
    async with raw_server(stream(words(" three"), is_held=True)) as server:
        conversation.use(target(server.port))
        await conversation.continue_answer()
        while (live := conversation.live_turn()) is None or "three" not in live.text:
            await asyncio.sleep(0.01)
        conversation.stop()
        await done(conversation)
        (sent,) = bodies(server.requests)
    turn = conversation.turns.value[-1]
    assert (turn.text, turn.state) == ("One two three", TurnState.STOPPED)
    assert (await kept(desk, conversation)).text == "One two three"
    assert [message["content"] for message in sent["messages"]] == ["count", "One two"]


async def test_a_schema_that_the_server_does_not_take_is_to_be_changed_and_not_gone_on_with(desk: Desk) -> None:
    """The recorded words of a real vLLM: an error inside a stream of status 200."""
    recorded = (CAPTURES / "vllm_cpu" / "chat_stream_schema_error.sse").read_bytes()
    async with raw_server(stream(recorded)) as server:
        conversation = desk.chats.new(target(server.port, engine="vllm"))
        await conversation.change_settings(form=AnswerForm(json_schema='{"type":"nonsense"}'))
        turn = await ask(conversation, "hello")
    assert turn.state is TurnState.FAILED
    assert "Invalid type: nonsense" in turn.error
    assert turn.remedy == "Change what is asked for, then retry."
    assert conversation.continuation is None


async def test_a_model_that_takes_no_images_is_told_what_to_do(desk: Desk) -> None:
    """The words of a real vLLM 0.32."""
    body = b'{"error":{"message":"tiny is not a multimodal model","type":"BadRequestError","param":null,"code":400}}'
    async with raw_server(refused("400 Bad Request", body)) as server:
        conversation = desk.chats.new(target(server.port, engine="vllm"))
        await conversation.ask("what?", (ImagePart("a.png", "d" * 64, "image/png", 1, 1, 3),), {"d" * 64: b"png"})
        await done(conversation)
    turn = conversation.turns.value[-1]
    assert "not a multimodal model" in turn.error
    assert "without the image" in turn.remedy


@pytest.mark.parametrize(
    ("name", "text", "choices", "cached"),
    [("logprobs", "\t1*", 4, None), ("cached", None, 0, 384), ("continued", "*\t1*\t1", 0, None)],
)
async def test_what_a_real_vllm_told_of_an_answer_is_kept_with_it(
    desk: Desk, name: str, text: str | None, choices: int, cached: int | None
) -> None:
    recorded = (CAPTURES / "vllm_cpu" / f"chat_stream_{name}.sse").read_bytes()
    async with raw_server(stream(recorded)) as server:
        conversation = desk.chats.new(target(server.port, engine="vllm"))
        await ask(conversation, "hi")
    turn = await kept(desk, conversation)
    assert (turn.state, turn.finish_reason, len(turn.choices)) == (TurnState.DONE, "length", choices)
    assert text is None or turn.text == text
    assert turn.usage is not None
    assert (turn.usage.cached_tokens or None) == cached
