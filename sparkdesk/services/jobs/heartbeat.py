"""Watches a server that runs: its metrics through the forward, and, when it does not answer, what its node says of it.

The one rule: a server is gone only when its node says so, and it serves only while tokens come of it: counted by its
engine, or one that is asked for when nothing was counted for a while. A node that does not answer makes the job "not
known".
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sparkdesk.core.command import Exit
from sparkdesk.core.errors import EndpointError, NodeError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.engine_page import MORE_PAGES, EnginePage, merge_page
from sparkdesk.core.jobs.rate import add_rates, add_shares
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.job import JOBS_FOLDER, job_command
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.ports import EndpointClient, Shell
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.endpoint_pool import EndpointPool
from sparkdesk.services.jobs.pulse.probe import SKIPPED, Probe
from sparkdesk.services.jobs.reach.api_key import ApiKeys

log = logging.getLogger(__name__)

BEAT_S = 2.0
ASK_EVERY = 15
"""After so many answers the node is asked too: another program may have taken the port."""
SILENT_BEATS = 5
"""Between two checks of a server that is ready and has no pages that we read."""
ASK_TIMEOUT_S = 20.0
RATE_WINDOW_S = 4.0
"""A rate is taken over at least this long: engines update their counters in steps."""
SHARE_WINDOW_S = 60.0
MAX_PAGE_BYTES = 1 << 20

_WAIT = "Wait a moment; if it stays so, stop it and launch it again."
_RELAUNCH = "Read the log for the cause; stop it and launch it again if no token comes soon."

OnEnded = Callable[[Deployment, Mapping[str, object]], Awaitable[None]]
OnUnguarded = Callable[[Deployment], Awaitable[None]]


class Heartbeat:
    """Keeps the status of running jobs true. `on_ended` is told what the node said of a job that is over,
    `on_unguarded` that a job runs and its guard does not."""

    def __init__(  # noqa: PLR0913 - called once, by Course
        self,
        shells: Callable[[str], Shell],
        pool: EndpointPool,
        clock: Clock,
        on_ended: OnEnded,
        on_unguarded: OnUnguarded,
        keys: ApiKeys,
        beat_s: float = BEAT_S,
    ) -> None:
        self._keys = keys
        self._shells = shells
        self._pool = pool
        self._clock = clock
        self._on_ended = on_ended
        self._on_unguarded = on_unguarded
        self._beat_s = beat_s
        self._probe = Probe(shells, clock.monotonic_s)
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let every watch end by itself, with the answer that it waits for: a read is not cut half way."""
        self._closing.set()

    async def run(self, deployment: Deployment) -> None:
        """Watch one job until it is over or being stopped."""
        while self._goes_on(deployment):
            answers, endpoint = await self.ask(deployment), deployment.status.endpoint
            is_silent = endpoint is not None and not (endpoint.metrics_path or endpoint.base_path)
            if answers and endpoint is not None and not is_silent:
                await self._read_while_it_answers(deployment, endpoint)
            if self._goes_on(deployment):
                # A server of unknown protocol is asked nothing but its own check, and that on its node.
                await self._pause(SILENT_BEATS if answers and is_silent else 1)

    def _goes_on(self, deployment: Deployment) -> bool:
        return not self._closing.is_set() and _is_watched(deployment)

    async def _pause(self, beats: int = 1) -> None:
        """Until the next beat, or the end."""
        try:
            async with asyncio.timeout(beats * self._beat_s):
                await self._closing.wait()
        except TimeoutError:
            return

    async def ask(self, deployment: Deployment) -> bool:
        """Ask the job's folder; whether the server is ready."""
        folder = f"{JOBS_FOLDER}/{deployment.job_id}"
        try:
            shell = self._shells(deployment.node_id)
            outcome = await shell.run(job_command(folder, "ready"), timeout_s=ASK_TIMEOUT_S)
        except NodeError as error:
            _lose(deployment, error.message)
            return False
        said = last_object(outcome.text)
        if not isinstance(outcome.fate, Exit):
            _lose(deployment, f"{shell.node}: {outcome.explain()}")
            return False
        if said is None or "ready" not in said:
            words = make_line(outcome.explain(), max_chars=300)
            _lose(deployment, f"{shell.node} says nothing of this job: {words}")
            return False
        if said.get("ended") is True:
            await self._tell_end(deployment, shell, folder, said)
            return False
        if said.get("guarded") is False and _is_watched(deployment):
            await self._on_unguarded(deployment)
        return self._take_answer(deployment, said)

    async def look_at_guard(self, deployment: Deployment) -> None:
        """See that a job that is still being launched has its guard; nothing is made of any other answer."""
        try:
            shell = self._shells(deployment.node_id)
            command = job_command(f"{JOBS_FOLDER}/{deployment.job_id}", "status")
            said = last_object((await shell.run(command, timeout_s=ASK_TIMEOUT_S)).text) or {}
        except NodeError:
            return
        if said.get("state") == "running" and said.get("guarded") is False and _is_watched(deployment):
            await self._on_unguarded(deployment)

    def _take_answer(self, deployment: Deployment, said: Mapping[str, object]) -> bool:
        """What the server's ready check said. That it answers does not make a server ready that gave no token."""
        if not _is_watched(deployment):
            return False
        pulse = deployment.pulse
        if said.get("ready") is True:
            pulse.hear()
            if deployment.status.endpoint is None or not deployment.can_be_proved:
                pulse.succeed(self._clock.monotonic_s())
            self._show(deployment)
            return True
        detail = said.get("detail")
        words = make_line(detail, max_chars=200) if isinstance(detail, str) else "no answer"
        was_ready = deployment.status.state in (JobState.READY, JobState.DEGRADED)
        if pulse.miss(self._clock.monotonic_s()) and was_ready:
            pulse.problem = words
            self._show(deployment)
        elif deployment.status.state is not JobState.DEGRADED:
            message = f"The server runs but does not answer: {words}"
            if deployment.status.message != message:
                state = JobState.READY if was_ready else JobState.LOADING
                deployment.change(state, message=message, remedy=_WAIT)
        return False

    def _show(self, deployment: Deployment) -> None:
        """Ready or degraded, as its pulse says; as it was while nothing was proved yet."""
        pulse, status = deployment.pulse, deployment.status
        if pulse.problem:
            cause = f". Its log says: {deployment.cause_line}" if deployment.cause_line else ""
            message = f"The server runs but does not serve: {pulse.problem.rstrip(' .')}{cause}"
            if status.state is not JobState.DEGRADED or status.message != message:
                deployment.change(JobState.DEGRADED, message=message, remedy=_RELAUNCH)
                deployment.say(message, level="warning")
        elif pulse.is_proved and (status.state is not JobState.READY or status.message):
            if status.state is JobState.DEGRADED:
                deployment.say("The server serves again")
                deployment.cause_line = ""
            deployment.finish_phases()
            deployment.change(JobState.READY, message="")

    async def _prove(self, deployment: Deployment, endpoint: Endpoint, client: EndpointClient) -> None:
        """Ask for a token when it is time to. Raises EndpointError when it does not answer at all any more."""
        pulse = deployment.pulse
        if not (deployment.can_be_proved and pulse.is_due(self._clock.monotonic_s())):
            return
        pulse.ask(self._clock.monotonic_s())
        words = await self._probe.ask(deployment, endpoint, client)
        if not _is_watched(deployment) or words == SKIPPED:
            return
        if not words:
            pulse.succeed(self._clock.monotonic_s())
        else:
            pulse.fail(words, await self._count(deployment, endpoint, client))
        self._show(deployment)

    async def _count(self, deployment: Deployment, endpoint: Endpoint, client: EndpointClient) -> dict[str, float]:
        """What the engine counts now; nothing when it does not say."""
        if not endpoint.metrics_path or deployment.backend is None:
            return {}
        try:
            status, body = await client.get(endpoint.metrics_path, max_bytes=MAX_PAGE_BYTES)
        except EndpointError:
            return {}
        found = deployment.backend.readings(body.decode("utf-8", "replace")) if status == 200 else {}
        return await read_more(client, MORE_PAGES.get(endpoint.engine, ()), found)

    async def _tell_end(self, deployment: Deployment, shell: Shell, folder: str, said: Mapping[str, object]) -> None:
        """Fetch how it ended; without that, the words of the first answer must do."""
        try:
            status = last_object((await shell.run(job_command(folder, "status"), timeout_s=ASK_TIMEOUT_S)).text)
        except NodeError:
            status = None
        await self._on_ended(deployment, {"reason": said.get("detail"), **(status or {})})

    # Metrics --------------------------------------------------------------------------------------------------

    async def _read_while_it_answers(self, deployment: Deployment, endpoint: Endpoint) -> None:
        trail = Trail()
        try:
            key = await self._keys.find(deployment)
            async with self._pool.client(deployment.job_id, endpoint, api_key=key) as client:
                while await self._read(deployment, endpoint, client, trail):
                    await self._prove(deployment, endpoint, client)
                    await self._pause()
                    if not self._goes_on(deployment) or (trail.is_time_to_ask() and not await self.ask(deployment)):
                        return
        except (EndpointError, NodeError):
            pass  # the node is asked next

    async def _read(self, deployment: Deployment, endpoint: Endpoint, client: EndpointClient, trail: Trail) -> bool:
        """One page; whether the server answers as it should. Raises EndpointError."""
        path = endpoint.metrics_path or f"{endpoint.base_path}/models"
        status, body = await client.get(path, max_bytes=MAX_PAGE_BYTES)
        if status >= 500:
            await self._prove(deployment, endpoint, client)
            return False
        if status == 200 and endpoint.metrics_path and deployment.backend is not None and _is_watched(deployment):
            found = deployment.backend.readings(body.decode("utf-8", "replace"))
            found = await read_more(client, MORE_PAGES.get(endpoint.engine, ()), found)
            now_s = self._clock.monotonic_s()
            if deployment.pulse.take(now_s, found):
                self._show(deployment)
            deployment.take_readings(tuple(trail.add(now_s, found).items()))
        return True


def _stands_still(before: dict[str, float], after: dict[str, float]) -> bool:
    """Whether a request ran and no token was counted."""
    return after.get(REQUESTS_RUNNING, 0.0) > 0.0 and before.get(GENERATED_TOKENS) == after.get(GENERATED_TOKENS)


async def read_page(client: EndpointClient, page: EnginePage) -> dict[str, float]:
    """What a page tells; nothing when it is not there. Raises EndpointError."""
    status, body = await client.get(page.path, max_bytes=MAX_PAGE_BYTES)
    return page.read(body.decode("utf-8", "replace")) if status == 200 else {}


async def read_more(
    client: EndpointClient, pages: Sequence[EnginePage], found: Mapping[str, float]
) -> dict[str, float]:
    """With what further pages tell. One that cannot be had, or is too long, adds nothing, and that is no fault."""
    for page in pages:
        try:
            found = merge_page(found, await read_page(client, page))
        except EndpointError as error:
            log.debug("%s: %s", page.path, error.sentence())
    return dict(found)


class Trail:
    """The readings of the last seconds, for rates."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, dict[str, float]]] = deque()
        self._minute: deque[tuple[float, dict[str, float]]] = deque()
        self._beats = 0

    def add(self, now_s: float, found: dict[str, float]) -> dict[str, float]:
        """The readings with rates against the youngest that is at least RATE_WINDOW_S old, or the oldest there is.

        Quantiles and shares are of the last SHARE_WINDOW_S: a few answers in a few seconds make no distribution.
        """
        while len(self._past) > 1 and now_s - self._past[1][0] >= RATE_WINDOW_S:
            if _stands_still(self._past[0][1], self._past[1][1]):
                # An answer's tokens, counted at its end, belong to all the time since it began.
                del self._past[1]
            else:
                self._past.popleft()
        before_s, before = self._past[0] if self._past else (now_s, {})
        self._past.append((now_s, found))
        while len(self._minute) > 1 and now_s - self._minute[1][0] >= SHARE_WINDOW_S:
            self._minute.popleft()
        self._minute.append((now_s, found))
        return add_rates(before, found, now_s - before_s) | add_shares(self._minute[0][1], found)

    def is_time_to_ask(self) -> bool:
        """Whether so many answers came that the node should be asked too."""
        self._beats += 1
        return self._beats % ASK_EVERY == 0


def _is_watched(deployment: Deployment) -> bool:
    state = deployment.status.state
    return not state.is_over and state is not JobState.STOPPING


def _lose(deployment: Deployment, words: str) -> None:
    """Its node cannot be asked: the job may still run."""
    if _is_watched(deployment):
        message = f"Not known whether it still runs: {words}"
        if deployment.status.message != message or deployment.status.state is not JobState.UNKNOWN:
            deployment.change(JobState.UNKNOWN, message=message, remedy="It is looked at again when the node is back.")
