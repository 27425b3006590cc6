"""Sampling: how the next token is chosen, folded to one line until a person looks.

The one rule: each control changes its own field and no other; an empty field is the model's own default, not a number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from PySide6.QtCore import QRandomGenerator, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.chat.request.form_support import FormSupport, Wish
from ui.chat.panel.sampling.knob import DEFAULT_WORDS, Knob, KnobKind
from ui.chat.panel.sampling.value import MAX_SEED, Limits, read_number, read_stops, write_stops
from ui.chat.panel.section import ResetDot, Section, row
from ui.widgets.button import Button, IconButton
from ui.widgets.field import TextInput
from ui.widgets.fold import FoldHead
from ui.widgets.label import Label, plain_tooltip

# Limits: the OpenAI API's reference for temperature and top_p; what stands for "all" in top_k and min_p is 0 with
# every engine. Steps are ours.
KNOBS: Final = (
    KnobKind(
        "temperature",
        "Temperature",
        tuple(i / 20 for i in range(41)),
        Limits(0, 2, 2),
        "How freely the next token is chosen; 0 takes the likeliest each time",
    ),
    KnobKind(
        "top_p",
        "Top-p",
        tuple(i / 20 for i in range(1, 21)),
        Limits(0.001, 1, 2),
        "Only the likeliest tokens that make up this share together",
    ),
    KnobKind(
        "top_k",
        "Top-k",
        (0, 1, 5, 10, 20, 30, 40, 50, 64, 80, 100, 150, 200),
        Limits(0, 100_000),
        "Only this many of the likeliest tokens; 0 is all",
    ),
    KnobKind(
        "min_p",
        "Min-p",
        tuple(i / 50 for i in range(26)),
        Limits(0, 1, 2),
        "Only tokens that are at least this likely, against the likeliest; 0 is all",
    ),
    KnobKind(
        "max_tokens",
        "Max tokens",
        (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536),
        Limits(1, 10_000_000),
        "The longest answer",
    ),
)
_WHOLE: Final = ("top_k", "max_tokens")
_SEED: Final = Limits(0, MAX_SEED)
SHOWN: Final = (*(kind.key for kind in KNOBS), "seed", "stop")
"""The fields of Sampling that this section has a control for; the others stay as they are."""


class SamplingSection(Section):
    """`changed` carries a whole Sampling."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__(is_folding=True)
        self._stored = Sampling()
        self._default = Sampling()
        self.head = FoldHead("Sampling")
        self.reset = Button("Model defaults", kind="link")
        self.reset.setVisible(False)
        self.inner = QWidget()
        self.knobs = {kind.key: Knob(kind, self) for kind in KNOBS}
        self.seed = TextInput(placeholder="any", is_small=True)
        self.dice = IconButton("refresh-cw", "Take a seed by chance", size=26)
        self.seed_dot = ResetDot("Seed")
        self.stops = TextInput(placeholder="none; \\n is a line break", is_small=True)
        self.stops_dot = ResetDot("Stop words")
        self.problems = {part: Label("", "label", "crit", is_wrapped=True) for part in (self.seed, self.stops)}
        self._build()
        self._wire()
        self._show_head()

    def _build(self) -> None:
        self.column.addLayout(row(self.head, self.reset, widest=0))
        inner = QVBoxLayout(self.inner)
        inner.setContentsMargins(0, 0, 0, 4)
        grid = QGridLayout()
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(2, 1)
        for i, knob in enumerate(self.knobs.values()):
            knob.place(grid, 2 * i)
        at = 2 * len(self.knobs)
        self.seed.setAccessibleName("Seed; empty is another one each time")
        self.stops.setAccessibleName("Stop words, with commas between; a backslash and n is a line break")
        for name, dot, part, problem in (
            ("Seed", self.seed_dot, self._seed_row(), self.problems[self.seed]),
            ("Stop words", self.stops_dot, self.stops, self.problems[self.stops]),
        ):
            grid.addWidget(Label(name, "dense", "text2"), at, 0)
            grid.addWidget(dot, at, 1)
            grid.addWidget(part, at, 2, 1, 2)
            grid.addWidget(problem, at + 1, 0, 1, 4)
            problem.setVisible(False)
            at += 2
        inner.addLayout(grid)
        self.inner.setVisible(False)
        self.column.addWidget(self.inner)

    def _seed_row(self) -> QWidget:
        holder = QWidget()
        line = row(self.seed, self.dice, widest=0)
        line.setSpacing(2)
        holder.setLayout(line)
        return holder

    def _wire(self) -> None:
        self.head.toggled.connect(self._on_fold)
        self.reset.clicked.connect(self.give_back)
        for key, knob in self.knobs.items():
            knob.changed.connect(lambda key=key: self._on_knob(key))
        self.seed.editingFinished.connect(self._on_seed)
        self.dice.clicked.connect(self._throw)
        self.seed_dot.clicked.connect(lambda: self._take(seed=self._default.seed))
        self.stops.editingFinished.connect(self._on_stops)
        self.stops_dot.clicked.connect(lambda: self._take(stop=self._default.stop))

    def _on_fold(self, is_open: bool) -> None:
        self.inner.setVisible(is_open)
        self._show_head()

    def show_sampling(self, sampling: Sampling, default: Sampling) -> None:
        """Show what is set, beside what the model starts with. What is being typed stays."""
        self._stored, self._default = sampling, default
        for key, knob in self.knobs.items():
            knob.set_value(getattr(sampling, key), getattr(default, key))
        if not self.seed.isModified():
            self.seed.setText("" if sampling.seed is None else str(sampling.seed))
        if not self.stops.isModified():
            self.stops.setText(write_stops(sampling.stop))
        seed = "any" if default.seed is None else str(default.seed)
        self.seed_dot.show_changed(is_changed=sampling.seed != default.seed, default=seed)
        stops = write_stops(default.stop) or "none"
        self.stops_dot.show_changed(is_changed=sampling.stop != default.stop, default=stops)
        self._show_head()

    def show_support(self, support: FormSupport) -> None:
        """Say what of this the server does not take, and what must be known of what it takes."""
        for wish, key in ((Wish.TOP_K, "top_k"), (Wish.MIN_P, "min_p")):
            self.knobs[key].set_disabled_reason(support.why_not(wish))
        for wish, part in ((Wish.SEED, self.seed), (Wish.STOP, self.stops)):
            why = support.why_not(wish)
            part.setEnabled(not why)
            part.setToolTip(plain_tooltip(why or support.caveat(wish)) if why or support.caveat(wish) else "")
        self.dice.setEnabled(support.takes(Wish.SEED))

    def forget_typing(self) -> None:
        """Drop what was typed and not taken: another chat is shown."""
        for knob in self.knobs.values():
            knob.forget_typing()
        for part in (self.seed, self.stops):
            part.setModified(False)
            self._say("", part)

    def give_back(self) -> None:
        """Set every value shown here to the model's default."""
        self.forget_typing()
        self._take(**{key: getattr(self._default, key) for key in SHOWN})

    def _on_knob(self, key: str) -> None:
        value = self.knobs[key].value()
        self._take(**{key: round(value) if value is not None and key in _WHOLE else value})

    def _on_seed(self) -> None:
        if self.seed.isModified():
            read = read_number(self.seed.text(), _SEED)
            self._say(read.problem, self.seed)
            if not read.problem:
                self._take(seed=None if read.value is None else round(read.value))

    def _throw(self) -> None:
        self._say("", self.seed)
        self._take(seed=QRandomGenerator.global_().bounded(MAX_SEED))

    def _on_stops(self) -> None:
        if self.stops.isModified():
            stops, problem = read_stops(self.stops.text())
            self._say(problem, self.stops)
            if not problem:
                self._take(stop=stops)

    def _take(self, **changes: Any) -> None:
        changed = replace(self._stored, **changes)
        has_changed = changed != self._stored
        self.show_sampling(changed, self._default)
        if has_changed:
            self.changed.emit(changed)

    def _say(self, problem: str, part: TextInput) -> None:
        """Show what is wrong with what was typed; what is right is taken, and the field shows it as it was taken."""
        if not problem:
            part.setModified(False)
        self.problems[part].setText(problem)
        self.problems[part].setVisible(bool(problem))
        part.set_error(bool(problem))
        part.setAccessibleDescription(problem)

    def _show_head(self) -> None:
        sampling = self._stored
        heat = (
            DEFAULT_WORDS
            if sampling.temperature is None
            else self.knobs["temperature"].kind.limits.shown(sampling.temperature)
        )
        others = sum(1 for key in SHOWN[1:] if getattr(sampling, key) != getattr(self._default, key))
        self.head.set_summary(f"temperature {heat}" + (f", {others} more changed" if others else ""))
        is_changed = any(getattr(sampling, key) != getattr(self._default, key) for key in SHOWN)
        # Folded, the line needs its room for what is set.
        self.reset.setVisible(is_changed and self.head.isChecked())
