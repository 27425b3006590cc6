"""The text of a PDF, read by a process of its own that is killed when it takes too long.

The one rule: a PDF never reaches the library inside the window's process, and what could not be read of it is said.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sparkdesk.core.chat.message import MAX_FILE_BYTES
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.plain_text import make_line

TIMEOUT_S = 30.0
_LINE_BYTES = 8 << 20
"""A page of a million characters, each written as six."""
_END_TIMEOUT_S = 5.0
_PROGRAM = Path(__file__).with_name("pdf_program.py")
_KEPT_ENVIRONMENT = (
    "HOME",
    "PATH",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "SYSTEMROOT",
    "USERPROFILE",
    "APPDATA",
    "VIRTUAL_ENV",
)
LOCKED = "It is locked with a password"
NO_TEXT = "It has no text: it is probably a scan"


@dataclass(slots=True)
class PdfText:
    """What was read so far."""

    pages: int = 0
    texts: list[str] = field(default_factory=list)
    """Of each page from the first on."""
    size_bytes: int = 0
    is_whole: bool = False
    error: str = ""
    detail: str = ""

    @property
    def text(self) -> str:
        """The pages, one after the other, with an empty line between them."""
        return "\n\n".join(text for text in self.texts if text.strip())

    def add(self, line: Mapping[str, object]) -> bool:
        """Take in one line of the program; False when nothing more is wanted."""
        pages, text, error = line.get("pages"), line.get("text"), line.get("error")
        if isinstance(error, str):
            self.error, self.detail = error, str(line.get("detail", ""))
            return False
        if isinstance(pages, int):
            self.pages = pages
        elif isinstance(text, str):
            data = text.encode("utf-8", "replace")[: MAX_FILE_BYTES - self.size_bytes]
            self.size_bytes += len(data)
            self.texts.append(data.decode("utf-8", "ignore"))
            return self.size_bytes < MAX_FILE_BYTES
        self.is_whole = line.get("end") is True
        return not self.is_whole

    def note(self) -> str:
        """What is missing, in words; "" when nothing is."""
        read = len(self.texts)
        empty = sum(1 for text in self.texts if not text.strip())
        notes = []
        if read < self.pages:
            notes.append(f"only the first {read:,} of {self.pages:,} pages")
        elif not self.is_whole:
            notes.append("the end of the last page is cut off")
        if empty:
            notes.append(
                f"{empty:,} of {read:,} pages have no text" if empty > 1 else f"1 of {read:,} pages has no text"
            )
        return "; ".join(notes)


async def read_pdf(data: bytes, name: str, *, timeout_s: float = TIMEOUT_S) -> PdfText:
    """The text of the PDF, as much of it as was read in time. Raises SettingsError when there is none."""
    found = PdfText()
    process = await _start(name)
    try:
        async with asyncio.timeout(timeout_s):
            await _collect(process, data, found)
    except TimeoutError:
        found.error = found.error or "time"
    finally:
        await _end(process)
    if found.text:
        return found
    raise _refusal(name, found, timeout_s)


async def _start(name: str) -> asyncio.subprocess.Process:
    environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(_PROGRAM)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_BYTES,
            env=environment,
        )
    except OSError as error:
        raise SettingsError(
            f"{name} cannot be read", remedy="Close some programs, then attach it again.", detail=str(error)
        ) from error


async def _collect(process: asyncio.subprocess.Process, data: bytes, found: PdfText) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
        while raw := await process.stdout.readline():
            line = json.loads(raw)
            if not isinstance(line, dict) or not found.add(line):
                return
    except (OSError, ValueError) as error:
        found.error, found.detail = found.error or "broken", str(error)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            pass
    try:
        async with asyncio.timeout(_END_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        pass  # it hangs in the kernel and goes when that lets it


def _refusal(name: str, found: PdfText, timeout_s: float) -> SettingsError:
    if found.error == "locked":
        return SettingsError(f"{name} was not attached. {LOCKED}", remedy="Save a copy without the password.")
    if found.error == "time":
        why, remedy = f"Reading it took longer than {timeout_s:g} s", "Attach fewer pages of it, or its text."
    elif found.error == "memory":
        why, remedy = "Reading it takes too much memory", "Attach fewer pages of it, or its text."
    elif found.is_whole and found.pages:
        why, remedy = NO_TEXT, "Run text recognition over it, or attach its pages as images."
    else:
        why, remedy = "It is damaged or no PDF", "Open it in a PDF viewer and save it anew."
    return SettingsError(
        f"{name} was not attached. {why}", remedy=remedy, detail=make_line(found.detail, max_chars=300)
    )
