"""The launch page: catalogue, form and plan beside each other.

The one rule: the page only lays out; what may be launched and why not is the view-model's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.jobs.recipe.paste import is_recipe_name
from sparkdesk.core.jobs.request import LaunchRequest
from ui import text, theme
from ui.launch.catalogue import CataloguePanel
from ui.launch.form_panel import FormPanel
from ui.launch.model import LaunchModel
from ui.launch.node.hub_look import HubLook
from ui.launch.node.node_look import NodeLook
from ui.launch.paste.drawer import PasteDrawer
from ui.launch.paste.model import PasteModel
from ui.launch.plan.view import PlanPanel
from ui.widgets.banner import Banner
from ui.widgets.label import Label

FOLD_PX = 1060
"""Below this width of the page (a window of 1280) the catalogue folds into the form."""
LOOK_EVERY_MS = 3000
"""While the page is shown, what the nodes have left is looked at so often."""


class LaunchPage(QWidget):
    """The page. `launch_asked` carries the LaunchPlan that is shown; call `end_launch` when its intent is kept."""

    launch_asked = Signal(object)

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        # Each with its parent from the start: a tree that changes its parent later is dressed a second time.
        self.banner = Banner(self)
        self.switch_strip, self.fix_strip, self.beside_strip = Banner(self), Banner(self), Banner(self)
        self.catalogue = CataloguePanel(model.engine_titles(), self)
        self.form = FormPanel(model, self)
        self.plan = PlanPanel(model, self)
        self.catalogue.setFixedWidth(226)
        self.form.setFixedWidth(340)
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addStrut(theme.CONTROL_HEIGHT)
        head.addWidget(Label("Launch", "page_title", "text"))
        head.addWidget(Label("Pick a model, see what it takes, then start it", "dense", "text3"))
        head.addStretch(1)
        self.node_look = NodeLook(model)
        head.addWidget(self.node_look)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(self.catalogue)
        body.addWidget(self.form)
        body.addWidget(self.plan, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        for strip in (self.banner, self.switch_strip, self.fix_strip, self.beside_strip):
            column.addWidget(strip)
        column.addLayout(body, 1)
        self.setAccessibleName("Launch")
        self._looks = QTimer(self)
        self._looks.setInterval(LOOK_EVERY_MS)
        self._looks.timeout.connect(model.look_again)
        self._looks.timeout.connect(self.node_look.tick)
        self.hub_look = HubLook(model, self)
        self._looks.timeout.connect(self.hub_look.tick)
        self.catalogue.picked.connect(model.pick)
        model.launch_asked.connect(self.launch_asked)
        self.paste: PasteDrawer | None = None
        self.dialog: QFileDialog | None = None
        can_paste = model.feeds.read_paste is not None
        for panel in (self.catalogue, self.form):
            panel.set_ways(can_paste=can_paste, can_import=can_paste and model.feeds.read_file is not None)
            panel.paste_asked.connect(lambda: self.open_paste())
            panel.import_asked.connect(self.open_import)
        self.switch_strip.action_clicked.connect(model.cancel_switch)
        self.switch_strip.closed.connect(model.cancel_switch)
        self.fix_strip.closed.connect(model.forget_fix)
        self.beside_strip.action_clicked.connect(model.leave_beside)
        model.form_changed.connect(self._mark)
        model.catalogue_changed.connect(self._show_catalogue)
        self._show_catalogue()
        self._tell_broken()

    def load(self, request: LaunchRequest) -> None:
        """Fill the form from an earlier launch ("Relaunch", "Fix and relaunch")."""
        self.model.load(request)

    def load_fix(
        self,
        request: LaunchRequest,
        fix_words: str,
        changed: Collection[str],
        stop_job_id: str = "",
        load_timeout_s: float = math.nan,
    ) -> None:
        """Fill the form with a failed launch as it should be tried again; what was changed is marked until edited.

        `changed` are fields of the request; `stop_job_id` is a server that makes room; `load_timeout_s` is how long
        the load is waited for, NaN as before.
        """
        self.model.load_fix(request, fix_words, changed, stop_job_id, load_timeout_s)

    def add_beside(self, request: LaunchRequest) -> None:
        """Fill the form with a small embedding server on the node of a server that runs."""
        self.model.load(request)
        self.model.add_beside()

    def _show_occasion(self) -> None:
        occasion = self.model.occasion
        if occasion.stop_job_id:
            words = f"Takes the place of {text.one_line(occasion.stop_title, 80)}: it is stopped first"
            if self.switch_strip.isHidden() or self.switch_strip.title() != words:
                self.switch_strip.show_notice("info", words, action="Cancel")
        else:
            self.switch_strip.setVisible(False)
        if occasion.fix_words:
            words = text.one_line(occasion.fix_words, 200)
            if self.fix_strip.isHidden() or self.fix_strip.title() != words:
                self.fix_strip.show_notice(
                    "info", words, "Changed fields are marked. Look at the plan, then launch it."
                )
        else:
            self.fix_strip.setVisible(False)
        self._show_beside()

    def _show_beside(self) -> None:
        """What the strip's button leads back to."""
        before = self.model.occasion.beside
        if before is None:
            self.beside_strip.setVisible(False)
            return
        node = "".join(self.model.node_name(node_id) for node_id in before.nodes[:1])
        words = f"An embedding server beside {text.one_line(before.served_name or before.model, 80) or 'this one'}"
        if self.beside_strip.isHidden():
            where = f"On {node}, with a small share of its memory. " if node else ""
            self.beside_strip.show_notice("info", words, f"{where}Look at the plan, then launch it.", action="Back")

    def plan_model(self, name: str, node_ids: Sequence[str]) -> None:
        """Fill the form with a model of the catalogue on these nodes."""
        model = self.model
        model.pick(name)
        # Of nodes that only the table may use, too, none is left that is not wanted.
        for node_id in set(model.form.pool) - set(model.form.nodes):
            model.toggle_node(node_id)
        for node_id in set(model.form.nodes) ^ set(node_ids):
            model.toggle_node(node_id)

    def open_paste(self, text: str = "", *, is_recipe: bool = False) -> None:
        """Open the drawer that reads pasted text. `is_recipe`: it is a recipe file's."""
        read = self.model.feeds.read_paste
        if read is None:
            return
        if self.paste is None:
            feeds = self.model.feeds
            self.paste = PasteDrawer(PasteModel(read, feeds.approvals, feeds.approve, self), self)
            self.paste.fill_asked.connect(self.model.take_import)
        self.paste.open_with(text, is_recipe=is_recipe)

    def open_import(self) -> None:
        """Ask for a recipe's file; its text goes to the drawer. The application reads it."""
        dialog = QFileDialog(self, "Open a recipe")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(["Recipes and scripts (*.yaml *.yml *.toml *.sh *.txt *.json)", "All files (*)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._read_file)
        dialog.destroyed.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def _read_file(self, path: str) -> None:
        if self.model.feeds.read_file is not None:
            self.model.feeds.read_file(path, lambda read, wrong: self._take_file(path, read, wrong))

    def _take_file(self, path: str, read: str, wrong: str) -> None:
        if wrong:
            self.banner.show_error("The file cannot be read", text.one_line(wrong, 300))
        else:
            self.banner.clear()
            self.open_paste(read, is_recipe=is_recipe_name(path))

    def end_launch(self, message: str = "", remedy: str = "") -> None:
        """The launch is on its way, or was refused with a message."""
        self.model.end_launch(is_refused=bool(message))
        if message:
            self.banner.show_error(message, remedy)
        else:
            self.banner.clear()

    def _show_catalogue(self) -> None:
        self.catalogue.set_entries(self.model.feeds.catalogue, self.model.survey.standings)
        self._mark()

    def _mark(self) -> None:
        self._show_occasion()
        spec = self.model.spec()
        self.catalogue.mark(spec.name if spec else "")

    def _tell_broken(self) -> None:
        broken = self.model.feeds.broken_backends
        if broken:
            names = "; ".join(text.one_line(each, 120) for each in broken)
            self.banner.show_notice("warn", "An engine adapter could not be loaded", names)
        elif not self.model.backends:
            self.banner.show_notice("warn", "No engine adapter is installed", "Install SparkDesk again.")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # Which node has room may have changed with the launch before, and goes on changing.
        self.model.look_again()
        self.node_look.look()
        self.hub_look.begin()
        self._looks.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._looks.stop()
        self.hub_look.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_folded = self.width() < FOLD_PX
        self.catalogue.setVisible(not is_folded)
        self.form.set_folded(is_folded=is_folded)
