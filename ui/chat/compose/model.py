"""What is being written, for each conversation: its words and what goes along.

Rule: QtCore only. A file that is being read when the person goes to another chat lands in the chat it was meant for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, ParamSpec

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.chat.message import Attachment, FilePart, ImagePart
from sparkdesk.core.errors import SettingsError, SparkDeskError
from sparkdesk.services.chat.attaching import Attached, Attaching, Draft, Drafts, Picture
from sparkdesk.services.chat.context.token_count import TokenCount
from ui.bridge import Bridge, watch

P = ParamSpec("P")

MAX_ITEMS: Final = 20
LONG_CHARS: Final = 4_000
LONG_LINES: Final = 120
MAX_EDITED_CHARS: Final = 100_000
"""A longer paste stays a file: a text field lays out so much too slowly."""
MAX_LINE_CHARS: Final = 5_000
"""Qt lays out one long line in quadratic time."""
PASTE_NAME: Final = "pasted-{}.txt"
_PASTE_START: Final = "pasted-"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that goes along, or will. While `part` is None it is being read."""

    key: int
    name: str
    part: Attachment | None = None
    data: bytes | None = None
    cost: TokenCount | None = None

    @property
    def is_image(self) -> bool:
        """Whether the model must see for it."""
        return isinstance(self.part, ImagePart)

    @property
    def is_paste(self) -> bool:
        """Whether it was pasted as words and may become words again."""
        part = self.part
        if not isinstance(part, FilePart) or not _number_of(part.name) or len(part.text) > MAX_EDITED_CHARS:
            return False
        return max(len(line) for line in part.text.split("\n")) <= MAX_LINE_CHARS


def is_long(text: str) -> bool:
    """Whether a paste is better kept as a file."""
    return len(text) > LONG_CHARS or text.count("\n") > LONG_LINES


class ComposeModel(QObject):
    """The draft of the conversation shown. Without `attaching` nothing can go along but words."""

    changed = Signal()
    """What goes along, or what it costs."""
    shown = Signal()
    """Another conversation's draft: its words too."""
    refused = Signal(object)
    """A SparkDeskError about one file."""

    def __init__(
        self,
        attaching: Attaching | None = None,
        bridge: Bridge | None = None,
        drafts: Drafts | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._attaching = attaching
        self._bridge = bridge
        self._drafts = drafts
        self._items: dict[str, tuple[Item, ...]] = {}
        self._texts: dict[str, str] = {}
        self._last_key = 0
        self.conversation_id = ""
        if drafts is not None:
            watch(drafts.is_loaded, self, lambda is_loaded: self._show_loaded() if is_loaded else None)

    @property
    def can_attach(self) -> bool:
        """Whether files can go along."""
        return self._attaching is not None and self._bridge is not None

    @property
    def items(self) -> tuple[Item, ...]:
        """What goes along, in the order of coming."""
        return self._items.get(self.conversation_id, ())

    @property
    def text(self) -> str:
        """The words."""
        return self._texts.get(self.conversation_id, "")

    @property
    def is_reading(self) -> bool:
        """Whether something is being read yet."""
        return any(item.part is None for item in self.items)

    def show(self, conversation_id: str) -> None:
        """Write in this conversation from now on."""
        if conversation_id == self.conversation_id:
            return
        self.conversation_id = conversation_id
        if not self.text and not self.items and self._drafts is not None:
            self._restore(self._drafts.of(conversation_id))
        self.shown.emit()
        self.changed.emit()

    def become(self, conversation_id: str) -> None:
        """The conversation shown has begun and has this name from now on; what is written in it stays."""
        before, self.conversation_id = self.conversation_id, conversation_id
        self._texts[conversation_id] = self._texts.pop(before, "")
        self._items[conversation_id] = self._items.pop(before, ())
        self._keep(before)
        self._keep(conversation_id)

    def _show_loaded(self) -> None:
        """The drafts of an earlier run were read: show this conversation's, unless something was written since."""
        if self.conversation_id and not self.text and not self.items and self._drafts is not None:
            self._restore(self._drafts.of(self.conversation_id))
            self.shown.emit()
            self.changed.emit()

    def set_text(self, text: str) -> None:
        """The words are these now."""
        if text != self.text:
            self._texts[self.conversation_id] = text
            self._keep(self.conversation_id)

    def draft(self, *, has_images: bool = True) -> Draft:
        """What would be asked. `has_images` False leaves the images out."""
        return self._draft_of(self.conversation_id, has_images=has_images)

    def clear(self) -> None:
        """It was asked: nothing of it is kept."""
        self._texts.pop(self.conversation_id, None)
        self._set(self.conversation_id, ())

    def restore(self, draft: Draft) -> None:
        """Put back what could not be asked, unless something new was written meanwhile."""
        if not self.text.strip() and not self.items:
            self.add(draft)

    def add(self, draft: Draft) -> None:
        """Put a draft before what is written."""
        written, items = self.text, self.items
        self._restore(draft)
        self._texts[self.conversation_id] = "\n\n".join(text for text in (draft.text, written) if text.strip())
        self._items[self.conversation_id] += items
        self._keep(self.conversation_id)
        self.shown.emit()
        self.changed.emit()

    # What goes along -------------------------------------------------------------------------------------------

    def add_paths(self, paths: Sequence[str]) -> None:
        """Read these files."""
        attaching = self._attaching
        if attaching is None:
            return
        for path in paths:
            name = path.rstrip("/").rpartition("/")[2] or path

            def read(path: str = path) -> Awaitable[Attached]:
                return attaching.read(path)

            if not self._begin(name, read):
                return

    def add_text(self, text: str) -> str:
        """A long paste becomes a file; gives the file's name."""
        attaching = self._attaching
        number = 1 + max((_number_of(item.name) for item in self.items), default=0)
        name = PASTE_NAME.format(number)
        if attaching is not None:
            self._begin(name, lambda: attaching.add_text(text, name))
        return name

    def add_picture(self, make: Callable[[], Awaitable[Picture]]) -> None:
        """An image from the clipboard, which `make` writes anew."""
        attaching = self._attaching
        if attaching is None:
            return
        number = 1 + sum(1 for item in self.items if item.name.startswith("image-"))
        name = f"image-{number}"

        async def read() -> Attached:
            return attaching.keep_picture(await make(), name)

        self._begin(name, read)

    def remove(self, key: int) -> None:
        """It shall not go along."""
        self._set(self.conversation_id, tuple(item for item in self.items if item.key != key))

    def take_text(self, key: int) -> str:
        """A paste becomes words again: they are no file from now on."""
        found = next((item.part for item in self.items if item.key == key), None)
        self.remove(key)
        return found.text if isinstance(found, FilePart) else ""

    def recount(self) -> None:
        """Another model counts otherwise."""
        if self._bridge is not None and self._attaching is not None:
            for item in self.items:
                if isinstance(item.part, FilePart):
                    self._bridge.start(self._count, self._attaching, self.conversation_id, item.key, item.part)

    def start(self, fn: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Do this beside the window."""
        if self._bridge is not None:
            self._bridge.start(fn, *args, **kwargs)

    # Inside ----------------------------------------------------------------------------------------------------

    def _begin(self, name: str, read: Callable[[], Awaitable[Attached]]) -> bool:
        if self._bridge is None:
            return False
        if len(self.items) >= MAX_ITEMS:
            self.refused.emit(
                SettingsError(f"At most {MAX_ITEMS} files go along with one question", remedy="Remove some first.")
            )
            return False
        self._last_key += 1
        self._set(self.conversation_id, (*self.items, Item(self._last_key, name)))
        self._bridge.start(self._read, self.conversation_id, self._last_key, read)
        return True

    async def _read(self, conversation_id: str, key: int, read: Callable[[], Awaitable[Attached]]) -> None:
        try:
            found = await read()
        except SparkDeskError as error:
            self._set(conversation_id, tuple(item for item in self._items.get(conversation_id, ()) if item.key != key))
            self.refused.emit(error)
            return
        done = Item(key, found.part.name, found.part, found.data, found.cost)
        if any(_is_same(done, item) for item in self._items.get(conversation_id, ())):
            self._set(conversation_id, tuple(item for item in self._items.get(conversation_id, ()) if item.key != key))
        else:
            self._replace(conversation_id, done)

    async def _count(self, attaching: Attaching, conversation_id: str, key: int, part: FilePart) -> None:
        cost = await attaching.count(part)
        for item in self._items.get(conversation_id, ()):
            if item.key == key:
                self._replace(conversation_id, replace(item, cost=cost))

    def _replace(self, conversation_id: str, new: Item) -> None:
        items = self._items.get(conversation_id, ())
        self._set(conversation_id, tuple(new if item.key == new.key else item for item in items))

    def _set(self, conversation_id: str, items: tuple[Item, ...]) -> None:
        self._items[conversation_id] = items
        self._keep(conversation_id)
        if conversation_id == self.conversation_id:
            self.changed.emit()

    def _draft_of(self, conversation_id: str, *, has_images: bool = True) -> Draft:
        items = [item for item in self._items.get(conversation_id, ()) if has_images or not item.is_image]
        images = {item.part.digest: item.data or b"" for item in items if isinstance(item.part, ImagePart)}
        parts = tuple(item.part for item in items if item.part is not None)
        return Draft(self._texts.get(conversation_id, ""), parts, images)

    def _keep(self, conversation_id: str) -> None:
        if self._drafts is not None and conversation_id:
            self._drafts.keep(conversation_id, self._draft_of(conversation_id))

    def _restore(self, draft: Draft) -> None:
        self._texts[self.conversation_id] = draft.text
        items = []
        for part in draft.attachments:
            self._last_key += 1
            data = draft.images.get(part.digest) if isinstance(part, ImagePart) else None
            items.append(Item(self._last_key, part.name, part, data))
        self._items[self.conversation_id] = tuple(items)
        self.recount()


def _is_same(new: Item, known: Item) -> bool:
    """Whether the same file was attached already."""
    return known.key != new.key and known.part is not None and known.part == new.part


def _number_of(name: str) -> int:
    digits = name.removeprefix(_PASTE_START).removesuffix(".txt")
    return int(digits) if name.startswith(_PASTE_START) and digits.isdecimal() and len(digits) < 6 else 0
