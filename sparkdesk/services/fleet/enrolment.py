"""Adds nodes, as a page asks for it: plain methods; the work runs as a task and the feed tells how it stands.

The one rule: one attempt at a time, and an attempt that is given up leaves nothing behind, here or on the node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, Who
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connector, KeyFolder, KnownHosts, LocalKey, Store
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.credentials import Credentials
from sparkdesk.services.fleet.enrol_course import Course, CourseParts, Memory
from sparkdesk.services.fleet.enrol_screen import Answer, Screen
from sparkdesk.services.fleet.look import Looks
from sparkdesk.services.fleet.recognition import Fleet
from sparkdesk.services.fleet.touch import Touches
from sparkdesk.services.tasks import Tasks

TASK = "add node"


@dataclass(frozen=True, slots=True)
class EnrolmentParts:
    """What the service is made of. `candidate` finds what a search found, by its id."""

    tasks: Tasks
    connector: Connector
    fleet: Fleet
    credentials: Credentials
    keys: KeyFolder
    known_hosts: KnownHosts
    store: Store
    clock: Clock
    computer: str
    candidate: Callable[[str], Candidate | None] = lambda _candidate_id: None
    looks: Looks | None = None
    """What a search has seen too; None: its own."""


@dataclass
class _Attempt:
    """The attempt that is shown."""

    who: Who
    memory: Memory = field(default_factory=Memory)
    screen: Screen | None = None


class Enroller:
    """One attempt at a time; a new one replaces the old."""

    def __init__(self, parts: EnrolmentParts) -> None:
        self._parts = parts
        self._attempt: _Attempt | None = None
        self._looks = parts.looks or Looks(parts.connector, Touches(parts.clock), parts.clock)
        self.enrolment: Latest[Enrolment] = Latest(Enrolment())

    def start(self, who: Who) -> None:
        """Begin with this machine; what was under way is given up."""
        self._attempt = _Attempt(who)
        problem = who.problem()
        if problem:
            self._parts.tasks.cancel(TASK)
            wrong = Enrolment(stage=EnrolStage.FAILED, who=who, message=problem, remedy="Correct it, then try again.")
            self.enrolment.set(wrong)
            return
        self._begin(self._attempt, Enrolment(stage=EnrolStage.LOOKING, who=who))

    def trust(self) -> None:
        """The person compared the key on offer, and it is right."""
        self._answer(EnrolStage.TRUST, Answer())

    def give_password(self, password: str, *, remember: bool) -> None:
        """The password that is asked for; `remember` keeps it beyond this attempt."""
        if password:
            self._answer(EnrolStage.NEEDS_PASSWORD, Answer(password, remember))

    def give_passphrase(self, text: str, *, remember: bool) -> None:
        """The passphrase of the key file."""
        if text:
            self._answer(EnrolStage.NEEDS_PASSPHRASE, Answer(text, remember))

    def set_up_key(self) -> None:
        """Make a key pair for this node, to sign in by instead of the password."""
        self._answer(EnrolStage.IDENTIFYING, Answer())

    def keep_password(self) -> None:
        """Go on signing in by the password."""
        self._answer(EnrolStage.IDENTIFYING, Answer(is_yes=False))

    def take_same(self, *, is_same: bool) -> None:
        """Whether it is the node that is known already."""
        self._answer(EnrolStage.SAME_NODE, Answer(is_yes=is_same))

    def retry(self) -> None:
        """Try the same again after a failure; what was confirmed stays confirmed."""
        attempt = self._attempt
        if attempt is None or self.enrolment.value.stage is not EnrolStage.FAILED or attempt.who.problem():
            return
        now = Enrolment(stage=EnrolStage.LOOKING, who=attempt.who, log=self.enrolment.value.log)
        self._begin(attempt, now)

    def cancel(self) -> None:
        """Give up; a node that was added stays added."""
        self._attempt = None
        self._parts.tasks.cancel(TASK)
        self.enrolment.set(Enrolment())

    async def local_keys(self) -> tuple[LocalKey, ...]:
        """The user's own key files, to choose from."""
        return await self._parts.keys.local_keys()

    def _begin(self, attempt: _Attempt, start: Enrolment) -> None:
        parts = self._parts

        def publish(enrolment: Enrolment) -> None:
            if self._attempt is attempt and attempt.screen is screen:
                self.enrolment.set(enrolment)

        screen = Screen(start, publish, parts.clock)
        attempt.screen = screen
        course = Course(
            attempt.who,
            attempt.memory,
            CourseParts(
                connector=parts.connector, fleet=parts.fleet, credentials=parts.credentials, keys=parts.keys,
                known_hosts=parts.known_hosts, store=parts.store, clock=parts.clock, computer=parts.computer,
                look=self._looks.look, refused=self._looks.note_refused, candidate=parts.candidate,
            ),
            screen,
        )  # fmt: skip
        self.enrolment.set(start)
        parts.tasks.start_exclusive(TASK, course.run)

    def _answer(self, stage: EnrolStage, answer: Answer) -> None:
        if self._attempt is not None and self._attempt.screen is not None:
            self._attempt.screen.answer(stage, answer)
