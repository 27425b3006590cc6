"""How much processor time the map costs: painted whole, one changed card, and a second of telemetry that nobody sees.

The one rule: CPU time of this process, the median of many; the whole map is measured beside filling its rectangle.
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
from ui.cluster.map import TopologyMap
from ui.cluster.model import ClusterModel
from ui.style import install_style
from ui.theme import color

NAMES = ("map.full_repaint_4_nodes", "map.one_card_repaint", "map.scene_4_nodes")
ROUNDS = 60
FULL_LIMIT_MS = 4.0
CARD_LIMIT_MS = 1.5
SCENE_LIMIT_MS = 1.0


def cpu_ms(work: Callable[[], object]) -> float:
    """The median CPU time of one call, in ms."""
    for _ in range(5):
        work()
    times = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        work()
        times.append((time.process_time() - began_s) * 1000)
    return statistics.median(times)


def measure() -> list[Figure]:
    """The three figures, on a map of 848x570 as in a window of 1440x900."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    install_style(app, "dark")
    stage = Stage()
    stage.serve(rack.job("j1", "gpt-oss-120b", 0), rack.job("j2", "qwen3.6-35b", 2))
    stage.live(5)
    model = ClusterModel(stage.cluster_feeds())
    model.refresh()
    topology = TopologyMap()
    topology.resize(848, 570)
    topology.set_scene(model.scene)
    canvas = QImage(848, 570, QImage.Format.Format_ARGB32_Premultiplied)

    def fill() -> None:
        painter = QPainter(canvas)
        painter.fillRect(canvas.rect(), color("window"))
        painter.end()

    card = topology.map_layout().nodes["node0"].toAlignedRect()

    def one_card() -> None:
        topology.render(canvas, card.topLeft(), card, QWidget.RenderFlag.DrawChildren)

    floor_ms = cpu_ms(fill)
    full_ms = cpu_ms(lambda: topology.render(canvas))
    card_ms = cpu_ms(one_card)
    scene_ms = cpu_ms(model.refresh)
    note = "848x570, antialiased, offscreen raster, median CPU"
    return [
        Figure.at_most(NAMES[0], full_ms, "ms", FULL_LIMIT_MS, baseline=floor_ms, note=f"{note}; baseline: one fill"),
        Figure.at_most(NAMES[1], card_ms, "ms", CARD_LIMIT_MS, note=note),
        Figure.at_most(NAMES[2], scene_ms, "ms", SCENE_LIMIT_MS, note="from samples to a scene, once a second"),
    ]
