from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from tests.ui.picture import SHOTS, SIZES, cut_labels
from tests.ui.walk import guessing_labels
from ui import theme
from ui.main_window import MIN_SIZE, MainWindow, MemoryStore
from ui.shell.model import LeastFree, Notice, ShellModel
from ui.shell.nav import NavItem
from ui.text import GIB
from ui.total import Total
from ui.widgets.button import Button
from ui.widgets.empty_state import EmptyState

# The offscreen platform says so each time a window has a least size.
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
ROOT = Path(__file__).resolve().parents[2]
PAGES = (("cluster", "Cluster", "network"), ("launch", "Launch", "rocket"), ("chat", "Chat", "message-square"))


class Maker:
    """Makes pages and remembers which."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def make(self, key: str) -> QWidget:
        self.made.append(key)
        return EmptyState("rocket", key, "Nothing runs yet.", action=f"Begin {key}", is_primary=True)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def window(dressed: QApplication, store: MemoryStore, maker: Maker) -> MainWindow:
    window = MainWindow(ShellModel(), store)
    for key, title, icon in PAGES:
        window.add_page(key, title, icon, lambda key=key: maker.make(key))
    window.show()
    window.show_page("cluster")
    _ = window.actions_registry
    return window


def live(window: MainWindow) -> None:
    model = window.shell
    model.set_cluster("desk-4", is_simulated=True)
    model.set_nodes(3, 4)
    least = LeastFree("spark-5c2d", 96.1 * GIB, 121.6 * GIB)
    model.set_figures(least_free=least, tokens_per_s=Total(285, 1, 1), gpu_power_w=Total(189, 4, 4))
    model.set_sampling("Sampling every 1.0 s · 4 SSH", is_sampling=True)


def test_a_page_is_made_on_its_first_visit_only(window: MainWindow, maker: Maker) -> None:
    assert maker.made == ["cluster"]
    window.show_page("launch")
    window.show_page("cluster")
    window.show_page("launch")
    assert maker.made == ["cluster", "launch"]


def test_keys_lead_to_pages_in_the_order_of_the_sidebar(window: MainWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert window.page_key() == "chat"
    QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.page_key() == "cluster"


def test_a_click_in_the_sidebar_shows_the_page_and_marks_it(window: MainWindow) -> None:
    item = window.sidebar.item("launch")
    assert item is not None
    shown: list[str] = []
    window.page_shown.connect(shown.append)
    QTest.mouseClick(item, Qt.MouseButton.LeftButton)
    assert shown == ["launch"]
    assert item.isChecked()


def test_a_page_that_is_not_ready_says_why_and_does_not_open(window: MainWindow) -> None:
    window.set_page_reason("chat", "Launch a model first")
    item = window.sidebar.item("chat")
    assert item is not None
    assert "Launch a model first" in item.toolTip()
    QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    QTest.mouseClick(item, Qt.MouseButton.LeftButton)
    assert window.page_key() == "cluster"
    window.set_page_reason("chat", "")
    QTest.mouseClick(item, Qt.MouseButton.LeftButton)
    assert window.page_key() == "chat"


def test_settings_without_a_page_lead_nowhere(window: MainWindow) -> None:
    item = window.sidebar.item("settings")
    assert item is not None
    QTest.mouseClick(item, Qt.MouseButton.LeftButton)
    assert window.page_key() == "cluster"


def test_replacing_a_page_shows_the_new_one(window: MainWindow, maker: Maker) -> None:
    old = window.page("cluster")
    window.add_page("cluster", "Cluster", "network", lambda: maker.make("cluster again"))
    assert window.page("cluster") is not old
    assert maker.made == ["cluster", "cluster again"]
    assert [item.text() for item in window.sidebar.findChildren(NavItem)].count("Cluster") == 1


def test_a_hidden_page_marks_the_entry_it_stands_under(window: MainWindow, store: MemoryStore) -> None:
    window.show_page("chat")
    window.add_page("first_run", "First run", "plus", lambda: EmptyState("plus", "First", ""), under="cluster")
    window.show_page("first_run")
    item = window.sidebar.item("cluster")
    assert item is not None
    assert item.isChecked()
    assert store.get("window.page") == "chat"


def test_the_sidebar_folds_by_key_and_by_itself(window: MainWindow, store: MemoryStore) -> None:
    window.resize(1440, 900)
    assert window.sidebar.width() == theme.SIDE_WIDTH
    QTest.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert window.sidebar.width() == theme.SIDE_WIDTH_FOLDED
    assert store.get("window.is_folded") is True
    QTest.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    window.resize(1200, 900)
    QTest.qWait(10)
    assert window.sidebar.is_folded()
    QTest.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert not window.sidebar.is_folded()
    assert store.get("window.is_folded") is False


def test_the_last_page_and_the_size_come_back(window: MainWindow, store: MemoryStore, dressed: QApplication) -> None:
    window.resize(1300, 777)
    window.show_page("launch")
    window.close()
    again = MainWindow(ShellModel(), store)
    for key, title, icon in PAGES:
        again.add_page(key, title, icon, lambda: EmptyState("rocket", "x", "y"))
    screen = again.screen().availableGeometry()
    # Qt keeps a restored window on the screen, which is small here.
    assert again.width() == max(min(1300, screen.width()), MIN_SIZE.width())
    assert again.height() <= 777
    assert again.last_page("cluster") == "launch"


@pytest.mark.parametrize("stored", [7, "no geometry", "AdnQywADAAA=", None])
def test_a_broken_stored_geometry_is_ignored(dressed: QApplication, stored: object) -> None:
    store = MemoryStore()
    store.set("window.geometry", stored)
    store.set("window.page", ["x"])
    window = MainWindow(ShellModel(), store)
    assert window.width() >= MIN_SIZE.width()
    assert window.height() >= MIN_SIZE.height()
    window.add_page("cluster", "Cluster", "network", lambda: EmptyState("rocket", "x", "y"))
    assert window.last_page("cluster") == "cluster"


def test_closing_asks_and_the_application_decides(window: MainWindow) -> None:
    asked: list[None] = []
    window.close_requested.connect(lambda: asked.append(None))
    assert not window.close()
    assert window.isVisible()
    QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert asked == [None, None]
    window.finish_close()
    assert not window.isVisible()


def test_the_strip_tells_the_state_of_the_cluster_in_words(window: MainWindow) -> None:
    live(window)
    names = [item.accessibleName() for item in window.strip.findChildren(type(window.strip._nodes))]
    assert "Cluster desk-4" in names
    assert "3 of 4 nodes live" in names
    assert "Least free memory: 96.1 GiB of 121.6 GiB on spark-5c2d" in names
    assert "Generated by all deployments: 285 tok/s" in names
    assert "Power: 189 W GPU rail; the wall gives more" in names
    window.shell.set_stale("14 s ago")
    assert "Power: 189 W GPU rail, 14 s ago; the wall gives more" in [
        item.accessibleName() for item in window.strip.findChildren(type(window.strip._nodes))
    ]


def test_figures_go_in_the_promised_order_when_there_is_no_room(window: MainWindow) -> None:
    live(window)
    seen = []
    for width in (1500, 1290, 1110):
        window.resize(width, 800)
        QTest.qWait(20)
        strip = window.strip
        parts = (strip._power, strip._tokens, strip._memory, strip._nodes, strip._simulated)
        seen.append([part.isVisible() for part in parts])
        shown = [part for part in (*parts, strip._cluster, strip._search, strip.bell) if part.isVisible()]
        edges = sorted((part.geometry().left(), part.geometry().right()) for part in shown)
        assert all(left > right for (_, right), (left, _) in pairwise(edges))
        assert edges[-1][1] < width
    assert seen[0] == [True] * 5
    assert all(row[2:] == [True] * 3 for row in seen)
    # Whoever sees watts also sees tokens: watts go first.
    assert all(row[1] or not row[0] for row in seen)


def test_no_figure_is_shown_for_no_cluster(window: MainWindow) -> None:
    assert not window.strip._nodes.isVisible()
    assert not window.strip._simulated.isVisible()
    assert window.strip._cluster.accessibleName() == "No cluster yet"


def test_a_figure_leads_to_its_page(window: MainWindow) -> None:
    live(window)
    window.show_page("chat")
    QTest.mouseClick(window.strip._nodes, Qt.MouseButton.LeftButton)
    assert window.page_key() == "cluster"


def test_regions_are_reached_by_f6_in_both_directions(window: MainWindow) -> None:
    window.activateWindow()
    QTest.qWait(10)
    visited = []
    for _ in range(3):
        window.move_region(1)
        focused = window.focusWidget()
        assert focused is not None
        regions = (window.sidebar, window.strip, window.page("cluster"))
        visited.append(
            next(i for i, region in enumerate(regions) if region is not None and region.isAncestorOf(focused))
        )
    assert sorted(visited) == [0, 1, 2]
    window.move_region(-1)
    window.move_region(1)


def test_the_bell_counts_until_it_is_opened(window: MainWindow) -> None:
    window.shell.add_notice(Notice("warn", "<b>spark-afe0</b>", "P1 at 100G", "12:41", "launch"))
    assert window.strip.bell.accessibleName() == "Notices, 1 new"
    QTest.mouseClick(window.strip.bell, Qt.MouseButton.LeftButton)
    assert window.strip.bell.accessibleName() == "Notices, none new"
    link = next(button for button in window.findChildren(Button) if button.text() == "Open")
    QTest.mouseClick(link, Qt.MouseButton.LeftButton)
    assert window.page_key() == "launch"


def test_the_list_of_shortcuts_is_that_of_the_registry(window: MainWindow) -> None:
    window.show_shortcuts()
    texts = [label.text() for label in window.findChildren(QLabel)]
    assert "Ctrl+K" in texts
    assert "Go to Chat" in texts


def test_the_palette_goes_to_a_page(window: MainWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window._palette
    assert palette is not None
    assert palette.isVisible()
    QTest.keyClicks(palette._input, "chat")
    QTest.keyClick(palette._input, Qt.Key.Key_Return)
    assert window.page_key() == "chat"


def test_the_window_in_pictures(window: MainWindow) -> None:
    live(window)
    window.set_badge("launch", "2")
    window.set_badge("chat", "1", needs_you=True)
    window.banner().show_error("Load stopped.", "Lower the context to 65,536.", node="spark-bd26", detail="exit 137")
    window.toasts().show_toast("ok", "gpt-oss-120b is ready", "First token after 3 min 35 s.", action="Chat")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name, choice in (("dark", theme.read_choice("dark")), ("light", theme.read_choice("light"))):
        theme.set_theme(choice)
        for width, height in SIZES:
            window.resize(width, height)
            QTest.qWait(60)
            assert not cut_labels(window)
            assert window.grab().save(str(SHOTS / f"shell-{name}-{width}x{height}.png"))
    assert guessing_labels(window) == []


def test_the_frame_of_the_window_imports_nothing_heavy() -> None:
    program = "import sys, ui.main_window, ui.style, ui.widgets.empty_state; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT, check=True
    )
    heavy = {"pydantic", "numpy", "pyqtgraph", "asyncssh", "httpx", "keyring", "asyncio", "PySide6.QtSvg"}
    assert heavy & set(ended.stdout.split()) == set()


def test_the_focus_of_a_page_that_goes_stays_with_the_pages(window: MainWindow) -> None:
    window.activateWindow()
    page = window.page("cluster")
    assert page is not None
    button = page.findChild(Button)
    assert button is not None
    button.setFocus()
    window.show_page("launch")
    focused = window.focusWidget()
    assert not window.strip.isAncestorOf(focused)
    assert not window.sidebar.isAncestorOf(focused)
