"""The timeline of a launch: pre-flight, the phases that the plan's steps name, ready. Pure; times are handed in.

The one rule: a phase that was not seen to end is not done; when the run ends badly the current one has failed. The
warm-up is no step of ours: the engine's log tells of it while it loads, and where none is told there is no such phase.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.jobs.record import Phase, PhaseState
from sparkdesk.core.step import Playbook

PREFLIGHT = "preflight"
READY = "ready"
SWITCH = "switch"
"""Steps that stop the server whose place is taken."""
LOAD = "load"
WARMUP = "warmup"
TITLES = {
    PREFLIGHT: "Pre-flight",
    "image": "Image",
    "weights": "Weights",
    "copy": "Copy",
    SWITCH: "Stop the other",
    "put": "Prepare",
    "start": "Start",
    LOAD: "Load",
    WARMUP: "Warm-up",
    "token": "First token",
    READY: "Ready",
}


class Timeline:
    """The phases of one launch and how they stand. Times are monotonic seconds."""

    def __init__(self, playbook: Playbook) -> None:
        named = dict.fromkeys(step.phase for step in playbook.steps() if step.phase)
        keys = [PREFLIGHT, *(key for key in named if key not in (PREFLIGHT, READY)), READY]
        if LOAD in keys and WARMUP not in keys:
            keys.insert(keys.index(LOAD) + 1, WARMUP)
        self._phases = [Phase(key, TITLES.get(key, key.capitalize()), PhaseState.TO_DO) for key in keys]
        self._begun_s: dict[str, float] = {}

    def begin(self, key: str, now_s: float) -> None:
        """A phase begins; those before it are done. Begun twice is begun once; unknown keys are ignored."""
        index = self._index(key)
        if index is None or self._phases[index].state is not PhaseState.TO_DO:
            return
        for earlier in range(index):
            self._close(earlier, PhaseState.DONE, now_s)
        self._phases[index] = replace(self._phases[index], state=PhaseState.CURRENT)
        self._begun_s[key] = now_s
        before = [phase for phase in self._phases[:index] if not self._was_passed_over(phase)]
        self._phases = before + self._phases[index:]

    def note(self, key: str, text: str, fraction: float = math.nan) -> None:
        """What a phase is doing, in words, and how far it is."""
        index = self._index(key)
        if index is not None:
            self._phases[index] = replace(self._phases[index], note=text[:200], fraction=fraction)

    def state_of(self, key: str) -> PhaseState | None:
        """How a phase stands; None when there is none of this key."""
        index = self._index(key)
        return None if index is None else self._phases[index].state

    def note_of(self, key: str) -> str:
        """What is said of a phase."""
        index = self._index(key)
        return "" if index is None else self._phases[index].note

    def finish(self, now_s: float) -> None:
        """All is done: ready."""
        self.begin(READY, now_s)
        for index in range(len(self._phases)):
            self._close(index, PhaseState.DONE, now_s)

    def fail(self, now_s: float, note: str = "") -> None:
        """The current phase has failed; what comes after it is not done."""
        for index, phase in enumerate(self._phases):
            if phase.state is PhaseState.CURRENT:
                self._close(index, PhaseState.FAILED, now_s)
                self.note(phase.key, note or phase.note)

    def stop(self, now_s: float) -> None:
        """Stopped on purpose: what was not reached is skipped."""
        for index, phase in enumerate(self._phases):
            if phase.state in (PhaseState.CURRENT, PhaseState.TO_DO):
                self._close(index, PhaseState.SKIPPED, now_s)

    def phases(self, now_s: float) -> tuple[Phase, ...]:
        """The phases with what the current one has taken until now, and how long it has been ready."""
        return tuple(
            replace(phase, seconds=now_s - self._begun_s[phase.key]) if self._goes_on(phase) else phase
            for phase in self._phases
        )

    def _was_passed_over(self, phase: Phase) -> bool:
        return phase.key == WARMUP and phase.key not in self._begun_s

    def _goes_on(self, phase: Phase) -> bool:
        is_ready = phase.key == READY and phase.state is PhaseState.DONE
        return phase.key in self._begun_s and (is_ready or phase.state is PhaseState.CURRENT)

    def _index(self, key: str) -> int | None:
        return next((index for index, phase in enumerate(self._phases) if phase.key == key), None)

    def _close(self, index: int, state: PhaseState, now_s: float) -> None:
        phase = self._phases[index]
        if phase.state not in (PhaseState.CURRENT, PhaseState.TO_DO):
            return
        begun_s = self._begun_s.get(phase.key, math.nan)
        self._phases[index] = replace(phase, state=state, seconds=now_s - begun_s)
