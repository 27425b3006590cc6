"""A server of somebody else's by address and key: connected, refused, remembered over a restart, forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.chat.session import TurnState
from tests.app.adding import click, words_on
from tests.app.chat_window import ask, connect, connected, open_chat, url_of
from tests.app.desk import play, until
from tests.app.picture import take_pictures
from tests.app.program import require_engine
from tests.servers.llamacpp import LlamaServer, llama_server

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support")
KEY = "sk-heron-4711-key-of-a-person"


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    require_engine()
    with llama_server(context_tokens=2048, api_key=KEY) as server:
        yield server


def holders_of(secret: str, folder: Path) -> list[Path]:
    """The files below `folder` that have these letters."""
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_server_wants_its_key_is_remembered_without_it_and_forgotten(
    app: QApplication, server: LlamaServer, own_home: Path
) -> None:
    async def first(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        await connect(page, server, "wrong")
        await until(page.banner.isVisible, "the refusal")
        assert "does not accept this key" in words_on(page.banner)
        assert "wrong" not in words_on(page.banner)
        await take_pictures(desktop, "chat-wrong-key")
        await connected(page, server, KEY)
        assert not page.banner.isVisible()
        assert (await ask(page, "ping")).state is TurnState.DONE
        click(page.settings.model.connect_server)
        assert "this key" not in words_on(page)
        assert KEY not in words_on(desktop.window)
        form = page.settings.model.server
        assert form.key.text() == "", "a key is not shown again"
        await take_pictures(desktop, "chat-server")

    async def second(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        form = page.settings.model.server
        await until(lambda: form.forgets, "the server that is remembered")
        click(page.settings.model.connect_server)
        # No keyring of this test's keeps a key, so the person gives it again; the address is there.
        await until(lambda: "wants a key" in words_on(form), "why it cannot be asked")
        assert page.model.endpoints == ()
        await connected(page, server, KEY)
        click(page.settings.model.connect_server)
        await until(form.isVisible, "the form")
        (forget,) = form.forgets.values()
        click(forget)
        await until(lambda: not form.forgets and not page.model.endpoints, "the end of the server")

    async def third(desktop: Desktop) -> None:
        page = await open_chat(desktop)
        assert desktop.stack.chat.links.links.value == ()
        assert page.model.endpoints == ()

    for story in (first, second, third):
        assert play(app, story) == 0
        assert holders_of(KEY, own_home) == [], "the key is in no file"
        has_address = any(url_of(server).encode() in path.read_bytes() for path in own_home.rglob("*.db*"))
        assert has_address or story is not first
