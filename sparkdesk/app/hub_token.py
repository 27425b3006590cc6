"""The hub's token between the settings page and the secret store.

The one rule: the token goes one way, into the store; what comes back is only whether there is one.
"""

from __future__ import annotations

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.services.secret_store import SecretStore
from sparkdesk.services.tasks import Tasks
from ui.settings.hub_card import HubToken, HubTokenFeeds


class HubTokenKeeper:
    """Answers the settings card."""

    def __init__(self, secrets: SecretStore, tasks: Tasks) -> None:
        self._secrets = secrets
        self._tasks = tasks
        self._token: Latest[HubToken] = Latest(HubToken())

    def feeds(self) -> HubTokenFeeds:
        """For the card; looks at once whether there is a token."""
        self._tasks.start_exclusive("hub token", self._look)
        return HubTokenFeeds(self._token, lambda typed: self._start(typed))

    def _start(self, typed: str) -> None:
        self._tasks.start_exclusive("hub token", self._store, typed)

    async def _store(self, typed: str) -> None:
        problem = ""
        try:
            await self._secrets.set_hub_token(typed)
        except SparkDeskError as error:
            problem = error.sentence()
        await self._look(problem)

    async def _look(self, problem: str = "") -> None:
        is_set = await self._secrets.has_hub_token()
        self._token.set(HubToken(is_set, self._secrets.is_durable, problem))
