"""The form's widgets. They hold nothing: each change goes to the view-model, and what it says comes back.

The one rule: an error stands under its own field; a field keeps what was typed.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QCompleter, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.playbooks.switch import load_timeout_of
from ui import text
from ui.launch.choice.option import Offer, hints_of, key_of, split_of
from ui.launch.form import OLLAMA_TITLES
from ui.launch.model import TITLES, LaunchModel
from ui.launch.occasion.embed import can_embed
from ui.launch.part.context_input import ContextInput
from ui.launch.part.entry import Entry, LinesInput
from ui.launch.part.foot import FormFoot
from ui.launch.part.node_picker import NodePicker
from ui.launch.part.serving_part import ServingPart
from ui.launch.part.tab_order import place_after
from ui.launch.part.workload_part import WorkloadPart
from ui.launch.serving.default import suggestion_of
from ui.launch.serving.fields import CHAT_PURPOSES, OLLAMA, write_patience
from ui.launch.serving.offer import WORD_FIELDS, gguf_files
from ui.launch.serving.section import has_place, section_of
from ui.launch.standing import describe_shape
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card, Separator
from ui.widgets.field import Field, Select, Stepper, TextInput
from ui.widgets.field_row import field_row
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.segmented import Segmented

SPLIT_COLUMNS = 3
SIGHT_PX = 60
"""Above and below what is brought to sight."""
_OFFERING = frozenset((*WORD_FIELDS, "purpose", "reach"))
_SAID_BY_PLAN = frozenset(("nodes", ""))
"""Where the plan's own list says what is to be minded, beside the ledgers that it is about."""


class FormPanel(Card):
    """The whole form. Folded, it has the catalogue's list of choice and its ways in too."""

    paste_asked = Signal()
    import_asked = Signal()

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._is_filling = False
        self.title = Label("", "object_title", "text", is_wrapped=True)
        self.shape = Label("", "label", "text3", is_wrapped=True)
        self.catalogue = Select()
        self.paste = IconButton("terminal", "Paste a command, recipe or hub id")
        self.opener = IconButton("download", "Import a recipe")
        self.workload = WorkloadPart()
        self.model_name = TextInput(placeholder="owner/name or a name from the list")
        self.choices = {name: Select() for name in ("engine", "quantization", "build", "kv_dtype", "speculative")}
        self.engine, self.quantization = self.choices["engine"], self.choices["quantization"]
        self.weights = TextInput(placeholder="~/models/file.gguf", is_mono=True)
        self.nodes = NodePicker()
        self.split = Segmented([], what=TITLES["parallelism"], columns=SPLIT_COLUMNS)
        self.context = ContextInput()
        self.concurrency = Stepper(1, 4096, 1, what=TITLES["concurrency"])
        self.port, self.served = TextInput(), TextInput()
        self.flags = LinesInput("--flag value", 2)
        self.environment = LinesInput("NAME=value", 2)
        self.foot = FormFoot(model)
        self._shown: dict[str, tuple[Offer, ...]] = {}
        editors: dict[str, QWidget] = {
            "model": self.model_name,
            **self.choices,
            "weights_path": self.weights,
            "nodes": self.nodes,
            "parallelism": self.split,
            "context_tokens": self.context,
            "concurrency": self.concurrency,
            "served_name": self.served,
            "port": self.port,
            "extra_flags": self.flags,
            "environment": self.environment,
        }
        self.serving = ServingPart(self._tell, self._take_made)
        self.beside = Button("Embedding server beside it", kind="link", is_small=True, icon="plus")
        self.beside.setToolTip("Fill the form with a small embedding server on the same node")
        self._seen: frozenset[str] = frozenset()
        """Fields that were shown because something is wrong with them, or a fix changed them."""
        self._files: list[str] = []
        self._own = {name: Entry(name, TITLES[name], editor) for name, editor in editors.items()}
        self.fields = self._own | self.serving.entries
        """The entries by name, as far as they are made: one in a fold is when the fold is opened first."""
        self._build()
        self._wire()
        model.form_changed.connect(self.fill)
        model.preview_changed.connect(self._show_answers)
        self.fill()

    def _build(self) -> None:
        self.fields["parallelism"].set_hint("one GPU a node")
        self.fields["purpose"].add_action(self.beside)
        self.serving.anchors = {self.serving.custom: self.quantization, self.serving.speculation: self.choices["build"]}
        self.fields["extra_flags"].set_hint("as on the command line")
        self.fields["environment"].set_hint("one a line; no secrets")
        # Into the window's tree first: what is put in later is dressed once, and not at each step up.
        self._area = area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # each of its fields brings itself to sight
        inner = QWidget()
        inner.setProperty("tone", "page")
        area.setWidget(inner)
        form = QVBoxLayout(inner)
        form.setContentsMargins(15, 12, 15, 14)
        form.setSpacing(12)
        self._pick_field = Field("Catalogue", self.catalogue)
        self._fill_column(form)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addWidget(area, 1)
        column.addWidget(Separator())
        column.addWidget(self.foot)
        self.set_folded(is_folded=False)

    def _fill_column(self, form: QVBoxLayout) -> None:
        ways = QHBoxLayout()
        ways.setSpacing(2)
        ways.addWidget(self.opener)
        ways.addWidget(self.paste)
        holder = QWidget()
        holder.setLayout(ways)
        ways.setContentsMargins(0, 0, 0, 0)
        self._picks = QWidget()
        self._picks.setLayout(field_row(self._pick_field, holder))
        form.addWidget(self._picks)
        title = QVBoxLayout()
        title.setSpacing(2)
        title.addWidget(self.title)
        title.addWidget(self.shape)
        form.addLayout(title)
        form.addWidget(self.workload)
        form.addWidget(self.fields["model"])
        form.addWidget(self.fields["purpose"])
        self._add_pair(form, "engine", "quantization")
        form.addWidget(self.serving.custom)
        form.addWidget(self.fields["weights_path"])
        form.addWidget(self.fields["nodes"])
        form.addWidget(self.fields["parallelism"])
        form.addWidget(self.fields["context_tokens"])
        self._add_pair(form, "concurrency", "kv_dtype")
        self._add_pair(form, "speculative", "build")
        form.addWidget(self.serving.speculation)
        form.addWidget(Separator())
        self._add_pair(form, "served_name", "port", shares=(3, 2))
        form.addWidget(self.fields["reach"])
        folds = QVBoxLayout()
        folds.setSpacing(2)
        for fold in self.serving.folds.values():
            folds.addWidget(fold)
        form.addLayout(folds)
        form.addWidget(self.fields["extra_flags"])
        form.addWidget(self.fields["environment"])
        form.addStretch(1)

    def _add_pair(self, form: QVBoxLayout, first: str, second: str, shares: tuple[int, int] = (1, 1)) -> None:
        """Two fields beside each other; what is wrong with them stands below, where there is room for it."""
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.fields[first], shares[0])
        row.addWidget(self.fields[second], shares[1])
        form.addLayout(row)
        form.addWidget(self.fields[first].error_label())
        form.addWidget(self.fields[second].error_label())

    def _wire(self) -> None:
        texts = {
            "model": self.model_name,
            "weights_path": self.weights,
            "port": self.port,
            "served_name": self.served,
        }
        for name, line in texts.items():
            line.textEdited.connect(lambda typed, name=name: self._model.set_field(name, typed))
        self.model_name.editingFinished.connect(self._model.settle_name)
        for name, lines in {"extra_flags": self.flags, "environment": self.environment}.items():
            lines.textChanged.connect(lambda name=name, lines=lines: self._tell(name, lines.toPlainText()))
        for name, choice in self.choices.items():
            choice.currentIndexChanged.connect(lambda _i, name=name, choice=choice: self._tell(name, choice.key()))
        for field in self.fields.values():
            field.reset_asked.connect(self._model.reset)
        self.catalogue.currentIndexChanged.connect(lambda _i: self._pick())
        self.concurrency.changed.connect(lambda value: self._tell("concurrency", value))
        self.context.edited.connect(lambda typed: self._tell("context_tokens", typed))
        self.split.changed.connect(lambda key: self._tell("parallelism", split_of(key)))
        self.paste.clicked.connect(self.paste_asked)
        self.opener.clicked.connect(self.import_asked)
        self.beside.clicked.connect(self._model.add_beside)
        self.nodes.toggled.connect(self._model.toggle_node)
        self.workload.preset_chosen.connect(self._model.choose_workload)
        self.workload.edited.connect(self._tell)

    def _take_made(self) -> None:
        """Fields were made that nobody has asked for before."""
        for name in self.serving.entries.keys() - self.fields.keys():
            self.fields[name] = self.serving.entries[name]
            self.fields[name].reset_asked.connect(self._model.reset)
        if not self._is_filling:
            self.fill()
            self._show_answers()

    def _tell(self, name: str, value: object) -> None:
        if not self._is_filling:
            self._model.set_field(name, value)

    def _pick(self) -> None:
        if not self._is_filling and self.catalogue.key():
            self._model.pick(self.catalogue.key())

    def set_ways(self, *, can_paste: bool, can_import: bool) -> None:
        """Show the ways in that there are."""
        self.paste.setVisible(can_paste)
        self.opener.setVisible(can_import)

    def set_folded(self, *, is_folded: bool) -> None:
        """Show the catalogue as a list of choice above the form, where there is no room for it beside."""
        self._picks.setVisible(is_folded)

    def fill(self) -> None:
        """Show the form as the view-model has it."""
        self._is_filling = True
        model, form, spec = self._model, self._model.form, self._model.spec()
        self.title.setText(spec.title if spec else text.one_line(form.model, 128) or "No model chosen")
        self.shape.setText(describe_shape(spec, form.model))
        said = [part for part in (spec.licence, spec.source) if part] if spec else []
        self.shape.setToolTip(plain_tooltip("\n".join(said)) if said else "")
        entries = [Offer(each.name, each.title) for each in model.feeds.catalogue]
        self._offer("catalogue", self.catalogue, [Offer("", "Choose a model"), *entries], spec.name if spec else "")
        for name, choice in self.choices.items():
            self._offer(name, choice, model.offers(name), getattr(form, name))
        self.workload.fill(form)
        for line, value in (
            (self.model_name, form.model),
            (self.weights, form.weights_path),
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
        self.context.set_value(form.context_tokens, spec.context_tokens if spec else None)
        info, profile = model.info(), model.feeds.engines.get(form.engine)
        self.fields["weights_path"].setVisible(bool(info and info.needs_weights_path))
        for name in ("kv_dtype", "speculative", "build"):
            has_words = profile is not None or name in form.touched
            self.fields[name].setVisible(has_words and has_place(name, form))
        self._fill_serving()
        changed = model.changed_fields()
        for name, words in hints_of(form, model.backends, model.feeds.engines).items():
            # Beside the sign of a change there is no room for it; who chose it has seen it.
            self.fields[name].set_hint("" if name == "kv_dtype" and name in changed else words)
        for name, field in self.fields.items():
            field.set_changed(is_changed=name in changed, is_fixed=name in model.occasion.fixed)
        self._show_nodes()
        self._is_filling = False

    def _fill_serving(self) -> None:
        model, form = self._model, self._model.form
        self.serving.fill(form, lambda name: model.offers(name) if name in _OFFERING else [])
        for name in ("extra_flags", "environment"):
            self.fields[name].setVisible(has_place(name, form))
        own = suggestion_of(form.engine, form.model, model.spec())
        for name, word in zip(("tool_parser", "reasoning_parser"), own, strict=True):
            is_own = bool(word) and getattr(form, name) == word
            if name in self.fields:
                self.fields[name].set_hint("suggested" if is_own else f"try {word}" if word else "")
        is_service = form.engine == OLLAMA
        for name, title in OLLAMA_TITLES.items():
            self.fields[name].set_title(title if is_service else TITLES[name])
        self.served.setPlaceholderText("gpt-oss:120b" if is_service else "")
        self.beside.setVisible(form.purpose in CHAT_PURPOSES and can_embed(model.backends))
        self._offer_files()

    def _offer_files(self) -> None:
        """The model files of the node, while a path is typed."""
        nodes, contexts = self._model.form.nodes[:1], self._model.feeds.contexts.value
        files = gguf_files(next((each for each in contexts if each.record.id in nodes), None))
        if files != self._files:
            self._files = files
            completer = QCompleter(files, self.weights)
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
            completer.activated.connect(lambda path: self._tell("weights_path", path))
            self.weights.setCompleter(completer)
        self.fields["weights_path"].set_hint(f"{len(files)} on the node" if files else "")

    def _offer(self, name: str, choice: Select, offers: list[Offer], chosen: str) -> None:
        if self._shown.get(name) != tuple(offers):
            self._shown[name] = tuple(offers)
            choice.set_options([(offer.key, offer.title) for offer in offers])
            for offer in offers:
                choice.set_disabled_reason(offer.key, offer.reason)
        choice.set_key(chosen)

    def _show_nodes(self) -> None:
        model, form = self._model, self._model.form
        before = list(self.nodes.chips)
        self.nodes.show_nodes(model.feeds.ranked_contexts(), form.nodes, form.pool)
        if before != self.nodes.chips:
            place_after(self.quantization, self.nodes)
        self.fields["nodes"].set_hint(model.nodes_hint() or "free for a model")
        is_divided = len(form.nodes) > 1
        self.fields["parallelism"].setVisible(is_divided)
        if not is_divided:
            return
        offers = tuple(model.offers("parallelism"))
        if [each.key for each in self._shown.get("parallelism", ())] != [each.key for each in offers]:
            self.split.set_options([(offer.key, offer.title) for offer in offers])
            place_after(self.nodes.chips[-1], self.split)
        self._shown["parallelism"] = offers
        for offer in offers:
            self.split.set_disabled_reason(offer.key, offer.reason)
        chosen = key_of(form.parallelism)
        self.split.set_key(chosen)
        # What stands in the way of the chosen one is said without pointing at it.
        own = next((offer.reason for offer in offers if offer.key == chosen), "")
        self.fields["parallelism"].set_error(model.preview.errors.get("parallelism", "") or own)

    def _show_answers(self) -> None:
        model = self._model
        errors, hints, warnings = model.preview.errors, model.preview.hints, model.preview.warnings
        # A fix may have changed what is folded, and what is wrong there would not be seen.
        seen = frozenset(errors) | model.occasion.fixed
        fresh, self._seen = seen - self._seen, seen
        self.serving.open_for(fresh)
        self._bring_to_sight(fresh)
        self.serving.mark(errors, warnings)
        notes = {"reach": model.reach.words(model.form)}
        for name, part in self.fields.items():
            part.set_error(errors.get(name, ""))
            part.set_remarks(warnings.get(name, "") if name not in _SAID_BY_PLAN else "", notes.get(name, ""))
            part.setToolTip(plain_tooltip(hints[name]) if name in hints else "")
        self.workload.show_errors(model.load_errors)
        self.fields["context_tokens"].set_hint(self._context_hint())
        self._show_patience()
        self._show_nodes()

    def _bring_to_sight(self, names: Collection[str]) -> None:
        """Scroll to the first of these in a fold, unless somebody works at the form."""
        name = next((each for each in self.fields if each in names and section_of(each)), "")
        at = QApplication.focusWidget()
        if name and (at is None or not self.isAncestorOf(at)):
            field = self.fields[name]
            QTimer.singleShot(0, field, lambda: self._area.ensureWidgetVisible(field, 0, SIGHT_PX))

    def _show_patience(self) -> None:
        """How long the load is waited for, where nobody says."""
        plan, entry = self._model.preview.plan, self.fields.get("load_timeout_s")
        if entry is not None and plan is not None and not self._model.form.load_timeout_s.strip():
            planned = write_patience(load_timeout_of(plan.playbook))
            if isinstance(entry.editor, TextInput):
                entry.editor.setPlaceholderText(f"{planned}, as planned" if planned else "As planned")

    def _context_hint(self) -> str:
        spec, row = self._model.spec(), self._model.row
        parts = []
        limit = spec.context_tokens if spec is not None and spec.context_tokens else math.inf
        if row is not None and row.max_context_tokens is not None and row.max_context_tokens < limit:
            parts.append(f"fits {text.pool(row.max_context_tokens)}")
        if spec is not None and spec.context_tokens:
            parts.append(f"max {text.pool(spec.context_tokens)}")
        return " · ".join(parts)
