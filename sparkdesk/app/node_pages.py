"""The pages about one node and about the clusters as such, and the dialogs that change a node.

The one rule: a change is shown first; what a person confirms there is exactly what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from sparkdesk.app.node_commands import NodeCommands
from sparkdesk.app.owned_file import write_for_owner
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import SettingsError, SparkDeskError, Unreachable
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.run_view import INTERRUPTED, RunView
from sparkdesk.core.step import Playbook
from sparkdesk.services.fleet.power import PowerPlan
from ui.clusters.model import ClustersActions, ClustersFeeds, ClustersModel
from ui.clusters.switcher import ClusterSwitcher
from ui.clusters.versions import VersionsPage
from ui.node.model import NodeActions, NodeFeeds, NodeModel
from ui.node.view import NodePage
from ui.playbook.dialog import PlaybookDialog
from ui.playbook.model import PlaybookModel, Proposal, RunFeeds
from ui.playbook.question import Questions

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

SHUT_DOWN_LEAD = "A Spark that is off comes back by its power button, or by Wake where its network card allows it."


class NodePages:
    """Makes them and carries out what they ask for."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self._fleet = desktop.stack.fleet
        self._window = desktop.window
        self.questions = Questions(desktop.window, self._stack.inventory.nodes, self._password_hint)
        questions = self.questions
        self._stack.runner.asks = replace(
            self._stack.runner.asks,
            confirm=questions.ask_confirm,
            password=questions.ask_password,
            break_lock=questions.ask_break,
        )
        self._watch = self._stack.runs.runs.subscribe(self._forget_answers)
        self._shown_node = ""
        self.node_page: NodePage | None = None
        self.switcher: ClusterSwitcher | None = None
        self._commands: NodeCommands | None = None

    def _password_hint(self) -> str:
        """Where the password of the open cluster lies, if nobody chose it."""
        cluster, simulation = self._stack.inventory.cluster.value, self._stack.simulation
        if cluster is None or not cluster.is_simulated or simulation is None or not simulation.password_file:
            return ""
        return f"These Sparks are simulated: their password is in {simulation.password_file}"

    # Pages ----------------------------------------------------------------------------------------------------------

    def add_all(self) -> None:
        """Add the pages, and open the list of clusters where the window asks for it."""
        self._window.add_page("node", "Node", "server", self._make_node, under="cluster")
        self._window.add_page("versions", "Versions", "columns-2", self._make_versions, under="cluster")
        if self._commands is None:
            self._commands = NodeCommands(self._desktop, self)
        if self.switcher is None:
            self.switcher = ClusterSwitcher(self._clusters_model(), self._window)
            self._window.set_switcher(self.switcher.open_under)

    def show_node(self, node_id: str, tab: str = "") -> None:
        """Show a node's page."""
        self._shown_node = node_id
        self._window.show_page("node")
        if self.node_page is not None:
            self.node_page.show_node(node_id, tab)

    def _make_node(self) -> QWidget:
        stack, fleet = self._stack, self._fleet
        feeds = NodeFeeds(
            nodes=stack.inventory.nodes,
            clusters=stack.inventory.clusters,
            open_cluster=stack.inventory.cluster,
            details=fleet.details.details,
            servers=fleet.servers.servers,
            forwards=fleet.forwards.forwards,
            check_ups=fleet.doctor.check_ups,
            reports=fleet.field.reports,
            jobs=stack.launcher.jobs,
            now_ms=stack.clock.now_ms,
            ssh_command=self._ssh_command,
            can_wake=stack.power.can_wake,
        )
        page = NodePage(NodeModel(feeds, self._node_actions()))
        self.node_page = page
        if self._shown_node:
            page.show_node(self._shown_node, "")
        return page

    def _node_actions(self) -> NodeActions:
        stack, fleet, start = self._stack, self._fleet, self._desktop.bridge.start
        inventory = stack.inventory
        return NodeActions(
            show_cluster=lambda: self._window.show_page("cluster"),
            reconnect=inventory.reconnect,
            open_terminal=lambda node_id: start(self.open_terminal, node_id),
            open_vscode=lambda node_id: start(self._open_vscode, node_id),
            reboot=lambda node_id: start(self._propose_power, stack.power.reboot_plan, node_id, "Reboot"),
            shut_down=lambda node_id: start(self._propose_power, stack.power.shutdown_plan, node_id, "Shut down"),
            wake=lambda node_id: start(stack.power.wake, node_id),
            rename=lambda node_id, name: start(inventory.rename_node, node_id, name),
            move=lambda node_id, cluster_id: start(inventory.move_node, node_id, cluster_id),
            remove=lambda node_id, is_undone: start(self._remove, node_id, is_undone),
            refresh_details=lambda node_id: start(fleet.details.refresh, node_id),
            open_dashboard=lambda node_id: start(self._open_dashboard, node_id),
            look_for_servers=lambda node_id: start(fleet.servers.look, node_id),
            chat=lambda server_id, model: self._desktop.pages.chat_with(f"{server_id} {model}"),
            give_key=lambda server_id, key: start(fleet.servers.give_key, server_id, key),
            open_job=self._desktop.pages.show_job,
            open_forward=lambda forward_id: start(fleet.forwards.open, forward_id),
            close_forward=lambda forward_id: start(fleet.forwards.close, forward_id),
            remove_forward=lambda forward_id: start(fleet.forwards.remove, forward_id),
            add_forward=lambda spec: start(fleet.forwards.add, spec),
            open_url=_open_url,
            run_doctor=lambda node_id: start(fleet.doctor.run, node_id),
            show_fix=lambda _node_id, playbook: self.propose(Proposal(playbook, confirm="Run the fix")),
            run_field_report=lambda node_id: start(fleet.field.run, node_id),
            save_report=lambda node_id, path: start(self._save_report, node_id, path),
        )

    def _clusters_model(self) -> ClustersModel:
        inventory, fleet, start = self._stack.inventory, self._fleet, self._desktop.bridge.start
        feeds = ClustersFeeds(
            clusters=inventory.clusters,
            open_cluster=inventory.cluster,
            nodes=inventory.nodes,
            details=fleet.details.details,
            now_ms=self._stack.clock.now_ms,
        )
        actions = ClustersActions(
            open=lambda cluster_id: start(inventory.open_known, cluster_id),
            rename=lambda cluster_id, name: start(inventory.rename_cluster, cluster_id, name),
            remove=lambda cluster_id, is_undone: start(self._remove_cluster, cluster_id, is_undone),
            create=lambda name: start(self._create_cluster, name),
            show_versions=lambda: self._window.show_page("versions"),
            show_cluster=lambda: self._window.show_page("cluster"),
            open_dashboard=lambda node_id: start(self._open_dashboard, node_id),
            refresh_details=lambda node_id: start(fleet.details.refresh, node_id),
        )
        return ClustersModel(feeds, actions)

    def _make_versions(self) -> QWidget:
        return VersionsPage(self._clusters_model())

    # Changes --------------------------------------------------------------------------------------------------------

    def propose(self, proposal: Proposal, *, run_id: str = "", start: Callable[[Playbook], str] | None = None) -> None:
        """Show a change; it runs when the person says so. With `run_id` it is one that was begun before.

        With `start` that is what runs it, and the dialog goes then: whoever asks shows how it stands.
        """
        runs = self._stack.runs
        feeds = RunFeeds(
            runs=runs.runs,
            start=start or runs.start,
            cancel=runs.cancel,
            undo=runs.undo,
            resume=runs.resume,
            set_aside=lambda run_id: self._desktop.bridge.start(runs.set_aside, run_id),
            name_of=self._stack.inventory.name_of,
        )
        dialog = PlaybookDialog(PlaybookModel(proposal, feeds, run_id=run_id), self._window)
        dialog.finished.connect(dialog.deleteLater)
        if start is not None:
            dialog.confirm.clicked.connect(dialog.accept)
        dialog.show()

    def offer_unfinished(self) -> None:
        """Show the changes in the middle of which an earlier run of the program ended; what to do is asked.

        One whose nodes are all gone cannot be carried on or undone: it is set aside, and said.
        """
        for title, words in self._fleet.notices:
            self._desktop.tell("warn", title, words)
        self._fleet.notices.clear()
        known = {node.id for cluster in self._stack.inventory.clusters.value for node in cluster.nodes}
        for run in self._stack.runs.runs.value.values():
            if run.result != INTERRUPTED:
                continue
            if self._stack.bring_up.owns(run.run_id):
                self._desktop.pages.bringup_pane.show()
                continue
            if known.isdisjoint(step.node for step in run.playbook.steps()):
                self._desktop.bridge.start(self._set_aside, run)
            else:
                self.propose(Proposal(run.playbook), run_id=run.run_id)

    async def _set_aside(self, run: RunView) -> None:
        await self._stack.runs.set_aside(run.run_id)
        self._desktop.tell(
            "warn",
            f"SparkDesk ended in the middle of \u201c{make_line(run.playbook.title, max_chars=100)}\u201d",
            "Its node is not in SparkDesk any more, so it was left as it is. Look at the node yourself.",
        )

    def _forget_answers(self, runs: Mapping[str, RunView]) -> None:
        """No password outlives the changes that it was given for."""
        if all(run.is_over for run in runs.values()):
            self.questions.forget()

    async def _propose_power(self, make: Callable[[str], PowerPlan], node_id: str, verb: str) -> None:
        plan = make(node_id)
        proposal = Proposal(
            plan.playbook,
            confirm=verb,
            lead=SHUT_DOWN_LEAD if verb == "Shut down" else "",
            dying=plan.dying,
            warnings=plan.warnings,
            is_danger=True,
        )
        self.propose(proposal)

    async def _remove(self, node_id: str, is_undone: bool) -> None:
        """Forget a node; first take back what SparkDesk installed on it, if that is wished."""
        record = self._stack.inventory.status(node_id).record
        if is_undone:
            await self._undo_setup(record)
        await self._stack.inventory.remove_node(node_id)
        await self._stack.forget(record)
        self._window.show_page("cluster")

    async def _undo_setup(self, record: NodeRecord) -> None:
        """Take back what SparkDesk installed on a node. Raises SettingsError, and then the node is to be kept."""
        for run_id in self._stack.inventory.setup_runs_of(record.id):
            ended = await self._stack.runner.undo(run_id, on_event=lambda _event: None)
            if ended.result != "done":
                raise SettingsError(
                    f"What SparkDesk installed on {record.name} could not be taken back: {ended.message}",
                    remedy="The node was not removed. Connect to it and try again, or remove it without undo.",
                )

    async def _create_cluster(self, name: str) -> None:
        cluster = await self._stack.inventory.create_cluster(name)
        await self._stack.inventory.open_known(cluster.id)
        self._window.show_page("cluster")

    async def _remove_cluster(self, cluster_id: str, is_undone: bool) -> None:
        """Forget a cluster with its nodes; first take back what was installed on those that are live, if wished."""
        inventory = self._stack.inventory
        cluster = next((each for each in inventory.clusters.value if each.id == cluster_id), None)
        nodes = cluster.nodes if cluster is not None else ()
        live = {status.record.id for status in inventory.nodes.value if status.is_live}
        for node in nodes:
            if is_undone and node.id in live:
                await self._undo_setup(node)
            await inventory.remove_node(node.id)
            await self._stack.forget(node)
        await inventory.remove_cluster(cluster_id)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
        if self._commands is not None:
            self._commands.close()

    # Reaching a node ------------------------------------------------------------------------------------------------

    async def open_terminal(self, node_id: str) -> None:
        """The user's own terminal on the node. Raises SettingsError."""
        await self._fleet.tools.open_terminal(self._stack.inventory.status(node_id).record)

    async def _open_vscode(self, node_id: str) -> None:
        status = self._stack.inventory.status(node_id)
        folder = status.facts.home or f"/home/{status.record.user}"
        lines = await self._fleet.tools.open_vscode(status.record, folder)
        if lines:
            self._desktop.tell(
                "warn",
                f"VS Code does not hold {status.record.name} to the host key that was confirmed here",
                f"It goes by your own known_hosts file. To accept this key alone, add to ~/.ssh/config:\n{lines}",
            )

    def tunnel_command(self, node_id: str, host: str, port: int) -> str:
        """The command with which other programs of this computer reach a server on a node; "" when there is none."""
        try:
            return self._fleet.tools.describe(self._stack.inventory.status(node_id).record, tunnel=(host, port))
        except (KeyError, SparkDeskError):
            return ""

    def _ssh_command(self, node_id: str) -> str:
        try:
            return self._fleet.tools.describe(self._stack.inventory.status(node_id).record)
        except (KeyError, SparkDeskError):
            return ""

    async def _open_dashboard(self, node_id: str) -> None:
        forward = await self._fleet.forwards.open(f"{node_id}:dashboard")
        if not forward.url:
            raise Unreachable(
                forward.message or "The dashboard's port is not open yet",
                remedy=forward.remedy or "It opens when the node is live.",
                node=self._stack.inventory.name_of(node_id),
            )
        _open_url(forward.url)

    async def _save_report(self, node_id: str, path: str) -> None:
        """Write the redacted report where the person wants it."""
        await asyncio.to_thread(write_for_owner, Path(path), self._fleet.field.redacted(node_id))


def _open_url(url: str) -> None:
    """In the person's browser; only our own forwards are ever opened so."""
    target = QUrl(url)
    if target.scheme() in ("http", "https") and target.host() in ("127.0.0.1", "localhost"):
        QDesktopServices.openUrl(target)
