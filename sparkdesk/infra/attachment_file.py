"""Files that a person attaches to a question: what they are by their bytes, and their text.

The one rule: whatever lies at a path is hostile. Only an ordinary file is opened, never a device, a pipe or a page of
the kernel's; every read is bounded and timed; what is left out of a text is said in the part's note.
"""

from __future__ import annotations

import asyncio
import codecs
import errno
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparkdesk.core.chat.message import MAX_FILE_BYTES, MAX_IMAGE_PIXELS, FilePart, ImagePart, cut_note
from sparkdesk.core.digest import digest
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import ReadAttachment
from sparkdesk.infra.image_header import ImageHeader, read_image_header
from sparkdesk.infra.pdf_text import read_pdf
from sparkdesk.services.aside import run_aside

READ_TIMEOUT_S = 15.0
LOAD_ERRORS = (OSError, ValueError, MemoryError, SettingsError)
MAX_PDF_BYTES = 32 << 20
MAX_IMAGE_BYTES = 20 << 20
MAX_NAME_CHARS = 120
_HEAD_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20
_BINARY_SHARE = 0.02
"""Of control characters in the first bytes; a text of any encoding that we read has next to none."""
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x08\x1b")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KINDS = (
    (b"PK\x03\x04", "a ZIP archive or an office document", "Save it as PDF or plain text, then attach that."),
    (b"\x7fELF", "a program", ""),
    (b"MZ", "a program", ""),
    (b"\x1f\x8b", "a compressed file", "Unpack it, then attach what is inside."),
    (b"\x28\xb5\x2f\xfd", "a compressed file", "Unpack it, then attach what is inside."),
    (b"\xfd7zXZ", "a compressed file", "Unpack it, then attach what is inside."),
    (b"\xd0\xcf\x11\xe0", "an old office document", "Save it as PDF or plain text, then attach that."),
    (b"SQLite format 3\x00", "a database", ""),
    (b"GGUF", "a model file", "Launch it instead of attaching it."),
    (b"OggS", "a sound", ""),
    (b"ID3", "a sound", ""),
)
_KIND_AT_4 = ((b"ftypheic", "an HEIC image"), (b"ftypavif", "an AVIF image"), (b"ftyp", "a video or sound"))
_USUAL_REMEDY = "Attach text, code, a PDF, or a PNG, JPEG, WebP or GIF image."


@dataclass(frozen=True, slots=True)
class _Read:
    """The bytes of a file, as many as were wanted."""

    name: str
    size_bytes: int
    data: bytes
    image: ImageHeader | None
    note: str = ""


class AttachmentFiles:
    """Fulfils core's AttachmentReader over this computer's files."""

    def __init__(self, *, timeout_s: float = READ_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    async def read(self, path: str) -> ReadAttachment:
        """What lies at the path. Raises SettingsError in words for a person, never OSError."""
        shown = clean_name(path)
        try:
            async with asyncio.timeout(self._timeout_s):
                read = await run_aside(lambda: _load(path), start=_start_thread, errors=LOAD_ERRORS)
        except TimeoutError:
            raise SettingsError(
                f"{shown} was not attached. Reading it took longer than {self._timeout_s:g} s",
                remedy="Copy it to this computer's own disk, then attach the copy.",
            ) from None
        except (OSError, ValueError, MemoryError) as error:
            raise _unreadable(shown, error) from error
        if read.image is not None:
            return _image(read, read.image)
        if read.data.startswith(b"%PDF-"):
            pdf = await read_pdf(read.data, read.name)
            note = "; ".join(part for part in (read.note, pdf.note()) if part)
            return ReadAttachment(FilePart(read.name, pdf.text, "application/pdf", read.size_bytes, note))
        # Decoding a megabyte takes milliseconds; there is no need for a thread.
        return ReadAttachment(_text_part(read))


def clean_name(path: str) -> str:
    """A file's own name as one line of plain text: line ends, control and direction marks become visible."""
    name = make_line(os.path.basename(path.rstrip("/")) or path, max_chars=4 * MAX_NAME_CHARS)
    if len(name) <= MAX_NAME_CHARS:
        return name
    stem, dot, ending = name.rpartition(".")
    tail = dot + ending if stem and len(ending) <= 12 else ""
    return name[: MAX_NAME_CHARS - 1 - len(tail)] + "…" + tail


def _load(path: str) -> _Read:
    """Open, look, and read as much as its kind wants. Raises SettingsError, OSError, ValueError (NUL in the path)."""
    place = os.path.realpath(Path(path).expanduser())
    name = clean_name(place)
    # Looked at before it is opened: opening a device or a pipe may already do something.
    _demand_ordinary(os.stat(place), place, name)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(place, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        status = os.fstat(descriptor)
        _demand_ordinary(status, place, name)
        head = _read_up_to(descriptor, _HEAD_BYTES)
        if not head:
            raise _refused(name, "It is empty", remedy="Attach a file that has something in it.")
        image = read_image_header(head)
        is_whole_wanted = image is not None or head.startswith(b"%PDF-")
        if is_whole_wanted:
            _demand_size(name, status.st_size, MAX_PDF_BYTES if image is None else MAX_IMAGE_BYTES)
        else:
            _demand_text(name, head)
        limit = MAX_PDF_BYTES if is_whole_wanted else MAX_FILE_BYTES
        data = head + _read_up_to(descriptor, limit - len(head))
    finally:
        os.close(descriptor)
    given = clean_name(path)
    note = f"{given} is a link to it" if given != name else ""
    return _Read(name, max(status.st_size, len(data)), data, None if image is None else read_image_header(data), note)


def _read_up_to(descriptor: int, limit: int) -> bytes:
    pieces = []
    while limit > 0 and (piece := os.read(descriptor, min(limit, _PIECE_BYTES))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _demand_ordinary(status: os.stat_result, place: str, name: str) -> None:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise _refused(name, "It is a folder", remedy="Attach the files in it that matter.")
    if not stat.S_ISREG(mode):
        raise _refused(name, "It is a device or a pipe, not a file", remedy="Attach a file.")
    if place.startswith(("/proc/", "/sys/")):
        # Ordinary by its mode, but made by the kernel while it is read, without end or with this user's secrets in it.
        raise _refused(name, "It is no file on a disk but a page of the system's", remedy="Save it to a file first.")


def _demand_size(name: str, size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        raise _refused(
            name,
            f"It has {size_bytes / 1e6:,.1f} MB; at most {limit / 1e6:,.1f} MB are read",
            remedy="Attach a smaller copy or a part of it.",
        )


def _demand_text(name: str, head: bytes) -> None:
    if any(head.startswith(bom) for bom, _ in _BOMS):
        return
    for start, kind, remedy in _KINDS:
        if head.startswith(start):
            raise _refused(name, f"It is {kind}, not text", remedy=remedy or _USUAL_REMEDY)
    for start, kind in _KIND_AT_4:
        if head[4:].startswith(start):
            raise _refused(name, f"It is {kind}, which is not read here", remedy=_USUAL_REMEDY)
    controls = sum(1 for byte in head if byte < 0x20 and byte not in _TEXT_CONTROLS)
    if 0 in head or controls > len(head) * _BINARY_SHARE:
        raise _refused(name, "It is binary data, not text", remedy=_USUAL_REMEDY)


def _text_part(read: _Read) -> FilePart:
    encoding, start = next(((encoding, len(bom)) for bom, encoding in _BOMS if read.data.startswith(bom)), ("utf-8", 0))
    body, is_cut, lost = read.data[start:], read.size_bytes > len(read.data), 0
    try:
        # Not final where it was cut: half a character at the end is nobody's mistake.
        text = codecs.getincrementaldecoder(encoding)("strict").decode(body, final=not is_cut)
    except UnicodeError:
        text = body.decode(encoding, "replace")
        lost = text.count("\ufffd")
    notes = [read.note] if read.note else []
    if is_cut:
        notes.append(cut_note(len(read.data), read.size_bytes))
    if lost:
        notes.append(f"{lost:,} characters could not be read: it is not {'UTF-8' if not start else encoding.upper()}")
    text = text.replace("\x00", "\ufffd")
    if not text.strip():
        raise _refused(read.name, "There is nothing but white space in it", remedy="Attach a file with words in it.")
    return FilePart(read.name, text, "text/plain", read.size_bytes, "; ".join(notes))


def _image(read: _Read, header: ImageHeader) -> ReadAttachment:
    _demand_size(read.name, read.size_bytes, MAX_IMAGE_BYTES)
    width, height = header.width_px, header.height_px
    if not width or not height:
        raise _refused(read.name, "It begins like an image but is damaged", remedy="Open it and save it anew.")
    if width * height > MAX_IMAGE_PIXELS:
        raise _refused(
            read.name,
            f"It says that it is {width:,} x {height:,} pixels, more than {MAX_IMAGE_PIXELS / 1e6:,.0f} million",
            remedy="Attach a smaller copy.",
        )
    part = ImagePart(read.name, digest(read.data), header.media_type, width, height, len(read.data))
    return ReadAttachment(part, read.data)


def _refused(name: str, why: str, *, remedy: str) -> SettingsError:
    return SettingsError(f"{name} was not attached. {why}", remedy=remedy)


def _unreadable(shown: str, error: OSError | ValueError | MemoryError) -> SettingsError:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        why, remedy = "There is no such file any more", "Look where it was moved to."
    elif code in (errno.EACCES, errno.EPERM):
        why, remedy = "You are not allowed to read it", "Change its permissions, or attach a copy that is yours."
    elif code == errno.ELOOP:
        why, remedy = "It is a link that leads in a circle", "Attach the file that is meant."
    else:
        why, remedy = "It cannot be read", "Copy it to this computer's own disk, then attach the copy."
    return SettingsError(f"{shown} was not attached. {why}", remedy=remedy, detail=make_line(str(error), max_chars=300))


def _start_thread(run: Callable[[], None]) -> None:
    """A thread of its own, which may hang for ever on a dead network drive without holding up anything."""
    threading.Thread(target=run, name="attachment", daemon=True).start()
