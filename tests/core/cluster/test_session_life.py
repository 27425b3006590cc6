"""Years of a line in a world that lies, falls and comes back, with a clock of the test's own.

The world here is everything that the session does not decide: whether the node answers, which key it shows, which
machine it is, whether it lets in; and it does what the session asks for, as the real line does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.cluster.session import (
    BARRED_PAUSE_S,
    MAX_REFUSALS,
    Action,
    Connect,
    Do,
    Event,
    Failure,
    Happened,
    Pause,
    Phase,
    Session,
    advance,
)

MOST_AT_ONCE = 5
"""Attempts in any span of seconds: at most so many, and one more for each second."""
HEALED_WITHIN_S = 60.0
PERSONS = (Happened.RETRY_ASKED, Happened.PASSWORD_GIVEN, Happened.STARTED)
ORDERS = (*PERSONS, Happened.WOKE)
"""What begins an attempt because a person wants it."""
SAMPLES = {NodeState.SLOW: Happened.SAMPLE_LATE, NodeState.STALE: Happened.SAMPLES_STOPPED}
AWAY = {NodeState.RECONNECTING: 16.0, NodeState.UNREACHABLE: 80.0, NodeState.ASLEEP: 16.0}
"""For how long a node does not answer until it is in these states: the dead line is closed after 15 s."""
EVENTS = st.builds(
    Event,
    # Most lives should be long: nothing happens after a removal.
    st.sampled_from([kind for kind in Happened for _ in range(1 if kind is Happened.REMOVED else 3)]),
    st.sampled_from(list(Failure)),
    st.booleans(),
)
REACHED: set[tuple[NodeState, Happened]] = set()


@dataclass
class World:
    """How the node is."""

    answers: bool = True
    is_busy: bool = False
    lets_in: bool = True
    key_is_trusted: bool = True
    is_same_machine: bool = True
    holds_for_s: float = 1e9
    """A connection that was made falls after so long."""
    attempt_s: float = 0.1


@dataclass
class Deed:
    """What the session asked for at some time: an attempt, and how it ended."""

    at_s: float
    is_bare: bool
    by_person: bool
    failure: Failure | None = None


@dataclass
class Desk:
    """What is under way, as the real line would hold it."""

    attempt_ends_s: float | None = None
    pause_ends_s: float | None = None
    has_connection: bool = False
    falls_s: float = 1e18
    deeds: list[Deed] = field(default_factory=list)


class Life(RuleBasedStateMachine):
    """One line's life."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.world = World()
        self.desk = Desk()
        self.session = Session()
        self.chance = random.Random(1)
        self.person_s = [self.now_s]
        self.is_known_as_other = False
        self.tell(Event(Happened.STARTED))

    # What the real line does -------------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        before = self.session
        REACHED.add((before.state, event.kind))
        if event.kind in ORDERS:
            self.person_s.append(self.now_s)
        if event.kind is Happened.PASSWORD_GIVEN and before.state is not NodeState.IDENTITY_CHANGED:
            self.is_known_as_other = False  # this password is meant for whoever is there now
        self.session, actions = advance(before, event, self.now_s)
        if self.session.phase is not Phase.WAITING:
            self.desk.pause_ends_s = None
        for action in actions:
            self.do(action, event)
        if event.kind is Happened.CONNECTED and Do.DROP not in actions:
            self.desk.has_connection = True
            self.desk.falls_s = self.now_s + self.world.holds_for_s
        if event.kind is Happened.LOST and before.phase is Phase.OPEN:
            self.desk.has_connection = False

    def do(self, action: Action, event: Event) -> None:
        desk = self.desk
        match action:
            case Connect(is_bare):
                assert desk.attempt_ends_s is None, "two attempts at once"
                assert not desk.has_connection, "an attempt beside a connection that stands"
                assert not self.session.is_over, "an attempt for a node that was removed"
                desk.deeds.append(Deed(self.now_s, is_bare, event.kind in ORDERS))
                desk.attempt_ends_s = self.now_s + self.world.attempt_s
            case Pause(least_s, most_s):
                desk.pause_ends_s = self.now_s + self.chance.uniform(least_s, most_s)
            case Do.ABORT:
                assert desk.attempt_ends_s is not None
                desk.attempt_ends_s = None
            case Do.CLOSE:
                assert desk.has_connection
                desk.has_connection = False
            case Do.VERIFY:
                assert desk.has_connection

    def end_attempt(self) -> None:
        world, deed = self.world, self.desk.deeds[-1]
        self.desk.attempt_ends_s = None
        deed.failure = self.judge()
        if deed.failure is not None:
            self.tell(Event(Happened.FAILED, deed.failure))
            return
        # Here the sign-in is over, with a password if it was not bare.
        was_leak = self.is_known_as_other and not world.is_same_machine and not deed.is_bare
        assert not was_leak, "a password went to what is known to be another machine"
        self.tell(Event(Happened.CONNECTED))
        if self.desk.has_connection and not world.is_same_machine:
            self.is_known_as_other = True
            self.tell(Event(Happened.IDENTITY_DIFFERS))
        elif self.desk.has_connection:
            self.is_known_as_other = False
            self.tell(Event(Happened.IDENTITY_CONFIRMED))

    def judge(self) -> Failure | None:
        world = self.world
        if not world.answers:
            return Failure.UNREACHABLE
        if world.is_busy:
            return Failure.BUSY
        if not world.key_is_trusted:
            return Failure.KEY_CHANGED
        return None if world.lets_in else Failure.REFUSED

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that becomes due, in order."""
        end_s = self.now_s + seconds
        while True:
            desk = self.desk
            if desk.has_connection and not self.world.answers:
                desk.falls_s = min(desk.falls_s, self.now_s + 15.0)
            due = [
                (desk.attempt_ends_s, "attempt"),
                (desk.pause_ends_s, "pause"),
                (desk.falls_s if desk.has_connection else None, "fall"),
            ]
            at_s, what = min(((at_s, what) for at_s, what in due if at_s is not None), default=(end_s + 1, ""))
            if at_s > end_s:
                self.now_s = end_s
                return
            self.now_s = max(self.now_s, at_s)
            if what == "attempt":
                self.end_attempt()
            elif what == "pause":
                desk.pause_ends_s = None
                self.tell(Event(Happened.PAUSE_OVER))
            else:
                self.tell(Event(Happened.LOST))

    def reach(self, state: NodeState) -> None:
        """Bring a line that is not over into a state, by what the world and people do."""
        self.tell(Event(Happened.STOPPED))
        self.world = World(lets_in=state is not NodeState.REFUSED)
        self.world.key_is_trusted = state is not NodeState.IDENTITY_CHANGED
        if state is NodeState.IDLE:
            return
        self.tell(Event(Happened.STARTED))
        if state is NodeState.CONNECTING:
            return
        self.pass_time(0.2)
        if state in SAMPLES:
            self.tell(Event(SAMPLES[state]))
        if state is NodeState.ASLEEP:
            self.tell(Event(Happened.ABSENCE_EXPECTED, is_asleep=True))
        if state in AWAY:
            self.world.answers = False
            self.pass_time(AWAY[state])

    def let_happen(self, event: Event) -> None:
        """The event; where only the world or the clock can bring it about, they do."""
        desk, kind = self.desk, event.kind
        if kind in (Happened.CONNECTED, Happened.FAILED) and desk.attempt_ends_s is not None:
            self.world = World(answers=kind is Happened.CONNECTED)
            self.pass_time(desk.attempt_ends_s - self.now_s)
        elif kind is Happened.PAUSE_OVER and desk.pause_ends_s is not None:
            self.pass_time(desk.pause_ends_s - self.now_s)
        else:
            self.stray(event)

    # What can happen ---------------------------------------------------------------------------------------------

    @rule(state=st.sampled_from(NodeState), events=st.lists(EVENTS, min_size=1, max_size=6))
    def each_happens_in_a_state(self, state: NodeState, events: list[Event]) -> None:
        for event in events:
            if not self.session.is_over:
                self.reach(state)
                self.let_happen(event)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 3.0, 12.0, 40.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(
        world=st.builds(
            World,
            answers=st.booleans(),
            is_busy=st.booleans(),
            lets_in=st.booleans(),
            holds_for_s=st.sampled_from([0.05, 5.0, 20.0, 1e9]),
            attempt_s=st.sampled_from([0.05, 1.0, 12.0]),
        )
    )
    def world_turns(self, world: World) -> None:
        self.world = replace(world, is_same_machine=self.world.is_same_machine)

    @rule(person=st.sampled_from([None, *PERSONS]), events=st.lists(EVENTS, max_size=4))
    def it_is_well(self, person: Happened | None, events: list[Event]) -> None:
        self.world = World(is_same_machine=self.world.is_same_machine)
        if person is not None:
            self.tell(Event(person))
        self.pass_time(20.0)
        for event in events:
            self.stray(event)

    @rule(
        kind=st.sampled_from([Happened.SAMPLE_LATE, Happened.SAMPLES_STOPPED, Happened.SAMPLE_ON_TIME]),
        events=st.lists(EVENTS, max_size=4),
    )
    def samples_tell(self, kind: Happened, events: list[Event]) -> None:
        self.world = World(is_same_machine=self.world.is_same_machine)
        self.pass_time(20.0)
        self.tell(Event(kind))
        for event in events:
            self.stray(event)

    @rule(events=st.lists(EVENTS, max_size=4))
    def it_is_long_away(self, events: list[Event]) -> None:
        self.world.answers = False
        self.pass_time(60.0)
        for event in events:
            self.stray(event)

    @rule(times=st.integers(1, 3), events=st.lists(EVENTS, max_size=3))
    def it_refuses(self, times: int, events: list[Event]) -> None:
        self.world = World(lets_in=False, is_same_machine=self.world.is_same_machine)
        for _ in range(times):
            self.tell(Event(Happened.RETRY_ASKED))
            self.pass_time(0.2)
        for event in events:
            self.stray(event)

    @rule(is_same=st.booleans())
    def machine_is_swapped(self, is_same: bool) -> None:
        if not self.desk.has_connection:  # a machine is not swapped under a connection that stands
            self.world.is_same_machine = is_same

    @rule(events=st.lists(EVENTS, min_size=1, max_size=6))
    def anything_happens(self, events: list[Event]) -> None:
        """Also what cannot be: a stray event, late or twice, must find a line that stands it."""
        for event in events:
            self.stray(event)

    @rule(is_asleep=st.booleans(), events=st.lists(EVENTS, max_size=3))
    def it_goes_down_on_purpose(self, is_asleep: bool, events: list[Event]) -> None:
        self.tell(Event(Happened.ABSENCE_EXPECTED, is_asleep=is_asleep))
        self.world.answers = False
        self.pass_time(20.0)
        for event in events:
            self.stray(event)

    @rule(events=st.lists(EVENTS, max_size=3))
    def it_shows_another_key(self, events: list[Event]) -> None:
        self.world.answers, self.world.key_is_trusted, self.world.is_busy = True, False, False
        self.tell(Event(Happened.RETRY_ASKED))
        self.pass_time(20.0)
        for event in events:
            self.stray(event)

    def stray(self, event: Event) -> None:
        desk, kind = self.desk, event.kind
        is_by_world = kind in (Happened.CONNECTED, Happened.FAILED) and desk.attempt_ends_s is not None
        is_by_clock = kind is Happened.PAUSE_OVER and desk.pause_ends_s is not None
        is_lie = kind is Happened.IDENTITY_CONFIRMED and not self.world.is_same_machine
        if is_by_world or is_by_clock or is_lie:
            return  # what is under way ends by itself; no machine says that it is another one
        if kind is Happened.IDENTITY_DIFFERS:
            self.is_known_as_other = True
        self.tell(event)

    # What always holds -------------------------------------------------------------------------------------------

    @invariant()
    def what_is_under_way_is_what_the_session_says(self) -> None:
        desk, phase = self.desk, self.session.phase
        assert (desk.attempt_ends_s is not None) == (phase is Phase.TRYING)
        assert (desk.pause_ends_s is not None) == (phase is Phase.WAITING)
        assert desk.has_connection == (phase is Phase.OPEN)
        assert (phase is Phase.OPEN) == (self.session.state in (NodeState.LIVE, NodeState.SLOW, NodeState.STALE))

    @invariant()
    def nobody_is_hammered(self) -> None:
        """Of the attempts that no person caused. A person's act begins the counting anew."""
        alone = [deed.at_s for deed in self.desk.deeds if not deed.by_person and deed.at_s > self.person_s[-1]]
        for count in range(MOST_AT_ONCE, len(alone[-80:])):
            assert alone[-1] - alone[-1 - count] >= count - MOST_AT_ONCE, "too many attempts in these seconds"

    @invariant()
    def who_is_turned_away_waits(self) -> None:
        for before, after in pairwise(self.desk.deeds[-20:]):
            has_person = any(before.at_s <= at_s <= after.at_s for at_s in self.person_s)
            if before.failure in (Failure.REFUSED, Failure.BUSY) and not has_person:
                assert after.at_s - before.at_s >= BARRED_PAUSE_S

    @invariant()
    def two_refusals_wait_for_a_person(self) -> None:
        assert self.session.refusals <= MAX_REFUSALS
        if self.session.refusals == MAX_REFUSALS:
            assert self.session.phase in (Phase.REST, Phase.TRYING)

    @invariant()
    def a_changed_identity_rests(self) -> None:
        if self.session.state is NodeState.IDENTITY_CHANGED:
            assert self.session.phase is Phase.REST

    def teardown(self) -> None:
        """Whatever was: a node that is removed is left alone for ever, and another is live soon after it is well."""
        if len(self.desk.deeds) % 2 or self.session.is_over:
            if not self.session.is_over and self.chance.random() < 0.7:
                self.reach(self.chance.choice(list(NodeState)))
            self.tell(Event(Happened.REMOVED))
            count = len(self.desk.deeds)
            self.pass_time(1000.0)
            assert len(self.desk.deeds) == count
            return
        # A person's part: whoever must act, acts; and nobody expects it to be asleep or has it stopped.
        self.world = World()
        state, phase = self.session.state, self.session.phase
        if phase is Phase.REST or state is NodeState.IDLE:
            self.tell(Event(Happened.RETRY_ASKED))
        self.pass_time(HEALED_WITHIN_S)
        if self.session.phase is Phase.REST:  # the attempt under way had ended by what the world was before
            self.tell(Event(Happened.RETRY_ASKED))
            self.pass_time(HEALED_WITHIN_S)
        assert self.session.phase is Phase.OPEN, self.session


def check(life: Life) -> None:
    """Every invariant of a life that hypothesis does not lead."""
    life.what_is_under_way_is_what_the_session_says()
    life.nobody_is_hammered()
    life.who_is_turned_away_waits()
    life.two_refusals_wait_for_a_person()
    life.a_changed_identity_rests()


@pytest.mark.parametrize("state", NodeState)
def test_every_event_is_gone_through_in_every_state_and_no_promise_is_broken_by_it(state: NodeState) -> None:
    """By construction, not by luck: each pair has a life of its own."""
    visited = set()
    events = [*map(Event, Happened), *(Event(Happened.FAILED, failure) for failure in Failure)]
    for event in [*events, Event(Happened.ABSENCE_EXPECTED, is_asleep=True)]:
        life = Life()
        life.reach(state)
        assert life.session.state is state
        check(life)
        REACHED.clear()
        life.let_happen(event)
        check(life)
        visited |= REACHED
        for seconds in (0.3, 3.0, 40.0, 400.0):
            life.pass_time(seconds)
            check(life)
        life.teardown()
    assert visited >= {(state, kind) for kind in Happened}


def test_a_line_keeps_its_promises_whatever_happens() -> None:
    """In lives by luck; that each event is met in each state is the test's above."""
    run_state_machine_as_test(Life, settings=settings(stateful_step_count=40))
