"""Markdown of a model into a document that looks like ours and holds nothing to fetch or run.

Rule: raw HTML is text, an image is the words for it, and whatever the document asks for it gets one blank picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import QMimeData, QRectF, QUrl
from PySide6.QtGui import (
    QColor,
    QFont,
    QImage,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextList,
    QTextListFormat,
    QTextOption,
    QTextTable,
)
from PySide6.QtWidgets import QTextBrowser, QWidget

from sparkdesk.core.plain_text import reveal_hidden
from ui.chat.words.inline import MARK, NO_WORDS, OPEN, Formula, mark_inline
from ui.font import LINE_HEIGHT, Role, font
from ui.text import one_line
from ui.theme import color
from ui.widgets.label import plain_tooltip

_FEATURES: Final = QTextDocument.MarkdownFeature.MarkdownNoHTML | QTextDocument.MarkdownFeature.MarkdownDialectGitHub
_HEADINGS: Final[dict[int, Role]] = {1: "page_title", 2: "object_title", 3: "strong"}
_MAX_DEPTH: Final = 6
_INDENT_PX: Final = 20
_QUOTE_PX: Final = 14
_CELL_PADDING_PX: Final = 4
_FIXED_HEIGHT: Final = QTextBlockFormat.LineHeightTypes.FixedHeight.value
_Property = QTextFormat.Property
SOURCE: Final = _Property.UserProperty.value + 1
"""What was written where a formula is shown; a copy of the text has this."""


def blank_image() -> QImage:
    """One transparent pixel."""
    image = QImage(1, 1, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor(0, 0, 0, 0))
    return image


class SafeBrowser(QTextBrowser):
    """Shows a document and goes nowhere: no link is opened, no source is set, nothing is loaded, nothing is dropped.

    What is copied out of it is plain text, with the source of each formula.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setAcceptDrops(False)
        self.setUndoRedoEnabled(False)

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802
        return blank_image()

    def createMimeDataFromSelection(self) -> QMimeData:  # noqa: N802
        data = QMimeData()
        data.setText(selected_text(self.textCursor()))
        return data

    def doSetSource(self, name: QUrl | str, kind: object = None) -> None:  # noqa: N802
        return


def selected_text(cursor: QTextCursor) -> str:
    """What is selected, as plain text with the source of each formula."""
    first, last = cursor.selectionStart(), cursor.selectionEnd()
    lines: list[str] = []
    block = cursor.document().findBlock(first)
    while block.isValid() and block.position() <= last:
        pieces: list[str] = []
        at = block.begin()
        while not at.atEnd():
            piece = at.fragment()
            start, end = max(first, piece.position()), min(last, piece.position() + piece.length())
            if start < end:
                source = piece.charFormat().property(SOURCE)
                part = _selected(cursor.document(), start, end - start)
                pieces.append(str(source) if source else part.selectedText())
            at += 1
        lines.append("".join(pieces).replace("\u2028", "\n"))
        block = block.next()
    return "\n".join(lines)


def lay_out(document: QTextDocument, markdown: str) -> None:
    """Fill the document with a block of Markdown in the theme worn now."""
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    # Empty first: what is set here has all that is in it laid out again.
    document.clear()
    document.setDefaultTextOption(option)
    document.setDefaultFont(font("body"))
    document.setDocumentMargin(0)
    document.setIndentWidth(_INDENT_PX)
    document.setUndoRedoEnabled(False)
    text, formulas = mark_inline(reveal_hidden(markdown))
    document.setMarkdown(text, _FEATURES)
    # One edit: else the document is laid out again after every change.
    edit = QTextCursor(document)
    edit.beginEditBlock()
    _replace_images(document, formulas)
    _dress_tables(document)
    for block in _blocks(document):
        _dress_block(block)
    _dress_lists(document)
    if formulas:
        _write_formulas(document, formulas)
    edit.endEditBlock()


def lay_out_plain(document: QTextDocument, text: str) -> None:
    """Fill the document with text as it is."""
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    # Empty first: what is set here has all that is in it laid out again.
    document.clear()
    document.setDefaultTextOption(option)
    document.setDefaultFont(font("body"))
    document.setDocumentMargin(0)
    document.setPlainText(reveal_hidden(text))
    for block in _blocks(document):
        _set_line_height(QTextCursor(block), LINE_HEIGHT["body"])


def quote_bars(document: QTextDocument) -> list[QRectF]:
    """The lines at the left of quotes, one a level, in the document's pixels."""
    layout = document.documentLayout()
    bars: list[QRectF] = []
    levels = [(block, min(int(block.blockFormat().property(_Property.BlockQuoteLevel) or 0), _MAX_DEPTH))
              for block in _blocks(document)]  # fmt: skip
    for (block, level), (after, next_level) in zip(levels, [*levels[1:], levels[-1]], strict=True):
        place = layout.blockBoundingRect(block)
        for number in range(level):
            is_going_on = next_level > number and after != block
            end = layout.blockBoundingRect(after).top() if is_going_on else place.bottom()
            bars.append(QRectF(_QUOTE_PX * number + 2, place.top(), 2, end - place.top()))
    return bars


def _blocks(document: QTextDocument) -> Iterator[QTextBlock]:
    block = document.begin()
    while block.isValid():
        yield block
        block = block.next()


def _fragments(block: QTextBlock) -> Iterator[tuple[int, int, QTextCharFormat]]:
    """Position, length and format of each run of the block."""
    at = block.begin()
    while not at.atEnd():
        fragment = at.fragment()
        yield fragment.position(), fragment.length(), fragment.charFormat()
        at += 1


def _selected(document: QTextDocument, position: int, length: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(position)
    cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def _replace_images(document: QTextDocument, formulas: list[Formula]) -> None:
    """Put words where images would be, before anything is laid out: a layout is what loads them."""
    found = [
        (position, length, look.toImageFormat().name(), look.property(_Property.ImageAltText))
        for block in _blocks(document)
        for position, length, look in _fragments(block)
        if look.isImageFormat()
    ]
    plain = QTextCharFormat()
    for position, length, name, alt in reversed(found):
        plain.setForeground(color("text3"))
        words = one_line(_as_written(str(alt or ""), formulas), 80).strip()
        said = f"{words}, " if words else ""
        address = one_line(_as_written(name, formulas), 120)
        _selected(document, position, length).insertText(f"[image not loaded: {said}{address}]", plain)


def _as_written(text: str, formulas: list[Formula]) -> str:
    """A text of the document without our own marks."""
    sources = [formula.source for formula in formulas]
    return MARK.sub(lambda mark: sources[int(mark[1])], text).replace(NO_WORDS, "")


def _write_formulas(document: QTextDocument, formulas: list[Formula]) -> None:
    """Put each formula where its mark is, from the end on."""
    marks = [
        (block, mark) for block in _blocks(document) if OPEN in block.text() for mark in MARK.finditer(block.text())
    ]
    for block, mark in reversed(marks):
        formula = formulas[int(mark[1])]
        # Qt counts in UTF-16 units.
        before = block.text()[: mark.start()]
        start = block.position() + len(before) + sum(letter > "\uffff" for letter in before)
        is_alone = mark[0] == block.text().strip()
        cursor = _selected(document, start, len(mark[0]))
        shown = _shown_formula(formula)
        look = cursor.charFormat()
        look.setProperty(SOURCE, formula.source)
        if shown is None or "\n" in shown:
            look.setFont(font("mono"))
        if shown is None:
            look.setBackground(color("grid"))
        what = "Formula" if shown is not None else "A formula that cannot be shown; this is its source"
        look.setToolTip(plain_tooltip(f"{what}: {formula.source}"))
        cursor.insertText((formula.source if shown is None else shown).replace("\n", "\u2028"), look)
        if is_alone and formula.is_display:
            _set_apart(QTextCursor(block), is_tall="\n" in (shown or ""))


def _shown_formula(formula: Formula) -> str | None:
    from ui.chat.words.formula import unicode_of

    return unicode_of(formula.latex.strip())


def _set_apart(cursor: QTextCursor, *, is_tall: bool) -> None:
    shape = QTextBlockFormat()
    shape.setLeftMargin(_INDENT_PX)
    shape.setTopMargin(4)
    shape.setBottomMargin(8)
    if is_tall:
        # The parts of a tall bracket must touch.
        shape.setLineHeight(0, QTextBlockFormat.LineHeightTypes.SingleHeight.value)
    cursor.mergeBlockFormat(shape)


def _dress_block(block: QTextBlock) -> None:
    document = block.document()
    cursor = QTextCursor(block)
    shape = block.blockFormat()
    level = shape.headingLevel()
    role = _HEADINGS.get(level, "strong") if level else "body"
    is_cell = cursor.currentTable() is not None
    is_quote = shape.hasProperty(_Property.BlockQuoteLevel)
    is_rule = shape.hasProperty(_Property.BlockTrailingHorizontalRulerWidth)
    height = 10 if is_rule else LINE_HEIGHT["dense" if is_cell else role]
    new = QTextBlockFormat()
    new.setLineHeight(_line_height(block, height, is_cell=is_cell), _FIXED_HEIGHT)
    new.setTopMargin(0)
    new.setBottomMargin(0 if is_cell else 4)
    # A hostile text nests thousands deep, which would push the words out of the page.
    depth = min(int(shape.property(_Property.BlockQuoteLevel) or 0), _MAX_DEPTH)
    new.setLeftMargin(depth * _QUOTE_PX)
    cursor.mergeBlockFormat(new)
    tint = color("text2" if is_quote else "text")
    is_plain = role == "body" and not is_cell and not is_quote
    for position, length, look in list(_fragments(block)):
        if is_plain and look.propertyCount() == 0:
            # The document's own font and colour; each merge that is left out is time that a long text has.
            continue
        _selected(document, position, length).setCharFormat(_look(look, role, tint, is_cell=is_cell))


def _line_height(block: QTextBlock, height: int, *, is_cell: bool) -> int:
    # Qt puts an empty block before and after a table; it must not look like a line.
    is_beside_table = not is_cell and not block.text() and block.textList() is None
    has_rule = block.blockFormat().hasProperty(_Property.BlockTrailingHorizontalRulerWidth)
    return 1 if is_beside_table and not has_rule else height


def _look(found: QTextCharFormat, role: Role, tint: QColor, *, is_cell: bool) -> QTextCharFormat:
    look = QTextCharFormat(found)
    families = found.property(_Property.FontFamilies) or []
    is_code = found.fontFixedPitch() or "monospace" in families
    face = QFont(font("mono" if is_code else "dense" if is_cell and role == "body" else role))
    if found.fontWeight() >= QFont.Weight.Bold:
        face.setWeight(QFont.Weight.DemiBold)
    face.setItalic(found.fontItalic())
    face.setStrikeOut(found.fontStrikeOut())
    look.setFont(face)
    # Qt makes headings larger or smaller by this, and forgets their font's own size for it.
    look.clearProperty(_Property.FontSizeAdjustment)
    look.setForeground(tint)
    if is_code:
        look.setBackground(color("grid"))
    if found.isAnchor():
        look.setForeground(color("accenttext"))
        look.setFontUnderline(False)
        look.setToolTip("")
    return look


def _dress_lists(document: QTextDocument) -> None:
    seen: set[int] = set()
    for block in _blocks(document):
        items: QTextList | None = block.textList()
        if items is None or items.objectIndex() in seen:
            continue
        seen.add(items.objectIndex())
        shape = items.format()
        shape.setIndent(max(1, min(shape.indent(), _MAX_DEPTH)))
        if shape.style() in (QTextListFormat.Style.ListCircle, QTextListFormat.Style.ListSquare):
            shape.setStyle(QTextListFormat.Style.ListDisc)
        items.setFormat(shape)


def _dress_tables(document: QTextDocument) -> None:
    for table in _tables(document):
        shape = table.format().toTableFormat()
        shape.setBorder(1)
        shape.setBorderCollapse(True)
        shape.setBorderBrush(color("border"))
        shape.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        shape.setCellPadding(_CELL_PADDING_PX)
        shape.setCellSpacing(0)
        shape.setMargin(0)
        shape.setTopMargin(2)
        shape.setBottomMargin(4)
        shape.setWidth(QTextLength(QTextLength.Type.VariableLength, 0))
        table.setFormat(shape)
        _align_head(table)


def _tables(document: QTextDocument) -> Iterator[QTextTable]:
    """The tables, found by their first cells: PySide keeps each root frame it was asked for as long as the document."""
    for block in _blocks(document):
        table: QTextTable | None = QTextCursor(block).currentTable()
        if table is not None and table.firstPosition() == block.position():
            yield table


def _align_head(table: QTextTable) -> None:
    """Let a column's title stand over its figures; Qt forgets that."""
    for column in range(table.columns() if table.rows() > 1 else 0):
        below = table.cellAt(1, column).firstCursorPosition().blockFormat().alignment()
        shape = QTextBlockFormat()
        shape.setAlignment(below)
        table.cellAt(0, column).firstCursorPosition().mergeBlockFormat(shape)


def _set_line_height(cursor: QTextCursor, height: int) -> None:
    shape = QTextBlockFormat()
    shape.setLineHeight(height, _FIXED_HEIGHT)
    cursor.mergeBlockFormat(shape)
