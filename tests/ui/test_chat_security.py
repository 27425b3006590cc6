"""What a model says is text: nothing is fetched, opened, run or followed, whatever it writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QImage, QTextDocument
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QTextBrowser

from sparkdesk.core.chat.markdown_block import BlockKind
from tests.ui.chat.trap import FileWatch, Trap
from tests.ui.chat_desk import ChatDesk, play
from tests.ui.hostile_markdown import payloads
from tests.ui.picture import host_page
from tests.ui.test_chat_page import model, store_chat, user
from tests.ui.walk import guessing_labels
from ui.chat.row import BlockRow, rows_of
from ui.chat.words.link import LinkBar
from ui.chat.words.markdown import SafeBrowser
from ui.chat.words.text_row import AnswerText


@pytest.fixture
def canary(tmp_path: Path, dressed: QApplication) -> Path:
    """A picture that nobody has a reason to open."""
    path = tmp_path / "canary.png"
    image = QImage(2, 2, QImage.Format.Format_RGB32)
    image.fill(0)
    assert image.save(str(path))
    return path


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


def test_the_watch_catches_a_reader_who_falls_for_it(dressed: QApplication, canary: Path) -> None:
    watch = FileWatch(canary)
    browser = QTextBrowser()
    browser.setMarkdown(f"![x]({canary})")
    host_page(browser, 300, 200).grab()
    assert watch.touched() > 0
    watch.close()


def test_no_payload_opens_a_file_or_a_connection(dressed: QApplication, canary: Path, trap: Trap) -> None:
    watch = FileWatch(canary)
    corpus = payloads(str(canary), trap.url)
    assert len(corpus) >= 150
    for payload in corpus:
        for row in rows_of(model(payload), 0, is_last=True):
            if isinstance(row, BlockRow) and row.block.kind is not BlockKind.CODE:
                text = AnswerText(row.block.text)
                text.height_at(400)
                text.resize(400, 200)
                text.grab()
                text.deleteLater()
    QTest.qWait(50)
    assert watch.touched() == 0
    assert trap.knocks == 0
    watch.close()


def test_even_a_document_full_of_images_gets_a_blank_pixel_for_each(dressed: QApplication, canary: Path) -> None:
    watch = FileWatch(canary)
    browser = SafeBrowser()
    browser.setHtml(f'<img src="{canary}"><img src="file://{canary}"><body background="{canary}">')
    host_page(browser, 300, 200).grab()
    browser.setSource(QUrl.fromLocalFile(str(canary)))
    browser.reload()
    assert watch.touched() == 0
    for kind in QTextDocument.ResourceType:
        found = browser.loadResource(kind.value, QUrl.fromLocalFile(str(canary)))
        assert isinstance(found, QImage)
        assert found.width() == 1
    watch.close()


def test_an_image_is_shown_as_words(dressed: QApplication) -> None:
    text = AnswerText("Look: ![a cat](file:///etc/passwd) there")
    shown = text.words.toPlainText()
    assert shown == "Look: [image not loaded: a cat, file:///etc/passwd] there"
    assert "\ufffc" not in shown


def test_raw_markup_is_shown_as_it_was_written(dressed: QApplication) -> None:
    text = AnswerText("<b>bold</b> <script>alert(1)</script>")
    assert text.words.toPlainText() == "<b>bold</b> <script>alert(1)</script>"


def test_a_click_on_a_link_only_asks_and_the_browser_goes_nowhere(dressed: QApplication) -> None:
    text = AnswerText("[a safe place](https://example.org/%61?q=1#f)")
    asked: list[str] = []
    text.link_clicked.connect(asked.append)
    text.words.anchorClicked.emit(QUrl("https://example.org/%61?q=1#f"))
    assert len(asked) == 1
    assert asked[0].startswith("https://example.org/")
    assert text.words.source().isEmpty()
    assert not text.words.openLinks()
    assert not text.words.openExternalLinks()


def test_a_web_page_is_opened_only_after_its_whole_address_was_shown(dressed: QApplication) -> None:
    bar, opened = LinkBar(), list[str]()
    bar.opener = lambda url: opened.append(url.toString())
    host = host_page(bar, 600, 200)
    address = "https://example.org/" + "very-long/" * 60 + "?token=secret"
    bar.offer(address)
    assert opened == []
    assert bar.address() == address
    bar.open_button.click()
    assert opened == [address]
    host.close()


def test_titles_labels_and_errors_from_outside_are_plain_text(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        evil = '<h1>big</h1><img src="file:///etc/passwd">\u202egnp.exe'
        await store_chat(desk, user(evil), model(f"{evil}\n\n```{evil}\n{evil}\n```\n"), title=evil)
        await desk.until(lambda: "big" in desk.said(), "the answer")
        desk.page.transcript.links.offer(evil)
        assert guessing_labels(desk.page) == []
        assert "\u202e" not in desk.page.head.title.label.text()

    play(dressed, story)
