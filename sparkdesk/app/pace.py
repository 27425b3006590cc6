"""How often nodes are asked: seldom while nobody looks and nothing of ours runs.

The one rule: what a person sees, and what a job does, is never sampled more seldom than the person chose.
"""

from __future__ import annotations

from sparkdesk.app.stack import Stack
from ui.sight import Sight

UNSEEN_HZ = 0.1
"""A line that goes dead is still shown as stale, after three periods, before its connection is given up at 16 s."""


class Pace:
    """Sets the telemetry's rate by what the window and the jobs say."""

    def __init__(self, stack: Stack, sight: Sight) -> None:
        self._stack = stack
        self._sight = sight
        sight.changed.connect(self._set)
        self._watch = stack.launcher.jobs.subscribe(lambda _jobs: self._set())

    def _set(self) -> None:
        is_busy = any(not job.state.is_over for job in self._stack.launcher.jobs.value)
        is_wanted = self._sight.is_seen or is_busy
        hz = self._stack.sample_hz
        self._stack.telemetry.set_rate(hz if is_wanted else min(hz, UNSEEN_HZ))

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
