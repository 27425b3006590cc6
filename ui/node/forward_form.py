"""What a person types to add a forward of their own, and what is wrong with it.

The one rule: each field is judged by core's own check, so that what the form takes is what the service keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparkdesk.core.cluster.forward import OWN, Forward, ForwardSpec, check_spec
from sparkdesk.core.errors import SettingsError

_GOOD = ForwardSpec("", "", OWN, "A name", 80)
"""Nothing is wrong with it: what core says about it with one field changed is about that field."""


@dataclass(frozen=True, slots=True)
class ForwardEntry:
    """The form as it was typed."""

    title: str = ""
    port: str = ""
    host: str = "127.0.0.1"
    scheme: str = "http"
    path: str = "/"

    def problems(self, known: Sequence[Forward] = ()) -> dict[str, str]:
        """Field -> what is wrong with it; empty when it can be added."""
        changed = {
            "title": replace(_GOOD, title=self.title),
            "port": replace(_GOOD, port=self.port_number()),
            "host": replace(_GOOD, host=self.host),
            "scheme": replace(_GOOD, scheme=self.scheme),
            "path": replace(_GOOD, path=self.path.strip()),
        }
        found = {name: why for name, spec in changed.items() if (why := _refusal(spec))}
        if found:
            return found
        mine = self.spec("")
        if any(each.spec.title == mine.title for each in known):
            return {"title": "There is already one of this name."}
        if any((each.spec.host, each.spec.port, each.spec.path) == (mine.host, mine.port, mine.path) for each in known):
            return {"port": "This port is already in the list."}
        return {}

    def port_number(self) -> int:
        """The port typed; 0, which is none, for anything but a number."""
        digits = self.port.strip()
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 7 else 0

    def spec(self, node_id: str) -> ForwardSpec:
        """The forward to keep, without an id yet. Raises SettingsError where `problems` finds one."""
        return check_spec(
            ForwardSpec("", node_id, OWN, self.title, self.port_number(), self.host, self.scheme, self.path.strip())
        )


def _refusal(spec: ForwardSpec) -> str:
    try:
        check_spec(spec)
    except SettingsError as error:
        return f"{error.message}."
    return ""
