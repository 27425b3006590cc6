"""The line to one node as a state machine: what is known of it, what happened, what follows and what is to be done.

Pure, so that a test with a clock of its own can go through years of it: nothing here waits, draws lots or looks at a
clock. The one rule: every pair of a state and an event stands in `TABLE`, with what follows or with why nothing does.

What the table promises: never two attempts at once; while nothing answers the next attempt follows within two seconds
and never gives up; after a refused sign-in or a node that turns logins away not within half a minute, whatever the
network says; after two refused sign-ins, and after a changed identity, only when a person acts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sparkdesk.core.cluster.node import NodeState

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0
"""From the beginning of one attempt to the next while TCP does not connect; one that took longer is followed soon."""
BARRED_PAUSE_S = 30.0
"""After a refused sign-in, or a node that turns logins away. Source: sshd_config.5 (OpenSSH 9.8), PerSourcePenalties:
failed sign-ins add up, and a client that goes on is shut out for up to ten minutes."""
ASLEEP_PAUSE_S = 10.0
"""A node that was shut down from here is looked for this seldom."""
JITTER = 1.2
MAX_REFUSALS = 2
HURRY_GAP_S = 2.0
"""A change of the network brings the next attempt forward, or ends one that hangs, only when the last one began so
long ago."""
STEADY_S = 10.0
"""A connection that stood so long begins the pauses anew; one that falls sooner counts as a failed attempt."""
UNREACHABLE_AFTER_S = 30.0
"""A line that was lost is "reconnecting" for so long, then "unreachable"."""
SHUTDOWN_BEGINS_S = 120.0
"""A node that was told to shut down and is still there after this is not on its way down."""
REBOOT_S = 600.0
"""Own choice, generous: a start with updates or a check of the disk takes minutes."""
WAKE_S = 300.0
SETTLED_S = 120.0
"""Back from an expected absence; a second loss within this still belongs to it."""


class Happened(StrEnum):
    """What can happen to a line."""

    STARTED = "started"
    CONNECTED = "connected"
    FAILED = "failed"
    """An attempt failed; the event's `failure` says how."""
    LOST = "lost"
    SAMPLE_ON_TIME = "sample_on_time"
    SAMPLE_LATE = "sample_late"
    SAMPLES_STOPPED = "samples_stopped"
    PAUSE_OVER = "pause_over"
    NETWORK_CHANGED = "network_changed"
    """Of this computer."""
    RESUMED = "resumed"
    """This computer slept: its wall clock jumped."""
    RETRY_ASKED = "retry_asked"
    PASSWORD_GIVEN = "password_given"
    ABSENCE_EXPECTED = "absence_expected"
    """A reboot or a shut-down was ordered from here; the event's `is_asleep` says which."""
    WOKE = "woke"
    """It was told to wake up."""
    IDENTITY_DIFFERS = "identity_differs"
    """It let us in and says that it is another machine."""
    IDENTITY_CONFIRMED = "identity_confirmed"
    STOPPED = "stopped"
    REMOVED = "removed"


class Failure(StrEnum):
    """How an attempt failed."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    """It turns logins away: no free slot, or a penalty for earlier failures."""
    REFUSED = "refused"
    """The sign-in was refused."""
    NEEDS_PERSON = "needs_person"
    """Nothing was sent: nobody has confirmed its host key yet, or the key file is locked."""
    KEY_CHANGED = "key_changed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    kind: Happened
    failure: Failure = Failure.UNREACHABLE
    is_asleep: bool = False


class Phase(StrEnum):
    """What is under way. `Session.state` is what people see; the same state may rest, wait or try."""

    REST = "rest"
    WAITING = "waiting"
    """A pause runs; PAUSE_OVER will end it."""
    TRYING = "trying"
    """One attempt is under way; CONNECTED or FAILED will end it."""
    OPEN = "open"
    """A connection stands; LOST will end it."""


@dataclass(frozen=True, slots=True)
class Absence:
    """The node is expected to be away until `until_s` (monotonic)."""

    is_asleep: bool
    until_s: float


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that the next step depends on. Times are seconds of one monotonic clock."""

    state: NodeState = NodeState.IDLE
    phase: Phase = Phase.REST
    failures: int = 0
    refusals: int = 0
    tried_at_s: float = -math.inf
    opened_at_s: float = -math.inf
    lost_at_s: float = -math.inf
    is_barred: bool = False
    """The pause that runs is for the node's sake: only a person may cut it short."""
    is_wanted_again: bool = False
    """A password came while an attempt without it was under way."""
    is_doubted: bool = False
    """It may be another machine: no password that was given before this goes there."""
    is_over: bool = False
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class Connect:
    """Begin an attempt. `is_bare`: with keys only, no password."""

    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Tell PAUSE_OVER after a random time between the two; a later step that is not WAITING cancels it."""

    least_s: float
    most_s: float


class Do(StrEnum):
    """What else is to be done."""

    ABORT = "abort"
    """End the attempt that is under way."""
    CLOSE = "close"
    """Close the connection that stands."""
    DROP = "drop"
    """Close the connection that has just come: nobody waits for it."""
    VERIFY = "verify"
    """Find out whether the connection still stands; tell LOST when not."""


Action = Connect | Pause | Do
Step = tuple[Session, tuple[Action, ...]]
Rule = Callable[[Session, Event, float], Step]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing follows, and why."""

    why: str


def advance(session: Session, event: Event, now_s: float) -> Step:
    """What follows when this happens now: the new session, and what is to be done, in this order."""
    rule = TABLE[session.state, event.kind]
    return (session, ()) if isinstance(rule, Ignored) else rule(session, event, now_s)


# What several rules share ------------------------------------------------------------------------------------------


def _try_now(session: Session, state: NodeState, now_s: float, *before: Action) -> Step:
    tried = replace(session, state=state, phase=Phase.TRYING, tried_at_s=now_s, is_barred=False, is_wanted_again=False)
    return tried, (*before, Connect(is_bare=session.is_doubted))


def _wait(session: Session, state: NodeState, least_s: float, most_s: float, *, is_barred: bool = False) -> Step:
    waiting = replace(session, state=state, phase=Phase.WAITING, is_barred=is_barred, is_wanted_again=False)
    return waiting, (Pause(least_s, most_s),)


def _rest(session: Session, state: NodeState) -> Session:
    return replace(session, state=state, phase=Phase.REST, is_barred=False, is_wanted_again=False)


def _wait_longer(session: Session, state: NodeState, spent_s: float = 0.0) -> Step:
    """The next pause while nothing answers; what the attempt took is taken off."""
    if state is NodeState.ASLEEP:
        return _wait(session, state, ASLEEP_PAUSE_S, ASLEEP_PAUSE_S * JITTER)
    longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(session.failures, 10))
    most_s = max(FIRST_PAUSE_S, longest_s - spent_s)
    return _wait(session, state, most_s / 2, most_s)


def _bar(session: Session, state: NodeState) -> Step:
    return _wait(session, state, BARRED_PAUSE_S, BARRED_PAUSE_S * JITTER, is_barred=True)


def _let_go(session: Session) -> tuple[Action, ...]:
    """What ends whatever is under way."""
    match session.phase:
        case Phase.TRYING:
            return (Do.ABORT,)
        case Phase.OPEN:
            return (Do.CLOSE,)
    return ()


def _is_expected_away(session: Session, now_s: float) -> bool:
    return session.absence is not None and now_s < session.absence.until_s


def _away_state(session: Session, now_s: float) -> NodeState:
    """How a node that does not answer is shown."""
    if session.absence is not None and _is_expected_away(session, now_s):
        return NodeState.ASLEEP if session.absence.is_asleep else NodeState.RECONNECTING
    was_here = now_s - session.lost_at_s < UNREACHABLE_AFTER_S
    return NodeState.RECONNECTING if was_here else NodeState.UNREACHABLE


# Rules -------------------------------------------------------------------------------------------------------------


def _start(session: Session, event: Event, now_s: float) -> Step:
    return (session, ()) if session.is_over else _try_now(session, NodeState.CONNECTING, now_s)


def _open(session: Session, event: Event, now_s: float) -> Step:
    if session.phase is not Phase.TRYING:
        return session, (Do.DROP,)
    absence = session.absence
    if absence is not None:
        absence = replace(absence, until_s=min(absence.until_s, now_s + SETTLED_S))
    opened = replace(
        session, state=NodeState.LIVE, phase=Phase.OPEN, refusals=0, opened_at_s=now_s, is_wanted_again=False,
        absence=absence,
    )  # fmt: skip
    return opened, ()


def _drop(session: Session, event: Event, now_s: float) -> Step:
    return session, (Do.DROP,)


def _fail(session: Session, event: Event, now_s: float) -> Step:
    if session.phase is not Phase.TRYING:
        return session, ()
    match event.failure:
        case Failure.KEY_CHANGED:
            return replace(_rest(session, NodeState.IDENTITY_CHANGED), is_doubted=True), ()
        case _ if session.is_wanted_again:
            return _try_now(session, session.state, now_s)
        case Failure.NEEDS_PERSON:
            return _rest(session, NodeState.REFUSED), ()
    if event.failure is Failure.REFUSED and not _is_expected_away(session, now_s):
        refused = replace(session, refusals=session.refusals + 1)
        if refused.refusals < MAX_REFUSALS:
            return _bar(refused, NodeState.REFUSED)
        return _rest(refused, NodeState.REFUSED), ()
    failed = replace(session, failures=session.failures + 1)
    state = _away_state(session, now_s)
    # A node that goes down or comes up refuses people for a while: no fault of theirs, but no reason to hurry either.
    if event.failure is not Failure.UNREACHABLE:
        return _bar(failed, state)
    return _wait_longer(failed, state, now_s - session.tried_at_s)


def _lose(session: Session, event: Event, now_s: float) -> Step:
    was_steady = now_s - session.opened_at_s >= STEADY_S
    lost = replace(session, failures=0 if was_steady else session.failures + 1, lost_at_s=now_s)
    state = _away_state(lost, now_s)
    if state is NodeState.ASLEEP:
        return _wait_longer(replace(lost, absence=Absence(True, math.inf)), state)
    return _wait(lost, state, 0.0, FIRST_PAUSE_S) if was_steady else _wait_longer(lost, state)


def _show(state: NodeState) -> Rule:
    def rule(session: Session, event: Event, now_s: float) -> Step:
        return replace(session, state=state), ()

    return rule


def _end_pause(session: Session, event: Event, now_s: float) -> Step:
    return _try_now(session, session.state, now_s) if session.phase is Phase.WAITING else (session, ())


def _verify(session: Session, event: Event, now_s: float) -> Step:
    return session, (Do.VERIFY,)


def _hurry(session: Session, event: Event, now_s: float) -> Step:
    """At once. An attempt that hangs went out into a network that is not there any more: a new one goes out."""
    if session.is_barred or now_s - session.tried_at_s < HURRY_GAP_S:
        return session, ()
    return _try_now(session, session.state, now_s, *_let_go(session))


def _retry(session: Session, event: Event, now_s: float) -> Step:
    """A person asked: at once, and all counts begin anew."""
    if session.is_over:
        return session, ()
    fresh = replace(session, failures=0, refusals=0)
    if session.phase is Phase.TRYING:
        return replace(fresh, state=NodeState.CONNECTING), ()
    if session.phase is Phase.OPEN:
        fresh = replace(fresh, lost_at_s=now_s)
    return _try_now(fresh, NodeState.CONNECTING, now_s, *_let_go(session))


def _use_password(session: Session, event: Event, now_s: float) -> Step:
    trusted = replace(session, is_doubted=False, failures=0, refusals=0)
    if session.phase is Phase.TRYING:
        return replace(trusted, is_wanted_again=True), ()
    return _try_now(trusted, NodeState.CONNECTING, now_s)


def _keep_password(session: Session, event: Event, now_s: float) -> Step:
    """It is used when it is needed next."""
    return replace(session, is_doubted=False), ()


def _expect(session: Session, event: Event, now_s: float) -> Step:
    length_s = SHUTDOWN_BEGINS_S if event.is_asleep else REBOOT_S
    return replace(session, absence=Absence(event.is_asleep, now_s + length_s)), ()


def _explain_absence(session: Session, event: Event, now_s: float) -> Step:
    """It is away already."""
    length_s = math.inf if event.is_asleep else REBOOT_S
    expected = replace(session, absence=Absence(event.is_asleep, now_s + length_s))
    return replace(expected, state=_away_state(expected, now_s)), ()


def _wake(session: Session, event: Event, now_s: float) -> Step:
    waking = replace(session, failures=0, absence=Absence(False, now_s + WAKE_S), state=NodeState.RECONNECTING)
    if session.phase is Phase.TRYING or session.is_barred:
        return waking, ()
    return _try_now(waking, NodeState.RECONNECTING, now_s)


def _stay_awake(session: Session, event: Event, now_s: float) -> Step:
    """Whatever absence was expected is not expected any more."""
    return replace(session, absence=None), ()


def _hold(session: Session, event: Event, now_s: float) -> Step:
    held = replace(_rest(session, NodeState.IDENTITY_CHANGED), is_doubted=True, lost_at_s=now_s)
    return held, _let_go(session)


def _doubt(session: Session, event: Event, now_s: float) -> Step:
    return replace(session, is_doubted=True), ()


def _trust(session: Session, event: Event, now_s: float) -> Step:
    return replace(session, is_doubted=False), ()


def _stop(session: Session, event: Event, now_s: float) -> Step:
    return Session(is_doubted=session.is_doubted, is_over=session.is_over), _let_go(session)


def _remove(session: Session, event: Event, now_s: float) -> Step:
    return Session(is_doubted=session.is_doubted, is_over=True), _let_go(session)


# The table ---------------------------------------------------------------------------------------------------------

_IDLE, _CONNECTING, _REFUSED = NodeState.IDLE, NodeState.CONNECTING, NodeState.REFUSED
_CHANGED, _ASLEEP = NodeState.IDENTITY_CHANGED, NodeState.ASLEEP
_STANDING = (NodeState.LIVE, NodeState.SLOW, NodeState.STALE)
_AWAY = (NodeState.RECONNECTING, NodeState.UNREACHABLE)
_SEEKING = (*_AWAY, _ASLEEP)

_NO_LINE = Ignored("no connection stands")
_NO_ATTEMPT = Ignored("no attempt is under way")
_NO_PAUSE = Ignored("no pause runs")
_BEGUN = Ignored("it has begun already")
_AS_SHOWN = Ignored("this is what is shown already")
_UNDER_WAY = Ignored("an attempt is under way")
_NOT_WANTED = Ignored("nobody wants a connection")
_FOR_A_PERSON = Ignored("a person must act first")
_NOT_THERE = Ignored("no password goes to a machine that may be another one")

_Column = Mapping[NodeState, Rule | Ignored]


def _column(
    default: Rule | Ignored, *changes: tuple[NodeState | tuple[NodeState, ...], Rule | Ignored]
) -> dict[NodeState, Rule | Ignored]:
    """One event's column: `default` in every state that `changes` does not name."""
    column = dict.fromkeys(NodeState, default)
    for states, rule in changes:
        for state in states if isinstance(states, tuple) else (states,):
            column[state] = rule
    return column


_COLUMNS: Mapping[Happened, _Column] = {
    Happened.STARTED: _column(_BEGUN, (_IDLE, _start)),
    Happened.CONNECTED: _column(_open, ((_IDLE, _CHANGED, *_STANDING), _drop)),
    Happened.FAILED: _column(_fail, ((_IDLE, _CHANGED, *_STANDING), _NO_ATTEMPT)),
    Happened.LOST: _column(_NO_LINE, (_STANDING, _lose)),
    Happened.SAMPLE_ON_TIME: _column(_NO_LINE, (_STANDING, _show(NodeState.LIVE)), (NodeState.LIVE, _AS_SHOWN)),
    Happened.SAMPLE_LATE: _column(_NO_LINE, (_STANDING, _show(NodeState.SLOW)), (NodeState.SLOW, _AS_SHOWN)),
    Happened.SAMPLES_STOPPED: _column(_NO_LINE, (_STANDING, _show(NodeState.STALE)), (NodeState.STALE, _AS_SHOWN)),
    Happened.PAUSE_OVER: _column(_NO_PAUSE, ((*_SEEKING, _REFUSED), _end_pause)),
    Happened.NETWORK_CHANGED: _column(
        _verify, ((_CONNECTING, *_SEEKING), _hurry), ((_REFUSED, _CHANGED), _FOR_A_PERSON), (_IDLE, _NOT_WANTED)
    ),
    Happened.RESUMED: _column(
        _verify, ((_CONNECTING, *_SEEKING), _hurry), ((_REFUSED, _CHANGED), _FOR_A_PERSON), (_IDLE, _NOT_WANTED)
    ),
    Happened.RETRY_ASKED: _column(_retry, (_CONNECTING, _UNDER_WAY)),
    Happened.PASSWORD_GIVEN: _column(
        _use_password, ((_IDLE, _ASLEEP, *_STANDING), _keep_password), (_CHANGED, _NOT_THERE)
    ),
    Happened.ABSENCE_EXPECTED: _column(
        _expect, (_SEEKING, _explain_absence), ((_REFUSED, _CHANGED), _FOR_A_PERSON), (_IDLE, _NOT_WANTED)
    ),
    Happened.WOKE: _column(
        _stay_awake, (_SEEKING, _wake), ((_REFUSED, _CHANGED), _FOR_A_PERSON), (_IDLE, _NOT_WANTED),
        (_CONNECTING, _UNDER_WAY),
    ),
    Happened.IDENTITY_DIFFERS: _column(_hold, (_IDLE, _doubt), (_CHANGED, _AS_SHOWN)),
    Happened.IDENTITY_CONFIRMED: _column(_NO_LINE, (_STANDING, _trust)),
    Happened.STOPPED: _column(_stop, (_IDLE, _NOT_WANTED)),
    Happened.REMOVED: _column(_remove),
}  # fmt: skip

TABLE: Mapping[tuple[NodeState, Happened], Rule | Ignored] = {
    (state, kind): column[state] for kind, column in _COLUMNS.items() for state in NodeState
}
"""Every pair of a state and an event."""
