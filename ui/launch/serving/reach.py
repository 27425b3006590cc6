"""From where a server can be reached: what the form offers, and what each choice brings with it.

The one rule: an engine that is never opened to a network says why before a person chooses it.
"""

from __future__ import annotations

from typing import Final

from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.request import CustomServer, LaunchRequest
from ui import text
from ui.launch.choice.option import Offer
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import Form
from ui.launch.serving.fields import CUSTOM_ENGINE

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
        engine = form.engine
        if engine not in self._refusals:
            # A plain request: what the form says otherwise may not be readable yet, and does not matter here.
            if not form.nodes or all(info.key != engine for info in self._feeds.backends):
                return ""
            custom = CustomServer(command=("true",)) if engine == CUSTOM_ENGINE else None
            plain = LaunchRequest(
                engine=engine, model="model", nodes=form.nodes[:1], served_name="model", reach=LAN, custom=custom
            )
            found = [each for each in self._feeds.problems(plain) if each.field == "reach"]
            said = next((each.message for each in found if each.severity is Severity.ERROR), "")
            self._refusals[engine] = text.one_line(said, 200)
        return self._refusals[engine]
