"""What goes to a server by each policy: real llama.cpp, a real store, and a conversation that outgrows its window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.chat.context import SentContext, WindowPolicy
from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.message import FilePart, ImagePart, Role, Sampling
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.store.session_json import turn_from_json
from sparkdesk.core.chat.window.sent_memory import memory_of
from sparkdesk.infra.store import SqliteStore
from sparkdesk.infra.text_folder import TextFiles
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.context.gauge import MANY_TURNS
from sparkdesk.services.chat.context.memory import ProjectMemory
from sparkdesk.services.chat.context.meter import ContextMeter
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.services.chat.context.window_desk import fit, said, serving, spoken, talk, target

LIMIT = 1024


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=LIMIT) as server:
        yield server


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def fitter(store: SqliteStore, tmp_path: Path) -> WindowFitter:
    return WindowFitter(store, ProjectMemory(TextFiles(tmp_path / "memory")))


async def converse(
    store: SqliteStore, fitter: WindowFitter, port: int, policy: WindowPolicy, questions: int
) -> tuple[Turn, ...]:
    """Ask so many questions in a real conversation and give its turns."""
    bugs: list[BaseException] = []
    tasks = Tasks(on_bug=lambda _name, bug: bugs.append(bug))
    chats = Conversations(tasks=tasks, store=store, clock=SystemClock())
    conversation = chats.new(target(port))
    conversation.fitter = fitter
    await conversation.change_settings(window=policy, sampling=Sampling(max_tokens=24, temperature=0.0))
    for at in range(questions):
        await conversation.ask(f"Question {at}: what of the {'very ' * 20}long story of number {at}?")
        await asyncio.wait_for(conversation.finished(), 30)
    meter = ContextMeter(fitter)
    use = meter.use(conversation)
    assert use.limit == LIMIT
    assert use.parts.total == use.prompt, "the parts add up to the server's own count"
    await tasks.close()
    assert bugs == []
    stored = [turn_from_json(data) for data in await store.messages(conversation.id)]
    assert len(stored) == 2 * questions, "nothing is deleted by what is left out"
    assert [turn.sent for turn in stored] == [turn.sent for turn in conversation.turns.value]
    return conversation.turns.value


async def test_a_conversation_that_outgrows_its_window_goes_on_with_the_newest_turns(
    store: SqliteStore, fitter: WindowFitter, llama: LlamaServer
) -> None:
    turns = await converse(store, fitter, llama.port, WindowPolicy.SLIDING, 9)
    answers = [turn for turn in turns if turn.message.role is Role.ASSISTANT]
    assert {turn.state for turn in answers} == {TurnState.DONE}
    assert answers[0].sent == replace(SentContext(), policy=WindowPolicy.SLIDING, parts=answers[0].sent.parts)
    last = answers[-1].sent
    assert last is not None
    assert last.left_out == tuple(range(len(last.left_out))), "the oldest are left out"
    assert 2 <= len(last.left_out) <= len(turns) - 2
    assert last.parts.is_counted
    for answer in answers:
        assert answer.usage is not None
        assert answer.usage.prompt_tokens is not None
        assert answer.usage.prompt_tokens <= LIMIT - 24


async def test_older_turns_are_summed_up_once_and_the_summary_is_kept_with_the_answer(
    store: SqliteStore, fitter: WindowFitter, llama: LlamaServer
) -> None:
    turns = await converse(store, fitter, llama.port, WindowPolicy.SUMMARISE, 9)
    answers = [turn for turn in turns if turn.message.role is Role.ASSISTANT]
    assert {turn.state for turn in answers} == {TurnState.DONE}
    summaries = [turn.sent.summary for turn in answers if turn.sent is not None]
    assert len(summaries) == len(answers)
    assert summaries[0] == ""
    assert summaries[-1] != ""
    made = [text for text, before in zip(summaries[1:], summaries, strict=False) if text != before]
    assert 1 <= len(made) <= 4, "a summary is made when the window fills, not for each question"
    last = answers[-1].sent
    assert last is not None
    assert set(last.summed_up) <= set(last.left_out)
    assert last.note == ""


async def test_a_short_question_asks_nothing_of_the_server_beforehand(fitter: WindowFitter) -> None:
    async with serving({}) as server:
        at = target(server.port, engine="vllm", context_tokens=4096)
        for policy in WindowPolicy:
            fitted = await fit(fitter, at, talk("Hello", "Hi", "How are you?"), policy)
            assert [message.text for message in fitted.messages] == ["Hello", "Hi", "How are you?"]
            assert fitted.sent.left_out == ()
            assert not fitted.sent.parts.is_counted
        assert server.asked == []


async def test_all_is_sent_where_the_limit_is_not_known_and_the_note_says_so(fitter: WindowFitter) -> None:
    async with serving({}) as server:
        fitted = await fit(fitter, target(server.port, engine=""), talk("a" * 9000, "b", "c"), WindowPolicy.SLIDING)
        assert len(fitted.messages) == 3
        assert "tells no limit" in fitted.sent.note


async def test_a_question_that_is_too_large_by_itself_is_told(fitter: WindowFitter, llama: LlamaServer) -> None:
    fitted = await fit(fitter, target(llama.port), talk("old", "older", "x" * 2000), WindowPolicy.SLIDING)
    assert [len(message.text) for message in fitted.messages] == [2000]
    assert fitted.sent.left_out == (0, 1)
    assert "2,0" in fitted.sent.note
    assert "992 fit" in fitted.sent.note


async def test_a_summary_that_fails_leaves_out_the_oldest_and_says_why(fitter: WindowFitter) -> None:
    def refuse(_body: Mapping[str, Any]) -> tuple[int, object]:
        return 500, {"error": {"message": "out of memory"}}

    told: list[str] = []
    async with serving({"/tokenize": tokenize, "/v1/chat/completions": refuse}) as server:
        at = target(server.port, engine="vllm", context_tokens=2000)
        turns = talk(*["x" * 300] * 9)
        fitted = await fit(fitter, at, turns, WindowPolicy.SUMMARISE, told=told)
        asked = server.paths().count("/v1/chat/completions")
        again = await fit(fitter, at, turns, WindowPolicy.SUMMARISE)
        assert server.paths().count("/v1/chat/completions") == asked, "what failed is not tried for each question"
        assert again.sent.note == fitted.sent.note
        later = talk(*["x" * 300] * 15)
        await fit(fitter, at, later, WindowPolicy.SUMMARISE)
        assert server.paths().count("/v1/chat/completions") > asked
    assert fitted.sent.summary == ""
    assert fitted.sent.summed_up == ()
    assert fitted.sent.left_out
    assert "could not be summed up" in fitted.sent.note
    assert "out of memory" in fitted.sent.note
    assert told[0].startswith("The model sums up")
    assert told[-1] == ""


def tokenize(body: Mapping[str, Any]) -> tuple[int, object]:
    """One token a character."""
    messages = body.get("messages", [{"content": body.get("prompt", "")}])
    return 200, {"count": sum(len(message["content"]) for message in messages)}


async def test_a_summary_that_is_cut_off_is_none(fitter: WindowFitter) -> None:
    pages = {"/tokenize": tokenize, "/v1/chat/completions": lambda _body: (200, spoken("They spo", reason=""))}
    async with serving(pages) as server:
        at = target(server.port, engine="vllm", context_tokens=2000)
        fitted = await fit(fitter, at, talk(*["x" * 300] * 9), WindowPolicy.SUMMARISE)
    assert fitted.sent.summary == ""
    assert "could not be summed up (the answer was cut off" in fitted.sent.note


async def test_a_summary_reads_the_last_one_in_rounds_and_is_not_made_twice(
    store: SqliteStore, fitter: WindowFitter
) -> None:
    async with serving(
        {
            "/tokenize": tokenize,
            "/v1/chat/completions": lambda body: (
                200,
                spoken(
                    f"<think>hm</think>[end of record {body['messages'][1]['content'][8:20]}] "
                    f"Round {len(body['messages'][1]['content'])}",
                    reason="length",
                ),
            ),
        }
    ) as server:
        at = target(server.port, engine="vllm", context_tokens=2000)
        turns = talk(*["x" * 300] * 19)
        first = await fit(fitter, at, turns, WindowPolicy.SUMMARISE)
        asked = [body["messages"][1]["content"] for path, body in server.asked if path == "/v1/chat/completions"]
        assert len(asked) > 1, "the record is longer than the window"
        for before, after in pairwise(asked):
            assert f"Summary so far: Round {len(before)}" in after
        assert first.sent.summary == f"Round {len(asked[-1])} …"
        server.asked.clear()
        again = await fit(fitter, at, turns, WindowPolicy.SUMMARISE)
        assert again.sent.summary == first.sent.summary
        assert "/v1/chat/completions" not in server.paths(), "a replaced answer does not cost a second summary"
        other = tuple(replace(turn, number=turn.number + 100) for turn in turns)
        server.asked.clear()
        await fit(fitter, at, other, WindowPolicy.SUMMARISE)
        asked = [body["messages"][1]["content"] for path, body in server.asked if path == "/v1/chat/completions"]
        assert asked, "another branch has its own"
        assert "Summary so far" not in asked[0]
        sent = SentContext(WindowPolicy.SUMMARISE, left_out=(0, 1), summary="They began.", summed_up=(0, 1))
        stored = (*turns[:3], replace(turns[3], sent=sent), *turns[4:])
        server.asked.clear()
        await fit(WindowFitter(store), at, stored, WindowPolicy.SUMMARISE)
        asked = [body["messages"][1]["content"] for path, body in server.asked if path == "/v1/chat/completions"]
        assert "Summary so far: They began." in asked[0]


async def test_an_answer_that_goes_on_needs_room_for_what_it_has(fitter: WindowFitter) -> None:
    async with serving({"/tokenize": tokenize}) as server:
        at = target(server.port, engine="vllm", context_tokens=2000)
        turns = talk(*["x" * 300] * 5)
        assert (await fit(fitter, at, turns, WindowPolicy.SLIDING)).sent.left_out == ()
        fitted = await fit(fitter, at, turns, WindowPolicy.SLIDING, begun="y" * 900)
        assert fitted.sent.left_out == (0, 1)


async def test_a_conversation_far_too_long_is_not_counted_whole(fitter: WindowFitter) -> None:
    async with serving({"/tokenize": tokenize}) as server:
        at = target(server.port, engine="vllm", context_tokens=2000)
        fitted = await fit(fitter, at, talk(*["word " * 100] * 4001), WindowPolicy.SLIDING)
        sizes = [len(str(body)) for _, body in server.asked]
    assert len(fitted.messages) == 3, "what fits is sent although the first estimate was far off"
    assert max(sizes) < 20_000


async def test_what_images_take_is_said_to_be_unknown(fitter: WindowFitter) -> None:
    async with serving({"/tokenize": tokenize}) as server:
        at = target(server.port, engine="vllm", context_tokens=2000)
        image = ImagePart("cat.png", "d" * 64, "image/png", 640, 480, 1000)
        asked = said(0, Role.USER, "x" * 1500, image)
        assert "Images are not counted" in (await fit(fitter, at, (asked,), WindowPolicy.SLIDING)).sent.note


async def test_the_next_summary_is_made_from_the_last_one_and_what_came_since(
    fitter: WindowFitter, llama: LlamaServer
) -> None:
    before = talk("secret start", "yes", *["x" * 150] * 8)
    sent = SentContext(WindowPolicy.SUMMARISE, left_out=(0, 1), summary="They began.", summed_up=(0, 1))
    turns = (*before[:3], replace(before[3], sent=sent), *before[4:], said(10, Role.USER, "And now?"))
    told: list[str] = []
    fitted = await fit(fitter, target(llama.port), turns, WindowPolicy.SUMMARISE, told=told)
    assert fitted.sent.summed_up[:2] == (0, 1)
    assert len(fitted.sent.summed_up) > 2
    assert fitted.sent.summary not in ("", "They began.")
    assert all("secret start" not in message.text for message in fitted.messages)
    assert told[0] == f"The model sums up {len(fitted.sent.summed_up) - 2} older messages"


async def test_the_estimate_after_a_counted_answer_saves_further_counting(fitter: WindowFitter) -> None:
    async with serving({}) as server:
        at = target(server.port, engine="vllm", context_tokens=4096)
        turns = talk("q" * 3000, "a" * 1000, "now")
        answered = (turns[0], replace(turns[1], usage=Usage(prompt_tokens=750)), turns[2])
        await fit(fitter, at, answered, WindowPolicy.SLIDING)
        assert server.asked == []
        await fit(fitter, at, turns, WindowPolicy.SLIDING)
        assert server.paths()[0] == "/tokenize", "what nobody counted yet might have a token for each byte"


async def test_ollama_cuts_without_a_word_so_we_say_it(fitter: WindowFitter) -> None:
    at = target(1, engine="ollama", context_tokens=1024)
    fitted = await fit(fitter, at, talk("x" * 9000), WindowPolicy.WHOLE)
    assert "Ollama leaves out" in fitted.sent.note
    assert (await fit(fitter, at, talk("short"), WindowPolicy.WHOLE)).sent.note == ""


async def test_the_projects_memory_goes_along_where_it_is_wanted(fitter: WindowFitter, tmp_path: Path) -> None:
    memory = ProjectMemory(TextFiles(tmp_path / "memory"))
    await memory.keep("Garden", "The tree is an oak.\n", base=None)
    at = target(1, engine="vllm", context_tokens=4096)
    fitted = await fit(fitter, at, talk("Which tree?"), WindowPolicy.WHOLE, folder="Garden")
    assert "The tree is an oak." in fitted.messages[0].text
    assert fitted.sent.memory == "The tree is an oak.\n"
    assert (fitted.sent.parts.memory or 0) > 0
    without = await fit(fitter, at, talk("Which tree?"), WindowPolicy.WHOLE, folder="Garden", has_memory=False)
    assert without.sent.memory == ""
    assert len(without.messages) == 1


async def test_a_memory_that_stays_the_same_is_kept_once_and_not_with_every_answer(
    store: SqliteStore, fitter: WindowFitter, llama: LlamaServer, tmp_path: Path
) -> None:
    memories, tasks = TextFiles(tmp_path / "memory"), Tasks()
    chats = Conversations(tasks=tasks, store=store, clock=SystemClock(), fitter=fitter)
    conversation = chats.new(target(llama.port))
    await conversation.change_settings(folder="Garden", sampling=Sampling(max_tokens=2))
    kept = ["oak " * 50, "oak " * 50, "ash " * 50, "oak " * 50, "oak " * 50]
    for text in kept:
        await memories.write("Garden", text)
        await conversation.ask("Which tree?")
        await asyncio.wait_for(conversation.finished(), 30)
    await tasks.close()
    rows = await store.messages(conversation.id)
    assert [row.count(text.encode()) for row, text in zip(rows[1::2], kept, strict=True)] == [1, 0, 1, 1, 0]
    turns = tuple(map(turn_from_json, rows))
    for at, text in zip(range(1, 10, 2), kept, strict=True):
        sent = turns[at].sent
        assert sent is not None
        assert memory_of(sent, turns[:at]) == text, "each can be opened"


async def test_a_file_counts_as_a_file(fitter: WindowFitter, llama: LlamaServer) -> None:
    asked = said(0, Role.USER, "What is in it?", FilePart("plan.txt", "y" * 700))
    fitted = await fit(fitter, target(llama.port), (asked,), WindowPolicy.SLIDING)
    assert fitted.sent.parts.is_counted
    assert fitted.sent.parts.files == 700


class CountingPool(ThreadPoolExecutor):
    """Threads, and how often they were asked."""

    asked = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().submit(*args, **kwargs)


@pytest.mark.parametrize(("turns", "threads"), [(5, 0), (MANY_TURNS + 1, 2)])
async def test_a_long_conversation_is_looked_through_beside_the_loop(
    fitter: WindowFitter, turns: int, threads: int
) -> None:
    pool = CountingPool()
    asyncio.get_running_loop().set_default_executor(pool)
    fitted = await fit(fitter, target(1), talk(*["abcdefg"] * turns), WindowPolicy.WHOLE)
    assert pool.asked == threads
    assert len(fitted.messages) == turns
    assert fitted.sent is not None
    assert (fitted.sent.parts.messages or 0) > turns
