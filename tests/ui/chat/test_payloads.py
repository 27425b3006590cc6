"""What a model says is text: by the kernel's word no file of the corpus is opened and nobody is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from tests.house.virtual_screen import need_program
from tests.ui.chat import payload
from tests.ui.chat.trap import FileWatch, Trap
from ui.chat.words.markdown import SafeBrowser

ROOT = Path(__file__).resolve().parents[3]
TRACED = "open,openat,openat2,creat,stat,lstat,newfstatat,statx,access,faccessat,faccessat2,readlink,socket,connect,"
TRACED += "sendto,sendmsg,execve,write"
CALLS = ("socket(", "connect(", "sendto(", "sendmsg(", "execve(")


@pytest.fixture
def canary(tmp_path: Path, dressed: QApplication) -> Path:
    """A picture that nobody has a reason to open."""
    path = tmp_path / "canary.png"
    image = QImage(2, 2, QImage.Format.Format_RGB32)
    image.fill(0)
    assert image.save(str(path))
    return path


def test_the_corpus_is_large_and_each_payload_says_what_it_attacks() -> None:
    said = payload.attacks()
    assert len(said) >= 90
    assert all(line.startswith("attacks: ") and len(line) > 14 for line in said.values())
    texts = payload.payloads("/canary.png", "http://127.0.0.1:9")
    assert sum("canary" in text or "127.0.0.1" in text for text in texts.values()) >= 50
    assert not [name for name, text in texts.items() if "@FILE@" in text or "@WEB@" in text or not text.strip()]


@pytest.mark.parametrize("name", [name for name in sorted(payload.attacks()) if not name.startswith(payload.LARGE)])
def test_a_payload_is_shown_and_opens_nothing(name: str, canary: Path) -> None:
    trap = Trap()
    watch = FileWatch(canary)
    text = payload.payloads(str(canary), trap.url)[name]
    for widget in payload.show(text):
        payload.paint(widget)
    payload.show_bare(text)
    QApplication.processEvents()
    assert watch.touched() == 0
    assert trap.knocks == 0
    watch.close()
    trap.close()


def traced(canary: Path, log: Path, web: str) -> list[str]:
    """System calls of a child that shows the whole corpus, from after its warm-up to its end."""
    strace = [need_program("strace", "strace"), "-f", "-s", "300", "-e", f"trace={TRACED}", "-o", str(log)]
    command = [*strace, sys.executable, "-m", "tests.ui.chat.payload", str(canary), web]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=280, check=False)
    if b"ptrace" in ended.stderr and os.environ.get("CI") != "true":
        pytest.skip(f"strace may not look here: {ended.stderr[-200:]!r}")
    assert ended.returncode == 0, ended.stderr[-2000:]
    lines = log.read_text("utf-8", "replace")
    return lines.split(payload.BEGINS)[1].split(payload.ENDS)[0].splitlines()


@pytest.mark.timeout(300)
def test_the_kernel_saw_no_file_of_the_corpus_opened_and_nobody_called(canary: Path, tmp_path: Path) -> None:
    trap = Trap()
    lines = traced(canary, tmp_path / "strace.log", trap.url)
    assert [line for line in lines if any(call in line for call in CALLS)] == []
    assert [line for line in lines if "canary" in line or "/etc/passwd" in line] == []
    assert trap.knocks == 0
    trap.close()


def test_a_browser_that_loads_is_caught_by_the_corpus(canary: Path) -> None:
    class Gullible(SafeBrowser):
        def loadResource(self, kind: int, name: object) -> object:
            return None

    watch = FileWatch(canary)
    for text in list(payload.payloads(str(canary), "http://127.0.0.1:9").values())[:60]:
        if "canary" in text and len(text) < 5_000:
            browser = Gullible()
            browser.setMarkdown(text)
            payload.paint(browser)
    assert watch.touched() > 0
    watch.close()
