"""Why a node gave no samples for a while: what was known of it at the time, for the gaps of charts.

The one rule: only what was known is said. A silence whose cause nobody knew is "no samples".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.feed import Latest, Subscription
from sparkdesk.core.telemetry.past import NO_SAMPLES
from sparkdesk.services.telemetry import Pulse, PulseState

KEEP = 128
"""Changes that are kept for each node; charts look back an hour."""
SLEPT = "this computer slept"
_STATES = {
    NodeState.ASLEEP: "asleep",
    NodeState.REFUSED: "not signed in",
    NodeState.IDENTITY_CHANGED: "host key changed",
    NodeState.UNREACHABLE: "node unreachable",
    NodeState.RECONNECTING: "connection lost",
    NodeState.IDLE: "not connected",
    NodeState.CONNECTING: "not connected",
}
RESTARTED = "probe restarted"
PAUSED = "measuring was paused"
CLOCK_SET = "this computer's clock was set"
CLOCK_SET_MS = 30_000
"""A longer gap has another reason."""
_RANK = (SLEPT, *dict.fromkeys(_STATES.values()), PAUSED, RESTARTED, CLOCK_SET)
"""Where several are true of one gap, the first of these is said."""


class Absences:
    """Listens to nodes and to their telemetry, and remembers the last changes. `pulse` gives a node's."""

    def __init__(
        self,
        nodes: Latest[tuple[NodeStatus, ...]],
        pulse: Callable[[str], Latest[Pulse]],
        now_ms: Callable[[], int],
    ) -> None:
        self._pulse = pulse
        self._now_ms = now_ms
        self._states: dict[str, deque[tuple[int, str]]] = {}
        self._pulses: dict[str, deque[tuple[int, str]]] = {}
        self._slept: deque[tuple[int, int]] = deque(maxlen=KEEP)
        self._set_ms: deque[int] = deque(maxlen=KEEP)
        """When this computer's clock was set."""
        self._watches: dict[str, Subscription] = {}
        self._subscription = nodes.subscribe(self._take)

    def close(self) -> None:
        """Stop listening."""
        self._subscription.close()
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def note_sleep(self, start_ms: int, end_ms: int) -> None:
        """This computer slept from then to then: nobody asked any node."""
        self._slept.append((start_ms, end_ms))

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much, just now."""
        self._slept = deque(((shut + moved_ms, opened + moved_ms) for shut, opened in self._slept), KEEP)
        self._set_ms = deque((*(at + moved_ms for at in self._set_ms), self._now_ms()), KEEP)
        for known in (self._states, self._pulses):
            for node_id, changes in known.items():
                known[node_id] = deque(((at + moved_ms, words) for at, words in changes), KEEP)

    def reason(self, node_id: str, start_ms: int, end_ms: int) -> str:
        """Words for a stretch without samples of a node."""
        said = {words for shut, opened in self._slept if shut < end_ms and opened > start_ms for words in (SLEPT,)}
        if end_ms - start_ms <= CLOCK_SET_MS and any(start_ms <= at <= end_ms for at in self._set_ms):
            said.add(CLOCK_SET)
        for changes in (self._states.get(node_id), self._pulses.get(node_id)):
            said |= _said(changes or (), start_ms, end_ms)
        return next((words for words in _RANK if words in said), NO_SAMPLES)

    def _take(self, nodes: tuple[NodeStatus, ...]) -> None:
        here = {status.record.id for status in nodes}
        for status in nodes:
            node_id = status.record.id
            _note(self._states, node_id, self._now_ms(), _STATES.get(status.state, ""))
            if node_id not in self._watches:
                self._watches[node_id] = self._pulse(node_id).subscribe(partial(self._take_pulse, node_id))
        for node_id in [known for known in self._watches if known not in here]:
            self._watches.pop(node_id).close()
            self._states.pop(node_id, None)
            self._pulses.pop(node_id, None)

    def _take_pulse(self, node_id: str, pulse: Pulse) -> None:
        words = PAUSED if pulse.state is PulseState.PAUSED else ""
        if pulse.state is PulseState.STOPPED and pulse.restarts:
            words = RESTARTED
        _note(self._pulses, node_id, self._now_ms(), words)


def _note(changes: dict[str, deque[tuple[int, str]]], node_id: str, now_ms: int, words: str) -> None:
    known = changes.setdefault(node_id, deque(maxlen=KEEP))
    while known and known[-1][0] > now_ms:
        known.pop()  # this computer's clock was set back
    if not known or known[-1][1] != words:
        known.append((now_ms, words))


def _said(changes: deque[tuple[int, str]] | tuple[()], start_ms: int, end_ms: int) -> set[str]:
    """What was true at some moment of the stretch."""
    said = set()
    standing = ""
    for t_ms, words in changes:
        if t_ms >= end_ms:
            break
        if t_ms <= start_ms:
            standing = words
        else:
            said.add(words)
    return (said | {standing}) - {""}
