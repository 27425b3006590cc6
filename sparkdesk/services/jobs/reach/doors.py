"""TCP ports of this computer that lead to servers: opened when a person copies an address, for their own programs.

The one rule: none is opened unasked, and each listens on this computer's loopback only. While its job runs a door
keeps its port, over lost connections too, so that an address that was copied stays right.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sparkdesk.core.errors import NodeBusy, NodeError, PlanError, SparkDeskError, Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.ports import Shell
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 20.0
RETRY_S = 3.0
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Door:
    """A port of this computer for one server. `url` leads to its API; it is right only while `is_open`."""

    job_id: str
    url: str = ""
    port: int = 0
    is_open: bool = False
    message: str = ""
    """Why it is not open, or that its port is another than before."""


class Doors:
    """Opens, keeps and closes doors. `endpoint_of` gives a job's endpoint, None for one that answers nowhere."""

    def __init__(
        self,
        tasks: Tasks,
        shells: Callable[[str], Shell],
        endpoint_of: Callable[[str], Endpoint | None],
        jobs: Latest[tuple[JobStatus, ...]],
    ) -> None:
        self.doors: Latest[Mapping[str, Door]] = Latest({})
        self._tasks = tasks
        self._shells = shells
        self._endpoint_of = endpoint_of
        self._live: dict[str, Shell] = {}
        self._changed = asyncio.Event()
        self._subscription = jobs.subscribe(self._follow)

    async def open(self, job_id: str) -> str:
        """The base URL on this computer that leads to the job's server; the same again for one that is open.

        Raises PlanError (the job answers nowhere), Unreachable (its node is not live, or it took too long).
        """
        endpoint = self._endpoint_of(job_id)
        if endpoint is None:
            raise PlanError("This job answers nowhere", remedy="Choose another server.")
        self._shells(endpoint.node_id)  # raises for a node that is not live, with its own words
        if job_id not in self.doors.value:
            self._set(Door(job_id))
            self._tasks.start_exclusive(f"door {job_id}", self._hold, job_id, endpoint)
        try:
            found = await wait_for_value(self.doors, lambda doors: _is_settled(doors, job_id), timeout_s=OPEN_TIMEOUT_S)
        except TimeoutError:
            raise Unreachable(
                "The port is not open yet", remedy="It opens as soon as the node lets it; try again.", node=""
            ) from None
        door = found.get(job_id)
        if door is None or not door.is_open:
            words = door.message if door is not None else "The job is over"
            raise Unreachable(words or "The port cannot be opened", remedy="Try again when the node is live.", node="")
        return door.url

    def close(self, job_id: str) -> None:
        """Close it; nothing to do when there is none."""
        self._tasks.cancel(f"door {job_id}")
        if job_id in self.doors.value:
            self.doors.set({key: door for key, door in self.doors.value.items() if key != job_id})

    def close_all(self) -> None:
        """The program ends."""
        self._subscription.close()
        for job_id in tuple(self.doors.value):
            self.close(job_id)

    @contextmanager
    def live(self, node_id: str, shell: Shell) -> Iterator[None]:
        """While the block lives, doors of this node lead through this connection."""
        self._live[node_id] = shell
        self._wake()
        try:
            yield
        finally:
            if self._live.get(node_id) is shell:
                del self._live[node_id]
                self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _follow(self, jobs: tuple[JobStatus, ...]) -> None:
        """A door goes with its job."""
        if self.doors.value:
            going_on = {job.job_id for job in jobs if not job.state.is_over}
            for job_id in [key for key in self.doors.value if key not in going_on]:
                self.close(job_id)

    async def _hold(self, job_id: str, endpoint: Endpoint) -> None:
        """Keep it open until cancelled: through the connection that is live, with the port that it had."""
        while True:
            changed = self._changed
            try:
                shell = self._live.get(endpoint.node_id) or self._shells(endpoint.node_id)
                await self._hold_open(job_id, endpoint, shell)
            except SparkDeskError as error:
                self._change(job_id, is_open=False, message=error.message)
            try:
                async with asyncio.timeout(RETRY_S):
                    await changed.wait()
            except TimeoutError:
                pass

    async def _hold_open(self, job_id: str, endpoint: Endpoint, shell: Shell) -> None:
        """Open until its node's connection is another or gone."""
        door = self.doors.value.get(job_id)
        had_port = door.port if door is not None else 0
        try:
            await self._hold_port(job_id, endpoint, shell, had_port, "")
        except NodeBusy:
            if not had_port:
                raise
            words = f"Port {had_port} of this computer was taken meanwhile: the address is another now"
            await self._hold_port(job_id, endpoint, shell, 0, words)

    async def _hold_port(self, job_id: str, endpoint: Endpoint, shell: Shell, port: int, words: str) -> None:
        async with shell.forward_port(endpoint.host, endpoint.port, local_port=port) as opened:
            url = f"http://{HOST}:{opened}{endpoint.base_path}"
            self._change(job_id, url=url, port=opened, is_open=True, message=words)
            while self._live.get(endpoint.node_id, shell) is shell and self._is_current(endpoint.node_id, shell):
                await self._changed.wait()
        self._change(job_id, is_open=False, message="Its node is not connected; it opens again when it is")

    def _is_current(self, node_id: str, shell: Shell) -> bool:
        try:
            return self._shells(node_id) is shell
        except NodeError:
            return False

    def _change(
        self, job_id: str, *, is_open: bool, message: str, url: str | None = None, port: int | None = None
    ) -> None:
        door = self.doors.value.get(job_id)
        if door is not None:
            url, port = door.url if url is None else url, door.port if port is None else port
            self._set(replace(door, url=url, port=port, is_open=is_open, message=message))

    def _set(self, door: Door) -> None:
        if self.doors.value.get(door.job_id) != door:
            self.doors.set({**self.doors.value, door.job_id: door})


def _is_settled(doors: Mapping[str, Door], job_id: str) -> bool:
    """Whether it is open, cannot be, or is gone."""
    door = doors.get(job_id)
    return door is None or door.is_open or bool(door.message)
