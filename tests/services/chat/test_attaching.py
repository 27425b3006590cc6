"""What goes along with a question, and drafts that outlive the program."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.message import MAX_FILE_BYTES, FilePart, ImagePart
from sparkdesk.core.errors import SettingsError
from sparkdesk.infra.attachment_file import AttachmentFiles
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.attaching import (
    DRAFT_KIND,
    FILE_KIND,
    MAX_KEPT_IMAGE_BYTES,
    Attaching,
    Draft,
    Drafts,
    Picture,
    draft_from_json,
    file_from_json,
)
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.tasks import Tasks

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x08\x00\x00\x00\x04\x08\x02\x00\x00\x00" + b"\x00" * 8
PICTURE = Picture(b"only pixels", "image/png", 8, 4)


async def count_words(text: str) -> TokenCount:
    """A tokenizer that takes each word for a token."""
    return TokenCount(len(text.split()), True)


async def write_anew(data: bytes, media_type: str) -> Picture:
    """A decoder that knows one image."""
    if data != PNG or media_type != "image/png":
        raise SettingsError("The image is damaged", remedy="Save it anew.")
    return PICTURE


def attaching() -> Attaching:
    return Attaching(AttachmentFiles(), make_picture=write_anew, count=count_words)


@asynccontextmanager
async def kept_drafts(path: Path) -> AsyncIterator[Drafts]:
    """The drafts of one run of the program, over its database."""
    tasks, store = Tasks(), SqliteStore(path)
    await store.open()
    try:
        drafts = Drafts(tasks=tasks, store=store)
        await drafts.load()
        yield drafts
        await asyncio.sleep(0)  # a window that closes has drawn once more
    finally:
        await tasks.close()
        await store.close()


def image_draft(data: bytes, text: str = "What is this?") -> Draft:
    digest = hashlib.sha256(data).hexdigest()
    return Draft(text, (ImagePart("a.png", digest, "image/png", 8, 4, len(data)),), {digest: data})


async def test_a_file_goes_along_with_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("four words of text")
    found = await attaching().read(str(path))
    assert found.part == FilePart("notes.md", "four words of text", "text/plain", 18)
    assert found.cost == TokenCount(4, True)
    assert found.data is None


async def test_an_image_goes_along_as_it_was_written_anew_never_as_the_file_was(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    found = await attaching().read(str(path))
    digest = hashlib.sha256(PICTURE.data).hexdigest()
    assert found.part == ImagePart("photo.png", digest, "image/png", 8, 4, len(PICTURE.data))
    assert found.data == PICTURE.data
    assert found.cost is None


async def test_an_image_that_cannot_be_decoded_does_not_go_along(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG + b"more")
    with pytest.raises(SettingsError, match="damaged"):
        await attaching().read(str(path))


async def test_a_long_paste_becomes_a_file_of_its_own_size() -> None:
    found = await attaching().add_text("größer als gedacht", "pasted-1.txt")
    assert found.part == FilePart("pasted-1.txt", "größer als gedacht", "text/plain", 20)
    assert found.cost == TokenCount(3, True)


async def test_a_draft_is_there_after_the_program_ended_in_the_same_second(tmp_path: Path) -> None:
    draft = image_draft(b"only pixels")
    async with kept_drafts(tmp_path / "app.db") as drafts:
        drafts.keep("chat", Draft("half a thou"))
        drafts.keep("chat", draft)
        drafts.keep("other", Draft("words"))
    async with kept_drafts(tmp_path / "app.db") as drafts:
        assert drafts.of("chat") == draft
        assert drafts.of("other") == Draft("words")
        assert drafts.of("third") == Draft()
        drafts.keep("chat", Draft())
    async with kept_drafts(tmp_path / "app.db") as drafts:
        assert drafts.of("chat") == Draft()
        assert drafts.of("other") == Draft("words")


async def test_what_is_typed_while_the_drafts_are_read_goes_before_them(tmp_path: Path) -> None:
    async with kept_drafts(tmp_path / "app.db") as drafts:
        drafts.keep("chat", Draft("of yesterday"))
    tasks, store = Tasks(), SqliteStore(tmp_path / "app.db")
    await store.open()
    drafts = Drafts(tasks=tasks, store=store)
    drafts.keep("chat", Draft("of today"))
    await drafts.load()
    assert drafts.of("chat") == Draft("of today")
    await tasks.close()
    await store.close()


async def test_many_keystrokes_are_written_once() -> None:
    tasks, store = Tasks(), SqliteStore(None)
    await store.open()
    drafts = Drafts(tasks=tasks, store=store)
    for length in range(1, 50):
        drafts.keep("chat", Draft("x" * length))
    assert len(tasks.names) == 1
    assert await store.documents(DRAFT_KIND) == {}
    await drafts.save()
    assert draft_from_json((await store.documents(DRAFT_KIND))["chat"], "chat", {})[0] == Draft("x" * 49)
    await tasks.close()
    await store.close()


async def stored_of(drafts: Draft) -> tuple[bytes, dict[str, bytes]]:
    """A draft as it lies in the store: its words, and its files by their places."""
    tasks, store = Tasks(), SqliteStore(None)
    await store.open()
    kept = Drafts(tasks=tasks, store=store)
    kept.keep("chat", drafts)
    await kept.save()
    words, files = await store.documents(DRAFT_KIND), await store.documents(FILE_KIND)
    await tasks.close()
    await store.close()
    return words["chat"], files


async def test_a_file_is_written_once_however_much_is_typed_and_goes_with_its_draft() -> None:
    tasks, store = Tasks(), SqliteStore(None)
    await store.open()
    drafts = Drafts(tasks=tasks, store=store)
    file = FilePart("long.txt", "words " * 100_000, "text/plain", 600_000)
    drafts.keep("chat", Draft("a", (file,)))
    await drafts.save()
    (place,) = await store.documents(FILE_KIND)
    await store.save_document(FILE_KIND, place, b"untouched")
    drafts.keep("chat", Draft("ab", (file,)))
    await drafts.save()
    assert await store.documents(FILE_KIND) == {place: b"untouched"}
    assert len((await store.documents(DRAFT_KIND))["chat"]) < 100
    drafts.keep("chat", Draft())
    await drafts.save()
    assert await store.documents(FILE_KIND) == {}
    assert await store.documents(DRAFT_KIND) == {}
    await tasks.close()
    await store.close()


async def test_files_that_no_draft_names_are_swept_away(tmp_path: Path) -> None:
    async with kept_drafts(tmp_path / "app.db") as drafts:
        drafts.keep("chat", Draft("words", (FilePart("a.txt", "x", "text/plain", 1),)))
        await drafts.save()
        await drafts._store.save_document(FILE_KIND, "gone/1", b"{}")
    async with kept_drafts(tmp_path / "app.db") as drafts:
        assert len(await drafts._store.documents(FILE_KIND)) == 1
        assert len(drafts.of("chat").attachments) == 1


async def test_of_a_paste_without_end_the_beginning_is_kept_and_said() -> None:
    found = await attaching().add_text("ä" * MAX_FILE_BYTES, "pasted-1.txt")
    assert isinstance(found.part, FilePart)
    assert found.part.text == "ä" * (MAX_FILE_BYTES // 2)
    assert found.part.note == "only the first 1.05 of 2.10 MB"
    assert found.part.size_bytes == 2 * MAX_FILE_BYTES


async def test_images_beyond_the_limit_are_left_out_with_their_names() -> None:
    first, second = image_draft(b"a" * 1000), image_draft(b"b" * MAX_KEPT_IMAGE_BYTES)
    both = Draft("Both", first.attachments + second.attachments, {**first.images, **second.images})
    words, files = await stored_of(both)
    assert draft_from_json(words, "chat", files)[0] == Draft("Both", first.attachments, first.images)


async def test_an_image_under_a_digest_that_is_not_its_own_is_left_out() -> None:
    words, files = await stored_of(image_draft(b"only pixels"))
    other = {place: data.replace(b"b25seSBwaXhlbHM=", b"b3RoZXIgcGl4ZWxz") for place, data in files.items()}
    assert other != files
    assert draft_from_json(words, "chat", other)[0] == Draft("What is this?")


HOSTILE = (
    b"{}",
    b"[]",
    b"null",
    b'{"text": 3, "files": {}}',
    b'{"text": "", "files": [[]]}',
    b'{"turn": 3, "data": 4}',
)


@given(st.binary(max_size=200) | st.sampled_from(HOSTILE), st.binary(max_size=50) | st.sampled_from(HOSTILE))
def test_any_stored_bytes_become_a_draft(words: bytes, file: bytes) -> None:
    assert draft_from_json(words, "chat", {"chat/1": file})[0].attachments == ()
    assert file_from_json(file) is None


@given(st.text(max_size=50), st.sets(st.text(max_size=20), max_size=3), st.binary(min_size=1, max_size=20))
async def test_a_draft_is_the_same_after_it_was_stored(text: str, names: set[str], pixels: bytes) -> None:
    files = tuple(FilePart(name, "words", "text/plain", 5) for name in sorted(names))
    image = image_draft(pixels)
    draft = Draft(text, (*files, *image.attachments), image.images)
    words, stored = await stored_of(draft)
    assert draft_from_json(words, "chat", stored)[0] == draft
