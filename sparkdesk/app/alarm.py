"""What soon stops work, said on every page with the button that helps, for as long as it stands.

The one rule: it goes by itself, when its finding clears or is accepted; what was said stays among the notices. The
Cluster page says the worst in its own sentence, so only what a person has seconds for stands there twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.findings.judge_wedge import RULE as WEDGE
from ui.cluster.view import ClusterPage
from ui.findings import words

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.finding_actions import FindingActions

URGENT = (WEDGE,)
SHOW = "Show"


class Alarm:
    """Keeps the alarm's banner as the findings are."""

    def __init__(self, desktop: Desktop, actions: FindingActions) -> None:
        self._desktop = desktop
        self._actions = actions
        self._alarms: dict[str, Concern] = {}
        """What stands, worst first."""
        self._closed: set[str] = set()
        """Those that the person does not want to see any more."""
        self._shown: Concern | None = None
        self._is_wired = False
        desktop.window.page_shown.connect(self._show)
        self._watch = desktop.stack.findings.findings.subscribe(self._take)

    def _take(self, findings: tuple[Concern, ...]) -> None:
        alarms = {one.id: one for one in findings if words.is_open(one) and one.severity is Severity.CRIT}
        for finding_id in alarms.keys() - self._alarms.keys():
            self._desktop.keep_notice("crit", *self._words(alarms[finding_id]), page="cluster")
        self._closed &= alarms.keys()
        self._alarms = alarms
        self._show()

    def _words(self, concern: Concern) -> tuple[str, str]:
        place = words.place_of(concern, self._desktop.stack.inventory.names())
        return f"{place}: {words.title_of(concern)}", f"{concern.evidence}. {concern.remedy}"

    def _show(self, _page: str = "") -> None:
        is_there = self._desktop.window.page_key() == "cluster"
        told = [one for one in self._alarms.values() if one.id not in self._closed]
        told = [one for one in told if not is_there or one.rule in URGENT]
        self._shown = told[0] if told else None
        if self._shown is None and not self._is_wired:
            return  # nothing was ever wrong: no banner is made
        banner = self._desktop.window.alarm()
        if not self._is_wired:
            self._is_wired = True
            banner.closed.connect(self._close)
            banner.action_clicked.connect(self._act)
        if self._shown is None:
            banner.setVisible(False)
            return
        title, text = self._words(self._shown)
        more = f" {len(told) - 1} more like it." if len(told) > 1 else ""
        banner.show_notice("crit", title, text + more, action=words.fix_label(self._shown) or SHOW)

    def _close(self) -> None:
        if self._shown is not None:
            self._closed.add(self._shown.id)
            self._show()

    def _act(self) -> None:
        concern = self._shown
        if concern is None:
            return
        if words.fix_label(concern):
            self._actions.fix(concern.id)
            return
        window = self._desktop.window
        window.show_page("cluster")
        page = window.page("cluster")
        if isinstance(page, ClusterPage):
            page.show_finding(concern.id)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
