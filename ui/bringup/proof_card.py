"""The proof panel: per pair of nodes what was measured, its band, and the likely causes of what lies outside it.

The one rule: a figure without a measurement is never drawn; a simulated one says so beside itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.bringup.proof.band import GPUDIRECT
from sparkdesk.core.bringup.state import Phase
from ui.bringup.gauge import Gauge
from ui.bringup.model import BringUpModel
from ui.bringup.proof_rows import STATES, Chipped, ProofGroup, ProofRow, RowState, group_chip, head_chip, saved_words
from ui.node.wrap import wrap_line
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.chip import Chip, ChipKind
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label, plain_tooltip

_JOINER: Final = "\u2060"
_UNIT: Final = re.compile(r"(?<=\d) ([GM]b/s|[GMK]i?B(?:/s)?|[GM]Hz|us|ms|W|%)(?![\w/])")
KINDS: Final[dict[RowState, ChipKind]] = {
    "pass": "ok",
    "warn": "warn",
    "fail": "crit",
    "unread": "neutral",
    "skipped": "neutral",
    "waiting": "neutral",
    "running": "accent",
}
_TINTS: Final[dict[RowState, Token]] = {
    "pass": "ok",
    "warn": "warn",
    "fail": "crit",
    "unread": "text3",
    "skipped": "text3",
    "waiting": "text3",
    "running": "accenttext",
}


class RowView(QWidget):
    """One measurement."""

    def __init__(self, row: ProofRow, parent: QWidget | None = None, *, says_simulated: bool = True) -> None:
        super().__init__(parent)
        self.row = row
        self.setAccessibleName(row.spoken)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 6, 14, 6)
        column.setSpacing(3)
        head = QHBoxLayout()
        head.setSpacing(7)
        tint: Token = "text3" if row.is_past else _TINTS[row.state]
        head.addWidget(IconLabel(STATES[row.state][1], tint, size=14), 0, Qt.AlignmentFlag.AlignVCenter)
        title = Label(wrap_line(row.title, 80), "dense_medium", "text", is_wrapped=True)
        title.setToolTip(plain_tooltip(row.image) if row.image else "")
        head.addWidget(title, 1)
        if row.is_simulated and says_simulated:
            head.addWidget(Chip("simulated", "simulated"))
        if row.value:
            head.addWidget(Label(row.value, "strong", "text2" if row.is_past else "text"))
            head.addWidget(Label(row.unit, "label", "text3"))
        elif row.state != "pass":
            words = "to come" if row.state == "waiting" else STATES[row.state][0].lower()
            head.addWidget(Label(words, "label", tint))
        column.addLayout(head)
        if row.scale is not None:
            gauge = Gauge(row.spoken)
            gauge.show_scale(row.scale, tint)
            column.addWidget(gauge)
        if row.line:
            column.addWidget(Label(keep_units(wrap_line(row.line)), "label", "text3", is_wrapped=True))
        self._add_causes(column)

    def _add_causes(self, column: QVBoxLayout) -> None:
        row = self.row
        if row.state not in ("warn", "fail", "unread") or not (row.causes or row.remedy):
            return
        if row.causes:
            column.addWidget(Label("Likely causes, the likeliest first:", "label_medium", "text2"))
        for number, cause in enumerate(row.causes, 1):
            line = QHBoxLayout()
            line.setSpacing(6)
            line.addWidget(Label(f"{number}.", "label", "text3"), 0, Qt.AlignmentFlag.AlignTop)
            line.addWidget(Label(keep_units(wrap_line(cause)), "label", "text2", is_wrapped=True), 1)
            column.addLayout(line)
        if row.remedy:
            column.addWidget(Label(keep_units(wrap_line(row.remedy)), "label", "text", is_wrapped=True))


class GroupView(QWidget):
    """All rows between the same nodes."""

    def __init__(self, group: ProofGroup, parent: QWidget | None = None, *, says_simulated: bool = True) -> None:
        super().__init__(parent)
        self.group, self.says_simulated = group, says_simulated
        self.rows = [RowView(row, says_simulated=says_simulated) for row in group.rows]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(14, 8, 14, 2)
        head.addWidget(Label(wrap_line(group.title, 140), "label_medium", "text2", is_wrapped=True), 1)
        if group.state != "waiting":
            chip = group_chip(group)
            is_past = any(row.is_past for row in group.rows)
            head.addWidget(Chip(chip.words, "neutral" if is_past else KINDS[chip.state], _chip_icon(chip)))
        column.addLayout(head)
        for view in self.rows:
            column.addWidget(view)
        column.addWidget(Separator())


class ProofCard(Card):
    """`save_asked` carries "markdown" or "json"."""

    save_asked = Signal(str)

    def __init__(self, model: BringUpModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._groups: tuple[ProofGroup, ...] | None = None
        self.groups: list[GroupView] = []
        self.chip = Chip()
        self.simulated = Chip("Simulated", "simulated")
        self.empty = Label("", "dense", "text3", is_wrapped=True)
        self.markdown = Button("Save as Markdown", kind="link")
        self.json = Button("Save as JSON", kind="link")
        self.folder = Button("Open folder", kind="link")
        self.saved = ElidedLabel("", "label", "text2")
        self.opener: Callable[[QUrl], object] = QDesktopServices.openUrl
        self._saving = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._line, self._foot = Separator(), QWidget()
        self._inside = QWidget()
        self._list = QVBoxLayout(self._inside)
        self.area = QScrollArea()
        self._build()
        self.markdown.clicked.connect(lambda: self.save_asked.emit("markdown"))
        self.json.clicked.connect(lambda: self.save_asked.emit("json"))
        self.folder.clicked.connect(self._open_folder)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(14, 8, 14, 8)
        head.setSpacing(8)
        head.addWidget(Label("Proof", "dense_strong", "text"))
        head.addStretch(1)
        head.addWidget(self.simulated)
        head.addWidget(self.chip)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(0)
        self._list.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.empty.setContentsMargins(14, 10, 14, 0)
        self._list.addWidget(self.empty)
        end = QHBoxLayout()
        end.setContentsMargins(14, 8, 14, 8)
        end.addWidget(Label(GPUDIRECT, "label", "text3", is_wrapped=True))
        self._list.addLayout(end)
        self._inside.setProperty("tone", "page")
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self._inside)
        self.area.setAccessibleName("Measurements")
        self.area.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.area.setProperty("has_focus_ring", True)
        told = QVBoxLayout(self._foot)
        told.setContentsMargins(14, 8, 14, 10)
        told.setSpacing(6)
        links = QHBoxLayout()
        links.setSpacing(14)
        links.addWidget(self.markdown)
        links.addWidget(self.json)
        links.addWidget(self.folder)
        links.addStretch(1)
        self._saving.setSpacing(6)
        self._saving.addWidget(self.saved, 1)
        self._saving.addLayout(links)
        told.addLayout(self._saving)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(head)
        column.addWidget(Separator())
        column.addWidget(self.area, 1)
        column.addWidget(self._line)
        column.addWidget(self._foot)
        self.setMinimumHeight(200)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Proof")

    def set_lying(self, *, is_lying: bool) -> None:
        """Wide and low: where the report lies stands beside what saves it."""
        beside, below = QBoxLayout.Direction.RightToLeft, QBoxLayout.Direction.TopToBottom
        self._saving.setDirection(beside if is_lying else below)
        self._saving.setSpacing(14 if is_lying else 6)

    def refresh(self) -> None:
        """Show what was measured so far."""
        state, groups = self._model.state, self._model.proof()
        if groups:
            chip = head_chip(state, groups)
            self.chip.set_state(chip.words, KINDS[chip.state], _chip_icon(chip))
        self.chip.setVisible(bool(groups))
        self.empty.setVisible(not groups)
        self.empty.setText("The cables and NCCL are measured once the nodes were read.")
        has_report = bool(state.measurements) or state.phase in (Phase.DONE, Phase.FAILED, Phase.UNDONE)
        for button in (self.markdown, self.json):
            button.setVisible(has_report)
        for part in (self._line, self._foot):
            part.setVisible(has_report)
        for part in (self.saved, self.folder):
            part.setVisible(bool(state.report_paths))
        self.saved.setText(saved_words(state.report_paths))
        if groups != self._groups:
            self._groups = groups
            self._show_groups(groups)

    def _open_folder(self) -> None:
        if paths := self._model.state.report_paths:
            self.opener(QUrl.fromLocalFile(str(PurePath(paths[0]).parent)))

    def _show_groups(self, groups: tuple[ProofGroup, ...]) -> None:
        place = self.area.verticalScrollBar().value()
        measured = [row for group in groups for row in group.rows if row.state in ("pass", "warn", "fail")]
        # Once for all where all is simulated, else beside each figure that is.
        is_all = bool(measured) and all(row.is_simulated for row in measured)
        self.simulated.setVisible(is_all)
        before, self.groups = self.groups, []
        for at, group in enumerate(groups):
            same = next((view for view in before if (view.group, view.says_simulated) == (group, not is_all)), None)
            view = same if same is not None else GroupView(group, says_simulated=not is_all)
            self._list.insertWidget(at, view)
            self.groups.append(view)
        for old in before:
            if old not in self.groups:
                old.setVisible(False)
                self._list.removeWidget(old)
                old.deleteLater()
        self.area.verticalScrollBar().setValue(place)

    def show_first_problem(self) -> None:
        """Bring the first measurement that stands out into sight."""
        for group in self.groups:
            for view in group.rows:
                if view.row.state in ("fail", "warn", "unread"):
                    self.area.ensureWidgetVisible(view, 0, 40)
                    return


def keep_units(said: str) -> str:
    """The text, whose figures are never parted from their units, nor a unit at its stroke."""
    return _UNIT.sub(lambda match: f"\u00a0{match.group(1).replace('/', '/' + _JOINER)}", said)


def _chip_icon(chip: Chipped) -> str:
    return "check" if chip.state == "pass" else chip.icon
