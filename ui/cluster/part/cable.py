"""One cable: both ends with both halves, what goes through it now, and what is wrong with it.

The one rule: what an end tells is shown under that end; what nobody told is "n/a". Link, speed and rates are of now,
out of samples; when the rest was seen is said once, under both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.cluster import topology
from sparkdesk.core.cluster.half import End, Half
from sparkdesk.core.cluster.topology_problem import Problem
from ui import text
from ui.cluster.cable import Cable
from ui.cluster.model import ClusterModel
from ui.cluster.part.chart import NodeCharts
from ui.cluster.part.fact import FactRows, Row, reader_of
from ui.cluster.part.finding import FindingList
from ui.cluster.part.look import LookRow
from ui.node.wrap import wrap_line
from ui.widgets.label import Label

NOW_AND_THEN = "Link and speed are of now; MTU, RDMA state and addresses are of the last look"
TWO_HALVES = "One QSFP cage has two halves; rates add both"


class EndPart(QWidget):
    """One end of a cable."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Label("", "dense_strong", "text", is_wrapped=True)
        self.rows = FactRows()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.title)
        column.addWidget(self.rows)

    def show_end(self, title: str, rows: Sequence[Row], *, is_stale: bool) -> None:
        """Show this end."""
        self.title.setText(wrap_line(title, 120))
        self.rows.set_rows(rows)
        self.rows.set_stale(is_stale)


class CablePart(QWidget):
    """Shows a cable; `show_cable` once a second while it is the one selected."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.findings = FindingList()
        self.problems = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.ends = (EndPart(), EndPart())
        self.look = LookRow()
        self.charts = NodeCharts(model)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.findings, self.problems, *self.ends, self.look, self.charts):
            column.addWidget(part)

    def show_cable(self, ends: Sequence[End], seen: topology.Cable | None) -> None:
        """Show the cable of these ends. `seen` is None before a look, and for a cage that nothing was seen behind."""
        model = self._model
        concerns = [one for end in ends for one in model.findings_at(end)]
        self.findings.set_findings(concerns, model.names(), model.feeds.now_ms())
        told = {(one.rule, one.node_id, one.subject) for one in concerns}
        rest = [one for one in model.problems_at(ends) if (one.id, one.node_id, one.cage) not in told]
        self.problems.setText("\n".join(_problem_words(one) for one in rest))
        self.problems.setVisible(bool(rest))
        for part in self.ends:
            part.setVisible(False)
        for part, end in zip(self.ends, ends, strict=False):
            part.show_end(f"{model.name_of(end[0])} {end[1]}", self._rows(end, seen), is_stale=model.is_stale(end[0]))
            part.setVisible(True)
        self.look.show_look(model.feeds.topology.value, model.feeds.now_ms())
        self.charts.show_ends(ends)

    def _rows(self, end: End, seen: topology.Cable | None) -> list[Row]:
        sample = self._model.sample(end[0])
        value, now = reader_of(sample), reader_of(None if self._model.is_stale(end[0]) else sample)
        tx, rx = (value(f"cage_{way}_gbps.{end[1]}") for way in ("tx", "rx"))
        what = "RDMA and network counters of both halves"
        rows = [Row("Sends", str(text.line_rate(tx)), what), Row("Receives", str(text.line_rate(rx)), what)]
        halves = halves_of(end, seen)
        if not halves:
            rows.append(Row("Halves", text.NOT_KNOWN, "No look at the cables has seen them", "text3"))
        for half in halves:
            rows += half_rows(half, now)
        return rows


def halves_of(end: End, seen: topology.Cable | None) -> list[Half]:
    """The halves of a cable at one of its ends."""
    if seen is None:
        return []
    sides = (pair.a if end == seen.a else pair.b for pair in seen.halves)
    return [half for half in sides if half is not None]


def half_rows(half: Half, now: Callable[[str], float]) -> list[Row]:
    """What a half tells of itself: link and speed of `now` (by key), or as the look saw them; the rest as it did."""
    carrier_now, speed_now = now(f"net_carrier.{half.netdev}"), now(f"net_speed_gbps.{half.netdev}")
    is_up = bool(carrier_now) if text.is_known(carrier_now) else half.carrier
    speed_gbps = speed_now if text.is_known(speed_now) else half.speed_gbps
    link = {True: "up", False: "no link", None: "link n/a"}[is_up]
    speed = f"{speed_gbps:.0f}G" if text.is_known(speed_gbps) else "speed n/a"
    mtu = f"MTU {half.mtu}" if half.mtu is not None else "MTU n/a"
    parts = [f"{link}, {speed}, {mtu}" if is_up else link, _device_words(half, has_changed=half.carrier is not is_up)]
    parts.append(", ".join(text.one_line(one, 50) for one in half.addresses[:6]) or "no address")
    is_bad = is_up is False or half.is_rdma_active is False
    words = " · ".join(parts)
    return [Row(text.one_line(half.netdev, 16), words, NOW_AND_THEN, tint="warn" if is_bad else "text")]


def _device_words(half: Half, *, has_changed: bool) -> str:
    """The RDMA device with its state, which nothing is known of where the link came or went since the look."""
    device = text.one_line(half.rdma_device, 40) or "RDMA device n/a"
    state = None if has_changed else half.is_rdma_active
    words = {True: "active", False: "not active", None: "state n/a"}
    return f"{device} {words[state]}"


def _problem_words(problem: Problem) -> str:
    said = f"{text.one_line(problem.message, 300).rstrip('.')}. {text.one_line(problem.remedy, 300)}"
    return wrap_line(said, 640)


def cable_title(cable: Cable, model: ClusterModel) -> str:
    """ "spark-5c2d P1 to spark-bd26 P0"; to a switch or another device by its title."""
    return " to ".join([*(model.end_title(end) for end in cable.ends), *filter(None, (cable.far,))])
