"""What goes along with a question before it is asked: files, images, long pastes; and the draft that holds them.

The one rule: nothing that a person put into a draft is lost by a change of chat or the end of the program, and nothing
goes along that was not shown with its size.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sparkdesk.core.chat.message import (
    MAX_FILE_BYTES,
    NO_IMAGES,
    Attachment,
    FilePart,
    ImagePart,
    Message,
    Role,
    cut_note,
)
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.store.session_json import turn_from_json, turn_to_json
from sparkdesk.core.digest import digest, text_digest
from sparkdesk.core.errors import StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import AttachmentReader, Store
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

DRAFT_KIND = "draft"
FILE_KIND = "draft_file"
MAX_STORED_FILES = 100
SAVE_AFTER_S = 1.0
LAST_SAVE_TIMEOUT_S = 5.0
MAX_KEPT_IMAGE_BYTES = 16 << 20
"""Of one draft over the end of the program."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it goes to a server: decoded and written anew, so that nothing but its pixels goes along."""

    data: bytes
    media_type: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Attached:
    """One thing that goes along, with its cost."""

    part: Attachment
    data: bytes | None = None
    """An image's bytes."""
    cost: TokenCount | None = None
    """A file's tokens; None is not known, as of an image."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that is not asked yet."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=lambda: NO_IMAGES)
    """The bytes of the images in `attachments`, by digest."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to ask."""
        return not self.text.strip() and not self.attachments


CountTokens = Callable[[str], Awaitable[TokenCount | None]]
"""Tokens of a text, counted or estimated; None when there is no server to count for."""
MakePicture = Callable[[bytes, str], Awaitable[Picture]]
"""From an image's bytes and media type. Raises SettingsError."""


class Attaching:
    """Makes what goes along out of files and bytes."""

    def __init__(self, reader: AttachmentReader, *, make_picture: MakePicture, count: CountTokens) -> None:
        self._reader = reader
        self._make_picture = make_picture
        self._count = count

    async def read(self, path: str) -> Attached:
        """The file at this path. Raises SettingsError in words for a person."""
        found = await self._reader.read(path)
        if isinstance(found.part, ImagePart):
            return await self.add_image(found.data or b"", found.part.media_type, found.part.name)
        return await self._counted(found.part)

    async def add_image(self, data: bytes, media_type: str, name: str) -> Attached:
        """An image that was read or pasted. Raises SettingsError when it cannot be decoded."""
        return self.keep_picture(await self._make_picture(data, media_type), name)

    def keep_picture(self, picture: Picture, name: str) -> Attached:
        """An image that was decoded already."""
        size = (picture.width_px, picture.height_px, len(picture.data))
        return Attached(ImagePart(name, digest(picture.data), picture.media_type, *size), picture.data)

    async def add_text(self, text: str, name: str) -> Attached:
        """A long paste as a file; of one without end its beginning, as of any text."""
        data = text.encode("utf-8", "replace")
        kept, note = text, ""
        if len(data) > MAX_FILE_BYTES:
            kept = data[:MAX_FILE_BYTES].decode("utf-8", "ignore")
            note = cut_note(MAX_FILE_BYTES, len(data))
        return await self._counted(FilePart(name, kept, "text/plain", len(data), note))

    async def count(self, part: FilePart) -> TokenCount | None:
        """What a file of a kept draft costs."""
        return await self._count(part.text)

    async def _counted(self, part: FilePart) -> Attached:
        return Attached(part, None, await self._count(part.text))


class Drafts:
    """The drafts of all conversations, kept in the store soon after each change: a file once, the words often."""

    def __init__(self, *, tasks: Tasks, store: Store) -> None:
        self._tasks = tasks
        self._store = store
        self._drafts: dict[str, Draft] = {}
        self._stored: dict[str, dict[str, Attachment]] = {}
        """Of each conversation the attachments that are in the store, by their keys."""
        self._changed: set[str] = set()
        self._is_saving = False
        self.is_loaded: Latest[bool] = Latest(False)

    async def load(self) -> None:
        """Read those of an earlier run; what was written meanwhile goes before. Raises StoreError."""
        words = await self._store.documents(DRAFT_KIND)
        files = await self._store.documents(FILE_KIND)
        for conversation_id, data in words.items():
            draft, stored = draft_from_json(data, conversation_id, files)
            self._drafts.setdefault(conversation_id, draft)
            self._stored[conversation_id] = stored
        known = {_place(each, key) for each, stored in self._stored.items() for key in stored}
        for place in files.keys() - known:
            await self._store.remove_document(FILE_KIND, place)  # of a save that did not come to its end
        self.is_loaded.set(True)

    def of(self, conversation_id: str) -> Draft:
        """The draft of this conversation; an empty one when there is none."""
        return self._drafts.get(conversation_id, Draft())

    def keep(self, conversation_id: str, draft: Draft) -> None:
        """Hold this draft from now on; an empty one is forgotten."""
        if draft == self.of(conversation_id):
            return
        if draft.is_empty:
            self._drafts.pop(conversation_id, None)
        else:
            self._drafts[conversation_id] = draft
        self._changed.add(conversation_id)
        if not self._is_saving:
            self._is_saving = self._tasks.start(self._save_soon) is not None

    async def save(self) -> None:
        """Write what was not written yet. Raises StoreError."""
        while self._changed:
            conversation_id = self._changed.pop()
            try:
                await self._save(conversation_id, self.of(conversation_id))
            except (StoreError, asyncio.CancelledError):
                self._changed.add(conversation_id)
                raise

    async def _save(self, conversation_id: str, draft: Draft) -> None:
        stored = self._stored.setdefault(conversation_id, {})
        keys = {known: key for key, known in stored.items()}
        kept = {keys.get(part) or _key(part): part for part in _kept_parts(draft)}
        for key, part in kept.items():
            if key not in stored:
                data = file_to_json(part, draft.images)
                await self._store.save_document(FILE_KIND, _place(conversation_id, key), data)
                stored[key] = part
        if draft.is_empty:
            await self._store.remove_document(DRAFT_KIND, conversation_id)
        else:
            words = json.dumps({"text": draft.text, "files": list(kept)}).encode()
            await self._store.save_document(DRAFT_KIND, conversation_id, words)
        for key in stored.keys() - kept.keys():
            await self._store.remove_document(FILE_KIND, _place(conversation_id, key))
            del stored[key]

    async def _save_soon(self) -> None:
        try:
            while self._changed:
                await asyncio.sleep(SAVE_AFTER_S)
                await self.save()
        except asyncio.CancelledError:
            # The program ends: what was typed in the last second is kept too.
            await self._save_last()
            raise
        except StoreError as error:
            log.warning("a draft is not kept: %s", error.sentence())
        finally:
            self._is_saving = False

    async def _save_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_SAVE_TIMEOUT_S):
                await self.save()
        except (StoreError, TimeoutError) as error:
            log.warning("a draft is not kept: %s", error)


def _place(conversation_id: str, key: str) -> str:
    return f"{conversation_id}/{key}"


def _key(part: Attachment) -> str:
    """A name for the part that another part does not have."""
    told = f"{part.name}\0{part.digest}" if isinstance(part, ImagePart) else f"{part.name}\0{part.note}\0{part.text}"
    return text_digest(told)[:32]


def _kept_parts(draft: Draft) -> list[Attachment]:
    """What is kept of the attachments: images as far as there is room."""
    kept: list[Attachment] = []
    room = MAX_KEPT_IMAGE_BYTES
    for part in draft.attachments:
        if isinstance(part, ImagePart):
            size = len(draft.images.get(part.digest, b""))
            if not 0 < size <= room:
                continue
            room -= size
        kept.append(part)
    return kept


def file_to_json(part: Attachment, images: Mapping[str, bytes]) -> bytes:
    """One attachment as a JSON object, an image with its bytes."""
    data = images.get(part.digest, b"") if isinstance(part, ImagePart) else b""
    turn = turn_to_json(Turn(Message(Role.USER, (part,)))).decode("utf-8", "replace")
    return json.dumps({"turn": turn, "data": base64.b64encode(data).decode("ascii")}).encode()


def file_from_json(stored: bytes) -> tuple[Attachment, bytes] | None:
    """The attachment that was stored and an image's bytes; None when it cannot be read."""
    try:
        told = json.loads(stored)
        (part,) = turn_from_json(told["turn"].encode()).message.attachments
        data = base64.b64decode(told["data"], validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    # Bytes under a digest that is not theirs would be another image than the one that was shown.
    if isinstance(part, ImagePart) and digest(data) != part.digest:
        return None
    return part, data


def draft_from_json(
    stored: bytes, conversation_id: str, files: Mapping[str, bytes]
) -> tuple[Draft, dict[str, Attachment]]:
    """The draft that was stored, with its attachments by their keys; what cannot be read is left out."""
    try:
        told = json.loads(stored)
        text, keys = str(told["text"]), [str(key) for key in told["files"]][:MAX_STORED_FILES]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Draft(), {}
    parts: dict[str, Attachment] = {}
    images: dict[str, bytes] = {}
    for key in keys:
        found = file_from_json(files.get(_place(conversation_id, key), b""))
        if found is not None:
            parts[key] = found[0]
            if isinstance(found[0], ImagePart):
                images[found[0].digest] = found[1]
    return Draft(text, tuple(parts.values()), images), parts
