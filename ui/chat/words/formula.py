"""A formula in LaTeX as a line of Unicode that can be read, by pylatexenc's parser.

The one rule: total and bounded. What cannot be read is None and its source is shown; no macro reads a file, because
only the parser and the table of symbols are used, never the package's own macros that do things.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

from pylatexenc import latex2text, latexwalker
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexSpecialsNode,
    LatexWalker,
    LatexWalkerError,
)

MAX_CHARS: Final = 2_000
_MAX_DEPTH: Final = 24
_SYMBOLS: Final = latex2text.get_default_latex_context_db()
_CONTEXT: Final = latexwalker.get_default_latex_context_db()
_BROKEN: Final = (LatexWalkerError, RecursionError, ValueError, TypeError, LookupError, AttributeError)
"""What the parser was seen to raise, or may, for text that is no LaTeX."""

Node = Any
_TO_SUPER: Final = dict(zip("0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW′*",
                            "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ′*", strict=True))  # fmt: skip
_TO_SUB: Final = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_LONGEST_SCRIPT: Final = 6
_DOUBLE: Final = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ", "H": "ℍ"}
_SCRIPT: Final = {"L": "ℒ", "H": "ℋ", "B": "ℬ", "E": "ℰ", "F": "ℱ", "I": "ℐ", "M": "ℳ", "R": "ℛ"}
_ACCENTS: Final = {
    "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0304", "tilde": "\u0303",
    "widetilde": "\u0303", "dot": "\u0307", "ddot": "\u0308", "underline": "\u0332",
}  # fmt: skip
_OWN: Final = {
    "cdot": "·", "left": "", "right": "", "middle": "", "limits": "", "nolimits": "", "displaystyle": "",
    "textstyle": "", "big": "", "Big": "", "bigg": "", "Bigg": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "",
    "biggl": "", "biggr": "", "ce": "", "underbrace": "", "overbrace": "", "operatorname": "",
    "mathop": "", "nonumber": "", "hline": "", "notag": "",
    ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "quad": "  ", "qquad": "    ", "{": "{", "}": "}",
    "|": "‖", "%": "%", "$": "$", "&": "&", "#": "#", "_": "_", "colon": ":", "prime": "′", "dots": "…", "ldots": "…",
    "cdots": "⋯", "to": "→", "implies": "⟹", "iff": "⟺", "land": "∧", "lor": "∨", "lnot": "¬", "le": "≤", "ge": "≥",
    "ne": "≠", "mid": "|", "ell": "ℓ", "hbar": "ℏ", "bmod": " mod ", "pmod": " mod ", "lvert": "|", "rvert": "|",
    "lVert": "‖", "rVert": "‖", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
}  # fmt: skip
_NAME_TEXT: Final = """
    arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max min
    Pr sec sin sinh sup tan tanh
"""
_NAMES: Final = frozenset(_NAME_TEXT.split())
_PLAIN_TEXT: Final = "text mathrm mathbf mathit mathsf mathtt textbf textit textrm mathfrak emph mbox boldsymbol bm"
_PLAIN: Final = frozenset(_PLAIN_TEXT.split())
_FENCES: Final = {
    "matrix": "  ", "pmatrix": "()", "bmatrix": "[]", "vmatrix": "||", "Vmatrix": "‖‖", "Bmatrix": "{}",
    "smallmatrix": "  ", "array": "  ",
}  # fmt: skip
_TALL: Final = {"()": "⎛⎜⎝⎞⎟⎠", "[]": "⎡⎢⎣⎤⎥⎦", "||": "││││││", "‖‖": "‖‖‖‖‖‖", "{}": "⎧⎨⎩⎫⎬⎭", "  ": "      "}
_ONE_THING: Final = re.compile(r"[∂Δ∇d]?[^\W\d_][′ⁿ⁰¹²³⁴-⁹₀-ₜ\u0300-\u0308\u20d7]*|\d+(?:[.,]\d+)?")
"""What needs no parentheses in a fraction."""
_PREFIXES: Final = "({[∂∇√∑∏∫∮¬∀∃"
"""Signs that belong to what follows."""
_WIDE_SPACE: Final = re.compile(" {5,}")
_SPACES: Final = re.compile(r"[ \t\n]+")


@lru_cache(maxsize=1024)
def unicode_of(latex: str) -> str | None:
    """The formula in Unicode, with line ends where it has rows; None when it cannot be read."""
    if len(latex) > MAX_CHARS or _depth(latex) > _MAX_DEPTH:
        return None
    try:
        nodes = LatexWalker(latex, latex_context=_CONTEXT, tolerant_parsing=False).get_latex_nodes()[0]
        said = _joined(_rows(nodes)) if _has_rows(nodes) else _line(nodes)
    except _BROKEN:
        return None
    return said.rstrip().strip("\n") or None


def _depth(latex: str) -> int:
    deepest = depth = 0
    for found in re.finditer(r"\\.|[{}\[\]]|\\begin", latex):
        word = found[0]
        if word in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif word in "}]":
            depth -= 1
    return deepest + latex.count("\\begin") + latex.count("\\sqrt") // 4


def _has_rows(nodes: Sequence[Node]) -> bool:
    return any(isinstance(node, LatexMacroNode) and node.macroname in ("\\", "cr", "newline") for node in nodes)


def _atoms(nodes: Sequence[Node]) -> list[Node | str]:
    """Letters one by one, since a script belongs to one letter; the rest as it is."""
    atoms: list[Node | str] = []
    for node in nodes:
        if isinstance(node, LatexCharsNode):
            atoms.extend(_SPACES.sub(" ", node.chars))
        elif node is not None:
            atoms.append(node)
    return atoms


def _line(nodes: Sequence[Node]) -> str:
    """Nodes one after the other."""
    atoms = _atoms(nodes)
    said: list[str] = []
    at = 0
    while at < len(atoms):
        atom = atoms[at]
        if _is_letter(atom, "^_") and at + 1 < len(atoms):
            at += 1
            while _is_letter(atoms[at], " ") and at + 1 < len(atoms):
                at += 1
            while said and said[-1] == " ":
                said.pop()
            said.append(_script(_one(atoms[at], []), is_super=_is_letter(atom, "^")))
        elif isinstance(atom, LatexMacroNode):
            rest = _following(atom, atoms, at)
            at += len(rest)
            word = _spaced(atom, _one(atom, rest), said, atoms[at + 1 :])
            said.append(word)
        else:
            said.append(_one(atom, []))
        at += 1
    if any("\n" in piece for piece in said):
        return _beside(said)
    return _WIDE_SPACE.sub("    ", "".join(said))


def _spaced(macro: Node, word: str, said: list[str], after: Sequence[Node | str]) -> str:
    """The word of a macro with a space where it would run into its neighbours."""
    stands_apart = macro.macroname in _NAMES or macro.macroname.endswith("frac")
    before = " " if stands_apart and said and said[-1][-1:].isalnum() else ""
    if stands_apart:
        return f"{before}{word}{' ' if _starts_word(after) else ''}"
    is_sign = len(word) == 1 and not word.isalnum() and word not in _PREFIXES
    return f"{word} " if is_sign and macro.macro_post_space else word


def _is_letter(atom: Node | str, letters: str) -> bool:
    # A node cannot be compared with a text: its own `==` fails.
    return isinstance(atom, str) and atom in letters


def _starts_word(atoms: Sequence[Node | str]) -> bool:
    """Whether what follows a function's name would run into it."""
    first = atoms[0] if atoms else " "
    if isinstance(first, LatexMacroNode):
        return first.macroname not in ("left", "right", "middle")
    return isinstance(first, str) and first.isalnum()


def _beside(pieces: list[str]) -> str:
    """Pieces of which some have several rows, side by side, each in the middle."""
    grid = [piece.split("\n") for piece in pieces]
    height = max(map(len, grid))
    told = [""] * height
    for rows in grid:
        above, width = (height - len(rows)) // 2, max(map(len, rows))
        for number in range(height):
            row = rows[number - above] if 0 <= number - above < len(rows) else ""
            told[number] += row.ljust(width)
    return "\n".join(line.rstrip() for line in told)


def _following(macro: Node, atoms: Sequence[Node | str], at: int) -> list[Node | str]:
    """The groups after a macro whose arguments the parser does not know."""
    wanted = {"binom": 2, "dbinom": 2, "tfrac": 2, "dfrac": 2, "cfrac": 2, "tag": 1, "boxed": 1, "xrightarrow": 1,
              "pmod": 1, "stackrel": 2, "overset": 2, "underset": 2, "substack": 1, "label": 1, "color": 1,
              "operatorname": 1, "ce": 1}.get(macro.macroname, 0)  # fmt: skip
    if macro.nodeargd is not None and macro.nodeargd.argnlist:
        return []
    if not wanted and not _is_known(macro.macroname):
        wanted = sum(1 for _ in takewhile(lambda each: isinstance(each, LatexGroupNode), atoms[at + 1 : at + 4]))
    found = list(atoms[at + 1 : at + 1 + wanted])
    return found if len(found) == wanted and all(isinstance(each, LatexGroupNode) for each in found) else []


def _is_known(name: str) -> bool:
    symbol = getattr(_SYMBOLS.get_macro_spec(name), "simplify_repl", None)
    return name in _OWN or name in _NAMES or name in _PLAIN or (isinstance(symbol, str) and bool(symbol))


def _one(atom: Node | str, rest: list[Node | str]) -> str:
    if isinstance(atom, str):
        return {"-": "−", "'": "′", "*": "∗"}.get(atom, atom)
    if isinstance(atom, LatexGroupNode):
        inside = _line(atom.nodelist)
        return inside if atom.delimiters[0] == "{" else f"{atom.delimiters[0]}{inside}{atom.delimiters[1]}"
    if isinstance(atom, LatexEnvironmentNode):
        return _environment(atom)
    if isinstance(atom, LatexSpecialsNode):
        return {"&": " ", "~": " ", "``": "“", "''": "″"}.get(atom.specials_chars, str(atom.specials_chars))
    return _macro(atom, rest) if isinstance(atom, LatexMacroNode) else ""


def _arguments(macro: Node, rest: list[Node | str]) -> list[str]:
    if rest:
        return [_one(each, []) for each in rest]
    known = macro.nodeargd.argnlist if macro.nodeargd is not None else None
    return [_line([each] if not isinstance(each, LatexGroupNode) else each.nodelist) for each in known or () if each]


def _macro(macro: Node, rest: list[Node | str]) -> str:
    name = macro.macroname
    words = _arguments(macro, rest)
    if name in ("frac", "dfrac", "tfrac", "cfrac") and len(words) == 2:
        return f"{_grouped(words[0])}/{_grouped(words[1])}"
    if name == "sqrt" and words:
        root = {"": "√", "3": "∛", "4": "∜"}.get(words[0] if len(words) > 1 else "")
        return f"{root or _script(words[0], is_super=True) + '√'}{_grouped(words[-1])}"
    if name in ("binom", "dbinom") and len(words) == 2:
        return f"({words[0]} choose {words[1]})"
    if name in _ACCENTS and words:
        return f"{words[0]}{_ACCENTS[name]}" if len(words[0]) == 1 else f"{name}({words[0]})"
    if name in ("vec", "overrightarrow") and words:
        return f"vec({words[0]})"  # few fonts have the arrow over a letter
    if name in ("mathbb", "mathcal", "mathscr") and words:
        letters = _DOUBLE if name == "mathbb" else _SCRIPT
        return "".join(letters.get(letter, letter) for letter in words[0])
    if name in ("overset", "stackrel", "underset") and len(words) == 2:
        return f"{words[1]}{_script(words[0], is_super=name != 'underset')}"
    return _simple_macro(name, words)


def _simple_macro(name: str, words: list[str]) -> str:
    if name in ("label", "color"):
        return ""
    if name in ("tag", "boxed", "pmod"):
        before, after = {"tag": ("  (", ")"), "boxed": ("[", "]"), "pmod": (" (mod ", ")")}[name]
        return f"{before}{''.join(words)}{after}"
    if name in _PLAIN or name in ("operatorname", "xrightarrow", "substack"):
        return "".join(words) + ("→" if name == "xrightarrow" else "")
    if name in ("\\", "cr", "newline"):
        return " "
    if name in _NAMES:
        return name
    if name in _OWN:
        return _OWN[name] + "".join(words)
    spec = _SYMBOLS.get_macro_spec(name)
    symbol = getattr(spec, "simplify_repl", None)
    if isinstance(symbol, str) and "%" not in symbol and symbol:
        return symbol + "".join(words)
    return f"\\{name}" + "".join(f"{{{word}}}" for word in words)


def _grouped(words: str) -> str:
    """In parentheses unless it is one thing."""
    words = words.strip()
    is_word = len(words) > 2 and words.isalpha()
    return words if is_word or len(words) <= 1 or _ONE_THING.fullmatch(words) else f"({words})"


def _script(words: str, *, is_super: bool) -> str:
    words = words.strip()
    table = _TO_SUPER if is_super else _TO_SUB
    tight = words.replace(" ", "")
    if tight in ("∘", "°"):
        return "°"
    if tight and len(tight) <= _LONGEST_SCRIPT and all(letter in table for letter in tight):
        return "".join(table[letter] for letter in tight)
    mark = "^" if is_super else "_"
    return f"{mark}{words}" if len(words) <= 1 else f"{mark}({words})"


# --- rows and columns -----------------------------------------------------------------------------------------------


def _rows(nodes: Sequence[Node]) -> list[list[str]]:
    """Cells between `&` in rows between `\\\\`."""
    rows: list[list[list[Node]]] = [[[]]]
    for node in nodes:
        if isinstance(node, LatexMacroNode) and node.macroname in ("\\", "cr", "newline"):
            rows.append([[]])
        elif isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(node)
    told = [[_line(cell).strip() for cell in row] for row in rows]
    return [row for row in told if any(row)]


def _joined(rows: list[list[str]]) -> str:
    """Rows of an alignment, one a line."""
    return "\n".join(" ".join(cell for cell in row if cell) for row in rows)


def _environment(node: Node) -> str:
    name = str(node.environmentname).rstrip("*")
    rows = _rows(node.nodelist)
    if not rows:
        return ""
    if name == "cases":
        return _fenced([["   ".join(cell for cell in row if cell)] for row in rows], "{}", has_right=False)
    if name in _FENCES:
        return _fenced(rows, _FENCES[name])
    return _joined(rows)


def _fenced(rows: list[list[str]], fence: str, *, has_right: bool = True) -> str:
    """Cells in columns of one width inside tall brackets."""
    columns = max(len(row) for row in rows)
    full = [row + [""] * (columns - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in full) for column in range(columns)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in full]
    if len(lines) == 1:
        return f"{fence[0]}{lines[0]}{fence[1] if has_right else ''}".strip()
    top, middle, low, top_right, middle_right, low_right = tuple(_TALL[fence])
    last = len(lines) - 1
    told = []
    for number, line in enumerate(lines):
        left = top if number == 0 else low if number == last else middle
        right = top_right if number == 0 else low_right if number == last else middle_right
        told.append(f"{left} {line} {right if has_right else ''}".rstrip())
    return "\n".join(told)
