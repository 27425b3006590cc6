"""What a conversation can talk to, whoever started it.

The one rule: a conversation knows a server only through this; what is not known of it says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from sparkdesk.core.chat.context import PoolUse
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient

OPEN_TIMEOUT_S = 30.0
ClientSource = Callable[[], AbstractAsyncContextManager[EndpointClient]]
"""Opens a way to the server for one answer: a client, through a forward where one is needed."""


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """A model server that a conversation can talk to."""

    id: str
    """The job's id, or whatever names it."""
    endpoint: Endpoint
    source: ClientSource
    node: str = ""
    """The node's name, as shown."""
    system_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    doubt: Callable[[], None] = lambda: None
    """Called when an answer of the server's failed or was cut off: whoever looks after it asks it soon."""
    pool: Callable[[], PoolUse | None] = lambda: None
    """Its KV cache and queue as its metrics told last; None where it has no metrics."""
    energy_j: Callable[[float], float] = lambda _since_s: float("nan")
    """What the GPUs of its nodes drew since that monotonic time, in joules; NaN is not known."""
    prefill_tokens_per_s: Callable[[], float] = lambda: float("nan")
    """How fast it reads a prompt, as the planner predicts; NaN where nothing is predicted."""
    takes_images: bool | None = None
    """Whether the model sees images; None is not known."""
    thinks: bool | None = None
    """Whether the model is known to think before it speaks; None is not known."""
    embed: Callable[[], ChatEndpoint | None] = lambda: None
    """A server of vectors that may be asked beside it (same owner); None when none is ready."""

    @property
    def name(self) -> str:
        """The model's name; of one that the server calls by a file's path, the file's."""
        model = self.endpoint.model
        return model.rpartition("/")[2] or model if model.startswith("/") else model

    @property
    def label(self) -> str:
        """Model and node, in words."""
        return f"{self.name} on {self.node}" if self.node else self.name


async def open_client(stack: AsyncExitStack, source: ClientSource) -> EndpointClient:
    """A client that lives as long as the stack. Raises EndpointError, also when no way opens in time."""
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            return await stack.enter_async_context(source())
    except TimeoutError:
        raise EndpointError(
            f"No way to the model server within {OPEN_TIMEOUT_S:g} s", remedy="Check that its node is live, then retry."
        ) from None
