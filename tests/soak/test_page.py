"""A short soak of the cluster page alone: looked at from all sides again and again, it leaves nothing behind."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication

from tests.soak.count import take_count
from tests.ui.stage import Stage
from ui import theme
from ui.cluster.model import ClusterModel
from ui.cluster.view import ClusterPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")

NODES = 4
WARM, ROUNDS = 2, 4
SLACK = 60
TRIES = 3


def look_around(app: QApplication, stage: Stage, page: ClusterPage) -> None:
    """New samples, every node and cable, both themes."""
    for name in ("light", "dark"):
        theme.set_theme(name)
        stage.live(1)
        page.refresh()
        app.processEvents()
    for card in page.model.scene.cards:
        page.model.select("node", card.node_id)
        app.processEvents()
    for cable in page.model.scene.cables:
        page.model.select("cable", cable.key)
        app.processEvents()


def test_a_page_that_is_looked_at_leaves_nothing_behind(qapp: QApplication) -> None:
    stage = Stage(NODES)
    stage.live(5)
    page = ClusterPage(ClusterModel(stage.cluster_feeds()))
    page.resize(1440, 900)
    page.show()
    try:
        for _ in range(WARM):
            look_around(qapp, stage, page)
        for _ in range(TRIES):
            before = take_count()
            for _ in range(ROUNDS):
                look_around(qapp, stage, page)
            after = take_count()
            if (after.descriptors, after.threads) == (before.descriptors, before.threads):
                break  # what an earlier test left may open a file just now; a leak of the page's opens one each time
    finally:
        page.close()
        page.deleteLater()
        theme.set_theme("dark")
    # Fewer is fine: what an earlier test left may go meanwhile.
    assert after.qt_objects <= before.qt_objects
    assert after.python_qt_objects <= before.python_qt_objects
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    # Each repainted pixmap that is made anew costs six of them for ever, each call of PySide 6.12.0 takes one.
    assert abs(after.none_references - before.none_references) < SLACK
