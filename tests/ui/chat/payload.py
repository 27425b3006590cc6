"""The corpus of hostile answers and one way to show each of them in every widget that shows a model's words.

The one rule: a payload is a file whose first line names what it attacks; `@FILE@`, `@ENCODED@`, `@WEB@` and
`@SLASHES@` in it become a picture that exists and a server that listens, so that a reader who falls for it is caught.
Run as a program (`python -m tests.ui.chat.payload FILE WEB`) it shows everything once between two marks on stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.chat.markdown_block import Block, BlockKind, MarkdownSplitter
from tests.ui.hostile_markdown import payloads as combined
from ui.chat.transcript import is_large_table
from ui.chat.words.code_row import CodeBlock
from ui.chat.words.link import LinkBar
from ui.chat.words.markdown import SafeBrowser, lay_out_plain
from ui.chat.words.text_row import AnswerText, OpenText, Words

FOLDER = Path(__file__).parents[2] / "data" / "payloads"
BEGINS, ENDS = "CORPUS BEGINS", "CORPUS ENDS"
WIDTH = 500
LARGE = ("deep", "many", "long", "table", "code_slow", "formula_many", "image_many")
"""How the names of those begin that are about size; they take most of the time."""


def payloads(file: str, web: str) -> dict[str, str]:
    """The texts by the name of their file, with the picture and the server put in."""
    encoded = "".join(f"%{ord(letter):02X}" if letter != "/" else letter for letter in file)
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text("utf-8").partition("\n---\n")[2]
        text = text.replace("@FILE@", file).replace("@ENCODED@", encoded).replace("@WEB@", web)
        found[path.stem] = text.replace("@SLASHES@", web.removeprefix("http:"))
    return found


def attacks() -> dict[str, str]:
    """What each payload attacks, by the name of its file."""
    return {path.stem: path.read_text("utf-8").split("\n", 1)[0] for path in sorted(FOLDER.glob("*.md"))}


def show(text: str) -> Iterator[QWidget]:
    """Every widget of an answer with these words: while it comes, when it is closed, as a question, as a thought."""
    splitter = MarkdownSplitter()
    blocks: list[Block] = []
    for start in range(0, len(text), 500):
        blocks += splitter.feed(text[start : start + 500])
        if start % 5000 == 0:
            is_code = splitter.kind is BlockKind.CODE
            yield (
                CodeBlock(splitter.open_text, splitter.language, is_open=True)
                if is_code
                else OpenText(splitter.open_text)
            )
    for block in (*blocks, *splitter.finish()):
        if block.kind is BlockKind.CODE or is_large_table(block):
            yield CodeBlock(block.text, block.language, block.title)
        elif block.text.strip():
            yield AnswerText(block.text)
    holder = QWidget()
    plain = Words("Reasoning", holder)
    lay_out_plain(plain.document(), text[:20_000])
    yield plain


def paint(widget: QWidget) -> None:
    """Lay the widget out and paint it."""
    height = widget.height_at(WIDTH) if hasattr(widget, "height_at") else 300
    widget.resize(WIDTH, min(int(height), 2000))
    widget.grab()


def show_bare(text: str) -> None:
    """The words in the browser alone, without the care that is taken before: it must load nothing by itself."""
    for fill in (SafeBrowser.setMarkdown, SafeBrowser.setHtml):
        browser = SafeBrowser()
        fill(browser, text[:20_000])
        paint(browser)


def click_links(widget: QWidget, bar: LinkBar) -> None:
    """Offer every link of an answer, and refuse it."""
    if not isinstance(widget, AnswerText):
        return
    cursor = QTextCursor(widget.words.document())
    seen: set[str] = set()
    while not cursor.atEnd() and len(seen) < 50:
        cursor.movePosition(QTextCursor.MoveOperation.NextCharacter)
        address = cursor.charFormat().anchorHref()
        if address and address not in seen:
            seen.add(address)
            bar.offer(address)
            bar.close_button.click()


def show_all(file: str, web: str) -> None:
    """Show every payload in everything."""
    bar = LinkBar()
    bar.opener = lambda _url: sys.exit("a link was opened")
    for name, text in payloads(file, web).items():
        for widget in show(text):
            paint(widget)
            click_links(widget, bar)
        if not name.startswith(LARGE):
            show_bare(text)
        QApplication.processEvents()
    for text in combined(file, web)[::7]:
        paint(AnswerText(text))


def main() -> None:
    """Warm up, then show all between two marks."""
    QApplication([])
    for warm in ("**warm** `up` [l](https://example.org) $x^{\\frac{1}{2}}$ שלום 日本 😀 ‹", "| a |\n|---|\n| b |"):
        paint(AnswerText(warm))
    for language in ("python", "c", "js", "perl", "sh", "html", "rust"):
        paint(CodeBlock("x = 1", language))
    show_bare("warm <b>up</b>")
    QApplication.processEvents()
    for mark in (BEGINS, ENDS):
        # Written in two parts, so that the mark is not among the words of the command.
        sys.stderr.write(f"{mark}\n")
        sys.stderr.flush()
        if mark == BEGINS:
            show_all(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
