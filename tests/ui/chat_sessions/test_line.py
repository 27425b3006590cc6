"""What stands where in the list of chats."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sparkdesk.core.chat.store.chat_store import FoundMessage
from sparkdesk.services.chat.conversations import ChatSummary, FoundChat
from ui.chat.sessions.line import ChatLine, Head, Line, Look, arrange, arrange_found, named, time_words

NOW = datetime(2026, 11, 22, 15, 0).astimezone()


def chat(key: str, hours: float, **more: object) -> ChatSummary:
    """A chat that was last used so many hours ago."""
    t_ms = int((NOW - timedelta(hours=hours)).timestamp() * 1000)
    return replace(ChatSummary(key, f"Title {key}", "m on n", t_ms), **more)  # type: ignore[arg-type]


def words(lines: list[Line]) -> list[str]:
    return [line.words if isinstance(line, Head) else line.summary.id for line in lines]


CHATS = (
    chat("now", 1),
    chat("pinned", 2, is_pinned=True, folder="Rust"),
    chat("rust", 3, folder="Rust"),
    chat("day", 30),
    chat("art", 50, folder="art"),
    chat("old", 24 * 30),
)


def test_pinned_ones_come_first_then_folders_by_name_then_days() -> None:
    assert words(arrange(CHATS, Look(), NOW)) == [
        *("Pinned", "pinned", "art", "art", "Rust", "rust"),
        *("Today", "now", "This week", "day", "Earlier", "old"),
    ]


def test_a_closed_folder_keeps_its_heading_and_its_number() -> None:
    lines = arrange(CHATS, Look(closed=frozenset({"Rust"})), NOW)
    assert words(lines)[2:6] == ["art", "art", "Rust", "Today"]
    head = lines[4]
    assert isinstance(head, Head)
    assert (head.count, head.is_open) == (1, False)


def test_what_is_merely_alike_stands_apart() -> None:
    exact = FoundChat(CHATS[0], (FoundMessage("id", 3, "a place", ((2, 7),)),))
    alike = FoundChat(CHATS[3], (FoundMessage("id", 1, "a plaice", ((2, 8),), is_like=True),))
    lines = arrange_found((alike, exact), Look(unread=frozenset({"now"})))
    assert words(lines) == ["1 chat", "now", "Similar words", "day"]
    found = lines[1]
    assert isinstance(found, ChatLine)
    assert found.is_unread
    assert found.place == exact.excerpts[0]


def test_a_place_in_the_title_is_no_place_in_what_was_said() -> None:
    line = ChatLine(CHATS[0], excerpts=(FoundMessage("id", -1, "Title now", ()),))
    assert line.place is None


def test_titles_are_found_before_what_was_said_is_searched() -> None:
    tagged = chat("t", 1, tags=("Zoo",), folder="Rust")
    assert named((*CHATS, tagged), "title RUST") == [CHATS[1], CHATS[2], tagged]
    assert named((*CHATS, tagged), "tag:zoo") == [tagged]
    assert named((*CHATS, tagged), "folder:rust title") == [CHATS[1], CHATS[2], tagged]


def test_a_time_is_written_as_short_as_it_is_clear() -> None:
    def told(hours: float) -> str:
        return time_words(chat("x", hours).updated_ms, NOW)

    assert [told(1), told(24 * 2), told(24 * 19), told(24 * 400)] == ["14:00", "Fri", "3 Nov", "18 Oct 2025"]
    assert time_words(1 << 62, NOW) == "1 Jan 1970"
