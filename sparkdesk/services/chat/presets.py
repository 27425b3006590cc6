"""System prompts that a person keeps under a name, each a plain text file that any editor may change.

The one rule: no preset is ever written over or lost unasked: saving under a taken name must say that it replaces.
"""

from __future__ import annotations

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.ports import TextFolder


class Presets:
    """The presets of one folder. The file holds the prompt and nothing else. Every method raises SettingsError."""

    def __init__(self, folder: TextFolder) -> None:
        self._folder = folder

    @property
    def path(self) -> str:
        """Where the files lie."""
        return self._folder.path

    async def names(self) -> tuple[str, ...]:
        """What there is, in order of the alphabet."""
        return await self._folder.names()

    async def read(self, name: str) -> str:
        """The prompt, without the line breaks that an editor leaves at the end."""
        text = await self._folder.read(name)
        if text is None:
            raise SettingsError(
                f'There is no preset "{name}" any more', remedy="Its file was moved or removed; choose another."
            )
        return text.rstrip("\n")

    async def save(self, name: str, prompt: str, *, is_replacing: bool = False) -> None:
        """Keep the prompt under this name. A name that is taken needs `is_replacing`."""
        if not prompt.strip():
            raise SettingsError("The system prompt is empty", remedy="Write one first, then save it as a preset.")
        taken = await self._same(name)
        if taken and not is_replacing:
            raise SettingsError(f'There is a preset "{taken}" already', remedy="Choose another name, or replace it.")
        await self._folder.write(name, f"{prompt}\n")

    async def rename(self, old: str, new: str) -> None:
        """Give a preset another name; the prompt is never without a file meanwhile."""
        text = await self._folder.read(old)
        if text is None:
            raise SettingsError(f'There is no preset "{old}" any more', remedy="Look which presets there are now.")
        taken = await self._same(new)
        if taken and taken != old:
            raise SettingsError(f'There is a preset "{taken}" already', remedy="Choose another name.")
        # The folder takes names that differ only in capitals for one: writing is then all there is to do.
        await self._folder.write(new, text)
        if not taken:
            await self._folder.remove(old)

    async def remove(self, name: str) -> None:
        """Remove a preset; no error when there is none."""
        await self._folder.remove(name)

    async def _same(self, name: str) -> str:
        """The preset whose name is this one but for capitals and blanks around it; "" when there is none."""
        names = await self._folder.names()
        wanted = name.strip()
        same = [each for each in names if each.casefold() == wanted.casefold()]
        return wanted if wanted in same else next(iter(same), "")
