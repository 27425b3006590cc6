"""The bring-up page: what is chosen, the chapters, the matrix of checks, what is changed, the proof, the clock.

The one rule: it only shows and asks; nothing changes a node but by a signal that a press of a button emits.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.state import Phase
from ui import theme
from ui.bringup.change_card import ChangeCard
from ui.bringup.check_card import CheckCard
from ui.bringup.evidence import WIDTH as EVIDENCE_WIDTH
from ui.bringup.evidence import EvidencePanel
from ui.bringup.manifest_dialog import ManifestDialog
from ui.bringup.model import BringUpModel
from ui.bringup.offer import UNDER_WAY, Offer, head_line, head_words, verdict_of
from ui.bringup.proof_card import KINDS, ProofCard
from ui.bringup.rollback import RollbackCard, RollbackLines
from ui.bringup.setup_strip import SetupStrip
from ui.bringup.side import SideCard
from ui.bringup.told import TOLD, Notice, notice_of, stranger_words
from ui.node.wrap import wrap_line
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.chip import Chip
from ui.widgets.drawer import Drawer
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import ElidedLabel, Label

TICK_MS = 1000
SOON_MS = 80
LOOK_AFTER_MS = 400
"""So long after the last choice the nodes are read again."""
NARROW_PX = 1120
"""A page that is narrower has beneath the matrix what the chapter that is looked at changes; or, of the proof's, what
is measured, with its commands a scroll away."""
PROOF_PX, PROVED_PX = 276, 336
CLOCK_PX = 276
CHECKS_PX, CHECKS_NARROW_PX = 180, 208
CHANGE_PX, CHANGE_NARROW_PX = 190, 204
PROOF_NARROW_PX = 276
_CHOOSING = (Phase.IDLE, Phase.READING, Phase.PLANNED, Phase.UNDONE)


class _Inside(QWidget):
    """What scrolls: it is no higher than it must be, so that it does not scroll where its parts can be lower."""

    def heightForWidth(self, width: int) -> int:
        layout = self.layout()
        return layout.minimumHeightForWidth(width) if layout is not None else -1


class BringUpPage(QWidget):
    """The page. Everything it wants done it asks for by a signal."""

    look_asked = Signal(tuple, object)
    """The nodes' ids, and the Choices."""
    apply_asked = Signal(frozenset)
    """The chapters to apply; empty: all of them."""
    prove_asked = Signal()
    pause_asked = Signal()
    cancel_asked = Signal()
    resume_asked = Signal()
    undo_asked = Signal(object, object)
    """A frozenset of step ids, or None for all."""
    roll_back_asked = Signal(str)
    answered = Signal(str, bool)
    """A node's id, and whether to keep what is tried on it."""
    add_asked = Signal(str, str)
    """Node and cage behind which another Spark was seen."""
    save_asked = Signal(str)
    """markdown, json or plan."""
    close_asked = Signal()

    def __init__(self, model: BringUpModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.dialog: ManifestDialog | None = None
        self._cell = ("", "")
        self._told: Notice | None = None
        self._dismissed: Notice | None = None
        self._was_proving = self._is_asking = False
        self.words = ElidedLabel("", "dense", "text3")
        self.verdict = Chip()
        self.simulated = Chip("Simulated", "simulated")
        self.chip = Chip("Nothing runs before you see it", "neutral", "eye")
        self.buttons: dict[str, Button] = {}
        self._offers: tuple[Offer, ...] = ()
        self.close_button = Button("Close", kind="text", icon="x")
        self.setup = SetupStrip(model)
        self.banner = Banner()
        self.stranger = Banner()
        self.lines = RollbackLines()
        self.clock = RollbackCard()
        self.side = SideCard(model)
        self.checks = CheckCard(model)
        self.change = ChangeCard(model)
        self.proof = ProofCard(model)
        self.empty = EmptyState("cable", "No node to bring up", "", action="Go to the cluster")
        self.panel = EvidencePanel(model.name_of)
        self.drawer = Drawer(self, width=EVIDENCE_WIDTH)
        self._row = QHBoxLayout()
        self._over = QVBoxLayout()
        self._lower = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._right = QVBoxLayout()
        self._stack = QStackedWidget()
        self._tick = QTimer(self, interval=TICK_MS)
        self._soon = QTimer(self, interval=SOON_MS, singleShot=True)
        self._look_soon = QTimer(self, interval=LOOK_AFTER_MS, singleShot=True)
        self._build()
        self._wire()

    def _build(self) -> None:
        self._row.setSpacing(8)
        self._row.addStrut(theme.CONTROL_HEIGHT)
        self._row.addWidget(Label("Bring-up", "page_title", "text"))
        self._row.addWidget(self.words)
        self._row.addWidget(self.verdict)
        self._row.addStretch(1)
        self._row.addWidget(self.simulated)
        self._row.addWidget(self.chip)
        self._row.addWidget(self.close_button)
        column = QVBoxLayout(self)
        edge = theme.PAGE_PADDING
        column.setContentsMargins(edge, edge, edge, edge)
        column.setSpacing(theme.GAP)
        column.addLayout(self._row)
        for part in (self.stranger, self.banner, self.setup, self.lines):
            column.addWidget(part)
        column.addWidget(self._stack, 1)
        self._stack.addWidget(self._make_body())
        self._stack.addWidget(self.empty)
        self.drawer.set_panel(self.panel)
        self.panel.setVisible(False)
        self.setAccessibleName("Bring-up")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # the head of the Tab order has to be a widget with a policy

    def _make_body(self) -> QWidget:
        self._lower.setSpacing(theme.GAP)
        self._lower.addWidget(self.change, 1)
        self._lower.addWidget(self.proof)
        self._lower.addWidget(self.clock)
        inside = _Inside()
        inside.setProperty("tone", "page")
        self._right = QVBoxLayout(inside)
        self._right.setContentsMargins(0, 0, 0, 0)
        self._right.setSpacing(theme.GAP)
        self._right.addWidget(self.checks, 6)
        self._right.addLayout(self._lower, 6)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inside)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.viewport().installEventFilter(self)
        body = QWidget()
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        row.addWidget(self.side)
        self._over.setSpacing(theme.GAP)
        self._over.addWidget(self.area, 1)
        row.addLayout(self._over, 1)
        return body

    def _wire(self) -> None:
        self._tick.timeout.connect(self._show_time)
        self._soon.timeout.connect(self.refresh)
        self._look_soon.timeout.connect(self._look_again)
        self.model.changed.connect(self._refresh_soon)
        self.model.chosen.connect(self._look_soon.start)
        self.close_button.clicked.connect(self.close_asked)
        self.empty.action_clicked.connect(self.close_asked)
        self.banner.action_clicked.connect(self._undo_told)
        self.banner.closed.connect(self._dismiss)
        self.stranger.action_clicked.connect(self._add_stranger)
        self.checks.cell_chosen.connect(self.show_evidence)
        self.panel.shut.connect(self.drawer.close_drawer)
        self.drawer.closed.connect(self.checks.focus_table)
        self.change.apply_asked.connect(self._apply_chapter)
        self.change.export_asked.connect(partial(self.save_asked.emit, "plan"))
        self.proof.save_asked.connect(self.save_asked)
        self.side.manifest.clicked.connect(lambda: self.open_manifest())
        self.side.undo.clicked.connect(lambda: self.open_manifest(shows_undo=True))
        for part in (self.clock, self.lines):
            part.answered.connect(self.answered)
            part.roll_back_asked.connect(self.roll_back_asked)

    # What the person does -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read the nodes that are chosen; this changes nothing."""
        self._look_soon.stop()
        if self.model.can_look() and self.model.state.phase is not Phase.READING:
            self.look_asked.emit(self.model.node_ids(), self.model.choices())

    def _look_again(self) -> None:
        """After a choice: read what is shown for others; while they are read, later."""
        if self.model.state.phase is Phase.READING:
            self._look_soon.start()
        elif self.model.can_look() and not self.model.is_fresh():
            self.look()

    def _press(self, key: str) -> None:
        signals = {
            "prove": self.prove_asked,
            "pause": self.pause_asked,
            "cancel": self.cancel_asked,
            "resume": self.resume_asked,
        }
        if key == "look":
            self.look()
        elif key == "apply":
            self.apply_asked.emit(frozenset())
        elif key == "undo":
            self.undo_asked.emit(None, ())
        elif key == "chapter":
            self._apply_chapter(self.model.chapter.value)
        else:
            signals[key].emit()

    def _apply_chapter(self, chapter: str) -> None:
        if chapter == "proof":
            self.prove_asked.emit()
        else:
            self.apply_asked.emit(frozenset({chapter}))

    def _dismiss(self) -> None:
        self._dismissed = self._told

    def _add_stranger(self) -> None:
        cable = self.model.strange_spark()
        if cable is not None:
            self.add_asked.emit(*cable.a)

    def show_evidence(self, row_id: str, node_id: str) -> None:
        """Open the drawer with what stands behind a cell."""
        self._cell = (row_id, node_id)
        evidence = self.model.evidence(row_id, node_id)
        if evidence is not None:
            self.panel.show_evidence(evidence)
            self.panel.setVisible(True)
            self.drawer.open()
            self.panel.close_button.setFocus(Qt.FocusReason.OtherFocusReason)

    def _undo_told(self) -> None:
        undoable = self.model.state.undoable_count  # of nothing there is nothing to choose
        self.open_manifest(shows_undo=True) if undoable else self.undo_asked.emit(None, ())

    def open_manifest(self, *, shows_undo: bool = False) -> None:
        """Show what was done, and what takes it back."""
        if self.dialog is not None:
            self.dialog.reject()
        dialog = ManifestDialog(self.model, self, shows_undo=shows_undo)
        dialog.undo_asked.connect(self.undo_asked)
        dialog.finished.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _forget_dialog(self, _code: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_F5:
            self.look()
            event.accept()
            return
        if event.key() == Qt.Key.Key_Escape and self.drawer.isVisible():
            self.drawer.close_drawer()
            event.accept()
            return
        button = self.focusWidget()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(button, Button) and not button.is_busy():
            button.click()  # Qt presses a button outside of a dialog by the space bar alone
            event.accept()
            return
        super().keyPressEvent(event)

    # What it shows ------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._tick.start()
        if self.model.state.phase is Phase.IDLE:
            # Reading changes nothing, so nobody has to ask for it.
            QTimer.singleShot(0, self, self.look)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        for timer in (self._tick, self._soon, self._look_soon):
            timer.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()  # a banner came or went
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        """Proof and clock beside what is changed where there is room, else below it and above the matrix."""
        self._show_proof_card()
        is_narrow = self.width() < NARROW_PX
        state = self.model.state
        is_proof_first = state.phase is Phase.PROVING or bool(state.measurements)
        is_choosing = state.phase in _CHOOSING and self._stack.currentIndex() == 0
        self.chip.setVisible(is_choosing and not (is_narrow and self.model.is_step_by_step))
        down = QBoxLayout.Direction.BottomToTop if is_proof_first else QBoxLayout.Direction.TopToBottom
        self._lower.setDirection(down if is_narrow else QBoxLayout.Direction.LeftToRight)
        self.clock.set_lying(is_narrow)
        self.proof.set_lying(is_lying=is_narrow)
        self.setup.set_narrow(is_narrow=is_narrow)
        self.side.set_narrow(is_narrow=is_narrow)
        # Once something is measured matrix and proof fill what is in sight, and the commands follow.
        proof = max(PROOF_NARROW_PX, self.area.viewport().height() // 2)
        checks = self.area.viewport().height() - proof - theme.GAP if is_proof_first else 0
        self.checks.setMinimumHeight(max(CHECKS_NARROW_PX, checks) if is_narrow else CHECKS_PX)
        self.proof.setMinimumHeight(proof if is_narrow else CHANGE_PX)
        self.change.setMinimumHeight(CHANGE_NARROW_PX if is_narrow else CHANGE_PX)
        self.proof.setFixedWidth(16777215 if is_narrow else PROVED_PX if is_proof_first else PROOF_PX)
        self.clock.setFixedWidth(16777215) if is_narrow else self.clock.setFixedWidth(CLOCK_PX)
        if is_narrow and self._lower.indexOf(self.clock) >= 0:
            self._lower.removeWidget(self.clock)
            self._over.insertWidget(0, self.clock)  # it never scrolls out of sight
        elif not is_narrow and self._lower.indexOf(self.clock) < 0:
            self._over.removeWidget(self.clock)
            self._lower.addWidget(self.clock)

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show everything as it is now."""
        state = self.model.state
        is_empty = not self.model.feeds.nodes.value and state.phase is Phase.IDLE
        has_live = bool(self.model.live_nodes()) or state.phase not in (Phase.IDLE,)
        self.words.setText("" if is_empty else head_line(state))
        self.words.setAccessibleName("" if is_empty else head_words(state))
        verdict = verdict_of(state)
        self.verdict.setVisible(verdict is not None)
        if verdict is not None:
            self.verdict.set_state(verdict.words, KINDS[verdict.mark], "check" if verdict.mark == "pass" else None)
        self.simulated.setVisible(self.model.is_simulated())
        self._stack.setCurrentIndex(0 if has_live and not is_empty else 1)
        if not has_live or is_empty:
            self.empty.set_words(*TOLD["none" if is_empty else "away"])
        self.setup.setVisible(state.phase in _CHOOSING and bool(self.model.feeds.nodes.value))
        self.setup.refresh()
        self._show_offers(has_live=has_live and not is_empty)
        self._show_notices()
        self.side.refresh()
        self.checks.refresh()
        self.change.refresh()
        self.proof.refresh()
        self._show_time()
        self._refresh_evidence()
        self._place()
        is_proving = state.phase is Phase.PROVING
        if self._was_proving != is_proving:
            # After the layout: what was measured last has no place before it.
            QTimer.singleShot(0, self, self._show_proof)
        self._was_proving = is_proving

    def _show_proof(self) -> None:
        """Bring the proof into sight, and in it what stands out."""
        inside = self.area.widget()
        for layout in (self.layout(), self._right):
            if layout is not None:
                layout.activate()  # a banner that has just come takes its room first
        QCoreApplication.sendPostedEvents(inside, QEvent.Type.LayoutRequest.value)
        self.area.verticalScrollBar().setValue(0)
        self.area.ensureWidgetVisible(self.proof, 0, 0)
        self.proof.show_first_problem()

    def _show_offers(self, *, has_live: bool) -> None:
        found = self.model.offers() if has_live else ()
        if [offer.key for offer in found] != [offer.key for offer in self._offers]:
            self._make_buttons(found)
        self._offers = found
        for offer in found:
            button = self.buttons[offer.key]
            button.setText(offer.words)
            button.set_kind("primary" if offer.is_primary else "default")
            button.set_busy(offer.is_busy)
            button.set_disabled_reason(offer.reason)
            button.updateGeometry()

    def _make_buttons(self, found: tuple[Offer, ...]) -> None:
        """Give the head its buttons; one that stays keeps its place and the focus."""
        keys = [offer.key for offer in found]
        for key in [key for key in self.buttons if key not in keys]:
            old = self.buttons.pop(key)
            if old.hasFocus():
                self.setFocus(Qt.FocusReason.OtherFocusReason)
            old.setVisible(False)
            self._row.removeWidget(old)
            old.deleteLater()
        for key in keys:
            if key not in self.buttons:
                button = Button("")
                button.clicked.connect(partial(self._pressed, key))
                self.buttons[key] = button
            self._row.removeWidget(self.buttons[key])
            self._row.insertWidget(self._row.indexOf(self.close_button), self.buttons[key])
            self.buttons[key].setVisible(True)
        order = [self, *(self.buttons[key] for key in keys), self.close_button]
        for before, after in pairwise(order):  # else Tab comes to what was made last at the very end
            self.setTabOrder(before, after)

    def _pressed(self, key: str, _is_on: bool = False) -> None:
        self._press(key)

    def _show_notices(self) -> None:
        cable = self.model.strange_spark()
        can_add = cable is not None and self.model.state.phase not in UNDER_WAY
        if cable is not None and can_add:
            words = stranger_words(self.model.name_of(cable.a[0]), cable.a[1])
            if self.stranger.isHidden() or self.stranger.title() != words[0]:
                self.stranger.show_notice("info", *words, action="Add it…")
        else:
            self.stranger.setVisible(False)
        notice = notice_of(self.model.state, is_fresh=self.model.is_fresh())
        if notice == self._told:
            return
        self._told = notice
        if notice is None or notice == self._dismissed:
            self.banner.setVisible(False)
        else:
            undo = "Undo…" if notice.can_undo else ""
            self.banner.show_notice(notice.kind, wrap_line(notice.title), wrap_line(notice.text, 1500), action=undo)

    def _show_time(self) -> None:
        """What a second changes: the clocks."""
        self.side.tick()
        faces = self.model.clock()
        asking = next((face for face in faces if face.question), None)
        self.clock.show_face(asking)
        self._is_asking = asking is not None
        self._show_proof_card()
        self.lines.show_faces(tuple(face for face in faces if face is not asking))

    def _show_proof_card(self) -> None:
        """A question matters more than what is not measured yet, and there is no room for both; where all is narrow
        there is room for what the chapter is about."""
        is_narrow = self.width() < NARROW_PX
        self.proof.setVisible(self.model.chapter is Chapter.PROOF if is_narrow else not self._is_asking)

    def _refresh_evidence(self) -> None:
        evidence = self.model.evidence(*self._cell) if self.drawer.isVisible() else None
        if evidence is not None:
            self.panel.show_evidence(evidence)
        elif self.drawer.isVisible():
            self.drawer.close_drawer()
