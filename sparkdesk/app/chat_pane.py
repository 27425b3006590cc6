"""The chat page, joined with its conversations, with what it can talk to, and with files of the person's.

The one rule: the page gets plain feeds; what it asks for is started here, and what fails is told by the bridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.app.chat_targets import ChatTargets
from sparkdesk.core.errors import SparkDeskError
from ui.chat.model import ChatModel
from ui.chat.view import ChatPage

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop


class ChatPane:
    """Makes the chat page and answers it."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self.targets = ChatTargets(desktop.stack)
        self.page: ChatPage | None = None

    def close(self) -> None:
        """Stop listening."""
        self.targets.close()

    def make(self) -> ChatPage:
        """The page."""
        page = ChatPage(ChatModel(self._stack.conversations, self.targets.endpoints, self._desktop.bridge))
        page.launch_asked.connect(lambda: self._desktop.window.show_page("launch"))
        page.server_asked.connect(
            lambda url, key: self._desktop.bridge.start_exclusive("connect server", self._connect, page, url, key)
        )
        self.page = page
        return page

    def chat_with(self, job_id: str) -> None:
        """Show the chat, talking to this deployment."""
        self._desktop.window.show_page("chat")
        if self.page is not None:
            self.page.model.choose_endpoint(job_id)

    async def _connect(self, page: ChatPage, url: str, key: str) -> None:
        try:
            endpoint = await self._stack.server_links.connect(url, key)
        except SparkDeskError as error:
            page.model.failed.emit(error)
        else:
            page.show_server(endpoint.id)
