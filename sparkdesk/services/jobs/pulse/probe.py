"""Asks a server for one token, or for what else it is for, and says what came of it.

The one rule: at most one probe of a job is under way, and it is bounded; whoever asks closes the answer, which ends it
on the server too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from sparkdesk.core.chat.event import CutOff, Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.command import Unknown
from sparkdesk.core.errors import EndpointError, NodeError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.pulse import PROBE_LIMIT_S
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.job import JOBS_FOLDER, job_command
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.ports import EndpointClient, Shell
from sparkdesk.services.jobs.deployment import Deployment

QUESTION = "Say OK."
NODE_PROOF_S = 160.0
"""The proof on the node ends by itself within this; another one is not begun before."""
SKIPPED = "skipped"
"""Says that there is nothing to ask for, or that the answer would be nobody's fault but the line's."""


class Probe:
    """Asks for proofs. `now_s` is monotonic."""

    def __init__(self, shells: Callable[[str], Shell], now_s: Callable[[], float]) -> None:
        self._shells = shells
        self._now_s = now_s
        self._busy_until_s: dict[str, float] = {}

    async def ask(self, deployment: Deployment, endpoint: Endpoint, client: EndpointClient) -> str:
        """ "" when it did what it is for, else why not, in words; `SKIPPED` when that could not be asked."""
        if _speaks_chat(deployment):
            return await _ask_token(endpoint, client)
        return await self._ask_node(deployment)

    async def _ask_node(self, deployment: Deployment) -> str:
        """Have the job's own proof be made on the node: a vector, or scores."""
        if self._now_s() < self._busy_until_s.get(deployment.job_id, 0.0):
            return SKIPPED
        self._busy_until_s[deployment.job_id] = self._now_s() + NODE_PROOF_S
        command = job_command(f"{JOBS_FOLDER}/{deployment.job_id}", "token")
        try:
            shell = self._shells(deployment.node_id)
            outcome = await shell.run(command, timeout_s=PROBE_LIMIT_S)
        except NodeError:
            return SKIPPED
        said = last_object(outcome.text) or {}
        if said.get("ok") is True:
            del self._busy_until_s[deployment.job_id]
            return ""
        if not isinstance(outcome.fate, Unknown):
            del self._busy_until_s[deployment.job_id]
            words = said.get("error")
            return make_line(words if isinstance(words, str) and words else outcome.explain(), max_chars=300)
        return f"no answer within {PROBE_LIMIT_S:.0f} s"


def _speaks_chat(deployment: Deployment) -> bool:
    """Whether our own client can have a token of it; else its folder, which knows its purpose and key, is asked."""
    plan = deployment.plan
    if plan is None or plan.request.purpose not in ("chat", "vision"):
        return False
    return plan.request.reach == "node" or bool(deployment.api_key)


async def _ask_token(endpoint: Endpoint, client: EndpointClient) -> str:
    question = Message(Role.USER, (TextPart(QUESTION),))
    request = ChatRequest(endpoint.model, (question,), Sampling(temperature=0.0, max_tokens=1))
    try:
        async with asyncio.timeout(PROBE_LIMIT_S), aclosing(client.chat(request)) as events:
            async for event in events:
                match event:
                    case TextDelta() | ReasoningDelta() | ToolCallDelta() | Finished():
                        return ""
                    case Usage(completion_tokens=count) if count:
                        return ""
                    case CutOff(message=words):
                        return make_line(words, max_chars=300)
                    case _:
                        pass
    except TimeoutError:
        return f"no token within {PROBE_LIMIT_S:.0f} s"
    except EndpointError as error:
        return make_line(error.message, max_chars=300)
    return "the answer ended without a token"
