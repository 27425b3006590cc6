"""Where a question is written: words, files, images, and "/" for commands.

Rule: what is typed or attached is never lost; it leaves only when it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QImage,
    QMoveEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.chat.message import ImagePart
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.services.chat.attaching import Draft
from ui import theme
from ui.chat.compose.attachment_chip import HEIGHT_PX, AttachmentChip, ChipFace, face_of
from ui.chat.compose.attachment_row import GAP_PX, ChipRow
from ui.chat.compose.command import SlashCommand, offers, split_command
from ui.chat.compose.command_list import CommandList
from ui.chat.compose.context_ring import ContextRing
from ui.chat.compose.editor import Editor
from ui.chat.compose.model import ComposeModel, Item
from ui.chat.compose.picture import make_picture_of, make_thumbnail
from ui.chat.compose.preview import SIDE_PX, PreviewDialog
from ui.font import LINE_HEIGHT
from ui.text import one_line
from ui.theme import color
from ui.widgets.button import Button, IconButton
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

MIN_LINES: Final = 2
PAGE_SHARE: Final = 0.4
"""Of the window's height, at most."""
PLACEHOLDER: Final = "Message, or / for commands. Enter queues while the model is writing."
PLACEHOLDER_PLAIN: Final = "Message. Enter sends, Shift+Enter begins a new line."
NO_EYES: Final = "Not sent: this model sees no images"
MAYBE_EYES: Final = "Whether this model sees images is not known; they are sent."
NEW_KEY: Final = "new"
"""Of the draft for a conversation that has not begun: its own id is another after each start."""
_CHIP_LINES: Final = 3
"""Lines of attachments that are seen at once; the rest scrolls."""
_MOST_REFUSED: Final = 3
"""Files that were not attached and are told with their reasons; of the others their number."""
_THUMBNAIL_PX: Final = 128
IMAGE_FILTER: Final = "Images (*.png *.jpg *.jpeg *.webp *.gif)"


class Composer(QWidget):
    """`sent` carries a Draft; the field is emptied by `clear` when it is on its way."""

    sent = Signal(object)
    stopped = Signal()
    edit_last_asked = Signal()
    command_asked = Signal(str, str)
    """A command's name and its argument ("" when it has none)."""

    def __init__(
        self,
        model: ComposeModel | None = None,
        commands: Sequence[SlashCommand] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.model = model or ComposeModel(parent=self)
        self.editor = Editor()
        self.attach = IconButton("paperclip", "Attach files (text, code, PDF, images)")
        self.row = ChipRow()
        self.send = IconButton("arrow-up", "Send", size=32, is_filled=True)
        self.stop = Button("Stop", icon="square")
        self.notice = Label("", "label", "warn", is_wrapped=True)
        self.ring = ContextRing()
        self.dialog: QFileDialog | None = None
        self.preview: PreviewDialog | None = None
        self.list: CommandList | None = None
        self._chip_area = QScrollArea()
        self._commands = tuple(commands)
        self._chips: dict[int, AttachmentChip] = {}
        self._takes_images: bool | None = None
        self._reason, self._is_answering, self._is_dropping = "", False, False
        self._refused: list[str] = []
        self._conversation_id, self._server_id = "", ""
        self._window: QWidget | None = None
        self._build()
        self._wire()
        self.show_state(is_answering=False, reason="")
        self._show_items()

    # What the page says ----------------------------------------------------------------------------------------

    def show_conversation(self, conversation_id: str, *, has_begun: bool) -> None:
        """Write in this conversation: its draft is shown. All that have not begun share one, which outlives a start.

        Call it whenever another conversation is shown, and when one begins.
        """
        key = conversation_id if has_begun else NEW_KEY
        if has_begun and conversation_id == self._conversation_id and self.model.conversation_id == NEW_KEY:
            self.model.become(key)
        else:
            if conversation_id != self._conversation_id:
                self.notice.setText("")
            self.model.show(key)
        self._conversation_id = conversation_id

    def show_state(self, *, is_answering: bool, reason: str) -> None:
        """Show whether an answer is being written, and why nothing can be asked."""
        self._reason, self._is_answering = reason, is_answering
        self.stop.setVisible(is_answering)
        usual = PLACEHOLDER if self._commands else PLACEHOLDER_PLAIN
        self.editor.setPlaceholderText(reason or usual)
        self._refresh()

    def set_context(self, fraction: float | None, words: str = "") -> None:
        """Show how full the context is (0..1; None is not known), and say it whole in `words`."""
        self.ring.show_use(fraction, words)

    def set_server(self, server_id: str, *, takes_images: bool | None) -> None:
        """Who will be asked: another model counts otherwise, and may see no images."""
        if server_id != self._server_id:
            self._server_id = server_id
            self.model.recount()
        self.set_takes_images(takes_images)

    def set_takes_images(self, takes_images: bool | None) -> None:
        """Whether the model sees images; None is not known."""
        if takes_images != self._takes_images:
            self._takes_images = takes_images
            self._show_items()

    def set_commands(self, commands: Sequence[SlashCommand]) -> None:
        """What "/" offers."""
        self._commands = tuple(commands)
        self.show_state(is_answering=self._is_answering, reason=self._reason)

    def text(self) -> str:
        """What is written."""
        return self.editor.toPlainText()

    def clear(self) -> None:
        """Empty everything: what stood there is on its way."""
        self.model.clear()
        self.notice.setText("")
        self.editor.clear()

    def restore(self, draft: Draft | str) -> None:
        """Put back what could not be sent, unless something new was written meanwhile."""
        self.model.restore(Draft(draft) if isinstance(draft, str) else draft)

    def add(self, draft: Draft) -> None:
        """Put a draft before what is written, which stays."""
        self.model.add(draft)

    # Made once -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        area = self._chip_area
        area.setWidget(self.row)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.viewport().setAutoFillBackground(False)
        self.row.setAutoFillBackground(False)
        bar = QHBoxLayout()
        bar.setSpacing(8)
        bar.addWidget(self.attach)
        bar.addStretch(1)
        bar.addWidget(self.ring)
        bar.addWidget(self.stop)
        bar.addWidget(self.send)
        column = QVBoxLayout(self)
        column.setSpacing(6)
        column.setContentsMargins(12, 12, 10, 10)
        column.addWidget(area)
        column.addWidget(self.editor)
        column.addWidget(self.notice)
        column.addLayout(bar)
        self.attach.setVisible(self.model.can_attach)
        self.editor.can_attach = self.model.can_attach
        self.setAcceptDrops(True)
        self.setFocusProxy(self.editor)
        theme.notifier.changed.connect(self.update)

    def _wire(self) -> None:
        editor, model = self.editor, self.model
        editor.textChanged.connect(self._on_text)
        editor.sent.connect(self._send)
        editor.stopped.connect(self.stopped)
        editor.edit_asked.connect(self.edit_last_asked)
        editor.chips_asked.connect(self._focus_chips)
        editor.files_given.connect(self._take_files)
        editor.image_given.connect(self._take_image)
        editor.long_text_given.connect(self._take_long)
        editor.listed.connect(lambda step: self.list.move_by(step) if self.list is not None else None)
        editor.picked.connect(lambda: self.list.choose() if self.list is not None else None)
        editor.unlisted.connect(self._hide_list)
        editor.installEventFilter(self)
        model.changed.connect(self._show_items)
        model.shown.connect(self._show_draft)
        model.refused.connect(self._on_refused)
        self.attach.clicked.connect(self.open_files)
        self.send.clicked.connect(self._send)
        self.stop.clicked.connect(self.stopped)

    # Words -----------------------------------------------------------------------------------------------------

    def _on_text(self) -> None:
        self.model.set_text(self.text())
        self.notice.setText("")
        self._offer()
        self._refresh()

    def _refresh(self) -> None:
        why = self._reason
        if not why and self.model.is_reading:
            why = "A file is being read"
        draft_is_empty = not self.text().strip() and not self.model.items
        if not draft_is_empty and not self._sendable():
            why = why or NO_EYES
        self.send.setEnabled(not why and not draft_is_empty)
        self.send.setToolTip(why or ("Queue" if self._is_answering else "Send"))
        self.notice.setVisible(bool(self.notice.text()))
        self._fit()

    def _sendable(self) -> bool:
        return bool(self.text().strip()) or not self.model.draft(has_images=self._takes_images is not False).is_empty

    def _show_draft(self) -> None:
        text = self.model.text
        if text != self.text():
            self.editor.set_words(text)

    def _send(self) -> None:
        name, argument = split_command(self.text())
        command = next((each for each in self._commands if each.name == name), None)
        if command is not None:
            self._run(command, argument)
        elif self.send.isEnabled():
            self.sent.emit(self.model.draft(has_images=self._takes_images is not False))

    def _fit(self) -> None:
        window = self.window()
        line = LINE_HEIGHT["body"]
        most = max(int(window.height() * PAGE_SHARE) // line, MIN_LINES + 1)
        lines = min(max(self.editor.document().lineCount(), MIN_LINES), most)
        self.editor.setFixedHeight(lines * line + 2)

    # Commands --------------------------------------------------------------------------------------------------

    def _offer(self) -> None:
        found = offers(self.text(), self._commands) if self.editor.hasFocus() else []
        if found and self.list is None:
            self.list = CommandList(self.window())
            self.list.chosen.connect(self._pick)
        if self.list is not None:
            self.list.show_offers(found, self)
        self.editor.has_list = bool(found)

    def _hide_list(self) -> None:
        if self.list is not None:
            self.list.hide()
        self.editor.has_list = False

    def _pick(self, command: SlashCommand, choice: str) -> None:
        if command.argument and not choice:
            self.editor.set_words(f"/{command.name} ")
            return
        self._run(command, choice)

    def _run(self, command: SlashCommand, argument: str) -> None:
        if command.argument and not argument:
            self.say(f"Write it as {command.usage}")
            return
        self._hide_list()
        if command.name == "help":
            self.editor.set_words("/")
            return
        self.editor.clear()
        self.command_asked.emit(command.name, argument)

    # Files and images ------------------------------------------------------------------------------------------

    def open_files(self) -> None:
        """Ask for files to attach."""
        dialog = QFileDialog(self, "Attach files")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(["All files (*)", "PDF (*.pdf)", IMAGE_FILTER])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._take_files)
        dialog.destroyed.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def _take_files(self, paths: Sequence[str]) -> None:
        self._refused = []
        self.model.add_paths(paths)

    def _take_image(self, image: QImage) -> None:
        self.model.add_picture(lambda: make_picture_of(image))

    def _take_long(self, words: str) -> None:
        name = self.model.add_text(words)
        self.say(f"The long paste is kept as {name}. Ctrl+Shift+V pastes as text.", is_warning=False)

    def _on_refused(self, error: SparkDeskError) -> None:
        """Several files that come together may be refused: each is told, below the others."""
        refused = [*(self._refused if self.notice.text() == self._refused_words() else ()), error.sentence()]
        self.say("")
        self._refused = refused
        self.notice.setText(self._refused_words())
        self._refresh()

    def _refused_words(self) -> str:
        lines = [one_line(words, 300) for words in self._refused[:_MOST_REFUSED]]
        more = len(self._refused) - len(lines)
        return "\n".join([*lines, *([f"And {more} more."] if more > 0 else [])])

    def say(self, words: str, *, is_warning: bool = True) -> None:
        """Show a line below the text, until something is typed."""
        self.notice.set_tint("warn" if is_warning else "text3")
        self.notice.setText(one_line(words, 500))
        self._refresh()

    def _show_items(self) -> None:
        items = self.model.items
        for item in items:
            if item.key not in self._chips:
                self._chips[item.key] = self._make_chip(item)
            self._dress(self._chips[item.key], item)
        had_focus = next((i for i, chip in enumerate(self.row.chips) if chip.hasFocus()), None)
        self._chips = {item.key: self._chips[item.key] for item in items}
        if had_focus is not None and not any(chip.hasFocus() for chip in self._chips.values()):
            left = list(self._chips.values())
            after = left[min(had_focus, len(left) - 1)] if left else self.editor
            after.setFocus(Qt.FocusReason.OtherFocusReason)
        self.row.set_chips(list(self._chips.values()))
        self._chip_area.setVisible(bool(items))
        self._fit_chips()
        has_images = any(item.is_image for item in items)
        if has_images and self._takes_images is None and not self.notice.text():
            self.say(MAYBE_EYES, is_warning=False)
        elif self.notice.text() == MAYBE_EYES and not (has_images and self._takes_images is None):
            self.notice.setText("")
        self._refresh()

    def _make_chip(self, item: Item) -> AttachmentChip:
        chip = AttachmentChip(ChipFace(one_line(item.name, 200), "Reading", is_busy=True))
        chip.removed.connect(lambda: self.model.remove(item.key))
        chip.text_asked.connect(lambda: self._take_text(item.key))
        chip.chosen.connect(lambda: self._open(item.key))
        return chip

    def _dress(self, chip: AttachmentChip, item: Item) -> None:
        if item.part is None:
            return
        reason = NO_EYES if item.is_image and self._takes_images is False else ""
        was_read = not chip.face.is_busy
        chip.set_face(face_of(item.part, item.cost, reason=reason), is_paste=item.is_paste)
        if isinstance(item.part, ImagePart) and item.data is not None and not was_read:
            self.model.start(self._show_thumbnail, item.key, item.part, item.data)

    async def _show_thumbnail(self, key: int, part: ImagePart, data: bytes) -> None:
        image = await make_thumbnail(data, part.media_type, _THUMBNAIL_PX)
        chip = self._chips.get(key)
        if chip is not None:
            chip.set_thumbnail(image)

    def _open(self, key: int) -> None:
        """Show what of it goes to the model."""
        item = next((each for each in self.model.items if each.key == key), None)
        if item is None or item.part is None:
            return
        if isinstance(item.part, ImagePart) and item.data is not None:
            self.model.start(self._open_image, item.part, item.data)
        else:
            self._show_preview(PreviewDialog(item.part, parent=self.window()))

    async def _open_image(self, part: ImagePart, data: bytes) -> None:
        image = await make_thumbnail(data, part.media_type, SIDE_PX)
        self._show_preview(PreviewDialog(part, image, self.window()))

    def _show_preview(self, preview: PreviewDialog) -> None:
        self.preview = preview
        preview.destroyed.connect(self._forget_preview)
        preview.show()

    def _forget_preview(self) -> None:
        self.preview = None

    def _take_text(self, key: int) -> None:
        words = self.model.take_text(key)
        self.editor.setFocus()
        self.editor.put(words, is_text=True)

    def _focus_chips(self) -> None:
        if self.row.chips:
            self.row.chips[-1].setFocus(Qt.FocusReason.TabFocusReason)

    def _fit_chips(self) -> None:
        needed = self.row.height_at(max(self._chip_area.viewport().width(), 1))
        most = _CHIP_LINES * (HEIGHT_PX + GAP_PX) - GAP_PX
        self._chip_area.setFixedHeight(min(needed, most) if self.row.chips else 0)

    # Dropped, shown, painted -----------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self.editor.canInsertFromMimeData(event.mimeData()):
            self._set_dropping(is_dropping=True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._set_dropping(is_dropping=False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._set_dropping(is_dropping=False)
        if self.editor.take(event.mimeData()):
            event.acceptProposedAction()
            self.editor.setFocus()

    def _set_dropping(self, *, is_dropping: bool) -> None:
        self._is_dropping = is_dropping
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._window is not self.window():
            self._window = self.window()
            self._window.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.Resize and watched is self._window:
            self._fit()
            self._hide_list()
        elif watched is self.editor and kind in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            if kind == QEvent.Type.FocusOut:
                self._hide_list()
            self.update()
        elif watched is self.editor and kind == QEvent.Type.Resize:
            self._fit()
            self._fit_chips()
        return False

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.list is not None and self.list.isVisible():
            self._offer()

    def moveEvent(self, event: QMoveEvent) -> None:
        super().moveEvent(event)
        if self.list is not None and self.list.isVisible():
            self._offer()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = pen(color("control"))
        if self._is_dropping:
            edge = pen(color("accent"), 2, dash=(5, 4))
        elif self.editor.hasFocus():
            edge = pen(color("accent"), 1)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("sunken"), edge)
