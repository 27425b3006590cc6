"""A conversation by itself, as it goes into a file or comes out of one.

The one rule: a file is a stranger's. What is read from it is bounded, typed and plain text; nothing in it is run and no
address in it is asked for anything. What is not understood is counted and told.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sparkdesk.core.chat.message import NO_IMAGES, FilePart, ImagePart, Role
from sparkdesk.core.chat.session import MAX_NAME_CHARS, MAX_TAGS, ChatSettings, Turn
from sparkdesk.core.chat.tree import TurnTree
from sparkdesk.core.digest import digest

MAX_TEXT_CHARS = 4 << 20
"""Of one message or one file."""
MAX_IMAGE_BYTES = 20 << 20
MAX_TURNS = 100_000
"""Of one chat."""
LINE_CHARS = 200
"""Of a name of a file or of a model."""
ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}
"""Who speaks, by the words that all these forms have."""
TOO_MANY = "Messages beyond what one chat can have"
NO_SPEAKER = "Messages of tools or of unknown speakers, left out"
NO_PART = "Parts of messages that are not understood"
ELSEWHERE = "Pictures that lie elsewhere and were not fetched"
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")


class TransferForm(StrEnum):
    """What a chat can be written as."""

    MARKDOWN = "markdown"
    JSON = "json"
    OPENAI = "openai"
    OPEN_WEBUI = "open_webui"

    @property
    def suffix(self) -> str:
        """What the file's name ends in."""
        return {"markdown": ".md", "openai": ".jsonl"}.get(self.value, ".json")

    @property
    def words(self) -> str:
        """As a menu calls it."""
        return _WORDS[self.value]


_WORDS = {
    "markdown": "Markdown, to read",
    "json": "JSON, everything",
    "openai": "OpenAI messages, JSONL",
    "open_webui": "Open WebUI, JSON",
}


@dataclass(frozen=True, slots=True)
class ChatCopy:
    """One conversation with all its branches."""

    title: str
    settings: ChatSettings = field(default_factory=ChatSettings)
    turns: tuple[Turn, ...] = ()
    """Of every branch, in order of their numbers."""
    images: Mapping[str, bytes] = field(default_factory=lambda: NO_IMAGES)
    """The bytes of its images, by digest; those that are missing stay names."""

    @property
    def shown(self) -> tuple[Turn, ...]:
        """The turns of the branch that is shown."""
        return TurnTree(self.turns, self.settings.leaf).shown


@dataclass(slots=True)
class Tally:
    """What of a file was left out while it was read."""

    left_out: Counter[str] = field(default_factory=Counter)
    """How many of what, by words in the plural."""

    def miss(self, what: str, number: int = 1) -> None:
        """Count something that was left out."""
        self.left_out[what] += number

    @property
    def words(self) -> tuple[str, ...]:
        """One sentence for each kind."""
        return tuple(f"{what}: {number:,}." for what, number in self.left_out.items() if number)


def text_of(value: object, tally: Tally, limit: int = MAX_TEXT_CHARS) -> str:
    """A text of the file; "" for what is none, and cut where it is too long."""
    if not isinstance(value, str):
        return ""
    if len(value) > limit:
        tally.miss("Texts that were cut, since they are too long")
    return value[:limit].encode("utf-8", "replace").decode("utf-8")


def line_of(value: object, limit: int = LINE_CHARS) -> str:
    """A name of the file as one line."""
    return " ".join(str(value)[: 4 * limit].split())[:limit] if isinstance(value, str) else ""


def table(value: object) -> dict[str, Any]:
    """An object of the file; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Any]:
    """A list of the file; an empty one for anything else."""
    return value if isinstance(value, list) else []


def whole_of(value: object) -> int:
    """A count of the file; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else 0


def names_of(value: object) -> tuple[str, ...]:
    """The tags of a chat, each once."""
    return tuple(dict.fromkeys(name for tag in rows(value)[:MAX_TAGS] if (name := line_of(tag, MAX_NAME_CHARS))))


def moment_ms(seconds: object) -> int:
    """A moment that a file gives in seconds since 1970 (some give ms); 0 is not known."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return 0
    value = float(seconds)
    value = value if value > 1e11 else value * 1000
    return int(value) if 0 < value < 1e14 else 0


def image_from(url: object, name: str, images: dict[str, bytes], tally: Tally) -> ImagePart | None:
    """The image that a data URL holds; an image that lies elsewhere is counted and never fetched."""
    if not isinstance(url, str) or not url.startswith("data:"):
        tally.miss(ELSEWHERE)
        return None
    head, _, body = url.partition(",")
    kind, _, coding = head.removeprefix("data:").partition(";")
    data = _decoded(body) if coding == "base64" and kind in IMAGE_TYPES else b""
    if not data:
        tally.miss("Pictures that are not understood")
        return None
    name_of_data = digest(data)
    images[name_of_data] = data
    return ImagePart(name or "picture", name_of_data, kind, 0, 0, len(data))


def image_url(part: ImagePart, images: Mapping[str, bytes]) -> str:
    """The image as a data URL; "" when its bytes are not there."""
    data = images.get(part.digest)
    return f"data:{part.media_type};base64,{base64.b64encode(data).decode()}" if data else ""


def file_from(name: object, url: object, tally: Tally) -> FilePart | None:
    """The text file that a data URL holds."""
    head, _, body = url.partition(",") if isinstance(url, str) else ("", "", "")
    kind = head.removeprefix("data:").partition(";")[0]
    if not head.endswith(";base64") or not (kind.startswith("text/") or kind == "application/json"):
        tally.miss("Files that are not text")
        return None
    data = _decoded(body)
    text = data.decode("utf-8", "replace")
    return FilePart(line_of(name) or "file.txt", text_of(text, tally), kind, len(data))


def file_url(part: FilePart) -> str:
    """The file's text as a data URL."""
    data = base64.b64encode(part.text.encode("utf-8", "replace")).decode()
    kind = part.media_type if part.media_type.startswith("text/") else "text/plain"
    return f"data:{kind};base64,{data}"


def bytes_of(text: object) -> bytes:
    """The bytes behind base64; b"" for what is none or too much."""
    return _decoded(text) if isinstance(text, str) else b""


def _decoded(text: str) -> bytes:
    if len(text) > MAX_IMAGE_BYTES * 4 // 3 + 4:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
