"""Searching chats: phrases before words before likeness, whatever is typed, and never at the cost of a message."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.chat.message import FilePart, Message, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn, TurnState
from sparkdesk.core.chat.store.chat_store import FoundMessage
from sparkdesk.core.chat.store.session_json import settings_to_json, turn_to_json
from sparkdesk.infra.store import SqliteStore, schema
from sparkdesk.infra.store.chat_index import BATCH_ROWS, MAX_PER_CHAT, NO_INDEX, ChatIndex
from sparkdesk.infra.store.database import damage_in


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield store
    await store.close()


def said(text: str, state: TurnState = TurnState.DONE) -> bytes:
    """A stored answer."""
    return turn_to_json(Turn(Message(Role.ASSISTANT, (TextPart(text),)), state=state))


async def places(store: SqliteStore, words: str) -> list[tuple[str, int]]:
    return [(found.session_id, found.turn) for found in await store.find_messages(words)]


async def test_the_phrase_comes_before_all_words_before_words_that_are_alike(store: SqliteStore) -> None:
    await store.save_message("like", 0, said("the tokeniser was ported to rust"))
    await store.save_message("words", 0, said("a port in rust, of the tokenizer"))
    await store.save_message("phrase", 0, said("see the tokenizer in rust now"))
    await store.save_message("other", 0, said("nothing of that here"))
    found = await store.find_messages("tokenizer in rust")
    assert [place.session_id for place in found][:2] == ["phrase", "words"]
    assert {place.session_id: place.is_like for place in found} == {"phrase": False, "words": False}
    alike = await store.find_messages("tokenizre rust")
    assert {place.session_id for place in alike} == {"words", "phrase"}
    assert all(place.is_like for place in alike)


@pytest.mark.parametrize("slip", ["conection", "connectoin", "cnonection", "connextion", "connections"])
async def test_a_slip_of_the_finger_finds_the_word(store: SqliteStore, slip: str) -> None:
    await store.save_message("s", 3, said("The connection was refused"))
    (found,) = await store.find_messages(slip)
    assert (found.turn, found.is_like) == (3, True)
    (mark,) = found.marks
    assert found.text[slice(*mark)] == "connection"


async def test_two_neighbours_exchanged_in_a_short_word_find_it(store: SqliteStore) -> None:
    await store.save_message("s", 0, said("written in Python"))
    assert await places(store, "pyhton") == [("s", 0)]


async def test_parts_of_words_and_words_of_two_characters_are_found(store: SqliteStore) -> None:
    await store.save_message("a", 0, said("the pre-tokenizer"))
    await store.save_message("b", 0, said("接続が拒否されました"))
    await store.save_message("c", 0, said("50% of it_works"))
    assert await places(store, "okeniz") == [("a", 0)]
    assert await places(store, "接続") == [("b", 0)]
    assert await places(store, "拒否され") == [("b", 0)]
    assert await places(store, "0%") == [("c", 0)]
    assert await places(store, "%") == [("c", 0)]
    assert await places(store, "it works") == [("c", 0)]
    assert await places(store, "to pre-tokenizer") == [("a", 0)]


async def test_titles_tags_and_names_of_files_are_found_and_titles_weigh_more(store: SqliteStore) -> None:
    head = settings_to_json(ChatSettings(tags=("zebra",), folder="Quarry"))
    file = turn_to_json(Turn(Message(Role.USER, (FilePart("zebra_notes.txt", "inside is a walrus"), TextPart("look")))))
    await store.save_message("said", 0, said("a zebra crossed, and a zebra again"))
    await store.save_message("file", 0, file)
    await store.save_session("head", "Zebra", head)
    assert [place[0] for place in await places(store, "zebra")] == ["head", "file", "said"]
    assert await places(store, "quarry") == [("head", -1)]
    assert await places(store, "walrus") == []


async def test_a_changed_title_and_a_changed_message_are_found_by_their_new_words_alone(store: SqliteStore) -> None:
    await store.save_session("s", "Alpha", b"{}")
    await store.save_message("s", 0, said("bravo"))
    await store.save_session("s", "Charlie", b"{}")
    await store.save_message("s", 0, said("delta"))
    assert await places(store, "alpha") + await places(store, "bravo") == []
    assert await places(store, "charlie") + await places(store, "delta") == [("s", -1), ("s", 0)]


async def test_thoughts_are_not_searched(store: SqliteStore) -> None:
    turn = Turn(Message(Role.ASSISTANT, (ReasoningPart("secretly"), TextPart("openly"))))
    await store.save_message("s", 0, turn_to_json(turn))
    assert await places(store, "secretly") == []


async def test_what_is_removed_is_not_found(store: SqliteStore) -> None:
    for position in range(3):
        await store.save_message("s", position, said(f"walrus {position}"))
        await store.save_message("t", position, said(f"walrus {position}"))
    await store.remove_messages("s", 1)
    assert sorted(await places(store, "walrus")) == [("s", 0), ("t", 0), ("t", 1), ("t", 2)]
    await store.remove_session("t")
    assert await places(store, "walrus") == [("s", 0)]


async def test_no_chat_takes_the_place_of_the_others(store: SqliteStore) -> None:
    await store.save_chat("many", "Many", b"{}", {at: said("the walrus walrus walrus") for at in range(60)})
    await store.save_message("one", 0, said("one walrus among many other words, which weigh it down in the order"))
    while await store.index_chats():
        pass
    found = await places(store, "walrus")
    assert ("one", 0) in found
    assert len([place for place in found if place[0] == "many"]) == MAX_PER_CHAT


async def test_an_answer_that_is_being_written_is_found_once_it_ended(store: SqliteStore) -> None:
    await store.save_message("s", 1, said("walrus", TurnState.STREAMING))
    assert await places(store, "walrus") == []
    await store.save_message("s", 1, said("walrus and more"))
    assert await places(store, "walrus") == [("s", 1)]
    assert await store.index_chats() == 0


async def test_chats_of_an_older_database_are_found_after_a_while(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "app.db") as db:
        schema.migrate(db, schema.MIGRATIONS[:2])
        db.execute("INSERT INTO sessions (id, title, meta) VALUES ('old', 'Antique', '{}')")
        number = db.execute("SELECT number FROM sessions").fetchone()[0]
        rows = [(number, at, said(f"walrus {at}")) for at in range(450)]
        db.executemany("INSERT INTO messages VALUES (?, ?, ?)", rows)
    db.close()
    store = SqliteStore(tmp_path)
    await store.open()
    left = [await store.index_chats() for _ in range(451 // BATCH_ROWS + 1)]
    assert left == [*range(451 - BATCH_ROWS, 0, -BATCH_ROWS), 0]
    assert await places(store, "antique") == [("old", -1)]
    assert await places(store, "walrus 449") == [("old", 449)]
    await store.close()


async def test_a_killed_program_leaves_its_answer_to_be_found(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.save_message("s", 0, said("walrus", TurnState.STREAMING))
    await store.close()
    again = SqliteStore(tmp_path)
    await again.open()
    await again.index_chats()
    assert await places(again, "walrus") == [("s", 0)]
    await again.close()


async def test_a_sqlite_without_an_index_reads_the_messages_and_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, index=ChatIndex("fts5000"))
    await store.open()
    assert store.notice == NO_INDEX
    await store.save_session("s", "Antique", b"{}")
    await store.save_message("s", 0, said("The Walrus sings"))
    await store.save_chat("t", "Import", b"{}", {0: said("a walrus sings too")})
    assert sorted(await places(store, "sings walrus")) == [("s", 0), ("t", 0)]
    assert await places(store, "antique") == [("s", -1)]
    assert await store.index_chats() == 0
    await store.remove_session("s")
    await store.close()
    better = SqliteStore(tmp_path)
    await better.open()
    assert better.notice == ""
    await better.index_chats()
    assert await places(better, "walrus") == [("t", 0)]
    await better.close()


async def test_a_damaged_index_costs_no_message_and_is_made_anew(store: SqliteStore) -> None:
    for position in range(20):
        await store.save_message("s", position, said(f"walrus number {position} " * 50))
    await store._database.write(lambda db: db.execute("UPDATE chat_words_data SET block = x'00' WHERE id > 1"))
    for position in range(20, 30):
        await store.save_message("s", position, said("walrus"))
    await store.save_message("s", 3, said("changed walrus"))
    assert len(await store.messages("s")) == 30
    while await store.index_chats():
        pass
    assert ("s", 3) in await places(store, "changed walrus")


async def test_the_marks_stand_on_the_words_in_the_excerpt(store: SqliteStore) -> None:
    text = f"{'before ' * 60}the Zephyr\n\tblows, a ZEPHYR indeed {'after ' * 60}"
    await store.save_message("s", 0, said(text))
    (found,) = await store.find_messages("zephyr")
    assert [found.text[start:end] for start, end in found.marks] == ["Zephyr", "ZEPHYR"]
    assert found.text.startswith("…before")
    assert found.text.endswith("…")
    assert "\n" not in found.text
    assert len(found.text) <= 170


def test_an_unsound_index_is_no_damage_of_the_file() -> None:
    index = "malformed inverted index for FTS5 table main.chat_words"
    assert damage_in(["ok"]) == ""
    assert damage_in([index]) == ""
    assert damage_in([index, "row 3 missing from index x"]) == "row 3 missing from index x"


async def test_a_question_to_a_damaged_index_is_answered_from_the_messages(store: SqliteStore) -> None:
    for position in range(20):
        await store.save_message("s", position, said(f"walrus number {position} " * 50))
    await store._database.write(lambda db: db.execute("DELETE FROM chat_words_data WHERE id > 10"))
    assert ("s", 19) in await places(store, "walrus number")


HOSTILE = [
    *(
        '"',
        '""',
        "*",
        "a*",
        "NEAR(a b)",
        "title:x",
        "^x",
        "-x",
        "a AND",
        "OR",
        "NOT",
        "(",
        ")",
        "+",
        "{a b}:",
        "[",
        "{",
    ),
    *("\0", "a\0b", "'", "';--", "%", "_", "!", "\\", "\ud800", "x" * 10_240, "a " * 5_000, "\U0001f680", "\u202e"),
    *("tag:", 'tag:"', "folder:x", "\ufb03", "\u0130", "\u0130stanbul"),
]


@pytest.mark.parametrize("words", HOSTILE)
async def test_any_question_is_answered(store: SqliteStore, words: str) -> None:
    await store.save_message("s", 0, said("plain words İstanbul \U0001f680 'quoted' 100%"))
    for found in await store.find_messages(words):
        assert isinstance(found, FoundMessage)


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=60, deadline=None)
async def test_a_text_is_found_by_any_word_of_it(
    tmp_path_factory: pytest.TempPathFactory, text: str, rest: str
) -> None:
    store = SqliteStore(None)
    await store.open()
    whole = f"{rest} {text} {rest}"
    await store.save_message("s", 0, said(whole))
    clean = whole.encode("utf-8", "replace").decode().replace("\0", " ")
    word = next((part for part in clean.split() if len(part) >= 3 and '"' not in part and ":" not in part), "")
    found = await store.find_messages(word)
    assert not word or [place.turn for place in found] == [0]
    for place in found:
        assert all(0 <= start < end <= len(place.text) for start, end in place.marks)
    await store.close()
