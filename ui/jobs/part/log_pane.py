"""A deployment's log: live, older than what is held, searched on its node, saved.

The one rule: the log lies on the node; what is held here is a window on it, and whatever is asked beyond it goes there.
"""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.record import LogLine as JobLogLine
from ui import text
from ui.bridge import StreamPump
from ui.jobs.feeds import Found
from ui.jobs.log_rows import RowMaker
from ui.jobs.model import DeploymentsModel
from ui.widgets.button import Button
from ui.widgets.card import Separator
from ui.widgets.label import ElidedLabel
from ui.widgets.log_area import LogArea
from ui.widgets.log_model import LogModel
from ui.widgets.log_view import LogView

LOG_HZ: Final = 10.0
LEAST_PX: Final = 168
_LEVELS: Final = {"DEBUG": "", "INFO": "info", "WARN": "warning", "ERROR": "error"}


class FoundPage(QWidget):
    """What a search of the whole log found, in the place of the live lines."""

    older_asked = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = LogModel(self)
        self.words = ElidedLabel("", "dense", "text2")
        self.older = Button("Older ones", is_small=True)
        self.stop = Button("Stop", is_small=True)
        self.back = Button("Back to the live log", is_small=True)
        self.area = LogArea(self.model)
        self.area.setAccessibleName("Lines found on the node")
        row = QHBoxLayout()
        row.setContentsMargins(14, 5, 10, 5)
        row.setSpacing(8)
        row.addWidget(self.words, 1)
        row.addWidget(self.older)
        row.addWidget(self.stop)
        row.addWidget(self.back)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(Separator())
        column.addWidget(self.area, 1)
        self.older.clicked.connect(self.older_asked)
        self.back.clicked.connect(self.closed)


class LogPane(LogView):
    """The log of the selected deployment. `full_asked` carries whether it shall have the whole height."""

    full_asked = Signal(bool)
    failed = Signal(object)

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(LogModel(), title="Logs", parent=parent)
        self.model.setParent(self)
        self._jobs = model
        self._job_id = ""
        self._pump: StreamPump[JobLogLine] | None = None
        self._rows = RowMaker()
        self._is_asking = False
        self._is_whole = False
        self._next_offset = -1
        self._search_number = self._shown = 0
        self.is_full = False
        self.dialog: QFileDialog | None = None
        self.found = FoundPage()
        self.rows.addWidget(self.found)
        self.setMinimumHeight(LEAST_PX)
        self.top_reached.connect(self._load_older)
        self.following_changed.connect(self._on_following)
        self.head.search_asked.connect(self.search_node)
        self.head.save_asked.connect(self._ask_file)
        self.head.size_asked.connect(lambda: self.set_full(not self.is_full))
        self.found.older_asked.connect(lambda: self._search(self._next_offset))
        self.found.closed.connect(self.show_live)
        self.found.stop.clicked.connect(self.stop_search)

    # The live lines -------------------------------------------------------------------------------------------------

    def open(self, job_id: str) -> None:
        """Show the log of this job."""
        if self._pump is not None:
            self._pump.close()
            self._pump.deleteLater()
            self._pump = None
        self.model.clear()
        self.show_live()
        self._job_id, self._is_whole, self._is_asking = job_id, False, False
        job, feeds = self._jobs.job(), self._jobs.feeds
        ranks = len(job.node_ids) if job is not None else 1
        self._rows = RowMaker(ranks)
        names = [self._jobs.node_name(node_id) for node_id in job.node_ids] if job is not None else []
        self.head.set_ranks(tuple(f"r{i} {name}" for i, name in enumerate(names)) if ranks > 1 else ())
        can_ask = feeds.start is not None
        self.head.search.setVisible(can_ask and feeds.search_lines is not None)
        self.head.save.setVisible(can_ask and feeds.save_log is not None)
        self.head.size_button.setVisible(True)
        self.jump_to_end()
        if job is not None:
            self._pump = StreamPump(feeds.log(job_id), self._take, rate_hz=LOG_HZ, parent=self)

    def _take(self, items: list[JobLogLine | Lost]) -> None:
        self.model.append(self._rows.rows(items))

    def set_full(self, is_full: bool) -> None:
        """Take the whole height, or give it back."""
        self.is_full = is_full
        name = "Give the log less height" if is_full else "Give the log the whole height"
        self.head.size_button.set_icon("minus" if is_full else "maximize-2", name)
        self.full_asked.emit(is_full)

    # What is older ---------------------------------------------------------------------------------------------------

    def _on_following(self, is_following: bool) -> None:
        if is_following:
            self.model.let_older_go()
            self._is_whole = False

    def _load_older(self) -> None:
        feeds, oldest = self._jobs.feeds, self.model.oldest()
        if feeds.start is None or feeds.older_lines is None or self._is_asking or self._is_whole or oldest is None:
            return
        self._is_asking = True
        feeds.start(self._fetch_older, self._job_id, oldest.offset)

    async def _fetch_older(self, job_id: str, before_offset: int) -> None:
        ask = self._jobs.feeds.older_lines
        try:
            lines = await ask(job_id, before_offset) if ask is not None else ()
        except SparkDeskError as error:
            self.failed.emit(error)
            lines = ()
        if job_id != self._job_id:
            return
        self._is_asking = False
        older = [line for line in lines if 0 <= line.offset < before_offset]
        taken = self.model.prepend(RowMaker(self._rows.ranks).rows(older))
        self._is_whole = taken == 0

    # Search on the node ----------------------------------------------------------------------------------------------

    def search_node(self) -> None:
        """Look for what the filter says in the whole log, on its node."""
        if not self.head.words.text().strip():
            self.focus_filter()
            return
        self.found.model.clear()
        if self.head.wanted() is not None:
            self._search(-1)
            return
        self._search_number += 1  # a search that runs is one for other words
        self.found.stop.setVisible(False)
        self.found.older.setVisible(False)
        self.found.words.setText("Not searched: the pattern cannot be read.")

    def _search(self, before_offset: int) -> None:
        feeds, wanted = self._jobs.feeds, self.head.wanted()
        if feeds.start is None or feeds.search_lines is None or wanted is None:
            return
        pattern = wanted.pattern.pattern if wanted.pattern is not None else re.escape(wanted.needle)
        self.found.words.setText(f"Searching the whole log for {text.one_line(self.head.words.text(), 80)}…")
        self.found.older.setVisible(False)
        self.found.stop.setVisible(True)
        self.rows.setCurrentWidget(self.found)
        self._search_number, self._shown, self._next_offset = self._search_number + 1, 0, before_offset
        level = _LEVELS.get(wanted.level, "")
        feeds.start(self._fetch_found, self._search_number, self._job_id, pattern, level, before_offset)

    async def _fetch_found(self, number: int, job_id: str, pattern: str, level: str, before_offset: int) -> None:
        ask = self._jobs.feeds.search_lines
        found: Found | None = None

        def take(part: Found) -> bool:
            nonlocal found
            if number == self._search_number:
                found = part
                self._show_found(part, is_over=False)
            return number == self._search_number

        try:
            found = await ask(job_id, pattern, level, before_offset, take) if ask is not None else None
        except SparkDeskError as error:
            self.failed.emit(error)
        if number != self._search_number:
            return
        self.found.stop.setVisible(False)
        if found is None:
            self.found.words.setText("The log could not be searched.")
            self.found.older.setVisible(False)
            return
        self._show_found(found, is_over=True)

    def _show_found(self, found: Found, *, is_over: bool) -> None:
        """Lines as they come, the older ones above; and how far the search is."""
        model, new = self.found.model, found.lines[: len(found.lines) - self._shown]
        rows = RowMaker(self._rows.ranks).rows(new)
        self._shown = len(found.lines)
        if rows and not model.total():
            model.append(rows)
            model.flush()
            bar = self.found.area.verticalScrollBar()
            bar.setValue(bar.maximum())
        elif rows:
            model.prepend(rows)
        self._next_offset = found.next_offset
        size = found.scanned_bytes
        read = text.disk(size) if size >= 100_000 else f"{text.count(size)} bytes"
        lines = self._counted()
        if not is_over:
            done = f"{text.percent(found.fraction, is_done=False)} of the log" if found.fraction is not None else read
            self.found.words.setText(f"Searching: {done}, {lines} so far")
            return
        more = ", there may be older ones" if found.is_more else ""
        why = f"; {text.one_line(found.problem, 200)}" if found.problem else ""
        self.found.words.setText(f"{lines} found{more}; {read} read on the node{why}")
        self.found.older.setVisible(found.is_more)

    def _counted(self) -> str:
        count = self.found.model.total()
        return f"{text.count(count)} {'line' if count == 1 else 'lines'}"

    def stop_search(self) -> None:
        """End the search; what was found stays, and it can go on from there."""
        self._search_number += 1
        self.found.stop.setVisible(False)
        self.found.words.setText(f"Stopped: {self._counted()} found so far, older ones were not searched")
        self.found.older.setVisible(self._next_offset > 0)

    def show_live(self) -> None:
        """Show the live lines again; a search that runs ends."""
        self._search_number += 1
        self.rows.setCurrentWidget(self.area)

    # Saving ----------------------------------------------------------------------------------------------------------

    def _ask_file(self) -> None:
        job = self._jobs.job()
        if job is None or self._jobs.feeds.save_log is None:
            return
        dialog = QFileDialog(self, "Save the log")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("Log (*.log)")
        dialog.setDefaultSuffix("log")
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", job.title)[:60].strip("-.") or "deployment"
        dialog.selectFile(f"{name}.log")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path, job_id=job.job_id: self.save(job_id, path))
        dialog.destroyed.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def ask_file(self) -> None:
        """Ask where to save the log."""
        self._ask_file()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def save(self, job_id: str, path: str) -> None:
        """Have the whole log written into a file."""
        feeds = self._jobs.feeds
        if feeds.start is not None and feeds.save_log is not None:
            feeds.start(self._save, job_id, path)

    async def _save(self, job_id: str, path: str) -> None:
        ask = self._jobs.feeds.save_log
        if ask is None:
            return
        try:
            await ask(job_id, path)
        except SparkDeskError as error:
            self.failed.emit(error)
