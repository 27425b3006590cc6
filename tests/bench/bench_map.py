"""How much processor time the map costs: painted whole with 4 and with 64 nodes, one changed card, and hidden.

The one rule: CPU time of this process, the median of many; the whole map is measured beside filling its rectangle. With
64 nodes it is made as high as it needs to be, so that all cards are painted; in a window most of them are out of sight.
What is repainted is counted, not timed: one changed card paints one card, and a hidden map paints nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication, QWidget

from tests.bench.figure import Figure
from tests.ui import rack
from tests.ui.stage import Stage
from ui.cluster.map.view import TopologyMap
from ui.cluster.model import ClusterModel
from ui.style import install_style
from ui.theme import color

NAMES = (
    "map.full_repaint_4_nodes",
    "map.full_repaint_64_nodes",
    "map.one_card_repaint",
    "map.cards_painted_of_64_when_one_changed",
    "map.repaints_hidden",
    "map.scene_4_nodes",
    "map.scene_64_nodes",
    "map.first_paint_4_nodes",
    "map.first_paint_64_nodes",
)
ROUNDS = 60
FULL_LIMIT_MS, MANY_LIMIT_MS = 3.0, 12.0
CARD_LIMIT_MS = 1.5
SCENE_LIMIT_MS, MANY_SCENE_LIMIT_MS = 1.0, 16.0
MANY = 64
WIDTH, HEIGHT = 848, 570
"""As in a window of 1440x900."""


def cpu_ms(work: Callable[[], object], prepare: Callable[[], object] | None = None) -> float:
    """The median CPU time of one call, in ms; `prepare` comes before each and does not count."""
    times = []
    for _ in range(ROUNDS + 5):
        if prepare is not None:
            prepare()
        began_s = time.process_time()
        work()
        times.append((time.process_time() - began_s) * 1000)
    return statistics.median(times[5:])


class Shown:
    """A map of so many nodes, and what it is painted on."""

    def __init__(self, count: int) -> None:
        self.stage = Stage(count)
        self._changes = 0
        jobs = [rack.job(f"j{at}", f"model-{at}", at) for at in range(0, count, 2)]
        self.stage.serve(*jobs)
        self.stage.live(5)
        self.model = ClusterModel(self.stage.cluster_feeds())
        self.model.refresh()
        self.map = TopologyMap()
        self.map.resize(WIDTH, HEIGHT)
        self.map.set_scene(self.model.scene)
        self.map.resize(WIDTH, max(HEIGHT, round(self.map.map_layout().height)))
        self.canvas = QImage(self.map.size(), QImage.Format.Format_ARGB32_Premultiplied)

    def paint(self) -> None:
        """All of it."""
        self.map.render(self.canvas)

    def paint_first(self) -> None:
        """All of it by a map that has never painted: nothing is kept yet."""
        new = TopologyMap()
        new.resize(self.map.size())
        new.set_scene(self.model.scene)
        new.render(self.canvas)

    def fill(self) -> None:
        """Its rectangle in one colour."""
        painter = QPainter(self.canvas)
        painter.fillRect(self.canvas.rect(), color("window"))
        painter.end()

    def paint_card(self) -> None:
        """The first card's rectangle."""
        card = self.map.map_layout().nodes["node0"].toAlignedRect()
        self.map.render(self.canvas, card.topLeft(), card, QWidget.RenderFlag.DrawChildren)

    def measure_all(self) -> None:
        """Every node sends another sample."""
        self.stage.live(1)

    def change_one(self) -> None:
        """One node sends another sample, and the map follows."""
        self._changes += 1
        self.stage.measure(0, 90.0 - self._changes)
        self.model.refresh()
        self.map.set_scene(self.model.scene)


def count_painted(app: QApplication, shown: Shown) -> tuple[int, int]:
    """The most cards that one changed card paints, in a shown map; and the paintings of ten changes of a hidden one."""
    shown.map.set_scene(shown.model.scene)
    shown.map.show()
    for _ in range(5):
        app.processEvents()
    most = 0
    for _ in range(10):
        before = shown.map.repaints
        shown.change_one()
        app.processEvents()
        if shown.map.repaints == before:
            raise RuntimeError("a changed card is not painted")
        most = max(most, len(shown.map.painted))
    shown.map.hide()
    app.processEvents()
    before = shown.map.repaints
    for _ in range(10):
        shown.change_one()
        app.processEvents()
    return most, shown.map.repaints - before


def measure() -> list[Figure]:
    """All figures."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    install_style(app, "dark")
    few, many = Shown(4), Shown(MANY)
    cost = {shown: (cpu_ms(shown.paint), cpu_ms(shown.fill)) for shown in (few, many)}
    scenes = [cpu_ms(shown.model.refresh, shown.measure_all) for shown in (few, many)]
    card_ms = cpu_ms(few.paint_card)
    painted, hidden = count_painted(app, many)
    firsts = [cpu_ms(each.paint_first) for each in (few, many)]
    note = "px, antialiased, offscreen raster, parts are kept, median CPU; baseline: one fill"
    sizes = [f"{each.map.width()}x{each.map.height()} {note}" for each in (few, many)]
    sizes[1] = f"density {many.map.map_layout().density}, all cards in sight, {sizes[1]}"
    first = "a map that is made, laid out and painted for the first time: nothing is kept"
    changed = "from new samples of all nodes to a scene, once a second"
    (full_ms, fill_ms), (many_ms, many_fill_ms) = cost.values()
    return [
        Figure.at_most(NAMES[0], full_ms, "ms", FULL_LIMIT_MS, baseline=fill_ms, note=sizes[0]),
        Figure.at_most(NAMES[1], many_ms, "ms", MANY_LIMIT_MS, baseline=many_fill_ms, note=sizes[1]),
        Figure.at_most(NAMES[2], card_ms, "ms", CARD_LIMIT_MS, note="of 4"),
        Figure.at_most(NAMES[3], float(painted), "cards", 1, note="a sample of one node; the most of ten"),
        Figure.at_most(NAMES[4], float(hidden), "repaints", 0, note="ten samples while nobody sees it"),
        Figure.at_most(NAMES[5], scenes[0], "ms", SCENE_LIMIT_MS, note=changed),
        Figure.at_most(NAMES[6], scenes[1], "ms", MANY_SCENE_LIMIT_MS, note=changed),
        Figure.told(NAMES[7], firsts[0], "ms", note=first),
        Figure.told(NAMES[8], firsts[1], "ms", note=first),
    ]
