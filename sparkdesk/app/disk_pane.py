"""The page Models on disk, joined with the shelf: every change is shown before it runs, and refreshes what plans see.

The one rule: what a running server uses is not removed from under it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog

from sparkdesk.core.disk.use import Use, find_use
from sparkdesk.core.disk.view import DiskCell, DiskKey, DiskRow, Holding, Kind
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.step import Playbook, Stage
from ui.disk.feeds import DiskActions, DiskFeeds
from ui.disk.model import DiskModel
from ui.disk.view import DiskPage
from ui.playbook.model import Proposal

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

LAUNCH_LOOK_S = 5.0
"""Between two looks at a node whose launch may be fetching."""
CLEAN_WARNING = "The next start of its engine is slower: it compiles anew."
DOUBT = "{title} runs there and SparkDesk cannot tell whether it uses this."
FETCH_LEAD = "What was fetched before stays and is gone on from. The bar below the page shows how far it is."


class DiskPane:
    """Makes the page and carries out what it asks for."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self._shelf = desktop.stack.disk
        self._is_shown = False
        self._looked_s: dict[str, float] = {}
        self._watch = self._stack.launcher.jobs.subscribe(self._follow_launches)

    def make(self) -> DiskPage:
        """The page."""
        feeds = DiskFeeds(self._shelf.rows, self.users, self._stack.clock.now_ms)
        actions = DiskActions(
            fetch=self._fetch,
            copy=self._copy,
            verify=lambda key, node_id: self._propose("verify", key, node_id, "Verify"),
            remove=self._remove,
            clean=self._clean,
            cancel=self._shelf.cancel,
            resume=self._shelf.resume,
            enter_token=lambda: self._desktop.pages.enter_token(),
            look=self._shelf.look_at_all,
            watch=self._set_shown,
            ask_size=self._ask_size,
        )
        return DiskPage(DiskModel(feeds, actions))

    def use(self, key: DiskKey, node_id: str) -> Use:
        """Who uses a row on a node, and who may."""
        launcher, servers = self._stack.launcher, self._stack.fleet.servers.servers.value
        return find_use(key, node_id, self._cell(key, node_id), launcher.jobs.value, launcher.plan_of, servers)

    def users(self, key: DiskKey, node_id: str) -> tuple[str, ...]:
        """Titles of those that certainly use it."""
        return self.use(key, node_id).certain

    def _cell(self, key: DiskKey, node_id: str) -> DiskCell:
        row = next((row for row in self._shelf.rows.value.rows if row.key == key), DiskRow(key))
        return row.cell(node_id)

    def _fetch(self, key: DiskKey, node_ids: tuple[str, ...], file: str) -> None:
        """Show how it comes to these nodes: one dialog, and one run a node afterwards."""
        files = {
            node_id: file or (self._shelf.wanted_file(key, node_id) if self._is_part(key, node_id) else "")
            for node_id in node_ids
        }
        plans = [(node_id, self._shelf.plan("fetch", key, node_id, file=files[node_id])) for node_id in node_ids]
        self._show("fetch", key, plans, Proposal(_joined(plans), confirm="Fetch", lead=FETCH_LEAD), files=files)

    def _is_part(self, key: DiskKey, node_id: str) -> bool:
        return self._cell(key, node_id).holding is not Holding.WHOLE

    def _copy(self, key: DiskKey, node_id: str) -> None:
        if key.kind is not Kind.FILE:
            self._propose("copy", key, node_id, "Copy")
            return
        dialog = QFileDialog(self._desktop.window, f"The file {key.name} on this computer")
        dialog.fileSelected.connect(lambda path: self._propose("copy", key, node_id, "Copy", source=path))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _remove(self, key: DiskKey, node_id: str) -> None:
        use = self.use(key, node_id)
        if use.certain:
            self._desktop.tell("warn", f"{', '.join(use.certain)} runs with it", "Stop it first, then remove it.")
            return
        self._propose("remove", key, node_id, "Remove", doubts=use.doubtful)

    def _propose(
        self, task: str, key: DiskKey, node_id: str, verb: str, *, source: str = "", doubts: tuple[str, ...] = ()
    ) -> None:
        try:
            playbook = self._shelf.plan(task, key, node_id, source=source)
        except SparkDeskError as error:
            self._desktop.tell("warn", error.message, error.remedy)
            return
        is_danger = task == "remove"
        warnings: tuple[str, ...] = ("It can be fetched again only where it came from.",) if is_danger else ()
        warnings += tuple(DOUBT.format(title=make_line(title, max_chars=100)) for title in doubts)
        self._show(task, key, [(node_id, playbook)], Proposal(playbook, verb, warnings=warnings, is_danger=is_danger))

    def _clean(self, cache: str, node_id: str) -> None:
        playbook = self._shelf.plan_clean(cache, node_id)
        proposal = Proposal(playbook, confirm="Clean", warnings=(CLEAN_WARNING,), is_danger=True)
        self._show("clean", None, [(node_id, playbook)], proposal)

    def _show(
        self,
        task: str,
        key: DiskKey | None,
        plans: list[tuple[str, Playbook]],
        proposal: Proposal,
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Show a change; once confirmed the dialog goes and the bar of the page tells. `files`: the one that is wanted,
        by node."""

        def start(_playbook: Playbook) -> str:
            run_ids = [
                self._shelf.start(task, key, node_id, playbook, file=files.get(node_id, ""))
                for node_id, playbook in plans
            ]
            return run_ids[0]

        if plans:
            self._desktop.pages.node_pages.propose(proposal, start=start)

    def _ask_size(self, name: str, file: str, node_id: str, then: Callable[[int | None, str], None]) -> None:
        """Ask the hub through a node; `then` gets the bytes, or None with why nobody knows."""

        async def ask() -> None:
            try:
                size = await self._shelf.ask_size(name, node_id, file=file)
            except SparkDeskError as error:
                then(None, f"{error.message}. {error.remedy}")
            else:
                then(size, "")

        look: Callable[..., object] = self._desktop.bridge.start_exclusive
        look("disk size", ask)

    def _set_shown(self, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._shelf.watch(is_shown)

    def _follow_launches(self, jobs: tuple[JobStatus, ...]) -> None:
        """What a launch fetches by itself is seen too."""
        now_s = self._stack.clock.monotonic_s()
        starting = [job for job in jobs if not job.state.is_over and job.endpoint is None] if self._is_shown else []
        for node_id in {node_id for job in starting for node_id in job.node_ids}:
            if now_s - self._looked_s.get(node_id, -LAUNCH_LOOK_S) >= LAUNCH_LOOK_S:
                self._looked_s[node_id] = now_s
                look: Callable[..., object] = self._desktop.bridge.start_exclusive
                look(f"disk {node_id}", self._shelf.look, node_id)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()


def _joined(plans: list[tuple[str, Playbook]]) -> Playbook:
    """The playbooks of several nodes as one that can be read; each runs by itself."""
    if len(plans) == 1:
        return plans[0][1]
    stages = [
        Stage(stage.title, tuple(replace(step, id=f"{step.id}@{node_id}") for step in stage.steps))
        for node_id, playbook in plans
        for stage in playbook.stages
    ]
    return Playbook(plans[0][1].title, tuple(stages))
