"""Who holds a node's lock: as remote/lock.py tells it, read as a stranger's text. The one rule: total and bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.plain_text import make_line

MAX_CHARS = 200


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A SparkDesk that changes a node now. All text is untrusted."""

    node_id: str
    node: str
    """The node's name."""
    token: str
    """Names this lease; who breaks it, breaks this one and no other."""
    who: str
    """user@computer, as that SparkDesk calls itself."""
    account: str
    """The node's account that it uses."""
    what: str
    """The playbook's title."""
    held_s: float = math.nan
    """How long it holds the lock; NaN is not known."""

    @property
    def words(self) -> str:
        """Who, what, since when: for a message or a question."""
        since = f", for {self.held_s:.0f} s now" if math.isfinite(self.held_s) else ""
        return f"{self.who or self.account or 'somebody'} is changing {self.node} ({self.what or 'not said'}{since})"


def read_holder(found: object, node_id: str, node: str) -> LockHolder | None:
    """The holder in an answer of remote/lock.py; None where it names none."""
    if not isinstance(found, Mapping):
        return None
    held_s = found.get("held_s")
    is_known = isinstance(held_s, int | float) and not isinstance(held_s, bool) and 0 <= held_s < 1e9
    words = {key: _text(found.get(key)) for key in ("token", "who", "account", "what")}
    return LockHolder(node_id, node, held_s=float(held_s) if is_known and held_s is not None else math.nan, **words)


def _text(value: object) -> str:
    return make_line(value, max_chars=MAX_CHARS) if isinstance(value, str) else ""
