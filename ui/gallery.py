"""Every part in every state, in both themes: the page a change of looks is reviewed on.

Rule: only sample words and figures, marked as such; nothing here is measured. `python -m ui.gallery --out DIR`.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QApplication, QGridLayout, QHBoxLayout, QLayout, QVBoxLayout, QWidget

from ui import theme
from ui.action import ActionRegistry
from ui.style import install_style
from ui.text import GIB
from ui.theme import SERIES, SERIES_DASH, Token, color
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.card import Card, CardState, LoadingBars
from ui.widgets.chart import ChartFrame, LiveChart, Series
from ui.widgets.chip import Chip, ChipKind
from ui.widgets.field import Field, TextInput
from ui.widgets.focus import FocusRing
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.ledger import LedgerBar, LedgerValues
from ui.widgets.log_filter import OWN_SOURCE, LogLine
from ui.widgets.log_model import LogModel
from ui.widgets.log_view import LogView
from ui.widgets.meter import Meter
from ui.widgets.paint import pen, write
from ui.widgets.palette import CommandPalette
from ui.widgets.segmented import Segmented
from ui.widgets.timeline import Stage, StateTimeline
from ui.widgets.toast import Toast

WIDTH = 720
HEIGHT = 900


class Painted(QWidget):
    """A sample drawn by a function."""

    def __init__(self, height: int, draw: Callable[[QPainter, QRectF], None]) -> None:
        super().__init__()
        self._draw = draw
        self.setFixedHeight(height)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw(painter, QRectF(self.rect()))


def _row(*parts: QWidget, spacing: int = 8) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(spacing)
    for part in parts:
        row.addWidget(part)
    row.addStretch(1)
    return row


def _section(column: QVBoxLayout, title: str, *parts: QLayout | QWidget) -> None:
    column.addWidget(Label(title, "label", "text3"))
    for part in parts:
        if isinstance(part, QLayout):
            column.addLayout(part)
        else:
            column.addWidget(part)
    column.addSpacing(6)


class Gallery(QWidget):
    """The first page: the same content as the design's picture of components."""

    def __init__(self) -> None:
        super().__init__()
        self._rings: list[FocusRing] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 12, 24, 12)
        column.setSpacing(5)
        column.addLayout(_row(Label("Components", "object_title", "text"), Label(f"{theme.name()} theme", "dense")))
        _section(column, "Button: default, hover, pressed, focus, disabled · primary · danger", self._buttons())
        _section(column, "Field: default, focus, error with the reason", self._fields())
        _section(column, "State chip: always icon + word", *_chips())
        _section(column, "Meter: normal, high 80 %, critical 92 % (tick marks the limit)", _meters())
        _section(column, "Ledger bar: weights, KV, other, page cache (hatched), free, 121.6 GiB", _ledger())
        _section(column, "Node card: loading, stale, unreachable, login needed", _cards())
        _section(column, "Cable: width = speed, pattern = state, word beside it", Painted(40, _draw_cables))
        _section(column, "Chart series order: colour + dash or marker", Painted(18, _draw_series))
        column.addWidget(Label("Command palette, 560 × up to 8 rows", "label", "text3"))
        column.addLayout(self._overlays())
        column.addStretch(1)

    def _buttons(self) -> QLayout:
        hover, pressed, focus = Button("Hover"), Button("Pressed"), Button("Focus")
        hover.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)
        pressed.setDown(True)
        disabled = Button("Disabled")
        disabled.set_disabled_reason("Sample of a reason")
        self._focus = focus
        danger = Button("Stop...", kind="danger")
        others = (Button("Primary", kind="primary"), danger, Button("Text", kind="text"))
        return _row(Button("Default"), hover, pressed, focus, disabled, *others)

    def _fields(self) -> QLayout:
        plain, focused, wrong = TextInput("8355"), TextInput("8355"), TextInput("8000")
        self._focused_field = focused
        error = Field("", wrong)
        error.set_error("In use on spark-5c2d by gpt-oss-120b. Try 8355.")
        for part, width in ((plain, 150), (focused, 150), (error, 300)):
            part.setFixedWidth(width)
        fields = QHBoxLayout()
        fields.setSpacing(8)
        for part in (plain, focused):
            fields.addWidget(Field("", part))
        fields.addWidget(error)
        busy = Button("Busy")
        busy.set_busy(True)
        fields.addWidget(busy, 0, Qt.AlignmentFlag.AlignTop)
        return fields

    def _overlays(self) -> QLayout:
        self._registry = ActionRegistry(self)
        entries = (
            ("Deployment: Stop gpt-oss-120b...", "square", "", "shows plan first"),
            ("Deployment: Logs of gpt-oss-120b", "scroll-text", "Ctrl+L", ""),
            ("Go to spark-5c2d", "network", "", "runs rank 0"),
        )
        for i, (title, icon, shortcut, note) in enumerate(entries):
            self._registry.add(f"sample{i}", title, lambda: None, shortcut=shortcut, icon=icon, note=note)
        self._palette = CommandPalette(self._registry, self)
        self._palette.open_palette("")
        self._palette.setFixedWidth(430)
        toasts = QVBoxLayout()
        for kind, title, text, action in (
            ("ok", "gpt-oss-120b is ready", "First token after 3 min 35 s.", "Chat"),
            ("crit", "Load stopped on spark-bd26", "Memory fell to 3.8 GiB. Lower context to 65,536.", "Open plan"),
        ):
            toast = Toast(kind, title, text, action)  # type: ignore[arg-type]
            toast.setFixedWidth(236)
            toasts.addWidget(toast)
        row = QHBoxLayout()
        row.addWidget(self._palette, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(toasts)
        row.addStretch(1)
        return row

    def show_focus(self) -> None:
        """Put the ring and the focused edge on, once the page has its size."""
        ring = FocusRing(self)
        ring.setWidget(self._focus)
        self._rings.append(ring)
        self._focused_field.setFocus()
        # The palette goes when the focus does; here it is a sample.
        self._palette.show()


def _chips() -> tuple[QLayout, QLayout]:
    first: tuple[tuple[str, ChipKind, str | None], ...] = (
        ("Ready", "ok", None),
        ("Loading 62 %", "accent", "loader"),
        ("Receiving", "accent", "download"),
        ("Degraded", "warn", None),
        ("Failed", "crit", None),
        ("Stopped", "neutral", "square"),
        ("Stale 14 s", "warn", "clock"),
    )
    second: tuple[tuple[str, ChipKind, str | None], ...] = (
        ("Unknown", "neutral", "circle-help"),
        ("Simulated", "simulated", None),
    )
    return _row(*(Chip(*each) for each in first)), _row(*(Chip(*each) for each in second))


def _meters() -> QLayout:
    row = QHBoxLayout()
    row.setSpacing(10)
    for fraction in (0.46, 0.84, 0.95, None):
        meter = Meter("Sample", limit=0.92)
        meter.set_fraction(fraction)
        row.addWidget(meter)
        row.addWidget(Label("n/a" if fraction is None else f"{fraction * 100:.0f} %", "dense_strong", "text"))
        if fraction is not None and meter.level() != "s1":
            row.addWidget(IconLabel("triangle-alert" if meter.level() == "warn" else "octagon-alert", meter.level()))
        row.addSpacing(10)
    return row


def _ledger() -> QWidget:
    bar = LedgerBar()
    parts = (121.6, 30.6, 47.0, 12.0, 16.2, 0.0, 11.4)
    bar.set_values(LedgerValues(*(part * GIB for part in parts)))
    return bar


def _cards() -> QLayout:
    grid = QGridLayout()
    grid.setSpacing(8)
    stale = LedgerBar(height=10)
    stale.set_values(LedgerValues(*(part * GIB for part in (121.6, 30.6, 47.0, 0, 16.2))))
    samples: tuple[tuple[str, Chip, CardState, tuple[QWidget, ...]], ...] = (
        ("spark-5c2d", Chip("Connecting"), "normal", (LoadingBars(),)),
        ("spark-bd26", Chip("Stale 14 s", "warn", "clock"), "stale",
         (stale, Label("Last seen 12:43:02. Values are old, retry in 6 s.", "dense"))),
        ("spark-afe0", Chip("Unreachable", "crit", "unplug"), "error",
         (Label("No answer on 10.0.20.33:22 for 1 min. CX-7 peer still sees it.", "dense", is_wrapped=True),
          Button("Log in through spark-bd26", kind="link"))),
        ("spark-3995", Chip("Host key changed", "crit", "key"), "error",
         (Label("Pinned key differs from the one offered. Nothing was sent.", "dense", is_wrapped=True),
          Button("Compare keys", kind="link"))),
    )  # fmt: skip
    for i, (name, chip, state, parts) in enumerate(samples):
        card = Card(fill="node")
        column = card.column(spacing=4, margins=(12, 8, 12, 8))
        head = _row(IconLabel("spark"), Label(name, "strong", "text"))
        head.addWidget(chip)
        column.addLayout(head)
        for part in parts:
            column.addWidget(part)
        column.addStretch(1)
        card.set_state(state)
        card.setMinimumHeight(84)
        grid.addWidget(card, i // 2, i % 2)
    return grid


def _draw_cables(painter: QPainter, rect: QRectF) -> None:
    words = ("200G up", "100G, expected 200G", "Mis-cabled", "Down")
    step = rect.width() / 4
    for i, word in enumerate(words):
        left, right, y = i * step, i * step + 150, 8.0
        if i == 0:
            strokes = [(0.0, pen(color("accent"), 4))]
        elif i == 1:
            strokes = [(0.0, pen(color("warn"), 3, dash=(8, 5)))]
        elif i == 2:
            strokes = [(-2.0, pen(color("warn"), 1.5)), (2.0, pen(color("warn"), 1.5))]
        else:
            strokes = [(0.0, pen(color("crit"), 2, dash=(2, 4)))]
        for shift, stroke in strokes:
            painter.setPen(stroke)
            painter.drawLine(QPointF(left, y + shift), QPointF(right, y + shift))
        if i == 3:
            _draw_cross(painter, QPointF((left + right) / 2, y), "crit")
        write(painter, QRectF(left, 18, step, 18), word, role="dense", tint="text2")


def _draw_cross(painter: QPainter, at: QPointF, tint: Token) -> None:
    painter.setPen(pen(color(tint), 2))
    painter.drawLine(at + QPointF(-5, -5), at + QPointF(5, 5))
    painter.drawLine(at + QPointF(-5, 5), at + QPointF(5, -5))


def _draw_series(painter: QPainter, rect: QRectF) -> None:
    step = rect.width() / 5
    for i, tint in enumerate(SERIES):
        middle = QPointF(i * step + 60, rect.center().y())
        painter.setPen(pen(color(tint), 2, dash=SERIES_DASH[i]))
        painter.drawLine(QPointF(i * step, middle.y()), QPointF(i * step + 120, middle.y()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color(tint))
        if i == 0:
            painter.drawEllipse(middle, 4.5, 4.5)
        elif i == 1:
            painter.drawRect(QRectF(middle.x() - 4, middle.y() - 4, 8, 8))
        elif i == 2:
            painter.drawPolygon(QPolygonF([middle + QPointF(*p) for p in ((0, -6), (6, 0), (0, 6), (-6, 0))]))
        elif i == 3:
            painter.drawPolygon(QPolygonF([middle + QPointF(*p) for p in ((0, -5), (5.5, 5), (-5.5, 5))]))
        else:
            _draw_cross(painter, middle, tint)


class LiveGallery(QWidget):
    """The second page: charts, stages, log, banner, tabs of choices."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 12, 24, 12)
        column.setSpacing(6)
        column.addLayout(_row(Label("Live parts", "object_title", "text"), Label("sample figures", "dense")))
        for title, parts in (("Chart: live with a gap, two series and a limit", _charts()),):
            _section(column, title, parts)
        _section(column, "Stages: running, failed, folded", *_timelines())
        _section(column, "Segmented", _row(Segmented([("map", "Map", "map"), ("table", "Table", "list")], what="View")))
        banner = Banner()
        banner.show_error(
            "Load stopped. Memory fell to 3.8 GiB.",
            "Lower context to 65,536 or stop gpt-oss-120b.",
            detail="exit 137",
            node="spark-bd26",
        )
        _section(column, "Banner: what happened, where, what to do", banner)
        _section(column, "Log: engine and own lines", _log())


def _charts() -> QLayout:
    times = [float(i) for i in range(300)]
    wave = [50 + 14 * math.sin(i / 9) * math.cos(i / 31) for i in range(300)]
    wave[150:165] = [math.nan] * 15
    gpu = LiveChart("GPU utilisation", unit="%", frame=ChartFrame(high=100))
    gpu.set_series([Series("GPU", times, wave)], now_s=299, value_text="58")
    rate = LiveChart("RoCE rate", unit="Gb/s", frame=ChartFrame(limit=100, limit_text="link limit 100"))
    pair = [Series("rx", times, wave), Series("tx", times, [value / 3 for value in wave])]
    rate.set_series(pair, now_s=299, value_text="0.3")
    old = LiveChart("GPU power (rail)", unit="W")
    old.set_series([Series("power", times, wave)], now_s=299, value_text="44")
    old.set_stale_text("14 s ago")
    none = LiveChart("Unified memory", unit="GiB")
    none.set_empty_text("No data yet, starts in 1 s")
    grid = QGridLayout()
    grid.setSpacing(16)
    for i, chart in enumerate((gpu, rate, old, none)):
        chart.setFixedHeight(112)
        grid.addWidget(chart, i // 2, i % 2)
    return grid


def _timelines() -> list[QWidget]:
    done = (Stage("Pre-flight", "done", "0:04", "22 checks"), Stage("Pull", "skipped", "", "image on disk"))
    samples = (
        (*done, Stage("Load", "current", "2:38", "30.6 GiB × 2"), Stage("Warm-up"), Stage("Ready")),
        (*done, Stage("Load", "failed", "2:38", "MemAvailable fell to 3.8 GiB"), Stage("Warm-up"), Stage("Ready")),
        (*done, Stage("Load", "done", "2:38"), Stage("Ready", "done", "3 h 12 min")),
    )
    result: list[QWidget] = []
    for i, stages in enumerate(samples):
        line = StateTimeline()
        line.set_stages(stages, is_folded=i == 2)
        result.append(line)
    return result


def _log() -> QWidget:
    model = LogModel()
    view = LogView(model, title="Logs")
    view.model.setParent(view)
    lines = [LogLine("12:42:40.118", "r0", "INFO", f"sample engine line {i}") for i in range(12)]
    lines.append(LogLine("12:42:57.212", OWN_SOURCE, "WARN", "all 8 sequence slots busy for 3 min, 14 waiting"))
    lines.append(LogLine("12:42:58.001", OWN_SOURCE, "INFO", "tunnel to spark-5c2d is up"))
    lines.append(LogLine("12:42:59.020", "r1", "ERROR", "sample of an error line " + "x" * 300))
    model.append(lines)
    model.flush()
    return view


def save_gallery(app: QApplication, folder: str) -> list[str]:
    """Write one PNG for each page and theme into `folder`; return their paths."""
    os.makedirs(folder, exist_ok=True)
    paths: list[str] = []
    for name in ("dark", "light"):
        theme.set_theme(name)
        for title, build in (("components", Gallery), ("live", LiveGallery)):
            page = build()
            page.resize(QSize(WIDTH, HEIGHT))
            page.show()
            for _ in range(4):  # wrapped labels settle their heights
                app.processEvents()
            if isinstance(page, Gallery):
                page.show_focus()
                app.processEvents()
            path = os.path.join(folder, f"{title}-{name}.png")
            page.grab().save(path)
            paths.append(path)
            page.close()
            page.deleteLater()
    return paths


def main() -> int:
    """Write the gallery, or show it when no folder is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="folder for the PNGs; without it a window opens")
    arguments = parser.parse_args()
    if arguments.out:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication(sys.argv[:1])
    install_style(app, "dark")
    if arguments.out:
        for path in save_gallery(app, arguments.out):
            sys.stdout.write(f"{path}\n")
        return 0
    page = Gallery()
    page.show()
    return app.exec()


if __name__ == "__main__":
    raise SystemExit(main())
