"""Files that are attached, with the hostile ones: every one of them ends in a text or in words, soon."""

from __future__ import annotations

import asyncio
import io
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from sparkdesk.core.chat.message import MAX_FILE_BYTES, FilePart, ImagePart
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.ports import ReadAttachment
from sparkdesk.infra.attachment_file import AttachmentFiles, clean_name
from sparkdesk.infra.image_header import read_image_header
from sparkdesk.infra.pdf_text import read_pdf

LIMIT_S = 40.0


async def read(path: Path | str) -> ReadAttachment:
    """Whatever lies there, in bounded time."""
    async with asyncio.timeout(LIMIT_S):
        return await AttachmentFiles().read(str(path))


async def refusal(path: Path | str) -> str:
    """The words with which it is refused."""
    with pytest.raises(SettingsError) as caught:
        await read(path)
    assert caught.value.remedy
    return caught.value.message


async def text_of(path: Path) -> FilePart:
    found = await read(path)
    assert isinstance(found.part, FilePart)
    assert found.data is None
    return found.part


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def make_pdf(*pages: str, password: str = "", owner: str = "", stream: bytes | None = None) -> bytes:
    """A PDF whose pages say these words; "" is a page without text, as in a scan."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for words in pages:
        page = writer.add_blank_page(600, 800)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        if words or stream is not None:
            content = DecodedStreamObject()
            content.set_data(stream or f"BT /F1 12 Tf 20 700 Td ({words}) Tj ET".encode())
            page[NameObject("/Contents")] = writer._add_object(content.flate_encode())
    if password or owner:
        writer.encrypt(password, owner or None, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG that says it has this size."""
    body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


async def test_code_is_read_as_it_is_whatever_its_name(tmp_path: Path) -> None:
    code = 'fn größe() -> &\'static str {\r\n\t"日本"\n}\n'
    part = await text_of(put(tmp_path, "lib.dat", code.encode()))
    assert (part.name, part.text, part.media_type, part.note) == ("lib.dat", code, "text/plain", "")
    assert part.size_bytes == len(code.encode())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
async def test_a_byte_order_mark_names_the_encoding_and_is_no_text(tmp_path: Path, encoding: str) -> None:
    part = await text_of(put(tmp_path, "a.csv", "größe;1\n日本;2\n".encode(encoding)))
    assert part.text == "größe;1\n日本;2\n"
    assert part.note == ""


async def test_a_text_in_another_encoding_is_read_and_says_what_is_lost(tmp_path: Path) -> None:
    part = await text_of(put(tmp_path, "old.txt", "Größe und Maß".encode("latin-1")))
    assert part.text == "Gr\ufffd\ufffde und Ma\ufffd"
    assert part.note == "3 characters could not be read: it is not UTF-8"


async def test_of_a_long_text_the_beginning_is_kept_and_the_note_says_so(tmp_path: Path) -> None:
    # Two bytes a character and an odd limit: the last character is cut in two, and is nobody's mistake.
    path = put(tmp_path, "long.log", b"x" + "ä".encode() * MAX_FILE_BYTES)
    part = await text_of(path)
    assert len(part.text.encode()) == MAX_FILE_BYTES - 1
    assert "\ufffd" not in part.text
    assert part.size_bytes == 2 * MAX_FILE_BYTES + 1
    assert part.note == "only the first 1.05 of 2.10 MB"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "It is empty"),
        (b" \n\t\n", "nothing but white space"),
        (b"\x7fELF\x02\x01\x01\x00rest", "a program, not text"),
        (b"PK\x03\x04rest", "a ZIP archive or an office document"),
        (b"words\x00and more words", "binary data"),
        (bytes(range(1, 32)) * 9, "binary data"),
        (b"\x00\x00\x00\x18ftypheic", "an HEIC image"),
        (b"\x89PNG\r\n\x1a\nbroken", "begins like an image but is damaged"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "begins like an image but is damaged"),
    ],
)
async def test_what_is_no_text_is_refused_in_words(tmp_path: Path, data: bytes, words: str) -> None:
    said = await refusal(put(tmp_path, "notes.txt", data))
    assert said.startswith("notes.txt was not attached. ")
    assert words in said


async def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "notes.txt")
    assert "a device or a pipe" in await refusal(tmp_path / "notes.txt")


async def test_a_link_to_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").symlink_to("/dev/zero")
    assert "zero was not attached. It is a device or a pipe" in await refusal(tmp_path / "notes.txt")


async def test_a_link_to_the_kernels_pages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").symlink_to("/proc/self/environ")
    assert "a page of the system's" in await refusal(tmp_path / "notes.txt")


async def test_a_link_goes_by_the_name_of_what_it_leads_to(tmp_path: Path) -> None:
    put(tmp_path, "id_ed25519", b"PRIVATE KEY")
    (tmp_path / "notes.txt").symlink_to("id_ed25519")
    part = await text_of(tmp_path / "notes.txt")
    assert part.name == "id_ed25519"
    assert part.note == "notes.txt is a link to it"


async def test_links_in_a_circle_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    assert "leads in a circle" in await refusal(tmp_path / "round")
    assert "It is a folder" in await refusal(tmp_path)
    assert "no such file" in await refusal(tmp_path / "gone")
    assert "was not attached" in await refusal("a\x00b")


async def test_ten_gigabytes_of_nothing_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(10 << 30)
    assert "binary data" in await refusal(tmp_path / "huge.txt")


async def test_ten_gigabytes_that_begin_as_text_give_their_beginning(tmp_path: Path) -> None:
    with (tmp_path / "huge.log").open("wb") as file:
        file.write(b"line\n" * 300_000)
        file.truncate(10 << 30)
    part = await text_of(tmp_path / "huge.log")
    assert len(part.text) == MAX_FILE_BYTES
    assert part.note == "only the first 1.05 of 10,737.42 MB"


async def test_a_pdf_or_image_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    for name, start in (("huge.pdf", b"%PDF-1.7\n"), ("huge.png", png(8, 8))):
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(10 << 30)
        assert "It has 10,737.4 MB; at most" in await refusal(tmp_path / name)


async def test_an_image_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    data = png(640, 480)
    found = await read(put(tmp_path, "report.txt", data))
    assert isinstance(found.part, ImagePart)
    assert (found.part.media_type, found.part.width_px, found.part.height_px) == ("image/png", 640, 480)
    assert found.data == data
    assert found.part.size_bytes == len(data)
    part = await text_of(put(tmp_path, "words.png", b"only words"))
    assert part.text == "only words"


async def test_an_image_that_says_it_is_a_city_of_pixels_is_refused(tmp_path: Path) -> None:
    said = await refusal(put(tmp_path, "bomb.png", png(60_000, 60_000)))
    assert "60,000 x 60,000 pixels" in said


async def test_the_text_of_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    data = make_pdf("First page", "", "Third page")
    part = await text_of(put(tmp_path, "paper.pdf", data))
    assert part.text == "First page\n\nThird page"
    assert part.media_type == "application/pdf"
    assert part.size_bytes == len(data)
    assert part.note == "1 of 3 pages has no text"


async def test_a_locked_pdf_a_scan_and_a_damaged_one_are_refused_in_words(tmp_path: Path) -> None:
    locked = await refusal(put(tmp_path, "locked.pdf", make_pdf("Secret", password="hunter2")))
    assert locked == "locked.pdf was not attached. It is locked with a password"
    scan = await refusal(put(tmp_path, "scan.pdf", make_pdf("", "")))
    assert scan == "scan.pdf was not attached. It has no text: it is probably a scan"
    broken = await refusal(put(tmp_path, "broken.pdf", b"%PDF-1.7\n" + os.urandom(2000)))
    assert broken == "broken.pdf was not attached. It is damaged or no PDF"


async def test_a_pdf_that_is_only_protected_against_changes_is_read(tmp_path: Path) -> None:
    part = await text_of(put(tmp_path, "paper.pdf", make_pdf("For all to read", owner="boss")))
    assert part.text == "For all to read"


async def test_a_pdf_that_unpacks_without_end_cannot_take_the_memory(tmp_path: Path) -> None:
    pages = make_pdf("x", stream=b"BT /F1 12 Tf (a) Tj ET\n" + b" " * (300 << 20))
    assert len(pages) < 1 << 20
    assert (await refusal(put(tmp_path, "bomb.pdf", pages))).startswith("bomb.pdf was not attached. ")


async def test_a_pdf_that_takes_too_long_keeps_the_pages_that_came() -> None:
    slow = make_pdf("quick", stream=b"BT /F1 12 Tf " + b"(slow words) Tj " * 400_000 + b"ET")
    with pytest.raises(SettingsError, match=r"Reading it took longer than 1 s"):
        await read_pdf(slow, "slow.pdf", timeout_s=1.0)


async def test_a_long_pdf_is_cut_and_its_note_names_the_pages(tmp_path: Path) -> None:
    data = make_pdf(*(["y" * 60_000] * 30))
    part = await text_of(put(tmp_path, "book.pdf", data))
    assert len(part.text.encode()) <= MAX_FILE_BYTES + 2 * 30
    assert part.note == "only the first 18 of 30 pages"


def test_names_that_lie_are_shown_as_they_are() -> None:
    assert clean_name("/tmp/photo\u202egnp.exe") == "photo\ufffdgnp.exe"
    assert clean_name("/tmp/a\nb.txt") == "a␊b.txt"
    long = clean_name("/tmp/" + "n" * 250 + ".py")
    assert len(long) == 120
    assert long.endswith("n….py")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBPVP8 ", b"\xff\xfe"]),
    rest=st.binary(max_size=200),
)
async def test_any_bytes_end_in_a_part_or_in_words(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(start + rest)
    try:
        part = (await read(path)).part
    except SettingsError:
        return  # which cannot be made without words
    assert isinstance(part, FilePart | ImagePart)


@settings(max_examples=200)
@given(st.sampled_from([b"\xff\xd8\xff", b"RIFF0000WEBPVP8X", b"RIFF0000WEBPVP8L"]), st.binary(max_size=80))
def test_any_header_is_read_to_its_end(start: bytes, rest: bytes) -> None:
    header = read_image_header(start + rest)
    assert header is not None
    assert header.width_px >= 0
