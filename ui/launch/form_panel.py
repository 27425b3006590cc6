"""The form's widgets. They hold nothing: each change goes to the view-model, and what it says comes back.

The one rule: an error stands under its own field; a field keeps what was typed.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sparkdesk.core.jobs.backend import NodeContext
from ui import text, theme
from ui.font import font
from ui.icon import draw_icon
from ui.launch.catalogue import describe_shape
from ui.launch.default import formats_of
from ui.launch.model import TITLES, LaunchModel
from ui.theme import color
from ui.widgets.card import Card, Separator
from ui.widgets.field import Field, Select, Stepper, TextInput, restyle
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import box, pen, text_width, write


class NodeChip(QToolButton):
    """One node to choose, with its free memory."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.node_id = ""
        self._free = text.NOT_KNOWN
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.notifier.changed.connect(self.update)

    def show_node(self, context: NodeContext, *, is_chosen: bool) -> None:
        """Show a node."""
        self.node_id = context.record.id
        free = text.memory(context.mem_available_bytes)
        self._free = f"{free} free" if free.unit else "free n/a"
        self.setText(text.one_line(context.record.name, 40))
        self.setChecked(is_chosen)
        self.setAccessibleName(f"{self.text()}, {self._free}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(text_width(self.text(), "dense_strong")) + 42, 44)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self.isChecked():
            box(painter, rect, theme.RADIUS_CONTROL, color("accentsoft"), pen(color("accent")))
        else:
            edge = color("control") if self.underMouse() or self.hasFocus() else color("border")
            box(painter, rect, theme.RADIUS_CONTROL, color("raised"), pen(edge))
        if self.hasFocus():
            box(painter, rect, theme.RADIUS_CONTROL, None, pen(color("accent"), 2))
        left = 10.0
        if self.isChecked():
            draw_icon(painter, QPointF(left, 7), "check", "accenttext", 14)
            left += 19
        write(painter, QRectF(left, 5, self.width(), 18), self.text(), role="dense_strong", tint="text")
        write(painter, QRectF(left, 23, self.width(), 16), self._free, role="label", tint="text3")


class NodePicker(QWidget):
    """The chips of all live nodes, two beside each other."""

    toggled = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips: list[NodeChip] = []
        self._none = Label("No node is live. The plan needs one.", "dense", "text3", is_wrapped=True)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        self._grid.addWidget(self._none, 0, 0, 1, 2)

    def show_nodes(self, contexts: tuple[NodeContext, ...], chosen: tuple[str, ...]) -> None:
        """Show these nodes."""
        while len(self.chips) < len(contexts):
            chip = NodeChip()
            chip.clicked.connect(lambda _on=False, chip=chip: self.toggled.emit(chip.node_id))
            at = len(self.chips)
            self._grid.addWidget(chip, 1 + at // 2, at % 2)
            self.chips.append(chip)
        for chip, context in zip(self.chips, contexts, strict=False):
            chip.show_node(context, is_chosen=context.record.id in chosen)
        for i, chip in enumerate(self.chips):
            chip.setVisible(i < len(contexts))
        self._none.setVisible(not contexts)


class LinesInput(QPlainTextEdit):
    """Some lines of mono text that Tab leaves."""

    def __init__(self, placeholder: str, rows: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(font("mono"))
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        self.setFixedHeight(rows * theme.LOG_ROW_HEIGHT + 14)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        restyle(self, "state", "error" if has_error else "")


class FormPanel(Card):
    """The whole form."""

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._is_filling = False
        self._title = Label("", "object_title", "text", is_wrapped=True)
        self._shape = Label("", "label", "text3", is_wrapped=True)
        self.catalogue = Select()
        self.engine = Select()
        self.quantization = Select()
        self.model_name = TextInput(placeholder="owner/name or a name from the list")
        self.weights = TextInput(placeholder="~/models/file.gguf", is_mono=True)
        self.nodes = NodePicker()
        self.context = TextInput()
        self.concurrency = Stepper(1, 4096, 1, what=TITLES["concurrency"])
        self.port = TextInput()
        self.served = TextInput()
        self.flags = LinesInput("--flag value", 2)
        self.environment = LinesInput("NAME=value", 2)
        self.fields: dict[str, Field] = {}
        self._build()
        self._wire()
        model.form_changed.connect(self.fill)
        model.preview_changed.connect(self._show_errors)
        self.fill()

    def _build(self) -> None:
        editors: dict[str, QWidget] = {
            "model": self.model_name,
            "engine": self.engine,
            "quantization": self.quantization,
            "weights_path": self.weights,
            "nodes": self.nodes,
            "context_tokens": self.context,
            "concurrency": self.concurrency,
            "served_name": self.served,
            "port": self.port,
            "extra_flags": self.flags,
            "environment": self.environment,
        }
        self.fields = {name: Field(TITLES[name], editor) for name, editor in editors.items()}
        self.fields["nodes"].set_hint("free for a model")
        self.fields["extra_flags"].set_hint("as on the command line")
        self.fields["environment"].set_hint("one a line; no secrets")
        inner = QWidget()
        inner.setProperty("tone", "page")
        form = QVBoxLayout(inner)
        form.setContentsMargins(15, 12, 15, 14)
        form.setSpacing(12)
        self._pick_field = Field("Catalogue", self.catalogue)
        form.addWidget(self._pick_field)
        form.addWidget(self._title)
        form.addWidget(self._shape)
        form.addWidget(self.fields["model"])
        form.addLayout(_pair(self.fields["engine"], self.fields["quantization"]))
        form.addWidget(self.fields["weights_path"])
        form.addWidget(self.fields["nodes"])
        form.addLayout(_pair(self.fields["context_tokens"], self.fields["concurrency"]))
        form.addWidget(Separator())
        form.addLayout(_pair(self.fields["served_name"], self.fields["port"], shares=(3, 2)))
        form.addWidget(self.fields["port"].error_label())
        form.addWidget(self.fields["extra_flags"])
        form.addWidget(self.fields["environment"])
        form.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        self.column(spacing=0, margins=(1, 1, 1, 1)).addWidget(area)
        self.engine.set_options([(key, info.title) for key, info in self._model.backends.items()])
        self.set_folded(is_folded=False)

    def _wire(self) -> None:
        texts = {
            "model": self.model_name,
            "weights_path": self.weights,
            "context_tokens": self.context,
            "port": self.port,
            "served_name": self.served,
        }
        for name, line in texts.items():
            line.textEdited.connect(lambda typed, name=name: self._model.set_field(name, typed))
        for name, lines in {"extra_flags": self.flags, "environment": self.environment}.items():
            lines.textChanged.connect(lambda name=name, lines=lines: self._tell(name, lines.toPlainText()))
        self.engine.currentIndexChanged.connect(lambda _i: self._tell("engine", self.engine.key()))
        self.quantization.currentIndexChanged.connect(lambda _i: self._tell("quantization", self.quantization.key()))
        self.catalogue.currentIndexChanged.connect(lambda _i: self._pick())
        self.concurrency.changed.connect(lambda value: self._tell("concurrency", value))
        self.nodes.toggled.connect(self._model.toggle_node)

    def _tell(self, name: str, value: object) -> None:
        if not self._is_filling:
            self._model.set_field(name, value)

    def _pick(self) -> None:
        if not self._is_filling and self.catalogue.key():
            self._model.pick(self.catalogue.key())

    def set_folded(self, *, is_folded: bool) -> None:
        """Show the catalogue as a list of choice above the form, where there is no room for it beside."""
        self._pick_field.setVisible(is_folded)

    def fill(self) -> None:
        """Show the form as the view-model has it."""
        self._is_filling = True
        form, spec = self._model.form, self._model.spec()
        self._title.setText(spec.title if spec else text.one_line(form.model, 128) or "No model chosen")
        self._shape.setText(describe_shape(spec))
        options = [(each.name, each.title) for each in self._model.feeds.catalogue]
        self.catalogue.set_options([("", "Choose a model"), *options])
        self.catalogue.set_key(spec.name if spec else "")
        formats = [each.key for each in formats_of(spec)] or [form.quantization]
        self.quantization.set_options([(key, key or "As released") for key in formats or [""]])
        self.quantization.set_key(form.quantization)
        self.engine.set_key(form.engine)
        for line, value in (
            (self.model_name, form.model),
            (self.weights, form.weights_path),
            (self.context, form.context_tokens),
            (self.port, form.port),
            (self.served, form.served_name),
        ):
            if line.text() != value:
                line.setText(value)
                line.setCursorPosition(0)
        for lines, value in ((self.flags, form.extra_flags), (self.environment, form.environment)):
            if lines.toPlainText() != value:
                lines.setPlainText(value)
        self.concurrency.set_value(form.concurrency)
        info = self._model.info()
        self.fields["weights_path"].setVisible(bool(info and info.needs_weights_path))
        limit = f"max {text.pool(spec.context_tokens)}" if spec and spec.context_tokens else ""
        self.fields["context_tokens"].set_hint(limit)
        self.nodes.show_nodes(self._model.feeds.ranked_contexts(), form.nodes)
        self._is_filling = False

    def _show_errors(self) -> None:
        errors, hints = self._model.preview.errors, self._model.preview.hints
        for name, part in self.fields.items():
            part.set_error(errors.get(name, ""))
            part.setToolTip(plain_tooltip(hints[name]) if name in hints else "")
        self.nodes.show_nodes(self._model.feeds.ranked_contexts(), self._model.form.nodes)


def _pair(first: QWidget, second: QWidget, shares: tuple[int, int] = (1, 1)) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(10)
    row.addWidget(first, shares[0])
    row.addWidget(second, shares[1])
    return row
