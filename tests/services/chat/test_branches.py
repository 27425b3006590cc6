"""Branches, continuations, the line of questions and the disk: nothing that was said is ever lost by any of them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.chat.context import SentContext, WindowPolicy
from sparkdesk.core.chat.message import AnswerForm, FilePart, ImagePart, Message, Sampling
from sparkdesk.core.chat.request.continuation import ASK_WORDS, ASKED_NOTE, CONTINUED_NOTE, ContinueWay
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.errors import EndpointError
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.fitting import FitQuestion, Fitted, WholeConversation
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import raw_server, stream
from tests.services.chat.chat_desk import Desk, bodies, chat_desk, done, end, target, words

CAT = ImagePart("cat.png", "d1", "image/png", 1, 1, 3)


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server() as server:
        yield server


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with chat_desk(tmp_path) as desk:
        yield desk


async def said(conversation: Conversation, *questions: str) -> None:
    for text in questions:
        await conversation.ask(text)
        await done(conversation)


def texts(conversation: Conversation) -> list[str]:
    return [turn.text for turn in conversation.turns.value]


async def test_an_answer_that_is_made_again_stands_beside_the_old_one(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await said(conversation, "ping", "hello")
    await conversation.regenerate(1)
    await done(conversation)
    assert texts(conversation) == ["ping", "pong"]
    assert conversation.siblings(4) == (1, 4)
    await conversation.choose(1)
    assert texts(conversation) == ["ping", "pong", "hello", "Hello from the tiny test model."]
    assert len(conversation.all_turns) == 5


async def test_a_question_that_is_changed_begins_a_branch_and_keeps_its_files(desk: Desk) -> None:
    async with raw_server(stream(words("yes"), end())) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("first", (FilePart("a.txt", "text of a"),))
        await done(conversation)
        await conversation.edit(0, "second")
        await done(conversation)
        sent = bodies(server.requests)[1]["messages"]
    assert [message["content"].splitlines()[-1] for message in sent] == ["second"]
    assert "text of a" in sent[0]["content"]
    assert conversation.siblings(2) == (0, 2)
    assert texts(conversation) == ["second", "yes"]


async def test_a_fork_goes_on_beside_what_followed_and_a_restart_shows_the_same_branch(
    desk: Desk, llama: LlamaServer
) -> None:
    conversation = desk.chats.new(target(llama.port))
    await said(conversation, "ping", "hello")
    await conversation.fork(1)
    assert texts(conversation) == ["ping", "pong"]
    await said(conversation, "ping")
    assert conversation.siblings(4) == (2, 4)
    await conversation.choose(2)
    await desk.restart()
    again = await desk.chats.open(conversation.id)
    assert texts(again) == ["ping", "pong", "hello", "Hello from the tiny test model."]
    assert again.siblings(2) == (2, 4)
    await again.choose(4)
    assert texts(again) == ["ping", "pong", "ping", "pong"]


async def test_an_answer_that_never_began_gives_its_place_to_the_next_try(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(1))
    await said(conversation, "ping")
    assert conversation.turns.value[-1].state is TurnState.FAILED
    conversation.use(target(llama.port))
    await conversation.regenerate()
    await done(conversation)
    assert texts(conversation) == ["ping", "pong"]
    assert conversation.siblings(1) == (1,)
    assert conversation.turns.value[-1].error == ""


async def test_while_an_answer_is_written_no_branch_can_be_changed(desk: Desk) -> None:
    async with raw_server(stream(is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("hello")
        for change in (
            conversation.regenerate(),
            conversation.choose(0),
            conversation.fork(0),
            conversation.edit(0, "x"),
            conversation.continue_answer(),
        ):
            with pytest.raises(EndpointError, match="being written"):
                await change
        conversation.stop()
        await done(conversation)


async def test_a_real_model_goes_on_with_an_answer_that_reached_its_limit(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(replace(target(llama.port), sampling=Sampling(temperature=0.0, max_tokens=18)))
    await said(conversation, "What is SparkDesk?")
    cut = conversation.turns.value[-1]
    assert (cut.text, cut.finish_reason) == ("SparkDesk is a con", "length")
    assert conversation.continuation is ContinueWay.PREFILL
    await conversation.change_settings(sampling=Sampling(temperature=0.0))
    await conversation.continue_answer()
    await done(conversation)
    whole = conversation.turns.value[-1]
    assert whole.text == "SparkDesk is a control center for DGX Spark clusters."
    assert (whole.number, whole.state, whole.finish_reason) == (cut.number, TurnState.DONE, "stop")
    with pytest.raises(EndpointError, match="cannot go on"):
        await conversation.continue_answer()
    await desk.restart()
    assert (await desk.chats.open(conversation.id)).turns.value[-1].text == whole.text


async def test_a_server_that_cannot_write_on_is_asked_in_words_that_are_not_kept(desk: Desk) -> None:
    async with raw_server(stream(words("one "))) as server:
        conversation = desk.chats.new(target(server.port, engine=""))
        await conversation.change_settings(form=AnswerForm(json_schema="{}"))
        await said(conversation, "Count.")
        assert conversation.turns.value[-1].state is TurnState.CUT_OFF
        assert conversation.continuation is ContinueWay.ASK
        await conversation.continue_answer()
        await done(conversation)
        first, sent = bodies(server.requests)
    assert "response_format" in first
    assert "response_format" not in sent, "half an object would be followed by a whole one"
    assert [message["content"] for message in sent["messages"]] == ["Count.", "one ", ASK_WORDS]
    assert not {"continue_final_message", "add_generation_prompt"} & set(sent)
    assert texts(conversation) == ["Count.", "one one "]
    assert conversation.turns.value[-1].note == f"{CONTINUED_NOTE}; {ASKED_NOTE}"


async def test_a_continuation_that_fails_leaves_the_text_and_can_be_tried_again(desk: Desk) -> None:
    async with raw_server(stream(words("half"))) as server:
        conversation = desk.chats.new(target(server.port, engine="vllm"))
        await said(conversation, "Go.")
    before = conversation.turns.value[-1]
    await conversation.continue_answer()
    await done(conversation)
    turn = conversation.turns.value[-1]
    assert (turn.text, turn.state) == ("half", TurnState.CUT_OFF)
    assert turn.error != before.error
    assert (turn.timing, turn.note, turn.label) == (before.timing, before.note, before.label), "its own figures stay"
    assert conversation.continuation is ContinueWay.FLAG


async def test_questions_that_wait_are_held_when_the_answer_before_them_fails(desk: Desk) -> None:
    async with raw_server(stream(is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("one")
        await conversation.ask("two")
        await asyncio.wait_for(server.asked.wait(), 5)
    await done(conversation)
    assert conversation.turns.value[-1].state is TurnState.FAILED
    assert [(waiting.text, waiting.is_held) for waiting in conversation.queued.value] == [("two", True)]


async def test_questions_that_wait_outlive_the_program_with_their_files(desk: Desk, llama: LlamaServer) -> None:
    async with raw_server(stream(is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("one")
        await conversation.ask("two", (FilePart("a.txt", "text"), CAT), {"d1": b"abc"})
        await desk.restart()
    again = await desk.chats.open(conversation.id)
    (waiting,) = again.queued.value
    assert (waiting.text, waiting.attachments, waiting.is_held) == ("two", (FilePart("a.txt", "text"), CAT), True)
    assert await desk.store.attachment("d1") == b"abc"
    again.use(target(llama.port))
    again.drop_queued(0)
    assert again.settings.value.queued == ()


async def test_an_image_goes_to_the_server_also_after_a_restart(desk: Desk) -> None:
    async with raw_server(stream(words("a cat"), end())) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("What is it?", (CAT,), {"d1": b"abc"})
        await done(conversation)
        await desk.restart()
        again = await desk.chats.open(conversation.id)
        again.use(target(server.port))
        await said(again, "Sure?")
        sent = [body["messages"][0]["content"][0] for body in bodies(server.requests)]
    assert sent == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}}] * 2


async def test_the_image_of_a_question_that_is_taken_out_of_the_line_is_kept_no_longer(desk: Desk) -> None:
    other = replace(CAT, digest="d2")
    async with raw_server(stream(words("a cat"), is_held=True)) as server:
        conversation = desk.chats.new(target(server.port))
        await conversation.ask("What is it?", (CAT,), {"d1": b"abc"})
        await conversation.ask("And this?", (CAT, other), {"d1": b"abc", "d2": b"xyz"})
        assert await desk.store.attachment("d2") == b"xyz", "what waits outlives the program"
        taken = conversation.drop_queued(0)
        async with asyncio.timeout(5):
            while await desk.store.attachment("d2") is not None:
                await asyncio.sleep(0.01)
        assert await desk.store.attachment("d1") == b"abc", "the first question has it"
        await conversation.ask(taken.text, taken.attachments, taken.images)
        assert await desk.store.attachment("d2") == b"xyz"
        conversation.stop()
        await done(conversation)


class NewestOnly(WholeConversation):
    """Sends the question alone, and says what it does."""

    async def fit(self, question: FitQuestion) -> Fitted:
        question.tell("Summing up older turns")
        fitted = await super().fit(replace(question, turns=question.turns[-1:]))
        left_out = tuple(turn.number for turn in question.turns[:-1])
        return replace(fitted, sent=SentContext(WindowPolicy.SLIDING, left_out, note="cut"))


async def test_what_was_sent_and_what_it_took_is_kept_with_the_answer(desk: Desk) -> None:
    async with raw_server(stream(words("yes"), end())) as server:
        conversation = desk.chats.new(target(server.port, energy_j=lambda since_s: 12.5))
        conversation.fitter = NewestOnly()
        doing: list[str] = []
        conversation.activity.subscribe(doing.append)
        await said(conversation, "one", "two")
        sent = bodies(server.requests)[1]["messages"]
    assert [message["content"] for message in sent] == ["two"]
    assert "Summing up older turns" in doing
    assert conversation.activity.value == ""
    await desk.restart()
    turn = (await desk.chats.open(conversation.id)).turns.value[-1]
    assert turn.energy_j == 12.5
    assert turn.sent == SentContext(WindowPolicy.SLIDING, (0, 1), note="cut")


async def test_how_sure_a_real_model_was_is_kept_with_its_answer(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await conversation.change_settings(form=AnswerForm(top_logprobs=2), sampling=Sampling(temperature=0.0))
    await said(conversation, "ping")
    turn = conversation.turns.value[-1]
    assert "".join(choice.token for choice in turn.choices).startswith("pong")
    assert all(choice.logprob <= 0 and len(choice.others) == 2 for choice in turn.choices)
    await desk.restart()
    assert (await desk.chats.open(conversation.id)).turns.value[-1].choices == turn.choices


async def test_with_a_full_disk_the_chat_goes_on_says_so_and_keeps_all_when_there_is_room(
    desk: Desk, llama: LlamaServer
) -> None:
    conversation = desk.chats.new(target(llama.port))
    await said(conversation, "ping")
    await limit_disk(desk, 0)
    await said(conversation, "ping " * 4000)
    assert conversation.turns.value[-1].state is TurnState.DONE or conversation.turns.value[-1].error
    assert conversation.unkept.value == (
        "Not kept: the disk of this computer is full. Free some space, then try again."
    )
    assert all(len(row) < 10_000 for row in await desk.store.messages(conversation.id)), "the disk was full"
    await limit_disk(desk, 1 << 20)
    await said(conversation, "ping")
    assert conversation.unkept.value == ""
    assert desk.errors == []
    await desk.restart()
    assert [turn.text for turn in (await desk.chats.open(conversation.id)).turns.value] == texts(conversation)


async def limit_disk(desk: Desk, pages: int) -> None:
    """At most so many pages more than there are: SQLite's own error of a full disk."""

    def limit(db: sqlite3.Connection) -> None:
        count = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {count + pages}")

    await desk.store._database.read(limit)


async def test_a_conversation_gets_another_title_and_its_own_again(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await said(conversation, "ping")
    await conversation.rename("My  chat")
    assert conversation.title.value == "My chat"
    await desk.restart()
    again = await desk.chats.open(conversation.id)
    assert again.title.value == "My chat"
    await again.rename(" ")
    assert again.title.value == "ping"


async def test_changed_settings_of_every_kind_come_back(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await said(conversation, "ping")
    await conversation.change_settings(folder="Rust", tags=("a", "b"), is_pinned=True, window=WindowPolicy.SUMMARISE)
    await desk.restart()
    kept = (await desk.chats.open(conversation.id)).settings.value
    assert (kept.folder, kept.tags, kept.is_pinned, kept.window) == ("Rust", ("a", "b"), True, WindowPolicy.SUMMARISE)
    with pytest.raises(TypeError):
        await conversation.change_settings(colour="red")


async def test_a_program_that_stores_no_numbers_is_read_as_one_line(desk: Desk) -> None:
    await desk.store.save_session("s", "old", b"{}")
    for position, role in enumerate(("user", "assistant", "user")):
        row = f'{{"role":"{role}","parts":[{{"kind":"text","text":"{position}"}}]}}'
        await desk.store.save_message("s", position, row.encode())
    conversation = await desk.chats.open("s")
    assert texts(conversation) == ["0", "1", "2"]
    assert [turn.parent for turn in conversation.turns.value] == [None, 0, 1]
    assert isinstance(conversation.turns.value[0], Turn)
    assert isinstance(conversation.turns.value[0].message, Message)


async def test_only_what_is_asked_makes_a_conversation_look_newer(desk: Desk, llama: LlamaServer) -> None:
    conversation = desk.chats.new(target(llama.port))
    await said(conversation, "ping")
    asked_ms = conversation.settings.value.updated_ms
    await asyncio.sleep(0.005)
    await conversation.rename("Another title")
    await conversation.change_settings(is_pinned=True)
    await conversation.choose(1)
    assert conversation.settings.value.updated_ms == asked_ms
    await conversation.regenerate()
    await done(conversation)
    assert conversation.settings.value.updated_ms > asked_ms
