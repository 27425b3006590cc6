"""Anything a person may do, in any order, with a server that fails by chance: nothing is lost, doubled or stuck."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.errors import EndpointError
from sparkdesk.services.chat.conversation import Conversation
from tests.servers.raw_http import answer, raw_server, stream
from tests.services.chat.chat_desk import chat_desk, done, end, target, words

STEPS = 60
FAULTS = (
    stream(words("whole "), words("answer"), end()),
    stream(words("whole "), 0.01, words("answer"), end("length")),
    stream(words("half "), 0.01),
    stream(words("held "), is_held=True),
    stream(is_held=True),
    stream(words("bad "), b'data: {"error":{"message":"no","code":500}}\n\n'),
    answer("503 Busy", "application/json", b"{}", "Retry-After: 1"),
    answer("200 OK", "text/html", b"<html>"),
)


async def act(conversation: Conversation, chance: random.Random, number: int) -> None:
    """One thing that a person may do; what is not possible now is told and changes nothing."""
    turns = conversation.turns.value
    questions = [turn.number for turn in turns if turn.message.role is Role.USER]
    deeds: list[Callable[[], Awaitable[None]]] = [
        lambda: conversation.ask(f"q{number}"),
        lambda: conversation.ask(f"q{number}"),
        conversation.regenerate,
        conversation.continue_answer,
        lambda: conversation.edit(chance.choice(questions), f"e{number}"),
        lambda: conversation.choose(chance.choice(turns).number),
        lambda: conversation.fork(chance.choice(turns).number),
        conversation.send_queued,
        lambda: conversation.rename(f"t{number}"),
    ]
    try:
        if chance.random() < 0.3:
            conversation.stop()
        elif chance.random() < 0.1:
            conversation.drop_queued(0)
        else:
            await chance.choice(deeds)()
    except (EndpointError, IndexError):
        return


async def check_after_kill(folder: Path, session_id: str, shown: dict[int, str]) -> None:
    """What lies on the disk now has all that was shown by now, and nothing of it is open after a start."""
    copy = folder.with_name("killed")
    shutil.copytree(folder, copy)
    async with chat_desk(copy) as after:
        await after.chats.load()
        found = await after.chats.open(session_id)
        kept = {turn.number: turn.text for turn in found.all_turns}
        for number, text in shown.items():
            assert kept.get(number, "").startswith(text), (number, text, kept.get(number))
        assert not any(turn.state.is_open for turn in found.all_turns)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_done_and_whatever_fails_all_that_was_said_is_kept_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def fail(writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await chance.choice(FAULTS)(writer)

    async with chat_desk(tmp_path / "desk") as desk, raw_server(fail) as server:
        conversation = desk.chats.new(target(server.port, engine=chance.choice(("llamacpp", "vllm", ""))))
        shown: dict[int, str] = {}
        for number in range(STEPS):
            await act(conversation, chance, number)
            await asyncio.sleep(chance.choice((0.0, 0.0, 0.01, 0.05)))
            for turn in conversation.all_turns:
                before = shown.get(turn.number, "")
                assert turn.text.startswith(before) or turn.state.is_open, "what was said stays"
                shown[turn.number] = turn.text
        live = conversation.live_turn()
        shown |= {live.number: live.text} if live is not None else {}

        await check_after_kill(tmp_path / "desk", conversation.id, shown)
        conversation.stop()
        await done(conversation)
        assert not conversation.is_answering.value
        assert not any(turn.state.is_open for turn in conversation.all_turns)
        texts = {turn.number: (turn.text, turn.state, turn.parent) for turn in conversation.all_turns}
        shown_last = [turn.number for turn in conversation.turns.value]
        for turn in conversation.all_turns:
            if turn.state is TurnState.DONE and turn.message.role is Role.ASSISTANT:
                assert turn.text.endswith("whole answer"), turn.text
        waiting = [each.text for each in conversation.queued.value]
        assert all(each.is_held for each in conversation.queued.value)
        await conversation.rename("last")
        async with asyncio.timeout(5):
            while set(desk.tasks.names) - {"index chats"}:
                await asyncio.sleep(0.01)
        await desk.restart()
        again = await desk.chats.open(conversation.id)
        assert {turn.number: (turn.text, turn.state, turn.parent) for turn in again.all_turns} == texts
        assert [turn.number for turn in again.turns.value][: len(shown_last)] == shown_last, "a fork alone is not kept"
        assert [each.text for each in again.queued.value] == waiting
