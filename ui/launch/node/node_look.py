"""Says how old what is known of the chosen nodes is, and has them looked at again.

The one rule: while something of the node forbids the launch, it is looked at every ten seconds, and only while the
page is shown; whoever is asked to look does it one at a time.
"""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtWidgets import QHBoxLayout, QWidget

from sparkdesk.core.jobs.plan import Severity
from ui import text
from ui.launch.model import LaunchModel
from ui.widgets.button import Button
from ui.widgets.label import Label

LOOK_AGAIN_S: Final = 10.0
"""While a plan is refused, its nodes are looked at so often."""


class NodeLook(QWidget):
    """A line with the age of the look, and a link that looks again. `tick` is called while the page is shown."""

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._asked_s = -math.inf
        self.age = Label("", "dense", "text3")
        self.button = Button("Look again", kind="link", is_small=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.age)
        row.addWidget(self.button)
        self.button.clicked.connect(self.look)
        model.preview_changed.connect(self._tell)
        self._tell()

    def look(self) -> None:
        """Look at the chosen nodes now: the page was opened, or a person asks."""
        nodes = self._model.form.nodes
        if nodes:
            self._asked_s = self._model.feeds.clock_s()
            self._model.feeds.look_at_nodes(nodes)

    def tick(self) -> None:
        """A few seconds later: look again where the node forbids the launch."""
        waited_s = self._model.feeds.clock_s() - self._asked_s
        is_refused = any(problem.severity is Severity.ERROR for problem in self._model.preview.problems)
        if is_refused and waited_s >= LOOK_AGAIN_S:
            self.look()
        self._tell()

    def _tell(self) -> None:
        ages = [self._model.feeds.node_age_s(node_id) for node_id in self._model.form.nodes]
        known = [age for age in ages if math.isfinite(age)]
        for part in (self.age, self.button):
            part.setVisible(bool(known))
        if known:
            what = "Node" if len(ages) == 1 else "Nodes"
            self.age.setText(f"{what} looked at {text.age(max(known))} ago")
