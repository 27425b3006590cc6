"""What a person sees of an attempt to add a node, and the answers they give.

The one rule: what is shown is plain text and bounded, and no secret is ever among it; an answer counts only while it is
asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, KeyOffer
from sparkdesk.core.errors import HostKeyChanged, SparkDeskError
from sparkdesk.core.plain_text import make_line, make_plain
from sparkdesk.services.clock import Clock

LOG_LINES = 200
LINE_CHARS = 400
DETAIL_CHARS = 4000
PLAN_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person said: a secret, or yes or no."""

    text: str = field(default="", repr=False)
    is_remembered: bool = False
    is_yes: bool = True


class Screen:
    """One attempt's face. `publish` gets every change."""

    def __init__(self, start: Enrolment, publish: Callable[[Enrolment], None], clock: Clock) -> None:
        self._now = start
        self._publish = publish
        self._clock = clock
        self._asked: tuple[EnrolStage, asyncio.Future[Answer]] | None = None

    @property
    def stage(self) -> EnrolStage:
        """Where the attempt is."""
        return self._now.stage

    def show(self, stage: EnrolStage) -> None:
        """The attempt has come to this stage."""
        self._set(replace(self._now, stage=stage))

    def say(self, words: str) -> None:
        """A line of the log."""
        at = time.strftime("%H:%M:%S", time.localtime(self._clock.now_ms() / 1000))
        line = f"{at} {make_line(words, max_chars=LINE_CHARS)}"
        self._set(replace(self._now, log=(*self._now.log, line)[-LOG_LINES:]))

    def note(  # noqa: PLR0913 - each a line of its own on the page
        self,
        *,
        message: str = "",
        remedy: str = "",
        detail: str = "",
        tried: str = "",
        known_as: str = "",
        can_set_up_key: bool = False,
        key_plan: str = "",
    ) -> None:
        """What stands beside the stage; everything that is not given is cleared."""
        self._now = replace(
            self._now,
            message=make_line(message, max_chars=LINE_CHARS),
            remedy=make_line(remedy, max_chars=LINE_CHARS),
            detail=make_plain(detail, max_chars=DETAIL_CHARS),
            tried=make_plain(tried, max_chars=DETAIL_CHARS),
            known_as=known_as,
            can_set_up_key=can_set_up_key,
            key_plan=make_plain(key_plan, max_chars=PLAN_CHARS),
            asked_for="",
        )

    def ask_for(self, machine: str) -> None:
        """Whose password the next question is about, when it is not the node's own."""
        self._now = replace(self._now, asked_for=make_line(machine, max_chars=LINE_CHARS))

    def show_offer(self, offer: KeyOffer) -> None:
        """The host key that a person is to compare; it stays in sight until the end."""
        self._now = replace(self._now, offer=offer)

    async def ask(self, stage: EnrolStage) -> Answer:
        """Come to this stage and wait for the person."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked = (stage, answer)
        try:
            self.show(stage)
            return await answer
        finally:
            self._asked = None

    def answer(self, stage: EnrolStage, answer: Answer) -> bool:
        """The person's answer; False when nothing of the kind is asked."""
        if self._asked is None or self._asked[0] is not stage or self._asked[1].done():
            return False
        self._asked[1].set_result(answer)
        return True

    def fail(self, error: SparkDeskError) -> None:
        """It went wrong; the person may try again."""
        self.say(error.message)
        self.note(message=error.message, remedy=error.remedy, detail=error.detail)
        self.show(EnrolStage.FAILED)

    def refuse_changed(self, error: HostKeyChanged, *, host: str, known_as: str) -> None:
        """Another host key than the trusted one: the end of this attempt, with no way on."""
        self.say(error.message)
        self.note(message=error.message, remedy=error.remedy, detail=error.detail, known_as=known_as)
        offer = KeyOffer(host, make_line(error.offered, max_chars=200), key_type="", known_as="")
        self._now = replace(self._now, offer=offer, trusted_fingerprint=error.trusted)
        self.show(EnrolStage.CHANGED_KEY)

    def finish(self, node_id: str, words: str) -> None:
        """The node is kept."""
        self.say(words)
        self.note(message=words)
        self._now = replace(self._now, node_id=node_id)
        self.show(EnrolStage.DONE)

    def _set(self, enrolment: Enrolment) -> None:
        self._now = enrolment
        self._publish(enrolment)
