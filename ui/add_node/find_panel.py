"""Find my Sparks: where it looks on the left, what it found on the right, and the ones chosen.

Rule: nothing is logged in to here; choosing leads to the three rows of each machine in turn.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from ui import theme
from ui.add_node.behind import Behind, BehindModel
from ui.add_node.candidate_list import CandidateList
from ui.add_node.search_model import SearchModel
from ui.add_node.source_list import SourceList
from ui.add_node.words import name_of
from ui.widgets.banner import Banner, BannerKind
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator, card_header
from ui.widgets.empty_state import IconTile
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.loader import Loader

_REASONS = (
    (
        "network",
        "It is in another subnet: mDNS ends at the router. Type its address range on the left, or its address.",
    ),
    ("globe", "The Wi-Fi keeps its clients apart. Connect this computer or the Spark by cable."),
    ("clock", "It is still booting: a Spark takes 3 to 4 minutes until SSH answers. Then search again."),
)
_BOOTING = "It is off, or still booting: a Spark takes 3 to 4 minutes until SSH answers. Then look again."
_BEHIND = (
    ("cable", "Its cable is out, or not all the way in. Look at both ends, then look again."),
    ("clock", _BOOTING),
    ("globe", "It has no IPv6, by which it is reached over a cable. Add it by its address on your network."),
)
_NOBODY = "Nothing answers behind {} now"
_SOURCES_WIDTH = 344


class NothingFound(QWidget):
    """What it can be that nothing was found, and what to do about each: icons with sentences."""

    def __init__(self, again: str, causes: tuple[tuple[str, str], ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Label("No machine answered", "object_title", "text")
        self.address_button = Button("Add by address", kind="primary", icon="plus")
        self.again_button = Button(again, icon="refresh-cw")
        reasons = QWidget()
        reasons.setFixedWidth(460)
        lines = QVBoxLayout(reasons)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.setSpacing(10)
        for icon, words in causes:
            line = QHBoxLayout()
            line.setSpacing(10)
            line.addWidget(IconLabel(icon, "text3", size=16), 0, Qt.AlignmentFlag.AlignTop)
            line.addWidget(Label(words, "body", "text2", is_wrapped=True), 1)
            lines.addLayout(line)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.again_button)
        buttons.addWidget(self.address_button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setSpacing(14)
        column.addStretch(1)
        for part in (IconTile("radar", size=44), self.title, reasons):
            column.addWidget(part, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(6)
        column.addLayout(buttons)
        column.addStretch(1)


class FindPanel(QWidget):
    """`add_wanted` carries the candidates chosen; `address_wanted`: by address instead; `back_wanted`: leave."""

    add_wanted = Signal(object)
    address_wanted = Signal()
    back_wanted = Signal()

    def __init__(self, search: SearchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._search = search
        self.behind = BehindModel(search, self)
        self.sources = SourceList(search)
        self.list = CandidateList(search)
        self.told = Banner()
        self.nothing = NothingFound("Search again", _REASONS)
        self.nobody = NothingFound("Look again", _BEHIND)
        self._wait_words = Label("", "body", "text2")
        self._waiting = _waiting(self._wait_words)
        self._count = Label("", "dense_strong", "text")
        self._chosen = Label("", "dense", "text3")
        self.back_button = Button("Back", kind="text", icon="undo-2")
        self.stop_button = Button("Stop", icon="square")
        self.again_button = Button("Search again", icon="refresh-cw")
        self.address_button = Button("Add by address", kind="link")
        self.add_button = Button("Add", kind="primary")
        self._stack = QStackedWidget()
        self._build()
        self._wire()
        self.refresh()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(Label("Find my Sparks", "page_title", "text"))
        head.addStretch(1)
        for button in (self.back_button, self.stop_button, self.again_button):
            head.addWidget(button)
        self.sources.setFixedWidth(_SOURCES_WIDTH)
        found = Card()
        column = found.column(spacing=0, margins=(1, 1, 1, 1))
        top = card_header("", "")
        top.setContentsMargins(14, 10, 14, 10)
        top.insertWidget(0, self._count)
        column.addLayout(top)
        column.addWidget(Separator())
        for part in (self._waiting, self.list, self.nothing, self.nobody):
            self._stack.addWidget(part)
        column.addWidget(self._stack, 1)
        self._bottom = self._make_bottom()
        column.addWidget(self._bottom)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(self.sources)
        body.addWidget(found, 1)
        page = QVBoxLayout(self)
        page.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        page.setSpacing(theme.GAP)
        page.addLayout(head)
        page.addWidget(self.told)
        page.addLayout(body, 1)

    def _make_bottom(self) -> QWidget:
        bar = QWidget()
        line = QHBoxLayout()
        line.setContentsMargins(14, 10, 14, 10)
        line.setSpacing(14)
        line.addWidget(self.address_button)
        line.addStretch(1)
        line.addWidget(self._chosen)
        line.addWidget(self.add_button)
        column = QVBoxLayout(bar)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(Separator())
        column.addLayout(line)
        return bar

    def _wire(self) -> None:
        search = self._search
        self.sources.range_given.connect(self._search_range)
        self.stop_button.clicked.connect(self._stop)
        for button in (self.again_button, self.nothing.again_button):
            button.clicked.connect(self.search_again)
        for button in (self.address_button, self.nothing.address_button, self.nobody.address_button):
            button.clicked.connect(self.address_wanted)
        self.nobody.again_button.clicked.connect(self.behind.look_again)
        self.told.action_clicked.connect(self.behind.look_again)
        self.behind.changed.connect(self.refresh)
        self.back_button.clicked.connect(self._leave)
        self.add_button.clicked.connect(self._add)
        for signal in (search.found_changed, search.progress_changed, search.chosen_changed):
            signal.connect(self.refresh)

    def open(self) -> None:
        """Begin to look, unless that is under way, and put the keyboard into the list."""
        if not self._search.is_searching or self.behind.place is not None:
            self.behind.leave()
            self._search.search(self._search.ranges)
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def open_behind(self, place: Behind) -> None:
        """Look for the machine behind one cage, which its `behind` tells of."""
        self.behind.look(place)
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _search_range(self, ranges: str) -> None:
        self.behind.leave()
        self._search.search(ranges)

    def search_again(self) -> None:
        """Look once more, with the range that is typed if it has no mistake."""
        self.behind.leave()
        text = self.sources.range.text()
        self._search.search("" if self._search.range_problem(text) else text)
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self) -> None:
        """Show what is found by now."""
        search = self._search
        count, chosen = len(search.candidates), search.chosen()
        is_searching = search.is_searching
        empty = self.nobody if self.behind.finding == "nobody" else self.nothing
        shown: QWidget = self.list if count else empty if search.has_found_nothing else self._waiting
        self._stack.setCurrentWidget(shown)
        self._show_behind(has_list=shown is self.list)
        words = f"{count} machine{'' if count == 1 else 's'} found"
        self._count.setText(
            f"{words}, still looking" if is_searching and count else words if count else "Machines found"
        )
        self.stop_button.setVisible(is_searching)
        self.again_button.setVisible(not is_searching and shown is not empty)
        # One filled button a screen: where nothing was found it is the one in the middle.
        self._bottom.setVisible(shown is not empty)
        self._chosen.setText(f"{len(chosen)} chosen" if len(chosen) > 1 else "")
        self.add_button.setText(_add_words([name_of(each) for each in chosen]))
        self.add_button.updateGeometry()
        self.add_button.set_disabled_reason("" if chosen else "Choose one or more of the machines found first.")

    def _show_behind(self, *, has_list: bool) -> None:
        """What is to be said of the one machine that is looked for behind a cage."""
        place, finding = self.behind.place, self.behind.finding
        wait = "Looking. What is found appears here at once."
        if place is not None:
            self.nobody.title.setText(_NOBODY.format(place.name))
            wait = f"Asking {place.name} who is at the other end of its cable. This takes a few seconds."
        self._wait_words.setText(wait)
        told = (_NOBODY.format(place.name), _BOOTING) if finding == "nobody" and place is not None else ("", "")
        told = self.behind.words if finding == "told" else told
        if not told[0] or not has_list:
            self.told.setVisible(False)
        elif self.told.isHidden() or self.told.title() != told[0]:
            kind: BannerKind = "warn" if finding == "nobody" else "info"
            self.told.show_notice(kind, *told, action="Look again")

    def _stop(self) -> None:
        self.behind.leave()
        self._search.stop()
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _leave(self) -> None:
        self.behind.leave()
        self._search.stop()
        self.back_wanted.emit()

    def _add(self) -> None:
        chosen = self._search.chosen()
        if chosen:
            self.behind.leave()
            self._search.stop()
            self._search.clear_choice()
            self.add_wanted.emit(chosen)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            if self._search.is_searching:
                self._stop()
            else:
                self._leave()
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.list.hasFocus():
            self._add()
            return
        super().keyPressEvent(event)


def _add_words(names: list[str]) -> str:
    if len(names) == 1 and len(names[0]) <= 24:
        return f"Add {names[0]}"
    return f"Add {len(names)} nodes" if len(names) > 1 else "Add"


def _waiting(words: Label) -> QWidget:
    body = QWidget()
    column = QVBoxLayout(body)
    column.setSpacing(12)
    column.addStretch(1)
    column.addWidget(Loader("Looking for machines", size=20), 0, Qt.AlignmentFlag.AlignHCenter)
    column.addWidget(words, 0, Qt.AlignmentFlag.AlignHCenter)
    column.addStretch(1)
    return body
