"""A Qt binding that loses references to None aborts the program after some thousand calls; this one must not.

PySide6 6.12.0 does so on Python before 3.12, and pip installs it gladly; pyproject.toml keeps it out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

from tests.house.tree import ROOT

PROGRAM = """
import json, sys
from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal

class Source(QObject):
    told = Signal(int)

app = QCoreApplication([])
source, seen, counts = Source(), [0], []
source.told.connect(lambda number: seen.__setitem__(0, seen[0] + 1))

for block in range(4):
    counts.append(sys.getrefcount(None))
    for number in range(5000):
        source.told.emit(number)

fired = 0
def again():
    global fired
    fired += 1
    if fired % 5000 == 0:
        counts.append(sys.getrefcount(None))
    if fired == 20000:
        app.quit()
    else:
        QTimer.singleShot(0, again)
QTimer.singleShot(0, again)
app.exec()
print(json.dumps({"seen": seen[0], "fired": fired, "counts": counts}))
"""


def test_forty_thousand_calls_into_qt_lose_no_reference_to_none() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout)
    assert (told["seen"], told["fired"]) == (20_000, 20_000)
    if sys.version_info < (3, 12):
        # One reference lost a call would be 5,000 a block.
        assert min(told["counts"]) > told["counts"][0] - 500, told["counts"]
    else:
        # None is immortal: the interpreter no longer counts its own references, while a binding built for the older
        # stable ABI still counts its own, so the number drifts harmlessly within 2**31. Source: PEP 683, "Accidental
        # De-Immortalizing".
        assert abs(told["counts"][-1] - told["counts"][0]) < 2**20, told["counts"]


def test_the_broken_binding_is_kept_away_from_older_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    qt = [line for line in wanted if line.name == "PySide6-Essentials"]
    assert all(line.marker is not None for line in qt)
    for version in ("3.11", "3.12", "3.13"):
        environment = {"python_version": version}
        active = [line for line in qt if line.marker is not None and line.marker.evaluate(environment)]
        assert len(active) == 1, f"Python {version} needs exactly one line"
        assert active[0].specifier.contains("6.11.3")
        assert active[0].specifier.contains("6.12.0") == (version != "3.11")
