"""Looks for machines that may be Sparks: announcements, the user's SSH configuration, ranges, neighbours on a cable.

The one rule: a search signs in nowhere new. At most one unauthenticated knock a host a minute (OpenSSH 9.8 and newer
shut out clients that come again and again), and known nodes are asked over the lines that stand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sparkdesk.core.cluster.address_range import read_ranges
from sparkdesk.core.cluster.candidate import Candidate, SearchOptions, SearchProgress, SearchState, Sighting, Source
from sparkdesk.core.cluster.neighbour import Neighbourhood, SeenHost, read_neighbourhood, strangers
from sparkdesk.core.cluster.node import JumpHost, NodeStatus
from sparkdesk.core.cluster.sighting import known_name, likeness_of, merge
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import Announcement, ConfiguredHost, Greeter, Listener
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.touch import Touches
from sparkdesk.services.ident import new_id
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

LISTEN_S = 6.0
"""How long announcements are waited for: avahi answers a question within a second or two."""
KNOCK_S = 1.5
MAX_KNOCKS = 64
KNOCK_AGAIN_S = 60.0
NEIGHBOURS_S = 20.0
SSH_PORT = 22
_MET = "an SSH server, asked for its host key a moment ago"
TASK = "search"


class Discovery:
    """One search at a time. `read_hosts` reads the user's SSH configuration (it may block, so it runs in a thread)."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together
        self,
        *,
        tasks: Tasks,
        inventory: Inventory,
        listener: Listener,
        greeter: Greeter,
        read_hosts: Callable[[], Awaitable[Sequence[ConfiguredHost]]],
        program: bytes,
        clock: Clock,
        touches: Touches | None = None,
        finish_visit: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        self._tasks = tasks
        self._inventory = inventory
        self._listener = listener
        self._greeter = greeter
        self._read_hosts = read_hosts
        self._program = program
        self._clock = clock
        self._touches = touches or Touches(clock)
        self._finish_visit = finish_visit
        """Fetches the host key of a server that a knock has just found."""
        self._greetings: dict[str, str] = {}
        """What each host said when it was last knocked at."""
        self._round = object()
        """The search that the list belongs to; one that was replaced has nothing more to say."""
        self._views: dict[str, tuple[float, Neighbourhood]] = {}
        """What each node saw when it last looked around, which knocks too, and when that was."""
        self.candidates: Latest[tuple[Candidate, ...]] = Latest(())
        self.progress: Latest[tuple[SearchProgress, ...]] = Latest(tuple(SearchProgress(source) for source in Source))

    def start(self, options: SearchOptions) -> None:
        """Search anew; what an earlier search found is dropped."""
        self.candidates.set(())
        self.progress.set(tuple(SearchProgress(source) for source in Source))
        self._round = object()
        self._tasks.start_exclusive(TASK, self._search, options, self._round)

    def stop(self) -> None:
        """End the search; what was found stays."""
        self._tasks.cancel(TASK)

    async def _search(self, options: SearchOptions, own_round: object) -> None:
        ways = {
            Source.MDNS: self._hear,
            Source.SSH_CONFIG: self._read_config,
            Source.RANGE: lambda: self._knock_at(options.ranges),
            Source.NEIGHBOUR: self._look_around,
        }
        wanted = set(options.sources) | ({Source.RANGE} if options.ranges.strip() else set())
        try:
            async with asyncio.TaskGroup() as group:
                for source in wanted:
                    group.create_task(self._run(source, ways[source]))
        finally:
            for entry in self.progress.value if own_round is self._round else ():
                if entry.state is SearchState.RUNNING:
                    self._tell(entry.source, SearchState.DONE, note="stopped")

    async def _run(self, source: Source, way: Callable[[], Awaitable[str]]) -> None:
        """One source from start to end; a way that cannot be gone says why, and the others go on."""
        self._tell(source, SearchState.RUNNING)
        try:
            note = await way()
        except (SparkDeskError, ValueError, OSError) as error:
            self._tell(source, SearchState.UNAVAILABLE, note=make_line(str(error), max_chars=200))
        else:
            self._tell(source, SearchState.DONE, note=note, fraction=1.0)

    # The ways -------------------------------------------------------------------------------------------------------

    async def _hear(self) -> str:
        try:
            async with asyncio.timeout(LISTEN_S), self._listener.listen() as announcements:
                async for announcement in announcements:
                    self._take_announcement(announcement)
        except TimeoutError:
            pass
        return ""

    def _take_announcement(self, heard: Announcement) -> None:
        if not heard.addresses:
            return
        name = make_line(heard.name or heard.host, max_chars=100)
        words = f"announces SSH as {make_line(heard.host or heard.name, max_chars=100)}"
        self._add(
            Candidate(
                id=new_id(),
                name=name,
                address=heard.addresses[0],
                port=heard.port,
                other_addresses=tuple(heard.addresses[1:8]),
                sightings=(Sighting(Source.MDNS, words),),
                likeness=likeness_of(name),
            )
        )

    async def _read_config(self) -> str:
        hosts = await self._read_hosts()
        for host in hosts:
            alias, address = make_line(host.alias, max_chars=100), make_line(host.address, max_chars=253)
            self._add(
                Candidate(
                    id=new_id(),
                    name=alias,
                    address=address,
                    port=host.port,
                    user=make_line(host.user, max_chars=64),
                    jump_host=make_line(host.jump, max_chars=300),
                    sightings=(Sighting(Source.SSH_CONFIG, f"Host {alias} in ~/.ssh/config"),),
                    likeness=likeness_of(alias) or likeness_of(address),
                )
            )
        return "" if hosts else "it names no hosts"

    async def _knock_at(self, ranges: str) -> str:
        addresses = read_ranges(ranges)
        gate = asyncio.Semaphore(MAX_KNOCKS)
        done = 0

        async def ask(address: str) -> None:
            nonlocal done
            async with gate:
                greeting = await self._greeting_of(address)
            done += 1
            self._tell(Source.RANGE, SearchState.RUNNING, fraction=done / len(addresses))
            if greeting:
                words = f"answers on port {SSH_PORT}: {make_line(greeting, max_chars=80)}"
                self._add(
                    Candidate(
                        id=new_id(),
                        name=address,
                        address=address,
                        sightings=(Sighting(Source.RANGE, words),),
                        likeness=likeness_of("", greeting),
                    )
                )

        async with asyncio.TaskGroup() as group:
            for address in addresses:
                group.create_task(ask(address))
        return f"{len(addresses)} addresses"

    async def _greeting_of(self, address: str) -> str:
        """What its SSH server says; a host that was knocked at within the last minute is not disturbed again."""
        if self._touches.age_s(address, SSH_PORT) is None:
            self._touches.note(address, SSH_PORT)
            self._greetings[address] = await self._greeter.greet(address, SSH_PORT, timeout_s=KNOCK_S)
            if not self._greetings[address]:
                self._touches.forget(address, SSH_PORT)
            elif self._finish_visit is not None:
                await self._finish_visit(address, SSH_PORT)
        return self._greetings.get(address) or _MET if self._touches.age_s(address, SSH_PORT) is not None else ""

    async def _look_around(self) -> str:
        live = [status for status in self._inventory.nodes.value if status.is_live]
        if not live:
            return "no node is connected yet"
        views = await asyncio.gather(*(self._ask_node(status) for status in live))
        by_node = {status.record.id: view for status, view in zip(live, views, strict=True)}
        records = {status.record.id: status for status in live}
        for node_id, groups in strangers(by_node).items():
            for group in groups:
                self._take_stranger(records[node_id], group)
        notes = [f"{status.record.name}: {view.note}" for status, view in zip(live, views, strict=True) if view.note]
        return "; ".join(notes)[:200]

    async def _ask_node(self, status: NodeStatus) -> Neighbourhood:
        node_id, now_s = status.record.id, self._clock.monotonic_s()
        seen_s, view = self._views.get(node_id, (-KNOCK_AGAIN_S, Neighbourhood()))
        if now_s - seen_s < KNOCK_AGAIN_S:
            return view
        try:
            shell = self._inventory.shell(node_id)
            answer = await run_program(shell, self._program, ("looking around",), timeout_s=NEIGHBOURS_S)
        except SparkDeskError as error:
            return Neighbourhood(note=make_line(error.message, max_chars=120))
        view = read_neighbourhood(answer)
        if view.seen or not view.note:  # a cable that was missing may be plugged now: that is looked at again
            self._views[node_id] = (now_s, view)
        return view

    def _take_stranger(self, seer: NodeStatus, group: tuple[SeenHost, ...]) -> None:
        record, first = seer.record, group[0]
        if record.jump is not None:
            return  # two jumps in a row are not made
        kind = first.greeting or "no SSH server answered there"
        words = f"{record.name} sees it through {first.port} ({first.mac}); {make_line(kind, max_chars=80)}"
        self._add(
            Candidate(
                id=new_id(),
                name=f"behind {record.name} {first.port}",
                address=first.scoped_address,
                other_addresses=tuple(host.scoped_address for host in group[1:]),
                sightings=(Sighting(Source.NEIGHBOUR, words),),
                jump=JumpHost(record.address, record.port, record.user, record.host_key, record.key_path),
                likeness="on the other end of a CX-7 cable" if first.greeting else "",
            )
        )

    # What was found ---------------------------------------------------------------------------------------------------

    def _add(self, found: Candidate) -> None:
        found = replace(found, known_as=known_name(found, self._inventory.clusters.value))
        self.candidates.set(merge(self.candidates.value, found))
        for source in {sighting.source for sighting in found.sightings}:
            count = sum(any(s.source is source for s in known.sightings) for known in self.candidates.value)
            self._change(source, found=count)

    def _tell(self, source: Source, state: SearchState, *, note: str = "", fraction: float | None = None) -> None:
        self._change(source, state=state, note=note, fraction=fraction)

    def _change(self, source: Source, **changes: object) -> None:
        self.progress.set(
            tuple(
                replace(entry, **changes) if entry.source is source else entry  # type: ignore[arg-type]  # its own fields
                for entry in self.progress.value
            )
        )
