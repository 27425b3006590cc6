"""The strip of deployments below the map: what runs, how fast, and what it costs in memory traffic and energy.

The one rule: a deployment that is pointed at, or has the focus, is told, so that its nodes light up on the map; a
press leads to its page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui import text, theme
from ui.cluster.model import ClusterModel
from ui.cluster.scene import job_mark
from ui.effort import bandwidth_wordings, bandwidth_words, job_energy_words
from ui.font import Role
from ui.jobs.mark import Mark, current_phase, is_coming_up
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.label import ElidedLabel, Label, plain_tooltip
from ui.widgets.paint import text_width

CARD_WIDTH = 262
"""A card is not made narrower: there are fewer of them."""
_MOST_WIDTH = 460
_MOST_WIDTH_LOW = 640
_KNOWN_WORDINGS = 3
"""A memory traffic that is known has so many wordings; one that is not has less."""
DOT = " · "
NO_METRICS = "engine metrics n/a"


@dataclass(frozen=True, slots=True)
class StripItem:
    """One deployment as the strip shows it. `traffic` is in less and less words; it and `energy` may be empty."""

    job_id: str
    title: str
    mark: Mark
    where: str
    figures: str
    traffic: tuple[str, ...] = ()
    energy: str = ""
    hint: str = ""
    node_ids: frozenset[str] = frozenset()


def strip_items(model: ClusterModel) -> list[StripItem]:
    """The deployments for the strip: what serves or comes up, newest first."""
    names = model.names()
    jobs = [job for job in model.feeds.jobs.value if not job.state.is_over]
    silent = model.silent() if jobs else {}
    return [_strip_item(job, job_mark(job, silent), names, model) for job in jobs]


def _strip_item(job: JobStatus, mark: Mark, names: Mapping[str, str], model: ClusterModel) -> StripItem:
    where = ", ".join(names.get(node_id, node_id) for node_id in job.node_ids)
    note = f" · {job.endpoint.note}" if job.endpoint and job.endpoint.note else ""
    traffic: tuple[str, ...] = ()
    energy = ""
    hints = [f"On {where}{note}"]
    if job.state is JobState.READY:
        bandwidth = model.feeds.bandwidth(job.job_id)
        if bandwidth is not None:
            traffic = bandwidth_wordings(bandwidth, len(job.node_ids))
            hints.append(bandwidth_words(bandwidth, len(job.node_ids))[1])
        energy, hint = job_energy_words(model.feeds.energy(job.job_id))
        hints += [hint] if hint else []
    return StripItem(
        job_id=job.job_id,
        title=text.one_line(job.title, 80),
        mark=mark,
        where=text.one_line(f"{where}{note}", 200),
        figures=_figures(job, model),
        traffic=traffic,
        energy=energy,
        hint="\n".join(hints),
        node_ids=frozenset(job.node_ids),
    )


def _figures(job: JobStatus, model: ClusterModel) -> str:
    phase = current_phase(job)
    if is_coming_up(job) and phase is not None:
        return f"{phase.title} {text.one_line(phase.note, 40)}".strip()
    if job.state is not JobState.READY:
        return NO_METRICS
    rate = model.feeds.traces.newest(job.job_id, GENERATED_RATE)
    running, waiting = job.reading(REQUESTS_RUNNING), job.reading(REQUESTS_WAITING)
    parts = [str(text.token_rate(rate))] if text.is_known(rate) else []
    if text.is_known(running):
        parts.append(f"{running:.0f} running")
    if text.is_known(waiting):
        parts.append(f"{waiting:.0f} waiting")
    return DOT.join(parts) or NO_METRICS


class FittedLabel(Label):
    """The first of several wordings that fits, or nothing: a value or a name is never cut."""

    def __init__(self, role: Role, tint: Token, side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignRight) -> None:
        super().__init__("", role, tint)
        self._role: Role = role
        self._wordings: tuple[str, ...] = ()
        self.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_wordings(self, wordings: Sequence[str]) -> None:
        """Show the first of these that fits."""
        if tuple(wordings) != self._wordings:
            self._wordings = tuple(wordings)
            self.updateGeometry()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(next((one for one in self._wordings if text_width(one, self._role) <= self.width()), ""))

    def sizeHint(self) -> QSize:
        longest = self._wordings[0] if self._wordings else ""
        return QSize(ceil(text_width(longest, self._role)) + 1, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())


def shorter(said: str) -> list[str]:
    """Words joined by dots, then with one less at the end, and so on."""
    parts = said.split(DOT)
    return [DOT.join(parts[:count]) for count in range(len(parts), 0, -1)]


def one_line_wordings(item: StripItem) -> list[str]:
    """Figures and, where it is known, memory traffic in one line; where there is no room the rate keeps it longest."""
    plain = shorter(item.figures)
    if len(item.traffic) < _KNOWN_WORDINGS:
        return plain
    traffic = item.traffic[1]
    return [DOT.join((item.figures, traffic)), DOT.join((plain[-1], traffic)), *plain]


class JobCard(Card):
    """One deployment of the strip. `pointed` tells that it is looked at (its id), or no more ("")."""

    pointed = Signal(str)

    def __init__(self) -> None:
        super().__init__(is_clickable=True)
        self.job_id = ""
        self._shown: tuple[StripItem | None, bool | None] = (None, None)
        self._title = ElidedLabel("", "dense_strong", "text")
        self.short = FittedLabel("label", "text2")
        self._chip = Chip()
        self._figures = Label("", "dense", "text2")
        self._where = FittedLabel("label", "text3")
        self.traffic = FittedLabel("label", "text2", Qt.AlignmentFlag.AlignLeft)
        self.traffic.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.energy = FittedLabel("label", "text3")
        column = self.column(spacing=2, margins=(10, 6, 10, 6))
        rows = (
            ((self._title, 1), (self.short, 1), (self._chip, 0)),
            ((self._figures, 0), (self.energy, 1)),
            ((self.traffic, 0), (self._where, 1)),
        )
        for row in rows:
            line = QHBoxLayout()
            line.setSpacing(8)
            for part, stretch in row:
                line.addWidget(part, stretch)
            column.addLayout(line)
        self.setMinimumWidth(180)
        self.setMaximumWidth(_MOST_WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_item(self, item: StripItem, *, is_low: bool) -> None:
        """Show a deployment, in a low window in one line."""
        if (item, is_low) == self._shown:
            return
        was_low, self._shown = self._shown[1], (item, is_low)
        self.job_id = item.job_id
        self._title.setText(item.title)
        self._chip.set_state(*item.mark)
        count = len(item.node_ids)
        self._where.set_wordings((*shorter(item.where), f"{count} nodes" if count > 1 else ""))
        self._figures.setText(item.figures)
        self.traffic.set_wordings(item.traffic)
        self.energy.set_wordings(shorter(item.energy))
        self.short.set_wordings(one_line_wordings(item))
        if was_low is not is_low:
            self.setMaximumWidth(_MOST_WIDTH_LOW if is_low else _MOST_WIDTH)
            self.short.setVisible(is_low)
            for part in (self._where, self._figures, self.traffic, self.energy):
                part.setVisible(not is_low)
        told = (item.title, item.mark.text, item.where, item.figures, *item.traffic[:1], item.energy)
        self.setToolTip(plain_tooltip(item.hint))
        self.setAccessibleName(", ".join(part for part in told if part))
        self.setAccessibleDescription(item.hint)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.pointed.emit(self.job_id)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.pointed.emit(self.job_id if self.hasFocus() else "")

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.pointed.emit(self.job_id)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.pointed.emit("")


class JobStrip(QWidget):
    """Up to `LIMIT` deployments beside each other, "+n more" behind; or one line that there are none."""

    LIMIT = 4
    opened = Signal(str)
    lit = Signal(object)
    """The ids of the nodes of the deployment that is pointed at, a frozenset; empty when none is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: tuple[StripItem, ...] = ()
        self._is_low = False
        self._pointed = ""
        self._cards = [JobCard() for _ in range(self.LIMIT)]
        self._empty = Label("Nothing was launched yet. What you launch shows here.", "dense", "text3")
        self._more = Button("", kind="link")
        self._more.clicked.connect(lambda: self.opened.emit(""))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        for card in self._cards:
            row.addWidget(card, 100)
            card.clicked.connect(lambda card=card: self.opened.emit(card.job_id))
            card.pointed.connect(self._point)
            card.setVisible(False)
        row.addWidget(self._empty)
        row.addWidget(self._more, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        self._more.setVisible(False)
        self.setAccessibleName("Deployments")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def cards(self) -> tuple[JobCard, ...]:
        """The cards, also those that show nothing now."""
        return tuple(self._cards)

    def set_low(self, is_low: bool) -> None:
        """One line a deployment, where the window is low."""
        if is_low != self._is_low:
            self._is_low = is_low
            self._show()

    def set_items(self, items: Sequence[StripItem]) -> None:
        """Show these deployments."""
        if tuple(items) != self._items:
            self._items = tuple(items)
            self._show()
            self._tell_lit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show()

    def _room(self) -> int:
        """How many cards have room."""
        return max(1, min(self.LIMIT, (self.width() - 60) // CARD_WIDTH))

    def _show(self) -> None:
        shown = self._items[: self._room()]
        for card, item in zip(self._cards, shown, strict=False):
            card.show_item(item, is_low=self._is_low)
        for i, card in enumerate(self._cards):
            card.setVisible(i < len(shown))
        self._empty.setVisible(not self._items)
        rest = len(self._items) - len(shown)
        self._more.setText(f"{rest} more")
        self._more.setVisible(rest > 0)
        self._more.updateGeometry()

    def _point(self, job_id: str) -> None:
        if job_id != self._pointed:
            self._pointed = job_id
            self._tell_lit()

    def _tell_lit(self) -> None:
        found = next((item for item in self._items if item.job_id == self._pointed and self._pointed), None)
        self.lit.emit(found.node_ids if found else frozenset())
