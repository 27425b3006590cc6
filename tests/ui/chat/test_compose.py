"""A question as a person writes it: typed, pasted, dropped, taken back, with files and images along."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.message import FilePart, ImagePart
from sparkdesk.services.chat.attaching import Draft, Drafts
from tests.ui.chat.compose_desk import ComposeDesk, play
from ui.bridge import Bridge
from ui.chat.compose.attachment_chip import GONE
from ui.chat.compose.attachment_row import AttachmentRow
from ui.chat.compose.composer import MAYBE_EYES, NO_EYES, PAGE_SHARE
from ui.chat.compose.model import LONG_CHARS, MAX_ITEMS
from ui.widgets.paint import text_width

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def image(width: int = 60, height: int = 40) -> QImage:
    result = QImage(width, height, QImage.Format.Format_RGB32)
    result.fill(QColor("teal"))
    return result


def mime_of(*paths: Path, text: str = "", picture: QImage | None = None) -> QMimeData:
    mime = QMimeData()
    if paths:
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    if text:
        mime.setText(text)
    if picture is not None:
        mime.setImageData(picture)
    return mime


def write(folder: Path, name: str, text: str = "three little words") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("modifier", [Qt.KeyboardModifier.NoModifier, CTRL])
def test_enter_sends_what_is_written_with_ctrl_and_without(
    dressed: QApplication, modifier: Qt.KeyboardModifier
) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("one")
        desk.press(Qt.Key.Key_Return, SHIFT)
        desk.type("two")
        assert desk.sent == []
        desk.press(Qt.Key.Key_Return, modifier)
        assert desk.sent == [Draft("one\ntwo")]
        desk.composer.clear()
        assert desk.composer.text() == ""
        desk.press(Qt.Key.Key_Return)
        assert len(desk.sent) == 1

    play(dressed, story)


def test_up_in_an_empty_field_asks_for_the_last_question_and_esc_for_the_end(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        seen: list[str] = []
        desk.composer.edit_last_asked.connect(lambda: seen.append("edit"))
        desk.composer.stopped.connect(lambda: seen.append("stop"))
        desk.press(Qt.Key.Key_Up)
        desk.press(Qt.Key.Key_Escape)
        desk.type("x")
        desk.press(Qt.Key.Key_Up)
        assert seen == ["edit", "stop"]

    play(dressed, story)


def test_dropped_files_go_along_with_their_size_and_tokens(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        first, second = write(tmp_path, "notes.md"), write(tmp_path, "lib.rs", "fn main() {}")
        assert desk.drop(mime_of(first, second))
        await desk.ready(2)
        assert desk.names == ["notes.md", "lib.rs"]
        assert desk.composer.row.chips[0].face.detail == "18 B · 3 tokens"
        desk.type("Compare them")
        desk.press(Qt.Key.Key_Return)
        (draft,) = desk.sent
        assert draft.attachments == (
            FilePart("notes.md", "three little words", "text/plain", 18),
            FilePart("lib.rs", "fn main() {}", "text/plain", 12),
        )

    play(dressed, story)


def test_the_same_file_twice_goes_along_once(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        path = write(tmp_path, "notes.md")
        desk.paste(mime_of(path))
        await desk.ready(1)
        desk.paste(mime_of(path))
        await desk.ready(1)
        assert desk.names == ["notes.md"]

    play(dressed, story)


def test_a_file_without_words_may_be_sent_alone(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.drop(mime_of(write(tmp_path, "notes.md")))
        assert not desk.composer.send.isEnabled()  # it is being read
        await desk.ready(1)
        assert desk.composer.send.isEnabled()
        desk.press(Qt.Key.Key_Return)
        assert len(desk.sent[0].attachments) == 1

    play(dressed, story)


def test_a_hostile_file_is_refused_in_words_and_leaves_nothing(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        os.mkfifo(tmp_path / "pipe<b>\u202etxt\nx")
        desk.drop(mime_of(tmp_path / "pipe<b>\u202etxt\nx"))
        await desk.ready(0)
        said = desk.composer.notice.text()
        assert "was not attached. It is a device or a pipe, not a file" in said
        assert "\u202e" not in said
        assert "\n" not in said
        assert desk.composer.notice.textFormat() == Qt.TextFormat.PlainText
        desk.type("x")
        assert desk.composer.notice.text() == ""

    play(dressed, story)


def test_each_file_that_is_refused_of_several_is_told(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        bad = [tmp_path / name for name in ("a-missing", "b-missing", "c.txt", "d-missing", "e-missing")]
        bad[2].write_text("")
        desk.drop(mime_of(*bad))
        await desk.ready(0)
        lines = desk.composer.notice.text().split("\n")
        assert lines[-1] == "And 2 more."
        told = {line.split(" was not attached")[0] for line in lines[:-1]}
        assert len(told) == 3, "each by its name, in whatever order they were read"
        assert told <= {path.name for path in bad}
        desk.drop(mime_of(tmp_path / "later"))
        await desk.ready(0)
        assert desk.composer.notice.text().startswith("later "), "of an earlier drop nothing is repeated"

    play(dressed, story)


def test_at_most_so_many_files_go_along(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.drop(mime_of(*(write(tmp_path, f"{n}.txt", f"file {n}") for n in range(MAX_ITEMS + 5))))
        await desk.ready(MAX_ITEMS)
        assert f"At most {MAX_ITEMS} files" in desk.composer.notice.text()
        assert desk.composer.height() < desk.window.height() * 0.6

    play(dressed, story)


def test_attachments_are_reached_and_removed_by_the_keyboard_alone(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.drop(mime_of(*(write(tmp_path, f"{name}.txt", name) for name in "abc")))
        await desk.ready(3)
        desk.composer.editor.setFocus()
        desk.press(Qt.Key.Key_Backspace)
        assert desk.composer.row.chips[2].hasFocus()
        desk.press(Qt.Key.Key_Left)
        desk.press(Qt.Key.Key_Delete)
        assert desk.names == ["a.txt", "c.txt"]
        assert desk.composer.row.chips[1].hasFocus()
        desk.press(Qt.Key.Key_Delete)
        desk.press(Qt.Key.Key_Backspace)
        assert desk.names == []
        assert desk.composer.editor.hasFocus()

    play(dressed, story)


def test_a_long_paste_becomes_a_file_and_one_key_makes_it_words_again(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        words = "word " * (LONG_CHARS // 5 + 1)
        desk.type("Look: ")
        desk.paste(mime_of(text=words))
        assert desk.composer.text() == "Look: "
        await desk.ready(1)
        assert desk.names == ["pasted-1.txt"]
        assert desk.composer.row.chips[0].face.detail.endswith("801 tokens")
        assert "pasted-1.txt" in desk.composer.notice.text()
        desk.paste(mime_of(text="x\n" * 200))
        await desk.ready(2)
        assert desk.names[1] == "pasted-2.txt"
        desk.composer.row.chips[0].setFocus()
        desk.press(Qt.Key.Key_Return)
        assert desk.composer.text() == "Look: " + words
        assert desk.names == ["pasted-2.txt"]
        assert desk.composer.editor.hasFocus()

    play(dressed, story)


def test_a_short_paste_stays_words_and_ctrl_shift_v_pastes_long_words_too(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.paste(mime_of(text="a short one\r\nof two lines\x00"))
        assert desk.composer.text() == "a short one\nof two lines\ufffd"
        desk.composer.clear()
        desk.paste(mime_of(text=""))
        QApplication.clipboard().setText("line\n" * 1000)
        desk.press(Qt.Key.Key_V, CTRL | SHIFT)
        assert desk.composer.text() == "line\n" * 1000
        assert desk.names == []

    play(dressed, story)


@pytest.mark.qt_log_ignore("propagateSizeHints")
def test_a_megabyte_in_one_line_never_reaches_the_text_field(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        QApplication.clipboard().setText("x" * (1 << 20))
        desk.press(Qt.Key.Key_V, CTRL)
        desk.press(Qt.Key.Key_V, CTRL | SHIFT)
        # Each of these is short, all of them in one line are not.
        for _ in range(3):
            desk.paste(mime_of(text="y" * 3000))
        await desk.ready(4)
        assert desk.composer.text() == "y" * 3000
        assert [item.is_paste for item in desk.model.items] == [False, False, True, True]
        QTest.keyClick(desk.composer.row.chips[0], Qt.Key.Key_Return)
        QTest.keyClick(desk.composer.row.chips[2], Qt.Key.Key_Return)
        await desk.ready(4)  # in that line there is no room for it
        assert desk.composer.text() == "y" * 3000

    play(dressed, story)


def test_a_pasted_image_goes_along_and_words_of_a_table_go_before_its_picture(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.paste(mime_of(text="1\t2", picture=image()))
        assert desk.composer.text() == "1\t2"
        desk.paste(mime_of(picture=image()))
        await desk.ready(1)
        (item,) = desk.model.items
        assert isinstance(item.part, ImagePart)
        assert (item.part.width_px, item.part.height_px, item.part.media_type) == (60, 40, "image/png")
        await desk.until(lambda: desk.composer.row.chips[0]._thumbnail is not None, "the thumbnail")
        desk.press(Qt.Key.Key_Return)
        (draft,) = desk.sent
        assert list(draft.images) == [item.part.digest]
        assert QImage.fromData(draft.images[item.part.digest]).size() == image().size()

    play(dressed, story)


def test_an_image_for_a_model_without_eyes_is_pale_says_why_and_is_not_sent(
    dressed: QApplication, tmp_path: Path
) -> None:
    async def story(desk: ComposeDesk) -> None:
        image().save(str(tmp_path / "photo.png"))
        (tmp_path / "photo.png").rename(tmp_path / "photo.bin")
        desk.drop(mime_of(tmp_path / "photo.bin"))
        await desk.ready(1)
        assert desk.composer.notice.text() == MAYBE_EYES
        desk.composer.set_takes_images(False)
        assert desk.composer.row.chips[0].face.reason == NO_EYES
        assert NO_EYES in desk.composer.row.chips[0].accessibleName()
        assert not desk.composer.send.isEnabled()
        desk.type("Hello")
        desk.press(Qt.Key.Key_Return)
        assert desk.sent == [Draft("Hello")]
        desk.composer.set_takes_images(True)
        assert desk.composer.row.chips[0].face.reason == ""
        assert desk.composer.notice.text() == ""
        desk.press(Qt.Key.Key_Return)
        assert len(desk.sent[1].images) == 1

    play(dressed, story)


def test_each_chat_keeps_its_own_draft_and_a_file_lands_where_it_was_dropped(
    dressed: QApplication, tmp_path: Path
) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.type("for a")
        desk.drop(mime_of(write(tmp_path, "notes.md")))
        desk.composer.show_conversation("chat-b", has_begun=True)
        assert (desk.composer.text(), desk.names) == ("", [])
        desk.type("for b")
        await desk.until(lambda: bool(desk.drafts.of("chat-a").attachments), "the file in the other chat")
        assert desk.names == []
        desk.composer.show_conversation("chat-a", has_begun=True)
        assert (desk.composer.text(), desk.names) == ("for a", ["notes.md"])
        desk.composer.clear()
        desk.composer.show_conversation("chat-b", has_begun=True)
        assert desk.composer.text() == "for b"
        assert desk.drafts.of("chat-a") == Draft()

    play(dressed, story)


def test_a_draft_that_is_read_late_is_shown_unless_something_was_written(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        earlier = Drafts(tasks=desk.tasks, store=desk.store)
        file = FilePart("old.md", "two words", "text/plain", 9)
        earlier.keep("chat-a", Draft("of yesterday", (file,)))
        earlier.keep("chat-b", Draft("of yesterday too"))
        await earlier.save()
        desk.composer.show_conversation("chat-b", has_begun=True)
        desk.type("of today")
        desk.composer.show_conversation("chat-a", has_begun=True)
        await desk.drafts.load()
        await desk.until(lambda: desk.model.items[0].cost is not None, "the cost of the file")
        assert (desk.composer.text(), desk.names) == ("of yesterday", ["old.md"])
        desk.composer.show_conversation("chat-b", has_begun=True)
        assert desk.composer.text() == "of today"

    play(dressed, story)


def test_another_model_counts_the_files_anew(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.composer.set_server("first", takes_images=None)
        desk.drop(mime_of(write(tmp_path, "notes.md")))
        await desk.ready(1)
        desk.words_a_token = 3
        desk.composer.set_server("first", takes_images=True)
        desk.composer.set_server("second", takes_images=True)
        await desk.until(lambda: desk.composer.row.chips[0].face.detail == "18 B · about 1 token", "the other count")

    play(dressed, story)


def test_a_new_chats_draft_outlives_its_number_and_moves_to_the_chat_when_it_begins(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.composer.show_conversation("n1", has_begun=False)
        desk.type("not sent")
        desk.composer.show_conversation("n2", has_begun=False)
        assert desk.composer.text() == "not sent"
        desk.composer.show_conversation("n2", has_begun=True)
        assert desk.composer.text() == "not sent"
        assert desk.drafts.of("n2") == Draft("not sent")
        desk.composer.show_conversation("n3", has_begun=False)
        assert desk.composer.text() == ""

    play(dressed, story)


@pytest.mark.qt_log_ignore("propagateSizeHints")
def test_what_of_a_file_goes_to_the_model_can_be_read_before_it_is_sent(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.drop(mime_of(write(tmp_path, "notes.md", "<b>bold</b> \u202egnp\x07\n" + "<b>more</b>\n" * 9000)))
        await desk.ready(1)
        QTest.mouseClick(desk.composer.row.chips[0], Qt.MouseButton.LeftButton, pos=QPoint(20, 20))
        preview = desk.composer.preview
        assert preview is not None
        assert not preview.isModal()
        assert preview.words.toPlainText().startswith("<b>bold</b> \ufffdgnp␇\n<b>")
        assert "200,000" not in preview.note.text()
        QTest.keyClick(preview, Qt.Key.Key_Escape)
        await desk.until(lambda: desk.composer.preview is None, "the preview's end")
        desk.composer.clear()
        desk.paste(mime_of(picture=image()))
        await desk.ready(1)
        QTest.keyClick(desk.composer.row.chips[0], Qt.Key.Key_Return)
        await desk.until(lambda: desk.composer.preview is not None, "the image")

    play(dressed, story)


@pytest.mark.qt_log_ignore("propagateSizeHints")
def test_what_was_sent_stands_in_a_row_with_its_pictures_and_can_be_opened(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        desk.paste(mime_of(picture=image()))
        await desk.ready(1)
        sent = desk.model.draft()
        gone = ImagePart("gone.png", "0" * 64, "image/png", 8, 8, 100)
        file = FilePart("paper.pdf", "words", "application/pdf", 5000, "1 of 3 pages has no text")

        async def load(digest: str) -> bytes | None:
            return sent.images.get(digest)

        row = AttachmentRow((*sent.attachments, gone, file), Bridge(desk.tasks), load, parent=desk.page)
        row.setGeometry(0, 0, 300, row.height_at(300))
        row.show()
        first, second, third = row.chips
        await desk.until(lambda: first._thumbnail is not None and bool(second.face.reason), "the thumbnails")
        assert GONE in second.accessibleName()
        assert text_width(GONE, "label") < second.width() - 60
        assert "1 of 3 pages has no text" in third.accessibleName()
        assert third.face.detail.endswith(" · about 2 tokens")
        assert "token" not in first.face.detail, "what an image costs is not known"
        assert not third.remove.isVisibleTo(third)
        assert row.height() == row.height_at(300) > row.height_at(2000)
        QTest.keyClick(third, Qt.Key.Key_Delete)
        assert len(row.chips) == 3
        QTest.keyClick(third, Qt.Key.Key_Return)
        assert row.preview is not None
        assert row.preview.words.toPlainText() == "words"
        row.deleteLater()

    play(dressed, story)


def test_what_is_put_back_never_takes_the_place_of_what_is_written(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        refused = Draft("asked before", (FilePart("old.md", "x", "text/plain", 1),))
        desk.composer.restore(refused)
        assert (desk.composer.text(), desk.names) == ("asked before", ["old.md"])
        desk.composer.clear()
        desk.type("new words")
        desk.drop(mime_of(write(tmp_path, "new.md")))
        await desk.ready(1)
        desk.composer.restore(refused)
        assert desk.composer.text() == "new words"
        desk.composer.add(refused)
        await desk.until(lambda: desk.model.items[0].cost is not None, "the cost of what came back")
        assert (desk.composer.text(), desk.names) == ("asked before\n\nnew words", ["old.md", "new.md"])
        assert desk.drafts.of("chat-a").text == "asked before\n\nnew words"

    play(dressed, story)


def test_the_field_grows_with_its_text_to_a_share_of_the_window(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        low = desk.composer.editor.height()
        desk.composer.editor.set_words("\n".join("line" for _ in range(8)))
        middle = desk.composer.editor.height()
        desk.composer.editor.set_words("\n".join("line" for _ in range(500)))
        high = desk.composer.editor.height()
        assert low < middle < high <= desk.window.height() * PAGE_SHARE + 2
        desk.resize(720, 400)
        await desk.until(lambda: desk.composer.editor.height() <= 400 * PAGE_SHARE + 2, "a lower field")

    play(dressed, story)


@pytest.mark.qt_log_ignore("propagateSizeHints")
def test_the_paperclip_opens_a_dialog_that_holds_up_nothing(dressed: QApplication, tmp_path: Path) -> None:
    async def story(desk: ComposeDesk) -> None:
        QTest.mouseClick(desk.composer.attach, Qt.MouseButton.LeftButton)
        dialog = desk.composer.dialog
        assert dialog is not None
        dialog.filesSelected.emit([str(write(tmp_path, "notes.md"))])
        dialog.reject()
        await desk.ready(1)
        await desk.until(lambda: desk.composer.dialog is None, "the dialog's end")

    play(dressed, story)


def test_the_ring_says_how_full_the_context_is_and_nothing_when_that_is_not_known(dressed: QApplication) -> None:
    async def story(desk: ComposeDesk) -> None:
        ring = desk.composer.ring
        assert not ring.isVisible()
        desk.composer.set_context(0.186)
        assert ring.isVisible()
        assert ring.text() == "18.6\u202f%"
        assert "18.6" in ring.accessibleName()
        desk.composer.set_context(float("nan"))
        assert not ring.isVisible()

    play(dressed, story)
