"""The journal of a run: written before and after each change, so that a killed run can be carried on or undone.

The one rule: an entry is durable before what it announces happens. Entries are JSON objects with a `kind`; a journal
holds the playbook, what each step came to, and what files were before; never what a command printed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from sparkdesk.core.errors import PlanError
from sparkdesk.core.ports import Store
from sparkdesk.core.step import Playbook
from sparkdesk.core.step_json import bytes_from, bytes_to_data, dump, playbook_from_data, playbook_to_data
from sparkdesk.core.untrusted import Fields
from sparkdesk.services.clock import Clock

FINISHED = ("done", "unchanged")
"""Results after which a step is not run again."""


@dataclass(frozen=True, slots=True)
class FormerFile:
    """A file as it was before a playbook wrote it. `content` None: there was none."""

    content: bytes | None
    mode: int = 0o600
    is_root: bool = False
    """Whether root read it, and has to put it back."""
    owner: str = ""
    """ "UID:GID"; "" leaves it to whoever puts the file back."""
    folders: int = 0
    """Of a file that was not there: how many of the folders above it were not there either."""


@dataclass(slots=True)
class RunRecord:
    """What a journal says of a run."""

    playbook: Playbook
    results: dict[str, str] = field(default_factory=dict)
    """Step id -> how its last attempt ended; a step that was begun and is not here was interrupted."""
    begun: set[str] = field(default_factory=set)
    """Steps whose apply was announced, so that something of theirs may stand on the node."""
    former: dict[tuple[str, str], FormerFile] = field(default_factory=dict)
    """(node, path) -> the file before the first write of this run."""
    left_as: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """(node, path) -> the digests of what this run's commands have left there."""
    started_ms: int = 0
    ended_ms: int | None = None
    result: str = ""
    """How it ended last; "" while it is open."""
    is_undo: bool = False
    """The last that was begun was an undo."""
    is_paused: bool = False
    """A person held it, and nothing was begun since."""
    left: set[str] = field(default_factory=set)
    """Steps that were begun on nodes which a person let go of: nothing takes them back any more."""
    leases: set[str] = field(default_factory=set)
    """The tokens of its passages' leases: one that a killed process could not let go of is no stranger's."""


class Journal:
    """Writes one run's entries and keeps the record that they add up to."""

    def __init__(self, store: Store, clock: Clock, run_id: str, record: RunRecord) -> None:
        self._store = store
        self._clock = clock
        self._run_id = run_id
        self.record = record
        self.lease = ""
        """The token under which this passage locks its nodes; "" where it does not."""

    async def begin(self) -> None:
        """Announce the run with its whole playbook."""
        await self._write("run_started", playbook=playbook_to_data(self.record.playbook), **self._lease())

    async def resume(self) -> None:
        """Note that another process goes on."""
        await self._write("run_resumed", **self._lease())

    def _lease(self) -> dict[str, str]:
        return {"lease": self.lease} if self.lease else {}

    async def step_started(self, step_id: str, part: str) -> None:
        """Announce a step's apply or undo."""
        await self._write("step_started", step=step_id, part=part)
        if part == "apply":
            self.record.begun.add(step_id)
            self.record.results.pop(step_id, None)

    async def step_ended(self, step_id: str, result: str, message: str = "") -> None:
        """Note how a step ended. `message` must not be what a command printed."""
        await self._write("step_ended", step=step_id, result=result, message=message)
        _note_result(self.record, step_id, result)

    async def keep_file(self, node: str, path: str, former: FormerFile) -> None:
        """Keep a file's bytes before it is written the first time."""
        content = None if former.content is None else bytes_to_data(former.content)
        more: dict[str, object] = {"is_root": True} if former.is_root else {}
        more |= {"owner": former.owner} if former.owner else {}
        more |= {"folders": former.folders} if former.folders else {}
        await self._write("file_kept", node=node, path=path, content=content, mode=former.mode, **more)
        self.record.former[(node, path)] = former

    async def file_left(self, node: str, path: str, digest: str) -> None:
        """Note what a step has made of a kept file, so that a later change by somebody else is known as such."""
        await self._write("file_left", node=node, path=path, digest=digest)
        self.record.left_as.setdefault((node, path), set()).add(digest)

    async def note(self, text: str) -> None:
        """Keep words for whoever reads the journal later, e.g. whose lock was broken."""
        await self._write("note", text=text)

    async def end(self, result: str, message: str = "") -> None:
        """Close the journal."""
        await self._write("run_ended", result=result, message=message)

    async def pause(self) -> None:
        """A person held it: the journal stays open, so that it is offered again after a restart too."""
        await self._write("run_paused")

    async def _write(self, kind: str, **fields: object) -> None:
        await self._store.append_journal(self._run_id, dump({"kind": kind, "t_ms": self._clock.now_ms(), **fields}))


async def read_record(store: Store, run_id: str) -> RunRecord:
    """What the journal of a run says. Raises StoreError, and PlanError when it cannot be understood."""
    record: RunRecord | None = None
    for entry in await store.journal(run_id):
        try:
            fields = Fields.of(json.loads(entry), "journal")
        except (ValueError, RecursionError):
            raise _unreadable(run_id) from None
        kind = fields.text("kind", "")
        if kind == "run_started":
            record = RunRecord(playbook_from_data(fields.object("playbook")), started_ms=_time_of(fields) or 0)
        elif record is not None:
            _apply_entry(record, kind, fields)
        if record is not None and fields.has("lease"):
            record.leases.add(fields.text("lease", max_chars=64))
    if record is None:
        raise _unreadable(run_id)
    return record


def _unreadable(run_id: str) -> PlanError:
    return PlanError(
        f"The journal of run {run_id} cannot be read",
        remedy="Look at the nodes yourself: what was done there before is not known.",
    )


def _time_of(fields: Fields) -> int | None:
    return fields.whole_or_none("t_ms", low=0, high=1 << 53)


def _apply_entry(record: RunRecord, kind: str, fields: Fields) -> None:
    if kind == "step_started":
        record.is_undo = fields.text("part", "") == "undo"
    record.result = fields.text("result", "") if kind == "run_ended" else ""
    record.ended_ms = _time_of(fields) if kind == "run_ended" else None
    record.is_paused = kind == "run_paused"
    if kind == "step_started" and not record.is_undo:
        step_id = fields.text("step")
        record.begun.add(step_id)
        record.results.pop(step_id, None)
    elif kind == "left_behind":
        steps = fields.data.get("steps")
        record.left |= {str(one) for one in steps if one in record.begun} if isinstance(steps, list) else set()
        record.begun -= record.left
    elif kind == "step_ended":
        _note_result(record, fields.text("step"), fields.text("result"))
    elif kind == "file_kept":
        content = bytes_from(fields.object("content")) if fields.has("content") else None
        mode = fields.whole("mode", low=0, high=0o7777)
        is_root = fields.data.get("is_root") is True
        owner = str(fields.data.get("owner", ""))
        folders = fields.whole_or_none("folders", low=0, high=MAX_FOLDERS) or 0
        file = FormerFile(content, mode, is_root, owner if _OWNER.fullmatch(owner) else "", folders)
        record.former[(fields.text("node"), fields.text("path"))] = file
    elif kind == "file_left":
        place = (fields.text("node"), fields.text("path"))
        record.left_as.setdefault(place, set()).add(fields.text("digest", max_chars=64))


MAX_FOLDERS = 32
_OWNER = re.compile(r"[0-9]{1,10}:[0-9]{1,10}")


def _note_result(record: RunRecord, step_id: str, result: str) -> None:
    record.results[step_id] = result
    if result == "undone":
        record.begun.discard(step_id)


async def let_go(store: Store, clock: Clock, run_id: str, step_ids: frozenset[str], result: str) -> None:
    """Note that nothing will take these steps back, and close the journal again. Raises StoreError."""
    entry: dict[str, object] = {"kind": "left_behind", "t_ms": clock.now_ms(), "steps": sorted(step_ids)}
    await store.append_journal(run_id, dump(entry))
    entry = {"kind": "run_ended", "t_ms": clock.now_ms(), "result": result, "message": "nodes were let go of"}
    await store.append_journal(run_id, dump(entry))


async def set_aside(store: Store, clock: Clock, run_id: str) -> None:
    """Close the journal of a run that nobody carries on. Raises StoreError."""
    entry = {"kind": "run_ended", "t_ms": clock.now_ms(), "result": "cancelled", "message": "left as it was"}
    await store.append_journal(run_id, dump(entry))
