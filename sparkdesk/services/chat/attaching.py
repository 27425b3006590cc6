"""What goes along with a question before it is asked: files, images, long pastes; and the draft that holds them.

The one rule: nothing that a person put into a draft is lost by a change of chat or the end of the program, and nothing
goes along that was not shown with its size.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.chat.message import Attachment, FilePart, ImagePart, Message, Role, TextPart
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.session_json import turn_from_json, turn_to_json
from sparkdesk.core.errors import StoreError
from sparkdesk.core.ports import AttachmentReader, Store
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

DRAFT_KIND = "draft"
SAVE_AFTER_S = 1.0
LAST_SAVE_TIMEOUT_S = 5.0
MAX_KEPT_IMAGE_BYTES = 16 << 20
"""Of one draft over the end of the program."""
NO_BYTES: Mapping[str, bytes] = MappingProxyType({})


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
    images: Mapping[str, bytes] = field(default_factory=lambda: NO_BYTES)
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
        digest = hashlib.sha256(picture.data).hexdigest()
        size = (picture.width_px, picture.height_px, len(picture.data))
        return Attached(ImagePart(name, digest, picture.media_type, *size), picture.data)

    async def add_text(self, text: str, name: str) -> Attached:
        """A long paste as a file."""
        return await self._counted(FilePart(name, text, "text/plain", len(text.encode("utf-8", "replace"))))

    async def count(self, part: FilePart) -> TokenCount | None:
        """What a file of a kept draft costs."""
        return await self._count(part.text)

    async def _counted(self, part: FilePart) -> Attached:
        return Attached(part, None, await self._count(part.text))


class Drafts:
    """The drafts of all conversations, kept in the store a moment after each change."""

    def __init__(self, *, tasks: Tasks, store: Store) -> None:
        self._tasks = tasks
        self._store = store
        self._drafts: dict[str, Draft] = {}
        self._changed: set[str] = set()
        self._is_saving = False

    async def load(self) -> None:
        """Read those of an earlier run; what was written meanwhile goes before. Raises StoreError."""
        for conversation_id, data in (await self._store.documents(DRAFT_KIND)).items():
            self._drafts.setdefault(conversation_id, draft_from_json(data))

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
            draft = self._drafts.get(conversation_id)
            try:
                if draft is None:
                    await self._store.remove_document(DRAFT_KIND, conversation_id)
                else:
                    await self._store.save_document(DRAFT_KIND, conversation_id, draft_to_json(draft))
            except (StoreError, asyncio.CancelledError):
                self._changed.add(conversation_id)
                raise

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


def draft_to_json(draft: Draft) -> bytes:
    """The draft as one JSON object, its images in it as far as there is room."""
    images, room = {}, MAX_KEPT_IMAGE_BYTES
    for digest, data in draft.images.items():
        if len(data) <= room:
            room -= len(data)
            images[digest] = base64.b64encode(data).decode("ascii")
    kept = tuple(part for part in draft.attachments if not isinstance(part, ImagePart) or part.digest in images)
    turn = Turn(Message(Role.USER, (TextPart(draft.text), *kept)))
    return json.dumps({"turn": turn_to_json(turn).decode("utf-8", "replace"), "images": images}).encode()


def draft_from_json(data: bytes) -> Draft:
    """The draft that was stored; what cannot be read is left out."""
    try:
        stored = json.loads(data)
        turn = turn_from_json(stored["turn"].encode())
        images = {digest: base64.b64decode(text, validate=True) for digest, text in stored["images"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return Draft()
    # A digest that does not fit its bytes would name another image.
    images = {digest: raw for digest, raw in images.items() if hashlib.sha256(raw).hexdigest() == digest}
    parts = turn.message.attachments
    kept = tuple(part for part in parts if not isinstance(part, ImagePart) or part.digest in images)
    return Draft(turn.text, kept, images)
