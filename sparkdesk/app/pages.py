"""The pages of the window: what each reads, and where its signals lead.

The one rule: a page is made on its first visit, from feeds; it holds no service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from sparkdesk.app.bringup_pane import BringUpPane
from sparkdesk.app.chat_pane import ChatPane
from sparkdesk.app.cluster_pane import ClusterPane
from sparkdesk.app.deployments_pane import DeploymentsPane
from sparkdesk.app.disk_pane import DiskPane
from sparkdesk.app.hub_token import HubTokenKeeper
from sparkdesk.app.launch_pane import LaunchPane
from sparkdesk.app.models_pane import ModelsPane
from sparkdesk.app.node_pages import NodePages
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui.add_node.page import AddNodePage
from ui.chat.view import ChatPage
from ui.jobs.view import DeploymentsPage
from ui.launch.view import LaunchPage
from ui.settings.view import SettingsPage
from ui.shell.feed import ShellFeed, ShellFeeds

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

NEEDS_CLUSTER = "Add a Spark or start the simulated cluster first."


class Pages:
    """Makes the pages and joins them."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self._window = desktop.window
        launcher = self._stack.launcher
        self.traces = self._stack.records.traces
        self.launch_page: LaunchPage | None = None
        self.deployments_page: DeploymentsPage | None = None
        self._shell_feed: ShellFeed | None = None
        self._is_complete = False
        self.chat_pane = ChatPane(desktop, self)
        self.node_pages = NodePages(desktop)
        self.cluster_pane = ClusterPane(desktop, self)
        self.bringup_pane = BringUpPane(desktop, self)
        self._launch_pane = LaunchPane(desktop)
        self._deployments_pane = DeploymentsPane(desktop, self)
        self._models_pane = ModelsPane(desktop, self._launch_pane.planner)
        self._disk_pane = DiskPane(desktop)
        self.settings_page: SettingsPage | None = None
        self._watch = launcher.jobs.subscribe(self._show_badges)

    def add_first_run(self) -> None:
        """Only the first-run page leads anywhere; the others are listed and say why not."""
        self._window.add_page("cluster", "Cluster", "network", lambda: self._make_add_node(is_first=True))
        self._add_work_pages(NEEDS_CLUSTER)
        self._add_settings()

    def add_all(self) -> None:
        """Every page; safe to call twice."""
        window = self._window
        window.add_page("cluster", "Cluster", "network", self.cluster_pane.make)
        if self._is_complete:
            return
        self._is_complete = True
        self._add_work_pages("")
        window.add_page(
            "add_node",
            "Add a node",
            "plus",
            lambda: self._make_add_node(is_first=False),
            under="cluster",
        )
        window.add_page("bringup", "Bring-up", "cable", self.bringup_pane.make, under="cluster")
        window.actions_registry.add(
            "launch.paste", "Paste a command, recipe or model to launch", self._paste, icon="terminal"
        )
        window.actions_registry.add(
            "models.run", "What can my Sparks run", lambda: window.show_page("models"), icon="list"
        )
        self.node_pages.add_all()
        self._add_settings()
        self._shell_feed = ShellFeed(self._shell_feeds(), window.shell, window)

    def refresh_top_bar(self) -> None:
        """Show there what is known now, as the page does that is refreshed in the same moment."""
        if self._shell_feed is not None:
            self._shell_feed.refresh()

    def _add_work_pages(self, obstacle: str) -> None:
        """What is done with a cluster; `obstacle` says why that cannot be now."""
        pages = (
            ("launch", "Launch", "rocket", self._make_launch),
            ("disk", "Models on disk", "save", self._disk_pane.make),
            ("models", "What can run", "list", self._make_models),
            ("deployments", "Deployments", "layers", self._make_deployments),
            ("chat", "Chat", "message-square", self._make_chat),
        )
        for key, title, icon, make in pages:
            self._window.add_page(key, title, icon, make)
            # What Sparks could run can be asked before there is one.
            self._window.set_page_reason(key, obstacle if key != "models" else "")

    def _make_add_node(self, *, is_first: bool) -> QWidget:
        desktop = self._desktop
        page = AddNodePage(desktop.first_run, desktop.search, desktop.adding, is_first=is_first)
        page.cluster_wanted.connect(self._show_added)
        page.returned.connect(self.bringup_pane.newcomer.come_back)
        return page

    def _show_added(self) -> None:
        """A node was added: there is a cluster to show now."""
        self.add_all()
        self._window.show_page("cluster")

    def _add_settings(self) -> None:
        self._window.add_page("settings", "Settings", "settings", self._make_settings, under="settings")

    def _make_settings(self) -> QWidget:
        keeper = HubTokenKeeper(self._stack.secret_store, self._stack.tasks)
        self.settings_page = SettingsPage(self._desktop.settings, hub=keeper.feeds())
        return self.settings_page

    def enter_token(self) -> None:
        """Show where the hub's token is entered."""
        self._window.show_page("settings")
        if self.settings_page is not None and self.settings_page.hub_card is not None:
            self.settings_page.ensureWidgetVisible(self.settings_page.hub_card)
            self.settings_page.hub_card.typed.setFocus(Qt.FocusReason.OtherFocusReason)

    def sample(self, node_id: str) -> Sample | None:
        """What a node measured last."""
        return self._stack.telemetry.latest(node_id).value

    def _shell_feeds(self) -> ShellFeeds:
        stack = self._stack
        return ShellFeeds(
            cluster=stack.inventory.cluster,
            nodes=stack.inventory.nodes,
            jobs=stack.launcher.jobs,
            sample=self.sample,
            reading=self.traces.newest,
            age_s=lambda node_id: stack.telemetry.feed(node_id).sample_age_s(),
            period_s=1.0 / stack.sample_hz,
        )

    def _make_launch(self) -> QWidget:
        self.launch_page = self._launch_pane.make()
        return self.launch_page

    def _make_models(self) -> QWidget:
        page = self._models_pane.make()
        page.plan_asked.connect(self._plan_model)
        return page

    def _plan_model(self, name: str, node_ids: tuple[str, ...]) -> None:
        """Show the launch page with this model on these nodes."""
        self._window.show_page("launch")
        if self.launch_page is not None:
            self.launch_page.plan_model(name, node_ids)

    def _paste(self) -> None:
        """Show the launch page with its drawer for pasted text."""
        self._window.show_page("launch")
        if self.launch_page is not None:
            self.launch_page.open_paste()

    def _make_deployments(self) -> QWidget:
        self.deployments_page = self._deployments_pane.make()
        return self.deployments_page

    def show_job(self, job_id: str) -> None:
        """Show a deployment; "" is the page itself."""
        self._window.show_page("deployments")
        if self.deployments_page is not None:
            self.deployments_page.show_job(job_id)

    def ask_stop(self, job_id: str) -> None:
        """Show a deployment, and ask whether to stop it."""
        self.show_job(job_id)
        if self.deployments_page is not None:
            self.deployments_page.ask_stop(job_id)

    def _make_chat(self) -> QWidget:
        return self.chat_pane.make()

    def chat_with(self, endpoint_id: str) -> None:
        """Show the chat, talking to this server."""
        self.chat_pane.chat_with(endpoint_id)

    @property
    def chat_page(self) -> ChatPage | None:
        """The chat, once it was visited."""
        return self.chat_pane.page

    @property
    def endpoints(self) -> Latest[tuple[ChatEndpoint, ...]]:
        """What can be talked to."""
        return self.chat_pane.targets.endpoints

    def relaunch(self, request: LaunchRequest) -> None:
        """Fill the launch form from an earlier request and show it."""
        self._window.show_page("launch")
        if self.launch_page is not None:
            self.launch_page.load(request)

    def open_fix(self, request: LaunchRequest, fix: Fix) -> None:
        """Show the launch form with a failed launch as it should be tried again, the changes marked."""
        self._window.show_page("launch")
        if self.launch_page is not None:
            changed = tuple(name for name, _ in fix.change)
            self.launch_page.load_fix(request, fix.words, changed, fix.stop_job_id, fix.load_timeout_s)

    def open_switch(self, job_id: str) -> None:
        """Show the launch form for a model that takes this deployment's place."""
        self._window.show_page("launch")
        if self.launch_page is not None:
            self.launch_page.model.switching(job_id)

    def open_beside(self, request: LaunchRequest) -> None:
        """Show the launch form for an embedding server beside a deployment that runs."""
        self._window.show_page("launch")
        if self.launch_page is not None:
            self.launch_page.add_beside(request)

    def _show_badges(self, jobs: tuple[JobStatus, ...]) -> None:
        running = sum(not job.state.is_over for job in jobs)
        failed = any(job.state is JobState.FAILED for job in jobs)
        self._window.set_badge("deployments", str(running) if running else "", needs_you=failed and not running)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
        self.chat_pane.close()
        self._disk_pane.close()
        self.node_pages.close()
        self.cluster_pane.close()
        self.bringup_pane.close()
