"""A project's memory: the person's own file, read anew, never cut, and only so much of it sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import SettingsError
from sparkdesk.infra.text_folder import TextFiles
from sparkdesk.services.chat.context.memory import MAX_SENT_BYTES, ProjectMemory, clip


async def test_what_another_editor_wrote_holds_at_once(tmp_path: Path) -> None:
    memory = ProjectMemory(TextFiles(tmp_path))
    assert await memory.read("Garden") == ""
    await memory.remember("Garden", "The oak is\nold")
    await memory.remember("Garden", "  ")
    path = next(tmp_path.iterdir())
    assert path.read_text() == "- The oak is old\n"
    path.write_text("By hand, without a line end")
    await memory.remember("Garden", "And the river is near")
    assert await memory.read("Garden") == "By hand, without a line end\n- And the river is near\n"
    assert (await memory.to_send("Garden")).text == await memory.read("Garden")


async def test_a_chat_without_a_project_has_nothing_to_remember_in(tmp_path: Path) -> None:
    memory = ProjectMemory(TextFiles(tmp_path))
    assert await memory.read("") == ""
    assert (await memory.to_send("")).text == ""
    with pytest.raises(SettingsError, match="no project"):
        await memory.remember("", "something")


async def test_what_another_editor_wrote_meanwhile_is_told_and_not_written_over(tmp_path: Path) -> None:
    folder = TextFiles(tmp_path)
    memory = ProjectMemory(folder)
    assert await memory.look("Garden") is None
    assert await memory.keep("Garden", "Ours", base=None) is None
    await folder.write("Garden", "Theirs")
    assert await memory.keep("Garden", "Ours, more", base="Ours") == "Theirs"
    assert await memory.look("Garden") == "Theirs"
    assert await memory.keep("Garden", "Ours, more", base="Theirs") is None
    assert await memory.look("Garden") == "Ours, more"


async def test_a_memory_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    memory = ProjectMemory(TextFiles(tmp_path / "file"))
    (tmp_path / "file").write_text("not a folder")
    sent = await memory.to_send("Garden")
    assert sent.text == ""
    assert sent.problem.startswith("The project's memory was not sent")


@given(st.text(alphabet="aé中\n", min_size=1, max_size=300), st.integers(1, 400))
def test_what_is_sent_is_a_beginning_and_what_is_not_is_counted(text: str, times: int) -> None:
    whole = text * times
    sent = clip(whole)
    assert whole.startswith(sent.text)
    assert len(sent.text.encode()) <= MAX_SENT_BYTES
    rest = len(whole.encode()) - len(sent.text.encode())
    assert rest - 3 <= sent.cut_bytes <= rest


def test_a_long_memory_ends_with_a_whole_line() -> None:
    sent = clip("A line of the memory\n" * 5000)
    assert sent.text.endswith("memory\n")
    assert MAX_SENT_BYTES - 21 < len(sent.text) <= MAX_SENT_BYTES
    assert sent.cut_bytes == 21 * 5000 - len(sent.text)
    assert clip("x" * 70_000).cut_bytes == 70_000 - MAX_SENT_BYTES
