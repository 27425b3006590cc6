"""Presets of system prompts, over real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkdesk.core.errors import SettingsError
from sparkdesk.infra.text_folder import TextFiles
from sparkdesk.services.chat.presets import Presets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "presets"


@pytest.fixture
def presets(folder: Path) -> Presets:
    return Presets(TextFiles(folder))


async def test_a_prompt_is_kept_as_a_file_that_holds_nothing_else(presets: Presets, folder: Path) -> None:
    assert await presets.names() == ()
    await presets.save("Rust reviewer", "You are careful.\nProve it.")
    assert (folder / "Rust reviewer.md").read_text() == "You are careful.\nProve it.\n"
    assert await presets.names() == ("Rust reviewer",)
    assert await presets.read("Rust reviewer") == "You are careful.\nProve it."


async def test_a_prompt_written_by_another_editor_is_a_preset_at_once(presets: Presets, folder: Path) -> None:
    folder.mkdir()
    (folder / "By hand.md").write_text("Be brief.\r\n\r\n")
    assert await presets.names() == ("By hand",)
    assert await presets.read("By hand") == "Be brief."


async def test_no_preset_is_replaced_unasked(presets: Presets) -> None:
    await presets.save("Brief", "one")
    for name in ("Brief", "brief", " BRIEF "):
        with pytest.raises(SettingsError, match='There is a preset "Brief" already'):
            await presets.save(name, "two")
    assert await presets.read("Brief") == "one"
    await presets.save("Brief", "two", is_replacing=True)
    assert await presets.read("Brief") == "two"
    assert await presets.names() == ("Brief",)


async def test_an_empty_prompt_makes_no_preset(presets: Presets, folder: Path) -> None:
    with pytest.raises(SettingsError, match="empty"):
        await presets.save("Nothing", " \n")
    assert not folder.exists()


async def test_a_renamed_preset_keeps_its_words_and_takes_no_other_s_name(presets: Presets) -> None:
    await presets.save("a", "words of a")
    await presets.save("b", "words of b")
    with pytest.raises(SettingsError, match="already"):
        await presets.rename("a", "B")
    await presets.rename("a", "c")
    assert await presets.names() == ("b", "c")
    assert await presets.read("c") == "words of a"
    with pytest.raises(SettingsError, match="no preset"):
        await presets.rename("a", "d")


async def test_a_preset_can_take_other_capitals(presets: Presets) -> None:
    await presets.save("rust", "words")
    await presets.rename("rust", "Rust")
    assert await presets.names() == ("Rust",)
    assert await presets.read("Rust") == "words"


async def test_a_removed_preset_is_gone_and_reading_it_says_so(presets: Presets) -> None:
    await presets.save("a", "words")
    await presets.remove("a")
    await presets.remove("a")
    with pytest.raises(SettingsError) as caught:
        await presets.read("a")
    assert caught.value.remedy
