"""The right side of the chat: which model, how full its context is, and how it is asked.

Rule: "model default" is a setting of its own: nothing is sent, and the server decides.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QSlider,
    QStyleOptionComboBox,
    QVBoxLayout,
    QWidget,
)

from sparkdesk.core.chat.context import ContextUse
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.chat.server_url import EXAMPLE
from sparkdesk.core.chat.session import ChatSettings
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui import theme
from ui.font import font
from ui.text import count, one_line
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.card import Separator
from ui.widgets.chip import Chip
from ui.widgets.field import Select, TextInput
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.meter import Meter
from ui.widgets.paint import elided, text_width

WIDTH_PX: Final = 300
_PAD: Final = 14
_FOLD_INSET: Final = 10
_MODEL: Final = Qt.ItemDataRole.UserRole + 1
MAX_TOKENS_STEPS: Final = (None, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
DEFAULT_WORDS: Final = "default"


class Knob:
    """A slider over a list of values, the first of which is the model's own default."""

    def __init__(self, what: str, values: tuple[float | None, ...], decimals: int) -> None:
        self.values = values
        self._decimals = decimals
        self.name = Label(what, "dense", "text2")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(values) - 1)
        self.slider.setAccessibleName(what)
        self.shown = Label(DEFAULT_WORDS, "dense", "text")
        self.shown.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.slider.valueChanged.connect(lambda _: self._show())

    def value(self) -> float | None:
        """The value chosen; None is the default."""
        return self.values[self.slider.value()]

    def set_value(self, value: float | None) -> None:
        """Choose the nearest value without telling anybody."""
        known = [(abs(each - value), i) for i, each in enumerate(self.values) if each is not None and value is not None]
        self.slider.blockSignals(True)
        self.slider.setValue(min(known)[1] if known else 0)
        self.slider.blockSignals(False)
        self._show()

    def _show(self) -> None:
        value = self.value()
        self.shown.setText(DEFAULT_WORDS if value is None else f"{value:,.{self._decimals}f}")


class ModelSelect(Select):
    """The list says model and node; closed it says the model alone, cut in the middle, with the whole as tooltip."""

    def show_models(self, options: list[tuple[str, str]], models: dict[str, str]) -> None:
        """Show (id, label) options; `models` has the shorter name of each id."""
        self.set_options(options)
        for row in range(self.count()):
            self.setItemData(row, models.get(str(self.itemData(row)), ""), _MODEL)
        widest = max((text_width(label, "body") for _, label in options), default=0.0)
        self.view().setMinimumWidth(round(widest) + 28)

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:  # noqa: N802
        super().initStyleOption(option)
        name = self.currentData(_MODEL) or self.currentText()
        option.currentText = elided(name, "body", self.width() - 42, Qt.TextElideMode.ElideMiddle)


class _PromptEditor(QPlainTextEdit):
    left = Signal()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()


class SettingsPanel(QWidget):
    """`endpoint_chosen` carries an id, `changed` (system prompt, Sampling)."""

    endpoint_chosen = Signal(str)
    changed = Signal(str, object)
    launch_asked = Signal()
    server_asked = Signal(str)
    """The address of a server that somebody else runs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: ChatSettings | None = None
        self._offered: tuple[list[tuple[str, str]], str] = ([], "-")
        self.model = ModelSelect()
        self.where = Label("", "label", "text3")
        self.state = Chip("", "neutral", "")
        self.note = Label("", "label", "text3", is_wrapped=True)
        self.launch = Button("Launch a model", kind="link")
        self.connect_server = Button("Connect to a server", kind="link")
        self.address = TextInput(placeholder=EXAMPLE, is_small=True)
        self.meter = Meter("Context in use")
        self.used = Label("", "dense_strong", "text")
        self.prompt = _PromptEditor()
        self.fold = Button("Sampling", kind="text", icon="chevron-right", is_small=True)
        self.knobs = QWidget()
        self.temperature = Knob("Temperature", (None, *(i / 20 for i in range(41))), 2)
        self.top_p = Knob("Top-p", (None, *(i / 20 for i in range(1, 21))), 2)
        self.max_tokens = Knob("Max tokens", MAX_TOKENS_STEPS, 0)
        self._counts = {key: Label("", "dense", "text") for key in ("prompt", "cached", "answer")}
        self._build()
        self._wire()

    def _build(self) -> None:
        inner = QWidget()
        inner.setProperty("tone", "page")
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 4, 0, theme.GAP)
        column.setSpacing(0)
        for part in (self._model_part(), self._context_part(), self._prompt_part(), self._sampling_part()):
            holder = QVBoxLayout()
            holder.setContentsMargins(_PAD, 10, _PAD, 12)
            holder.setSpacing(7)
            for each in part:
                if isinstance(each, QWidget):
                    holder.addWidget(each)
                else:
                    holder.addLayout(each)
            column.addLayout(holder)
            column.addWidget(Separator())
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    def _model_part(self) -> list[QWidget | QHBoxLayout]:
        self.model.setAccessibleName("Model")
        self.address.setAccessibleName("Address of a model server; Enter connects")
        self.address.setVisible(False)
        links = QHBoxLayout()
        links.addWidget(self.where)
        links.addWidget(self.launch)
        links.addStretch(1)
        links.addWidget(self.connect_server)
        return [_row(Label("Model", "label", "text3"), self.state), self.model, links, self.address, self.note]

    def _context_part(self) -> list[QWidget | QHBoxLayout]:
        rows: list[QWidget | QHBoxLayout] = [_row(Label("Context", "dense_strong", "text"), self.used), self.meter]
        tints: dict[str, tuple[str, Token]] = {
            "prompt": ("Prompt, last question", "text2"),
            "cached": ("of it read from the cache", "text3"),
            "answer": ("Last answer", "text2"),
        }
        for key, (words, tint) in tints.items():
            rows.append(_row(Label(words, "dense", tint), self._counts[key]))
        return rows

    def _prompt_part(self) -> list[QWidget | QHBoxLayout]:
        self.prompt.setFont(font("dense"))
        self.prompt.setFixedHeight(92)
        self.prompt.setTabChangesFocus(True)
        self.prompt.setAccessibleName("System prompt")
        self.prompt.setPlaceholderText("None: the model's own template decides.")
        return [_row(Label("System prompt", "dense_strong", "text")), self.prompt]

    def _sampling_part(self) -> list[QWidget | QHBoxLayout]:
        grid = QGridLayout(self.knobs)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        for i, knob in enumerate((self.temperature, self.top_p, self.max_tokens)):
            grid.addWidget(knob.name, i, 0)
            grid.addWidget(knob.slider, i, 1)
            knob.shown.setFixedWidth(52)
            grid.addWidget(knob.shown, i, 2)
        self.knobs.setVisible(False)
        self.fold.setCheckable(True)
        self.summary = Label("", "label", "text3")
        head = _row(self.fold, self.summary)
        # The button's own inset would put its arrow out of line.
        head.insertSpacing(0, -_FOLD_INSET)
        return [head, self.knobs]

    def _wire(self) -> None:
        self.model.currentIndexChanged.connect(lambda _: self.endpoint_chosen.emit(self.model.key()))
        self.launch.clicked.connect(self.launch_asked)
        self.connect_server.clicked.connect(self.ask_address)
        self.address.returnPressed.connect(lambda: self.server_asked.emit(self.address.text()))
        self.fold.toggled.connect(self._on_fold)
        self.prompt.left.connect(self._tell)
        for knob in (self.temperature, self.top_p, self.max_tokens):
            knob.slider.sliderReleased.connect(self._tell)
            knob.slider.valueChanged.connect(lambda _, each=knob: None if each.slider.isSliderDown() else self._tell())

    def ask_address(self) -> None:
        """Show the field for a server's address, or take it away."""
        self.address.setVisible(not self.address.isVisibleTo(self))
        if self.address.isVisibleTo(self):
            self.address.setFocus()

    def close_address(self) -> None:
        """The server is connected: the field has done its work."""
        self.address.clear()
        self.address.setVisible(False)

    def _on_fold(self, is_open: bool) -> None:
        self.fold.set_icon("chevron-down" if is_open else "chevron-right")
        self.knobs.setVisible(is_open)
        self.summary.setVisible(not is_open)

    def show_models(self, endpoints: tuple[ChatEndpoint, ...], target: ChatEndpoint | None, waiting: str) -> None:
        """Show which models are ready and which one is asked."""
        options = [(each.id, one_line(each.label, 120)) for each in endpoints]
        chosen = target.id if target is not None else ""
        # A list that is open must not be filled anew under the pointer.
        if (options, chosen) != self._offered:
            self._offered = (options, chosen)
            self.model.blockSignals(True)
            models = {each.id: one_line(each.endpoint.model, 120) for each in endpoints}
            self.model.show_models(options if chosen else [("", "None"), *options], models)
            self.model.set_key(chosen)
            self.model.setEnabled(bool(options))
            self.model.blockSignals(False)
        if target is not None:
            self.state.set_state("Ready", "ok")
        else:
            self.state.set_state("Loading" if waiting else "Not ready", "accent" if waiting else "neutral", "")
        self.launch.setVisible(not options)
        self.model.setToolTip(plain_tooltip(one_line(target.label, 240)) if target is not None else "")
        self.where.setText(f"on {one_line(target.node, 64)}" if target is not None and target.node else "")
        self.where.setVisible(bool(self.where.text()))
        note = target.endpoint.note if target is not None else waiting
        self.note.setText(one_line(note, 300))
        self.note.setVisible(bool(note))

    def show_context(self, use: ContextUse) -> None:
        """Show how full the context is."""
        limit = f" / {count(use.limit)}" if use.limit else ""
        self.used.setText(f"{count(use.used)}{limit} tokens" if use.used is not None or limit else "n/a")
        self.meter.set_fraction(use.used / use.limit if use.used is not None and use.limit else None)
        why = "" if use.limit else "The server does not tell its limit"
        self.meter.setToolTip(why if use.used is not None else "Known after the first answer, by the server's count")
        for key, number in (("prompt", use.prompt), ("cached", use.cached), ("answer", use.answer)):
            self._counts[key].setText(count(number))

    def show_settings(self, settings: ChatSettings) -> None:
        """Show system prompt and sampling, unless the person is just writing there."""
        if settings == self._shown:
            return
        self._shown = settings
        if not self.prompt.hasFocus() and self.prompt.toPlainText() != settings.system_prompt:
            self.prompt.setPlainText(settings.system_prompt)
        sampling = settings.sampling
        self.temperature.set_value(sampling.temperature)
        self.top_p.set_value(sampling.top_p)
        self.max_tokens.set_value(sampling.max_tokens)
        heat = DEFAULT_WORDS if sampling.temperature is None else f"{sampling.temperature:.2f}"
        self.summary.setText(f"temperature {heat}")

    def sampling(self) -> Sampling:
        """What the knobs say; a stored value between two steps stays as long as its knob was not moved."""
        shown = self._shown.sampling if self._shown is not None else Sampling()
        longest = self.max_tokens.value()
        return Sampling(
            temperature=_kept(self.temperature, shown.temperature),
            top_p=_kept(self.top_p, shown.top_p),
            max_tokens=None if longest is None else round(_kept(self.max_tokens, shown.max_tokens) or longest),
            seed=shown.seed,
            stop=shown.stop,
        )

    def _tell(self) -> None:
        prompt, sampling = self.prompt.toPlainText(), self.sampling()
        shown = self._shown
        if shown is None or (prompt, sampling) != (shown.system_prompt, shown.sampling):
            self.changed.emit(prompt, sampling)


def _kept(knob: Knob, stored: float | None) -> float | None:
    """The knob's value, or the stored one that this very step stands for."""
    at = knob.value()
    if at is None or stored is None:
        return at
    nearest = min((each for each in knob.values if each is not None), key=lambda each: abs(each - stored))
    return stored if nearest == at else at


def _row(left: QWidget, right: QWidget | None = None) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    row.addWidget(left)
    row.addStretch(1)
    if right is not None:
        row.addWidget(right)
    return row
