"""Small text files of the person's own, one a name: presets of system prompts, the memory of a project.

The one rule: nothing outside the folder is read or written, whatever a name or a file says; a link is never followed.
Nothing is kept in memory: another editor may have changed a file since.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sparkdesk.core.errors import SettingsError

MAX_BYTES = 1 << 20
MAX_FILES = 2000
TIMEOUT_S = 10.0
SUFFIX = ".md"
_FILE_NAME_BYTES = 255
"""What ext4, APFS, NTFS and most others take. Source: limits.h, NAME_MAX."""
# What Windows takes in no file name, and what means something in a path. Source: "Naming Files, Paths, and
# Namespaces" of the Windows documentation, as for the names of devices below.
_UNSAFE = frozenset('/\\:*?"<>|%')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
_Result = TypeVar("_Result")


class TextFiles:
    """Fulfils core's TextFolder over one folder, which is made (for its owner alone) with the first text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changes = asyncio.Lock()

    @property
    def path(self) -> str:
        """Where the folder lies."""
        return str(self._folder)

    async def names(self) -> tuple[str, ...]:
        """What there is, in order of the alphabet. Raises SettingsError."""
        found = await self._in_time(self._scan, f"The folder {self._folder} cannot be read")
        return tuple(sorted(found, key=lambda name: (name.casefold(), name)))

    async def read(self, name: str) -> str | None:
        """The text with "\\n" at the ends of its lines, at most 1 MiB of it; None when there is none."""
        wanted = clean_name(name)
        return await self._in_time(lambda: self._read(wanted), f'"{wanted}" cannot be read')

    async def write(self, name: str, text: str) -> None:
        """Write the file whole, for its owner alone when it is new. Raises SettingsError, and then the old text stays.

        Names that differ only in capitals are one name; the file takes the new spelling.
        """
        wanted = clean_name(name)
        data = text.encode("utf-8", "replace")
        if len(data) > MAX_BYTES:
            raise SettingsError(
                f'"{wanted}" is longer than 1 MiB', remedy="Shorten it; a model could not take in so much."
            )
        async with self._changes:
            await self._in_time(lambda: self._write(wanted, data), f'"{wanted}" cannot be saved')

    async def remove(self, name: str) -> None:
        """Remove the file; no error when there is none. Raises SettingsError."""
        wanted = clean_name(name)
        async with self._changes:
            await self._in_time(lambda: self._remove(wanted), f'"{wanted}" cannot be removed')

    async def place(self, name: str) -> str:
        """The path of the file, or of the one that `write` would make. Raises SettingsError."""
        wanted = clean_name(name)
        found = await self._in_time(lambda: self._find(wanted), f'"{wanted}" cannot be found')
        return str(found or self._folder / file_name(wanted))

    async def _in_time(self, work: Callable[[], _Result], failure: str) -> _Result:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.to_thread(work)
        except TimeoutError:
            raise SettingsError(
                f"{failure}: the disk did not answer within {TIMEOUT_S:g} s",
                remedy=f"Check the disk that {self._folder} lies on.",
            ) from None
        except OSError as error:
            raise _mapped(error, failure) from error

    def _scan(self) -> dict[str, str]:
        """File names by name. A file whose name nobody could read safely is left alone."""
        found: dict[str, str] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    name = name_of(entry.name)
                    if not name or not entry.is_file(follow_symlinks=False):
                        continue
                    # Two files can stand for one name; the one that this program would write is it.
                    if name not in found or entry.name == file_name(name):
                        found[name] = entry.name
                    if len(found) >= MAX_FILES:
                        break
        except FileNotFoundError:
            return {}
        return found

    def _find(self, name: str) -> Path | None:
        """The file of this name: spelled so, else one that differs only in capitals. Refuses what is no file."""
        path = self._folder / file_name(name)
        if os.path.lexists(path):
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise SettingsError(
                    f"{path} is a link or no file, and is not followed",
                    remedy="Put the file itself into the folder, or take the link away.",
                )
            return path
        found = self._scan()
        if name in found:
            return self._folder / found[name]
        same = sorted(each for each in found if each.casefold() == name.casefold())
        return self._folder / found[same[0]] if same else None

    def _read(self, name: str) -> str | None:
        path = self._find(name)
        if path is None:
            return None
        try:
            data = _read_bytes(path)
        except FileNotFoundError:
            return None
        text = data[:MAX_BYTES].decode("utf-8-sig", "replace")
        if len(data) > MAX_BYTES:
            # The cut may go through a character, which is no fault of the file's.
            text = text.rstrip("\ufffd")
        return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")

    def _write(self, name: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = self._find(name)
        if old is not None:
            _check_whole(name, _read_bytes(old))
        target = self._folder / file_name(name)
        draft = self._folder / f".draft-{os.urandom(6).hex()}"
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if old is not None:
                os.chmod(draft, stat.S_IMODE(os.lstat(old).st_mode))
            os.replace(draft, old or target)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        if old is not None and old != target:
            os.rename(old, target)
        _sync_folder(self._folder)

    def _remove(self, name: str) -> None:
        path = self._find(name)
        if path is not None:
            path.unlink(missing_ok=True)
            _sync_folder(self._folder)


def clean_name(name: str) -> str:
    """The name as it is kept: one form of each letter, no blanks around. Raises SettingsError for what is no name."""
    clean = unicodedata.normalize("NFC", name).strip(" \t\r\n")
    if not clean:
        raise SettingsError("The name is empty", remedy="Give it a name.")
    # Not printable are control characters, those that turn the direction of reading, and those that nobody sees.
    if not clean.isprintable():
        raise SettingsError("The name has characters that cannot be seen", remedy="Use letters, digits and spaces.")
    if len(_escaped(clean)) > _FILE_NAME_BYTES - len(SUFFIX):
        raise SettingsError("The name is too long for a file", remedy="Use a shorter name.")
    return clean


def file_name(name: str) -> str:
    """The name of the file of a name: the same word wherever every file system takes it, else with "%2F" and the like.

    Raises SettingsError for what is no name.
    """
    return _escaped(clean_name(name)).decode() + SUFFIX


def name_of(file: str) -> str:
    """The name that a file in the folder stands for; "" when it is none of ours or cannot be shown safely."""
    if not file.endswith(SUFFIX) or file.startswith("."):
        return ""
    stem = unicodedata.normalize("NFC", file.removesuffix(SUFFIX))
    meant = _ESCAPE.sub(lambda code: chr(int(code[1], 16)), stem)
    for name in (meant, stem):
        try:
            # A file that another program named may hold a "%41" which never stood for anything.
            if clean_name(name) == name and (name is stem or file_name(name) == stem + SUFFIX):
                return name
        except SettingsError:
            continue
    return ""


def _escaped(name: str) -> bytes:
    first = _DEVICE.match(name) is not None or name.startswith(".")
    pieces = [f"%{ord(c):02X}" if c in _UNSAFE or (first and i == 0) else c for i, c in enumerate(name)]
    return "".join(pieces).encode("utf-8", "surrogatepass")


def _read_bytes(path: Path) -> bytes:
    """The file's bytes, one more than the limit at most. Neither a link nor a pipe is opened."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return file.read(MAX_BYTES + 1)


def _check_whole(name: str, data: bytes) -> None:
    """Refuse to write over a file that could not be shown whole: what was not shown would be lost."""
    why = "longer than 1 MiB" if len(data) > MAX_BYTES else ""
    if not why:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            why = "not text in UTF-8"
    if why:
        raise SettingsError(
            f'The file of "{name}" is {why}, so it was not shown whole and is left as it is',
            remedy="Mend it in an editor, or save under another name.",
        )


def _sync_folder(folder: Path) -> None:
    """Have the folder itself on the disk, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _mapped(error: OSError, failure: str) -> SettingsError:
    remedies = {
        errno.ENOSPC: "Free some space on this disk, then try again.",
        errno.EDQUOT: "Your share of this disk is full. Free some space, then try again.",
        errno.EROFS: "The disk is mounted read-only. Make it writable, or move the data folder.",
        errno.EACCES: "Check who may read and write this folder.",
        errno.EPERM: "Check who may read and write this folder.",
        errno.ENAMETOOLONG: "Use a shorter name.",
        errno.ENOTDIR: "Something that is not a folder stands in its place: move it away.",
    }
    remedy = remedies.get(error.errno or 0, "Check this computer's disk, then try again.")
    return SettingsError(f"{failure}: {error.strerror or 'unknown fault'}", remedy=remedy, detail=str(error))
