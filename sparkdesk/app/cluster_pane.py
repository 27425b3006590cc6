"""The cluster page with what it reads, and where its signals lead.

The one rule: what a person confirms elsewhere is only asked for here; nothing on a node changes from this module.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sparkdesk.app.alarm import Alarm
from sparkdesk.app.bringup_call import badge_of
from sparkdesk.app.deep_look import DeepLook
from sparkdesk.app.finding_actions import FindingActions
from sparkdesk.app.owned_file import write_for_owner
from sparkdesk.core.findings.concern import Concern
from ui.charts.feed import ChartFeeds
from ui.cluster.model import ClusterFeeds, ClusterModel
from ui.cluster.view import ClusterPage
from ui.findings import words

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.pages import Pages


class ClusterPane:
    """Makes the cluster page and joins it."""

    def __init__(self, desktop: Desktop, pages: Pages) -> None:
        self._desktop = desktop
        self._pages = pages
        self._stack = desktop.stack
        self.findings = FindingActions(desktop, pages.node_pages)
        self.deep_look = DeepLook(desktop, pages.node_pages)
        self._alarm = Alarm(desktop, self.findings)
        self._watch = self._stack.findings.findings.subscribe(self._count_findings)

    def make(self) -> ClusterPage:
        """The page, on its first visit."""
        page = ClusterPage(ClusterModel(self._feeds()))
        self._join_nodes(page)
        self._join_jobs(page)
        self._join_cables(page)
        self._join_findings(page)
        page.model.refreshed.connect(self._pages.refresh_top_bar)
        page.save_asked.connect(lambda path, data: self._desktop.bridge.start(_save, path, data))
        return page

    def _feeds(self) -> ClusterFeeds:
        stack = self._stack
        return ClusterFeeds(
            cluster=stack.inventory.cluster,
            nodes=stack.inventory.nodes,
            jobs=stack.launcher.jobs,
            sample=self._pages.sample,
            now_ms=stack.clock.now_ms,
            traces=self._pages.traces,
            plan_of=stack.launcher.plan_of,
            age_s=lambda node_id: stack.telemetry.feed(node_id).sample_age_s(),
            series=stack.records.series.series,
            servers=stack.fleet.servers.servers,
            server_reading=stack.records.server_readings.newest,
            topology=stack.fleet.topology.topology,
            findings=stack.findings.findings,
            heard=stack.findings.heard,
            clusters=stack.inventory.clusters,
            bandwidth=stack.records.bandwidths.of,
            energy=stack.records.energies.energy,
            charts=self._chart_feeds(),
            memory=self._desktop.preferences,
        )

    def _chart_feeds(self) -> ChartFeeds:
        book, inventory = self._stack.records.series, self._stack.inventory
        return ChartFeeds(
            sources=book.sources,
            keys=book.keys,
            series=book.series,
            now_ms=self._stack.clock.now_ms,
            gaps=book.gaps,
            cluster=lambda: inventory.cluster.value,
        )

    def _join_nodes(self, page: ClusterPage) -> None:
        stack, start, node_pages = self._stack, self._desktop.bridge.start, self._pages.node_pages
        page.launch_asked.connect(lambda: self._desktop.window.show_page("launch"))
        page.bring_up_asked.connect(self._pages.bringup_pane.show)
        page.add_node_asked.connect(lambda: self._desktop.window.show_page("add_node"))
        page.reconnect_asked.connect(stack.inventory.reconnect)
        page.node_asked.connect(node_pages.show_node)
        page.terminal_asked.connect(lambda node_id: start(node_pages.open_terminal, node_id))
        page.wake_asked.connect(lambda node_id: start(stack.power.wake, node_id))
        page.password_given.connect(
            lambda node_id, password: start(stack.inventory.provide_password, node_id, password)
        )
        page.cluster_open_asked.connect(lambda cluster_id: start(stack.inventory.open_known, cluster_id))

    def _join_jobs(self, page: ClusterPage) -> None:
        actions = {"chat": self._pages.chat_with, "logs": self._pages.show_job, "stop": self._pages.ask_stop}
        page.job_asked.connect(self._pages.show_job)
        page.job_action_asked.connect(lambda job_id, action: actions[action](job_id))

    def _join_cables(self, page: ClusterPage) -> None:
        watch = self._stack.fleet.topology
        page.label_asked.connect(lambda key, words: self._desktop.bridge.start(watch.label, key, words))
        page.switch_label_asked.connect(lambda keys, words: self._desktop.bridge.start(watch.label_all, keys, words))
        page.look_asked.connect(watch.request)
        page.deep_look_asked.connect(self.deep_look.ask_or_stop)

    def _join_findings(self, page: ClusterPage) -> None:
        page.finding_fix_asked.connect(self.findings.fix)
        page.finding_accept_asked.connect(self.findings.accept)
        page.finding_unaccept_asked.connect(self.findings.unaccept)

    def _count_findings(self, findings: tuple[Concern, ...]) -> None:
        """How many are open stands beside "Cluster", but while a bring-up is at work or asks for a person."""
        opened = words.count(findings).open
        if not badge_of(self._stack.bring_up.state.value):
            self._desktop.window.set_badge("cluster", str(opened) if opened else "")

    def show_badge(self) -> None:
        """Show it again after something else stood there."""
        self._count_findings(self._stack.findings.findings.value)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
        self._alarm.close()
        self.findings.close()


async def _save(path: str, data: bytes) -> None:
    await asyncio.to_thread(write_for_owner, Path(path), data)
