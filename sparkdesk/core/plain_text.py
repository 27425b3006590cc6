"""Text from a node or a model made safe to show: no terminal codes, no control characters, no hidden direction marks.

The one rule: what was there stays visible. A control character becomes its picture (U+2400 block), never nothing; only
ANSI colour and cursor codes, which carry no words, are left out.
"""

from __future__ import annotations

import itertools
import re

_BACKTICKS = re.compile("`+")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\^_])")
_PICTURES = {code: 0x2400 + code for code in range(0x20)}
_PICTURES[0x7F] = 0x2421
_PICTURES.update(dict.fromkeys(range(0x80, 0xA0), 0xFFFD))
# Marks that turn the reading direction, and half characters, both of which make a text lie.
_PICTURES.update(dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C), 0xFFFD))
_PICTURES.update(dict.fromkeys((0x2028, 0x2029), 0x2424))
del _PICTURES[0x09], _PICTURES[0x0A]


def make_plain(text: str, *, max_chars: int = 4096) -> str:
    """The text with control characters as pictures, at most `max_chars` (the end is cut and an ellipsis put)."""
    if len(text) <= max_chars and text.isascii() and text.isprintable():
        return text  # nearly every text is so, and a probe's line has dozens
    shown = _ANSI.sub("", text[: 4 * max_chars]).translate(_PICTURES)
    shown = shown.encode("utf-8", "replace").decode("utf-8")
    return shown if len(shown) <= max_chars and len(text) <= 4 * max_chars else shown[: max_chars - 1] + "…"


def make_line(text: str, *, max_chars: int = 4096) -> str:
    """As `make_plain`, on one line: a line end becomes its picture too."""
    return make_plain(text, max_chars=max_chars).replace("\n", "␊").replace("\t", "    ")


def fence_for(text: str) -> str:
    """A fence of Markdown that the text cannot close: longer than any run of backticks in it."""
    return "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(text)), default=0))


def lower_first(sentence: str) -> str:
    """The sentence with a small letter at its start, to stand inside another one."""
    return f"{sentence[:1].lower()}{sentence[1:]}"


# --- words of a model, in whatever language -------------------------------------------------------------------------

_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
)
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(rf"(?P<run>[{_HIDDEN}]+)|(?P<stack>[{_MARKS}]{{5,}})")
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_MOST_SHOWN = 6
_MOST_PLACES = 200
_MOST_MARKS = 4


def reveal_hidden(text: str, *, is_code: bool = False) -> str:
    """The text with every character that a reader would not see written out, as `‹U+202E›`; its words stay as they are.

    Joiners, direction marks and variation selectors stay where a language or an emoji needs them; in code a direction
    mark never does. Stacks of accents are cut to four. A text without any of these is given back as it is.
    """
    if text.isascii() and (text.isprintable() or not _UNSEEN.search(text)):
        return text
    has_right_to_left = not is_code and _RIGHT_TO_LEFT.search(text) is not None
    # One "\r" before a line's end is that line's end.
    text = text.replace("\r\n", "\n")
    places = itertools.count()

    def reveal(found: re.Match[str]) -> str:
        shown = _revealed(found, has_right_to_left=has_right_to_left)
        # Written out everywhere, a text that hides much would be many times as long.
        return shown if len(shown) <= len(found[0]) or next(places) < _MOST_PLACES else "‹›"

    return _UNSEEN.sub(reveal, text)


def _revealed(found: re.Match[str], *, has_right_to_left: bool) -> str:
    if found["stack"]:
        return f"{found[0][:_MOST_MARKS]}‹{len(found[0]) - _MOST_MARKS} more marks›"
    before = found.string[found.start() - 1] if found.start() else " "
    shown, unseen = [], 0
    for letter in found[0]:
        if _is_needed(letter, before, has_right_to_left=has_right_to_left):
            shown.append(letter)
        else:
            unseen += 1
            if unseen <= _MOST_SHOWN:
                shown.append(_name(letter))
        before = letter
    if unseen > _MOST_SHOWN:
        shown.append(f"‹{unseen - _MOST_SHOWN} more hidden›")
    return "".join(shown)


def _is_needed(letter: str, before: str, *, has_right_to_left: bool) -> bool:
    """Whether a language or an emoji needs this hidden character here."""
    code, last = ord(letter), ord(before)
    if code in (0x200E, 0x200F, 0x061C):
        return has_right_to_left
    if code in (0x200C, 0x200D):
        # Letters that join (Arabic to Mongolian), and pictures; between Latin letters a joiner only hides something.
        return 0x0600 <= last <= 0x18AF or 0x2190 <= last <= 0x2BFF or last == 0xFE0F or 0x1F000 <= last <= 0x1FAFF
    if 0xFE00 <= code <= 0xFE0F:
        return last in range(0x30, 0x3A) or last in (0x23, 0x2A) or (last > 0xA0 and not 0xFE00 <= last <= 0xFE0F)
    return False


def _name(letter: str) -> str:
    code = ord(letter)
    if code < 0x20 or code == 0x7F:
        return chr(0x2421 if code == 0x7F else 0x2400 + code)
    return "␤" if code in (0x2028, 0x2029) else f"‹U+{code:04X}›"
