"""Stored conversations on a chat page, and what is seen and pressed there: for several tests."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import ChatSettings, Turn
from sparkdesk.core.chat.store.session_json import settings_to_json, turn_to_json
from sparkdesk.core.chat.stream.timing import AnswerTiming
from tests.ui.chat_desk import ChatDesk
from ui.chat.column import RowWidget

TIMING = AnswerTiming(1.42, 0.032, 31.6, 2210.0, 6.7, 18.2, 486, 48310, 43962, True)


def asked(number: int, text: str, parent: int | None = None) -> Turn:
    return Turn(Message(Role.USER, (TextPart(text),)), number=number, parent=parent)


def said(number: int, text: str, parent: int, **more: object) -> Turn:
    turn = Turn(Message(Role.ASSISTANT, (TextPart(text),) if text else ()), number=number, parent=parent)
    return replace(turn, **{"timing": TIMING, "label": "tiny on spark-a", **more})


async def show(desk: ChatDesk, *turns: Turn, **settings: object) -> None:
    """A stored conversation, opened."""
    known = replace(ChatSettings(label="tiny on spark-a", updated_ms=1), **settings)
    await desk.store.save_chat("old", "Old", settings_to_json(known), {t.number: turn_to_json(t) for t in turns})
    await desk.chats.load()
    desk.model.open_session("old")
    await desk.until(lambda: desk.conversation.id == "old", "the old chat")
    await desk.until(lambda: desk.page.transcript.column.is_complete, "its rows")


def row(desk: ChatDesk, kind: type[RowWidget], place: int = -1) -> RowWidget:
    """One of the rows of this kind that exist now."""
    return [widget for widget in desk.page.transcript.column.widgets() if isinstance(widget, kind)][place]


def press(desk: ChatDesk, *keys: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    for key in keys:
        QTest.keyClick(desk.page.window().focusWidget() or desk.page, key, modifier)
