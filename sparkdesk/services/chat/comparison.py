"""One question to two to four model servers at once.

The one rule: each column is a conversation like any other; a comparison only asks them together and judges nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from sparkdesk.core.chat.message import NO_IMAGES, Attachment
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.services.chat.conversation import Conversation

MIN_COLUMNS, MAX_COLUMNS = 2, 4


class Comparison:
    """The columns from the left. Raises ValueError for fewer than two or more than four."""

    def __init__(self, comparison_id: str, columns: tuple[Conversation, ...]) -> None:
        if not MIN_COLUMNS <= len(columns) <= MAX_COLUMNS:
            raise ValueError(f"a comparison has {MIN_COLUMNS} to {MAX_COLUMNS} columns, not {len(columns)}")
        self.id = comparison_id
        self.columns = columns

    @property
    def is_answering(self) -> bool:
        """Whether any column is being answered."""
        return any(column.is_answering.value for column in self.columns)

    async def ask(
        self, text: str, attachments: tuple[Attachment, ...] = (), images: Mapping[str, bytes] = NO_IMAGES
    ) -> None:
        """Ask every column, each on its own way: one that cannot be asked does not keep the others waiting.

        Raises the first column's EndpointError or StoreError after all were asked.
        """
        await self._each(lambda column: column.ask(text, attachments, images))

    async def regenerate(self) -> None:
        """Have the last question answered again in every column that is not writing. Raises as `ask`."""

        async def answer_again(column: Conversation) -> None:
            if not column.is_answering.value:
                await column.regenerate()

        await self._each(answer_again)

    async def _each(self, do: Callable[[Conversation], Awaitable[None]]) -> None:
        failed: list[SparkDeskError] = []
        for column in self.columns:
            try:
                await do(column)
            except SparkDeskError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def stop(self) -> None:
        """Stop every answer; what was said stays."""
        for column in self.columns:
            column.stop()

    async def finished(self) -> None:
        """Wait until no column is being answered. The caller sets the time limit."""
        for column in self.columns:
            await column.finished()
