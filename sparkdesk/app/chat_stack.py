"""The services about conversations, joined.

The one rule: what belongs to the person (prompts, memories of projects) is files in the settings' folder, which any
editor may change; what was said is in the database.
"""

from __future__ import annotations

from pathlib import Path

from sparkdesk.core.ports import EndpointClients, Secrets, Store
from sparkdesk.infra.attachment_file import AttachmentFiles
from sparkdesk.infra.text_folder import TextFiles
from sparkdesk.services.chat.attaching import Drafts
from sparkdesk.services.chat.context.fitter import WindowFitter
from sparkdesk.services.chat.context.memory import ProjectMemory
from sparkdesk.services.chat.context.meter import ContextMeter
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.presets import Presets
from sparkdesk.services.chat.server_link import ServerLinks
from sparkdesk.services.chat.transfer import ChatTransfer
from sparkdesk.services.clock import Clock
from sparkdesk.services.tasks import Tasks

PROMPTS, MEMORIES = "prompts", "memories"


class ChatStack:
    """Conversations, and what they are asked with. `folder` is where the person's own texts lie."""

    def __init__(
        self, *, tasks: Tasks, store: Store, clock: Clock, secrets: Secrets, clients: EndpointClients, folder: Path
    ) -> None:
        self._tasks = tasks
        self.memory = ProjectMemory(TextFiles(folder / MEMORIES))
        self.presets = Presets(TextFiles(folder / PROMPTS))
        self.attachments = AttachmentFiles()
        fitter = WindowFitter(store, self.memory)
        self.meter = ContextMeter(fitter)
        self.conversations = Conversations(tasks=tasks, store=store, clock=clock, fitter=fitter)
        self.drafts = Drafts(tasks=tasks, store=store)
        self.transfer = ChatTransfer(conversations=self.conversations, store=store, clock=clock)
        self.links = ServerLinks(clients, secrets=secrets, store=store, tasks=tasks)

    async def open(self) -> None:
        """Read the list and the drafts; the servers of earlier runs are asked in the background. Raises StoreError."""
        await self.conversations.load()
        await self.drafts.load()
        self._tasks.start(self.links.restore)

    async def close(self) -> None:
        """Stop the answers and keep what was written last. Raises StoreError. The caller sets the time limit."""
        try:
            await self.conversations.close()
        finally:
            await self.drafts.save()
