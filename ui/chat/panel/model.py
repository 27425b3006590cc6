"""Presets and project memory for the panel: files that are read and written in the background.

The one rule: a file that another editor changed meanwhile is not written over unasked: both texts are told.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal

from sparkdesk.services.chat.context.memory import ProjectMemory
from sparkdesk.services.chat.presets import Presets
from ui.bridge import Bridge, telling


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A project's memory as it lies on the disk; `text` None is no file yet."""

    folder: str
    text: str | None = None


class PanelModel(QObject):
    """Every question is answered by one of the signals; an error comes as `failed` with the words of what was asked."""

    presets_listed = Signal(object)
    """A tuple of names."""
    preset_read = Signal(str, str)
    """Name and prompt."""
    memory_read = Signal(object)
    """A MemoryFile, when it was read or written."""
    memory_conflict = Signal(object)
    """A MemoryFile that is not what was read before: nothing was written."""
    place_found = Signal(str)
    """The path of a file, to be opened in the person's editor."""
    failed = Signal(str, object)
    """Which part ("preset" or "memory") and the SparkDeskError."""

    def __init__(self, bridge: Bridge, presets: Presets, memory: ProjectMemory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._presets = presets
        self._memory = memory

    @property
    def presets_path(self) -> str:
        """Where the presets lie."""
        return self._presets.path

    # Presets ---------------------------------------------------------------------------------------------------

    def list_presets(self) -> None:
        """Ask which there are."""
        self._start("preset", self._list_presets)

    def read_preset(self, name: str) -> None:
        """Ask for one."""
        self._start("preset", self._read_preset, name)

    def save_preset(self, name: str, prompt: str, *, is_replacing: bool = False) -> None:
        """Keep a prompt."""

        async def save() -> None:
            await self._presets.save(name, prompt, is_replacing=is_replacing)
            await self._list_presets()

        self._start("preset", save)

    def rename_preset(self, old: str, new: str) -> None:
        """Give one another name."""

        async def rename() -> None:
            try:
                await self._presets.rename(old, new)
            finally:
                await self._list_presets()

        self._start("preset", rename)

    def remove_preset(self, name: str) -> None:
        """Remove one."""

        async def remove() -> None:
            await self._presets.remove(name)
            await self._list_presets()

        self._start("preset", remove)

    async def _list_presets(self) -> None:
        self.presets_listed.emit(await self._presets.names())

    async def _read_preset(self, name: str) -> None:
        self.preset_read.emit(name, await self._presets.read(name))

    # Memory ----------------------------------------------------------------------------------------------------

    def read_memory(self, folder: str) -> None:
        """Ask for a project's memory."""

        async def read() -> None:
            self.memory_read.emit(MemoryFile(folder, await self._memory.look(folder)))

        self._start("memory", read)

    def save_memory(self, folder: str, text: str, base: str | None) -> None:
        """Write a project's memory, which was `base` when it was read; where it is not that any more, tell instead."""

        async def save() -> None:
            theirs = await self._memory.keep(folder, text, base=base)
            if theirs is None:
                self.memory_read.emit(MemoryFile(folder, text))
            else:
                self.memory_conflict.emit(MemoryFile(folder, theirs))

        self._start("memory", save)

    def find_memory(self, folder: str) -> None:
        """Ask where a project's memory lies; one that is not there is made empty, for the editor."""

        async def find() -> None:
            place = await self._memory.place(folder)
            self.memory_read.emit(MemoryFile(folder, await self._memory.look(folder)))
            self.place_found.emit(place)

        self._start("memory", find)

    def _start(self, part: str, fn: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        self._bridge.start(telling(lambda error: self.failed.emit(part, error), fn), *args)
