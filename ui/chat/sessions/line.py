"""The lines of the list: headings, conversations, and places that a search found.

Rule: values only; what stands where is decided here and painted elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sparkdesk.core.chat.search.query import parse_query
from sparkdesk.core.chat.store.chat_store import FoundMessage
from sparkdesk.services.chat.conversations import ChatSummary, FoundChat, is_chosen

PINNED = "pinned"
LIKE_WORDS = "Similar words"


@dataclass(frozen=True, slots=True)
class Head:
    """A heading. A folder's can be closed."""

    key: str
    words: str
    folder: str = ""
    count: int = 0
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A conversation, and where it has what was searched for."""

    summary: ChatSummary
    is_unread: bool = False
    title_marks: tuple[tuple[int, int], ...] = ()
    excerpts: tuple[FoundMessage, ...] = ()

    @property
    def place(self) -> FoundMessage | None:
        """The nearest place in what was said."""
        return next((excerpt for excerpt in self.excerpts if excerpt.turn >= 0), None)


Line = Head | ChatLine


@dataclass(frozen=True, slots=True)
class Look:
    """What of the list is the person's own: which folders are closed, what was not looked at yet."""

    closed: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()


def key_of(line: Line) -> str:
    """What names a line while the list lives."""
    return line.summary.id if isinstance(line, ChatLine) else f"head:{line.key}"


def time_words(t_ms: int, now: datetime) -> str:
    """12:02 today, Thu within a week, 3 Mar before, 3 Mar 2025 in another year."""
    then = _moment(t_ms, now)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    if now - then < timedelta(days=7):
        return f"{then:%a}"
    return f"{then.day} {then:%b}" if then.year == now.year else f"{then.day} {then:%b %Y}"


def group_words(now: datetime) -> Callable[[int], str]:
    """What gives the heading that a conversation of this time stands under; the day is found out once for all."""
    today = datetime.combine(now.date(), time.min, now.tzinfo)
    from_ms, to_ms = today.timestamp() * 1000, (today + timedelta(days=1)).timestamp() * 1000
    week_ms = (now - timedelta(days=7)).timestamp() * 1000

    def words(t_ms: int) -> str:
        if from_ms <= t_ms < to_ms:
            return "Today"
        return "This week" if t_ms > week_ms else "Earlier"

    return words


def arrange(sessions: Sequence[ChatSummary], look: Look, now: datetime) -> list[Line]:
    """Pinned ones, then folders in order of the alphabet, then the rest by day; each group newest first."""
    pinned = [summary for summary in sessions if summary.is_pinned]
    folders: dict[str, list[ChatSummary]] = {}
    days: dict[str, list[ChatSummary]] = {}
    heading = group_words(now)
    for summary in sessions:
        if summary.is_pinned:
            continue
        if summary.folder:
            folders.setdefault(summary.folder, []).append(summary)
        else:
            days.setdefault(heading(summary.updated_ms), []).append(summary)
    lines: list[Line] = []
    if pinned:
        lines += [Head(PINNED, "Pinned"), *_lines(pinned, look)]
    for folder in sorted(folders, key=lambda name: (name.lower(), name)):
        is_open = folder not in look.closed
        lines.append(Head(f"folder:{folder}", folder, folder, len(folders[folder]), is_open))
        lines += _lines(folders[folder], look) if is_open else []
    for day, chats in days.items():
        lines += [Head(f"day:{day}", day), *_lines(chats, look)]
    return lines


def arrange_found(found: Sequence[FoundChat], look: Look) -> list[Line]:
    """What a search found, in its own order; what merely has similar words stands apart."""
    exact = [_found(chat, look) for chat in found if not _is_like(chat)]
    alike = [_found(chat, look) for chat in found if _is_like(chat)]
    number = f"{len(exact):,} chat{'s' if len(exact) != 1 else ''}"
    lines: list[Line] = [Head("found", number), *exact] if exact else []
    return [*lines, Head("like", LIKE_WORDS), *alike] if alike else lines


def named(sessions: Sequence[ChatSummary], words: str) -> list[ChatSummary]:
    """Those whose title, model, tags or folder have the words, while what was said is still searched."""
    query = parse_query(words)
    asked = [word.lower() for word in query.words]
    found = []
    for summary in sessions:
        head = "\n".join((summary.title, summary.label, *summary.tags, summary.folder)).lower()
        if is_chosen(summary, query) and all(word in head for word in asked):
            found.append(summary)
    return found


def _lines(summaries: Sequence[ChatSummary], look: Look) -> list[ChatLine]:
    return [ChatLine(summary, summary.id in look.unread) for summary in summaries]


def _found(chat: FoundChat, look: Look) -> ChatLine:
    return ChatLine(chat.summary, chat.summary.id in look.unread, chat.title_marks, chat.excerpts)


def _is_like(chat: FoundChat) -> bool:
    return bool(chat.excerpts) and all(excerpt.is_like for excerpt in chat.excerpts)


def _moment(t_ms: int, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(t_ms / 1000, tz=now.tzinfo)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, tz=now.tzinfo)
