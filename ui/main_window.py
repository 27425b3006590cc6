"""The window: sidebar, strip, pages made on their first visit, and what lies over them.

Rule: it owns no work. It says what the person wants (`close_requested`, `page_shown`); the application decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from ui.preference import Preferences
from ui.shell.model import ShellModel
from ui.shell.nav import Sidebar
from ui.shell.strip import TopStrip

if TYPE_CHECKING:
    from ui.action import ActionRegistry
    from ui.shell.notices import NoticePanel
    from ui.widgets.banner import Banner
    from ui.widgets.palette import CommandPalette
    from ui.widgets.toast import ToastStack

MIN_SIZE = QSize(1100, 700)
START_SIZE = QSize(1440, 900)
FOLD_BELOW = 1280
AFTER_FIRST_FRAME_MS = 30


class MemoryStore:
    """A store that forgets at the end: for tests, the tour, and when the settings file cannot be written."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}

    def get(self, key: str, default: object = None) -> object:
        """Return what is stored, or `default`."""
        return self._values.get(key, default)

    def set(self, key: str, value: object) -> None:
        """Store a value."""
        self._values[key] = value


class MainWindow(QMainWindow):
    """Add pages with `add_page` in the order of the sidebar; `show_page` builds a page on its first visit."""

    close_requested = Signal()
    page_shown = Signal(str)
    cluster_clicked = Signal()

    def __init__(self, model: ShellModel, store: Preferences) -> None:
        super().__init__()
        self.setWindowTitle("SparkDesk")
        self.setMinimumSize(MIN_SIZE)
        self.shell = model
        self._registry: ActionRegistry | None = None
        self._titles: dict[str, tuple[str, str, str]] = {}
        """Title, icon and shortcut of each page that can be gone to."""
        self._store = store
        self._factories: dict[str, Callable[[], QWidget]] = {}
        self._built: dict[str, QWidget] = {}
        self._parents: dict[str, str] = {}
        self._shown = ""
        self._may_close = False
        self._wants_fold = bool(store.get("window.is_folded", False))
        self._is_open_narrow = False
        self._listed = 0
        self._banner: Banner | None = None
        self._alarm: Banner | None = None
        self._holders: list[tuple[Banner, QVBoxLayout]] = []
        self._palette: CommandPalette | None = None
        self._switcher: Callable[[QWidget], None] | None = None
        self._notices: NoticePanel | None = None
        self._toasts: ToastStack | None = None
        self.sidebar = Sidebar()
        self.strip = TopStrip(model)
        self._stack = QStackedWidget()
        self._column = QVBoxLayout()
        self._center = QWidget()
        self._build()
        self._wire()
        self._restore_geometry()

    def _build(self) -> None:
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self._stack, 1)
        below = QHBoxLayout()
        below.setSpacing(0)
        below.addWidget(self.sidebar)
        below.addLayout(self._column, 1)
        center = self._center
        whole = QVBoxLayout(center)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.strip)
        whole.addLayout(below, 1)
        self.setCentralWidget(center)

    def _wire(self) -> None:
        self.sidebar.chosen.connect(self._show_if_there)
        self.sidebar.fold_clicked.connect(self.toggle_sidebar)
        self.strip.page_wanted.connect(self._show_if_there)
        self.strip.cluster_clicked.connect(self._on_cluster)
        self.strip.palette_clicked.connect(self.open_palette)
        self.strip.bell_clicked.connect(self.open_notices)
        self.shell.changed.connect(self._show_sampling)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._finish_start)

    def _finish_start(self) -> None:
        """Make what the first frame does without."""
        from ui.widgets.focus import install_focus_rings

        _ = self.actions_registry
        app = QApplication.instance()
        if isinstance(app, QApplication):
            install_focus_rings(app)

    @property
    def actions_registry(self) -> ActionRegistry:
        """Everything that can be done by name. Made after the first frame, or when somebody asks."""
        if self._registry is None:
            from ui.action import ActionRegistry

            self._registry = ActionRegistry(self)
            for key in self._titles:
                self._add_go(self._registry, key)
            self._add_actions(self._registry)
        return self._registry

    def _add_actions(self, registry: ActionRegistry) -> None:
        registry.add("palette", "Go to or run...", self.open_palette, shortcut="Ctrl+K", icon="search")
        registry.add(
            "sidebar", "Collapse or expand the sidebar", self.toggle_sidebar, shortcut="Ctrl+B", icon="panel-left"
        )
        registry.add("notices", "Show notices", self.open_notices, icon="bell")
        registry.add("region.next", "Next region", lambda: self.move_region(1), shortcut="F6", icon="columns-2")
        registry.add(
            "region.back", "Previous region", lambda: self.move_region(-1), shortcut="Shift+F6", icon="columns-2"
        )
        registry.add("shortcuts", "Keyboard shortcuts", self.show_shortcuts, shortcut="?", icon="list")
        registry.add("quit", "Quit SparkDesk", self.close, shortcut="Ctrl+Q", icon="x")

    def add_page(
        self, key: str, title: str, icon: str, factory: Callable[[], QWidget], *, under: str | None = None
    ) -> None:
        """Add a page. `under` None lists it in the sidebar; "settings" or another key marks that entry instead.

        The factory is called on the first visit. Adding a key again replaces the page (built or not).
        """
        is_new = key not in self._factories
        self._factories[key] = factory
        self._drop_built(key)
        if not is_new:
            return
        self._parents[key] = key if under is None else under
        if under is None:
            self._listed += 1
            keys = f"Ctrl+{self._listed}" if self._listed <= 9 else ""
            self.sidebar.add_item(key, title, icon, keys)
        elif key == "settings":
            keys = "Ctrl+,"
        else:
            return
        self._titles[key] = (title, icon, keys)
        if self._registry is not None:
            self._add_go(self._registry, key)

    def _add_go(self, registry: ActionRegistry, key: str) -> None:
        title, icon, keys = self._titles[key]
        registry.add(f"go.{key}", f"Go to {title}", lambda: self.show_page(key), shortcut=keys, icon=icon)

    def _drop_built(self, key: str) -> None:
        page = self._built.pop(key, None)
        if page is None:
            return
        was_shown = self._shown == key
        self._stack.removeWidget(page)
        page.deleteLater()
        if was_shown:
            self._shown = ""
            self.show_page(key)

    def show_page(self, key: str) -> None:
        """Show a page and mark its entry. Raises KeyError for a key nobody added."""
        item = self.sidebar.item(self._parents[key])
        if key == self._parents[key] and item is not None and not item.isEnabled():
            return
        page = self._built.get(key)
        if page is None:
            page = self._factories[key]()
            self._built[key] = page
            self._stack.addWidget(page)
        self.sidebar.mark(self._parents[key])
        if self._stack.isAncestorOf(self.focusWidget()):
            # Else Qt hands the focus of a page that goes to the strip, as if somebody had asked for it there.
            self._stack.setFocus(Qt.FocusReason.OtherFocusReason)
        self._stack.setCurrentWidget(page)
        if key != self._shown:
            self._shown = key
            if key == self._parents[key]:
                self._store.set("window.page", key)
            self.page_shown.emit(key)

    def page_key(self) -> str:
        """Return the key of the page shown, "" before the first."""
        return self._shown

    def page(self, key: str) -> QWidget | None:
        """Return a page that was built already."""
        return self._built.get(key)

    def last_page(self, default: str) -> str:
        """Return the page of the last session when it still exists, else `default`."""
        key = self._store.get("window.page", default)
        return key if isinstance(key, str) and key in self._factories else default

    def set_badge(self, key: str, badge: str, *, needs_you: bool = False) -> None:
        """Show a count at an entry; `needs_you` makes it amber with a lock."""
        item = self.sidebar.item(key)
        if item is not None:
            item.set_badge(badge, needs_you=needs_you)

    def set_page_reason(self, key: str, reason: str) -> None:
        """Disable an entry and its shortcut with a reason, or enable both with ""."""
        item = self.sidebar.item(key)
        if item is not None:
            item.set_reason(reason)

    def banner(self) -> Banner:
        """Return the banner above the page; it is made on first use."""
        if self._banner is None:
            self._banner = self._make_banner(1 if self._alarm is not None else 0)
        return self._banner

    def alarm(self) -> Banner:
        """Return the banner over that one, of what soon stops work; it is made on first use."""
        if self._alarm is None:
            self._alarm = self._make_banner(0)
        return self._alarm

    def _make_banner(self, place: int) -> Banner:
        from ui.widgets.banner import Banner

        banner, holder = Banner(), QVBoxLayout()
        holder.setContentsMargins(0, 0, 0, 0)
        holder.addWidget(banner)
        # An empty holder takes its margins even while the banner is hidden, so it comes and goes with it.
        self._column.insertLayout(place, holder)
        self._holders.append((banner, holder))
        banner.installEventFilter(self)
        return banner

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
            is_shown = event.type() == QEvent.Type.ShowToParent
            for holder in (holder for banner, holder in self._holders if banner is watched):
                holder.setContentsMargins(16, 12 if is_shown else 0, 16, 0)
        return False

    def toasts(self) -> ToastStack:
        """Return the toasts of this window."""
        if self._toasts is None:
            from ui.widgets.toast import ToastStack

            self._toasts = ToastStack(self._center)
        return self._toasts

    def open_palette(self) -> None:
        """Show the command palette."""
        if self._palette is None:
            from ui.widgets.palette import CommandPalette

            self._palette = CommandPalette(self.actions_registry, self)
        self._palette.open_palette()

    def open_notices(self) -> None:
        """Show the list behind the bell."""
        if self._notices is None:
            from ui.shell.notices import NoticePanel

            self._notices = NoticePanel(self.shell, self)
            self._notices.page_wanted.connect(self._show_if_there)
        self._notices.open_below(self.strip.bell)

    def show_shortcuts(self) -> None:
        """Show the list of shortcuts."""
        from ui.shell.shortcuts import ShortcutList

        ShortcutList(self.actions_registry, self).show()

    def toggle_sidebar(self) -> None:
        """Fold or open the sidebar; a narrow window folds by itself and opens only until it is resized."""
        if self.width() < FOLD_BELOW:
            self._is_open_narrow = self.sidebar.is_folded()
        else:
            self._wants_fold = not self._wants_fold
            self._store.set("window.is_folded", self._wants_fold)
        self._fold()

    def move_region(self, step: int) -> None:
        """Move the focus to the next region: sidebar, strip, page, or the parts of a page that has some."""
        parts = getattr(self._built.get(self._shown), "regions", None)
        own: list[QWidget] = parts() if callable(parts) else [self._stack]
        regions: list[QWidget] = [self.sidebar, self.strip, *own]
        focused = self.focusWidget()
        now = next((i for i, part in enumerate(regions) if part is focused or part.isAncestorOf(focused)), -1)
        for turn in range(1, len(regions) + 1):
            region = regions[(now + step * turn) % len(regions)]
            first = region if takes_tab(region) else first_focusable(region)
            if first is not None:
                first.setFocus(Qt.FocusReason.TabFocusReason)
                return

    def finish_close(self) -> None:
        """Close for good; the application calls this when everything is put away."""
        self._may_close = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        geometry = bytes(self.saveGeometry().toBase64().data()).decode("ascii")
        self._store.set("window.geometry", geometry)
        if self._may_close:
            event.accept()
        else:
            event.ignore()
            self.close_requested.emit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._later.start(AFTER_FIRST_FRAME_MS)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._notices is not None:
            self._notices.hide()
        if event.oldSize().width() != event.size().width():
            self._is_open_narrow = False
            self._fold()

    def _fold(self) -> None:
        is_narrow = self.width() < FOLD_BELOW
        self.sidebar.set_folded(not self._is_open_narrow if is_narrow else self._wants_fold)
        self.strip.set_brand_width(self.sidebar.width())

    def _restore_geometry(self) -> None:
        stored = self._store.get("window.geometry", "")
        is_restored = isinstance(stored, str) and bool(stored)
        if not is_restored or not self.restoreGeometry(QByteArray.fromBase64(str(stored).encode("ascii", "ignore"))):
            self.resize(START_SIZE)
        self._fold()

    def _show_sampling(self) -> None:
        self.sidebar.set_sampling(self.shell.sampling_text, is_on=self.shell.is_sampling)

    def _show_if_there(self, key: str) -> None:
        if key in self._factories:
            self.show_page(key)

    def set_switcher(self, open_below: Callable[[QWidget], None]) -> None:
        """From now on the cluster's name opens a list under it (Ctrl+Shift+C) instead of its page."""
        is_first, self._switcher = self._switcher is None, open_below
        self.strip.set_switchable(True)
        if is_first:
            self.actions_registry.add(
                "cluster.switch", "Switch cluster", self._on_cluster, shortcut="Ctrl+Shift+C", icon="network"
            )

    def _on_cluster(self) -> None:
        self.cluster_clicked.emit()
        if self._switcher is not None:
            self._switcher(self.strip.cluster_place())
        else:
            self._show_if_there("cluster")


def first_focusable(region: QWidget) -> QWidget | None:
    """Return the top left one of the visible, enabled descendants that Tab reaches."""
    found: list[tuple[int, int, int, QWidget]] = []
    for number, part in enumerate(region.findChildren(QWidget)):
        if takes_tab(part) and part.isVisibleTo(region) and part.isEnabled():
            corner = part.mapTo(region, part.rect().topLeft())
            found.append((corner.y(), corner.x(), number, part))
    return min(found)[-1] if found else None


def takes_tab(widget: QWidget) -> bool:
    """Whether Tab stops there."""
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus.value)
