"""How much processor time the first painted frame costs, against a bare PySide6 window.

The one rule: both are started alternately in the same run, and the median of the pairs' ratios counts; a busy machine
slows both alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from tests.bench.figure import Figure

NAMES = ("start.first_frame_cpu", "start.heavy_modules_before_first_frame")
PAIRS = 15
LIMIT = 1.5
HEAVY = frozenset({"pydantic", "numpy", "pyqtgraph", "asyncssh", "httpx", "keyring", "zeroconf"})

BARE_WINDOW = """
import json, os, time
from PySide6.QtWidgets import QApplication, QMainWindow

class Window(QMainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        print(json.dumps({"first_frame_cpu_s": time.process_time(), "modules": []}), flush=True)
        os._exit(0)

app = QApplication([])
window = Window()
window.resize(1440, 900)
window.show()
app.exec()
"""


def first_frame(*words: str) -> tuple[float, set[str]]:
    """Starts a program that reports its first frame; returns its CPU seconds and the top-level modules it had by then.

    Raises:
        RuntimeError: it ended without a first frame.
    """
    # Modules are compiled once, as they are in every installation; where that is forbidden each start would pay again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, env=environment)
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        raise RuntimeError(f"no first frame, exit code {ended.returncode}: {ended.stderr.strip()[-300:]}")
    told = json.loads(lines[-1])
    return float(told["first_frame_cpu_s"]), {str(name).split(".")[0] for name in told["modules"]}


def measure() -> list[Figure]:
    """Both figures, from alternating starts after one unmeasured pair that fills the file cache."""
    ratios, bare_times = [], []
    loaded: set[str] = set()
    for number in range(PAIRS + 1):
        bare_s, _ = first_frame("-c", BARE_WINDOW)
        ours_s, modules = first_frame("-m", "sparkdesk", "run", "--first-frame")
        loaded |= modules & HEAVY
        if number:
            ratios.append(ours_s / bare_s)
            bare_times.append(bare_s)
    spread = f"{PAIRS} pairs, {min(ratios):.2f} to {max(ratios):.2f}; bare window {statistics.median(bare_times):.3f} s"
    return [
        Figure.at_most(NAMES[0], statistics.median(ratios), "x bare window", LIMIT, baseline=1.0, note=spread),
        Figure.at_most(NAMES[1], float(len(loaded)), "modules", 0, note=" ".join(sorted(loaded))),
    ]
