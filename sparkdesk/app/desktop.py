"""What fills the window: services, pages, and what a person's clicks lead to. Imported after the first frame.

The one rule: pages ask by signals, services answer by feeds, and this is the only place that knows both.
"""

from __future__ import annotations

import asyncio
import getpass
import platform
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from PySide6.QtWidgets import QDialog, QFileDialog

from sparkdesk import __version__, paths
from sparkdesk.app.fault import Faults
from sparkdesk.app.loop import calling_on_signals
from sparkdesk.app.pace import Pace
from sparkdesk.app.pages import Pages
from sparkdesk.app.stack import Stack
from sparkdesk.app.window import OpenedWindow, WindowOptions
from sparkdesk.core.cluster.address_range import range_problem
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.infra.preference import PreferenceFile
from ui import text, theme
from ui.add_node.model import AddNodeFeeds, AddNodeModel
from ui.add_node.search_model import SearchFeeds, SearchModel
from ui.bridge import Bridge
from ui.first_run.model import FirstRunModel, SimulationStart
from ui.settings.model import SettingsModel
from ui.shell.model import Notice
from ui.sight import Sight
from ui.widgets.empty_state import EmptyState

CHOOSE_GGUF = "Choose a GGUF file"


class Desktop:
    """The application behind one window."""

    def __init__(self, opened: OpenedWindow, options: WindowOptions) -> None:
        self.app = opened.app
        self.window = opened.window
        self.options = options
        self.simulation_words = options.simulation
        self.preferences = opened.preferences
        self.stack = Stack(folder=None if options.is_forgetful else paths.data_dir())
        self.stack.tasks.on_error = self._show_error
        self.faults = Faults(self._show_bug)
        self.stack.tasks.on_bug = self.faults.take
        self.bridge = Bridge(self.stack.tasks)
        self.first_run = FirstRunModel(local_user=_local_user())
        self.settings = SettingsModel(
            opened.preferences, data_folder=str(paths.data_dir()), versions=(("SparkDesk", __version__), *_versions())
        )
        self.stack.records.energies.rates = self.settings.rates
        self.is_keyring_durable: Latest[bool] = Latest(False)
        """Whether a password that is remembered outlives this run."""
        fleet = self.stack.fleet
        self.search = SearchModel(
            SearchFeeds(
                fleet.discovery.candidates,
                fleet.discovery.progress,
                fleet.discovery.start,
                fleet.discovery.stop,
                range_problem,
            )
        )
        self.adding = AddNodeModel(
            AddNodeFeeds(fleet.enroller.enrolment, fleet.enroller, self.stack.inventory.nodes, self.is_keyring_durable),
            local_user=_local_user(),
        )
        self.pages = Pages(self)
        self.pace = Pace(self.stack, Sight(self.window))
        self._is_over = asyncio.Event()
        self.is_filled: Latest[bool] = Latest(False)
        """Whether the window shows what the start had to show."""
        self._wire()

    def _wire(self) -> None:
        self.window.close_requested.connect(self._is_over.set)
        self.first_run.start_simulation.connect(self._start_simulation)
        self.adding.key_file_wanted.connect(lambda take: self.bridge.start(self._choose_key, take))
        self.first_run.shortcuts_wanted.connect(self.window.show_shortcuts)
        self.settings.theme_changed.connect(lambda choice: theme.set_theme(theme.read_choice(choice)))
        self.settings.motion_changed.connect(lambda is_reduced: theme.set_motion(is_reduced=is_reduced))

    async def run(self) -> int:
        """Fill the window, live until it is closed, put everything away. Gives the exit code."""
        with self.faults.caught(), calling_on_signals(self._is_over.set):
            try:
                if await self._open():
                    self.stack.tasks.start(self._fill)
                await self._is_over.wait()
            finally:
                await self.close()
        return 0

    async def _open(self) -> bool:
        """Open the store; without it (another SparkDesk has it, the disk refuses) nothing is begun or written."""
        try:
            await self.stack.open()
        except SparkDeskError as error:
            title, words = error.message, f"{error.remedy} Nothing is connected or saved in this window."
            self.window.add_page("cluster", "Cluster", "network", lambda: EmptyState("octagon-alert", title, words))
            self.window.banner().show_error(error.message, error.remedy, detail=error.detail)
            return False
        self._show_problems()
        self.stack.tasks.start(self._ask_keyring)
        self.window.banner().action_clicked.connect(
            lambda: self.bridge.start_exclusive("simulation", self._choose_gguf)
        )
        return True

    def _show_problems(self) -> None:
        """What was found wrong with the files of this computer, and from now on with the preferences."""
        found = [self.stack.store.notice, self.stack.records.recorder.notice]
        if isinstance(self.preferences, PreferenceFile):
            found.append(self.preferences.problem)
            self.preferences.on_problem = lambda problem: self.tell("warn", "Settings were not saved", problem)
            self.preferences.allow_writes()
        words = [text for text in found if text]
        if words:
            self.tell("warn", words[0], " ".join(words[1:]))

    async def _fill(self) -> None:
        known = await self.stack.known_clusters()
        if self.options.is_simulated:
            self.pages.add_all()
            self.bridge.start_exclusive("simulation", self.simulate)
        elif known:
            self.pages.add_all()
            await self.stack.inventory.open(self.stack.inventory.last_opened() or known[0])
        else:
            self.pages.add_first_run()
        self.pages.node_pages.offer_unfinished()
        self.is_filled.set(True)

    def _start_simulation(self, words: Sequence[str]) -> None:
        self.simulation_words = tuple(words)
        self.bridge.start_exclusive("simulation", self.simulate)

    async def simulate(self) -> None:
        """Start the simulated cluster and show it."""
        self.first_run.set_simulation(SimulationStart("starting"))
        try:
            cluster = await self.stack.open_simulation(self.simulation_words)
        except SparkDeskError as error:
            self.first_run.set_simulation(SimulationStart("failed", "", error.message, error.remedy, error.detail))
            raise
        self.first_run.set_simulation(SimulationStart())
        self.pages.add_all()
        self.window.show_page("cluster")
        if cluster.note:
            needs_model = self.stack.simulation is not None and self.stack.simulation.needs_model
            self.tell("warn", "The simulation is not whole", cluster.note, action=CHOOSE_GGUF if needs_model else "")

    async def _choose_gguf(self) -> None:
        """Start the simulation anew with a model file of the person's, and fill the launch form with it."""
        dialog = QFileDialog(self.window, "Choose a model file", "", "GGUF models (*.gguf)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        is_chosen = await self.bridge.ask(dialog) == QDialog.DialogCode.Accepted
        if not is_chosen or not dialog.selectedFiles():
            return
        path = Path(dialog.selectedFiles()[0])
        self.window.banner().clear()
        self.simulation_words = ("--model", str(path))
        await self.simulate()
        nodes = self.stack.inventory.nodes.value
        name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).strip("-._")[:100] or "model"
        self.pages.relaunch(
            LaunchRequest(
                engine="llamacpp",
                model=name,
                weights_path=f"~/models/{path.name}",
                nodes=(nodes[0].record.id,),
                served_name=name,
            )
        )

    async def _ask_keyring(self) -> None:
        """Learn, before a person is asked for a password, what remembering it would mean here."""
        await self.stack.secrets.get("is there a keyring")
        self.is_keyring_durable.set(self.stack.secrets.is_durable)

    async def _choose_key(self, take: Callable[[str], None]) -> None:
        """Let the person choose a private key's file."""
        dialog = QFileDialog(self.window, "Choose a private key", str(Path.home() / ".ssh"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        if await self.bridge.ask(dialog) == QDialog.DialogCode.Accepted and dialog.selectedFiles():
            take(dialog.selectedFiles()[0])

    async def launch(self, plan: LaunchPlan) -> None:
        """Launch a plan and show it start."""
        page = self.pages.launch_page
        try:
            job_id = await self.stack.launcher.launch(plan)
        except SparkDeskError as error:
            if page is not None:
                page.end_launch(error.message, error.remedy)
            raise
        if page is not None:
            page.end_launch()
        self.pages.show_job(job_id)

    def _show_error(self, _name: str, error: SparkDeskError) -> None:
        self.window.banner().show_error(error.message, error.remedy, detail=error.detail, node=error.node)
        self.keep_notice("crit", error.message, error.remedy)

    def _show_bug(self, message: str, remedy: str, report: str) -> None:
        self.window.banner().show_error(message, remedy, detail=report)
        self.keep_notice("crit", message, remedy)

    def tell(self, kind: Literal["ok", "warn"], title: str, words: str, *, action: str = "") -> None:
        """Say something in the banner, and keep it among the notices."""
        self.window.banner().show_notice(kind, title, words, action=action)
        self.keep_notice(kind, title, words)

    def keep_notice(self, kind: Literal["ok", "warn", "crit"], title: str, words: str, *, page: str = "") -> None:
        """Keep it among the notices, with its time; `page` is where it leads to."""
        time_text = text.time_of_day(self.stack.clock.now_ms(), has_seconds=False)
        self.window.shell.add_notice(Notice(kind, title, words, time_text, page))

    async def close(self) -> None:
        """Put everything away, then the window. Jobs on nodes go on."""
        self.window.setEnabled(False)
        self.bridge.cancel("simulation")
        self.pages.close()
        self.pace.close()
        await self.stack.close()
        self.window.finish_close()


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _versions() -> tuple[tuple[str, str], ...]:
    import PySide6

    return (("Python", platform.python_version()), ("Qt for Python", str(PySide6.__version__)))
