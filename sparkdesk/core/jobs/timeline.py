"""The timeline of a launch: pre-flight, the phases that the plan's steps name, ready. Pure; times are handed in.

The one rule: a phase that was not seen to end is not done; when the run ends badly the current one has failed. The
warm-up is no step of ours: the engine's log tells of it while it loads, and where none is told there is no such phase.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.jobs.record import Phase, PhaseState
from sparkdesk.core.jobs.story import NOTE_CHARS, Story
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
_OPEN = (PhaseState.CURRENT, PhaseState.TO_DO)
_BAD = (PhaseState.FAILED, PhaseState.SKIPPED)


class Timeline:
    """The phases of one launch and how they stand. Times are monotonic seconds."""

    def __init__(self, playbook: Playbook) -> None:
        named = dict.fromkeys(step.phase for step in playbook.steps() if step.phase)
        keys = [PREFLIGHT, *(key for key in named if key not in (PREFLIGHT, READY)), READY]
        if LOAD in keys and WARMUP not in keys:
            keys.insert(keys.index(LOAD) + 1, WARMUP)
        self._phases = [Phase(key, TITLES.get(key, key.capitalize()), PhaseState.TO_DO) for key in keys]
        self._begun_s: dict[str, float] = {}
        self._results: dict[str, str] = {}
        """What a phase came to, by its key: all that is said of it once it is over."""
        self._named: set[str] = set()
        """Phases whose result was called one: that they are at 100 % says less."""
        self._unseen: set[str] = set()
        """Phases that had begun before this program did: whether they still go on is not known."""

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

    def note(self, key: str, text: str, fraction: float = math.nan, *, is_result: bool = False) -> None:
        """What a phase is doing, in words, and how far it is. One that is over takes nothing but what it came to."""
        index = self._index(key)
        if index is None:
            return
        phase, text = self._phases[index], text[:NOTE_CHARS]
        if phase.state in _BAD:
            return  # why it ended so is said of it
        if is_result or (fraction >= 1.0 and key not in self._named):
            self._results[key] = text
        elif phase.state not in _OPEN:
            return
        if is_result:
            self._named.add(key)
        is_open = phase.state in _OPEN
        self._phases[index] = replace(phase, note=text, fraction=fraction if is_open else math.nan)

    def see(self, key: str) -> None:
        """It goes on, as was seen just now."""
        self._unseen.discard(key)

    def state_of(self, key: str) -> PhaseState | None:
        """How a phase stands; None when there is none of this key."""
        index = self._index(key)
        return None if index is None else self._phases[index].state

    def note_of(self, key: str) -> str:
        """What is said of a phase."""
        index = self._index(key)
        return "" if index is None else self._phases[index].note

    def finish(self, now_s: float) -> None:
        """All is done: ready; be it again, after it had been taken for over."""
        index = self._index(READY)
        if index is not None and READY not in self._begun_s:
            self._phases[index] = replace(self._phases[index], state=PhaseState.TO_DO, note="")
        self.begin(READY, now_s)
        for index in range(len(self._phases)):
            self._close(index, PhaseState.DONE, now_s)

    def fail(self, now_s: float, note: str = "") -> None:
        """The phase that went on has failed, be it "ready"; what comes after it is not done."""
        for index, phase in enumerate(self._phases):
            if self._goes_on(phase):
                if note:
                    self._results[phase.key] = note[:NOTE_CHARS]
                self._close(index, PhaseState.FAILED, now_s)
        self._begun_s.clear()

    def stop(self, now_s: float) -> None:
        """Stopped on purpose: what was not reached is skipped, and it is ready no longer."""
        for index, phase in enumerate(self._phases):
            if phase.state in _OPEN:
                self._close(index, PhaseState.SKIPPED, now_s)
            elif self._goes_on(phase):
                self._close(index, PhaseState.DONE, now_s)
        self._begun_s.clear()

    def phases(self, now_s: float) -> tuple[Phase, ...]:
        """The phases with what the current one has taken until now, and how long it has been ready.

        One that nobody has seen since this program began has no length: whether it still goes on is not known.
        """
        unseen = self._unseen - {READY}
        return tuple(
            replace(phase, seconds=math.nan if phase.key in unseen else now_s - self._begun_s[phase.key])
            if self._goes_on(phase)
            else phase
            for phase in self._phases
        )

    def story(self, now_s: float, now_ms: int) -> Story:
        """As it is to be kept; `now_s` and `now_ms` are the same moment."""
        begun = {
            phase.key: now_ms - round((now_s - self._begun_s[phase.key]) * 1000)
            for phase in self._phases
            if self._goes_on(phase)
        }
        # What goes on is half-way, in its words and its length: neither is kept.
        phases = (replace(phase, note=self._results.get(phase.key, ""), fraction=math.nan) for phase in self._phases)
        return Story(tuple(phases), begun, dict(self._results))

    def recall(self, story: Story, now_s: float, now_ms: int) -> None:
        """Go on from what was kept before this program was started anew; a story of another plan is left aside."""
        own, told = {phase.key for phase in self._phases} - {WARMUP}, {phase.key for phase in story.phases} - {WARMUP}
        if not told or own != told:
            return
        self._phases = list(story.phases)
        self._results = dict(story.results)
        self._begun_s = {key: now_s - max(now_ms - begun_ms, 0) / 1000 for key, begun_ms in story.begun_ms.items()}
        self._unseen = set(story.begun_ms)

    def _was_passed_over(self, phase: Phase) -> bool:
        return phase.key == WARMUP and phase.key not in self._begun_s

    def _goes_on(self, phase: Phase) -> bool:
        is_ready = phase.key == READY and phase.state is PhaseState.DONE
        return phase.key in self._begun_s and (is_ready or phase.state is PhaseState.CURRENT)

    def _index(self, key: str) -> int | None:
        return next((index for index, phase in enumerate(self._phases) if phase.key == key), None)

    def _close(self, index: int, state: PhaseState, now_s: float) -> None:
        phase = self._phases[index]
        if phase.state not in _OPEN and not self._goes_on(phase):
            return
        is_unseen = state is PhaseState.DONE and phase.key in self._unseen and phase.key != READY
        seconds = math.nan if is_unseen else now_s - self._begun_s.get(phase.key, math.nan)
        seconds = seconds if seconds >= 0 else math.nan  # by the node's clock, which may be another than ours
        note = self._results.get(phase.key, "")
        self._phases[index] = replace(phase, state=state, seconds=seconds, note=note, fraction=math.nan)
