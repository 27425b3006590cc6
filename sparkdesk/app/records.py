"""What was measured: read by charts, added up as energy, set against the memory's peak, and kept over the end.

The one rule: it stands on feeds that others keep; without it everything else goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkdesk.core.jobs.backend import Backend
from sparkdesk.infra.store.history_store import SqliteHistory
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.found_servers import FoundServers
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.server_readings import ServerReadings
from sparkdesk.services.jobs.bandwidths import Bandwidths
from sparkdesk.services.jobs.effort import Efforts
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.jobs.trace import Traces
from sparkdesk.services.records.absence import Absences
from sparkdesk.services.records.energies import Energies
from sparkdesk.services.records.recorder import Recorder
from sparkdesk.services.records.series import Past, SeriesBook, SeriesParts
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class RecordParts:
    """What the records stand on. `folder` None keeps them in memory."""

    tasks: Tasks
    inventory: Inventory
    telemetry: Telemetry
    launcher: Launcher
    servers: FoundServers
    backends: Mapping[str, Backend]
    clock: Clock
    folder: Path | None


class Records:
    """The services about measurements, joined."""

    def __init__(self, parts: RecordParts) -> None:
        self._tasks = parts.tasks
        nodes, jobs, now_ms = parts.inventory.nodes, parts.launcher.jobs, parts.clock.now_ms
        self.energies = Energies(telemetry=parts.telemetry, nodes=nodes, jobs=jobs)
        self.bandwidths = Bandwidths(jobs, parts.launcher.plan_of, parts.launcher.catalogue)
        # After the energies, which have then counted the readings that the traces ask about.
        self.traces = Traces(jobs, now_ms, Efforts(self.energies, self.bandwidths).of)
        self.server_readings = ServerReadings(
            servers=parts.servers,
            tasks=parts.tasks,
            clock=parts.clock,
            readers={key: backend.readings for key, backend in parts.backends.items()},
        )
        self._absences = Absences(nodes, parts.telemetry.pulse, now_ms)
        past = Past()
        self.series = SeriesBook(
            SeriesParts(
                telemetry=parts.telemetry,
                nodes=nodes,
                jobs=jobs,
                servers=parts.servers.servers,
                job_readings=self.traces,
                server_readings=self.server_readings,
                absences=self._absences,
                past=past,
                now_ms=now_ms,
            )
        )
        self.recorder = Recorder(
            shelf=SqliteHistory(parts.folder),
            telemetry=parts.telemetry,
            nodes=nodes,
            readings=(self.traces, self.server_readings),
            energies=self.energies,
            absences=self._absences,
            past=past,
            clock=parts.clock,
        )

    async def open(self) -> None:
        """Read what earlier runs kept, and keep what comes. Never raises; `recorder.notice` says what is wrong."""
        await self.recorder.open()
        self._tasks.start(self.recorder.run)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        for book in (self.traces, self.server_readings, self._absences, self.energies, self.recorder):
            book.move_times(moved_ms)

    async def close(self) -> None:
        """Keep the rest, and listen no more. Raises StoreError."""
        try:
            await self.recorder.close()
        finally:
            await self.server_readings.close()
            self.energies.close()
            self._absences.close()
            self.traces.close()
