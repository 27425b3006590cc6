"""The bring-up page with what it reads, and where its signals lead.

The one rule: the page asks, the service does; what changes a node was on the page before it runs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog

from sparkdesk.app.bringup_call import BringUpCall
from sparkdesk.app.bringup_stack import busy_nodes
from sparkdesk.app.newcomer import Newcomer
from sparkdesk.app.owned_file import write_for_owner
from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.report import plan_json, plan_markdown, report_json, report_markdown
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.errors import SettingsError
from ui.bringup.model import BringUpFeeds, BringUpModel
from ui.bringup.view import BringUpPage

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.pages import Pages

KEY = "bringup"
_ASKING = (Phase.RUNNING, Phase.PROVING, Phase.UNDOING)


class BringUpPane:
    """Makes the bring-up page and joins it."""

    def __init__(self, desktop: Desktop, pages: Pages) -> None:
        self._desktop = desktop
        self._pages = pages
        self._service = desktop.stack.bring_up
        self.page: BringUpPage | None = None
        self._watch = self._service.state.subscribe(self._follow)
        self.newcomer = Newcomer(desktop, self)
        self.call = BringUpCall(desktop, pages.cluster_pane.show_badge)

    def make(self) -> BringUpPage:
        """The page, on its first visit."""
        stack = self._desktop.stack
        feeds = BringUpFeeds(
            state=self._service.state,
            nodes=stack.inventory.nodes,
            topology=stack.fleet.topology.topology,
            cluster=stack.inventory.cluster,
            now_ms=stack.clock.now_ms,
            images=self._service.images,
            busy=lambda: busy_nodes(stack),
        )
        self.page = BringUpPage(BringUpModel(feeds))
        self._join(self.page)
        return self.page

    def show(self) -> None:
        """Show the page."""
        self._desktop.window.show_page(KEY)

    def _join(self, page: BringUpPage) -> None:
        service, start = self._service, self._desktop.bridge.start
        page.look_asked.connect(self._look)
        page.apply_asked.connect(service.start)
        page.prove_asked.connect(service.prove)
        page.pause_asked.connect(service.pause)
        page.cancel_asked.connect(service.cancel)
        page.resume_asked.connect(service.resume)
        page.undo_asked.connect(service.undo)
        page.roll_back_asked.connect(service.roll_back)
        page.answered.connect(service.answer)
        page.add_asked.connect(self.newcomer.add)
        page.save_asked.connect(lambda kind: start(self._save, kind))
        page.close_asked.connect(lambda: self._desktop.window.show_page("cluster"))

    def _look(self, node_ids: tuple[str, ...], choices: Choices) -> None:
        """Of two looks the later one counts."""
        self._desktop.bridge.start_exclusive("bring-up look", self._service.look, node_ids, choices)

    def _follow(self, state: BringUpState) -> None:
        """While all nodes are changed at once, one password is expected to be that of all."""
        self._pages.node_pages.questions.expects_same = state.phase in _ASKING

    async def _save(self, kind: str) -> None:
        state = self._service.state.value
        suffix, words = ("json", "JSON (*.json)") if kind == "json" else ("md", "Markdown (*.md)")
        data = self._text_of(kind, state)
        dialog = QFileDialog(self._desktop.window, "Save", f"bring-up.{suffix}", words)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        if await self._desktop.bridge.ask(dialog) == QFileDialog.DialogCode.Accepted and dialog.selectedFiles():
            await asyncio.to_thread(write_for_owner, Path(dialog.selectedFiles()[0]), data)

    def _text_of(self, kind: str, state: BringUpState) -> bytes:
        """The plan as it stands before it runs, or the report of what was done and measured."""
        if state.plan is None:
            raise SettingsError("There is no plan to save yet", remedy="Check the nodes first.")
        cluster = self._desktop.stack.inventory.cluster.value
        name = cluster.name if cluster is not None else ""
        if kind == "plan":
            return plan_markdown(state.plan).encode()
        if kind == "json":
            return report_json(state, name) if state.run is not None or state.measurements else plan_json(state.plan)
        return report_markdown(state, name).encode()

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
        self.call.close()
