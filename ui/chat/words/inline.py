"""What Qt's Markdown does not know inside a block: formulas, and images without words.

The one rule: code, links and addresses are never touched, and every pass is linear. A formula becomes a mark of two
noncharacters around its number (not those that Qt itself uses), which no text holds once what hides is written out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

OPEN: Final = "\ufdd5"
CLOSE: Final = "\ufdd6"
NO_WORDS: Final = "\ufdd7"
"""Stands for the words of an image that has none; Qt drops such an image without a trace."""
MARK: Final = re.compile(f"{OPEN}(\\d+){CLOSE}")
MAX_FORMULAS: Final = 40
"""More in one block stay as they were written: each takes most of a millisecond to read and to put in its place."""
_MAX_INLINE_CHARS: Final = 600
_MAX_DISPLAY_CHARS: Final = 2_000
_START: Final = re.compile(
    r"(?P<ticks>`+)|(?P<escape>\\[^(\[b])|(?P<round>\\\()|(?P<square>\\\[)|(?P<begin>\\begin\{[a-zA-Z]{3,12}\*?\})"
    r"|(?P<target>\]\([^\s)]*)|(?P<bare><?[A-Za-z][A-Za-z0-9+.-]{1,20}:[^\s<>)\]]{2,})"
    r"|(?P<image>!\[\s*\](?=[(\[]))|(?P<double>\$\$)|(?P<single>(?<![\w$])\$(?![\s$]))"
)
_ENVIRONMENTS: Final = frozenset(
    {"equation", "align", "aligned", "gather", "gathered", "multline", "eqnarray", "split", "cases", "matrix"}
)
_NUMBER: Final = re.compile(r"-?[\d.,]+\s*%?")
_WORDS: Final = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}[ ,]")
_MATHS: Final = re.compile(r"[\\^_=+*/<>|{}()−-]")


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in a text: `source` is all that was written, `latex` what is between its ends."""

    source: str
    latex: str
    is_display: bool


def mark_inline(markdown: str) -> tuple[str, list[Formula]]:
    """The block with a mark for each formula and words for each image, and the formulas by number."""
    if "$" not in markdown and "\\" not in markdown and "![" not in markdown:
        return markdown, []
    return _Scan(markdown).run()


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._formulas: list[Formula] = []
        self._ticks: dict[int, list[int]] = {}
        """Where runs of backticks start, by their length."""
        self._missing: set[str] = set()
        """Ends that do not come any more: looking for them again and again would be quadratic."""
        for found in re.finditer("`+", text):
            self._ticks.setdefault(len(found[0]), []).append(found.start())

    def run(self) -> tuple[str, list[Formula]]:
        pieces: list[str] = []
        kept = at = 0
        while (found := _START.search(self._text, at)) is not None:
            at, new = self._take(found)
            if new:
                pieces.extend((self._text[kept : found.start()], new))
                kept = at
        pieces.append(self._text[kept:])
        return "".join(pieces), self._formulas

    def _take(self, found: re.Match[str]) -> tuple[int, str]:
        """Where to go on, and what stands in place of what was passed; "" leaves it."""
        kind, start, end = found.lastgroup, found.start(), found.end()
        if kind == "ticks":
            return self._after_code(start, len(found[0])), ""
        if kind == "image":
            return end, f"![{NO_WORDS}]"
        if kind in ("round", "square"):
            return self._until(start, end, "\\)" if kind == "round" else "\\]", is_display=kind == "square")
        if kind == "double":
            return self._until(start, end, "$$", is_display=True)
        if kind == "single":
            return self._until(start, end, "$", is_display=False)
        if kind == "begin":
            name = found[0][7:-1]
            is_maths = name.rstrip("*").removeprefix("p").removeprefix("b").removeprefix("v") in _ENVIRONMENTS
            return self._until(start, end, f"\\end{{{name}}}", is_display=True) if is_maths else (end, "")
        return end, ""

    def _after_code(self, start: int, ticks: int) -> int:
        """The end of a code span; of one that never closes only its backticks."""
        runs = self._ticks.get(ticks, [])
        after = bisect_left(runs, start + 1)
        return (runs[after] if after < len(runs) else start) + ticks

    def _until(self, start: int, end: int, closer: str, *, is_display: bool) -> tuple[int, str]:
        if closer in self._missing or len(self._formulas) >= MAX_FORMULAS:
            return end, ""
        stop = self._text.find(closer, end)
        while closer == "$" and stop > 0 and self._text[stop - 1] == "\\":
            stop = self._text.find(closer, stop + 1)
        if stop < 0:
            self._missing.add(closer)
            return end, ""
        latex = self._text[end:stop]
        if closer.startswith("\\end"):
            latex = self._text[start : stop + len(closer)]
        after = self._text[stop + len(closer) : stop + len(closer) + 1]
        limit = _MAX_DISPLAY_CHARS if is_display else _MAX_INLINE_CHARS
        if not 0 < len(latex) <= limit or not _is_formula(latex, closer, after):
            return end, ""
        self._formulas.append(Formula(self._text[start : stop + len(closer)], latex, is_display))
        return stop + len(closer), f"{OPEN}{len(self._formulas) - 1}{CLOSE}"


def _is_formula(latex: str, closer: str, after: str) -> bool:
    """Whether it is one, and not money, a variable of a shell or an escaped bracket."""
    bare = latex.strip()
    if not bare or "\n\n" in latex or "`" in latex:
        return False
    if closer == "\\]":
        return not bare.isdigit() and len(bare) > 1
    if closer != "$":
        return True
    if latex[-1].isspace() or after.isalnum() or "\n" in bare:
        return False
    is_money = bare[0].isdigit() and _NUMBER.fullmatch(bare) is None
    is_money = is_money and (_MATHS.search(bare) is None or _WORDS.search(bare) is not None)
    return not is_money and (len(bare) < 40 or _MATHS.search(bare) is not None)
