"""Code is coloured in slices, copied and saved as it was sent, and shows what hides in it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtGui import QGuiApplication, QTextLayout
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from ui import theme
from ui.chat.words import highlight
from ui.chat.words.code_color import CodeColors
from ui.chat.words.code_row import CodeBlock, suggested_name
from ui.chat.words.highlight import MAX_LINE_CHARS, Reading, lexer_of
from ui.style import install_style
from ui.theme import Token, color
from ui.widgets.button import Button


def ranges(block: CodeBlock, line: int) -> list[QTextLayout.FormatRange]:
    document = block.findChildren(QPlainTextEdit)[0].document()
    return list(document.findBlockByNumber(line).layout().formats())


def tints(block: CodeBlock, line: int) -> dict[str, str]:
    """The coloured words of a line and their colours."""
    document = block.findChildren(QPlainTextEdit)[0].document()
    units = document.findBlockByNumber(line).text().encode("utf-16-le")
    found: dict[str, str] = {}
    for each in ranges(block, line):
        word = units[2 * each.start : 2 * (each.start + each.length)].decode("utf-16-le")
        found[word] = each.format.foreground().color().name()
    return found


def hue(token: Token) -> str:
    return color(token).name()


def shown(block: CodeBlock) -> str:
    return block.findChildren(QPlainTextEdit)[0].toPlainText()


def finish(block: CodeBlock) -> None:
    """Let all slices be read."""
    for _ in range(1000):
        if not block.is_reading:
            return
        QTest.qWait(5)
    raise AssertionError("the colours never came to an end")


def test_keywords_types_functions_texts_and_remarks_have_colours_of_the_theme(dressed: QApplication) -> None:
    block = CodeBlock("// words\npub fn split(text: &str) -> u8 {\n", "rust")
    finish(block)
    assert tints(block, 0) == {"// words": hue("text3")}
    assert tints(block, 1)["pub"] == hue("syntax_keyword")
    assert tints(block, 1)["split"] == hue("accenttext")
    assert tints(block, 1)["str"] == hue("syntax_type")


def test_colours_follow_the_theme(dressed: QApplication) -> None:
    block = CodeBlock("def f(): pass", "python")
    before = tints(block, 0)["def"]
    other: theme.ThemeName = "light" if theme.name() == "dark" else "dark"
    was = theme.name()
    install_style(dressed, other)
    assert tints(block, 0)["def"] == hue("syntax_keyword")
    assert tints(block, 0)["def"] != before
    install_style(dressed, was)


def test_letters_of_two_units_do_not_shift_the_colours(dressed: QApplication) -> None:
    block = CodeBlock('x = "😀😀" if y else None', "python")
    assert tints(block, 0)["😀😀"] == hue("ok")
    assert tints(block, 0)["None"] == hue("syntax_keyword")


def test_a_growing_code_ends_with_the_colours_of_a_whole_one(dressed: QApplication) -> None:
    code = 'def f(x):\n    """words\n    more words"""\n    return x  # so\n' * 12
    growing = CodeBlock("", "python", is_open=True)
    for start in range(0, len(code), 7):
        growing.append(code[start : start + 7])
        if start % 91 == 0:
            finish(growing)
    whole = CodeBlock(code, "python")
    finish(growing)
    finish(whole)
    growing.reset(code)
    finish(growing)
    assert [tints(growing, line) for line in range(48)] == [tints(whole, line) for line in range(48)]


def test_a_growing_code_is_coloured_before_it_ends(dressed: QApplication) -> None:
    block = CodeBlock("", "python", is_open=True)
    for line in range(40):
        block.append(f"def f{line}(): return None\n")
        finish(block)
    coloured = [line for line in range(40) if ranges(block, line)]
    assert len(coloured) >= 39


def test_a_growing_code_is_read_anew_only_so_often(dressed: QApplication) -> None:
    block = CodeBlock("", "python", is_open=True)
    for _ in range(600):
        block.append("x = f(1, 2)\n")
        finish(block)
    assert block.findChildren(CodeColors)[0].total_chars < 6 * 600 * 12


def test_a_line_that_is_too_long_leaves_the_code_plain_and_says_so(dressed: QApplication) -> None:
    block = CodeBlock("let a = '" + "x" * (3 * MAX_LINE_CHARS) + "'", "js")
    finish(block)
    assert ranges(block, 0) == []
    assert "too long to colour" in block.note()
    assert max(map(len, shown(block).split("\n"))) <= MAX_LINE_CHARS


def test_code_made_to_be_slow_is_left_plain_after_a_while(dressed: QApplication) -> None:
    block = CodeBlock("\n " * 30_000, "python")
    finish(block)
    assert "too slow to colour" in block.note()


@pytest.mark.parametrize("language", ["", "text", "klingon", "../../etc/passwd", "os.system", "matlab", "<b>"])
def test_a_language_that_is_not_known_is_plain(dressed: QApplication, language: str) -> None:
    block = CodeBlock("def f(): return 1", language)
    finish(block)
    assert ranges(block, 0) == []
    assert block.note() == ""


@pytest.mark.parametrize("language", sorted(highlight._LANGUAGES))
def test_every_language_that_is_promised_can_be_read(language: str) -> None:
    lexer = lexer_of(language)
    assert lexer is not None
    reading = Reading(lexer, "x = 1 # \"a'\n<b c='d'>{}\n" * 3)
    assert len(reading.advance(5.0)) == 7
    assert reading.is_done


def test_what_is_copied_and_saved_is_what_was_sent(dressed: QApplication) -> None:
    code = "x = 1\r\n" + "y" * 5000 + "\u202e\n"
    block = CodeBlock(code, "python", "src/a.py")
    saved: list[tuple[str, str]] = []
    block.save_asked.connect(lambda text, name: saved.append((text, name)))
    block.copy_code()
    block.save_code()
    assert QGuiApplication.clipboard().text() == code
    assert saved == [(code, "a.py")]
    assert "‹U+202E›" in shown(block)
    assert "hidden characters are written out" in block.note()


@pytest.mark.parametrize(
    ("title", "language", "name"),
    [
        ("src/pretok.rs", "rust", "pretok.rs"),
        ("", "rust", "code.rs"),
        ("", "", "code.txt"),
        ("../../.bashrc", "sh", "code.sh"),
        ("C:\\Windows\\win.ini", "", "win.ini"),
        ("photo_\u202egnp.exe", "python", "gnp.exe"),
        ("a.py, part 2", "python", "a.py"),
        ("Makefile", "make", "Makefile"),
        ("..", "json", "code.json"),
        ("x" * 500 + ".py", "python", "code.py"),
    ],
)
def test_the_name_to_save_under_is_a_plain_file_name(title: str, language: str, name: str) -> None:
    told = suggested_name(title, language)
    assert "/" not in told
    assert "\\" not in told
    assert not told.startswith(".")
    if name != "gnp.exe" and not title.startswith("x" * 9):
        assert told == name


def test_pygments_and_the_reader_of_formulas_wait_for_the_first_code_and_formula() -> None:
    child = """
import sys
from PySide6.QtWidgets import QApplication
app = QApplication([])
from ui.chat.words.code_color import CodeColors
from ui.chat.words.code_row import CodeBlock
from ui.chat.words.text_row import AnswerText
AnswerText("**words** for $5"); CodeBlock("words", "")
print([name for name in ("pygments", "pylatexenc") if name in sys.modules])
CodeBlock("x", "python"); AnswerText("$x$")
print([name for name in ("pygments", "pylatexenc") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines() == ["[]", "['pygments', 'pylatexenc']"]


def test_a_code_shown_in_place_of_another_has_nothing_of_it(dressed: QApplication) -> None:
    block = CodeBlock('print("\u202e")\n' + "# a long one\n" * 400, "python", "a.py", is_open=True)
    block.append("end\n")
    assert "hidden" in block.note()
    block.show_code("let a = 1;\n", "rust", "b.rs")
    finish(block)
    fresh = CodeBlock("let a = 1;\n", "rust", "b.rs")
    finish(fresh)
    assert (block.text(), shown(block), block.note()) == (fresh.text(), shown(fresh), "")
    assert tints(block, 0) == tints(fresh, 0) != {}
    assert block.height_at(600) == fresh.height_at(600)
    assert all(button.isVisibleTo(block) for button in block.findChildren(Button))
    asked: list[tuple[str, str]] = []
    block.save_asked.connect(lambda code, name: asked.append((code, name)))
    block.save_code()
    assert asked == [("let a = 1;\n", "b.rs")]


def test_a_code_that_has_ended_keeps_its_colours(dressed: QApplication) -> None:
    block = CodeBlock("let a = 1;\n", "rust", is_open=True)
    finish(block)
    before = tints(block, 0)
    block.show_code("let a = 1;\n", "rust", is_open=False)
    assert not block.is_reading
    assert tints(block, 0) == before != {}


def test_the_last_line_has_its_colours_when_the_code_ends(dressed: QApplication) -> None:
    block = CodeBlock("", "python", is_open=True)
    for piece in ("def f():\n", "    pass\n", "f(1)  # done"):
        block.append(piece)
    assert "# done" not in tints(block, 2)
    block.show_code(block.text(), "python", is_open=False)
    finish(block)
    assert tints(block, 2)["# done"] == hue("text3")
