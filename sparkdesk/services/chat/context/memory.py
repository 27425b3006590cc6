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
class MemoryText:
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
        """The whole memory, for showing and editing; "" when there is none. Raises SettingsError."""
        return await self._folder.read(project) or "" if project else ""

    async def to_send(self, project: str) -> MemoryText:
        """What goes along with a question: at most 64 KiB, whole lines. Never raises."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                text = await self.read(project)
        except SettingsError as error:
            return MemoryText(problem=f"The project's memory was not sent: {error.message}")
        except TimeoutError:
            return MemoryText(problem="The project's memory was not sent: its file could not be read in time")
        return clip(text)

    async def write(self, project: str, text: str) -> None:
        """Replace the memory. Raises SettingsError."""
        async with self._lock:
            await self._folder.write(_named(project), text)

    async def remember(self, project: str, text: str) -> None:
        """Add one line to the memory. Raises SettingsError, also when the chat belongs to no project."""
        line = make_line(" ".join(text.split()), max_chars=MAX_LINE_CHARS)
        if not line:
            return
        async with self._lock:
            before = await self._folder.read(_named(project)) or ""
            gap = "" if not before or before.endswith("\n") else "\n"
            await self._folder.write(project, f"{before}{gap}- {line}\n")


def clip(text: str) -> MemoryText:
    """The beginning of a memory that is sent, and how much of it is not."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_SENT_BYTES:
        return MemoryText(text)
    kept = data[:MAX_SENT_BYTES]
    end = kept.rfind(b"\n") + 1 or MAX_SENT_BYTES
    return MemoryText(data[:end].decode("utf-8", "ignore"), len(data) - end)


def _named(project: str) -> str:
    if not project:
        raise SettingsError(
            "This chat belongs to no project, so there is no memory to keep it in",
            remedy="Move the chat into a folder: a folder is a project, and each has its memory.",
        )
    return project
