"""The desktop application: from the first frame to the last.

`run_window` shows a window before anything heavy is imported; `Desktop` then fills it and lives until it is closed.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk import paths
from sparkdesk.app.folder import require_folders
from sparkdesk.core.errors import SettingsError
from sparkdesk.infra.preference import PreferenceFile
from ui.main_window import MainWindow, MemoryStore
from ui.preference import Preferences
from ui.settings.model import SCALE_KEY, THEME_KEY, read_scale
from ui.shell.model import ShellModel
from ui.style import STYLE_ARGUMENTS, install_style
from ui.theme import read_choice
from ui.widgets.empty_state import EmptyState

FIRST_FRAME_TIMEOUT_MS = 10_000
APP_ID = "sparkdesk"
OUT_OF_THEIR_BOXES = ("--fresh", "--anew")
"""Words of the `simulate` verb: Sparks that nobody has set up, at every start."""


class WindowOptions(NamedTuple):
    """How the window starts."""

    is_simulated: bool = False
    simulation: tuple[str, ...] = ()
    """More words for the `simulate` verb."""
    is_forgetful: bool = False
    """Nothing is stored and nothing stored is read: for tours and tests."""


class OpenedWindow(NamedTuple):
    """What the start made before the first frame."""

    app: QApplication
    window: MainWindow
    preferences: Preferences


def has_screen() -> bool:
    """Whether a window can be shown: elsewhere than Linux always, there when a display or another platform is named."""
    named = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in named)


@contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection while modules and widgets are made: nearly all of it stays, and looking costs 5 %."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_window(options: WindowOptions) -> int:
    """Open the window and live until it is closed. Gives the exit code. Raises SettingsError: no screen, no folder."""
    require_screen()
    require_folders()
    with without_collector():
        opened = open_window(options)
        wait_for_first_frame(opened.window)
    return fill_and_run(opened, options)


def measure_first_frame(options: WindowOptions) -> dict[str, object]:
    """Paint once and tell what that took: CPU seconds of this process, and the modules that were imported."""
    require_screen()
    require_folders()
    with without_collector():
        cpu_s = wait_for_first_frame(open_window(options).window)
    return {"first_frame_cpu_s": cpu_s, "modules": sorted(sys.modules)}


def require_screen() -> None:
    """Raise SettingsError where no window can be shown; Qt itself would end the process with a riddle."""
    if not has_screen():
        raise SettingsError(
            "SparkDesk needs a display and found none",
            remedy="Set DISPLAY, or take the tour: QT_QPA_PLATFORM=offscreen python -m sparkdesk tour",
        )


def open_window(options: WindowOptions) -> OpenedWindow:
    """The window with its starting page, shown but not yet painted."""
    preferences = preference_store(options)
    scale_percent = read_scale(preferences)
    if scale_percent != 100:
        os.environ.setdefault("QT_SCALE_FACTOR", str(scale_percent / 100))
    app = QApplication([*sys.argv[:1], *STYLE_ARGUMENTS])
    app.setApplicationName("SparkDesk")
    app.setDesktopFileName(APP_ID)
    app.setQuitOnLastWindowClosed(False)
    install_style(app, read_choice(preferences.get(THEME_KEY, "system")), is_fusion=True)
    window = MainWindow(ShellModel(), preferences)
    title = "Starting the simulated cluster" if options.is_simulated else "Starting"
    words = "Four pretend Sparks on this computer, reached over real SSH on loopback." if options.is_simulated else ""
    window.add_page("cluster", "Cluster", "network", lambda: EmptyState("server", title, words))
    window.show_page("cluster")
    window.show()
    return OpenedWindow(app, window, preferences)


def preference_store(options: WindowOptions) -> Preferences:
    """Where small things are remembered."""
    if options.is_forgetful:
        store = MemoryStore()
        store.set(THEME_KEY, "dark")
        store.set(SCALE_KEY, 100)
        return store
    return PreferenceFile(paths.state_dir() / "window.json", is_held=True)


class _PaintWatch(QObject):
    """Leaves an event loop once a widget has been painted."""

    def __init__(self, widget: QWidget, loop: QEventLoop) -> None:
        super().__init__(widget)
        self._loop = loop
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Paint:
            # After this event: the paint itself is still to come.
            QTimer.singleShot(0, self._loop.quit)
        return False


def wait_for_first_frame(window: MainWindow) -> float:
    """Let Qt paint once; gives the CPU seconds that the process has taken up to then."""
    loop = QEventLoop()
    watch = _PaintWatch(window.strip, loop)
    QTimer.singleShot(FIRST_FRAME_TIMEOUT_MS, loop.quit)
    loop.exec()
    window.strip.removeEventFilter(watch)
    watch.deleteLater()
    return time.process_time()


def fill_and_run(opened: OpenedWindow, options: WindowOptions) -> int:
    """Start the event loop that asyncio and Qt share, and run until the window is closed."""
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.loop import run_in_loop

    return run_in_loop(opened.app, lambda: Desktop(opened, options).run())
