"""The networks that are tried on nodes now: how long each still has, and what a person is asked about it.

The one rule: the clock is the node's own; what is shown here only follows it, and without an answer in time the answer
is no, because by then the node has taken its old network back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeGuard

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.state import Trial
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.step import Output, Step, StepEnded, StepEvent
from sparkdesk.services.clock import Clock

LENGTH_S = 60.0
"""Of a trial whose node did not say how long it is."""
MAX_LENGTH_S = 600.0


class Trials:
    """The trials of one run, by their steps."""

    def __init__(self, clock: Clock, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._running: dict[str, Trial] = {}
        self._unkept: dict[str, Trial] = {}
        """Those whose step ended without keeping or taking back: their nodes do that by themselves."""
        self._answers: dict[str, asyncio.Future[bool]] = {}

    @property
    def running(self) -> tuple[Trial, ...]:
        """Those that run now, in the order in which they began."""
        return tuple(self._running.values())

    def hear(self, step: Step, event: StepEvent) -> None:
        """An event of one of the run's steps."""
        if isinstance(event, StepEnded) and (trial := self._running.pop(step.id, None)) is not None:
            if event.result not in ("done", "undone"):
                self._unkept[trial.node_id] = trial
            self._on_change()
        elif isinstance(event, Output) and step.phase == Chapter.NETWORK:
            times = _read_times(event.text)
            if times is not None:
                self._begin(step, *times)

    def _begin(self, step: Step, length_s: float, left_s: float) -> Trial:
        self._unkept.pop(step.node, None)
        ends_ms = self._clock.now_ms() + round(left_s * 1000)
        trial = self._running[step.id] = Trial(step.node, step.id, ends_ms, length_s)
        self._on_change()
        return trial

    async def decide(self, step: Step, question: str) -> bool:
        """Ask the person on the page, for as long as the trial lasts."""
        trial = self._running.get(step.id) or self._begin(step, LENGTH_S, LENGTH_S)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers[step.id] = answer
        self._running[step.id] = replace(trial, question=question)
        self._on_change()
        try:
            async with asyncio.timeout(max(0.0, (trial.ends_ms - self._clock.now_ms()) / 1000.0)):
                return await answer
        except TimeoutError:
            return False
        finally:
            del self._answers[step.id]
            if step.id in self._running:
                self._running[step.id] = replace(self._running[step.id], question="")
                self._on_change()

    def answer(self, node_id: str) -> bool:
        """A person wants to keep what is tried on the node; whether they were asked."""
        for trial in self._running.values():
            future = self._answers.get(trial.step_id)
            if trial.node_id == node_id and future is not None and not future.done():
                future.set_result(True)
                return True
        return False

    def steps_of(self, node_id: str) -> tuple[str, ...]:
        """The steps that try a network on this node."""
        return tuple(trial.step_id for trial in self._running.values() if trial.node_id == node_id)

    def end_all(self) -> dict[str, float]:
        """The run is over. Gives the nodes that take their old network back by themselves, with the seconds left."""
        now_ms = self._clock.now_ms()
        left = {node_id: (trial.ends_ms - now_ms) / 1000.0 for node_id, trial in self._unkept.items()}
        self._running.clear()
        self._unkept.clear()
        return {node_id: seconds for node_id, seconds in left.items() if seconds > 0}

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much."""
        self._running = {
            step_id: replace(trial, ends_ms=trial.ends_ms + moved_ms) for step_id, trial in self._running.items()
        }


def _read_times(text: str) -> tuple[float, float] | None:
    """How long the trial is that a node says to have begun, and how much of it is left now that it was applied; None
    where the node says nothing of the kind."""
    said = last_object(text) or {}
    length_s = said.get("trial_s")
    if said.get("ok") is not True or not _is_seconds(length_s) or length_s <= 0:
        return None
    left_s = said.get("left_s")
    return float(length_s), max(0.0, min(float(left_s), length_s)) if _is_seconds(left_s) else float(length_s)


def _is_seconds(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_LENGTH_S
