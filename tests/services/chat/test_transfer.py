"""Exports and imports over a real database: whole, beside what is there, and told in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.chat.message import ImagePart, Message, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.store.session_json import settings_to_json, turn_to_json
from sparkdesk.core.chat.transfer.chat_copy import TransferForm
from sparkdesk.core.chat.transfer.file import MAX_BYTES, import_obstacle
from sparkdesk.core.errors import StoreError
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.transfer import ChatTransfer
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.tasks import Tasks

CAT = b"\x89PNG cat"


class Desk:
    """Transfers over a real database."""

    def __init__(self, folder: Path) -> None:
        self.tasks = Tasks()
        self.store = SqliteStore(folder)
        clock = SystemClock()
        self.chats = Conversations(tasks=self.tasks, store=self.store, clock=clock)
        self.transfer = ChatTransfer(conversations=self.chats, store=self.store, clock=clock)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.store.open()
    yield desk
    await desk.tasks.close()
    await desk.store.close()


async def keep(desk: Desk, session_id: str = "s", title: str = "Cats & dogs: 1/2") -> None:

    digest = hashlib.sha256(CAT).hexdigest()
    image = ImagePart("cat.png", digest, "image/png", 1, 1, len(CAT))
    turns = (
        Turn(Message(Role.USER, (TextPart("What?"), image)), number=0),
        Turn(Message(Role.ASSISTANT, (TextPart("A cat"),)), number=1, parent=0, t_ms=1_700_000_000_000),
        Turn(Message(Role.ASSISTANT, (TextPart("A walrus"),)), number=2, parent=0),
    )
    settings = ChatSettings(updated_ms=5, leaf=1, folder="Zoo", tags=("a",))
    messages = {turn.number: turn_to_json(turn) for turn in turns}
    await desk.store.save_chat(session_id, title, settings_to_json(settings), messages)
    await desk.store.save_attachment(session_id, digest, CAT)


async def test_an_export_that_is_imported_again_is_a_second_chat_with_everything(desk: Desk) -> None:
    await keep(desk)
    name, data = await desk.transfer.export(["s"], TransferForm.JSON)
    assert name == "Cats-dogs-1-2.json"
    await desk.store.remove_session("s")
    report = await desk.transfer.import_chats(data)
    (new_id,) = report.imported
    assert (report.total, report.sentence, report.notes) == (1, "1 chat was imported from SparkDesk.", ())
    conversation = await desk.chats.open(new_id)
    assert [turn.text for turn in conversation.turns.value] == ["What?", "A cat"]
    assert conversation.siblings(1) == (1, 2)
    assert (conversation.settings.value.folder, conversation.title.value) == ("Zoo", "Cats & dogs: 1/2")
    (image,) = conversation.turns.value[0].message.attachments
    assert isinstance(image, ImagePart)
    assert await desk.store.attachment(image.digest) == CAT
    while await desk.store.index_chats():
        pass
    assert [found.summary.id for found in await desk.chats.search("walrus")] == [new_id]


async def test_an_import_lies_beside_what_is_there_and_keeps_its_times(desk: Desk) -> None:
    await keep(desk)
    await desk.chats.load()
    _, data = await desk.transfer.export(["s"], TransferForm.OPENAI)
    report = await desk.transfer.import_chats(data)
    listed = {summary.id: summary for summary in desk.chats.sessions.value}
    assert listed.keys() == {"s", *report.imported}
    future = json.dumps([{"title": "x", "update_time": 9e9, "mapping": {"a": {"message": {
        "author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hi"]}}}}}])  # fmt: skip
    (new_id,) = (await desk.transfer.import_chats(future.encode())).imported
    listed = {summary.id: summary for summary in desk.chats.sessions.value}
    assert listed[new_id].updated_ms <= SystemClock().now_ms()


async def test_a_file_that_is_no_export_changes_nothing_and_says_so(desk: Desk) -> None:
    report = await desk.transfer.import_chats(b"\x00\x01 not one")
    assert report.imported == ()
    assert report.sentence == "No chat was imported."
    assert "no export of chats" in report.notes[0]
    assert await desk.store.sessions() == ()


async def test_several_chats_go_into_one_file_of_every_form(desk: Desk) -> None:
    await keep(desk, "s")
    await keep(desk, "t", "Two")
    for form in TransferForm:
        name, data = await desk.transfer.export(["s", "t", "none"], form)
        assert name.startswith("2-chats-")
        assert name.endswith(form.suffix)
        report = await desk.transfer.import_chats(data)
        assert len(report.imported) == 2, form


async def test_there_must_be_something_to_export(desk: Desk) -> None:
    with pytest.raises(StoreError) as caught:
        await desk.transfer.export(["none"], TransferForm.JSON)
    assert caught.value.remedy


async def test_a_name_of_signs_alone_gives_a_file_name(desk: Desk) -> None:
    await keep(desk, title="../..\\:*?")
    name, _ = await desk.transfer.export(["s"], TransferForm.MARKDOWN)
    assert name == "chat.md"


async def keep_columns(desk: Desk, count: int) -> list[str]:
    """Stored columns of one comparison."""
    ids = [f"c{at}" for at in range(count)]
    for at, session_id in enumerate(ids):
        turn = Turn(Message(Role.USER, (TextPart(f"What, {at}?"),)), number=0)
        settings = ChatSettings(updated_ms=5, comparison="cmp", column=at)
        await desk.store.save_chat(session_id, "What?", settings_to_json(settings), {0: turn_to_json(turn)})
    await desk.chats.load()
    return ids


async def test_a_comparison_that_is_imported_again_stands_beside_the_first_and_both_open(desk: Desk) -> None:
    ids = await keep_columns(desk, 3)
    _, data = await desk.transfer.export(ids, TransferForm.JSON)
    for _ in range(2):
        await desk.transfer.import_chats(data)
    lines = desk.chats.sessions.value
    assert [line.label for line in lines] == ["3 models"] * 3
    for line in lines:
        opened = await desk.chats.open_comparison(line.comparison)
        assert [column.turns.value[0].text for column in opened.columns] == ["What, 0?", "What, 1?", "What, 2?"]
    assert len({key for line in lines for key in line.comparison}) == 9


async def test_a_column_that_is_imported_alone_is_a_plain_chat(desk: Desk) -> None:
    ids = await keep_columns(desk, 2)
    _, data = await desk.transfer.export(ids[:1], TransferForm.JSON)
    (new_id,) = (await desk.transfer.import_chats(data)).imported
    settings = (await desk.chats.open(new_id)).settings.value
    assert (settings.comparison, settings.column) == ("", 0)
    assert sorted(line.comparison for line in desk.chats.sessions.value) == [(), ("c0", "c1")]


async def test_a_stored_group_of_more_columns_than_a_comparison_has_is_listed_as_plain_chats(desk: Desk) -> None:
    ids = await keep_columns(desk, 6)
    lines = desk.chats.sessions.value
    assert {line.id for line in lines} == set(ids)
    assert not any(line.comparison for line in lines)
    for line in lines:
        assert (await desk.chats.open(line.id)).turns.value
    _, data = await desk.transfer.export(ids, TransferForm.JSON)
    await desk.transfer.import_chats(data)
    assert len(desk.chats.sessions.value) == 12


async def test_an_export_that_could_not_be_imported_again_is_known_as_such(desk: Desk) -> None:
    await keep(desk)
    _, data = await desk.transfer.export(["s"], TransferForm.JSON)
    assert import_obstacle(data) == ""
    large = bytes(MAX_BYTES + 1)
    assert f"larger than {MAX_BYTES >> 20} MiB" in import_obstacle(large)
    assert (await desk.transfer.import_chats(large)).imported == ()
    assert import_obstacle(large[1:]) == ""
