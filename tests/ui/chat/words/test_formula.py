"""Formulas are shown so that they can be read, copied as they were written, and never mistaken for money or code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication

from ui.chat.words.formula import unicode_of
from ui.chat.words.inline import MARK, mark_inline
from ui.chat.words.text_row import AnswerText


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        ("x^2", "x²"),
        (r"\frac{-b \pm \sqrt{b^2-4ac}}{2a}", "(−b ± √(b²−4ac))/(2a)"),
        (r"\sqrt[3]{x_{i+1}}", "∛(xᵢ₊₁)"),
        (r"\sum_{i=1}^{n} \alpha_i", "∑ᵢ₌₁ⁿ αᵢ"),
        (r"e^{i\pi}+1=0", "e^(iπ)+1=0"),
        (r"\frac{\partial f}{\partial x}", "∂f/∂x"),
        (r"\lim_{n\to\infty}\left(1+\frac{1}{n}\right)^n", "lim_(n→∞)(1+1/n)ⁿ"),
        (r"x \in \mathbb{R}^n, \text{for all } y", "x ∈ ℝⁿ, for all  y"),
        (r"O(n \log n)", "O(n log n)"),
        (r"\begin{pmatrix} 1 & 20 \\ 3 & 4 \end{pmatrix}", "⎛ 1  20 ⎞\n⎝ 3  4  ⎠"),
        (r"A=\begin{bmatrix} 1 \\ 2 \end{bmatrix}", "A=⎡ 1 ⎤\n  ⎣ 2 ⎦"),
        (r"\begin{aligned} a &= b \\ &= c \end{aligned}", "a = b\n= c"),
        (r"\foo{a}{b}", r"\foo{a}{b}"),
        (r"90^\circ", "90°"),
    ],
)
def test_a_formula_becomes_a_line_that_can_be_read(latex: str, shown: str) -> None:
    assert unicode_of(latex) == shown


@pytest.mark.parametrize(
    "latex",
    ["{" * 1000, r"\left(" * 300, r"\frac" * 400, "\\" * 2000, r"\begin{matrix}" * 100, r"\sqrt[" * 300, "}" * 9,
     "x^" * 1000, "&" * 2000, "%" * 2000, r"\frac{a}{" * 200 + "}" * 200, "x" * 2001, r"\begin{a}\end{b}", ""],
)  # fmt: skip
def test_a_formula_made_to_break_the_reader_is_read_or_refused(latex: str) -> None:
    shown = unicode_of(latex)
    assert shown is None or len(shown) < 10_000


def test_a_formula_that_asks_for_files_gets_none() -> None:
    assert unicode_of(r"\input{/etc/hostname}") == r"\input{/etc/hostname}"
    assert unicode_of(r"\include{/etc/hostname}\includegraphics{/etc/hostname}") is not None


@given(st.text(st.sampled_from("\\{}[]^_&$%abfrac12 ()=+-\n~"), max_size=80))
def test_any_text_can_be_asked_to_be_a_formula(latex: str) -> None:
    shown = unicode_of(latex)
    assert shown is None or shown


@pytest.mark.parametrize(
    "text",
    ["$5 and $10", "costs $5, or 10$", "It costs $3 + tax, not $4 + tax.", "US$5 to $6", "price is $20–$30 each",
     "$1.50/h vs $2.00/h", "`$a$`", "``a ` $x$``", "[x](http://e.org/$b$c)", "http://e.org/$x$y", "<https://a.b/$c$>",
     "echo $HOME/$USER", "PATH=$PATH:$x", r"\$5 and 6\$", r"\[1\]", "a$b$c", "$ x $", "$$", "$"],
)  # fmt: skip
def test_money_code_and_addresses_are_no_formulas(text: str) -> None:
    assert mark_inline(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("$x$", ["x"]),
        ("between $a_1*b$ and $\\pi$.", ["a_1*b", "\\pi"]),
        ("$$a\n+ b$$", ["a\n+ b"]),
        (r"\(a\) and \[b+c\]", ["a", "b+c"]),
        (r"\begin{align}a&=b\end{align}", [r"\begin{align}a&=b\end{align}"]),
        ("`code` $y$ `$no$`", ["y"]),
        (r"$\$5$", [r"\$5"]),
        ("$100$", ["100"]),
    ],
)
def test_formulas_are_found(text: str, latex: list[str]) -> None:
    assert [formula.latex for formula in mark_inline(text)[1]] == latex


@given(st.text(st.sampled_from("$\\()[]`a 1!:/\n"), max_size=60))
def test_nothing_of_a_text_is_lost_in_marking_its_formulas(text: str) -> None:
    marked, formulas = mark_inline(text)
    restored = MARK.sub(lambda mark: formulas[int(mark[1])].source, marked).replace("\ufdd7", "")
    assert restored.replace("![", "!").replace(" ", "") == text.replace("![", "!").replace(" ", "")


def shown(markdown: str) -> str:
    text = AnswerText(markdown)
    return text.words.toPlainText()


def test_a_formula_stands_in_its_sentence(dressed: QApplication) -> None:
    assert shown("so $a_1*b_2*c$ holds, *all* of it") == "so a₁∗b₂∗c holds, all of it"


def test_a_formula_stands_in_lists_tables_and_headings_and_after_pictures_of_letters(dressed: QApplication) -> None:
    assert "😀 x²" in shown("- 😀 $x^2$ and $y^2$")
    assert "y²" in shown("- 😀 $x^2$ and $y^2$")
    assert "a₁" in shown("| a | b |\n|---|---|\n| $a_1$ | $|b|$ |")
    assert shown("# About $x^2$") == "About x²"


def test_a_formula_that_cannot_be_read_is_shown_as_it_was_written(dressed: QApplication) -> None:
    assert shown(r"so $\frac{a}{$ it is") == r"so $\frac{a}{$ it is"


def test_what_is_copied_is_the_source_of_the_formula(dressed: QApplication) -> None:
    text = AnswerText(r"**so** $\frac{1}{n}$ and" + "\n\n" + r"$$x^2$$")
    text.words.selectAll()
    data = text.words.createMimeDataFromSelection()
    assert data.text() == r"so $\frac{1}{n}$ and" + "\n" + r"$$x^2$$"
    assert not data.hasHtml()


def test_a_formula_says_what_it_is_without_reading_markup(dressed: QApplication) -> None:
    text = AnswerText("$x<img>y$")
    cursor = QTextCursor(text.words.document())
    cursor.movePosition(QTextCursor.MoveOperation.Right)
    assert cursor.charFormat().toolTip() == "<qt>Formula: $x&lt;img&gt;y$</qt>"


def test_only_so_many_formulas_of_a_block_are_read(dressed: QApplication) -> None:
    text = shown(" ".join(f"$x^{{{number}}}$" for number in range(80)))
    assert "x³⁹" in text
    assert "$x^{40}$" in text


def test_a_text_cannot_forge_a_mark(dressed: QApplication) -> None:
    assert shown("\ufdd50\ufdd6 $x^2$") == "‹U+FDD5›0‹U+FDD6› x²"
