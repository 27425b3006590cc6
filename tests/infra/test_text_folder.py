"""The person's own text files: safe names, whole writes, and nothing outside the folder."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.ports import TextFolder
from sparkdesk.infra import text_folder
from sparkdesk.infra.text_folder import MAX_BYTES, TextFiles, clean_name, file_name, name_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "presets"


async def test_a_text_is_there_again_and_for_its_owner_alone(folder: Path) -> None:
    files: TextFolder = TextFiles(folder)
    assert (await files.names(), await files.read("Rust reviewer")) == ((), None)
    await files.write("Rust reviewer", "Be careful.\n")
    assert await files.read("Rust reviewer") == "Be careful.\n"
    assert (folder / "Rust reviewer.md").read_text() == "Be careful.\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "Rust reviewer.md").stat().st_mode) == 0o600
    assert files.path == str(folder)


async def test_names_come_in_order_of_the_alphabet_and_a_removed_one_is_gone(folder: Path) -> None:
    files = TextFiles(folder)
    for name in ("beta", "Alpha", "Écrivain", "10 rules"):
        await files.write(name, name)
    assert await files.names() == ("10 rules", "Alpha", "beta", "Écrivain")
    await files.remove("beta")
    await files.remove("never there")
    assert await files.names() == ("10 rules", "Alpha", "Écrivain")


async def test_what_another_editor_saved_is_read_anew(folder: Path) -> None:
    files = TextFiles(folder)
    await files.write("notes", "one")
    (folder / "notes.md").write_text("two")
    (folder / "by hand.md").write_text("three")
    assert await files.read("notes") == "two"
    assert await files.names() == ("by hand", "notes")


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "..",
        ".",
        "/etc/passwd",
        "C:\\x",
        "a/b",
        "con",
        "NUL",
        "lpt1.txt",
        "a*b?",
        "100% sure",
        "%2F",
        ".hidden",
    ],
)
async def test_a_name_that_would_mean_a_path_or_a_device_stays_in_the_folder(folder: Path, name: str) -> None:
    files = TextFiles(folder)
    await files.write(name, "text")
    (made,) = folder.iterdir()
    assert not set(made.name) & set('/\\:*?"<>|')
    assert not made.name.startswith(".")
    assert not text_folder._DEVICE.match(made.name)
    assert await files.names() == (name,)
    assert await files.read(name) == "text"
    assert [path.name for path in folder.parent.iterdir()] == ["presets"]


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\0b", "a\u202eb", "a\u200bb", "\ud800", "x" * 300, "é" * 130])
async def test_a_name_that_nobody_could_read_is_refused_with_a_next_step(folder: Path, name: str) -> None:
    files = TextFiles(folder)
    for act in (files.read(name), files.write(name, "text"), files.remove(name)):
        with pytest.raises(SettingsError) as caught:
            await act
        assert caught.value.remedy
    assert not folder.exists()


async def test_names_that_differ_only_in_capitals_are_one_file_with_the_newest_spelling(folder: Path) -> None:
    files = TextFiles(folder)
    await files.write("rust", "one")
    await files.write("Rust", "two")
    assert [path.name for path in folder.iterdir()] == ["Rust.md"]
    assert await files.read("RUST") == "two"


async def test_two_spellings_that_another_program_made_are_kept_apart(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "Rust.md").write_text("great")
    (folder / "rust.md").write_text("small")
    files = TextFiles(folder)
    assert (await files.read("Rust"), await files.read("rust")) == ("great", "small")
    await files.remove("rust")
    assert await files.names() == ("Rust",)


async def test_one_letter_in_two_forms_is_one_name(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "Cafe\u0301.md").write_text("au lait")
    files = TextFiles(folder)
    assert await files.names() == ("Café",)
    assert await files.read("Café") == "au lait"
    await files.write("Cafe\u0301", "noir")
    assert len(list(folder.iterdir())) == 1
    assert await files.read("Café") == "noir"


async def test_a_link_is_neither_listed_nor_read_nor_written_through(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "id_ed25519"
    secret.write_text("key")
    folder.mkdir(parents=True)
    (folder / "link.md").symlink_to(secret)
    files = TextFiles(folder)
    assert await files.names() == ()
    for act in (files.read("link"), files.write("link", "text"), files.remove("link")):
        with pytest.raises(SettingsError, match="not followed"):
            await act
    assert secret.read_text() == "key"


async def test_what_is_no_file_is_refused_at_once(folder: Path) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.md")
    (folder / "sub.md").mkdir()
    files = TextFiles(folder)
    assert await files.names() == ()
    for name in ("pipe", "sub"):
        with pytest.raises(SettingsError):
            await files.read(name)


async def test_file_names_that_cannot_be_shown_safely_are_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    for raw in (b"a\nb.md", b"\xff\xfe.md", "a\u202etxt.md".encode(), b".draft-1.md", b"note.txt", b".md"):
        (folder / os.fsdecode(raw)).write_bytes(b"x")
    (folder / "%41.md").write_text("as it stands")
    files = TextFiles(folder)
    assert await files.names() == ("%41",)
    assert await files.read("%41") == "as it stands"
    assert await files.read("A") is None


async def test_bytes_that_are_no_text_are_replaced_and_never_written_over(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "latin.md").write_bytes(b"caf\xe9\r\nau\0 lait")
    (folder / "mark.md").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree")
    files = TextFiles(folder)
    assert await files.read("latin") == "caf\ufffd\nau\ufffd lait"
    assert await files.read("mark") == "one\ntwo\nthree"
    with pytest.raises(SettingsError, match="not text in UTF-8"):
        await files.write("latin", "shorter")
    assert (folder / "latin.md").read_bytes() == b"caf\xe9\r\nau\0 lait"


async def test_a_file_that_is_too_long_is_read_in_part_and_never_cut_by_saving(folder: Path) -> None:
    folder.mkdir(parents=True)
    whole = ("é" * MAX_BYTES).encode()
    (folder / "long.md").write_bytes(b"x" + whole)
    files = TextFiles(folder)
    text = await files.read("long")
    assert text is not None
    assert text == "x" + "é" * ((MAX_BYTES - 1) // 2)
    with pytest.raises(SettingsError, match="longer than 1 MiB"):
        await files.write("long", text)
    assert (folder / "long.md").stat().st_size == len(whole) + 1
    with pytest.raises(SettingsError, match="longer than 1 MiB"):
        await files.write("new", "x" * (MAX_BYTES + 1))
    assert await files.names() == ("long",)


@pytest.fixture
def no_room() -> Iterator[None]:
    """Files of this process may grow to one page only, so a write fails half way as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("no_room")
async def test_a_write_that_fails_half_way_leaves_the_old_text_and_no_rest(folder: Path) -> None:
    files = TextFiles(folder)
    await files.write("notes", "old")
    with pytest.raises(SettingsError, match="cannot be saved"):
        await files.write("notes", "new" * 4096)
    assert await files.read("notes") == "old"
    assert [path.name for path in folder.iterdir()] == ["notes.md"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_every_fault_of_a_disk_has_a_next_step(code: int) -> None:
    error = text_folder._mapped(OSError(code, os.strerror(code)), '"notes" cannot be saved')
    assert os.strerror(code) in error.message
    assert error.remedy
    assert code == errno.EIO or error.remedy != text_folder._mapped(OSError(errno.EIO, "x"), "y").remedy


async def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "presets").write_text("no folder")
    files = TextFiles(tmp_path / "presets")
    for act in (files.names(), files.write("notes", "text")):
        with pytest.raises(SettingsError) as caught:
            await act
        assert caught.value.remedy


async def test_a_disk_that_does_not_answer_is_told_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_folder, "TIMEOUT_S", 0.05)
    files = TextFiles(folder)
    hold = asyncio.Event()

    def wait() -> dict[str, str]:
        asyncio.run_coroutine_threadsafe(hold.wait(), loop).result(5)
        return {}

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(files, "_scan", wait)
    with pytest.raises(SettingsError, match="did not answer"):
        await files.names()
    hold.set()


async def test_many_writes_at_once_leave_one_whole_text(folder: Path) -> None:
    files = TextFiles(folder)
    texts = [f"{i}" * 5000 for i in range(10)]
    await asyncio.gather(*(files.write("notes", text) for text in texts))
    assert await files.read("notes") in texts
    assert [path.name for path in folder.iterdir()] == ["notes.md"]


async def test_a_kill_while_writing_leaves_the_old_text_or_the_new(folder: Path) -> None:
    files = TextFiles(folder)
    await files.write("notes", "a" * 50_000)
    program = (
        "import asyncio, sys; from pathlib import Path; from sparkdesk.infra.text_folder import TextFiles\n"
        "async def go():\n"
        " files = TextFiles(Path(sys.argv[1])); print(flush=True)\n"
        " while True:\n"
        "  await files.write('notes', 'b' * 50_000); await files.write('notes', 'a' * 50_000)\n"
        "asyncio.run(go())"
    )
    pipe = asyncio.subprocess.PIPE
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(folder), stdout=pipe)
    assert writer.stdout is not None
    await asyncio.wait_for(writer.stdout.readline(), 30)
    await asyncio.sleep(0.05)
    writer.kill()
    await asyncio.wait_for(writer.wait(), 30)
    assert await files.read("notes") in ("a" * 50_000, "b" * 50_000)
    assert await files.names() == ("notes",)


@given(st.text(min_size=1, max_size=40))
def test_every_name_that_is_taken_comes_back_from_its_file(name: str) -> None:
    try:
        clean = clean_name(name)
    except SettingsError:
        return
    assert name_of(file_name(clean)) == clean
    assert os.path.basename(file_name(clean)) == file_name(clean)
    assert len(os.fsencode(file_name(clean))) <= 255
