"""Retrieval: what is near to the question is sent, by vectors of a served model that are made once and kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.chat.context import WindowPolicy
from sparkdesk.core.chat.message import FilePart, Role
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.context.embedding import Embedder, read_vectors
from sparkdesk.services.chat.context.fitter import WindowFitter
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.services.chat.context.window_desk import Pages, fit, said, serving, talk, target

WORDS = ("oak", "river", "engine", "recipe", "garden")


def embeddings(body: Mapping[str, Any]) -> tuple[int, object]:
    """A vector says which of five words a text has, and how often."""
    rows = [[float(text.lower().count(word)) + 0.001 for word in WORDS] for text in body["input"]]
    data = [{"index": at, "embedding": row} for at, row in reversed(list(enumerate(rows)))]
    return 200, {"data": data, "model": body["model"]}


def tokenize(body: Mapping[str, Any]) -> tuple[int, object]:
    """A token for each four characters, and eight around a message."""
    messages = body.get("messages", [{"content": body.get("prompt", "")}])
    return 200, {"count": sum(len(message["content"]) // 4 + 8 for message in messages)}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.save_session("chat1", "A chat", b"{}")
    yield store
    await store.close()


@pytest.fixture
async def server() -> AsyncIterator[Pages]:
    async with serving({"/tokenize": tokenize, "/v1/embeddings": embeddings}) as server:
        yield server


@pytest.fixture(scope="module")
def vectors() -> Iterator[LlamaServer]:
    with llama_server(context_tokens=2048, makes_vectors=True) as server:
        yield server


LONG = talk(
    "Tell me of the oak.",
    "The oak is four hundred years old. " + "It stands well. " * 20,
    "And the river?",
    "The river is called Ilm. " + "It flows. " * 40,
    "And the engine?",
    "The engine has six cylinders. " + "It runs. " * 60,
    "What of the weather?",
    "It rains. " * 60,
    "How old was the oak again?",
)


async def test_of_older_turns_the_nearest_are_sent_as_excerpts_with_their_source(
    store: SqliteStore, server: Pages
) -> None:
    at = target(server.port, engine="vllm", context_tokens=600, embed=target(server.port, model="vec"))
    fitted = await fit(WindowFitter(store), at, LONG, WindowPolicy.RETRIEVE)
    texts = " ".join(excerpt.text for excerpt in fitted.sent.excerpts)
    assert "four hundred years" in texts
    assert "four hundred years" in fitted.messages[-1].text, "excerpts go with the question"
    assert [excerpt.turn for excerpt in fitted.sent.excerpts] == sorted(e.turn for e in fitted.sent.excerpts)
    assert 1 in fitted.sent.left_out
    sent = [{"content": message.text} for message in fitted.messages]
    assert tokenize({"messages": sent})[1]["count"] <= 600 - 32
    assert fitted.sent.note == ""


async def test_a_piece_is_embedded_once_for_each_model(store: SqliteStore, server: Pages) -> None:
    fitter = WindowFitter(store)
    at = target(server.port, engine="vllm", context_tokens=600, embed=target(server.port, model="vec"))
    first = await fit(fitter, at, LONG, WindowPolicy.RETRIEVE)
    asked = [text for path, body in server.asked if path == "/v1/embeddings" for text in body["input"]]
    assert len(asked) == len(set(asked))
    server.asked.clear()
    again = await fit(fitter, at, LONG, WindowPolicy.RETRIEVE)
    assert [body["input"] for path, body in server.asked if path == "/v1/embeddings"] == [[LONG[-1].text]]
    assert again.sent.excerpts == first.sent.excerpts
    assert set(await store.vectors("chat1", "vec")) != set()
    assert await store.vectors("chat1", "another") == {}


async def test_a_file_that_is_too_large_goes_as_excerpts(store: SqliteStore, server: Pages) -> None:
    text = "".join(f"Chapter {at}. The {WORDS[at % 5]} of page {at}. {'And more. ' * 40}\n\n" for at in range(40))
    asked = said(0, Role.USER, "What is said of the river?", FilePart("book.txt", text))
    at = target(server.port, engine="vllm", context_tokens=1000, embed=target(server.port, model="vec"))
    fitted = await fit(WindowFitter(store), at, (asked,), WindowPolicy.RETRIEVE)
    assert {excerpt.source for excerpt in fitted.sent.excerpts} == {"book.txt"}
    assert all("river" in excerpt.text for excerpt in fitted.sent.excerpts)
    assert fitted.messages[-1].attachments == ()
    assert "from the file book.txt" in fitted.messages[-1].text
    assert fitted.messages[-1].text.endswith("What is said of the river?")
    assert fitted.sent.left_out == (0,), "its file did not go as it is"


async def test_the_window_is_used_although_the_first_estimate_was_far_off(store: SqliteStore) -> None:
    def letters(body: Mapping[str, Any]) -> tuple[int, object]:
        messages = body.get("messages", [{"content": body.get("prompt", "")}])
        return 200, {"count": sum(len(message["content"]) for message in messages)}

    async with serving({"/tokenize": letters, "/v1/embeddings": embeddings}) as server:
        at = target(server.port, engine="vllm", context_tokens=4000, embed=target(server.port, model="vec"))
        turns = (*talk(*[f"The oak of {number}. " * 20 for number in range(600)]), said(600, Role.USER, LONG[-1].text))
        fitted = await fit(WindowFitter(store), at, turns, WindowPolicy.RETRIEVE)
    size = sum(len(message.text) for message in fitted.messages)
    assert 2800 < size <= 4000 - 32
    assert fitted.sent.excerpts


async def test_what_fits_is_not_searched(store: SqliteStore, server: Pages) -> None:
    at = target(server.port, engine="vllm", context_tokens=8000, embed=target(server.port, model="vec"))
    fitted = await fit(WindowFitter(store), at, LONG, WindowPolicy.RETRIEVE)
    assert len(fitted.messages) == len(LONG)
    assert "/v1/embeddings" not in server.paths()


async def test_without_a_server_of_vectors_the_oldest_are_left_out_and_the_note_says_why(
    store: SqliteStore, server: Pages
) -> None:
    none = target(server.port, engine="vllm", context_tokens=600)
    fitted = await fit(WindowFitter(store), none, LONG, WindowPolicy.RETRIEVE)
    assert "No embedding server runs" in fitted.sent.note
    assert fitted.sent.left_out
    assert fitted.sent.excerpts == ()
    broken = target(server.port, engine="vllm", context_tokens=600, embed=target(1, model="vec"))
    fitted = await fit(WindowFitter(store), broken, LONG, WindowPolicy.RETRIEVE)
    assert "cannot be reached" in fitted.sent.note
    assert fitted.sent.left_out


async def test_a_real_llama_server_makes_vectors_that_find_the_same_words(
    store: SqliteStore, vectors: LlamaServer, server: Pages
) -> None:
    at = target(server.port, engine="vllm", context_tokens=600, embed=target(vectors.port))
    turns = (*LONG[:-1], said(8, Role.USER, LONG[1].text))
    fitted = await fit(WindowFitter(store), at, turns, WindowPolicy.RETRIEVE)
    assert any(excerpt.turn == 1 and excerpt.nearness > 0.999 for excerpt in fitted.sent.excerpts)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}',
        b'{"data": [{"embedding": "AAAA"}, {"embedding": [1]}]}',
        b'{"data": [{"embedding": [NaN]}, {"embedding": [1]}]}',
    ],
)
def test_an_answer_without_a_vector_for_each_text_is_none(answer: bytes) -> None:
    assert read_vectors(answer, 2) is None


async def test_a_server_that_refuses_is_told_with_its_words(store: SqliteStore) -> None:
    refused = {"error": {"message": "This server does not support embeddings. Start it with `--embeddings`"}}
    async with serving({"/v1/embeddings": lambda _body: (501, refused)}) as server:
        found = await Embedder(store).embed("chat1", target(server.port), "a question", ())
    assert found.question is None
    assert "does not support embeddings" in found.problem
