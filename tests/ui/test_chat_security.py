"""What a model says is text: nothing is fetched, opened, run or followed, whatever it writes."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QImage, QTextDocument
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QTextBrowser

from sparkdesk.core.chat.markdown_block import BlockKind
from tests.ui.chat_desk import ChatDesk, play
from tests.ui.hostile_markdown import payloads
from tests.ui.picture import host_page
from tests.ui.test_chat_page import model, store_chat, user
from tests.ui.walk import guessing_labels
from ui.chat.link import LinkBar
from ui.chat.markdown import SafeBrowser
from ui.chat.row import BlockRow, rows_of
from ui.chat.text_row import AnswerText

IN_OPEN, IN_ACCESS = 0x20, 0x1


class FileWatch:
    """Counts how often a file is opened or read, by the kernel's own word."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.inotify_init1(os.O_NONBLOCK)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN | IN_ACCESS) < 0:
            pytest.skip("this computer cannot watch files")

    def touched(self) -> int:
        """Opens and reads since the last call."""
        try:
            data = os.read(self._fd, 1 << 20)
        except BlockingIOError:
            return 0
        return len(data) // struct.calcsize("iIII")

    def close(self) -> None:
        os.close(self._fd)


class Trap:
    """A port that remembers who knocked."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.knocks = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.knocks += 1

    def close(self) -> None:
        # A thread in accept does not notice that its socket was closed: it is woken by a last caller.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


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


class Bar:
    """A link bar in a window, with an opener that only remembers."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.bar = LinkBar()
        self.bar.opener = lambda url: self.opened.append(url.toString())
        self.host = host_page(self.bar, 600, 200)


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
    assert shown == "Look: [image: a cat, file:///etc/passwd, not loaded] there"
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


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "smb://host/share",
        "\\\\host\\share",
        "ssh://host",
        "mailto:a@b.c",
        "qrc:/x",
        "http:/nohost",
        "https://",
        "/etc/passwd",
        "",
        "https://e.org/" + "x" * 5000,
    ],
)
def test_an_address_that_is_no_web_page_cannot_be_opened(dressed: QApplication, address: str) -> None:
    links = Bar()
    bar, opened = links.bar, links.opened
    bar.offer(address)
    assert not bar.open_button.isVisibleTo(bar)
    bar.open_button.click()
    assert opened == []


def test_a_web_page_is_opened_only_after_its_whole_address_was_shown(dressed: QApplication) -> None:
    links = Bar()
    bar, opened = links.bar, links.opened
    address = "https://example.org/" + "very-long/" * 60 + "?token=secret"
    bar.offer(address)
    assert opened == []
    assert bar.address() == address
    bar.open_button.click()
    assert opened == [address]


def test_the_host_is_named_as_the_network_knows_it(dressed: QApplication) -> None:
    bar = Bar().bar
    bar.offer(QUrl("https://paypal.com@еvil.example/").toString(QUrl.ComponentFormattingOption.FullyEncoded))
    title = bar.accessibleName()
    assert "xn--" in title
    assert "Open this page of xn--" in title


def test_titles_labels_and_errors_from_outside_are_plain_text(dressed: QApplication) -> None:
    async def story(desk: ChatDesk) -> None:
        evil = '<h1>big</h1><img src="file:///etc/passwd">\u202egnp.exe'
        await store_chat(desk, user(evil), model(f"{evil}\n\n```{evil}\n{evil}\n```\n"), title=evil)
        await desk.until(lambda: "big" in desk.said(), "the answer")
        desk.page.transcript.links.offer(evil)
        assert guessing_labels(desk.page) == []
        assert "\u202e" not in desk.page.title.text()

    play(dressed, story)


CHILD = """
import sys
from PySide6.QtWidgets import QApplication
from tests.ui.hostile_markdown import payloads
from ui.chat.text_row import AnswerText
app = QApplication([])
warm = AnswerText("**warm** `up` [l](https://example.org)")
warm.height_at(400)
warm.grab()
sys.stderr.write("CORPUS " + "BEGINS\\n")
sys.stderr.flush()
for payload in payloads(sys.argv[1], "http://127.0.0.1:9"):
    text = AnswerText(payload)
    text.height_at(400)
    text.grab()
sys.stderr.write("CORPUS " + "ENDS\\n")
sys.stderr.flush()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_kernel_saw_no_file_of_the_corpus_and_no_socket(canary: Path, tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    traced = ["strace", "-f", "-s", "300", "-e", "trace=open,openat,openat2,stat,access,socket,connect,execve,write"]
    command = [*traced, "-o", str(log), sys.executable, "-c", CHILD, str(canary)]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(root)}
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=110, check=False)
    if ended.returncode:
        pytest.skip(f"strace cannot be used here: {ended.stderr[-200:]!r}")
    lines = log.read_text("utf-8", "replace").split("CORPUS BEGINS")[1].split("CORPUS ENDS")[0].splitlines()
    calls = [line for line in lines if any(f" {name}(" in line for name in ("socket", "connect", "execve"))]
    assert calls == []
    opened = [line for line in lines if "canary" in line or "/etc/passwd" in line]
    assert opened == []
