"""The strip on top: which cluster, is everything up, how much room is left.

Rule: each figure is a button to its page; where room is short, figures go in a fixed order and the states stay.
"""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QSpacerItem, QWidget

from ui import text, theme
from ui.font import Role
from ui.icon import draw_icon
from ui.shell.model import ShellModel
from ui.theme import Token, color
from ui.total import Total
from ui.widgets.chip import Chip
from ui.widgets.label import plain_tooltip
from ui.widgets.meter import level_token
from ui.widgets.paint import box, fill, pen, text_width, write

_METER_WIDTH = 84


class Part(NamedTuple):
    """A piece of an item: text in a role and colour, or a meter when `share` (0..1) is given."""

    text: str
    role: Role = "body"
    tint: Token = "text3"
    share: float | None = None

    def width(self) -> float:
        """Return its width in pixels."""
        return _METER_WIDTH if self.share is not None else text_width(self.text, self.role)


class StripItem(QAbstractButton):
    """Icon and parts in one row. With `has_box` it looks like a button."""

    def __init__(self, *, has_box: bool = False, has_line: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._has_box = has_box
        self._has_line = has_line
        self._icon = ""
        self._icon_tint: Token = "text2"
        self._parts: tuple[Part, ...] = ()
        self._tail_icon = ""
        self.setFixedHeight(32)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.notifier.changed.connect(self.update)

    def show_parts(
        self, parts: tuple[Part, ...], name: str, *, icon: str = "", icon_tint: Token = "text2", tail_icon: str = ""
    ) -> None:
        """Show other parts; `name` is the whole as a sentence."""
        self._parts, self._icon, self._icon_tint, self._tail_icon = parts, icon, icon_tint, tail_icon
        self.setAccessibleName(name)
        self.setToolTip(plain_tooltip(name))
        self.updateGeometry()
        self.update()

    def parts(self) -> tuple[Part, ...]:
        """What is shown now."""
        return self._parts

    def _pad(self) -> int:
        return 12 if self._has_box else 16 if self._has_line else 8

    def sizeHint(self) -> QSize:
        width = 2.0 * self._pad() + sum(part.width() for part in self._parts) + 6 * max(len(self._parts) - 1, 0)
        width += 22 if self._icon else 0
        width += 22 if self._tail_icon else 0
        return QSize(round(width + 0.5), 32)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        is_hot = self.underMouse() and self.isEnabled()
        if self._has_box and self._tail_icon:
            box(painter, rect, theme.RADIUS_CONTROL, color("raised"), pen(color("control" if is_hot else "border")))
        elif is_hot:
            box(painter, rect.adjusted(4, 2, -4, -2), theme.RADIUS_CHIP, color("raised"))
        if self._has_line:
            fill(painter, QRectF(0, 6, 1, 20), color("border"))
        left = float(self._pad())
        if self._icon:
            draw_icon(painter, QPointF(left, 8), self._icon, self._icon_tint)
            left += 22
        for part in self._parts:
            width = part.width()
            if part.share is None:
                write(painter, QRectF(left, 0, width + 4, 32), part.text, role=part.role, tint=part.tint)
            else:
                box(painter, QRectF(left, 13, width, 6), 3, color("border"))
                filled = QRectF(left, 13, max(min(part.share, 1.0) * width, 6), 6)
                box(painter, filled, 3, color(part.tint))
            left += width + 6
        if self._tail_icon:
            draw_icon(painter, QPointF(left, 9), self._tail_icon, "text2", 14)


class SearchHint(QAbstractButton):
    """Looks like a field, opens the palette. Folded it keeps icon and key."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_folded = False
        self.setAccessibleName("Go to or run, Ctrl+K")
        self.setToolTip(self.accessibleName())
        self.setFixedHeight(28)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.notifier.changed.connect(self.update)

    def set_folded(self, is_folded: bool) -> None:
        """Hide the words."""
        self._is_folded = is_folded
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(92 if self._is_folded else 216, 28)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = pen(color("control" if self.underMouse() else "border"))
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("sunken"), edge)
        draw_icon(painter, QPointF(10, 7), "search", "text3", 14)
        if not self._is_folded:
            write(painter, QRectF(33, 0, 140, 28), "Go to or run...", role="dense", tint="text3")
        width = text_width("Ctrl K", "label") + 10
        key = QRectF(self.width() - width - 8, 5, width, 18)
        box(painter, key, theme.RADIUS_CHIP, color("surface"), pen(color("border")))
        write(painter, key, "Ctrl K", role="label", tint="text3", align=Qt.AlignmentFlag.AlignHCenter)


class Bell(QAbstractButton):
    """The bell with the number of unread notices."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count = 0
        self.setFixedSize(32, 32)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.set_count(0)
        theme.notifier.changed.connect(self.update)

    def set_count(self, count: int) -> None:
        """Show how many are unread."""
        self._count = count
        self.setAccessibleName(f"Notices, {count} new" if count else "Notices, none new")
        self.setToolTip(self.accessibleName())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse():
            box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("raised"))
        draw_icon(painter, QPointF(8, 8), "bell", "text2")
        if self._count:
            word = str(self._count) if self._count < 100 else "99"
            width = max(text_width(word, "micro") + 7, 15)
            badge = QRectF(32 - width, 1, width, 15)
            box(painter, badge, 7.5, color("warn"))
            write(painter, badge, word, role="micro", tint="sunken", align=Qt.AlignmentFlag.AlignHCenter)


class TopStrip(QWidget):
    """The whole strip, 48 high. `page_wanted` carries the key of the page a figure leads to."""

    page_wanted = Signal(str)
    cluster_clicked = Signal()
    palette_clicked = Signal()
    bell_clicked = Signal()

    def __init__(self, model: ShellModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setFixedHeight(theme.TOP_HEIGHT)
        self.setAccessibleName("Status of the cluster")
        self._cluster = StripItem(has_box=True)
        self._can_switch = False
        self._simulated = Chip("Simulated", "simulated")
        self._simulated.setToolTip("These nodes are processes on this computer")
        self._nodes = StripItem()
        self._memory = StripItem(has_line=True)
        self._tokens = StripItem(has_line=True)
        self._power = StripItem(has_line=True)
        self._search = SearchHint()
        self.bell = Bell()
        self._brand_width = theme.SIDE_WIDTH
        self._has_numbers = True
        self._has_shares = True
        self._lead = QSpacerItem(theme.SIDE_WIDTH + 10, 0)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 12, 1)
        self._row.setSpacing(6)
        self._build()
        model.changed.connect(self.refresh)
        model.notices_changed.connect(lambda: self.bell.set_count(model.unread))
        theme.notifier.changed.connect(self.update)
        self.refresh()

    def _build(self) -> None:
        self._row.addSpacerItem(self._lead)
        for part in (self._cluster, self._simulated, self._nodes, self._memory, self._tokens, self._power):
            self._row.addWidget(part)
        self._row.addStretch(1)
        self._row.addWidget(self._search)
        self._row.addWidget(self.bell)
        self._cluster.clicked.connect(self.cluster_clicked)
        self._nodes.clicked.connect(lambda: self.page_wanted.emit("cluster"))
        self._memory.clicked.connect(lambda: self.page_wanted.emit("cluster"))
        self._tokens.clicked.connect(lambda: self.page_wanted.emit("deployments"))
        self._power.clicked.connect(lambda: self.page_wanted.emit("cluster"))
        self._search.clicked.connect(self.palette_clicked)
        self.bell.clicked.connect(self.bell_clicked)

    def refresh(self) -> None:
        """Show what the model holds."""
        model = self._model
        has_cluster = bool(model.cluster_name)
        name = text.one_line(model.cluster_name, 40) if has_cluster else "No cluster yet"
        tint: Token = "text" if has_cluster else "text3"
        icon, tail = "network" if has_cluster else "unplug", "chevron-down" if self._can_switch else ""
        part = Part(name, "strong" if has_cluster else "body", tint)
        said = f"Cluster {name}" if has_cluster else name
        self._cluster.show_parts((part,), said, icon=icon, icon_tint="text2", tail_icon=tail)
        self._simulated.setVisible(has_cluster and model.is_simulated)
        self._show_nodes()
        self._fit()
        self._row.activate()  # else longer words stand cut for a frame, and in a picture taken now

    def _show_nodes(self) -> None:
        model = self._model
        is_whole = model.nodes_live == model.nodes_total
        figure = f"{model.nodes_live}/{model.nodes_total}"
        word = "node live" if model.nodes_total == 1 else "nodes live"
        parts = (Part(figure, "strong", "text" if is_whole else "warn"), Part(word, "dense", "text2"))
        sign: tuple[str, Token] = ("circle-check", "ok") if is_whole else ("triangle-alert", "warn")
        name = f"{model.nodes_live} of {model.nodes_total} {word}"
        self._nodes.show_parts(parts, name, icon=sign[0], icon_tint=sign[1])

    def _show_figures(self) -> None:
        model = self._model
        old = f", {model.stale_text}" if model.stale_text else ""
        ink: Token = "text3" if model.stale_text else "text"
        least = model.least_free
        if least is None or least.total_bytes <= 0:
            self._memory.show_parts((Part("Least free n/a", "dense"),), "Least free memory n/a, not measured yet")
        else:
            share = 1 - least.free_bytes / least.total_bytes
            free = text.memory(least.free_bytes)
            meter_tint: Token = "control" if model.stale_text else level_token(share, "s1")
            figures: tuple[Part, ...] = ()
            if self._has_numbers:
                figures = (
                    Part(str(free), "strong", ink),
                    Part(f"free on {text.one_line(least.node, 40)}", "dense"),
                )
            if model.stale_text:
                figures += (Part(model.stale_text, "dense", "warn"),)
            name = f"Least free memory: {free} of {text.memory(least.total_bytes)} on {least.node}{old}"
            self._memory.show_parts((Part("", share=share, tint=meter_tint), *figures), f"{name}{_sum_words(model)}")
        tokens, watt = model.tokens_per_s, model.gpu_power_w
        rate, power = text.token_rate(tokens.value), text.power(watt.value, "GPU rail")
        names = (
            f"Generated by {tokens.share_words or 'all'} deployments: {tokens.words(rate)}{old}",
            f"Power{_of_words(watt)}: {watt.words(power)}{old}; the wall gives more",
        )
        found = ((self._tokens, rate, tokens), (self._power, power, watt))
        for (item, figure, total), name in zip(found, names, strict=True):
            of = (Part(total.share_words, "dense", "text3"),) if total.is_partial and self._has_shares else ()
            value = f"{figure.value}+" if total.is_partial and not self._has_shares else figure.value
            item.show_parts((Part(value, "strong", ink), Part(figure.unit, "dense"), *of), name)

    def cluster_place(self) -> QWidget:
        """The cluster's name; the list of clusters opens under it."""
        return self._cluster

    def set_switchable(self, can_switch: bool) -> None:
        """Whether pressing the cluster's name opens a list: it then looks so."""
        self._can_switch = can_switch
        self.refresh()

    def set_brand_width(self, width: int) -> None:
        """Keep the brand as wide as the sidebar below it."""
        self._brand_width = width
        self._lead.changeSize(width + 10, 0)
        self._row.invalidate()
        self.update()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Drop what nobody tells and what has no room: W first, then tok/s, memory, the search's words; states stay.

        Before a figure goes, "132 W 3 of 4" becomes "132+ W": it is still no whole.
        """
        if not self._model.cluster_name:
            for part in (self._nodes, self._memory, self._tokens, self._power):
                part.setVisible(False)
            return
        room = self.width() - self._brand_width - 10 - 12 - 24
        for step in range(9):
            dropped = step // 2
            self._has_shares = step % 2 == 0
            self._has_numbers = dropped < 3
            self._search.set_folded(dropped >= 4)
            self._show_figures()
            shown = {
                self._nodes: True,
                self._memory: True,
                self._tokens: dropped < 2 and self._model.tokens_per_s.told > 0,
                self._power: dropped < 1 and self._model.gpu_power_w.told > 0,
            }
            parts: list[QWidget] = [self._cluster, self._search, *(part for part, is_on in shown.items() if is_on)]
            if self._model.is_simulated:
                parts.append(self._simulated)
            if sum(part.sizeHint().width() + 6 for part in parts) + 32 <= room or dropped == 4:
                for part, is_on in shown.items():
                    part.setVisible(is_on)
                return

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill(painter, QRectF(self.rect()), color("sidebar"))
        fill(painter, QRectF(0, self.height() - 1, self.width(), 1), color("border"))
        mark = QRectF(17, 15, 18, 18)
        box(painter, mark, 4, color("accent"))
        draw_icon(painter, QPointF(19, 17), "sparkdesk", "accentfg", 14)
        if self._brand_width > theme.SIDE_WIDTH_FOLDED:
            write(painter, QRectF(45, 0, 140, 47), "SparkDesk", role="strong", tint="text")


def _sum_words(model: ShellModel) -> str:
    """What all nodes have together, for the tooltip."""
    total = model.free_sum
    if total.told < 2:
        return ""
    who, free = total.share_words or f"All {total.of}", total.words(text.memory(total.value))
    return f". {who} nodes together have {free} free, but memory does not pool: a model needs it on one node"


def _of_words(total: Total) -> str:
    """Of which nodes a sum is, where it is not of all."""
    return f" of {total.share_words} nodes" if total.is_partial else ""
