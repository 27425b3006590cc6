"""From where a server can be reached: what the form offers, and what each choice brings with it.

The one rule: an engine that is never opened to a network says why before a person chooses it.
"""

from __future__ import annotations

from typing import Final

from sparkdesk.core.jobs.plan import Severity
from ui import text
from ui.launch.choice.option import Offer
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import Form, read_form

LAN: Final = "lan"
LAN_WORDS: Final = "Whoever on the node's network has the key can use it. SparkDesk makes it; Deployments shows it."


class Reach:
    """Asks each engine's adapter once: that it refuses a network is its own nature."""

    def __init__(self, feeds: LaunchFeeds) -> None:
        self._feeds = feeds
        self._refusals: dict[str, str] = {}

    def offers(self, form: Form) -> list[Offer]:
        """The two choices; what cannot be chosen says why."""
        return [Offer("node", "This node only"), Offer(LAN, "LAN + API key", self._refusal(form))]

    def words(self, form: Form) -> str:
        """What the choice brings with it, or why there is none; "" is nothing to say."""
        if form.reach == LAN:
            return LAN_WORDS
        refusal = self._refusal(form)
        return f"{refusal}." if refusal else ""

    def _refusal(self, form: Form) -> str:
        """ "" also while the form cannot be read: then nobody can be asked."""
        engine = form.engine
        if engine not in self._refusals and any(info.key == engine for info in self._feeds.backends):
            request, _ = read_form(form)
            if request is None:
                return ""
            problems = self._feeds.problems(request.model_copy(update={"reach": LAN}))
            said = (each.message for each in problems if each.field == "reach" and each.severity is Severity.ERROR)
            self._refusals[engine] = text.one_line(next(said, ""), 200)
        return self._refusals.get(engine, "")
