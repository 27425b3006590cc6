"""One node: why it is not live, its findings, memory, GPU, power and energy, and its last minutes as charts.

The one rule: GPU utilisation is shown here only, with the remark that a server over several nodes polls; what is old
is pale and says its age.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.cluster.machine import product_words
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.telemetry.energy import is_spark
from sparkdesk.core.telemetry.metric import GPU_POWER, WALL_POWER
from sparkdesk.core.telemetry.sample import Sample
from ui import text
from ui.cluster.card import RAIL, FoundNote, Memory, NodeCard
from ui.cluster.map.card_paint import ledger_values
from ui.cluster.model import ClusterModel
from ui.cluster.part.chart import NodeCharts
from ui.cluster.part.fact import FactRows, Row, reader_of
from ui.cluster.part.finding import FindingList
from ui.cluster.part.trouble import TroublePanel
from ui.effort import energy_rows, wall_words
from ui.findings import words
from ui.node.wrap import wrap_line
from ui.quantity import title_of_card, write_quantity
from ui.widgets.button import Button
from ui.widgets.card import LoadingBars
from ui.widgets.label import Label
from ui.widgets.ledger import LedgerBar

POLLS = "A waiting rank of a server over several nodes polls: it looks busy at 96 % and is idle."


class NodePart(QWidget):
    """Shows a node; `show_node` once a second while it is the one selected."""

    running_asked = Signal()

    def __init__(self, model: ClusterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.trouble = TroublePanel()
        self.findings = FindingList()
        self.facts = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.found = Button("", kind="link")
        self.found.clicked.connect(self.running_asked)
        self.found_words = Label("", "dense", "text2", is_wrapped=True)
        self.age = Label("", "dense", "warn", is_wrapped=True)
        self.ledger = LedgerBar()
        self.memory = FactRows()
        self.rows = FactRows()
        self.energy_title = Label("", "dense_strong", "text")
        self.energy = FactRows()
        self.energy_words = Label("", "label", "text3", is_wrapped=True)
        self._bars = LoadingBars(what="Reading the first values")
        self.charts = NodeCharts(model)
        self._values = QWidget()
        self._build()

    def _build(self) -> None:
        self._values.setProperty("tone", "page")
        inner = QVBoxLayout(self._values)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(8)
        memory, power = (Label(title, "dense_strong", "text") for title in ("Unified memory", "GPU and power"))
        values: tuple[QWidget, ...] = (self.age, memory, self.ledger, self.memory, power, self.rows)
        for part in (*values, self.energy_title, self.energy, self.energy_words):
            inner.addWidget(part)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.trouble, self.findings, self.facts, self.found, self.found_words, self._values, self._bars):
            column.addWidget(part)
        column.addWidget(self.charts)

    def show_node(self, card: NodeCard, status: NodeStatus) -> None:
        """Show this node as it is now."""
        model, has_trouble = self._model, not status.is_live
        self.trouble.setVisible(has_trouble)
        if has_trouble:
            self.trouble.show_status(status)
        self.findings.set_findings(model.findings_of(card.node_id), model.names(), model.feeds.now_ms())
        self.facts.setText(facts_of(status))
        self.facts.setVisible(bool(self.facts.text()))
        self.found.setText(found_title(card.found))
        self.found.setVisible(bool(card.found))
        self.found.updateGeometry()
        self.found_words.setText(found_work(card.found_notes))
        self.found_words.setVisible(bool(self.found_words.text()))
        self._bars.setVisible(card.look == "loading" and not has_trouble)
        has_values = card.look in ("live", "stale")
        self._values.setVisible(has_values)
        self.charts.setVisible(has_values)
        if has_values:
            self._show_values(card, status)
            self.charts.show_node(card.node_id, is_stale=card.look == "stale")

    def _show_values(self, card: NodeCard, status: NodeStatus) -> None:
        sample = self._model.sample(card.node_id)
        is_stale = card.look == "stale"
        self.age.setVisible(is_stale and sample is not None)
        if sample is not None:
            self.age.setText(f"These values are {text.age(self._model.age_s(card.node_id))} old.")
        self.ledger.set_values(ledger_values(card.memory))
        self.memory.set_rows(memory_rows(card.memory))
        is_group = any(len(job.node_ids) > 1 for job in self._model.jobs_on(card.node_id))
        self.rows.set_rows(gpu_rows(sample, has_estimate=bool(is_spark(status.facts)), is_group=is_group))
        energy = self._model.feeds.energy(card.node_id)
        for part in (self.energy_title, self.energy, self.energy_words):
            part.setVisible(energy is not None)
        if energy is not None:
            since = words.since_text(energy.since_ms, self._model.feeds.now_ms())
            self.energy_title.setText(f"Energy since {since or 'watching began'}")
            self.energy_words.setText(wrap_line(energy.words, 240))
            self.energy.set_rows([Row(label, value) for label, value in energy_rows(energy)])
        for shown in (self.ledger, self.memory, self.rows):
            shown.set_stale(is_stale)


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


def found_title(found: tuple[str, ...]) -> str:
    """The link to what others started on the node, short enough for the panel."""
    if len(found) == 1:
        return f"Found running: {text.one_line(found[0], 26)}"
    return f"{len(found)} servers found running" if found else ""


def found_work(notes: tuple[FoundNote, ...]) -> str:
    """What the found servers tell of their work, one line each; "" when none tells."""
    if len(notes) == 1:
        return notes[0].told
    return "\n".join(f"{text.one_line(note.name, 26)}: {note.told}" for note in notes if note.told)


def memory_rows(memory: Memory) -> list[Row]:
    """The ledger in figures."""
    if not memory.total:
        return [Row("In use", text.NOT_KNOWN, "The node tells no memory", "text3")]
    in_use = f"{text.memory(memory.used).value} of {text.memory(memory.total)}"
    cache = "page cache n/a" if memory.cache is None else f"{text.memory(memory.cache)} of it page cache"
    free = f"{text.memory(memory.available)}, {cache}"
    rows = [Row("In use", in_use), Row("Free", free, "What a program can get: page cache gives way")]
    if memory.weights or memory.kv:
        rows.append(Row("Weights", str(text.memory(memory.weights)), "As planned at the launch"))
        used = "in use n/a" if memory.kv_used is None else f"{text.memory(memory.kv_used)} in use"
        kv = f"{text.memory(memory.kv)} reserved, {used}"
        rows.append(Row("KV cache", kv, "Reserved as planned at the launch; in use as the engine tells"))
        rows.append(Row("Other", str(text.memory(memory.other)), "Runtime, programs and the system"))
    return rows


def gpu_rows(sample: Sample | None, *, has_estimate: bool, is_group: bool) -> list[Row]:
    """The GPU's figures; its utilisation stands here and not on the card. `is_group`: a server over several nodes."""
    value = reader_of(sample)
    watt = value(GPU_POWER)
    wall, source = wall_words(watt, is_spark=has_estimate)
    util = text.percent(value("gpu_util"))
    return [
        _row("GPU", f"{util}; a waiting rank polls" if is_group and util != text.NOT_KNOWN else util, POLLS),
        *(
            _row(title_of_card(key), str(write_quantity(key, value(key))), RAIL if key == GPU_POWER else "")
            for key in ("gpu_sm_clock_mhz", "gpu_temp_c", GPU_POWER)
        ),
        _row(title_of_card(WALL_POWER), wall, source),
    ]


def _row(label: str, value: str, hint: str = "") -> Row:
    return Row(label, value, hint, "text3" if value == text.NOT_KNOWN else "text")
