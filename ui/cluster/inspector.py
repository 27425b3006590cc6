"""The panel beside the map: one node or one cable, with its past as charts and, when it is not live, why not.

The one rule: every button here does something now; there is none to accept a changed host key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.cluster.machine import product_words
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.cluster.port import CAGES, PortState
from sparkdesk.core.telemetry.cage import CABLE_GBPS, ports_of
from sparkdesk.core.telemetry.sample import Sample
from ui import text, theme
from ui.cluster.cable import Cable
from ui.cluster.card import NodeCard
from ui.cluster.model import ClusterModel
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card, LoadingBars, Separator
from ui.widgets.chart import ChartFrame, LiveChart, Series, fitting_span_s
from ui.widgets.chip import Chip
from ui.widgets.code_view import CodeView
from ui.widgets.field import TextInput
from ui.widgets.label import ElidedLabel, Label

WIDTH = 340
SPAN_S = 300.0


class Inspector(Card):
    """Shows the model's selection; `refresh` once a second while visible."""

    closed = Signal()
    reconnect_asked = Signal(str)
    password_given = Signal(str, str)
    node_asked = Signal(str, str)
    """Node id and the tab of its page."""
    terminal_asked = Signal(str)
    wake_asked = Signal(str)
    add_again_asked = Signal()

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setFixedWidth(WIDTH)
        self._title = Label("", "object_title", "text")
        self._chip = Chip()
        self._sub = ElidedLabel("", "label", "text3")
        self._close = IconButton("x", "Close the inspector", size=24)
        self._close.clicked.connect(self.closed)
        self._empty = Label("Select a node or a cable.", "body", "text3", is_wrapped=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._facts = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self._bars = LoadingBars(what="Reading the first values")
        self.trouble = TroublePanel()
        self.trouble.reconnect.clicked.connect(lambda: self.reconnect_asked.emit(self._model.selection[1]))
        self.trouble.wake.clicked.connect(lambda: self.wake_asked.emit(self._model.selection[1]))
        self.trouble.sign_in_asked.connect(lambda word: self.password_given.emit(self._model.selection[1], word))
        self.trouble.add_again.clicked.connect(self.add_again_asked)
        self.charts = NodeCharts(model)
        self._cable_text = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.found = Button("", kind="link")
        self.found.clicked.connect(lambda: self.node_asked.emit(self._model.selection[1], "running"))
        self.buttons = NodeButtons()
        self.buttons.node_asked.connect(lambda tab: self.node_asked.emit(self._model.selection[1], tab))
        self.buttons.terminal.clicked.connect(lambda: self.terminal_asked.emit(self._model.selection[1]))
        self._body = QWidget()
        self._body.setProperty("tone", "page")
        self._build()
        self.refresh()

    def _build(self) -> None:
        column = self.column(spacing=0, margins=(0, 0, 0, 0))
        head = QHBoxLayout()
        head.setContentsMargins(14, 12, 10, 0)
        head.setSpacing(8)
        head.addWidget(self._title, 1)
        head.addWidget(self._chip)
        head.addWidget(self._close)
        column.addLayout(head)
        sub = QVBoxLayout()
        sub.setContentsMargins(14, 2, 14, 10)
        sub.addWidget(self._sub)
        column.addLayout(sub)
        column.addWidget(Separator())
        inner = QVBoxLayout(self._body)
        inner.setContentsMargins(14, 10, 14, 12)
        inner.setSpacing(10)
        for part in (self._empty, self.trouble, self._facts, self.found, self._cable_text, self._bars):
            inner.addWidget(part)
        inner.addWidget(self.charts, 1)
        inner.addStretch(0)
        self.trouble.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._body)
        column.addWidget(area, 1)
        column.addWidget(self.buttons)

    def refresh(self) -> None:
        """Show the selection as it is now."""
        kind, key = self._model.selection
        card = self._model.scene.card(key) if kind == "node" else None
        cable = self._model.scene.cable(key) if kind == "cable" else None
        status = self._model.status(key) if card else None
        for part in (self._empty, self._facts, self.found, self._cable_text, self._bars, self.charts):
            part.setVisible(False)
        self.buttons.setVisible(card is not None and status is not None)
        if card is not None and status is not None:
            self._show_node(card, status)
        elif cable is not None:
            self._show_cable(cable)
        else:
            self._title.setText("Nothing selected")
            self._close.setVisible(False)
            self._chip.setVisible(False)
            self._sub.setText("")
            self.trouble.setVisible(False)
            self._empty.setVisible(True)

    def _show_node(self, card: NodeCard, status: NodeStatus) -> None:
        record = status.record
        self._close.setVisible(True)
        self._title.setText(card.name)
        self._chip.setVisible(True)
        self._chip.set_state(*card.mark)
        self._sub.setText(f"{text.one_line(record.user, 40)}@{text.one_line(record.address, 60)}:{record.port}")
        has_trouble = not status.is_live
        self.trouble.setVisible(has_trouble)
        if has_trouble:
            self.trouble.show_status(status)
        self._facts.setText(facts_of(status))
        self._facts.setVisible(bool(self._facts.text()))
        self.found.setText(found_title(card.found))
        self.found.setVisible(bool(card.found))
        self.found.updateGeometry()
        # A key that changed: nothing here may lead to a sign-in at what answers there now.
        barred = "Its host key changed" if status.state is NodeState.IDENTITY_CHANGED else ""
        self.buttons.terminal.set_disabled_reason(barred)
        self._bars.setVisible(card.look == "loading" and not has_trouble)
        self.charts.setVisible(card.look in ("live", "stale"))
        if self.charts.isVisibleTo(self):
            self.charts.show_node(card.node_id, is_stale=card.look == "stale")

    def _show_cable(self, cable: Cable) -> None:
        self._close.setVisible(True)
        names = [self._name(node_id) for node_id, _ in cable.ends]
        self._title.setText(" to ".join(f"{name} {end[1]}" for name, end in zip(names, cable.ends, strict=True)))
        kinds = {"up": "ok", "degraded": "warn", "down": "crit"}
        self._chip.set_state(cable.word, kinds.get(cable.look, "neutral"))  # type: ignore[arg-type]  # chip kinds
        self._chip.setVisible(True)
        self._sub.setText("One QSFP cage has two halves; rates add both")
        self.trouble.setVisible(False)
        self._cable_text.setText("\n".join(cable.hint.splitlines()[1:]))
        self._cable_text.setVisible(True)
        self.charts.setVisible(True)
        self.charts.show_ends(cable.ends)

    def _name(self, node_id: str) -> str:
        card = self._model.scene.card(node_id)
        return card.name if card else node_id


def found_title(found: tuple[str, ...]) -> str:
    """The link to what others started on the node, short enough for the panel."""
    if len(found) == 1:
        return f"Found running: {text.one_line(found[0], 26)}"
    return f"{len(found)} servers found running" if found else ""


class NodeButtons(QWidget):
    """Ways from the panel to the node's own page and to a terminal."""

    node_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.open = Button("Open node", icon="maximize-2", is_small=True)
        self.doctor = Button("Doctor", icon="shield-check", is_small=True)
        self.terminal = Button("Terminal", icon="terminal", is_small=True)
        row = QHBoxLayout()
        row.setContentsMargins(14, 8, 14, 10)
        row.setSpacing(8)
        for button in (self.open, self.doctor, self.terminal):
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 0, 1, 1)
        column.setSpacing(0)
        column.addWidget(Separator())
        column.addLayout(row)
        self.open.clicked.connect(lambda: self.node_asked.emit("overview"))
        self.doctor.clicked.connect(lambda: self.node_asked.emit("doctor"))


def facts_of(status: NodeStatus) -> str:
    """What is known about a node's make, one line a fact; what is not known is left out."""
    facts = status.facts
    rows = (
        ("", product_words(facts.product)),
        ("", facts.os_version),
        ("Kernel ", facts.kernel),
        ("Driver ", facts.driver_version),
        ("", facts.gpu_name),
        ("", f"{facts.cpu_count} CPU cores" if facts.cpu_count else ""),
        ("Python ", facts.python_version),
    )
    return " · ".join(f"{title}{text.one_line(value, 60)}" for title, value in rows if value)


class TroublePanel(QWidget):
    """Why a node is not live: message, remedy, the last lines of the attempt, and what can be done about it."""

    sign_in_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = Label("", "body_medium", "text", is_wrapped=True, is_selectable=True)
        self._remedy = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.reconnect = Button("Reconnect", icon="refresh-cw")
        self.wake = Button("Wake", icon="play")
        self.compare = Button("Compare keys", icon="key")
        self.compare.clicked.connect(self._toggle_detail)
        self.add_again = Button("Add it again", icon="plus")
        self.add_again.setToolTip("With a password: then a new key can be set up for it. It stays the same node.")
        self._detail = CodeView("both host keys", wrap=QTextOption.WrapMode.WrapAnywhere)
        self._detail.setFixedHeight(132)
        self._detail.setVisible(False)
        self.password = TextInput(placeholder="Password on the node")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setAccessibleName("Password on the node")
        self.sign_in = Button("Sign in", icon="lock")
        self.sign_in.clicked.connect(self._give_password)
        self.password.returnPressed.connect(self._give_password)
        self._log = CodeView(
            "the connection log", wrap=QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere, shows_end=True
        )
        self._log.setFixedHeight(180)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._message)
        column.addWidget(self._remedy)
        row = QHBoxLayout()
        row.setSpacing(8)
        for part in (self.wake, self.reconnect, self.compare, self.add_again):
            row.addWidget(part)
        row.addStretch(1)
        column.addLayout(row)
        column.addWidget(self._detail)
        secret = QHBoxLayout()
        secret.addWidget(self.password, 1)
        secret.addWidget(self.sign_in)
        column.addLayout(secret)
        column.addWidget(self._log)

    def show_status(self, status: NodeStatus) -> None:
        """Show a node that is not live."""
        state = status.state
        message = text.one_line(status.message, 600) or f"{state.words}."
        self._message.setText(message)
        self._remedy.setText(text.one_line(status.remedy, 600))
        self._remedy.setVisible(bool(status.remedy))
        self.reconnect.setText("Connect" if state is NodeState.IDLE else "Reconnect")
        self.reconnect.setVisible(state not in (NodeState.CONNECTING, NodeState.IDENTITY_CHANGED))
        self.wake.setVisible(state in (NodeState.ASLEEP, NodeState.UNREACHABLE))
        has_keys = state is NodeState.IDENTITY_CHANGED
        self.compare.setVisible(has_keys)
        self._detail.set_pages([("keys", "Host keys", status.detail or "No detail was recorded.")] if has_keys else [])
        if not has_keys:
            self._detail.setVisible(False)
        is_refused = state is NodeState.REFUSED
        self.password.setVisible(is_refused)
        self.sign_in.setVisible(is_refused)
        self.add_again.setVisible(is_refused)
        self._log.setVisible(bool(status.log))
        self._log.set_pages([("log", "Connection log", "\n".join(text.one_line(line, 300) for line in status.log))])

    def keys_text(self) -> str:
        """Both host keys as they are shown."""
        return self._detail.text()

    def log_text(self) -> str:
        """The lines of the last attempt as they are shown."""
        return self._log.text()

    def _toggle_detail(self) -> None:
        self._detail.setVisible(not self._detail.isVisible())
        self.compare.setText("Hide keys" if self._detail.isVisible() else "Compare keys")

    def _give_password(self) -> None:
        word = self.password.text()
        # Not kept in the widget a moment longer than needed.
        self.password.clear()
        if word:
            self.sign_in_asked.emit(word)


class NodeCharts(QWidget):
    """Four charts of one node, or the rates at the ends of a cable."""

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.gpu = LiveChart("GPU utilisation", unit="%", frame=ChartFrame(high=100.0))
        self.gpu.setToolTip("A waiting rank of a group polls and looks busy; the card's Busy comes from the engine.")
        self.memory = LiveChart("Unified memory", unit="GiB used", frame=ChartFrame(is_stacked=True))
        self.memory.tick_text = lambda value: f"{value:.0f}"
        self.power = LiveChart("GPU power (rail)", unit="W")
        self.rates = (LiveChart("P1 RoCE rate", unit="Gb/s"), LiveChart("P0 RoCE rate", unit="Gb/s"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for chart in (self.gpu, self.memory, self.power, *self.rates):
            chart.setMaximumHeight(150)
            column.addWidget(chart, 1)
        column.addStretch(0)

    def show_node(self, node_id: str, *, is_stale: bool) -> None:
        """Show a node's last five minutes."""
        sample = self._model.sample(node_id)
        self._show_parts(is_node=True, ends=1)
        now_s = self._model.feeds.now_ms() / 1000
        value = sample.value if sample else _missing
        used = self._series(node_id, "mem_used_bytes", "in use", 1 / text.GIB, tint="s1")
        span_s = fitting_span_s(used.times_s, now_s, SPAN_S)
        gpu = self._series(node_id, "gpu_util", "", 100.0)
        self.gpu.set_frame(ChartFrame(window_s=span_s, high=100.0))
        self.gpu.set_series([gpu], now_s=now_s, value_text=_percent(value("gpu_util")))
        total = value("mem_total_bytes")
        high = total / text.GIB if text.is_known(total) else None
        self.memory.set_frame(ChartFrame(window_s=span_s, is_stacked=True, high=high))
        cache = self._series(node_id, "mem_page_cache_bytes", "page cache", 1 / text.GIB, tint="ledger_cache")
        layers = [used, cache] if len(used.times_s) == len(cache.times_s) else [used]
        self.memory.set_series(layers, now_s=now_s, value_text=text.memory(value("mem_used_bytes")).value)
        power = self._series(node_id, "gpu_power_w", "", 1.0, tint="s2")
        self.power.set_frame(ChartFrame(window_s=span_s))
        self.power.set_series([power], now_s=now_s, value_text=text.power(value("gpu_power_w")).value)
        self._show_rate(self.rates[0], node_id, _busiest_cage(sample), now_s, "")
        old = f"{text.age(now_s - sample.t_ms / 1000)} ago" if sample and is_stale else ""
        for chart in (self.gpu, self.memory, self.power, self.rates[0]):
            chart.set_stale_text(old)

    def show_ends(self, ends: Sequence[tuple[str, str]]) -> None:
        """Show the rates at the ends of a cable."""
        self._show_parts(is_node=False, ends=len(ends))
        now_s = self._model.feeds.now_ms() / 1000
        for chart, (node_id, cage) in zip(self.rates, ends, strict=False):
            card = self._model.scene.card(node_id)
            chart.set_stale_text("")
            self._show_rate(chart, node_id, cage, now_s, card.name if card else node_id)

    def _show_parts(self, *, is_node: bool, ends: int) -> None:
        for chart in (self.gpu, self.memory, self.power):
            chart.setVisible(is_node)
        for i, chart in enumerate(self.rates):
            chart.setVisible(i < ends)

    def _show_rate(self, chart: LiveChart, node_id: str, cage: str, now_s: float, name: str) -> None:
        sample = self._model.sample(node_id)
        series = [self._series(node_id, f"cage_{way}_gbps.{cage}", way, 1.0) for way in ("rx", "tx")]
        speed = sample.value(f"cage_speed_gbps.{cage}") if sample else math.nan
        is_slow = text.is_known(speed) and speed < CABLE_GBPS
        limit_text = f"link limit {speed:.0f}" if is_slow else ""
        span_s = fitting_span_s(series[0].times_s, now_s, SPAN_S)
        chart.set_frame(ChartFrame(window_s=span_s, limit=speed if is_slow else None, limit_text=limit_text))
        chart.set_title(f"{name} {cage} RoCE rate".strip())
        rate = sample.value(f"cage_rx_gbps.{cage}") if sample else math.nan
        chart.set_empty_text("No rate reported")
        chart.set_series(series, now_s=now_s, value_text=text.line_rate(rate).value)

    def _series(self, node_id: str, key: str, name: str, scale: float, tint: theme.Token | None = None) -> Series:
        read = self._model.feeds.series
        if read is None:
            return Series(name, (), (), tint)
        times_ms, values = read(node_id, key, SPAN_S)
        return Series(name, [t / 1000 for t in times_ms], [value * scale for value in values], tint)


def _missing(_key: str) -> float:
    return math.nan


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.0f}" if text.is_known(fraction) else text.NOT_KNOWN


def _busiest_cage(sample: Sample | None) -> str:
    """The cage that is worth showing: the one that is up, P1 when both or none are."""
    if sample is None:
        return CAGES[1]
    up = [port.cage for port in ports_of(sample) if port.state in (PortState.UP, PortState.DEGRADED)]
    return CAGES[1] if CAGES[1] in up or not up else up[0]
