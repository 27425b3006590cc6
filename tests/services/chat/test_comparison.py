"""One question to several real servers at once: each answers on its own, and the list shows them as one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.errors import EndpointError
from sparkdesk.services.chat.comparison import Comparison
from sparkdesk.services.chat.endpoint import ChatEndpoint
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.second_quantization import make_q8_0
from tests.services.chat.test_conversation import Desk, desk, target  # noqa: F401

WEATHER = "What is the weather in Paris?"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LlamaServer, LlamaServer]]:
    """The small model, and the same as Q8_0."""
    second = make_q8_0(tmp_path_factory.mktemp("q8") / "tinytool-q8_0.gguf")
    with llama_server(context_tokens=1024) as ours, llama_server(model=second, context_tokens=1024) as theirs:
        yield ours, theirs


def column(server: LlamaServer, name: str) -> ChatEndpoint:
    """A server under a name of its own, as a deployment."""
    found = target(server.port)
    sampling = replace(found.sampling, max_tokens=40)
    return replace(found, id=name, endpoint=replace(found.endpoint, model=name), sampling=sampling)


def compared(desk: Desk, servers: tuple[LlamaServer, LlamaServer]) -> Comparison:  # noqa: F811
    return desk.chats.compare([column(servers[0], "tiny-f16"), column(servers[1], "tiny-q8_0")])


async def done(comparison: Comparison) -> None:
    async with asyncio.timeout(60):
        await comparison.finished()


async def test_one_question_is_answered_by_two_quantizations_side_by_side(
    desk: Desk,  # noqa: F811
    servers: tuple[LlamaServer, LlamaServer],
) -> None:
    comparison = compared(desk, servers)
    await comparison.ask(WEATHER)
    assert comparison.is_answering
    await done(comparison)
    for place, each in enumerate(comparison.columns):
        question, answer = each.turns.value
        assert question.text == WEATHER
        assert answer.state is TurnState.DONE
        assert answer.text
        assert answer.timing is not None
        assert answer.timing.ttft_s > 0
        assert answer.label.startswith(("tiny-f16", "tiny-q8_0")[place])


async def test_a_comparison_is_one_line_of_the_list_and_opens_again_after_a_restart(
    desk: Desk,  # noqa: F811
    servers: tuple[LlamaServer, LlamaServer],
) -> None:
    comparison = compared(desk, servers)
    await comparison.ask(WEATHER)
    await done(comparison)
    texts = [each.turns.value[-1].text for each in comparison.columns]
    await desk.restart()
    (line,) = desk.chats.sessions.value
    assert line.label == "2 models"
    assert len(line.comparison) == 2
    again = await desk.chats.open_comparison(line.comparison)
    assert [each.turns.value[-1].text for each in again.columns] == texts
    (found,) = await desk.chats.search("weather")
    assert found.summary == line
    await desk.chats.remove(line.id)
    assert desk.chats.sessions.value == ()
    assert await desk.store.sessions() == ()


async def test_a_server_that_is_gone_does_not_keep_the_other_column_waiting(
    desk: Desk,  # noqa: F811
    servers: tuple[LlamaServer, LlamaServer],
) -> None:
    comparison = desk.chats.compare([column(servers[0], "tiny-f16"), replace(target(1), id="gone")])
    await comparison.ask(WEATHER)
    await done(comparison)
    first, second = (each.turns.value[-1] for each in comparison.columns)
    assert first.state is TurnState.DONE
    assert second.state is TurnState.FAILED
    assert second.remedy


async def test_a_column_without_a_model_is_told_and_the_others_are_asked(
    desk: Desk,  # noqa: F811
    servers: tuple[LlamaServer, LlamaServer],
) -> None:
    comparison = compared(desk, servers)
    comparison.columns[0].use(None)
    with pytest.raises(EndpointError):
        await comparison.ask(WEATHER)
    await done(comparison)
    assert comparison.columns[0].turns.value == ()
    assert comparison.columns[1].turns.value[-1].state is TurnState.DONE


async def test_stop_ends_every_column_and_keeps_what_was_said(
    desk: Desk,  # noqa: F811
    servers: tuple[LlamaServer, LlamaServer],
) -> None:
    comparison = compared(desk, servers)
    await comparison.ask(WEATHER)
    comparison.stop()
    await done(comparison)
    assert not comparison.is_answering
    for server in servers:
        assert await asyncio.to_thread(server.wait_idle)


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_a_comparison_is_of_two_to_four(desk: Desk, count: int) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="2 to 4"):
        desk.chats.compare([target(1)] * count)
