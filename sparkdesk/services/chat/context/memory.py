"""A project's memory: one text file that the person reads and edits, sent along with every question of the project.

The one rule: the file is the person's. It is read anew for each question, so that what any editor wrote holds at once;
the program adds a line only when it is asked to, and cuts nothing in the file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import TextFolder

MAX_SENT_BYTES = 64 * 1024
MAX_LINE_CHARS = 2000
READ_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class SentMemory:
    """What is sent of a memory. `cut_bytes` of its end are not; `problem` says why it could not be read."""

    text: str = ""
    cut_bytes: int = 0
    problem: str = ""


class ProjectMemory:
    """The memories of all projects. A project is a folder of conversations and its memory has its name."""

    def __init__(self, folder: TextFolder) -> None:
        self._folder = folder
        self._lock = asyncio.Lock()

    @property
    def path(self) -> str:
        """The folder where the files lie."""
        return self._folder.path

    async def read(self, project: str) -> str:
        """The whole memory; "" when there is none. Raises SettingsError."""
        return await self.look(project) or "" if project else ""

    async def to_send(self, project: str) -> SentMemory:
        """What goes along with a question: at most 64 KiB, whole lines. Never raises."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                text = await self.read(project)
        except SettingsError as error:
            return SentMemory(problem=f"The project's memory was not sent: {error.message}")
        except TimeoutError:
            return SentMemory(problem="The project's memory was not sent: its file could not be read in time")
        return clip(text)

    async def look(self, project: str) -> str | None:
        """The memory as it lies on the disk; None when there is no file yet. Raises SettingsError."""
        return await self._folder.read(_named(project))

    async def keep(self, project: str, text: str, *, base: str | None) -> str | None:
        """Replace the memory, which was `base` when it was looked at. Raises SettingsError.

        None: it is this text now. Else what another editor wrote meanwhile, and nothing was written.
        """
        async with self._lock:
            now = await self._folder.read(_named(project))
            if now is not None and now not in (base, text):
                return now
            if now != text:
                await self._folder.write(project, text)
        return None

    async def place(self, project: str) -> str:
        """The file's path, for the person's editor; a memory that is not there is made empty. Raises SettingsError."""
        async with self._lock:
            if await self._folder.read(_named(project)) is None:
                await self._folder.write(project, "")
        return await self._folder.place(project)

    async def remember(self, project: str, text: str) -> None:
        """Add one line to the memory. Raises SettingsError, also when the chat belongs to no project."""
        line = make_line(" ".join(text.split()), max_chars=MAX_LINE_CHARS)
        if not line:
            return
        async with self._lock:
            before = await self._folder.read(_named(project)) or ""
            gap = "" if not before or before.endswith("\n") else "\n"
            await self._folder.write(project, f"{before}{gap}- {line}\n")


def clip(text: str) -> SentMemory:
    """The beginning of a memory that is sent, and how much of it is not."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_SENT_BYTES:
        return SentMemory(text)
    kept = data[:MAX_SENT_BYTES]
    end = kept.rfind(b"\n") + 1 or MAX_SENT_BYTES
    return SentMemory(data[:end].decode("utf-8", "ignore"), len(data) - end)


def _named(project: str) -> str:
    if not project:
        raise SettingsError(
            "This chat belongs to no project, so there is no memory to keep it in",
            remedy="Move the chat into a folder: a folder is a project, and each has its memory.",
        )
    return project
