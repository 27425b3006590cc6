"""What the states of a node, a check, an assumption and a forward look like: a word, a kind of chip, an icon.

The one rule: one state has one mark, wherever it stands; every mark has a shape and a word.
"""

from __future__ import annotations

from sparkdesk.core.cluster.forward import ForwardState
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.probes.assumption import Hold
from sparkdesk.core.probes.check import Verdict
from ui.jobs.mark import Mark
from ui.theme import Token

NODE_MARKS: dict[NodeState, Mark] = {
    NodeState.IDLE: Mark("Not connected", "neutral", "circle-dashed"),
    NodeState.CONNECTING: Mark("Connecting", "accent", "loader"),
    NodeState.LIVE: Mark("Live", "ok", "circle-check"),
    NodeState.SLOW: Mark("Slow", "warn", "clock"),
    NodeState.STALE: Mark("Stale", "warn", "clock"),
    NodeState.RECONNECTING: Mark("Reconnecting", "warn", "clock"),
    NodeState.UNREACHABLE: Mark("Unreachable", "crit", "unplug"),
    NodeState.REFUSED: Mark("Not signed in", "crit", "lock"),
    NodeState.IDENTITY_CHANGED: Mark("Host key changed", "crit", "key"),
    NodeState.ASLEEP: Mark("Asleep", "neutral", "pause"),
}
VERDICT_MARKS: dict[Verdict, Mark] = {
    Verdict.PASS: Mark(Verdict.PASS.words, "ok", "circle-check"),
    Verdict.WARN: Mark(Verdict.WARN.words, "warn", "triangle-alert"),
    Verdict.FAIL: Mark(Verdict.FAIL.words, "crit", "octagon-alert"),
    Verdict.UNREAD: Mark(Verdict.UNREAD.words, "neutral", "circle-help"),
}
HOLD_MARKS: dict[Hold, Mark] = {
    Hold.HELD: Mark(Hold.HELD.words, "ok", "circle-check"),
    Hold.DIFFERS: Mark(Hold.DIFFERS.words, "warn", "triangle-alert"),
    Hold.NOT_SEEN: Mark(Hold.NOT_SEEN.words, "neutral", "circle-dashed"),
}
FORWARD_MARKS: dict[ForwardState, Mark] = {
    ForwardState.CLOSED: Mark("Closed", "neutral", "circle-dashed"),
    ForwardState.OPENING: Mark("Opening", "accent", "loader"),
    ForwardState.OPEN: Mark("Open", "ok", "check"),
    ForwardState.WAITING: Mark("Waiting for the node", "warn", "clock"),
    ForwardState.FAILED: Mark("Failed", "crit", "octagon-alert"),
}
_TINTS: dict[str, Token] = {"ok": "ok", "warn": "warn", "crit": "crit", "accent": "accenttext"}


def tint_of(mark: Mark) -> Token:
    """The colour of a mark's icon on a plain ground."""
    return _TINTS.get(mark.kind, "text3")
