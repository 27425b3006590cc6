"""The table of a line's states: total, every pair is reached, and the single steps that people rely on."""

from __future__ import annotations

import math
from collections import deque

import pytest

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.cluster.session import (
    ASLEEP_PAUSE_S,
    BARRED_PAUSE_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    TABLE,
    Action,
    Connect,
    Do,
    Event,
    Failure,
    Happened,
    Ignored,
    Pause,
    Phase,
    Session,
    advance,
)

EVENTS = (
    *(Event(kind) for kind in Happened if kind not in (Happened.FAILED, Happened.ABSENCE_EXPECTED)),
    *(Event(Happened.FAILED, failure) for failure in Failure),
    Event(Happened.ABSENCE_EXPECTED, is_asleep=False),
    Event(Happened.ABSENCE_EXPECTED, is_asleep=True),
)
PHASES = {
    NodeState.IDLE: {Phase.REST},
    NodeState.CONNECTING: {Phase.TRYING},
    NodeState.LIVE: {Phase.OPEN},
    NodeState.SLOW: {Phase.OPEN},
    NodeState.STALE: {Phase.OPEN},
    NodeState.RECONNECTING: {Phase.WAITING, Phase.TRYING},
    NodeState.UNREACHABLE: {Phase.WAITING, Phase.TRYING},
    NodeState.REFUSED: {Phase.REST, Phase.WAITING, Phase.TRYING},
    NodeState.IDENTITY_CHANGED: {Phase.REST},
    NodeState.ASLEEP: {Phase.WAITING, Phase.TRYING},
}
"""What may be under way in each state."""


def run(
    *steps: Event | tuple[float, Event], session: Session | None = None
) -> tuple[Session, tuple[Action, ...], float]:
    """Go through events from a new session (or this one), one second apart or after so many seconds.

    Gives the session, what the last event asks for, and the time.
    """
    session, actions, now_s = session or Session(), (), 1000.0
    for step in steps:
        pause_s, event = step if isinstance(step, tuple) else (1.0, step)
        now_s += pause_s
        session, actions = advance(session, event, now_s)
    return session, actions, now_s


def after(*steps: Event | tuple[float, Event]) -> Session:
    return run(*steps)[0]


def asked(*steps: Event | tuple[float, Event]) -> tuple[Action, ...]:
    return run(*steps)[1]


START, CONNECTED, LOST = Event(Happened.STARTED), Event(Happened.CONNECTED), Event(Happened.LOST)
REFUSED = Event(Happened.FAILED, Failure.REFUSED)
NO_ANSWER = Event(Happened.FAILED, Failure.UNREACHABLE)
BUSY = Event(Happened.FAILED, Failure.BUSY)
CHANGED = Event(Happened.FAILED, Failure.KEY_CHANGED)
PAUSE_OVER, RETRY = Event(Happened.PAUSE_OVER), Event(Happened.RETRY_ASKED)
NETWORK, PASSWORD = Event(Happened.NETWORK_CHANGED), Event(Happened.PASSWORD_GIVEN)
SHUT_DOWN = Event(Happened.ABSENCE_EXPECTED, is_asleep=True)
REBOOT = Event(Happened.ABSENCE_EXPECTED, is_asleep=False)


def test_every_pair_of_a_state_and_an_event_stands_in_the_table_and_what_is_ignored_says_why() -> None:
    assert len(TABLE) == len(NodeState) * len(Happened) == 180
    assert all(rule.why for rule in TABLE.values() if isinstance(rule, Ignored))


def test_every_pair_is_reached_from_a_new_line_and_no_state_has_a_phase_that_it_must_not_have() -> None:
    """All sessions that can be, walked through breadth first; counts and times only as far as they decide anything."""
    seen, reached = {Session()}, set()
    waiting = deque(seen)
    while waiting:
        session = waiting.popleft()
        for event in EVENTS:
            reached.add((session.state, event.kind))
            for now_s in (1.0, 2000.0):  # soon after whatever was before, and long after it
                found, _ = advance(session, event, now_s)
                assert found.phase in PHASES[found.state], f"{session} {event} leads to {found}"
                short = _coarse(found)
                if short not in seen:
                    seen.add(short)
                    waiting.append(short)
    missing = set(TABLE) - reached
    assert missing == set()
    assert len(seen) < 5000


def _coarse(session: Session) -> Session:
    """The session with times of two kinds only, so that there are finitely many."""
    absence = session.absence
    if absence is not None:
        absence = type(absence)(absence.is_asleep, 1500.0 if absence.until_s > 1000 else 0.0)
    times = {
        name: 0.0 if getattr(session, name) > -math.inf else -math.inf
        for name in ("tried_at_s", "opened_at_s", "lost_at_s")
    }
    return Session(
        session.state, session.phase, min(session.failures, 1), min(session.refusals, 2), **times,
        is_barred=session.is_barred, is_wanted_again=session.is_wanted_again, is_doubted=session.is_doubted,
        is_over=session.is_over, absence=absence,
    )  # fmt: skip


def test_pauses_grow_to_two_seconds_while_nothing_answers_and_go_on_for_ever() -> None:
    session, _, now_s = run(START)
    pauses = []
    for _ in range(500):
        session, actions = advance(session, NO_ANSWER, now_s)
        (pause,) = actions
        assert isinstance(pause, Pause)
        pauses.append(pause)
        now_s += pause.most_s
        session, actions = advance(session, PAUSE_OVER, now_s)
        assert actions == (Connect(),)
    assert pauses[0].most_s == 0.5
    assert all(pause.most_s == LONGEST_PAUSE_S for pause in pauses[3:])
    assert session.state is NodeState.UNREACHABLE


def test_an_attempt_that_hung_is_followed_soon_so_that_a_link_that_is_back_is_used_within_three_seconds() -> None:
    tcp_timeout_s, lasting = 3.0, [START, *[NO_ANSWER, PAUSE_OVER] * 8]
    (pause,) = asked(*lasting, (tcp_timeout_s, NO_ANSWER))
    assert pause == Pause(FIRST_PAUSE_S / 2, FIRST_PAUSE_S)
    (pause,) = asked(*lasting, (0.5, NO_ANSWER))
    assert pause == Pause(0.75, 1.5), "two seconds from the beginning of one to the next"


def test_a_network_change_ends_an_attempt_that_hangs_and_leaves_a_fresh_one_alone() -> None:
    for event in (NETWORK, Event(Happened.RESUMED)):
        for trying in ((START,), (START, NO_ANSWER, PAUSE_OVER)):
            assert asked(*trying, (2.0, event)) == (Do.ABORT, Connect())
            assert asked(*trying, (2.0, event), (1.9, event)) == ()
            assert asked(*trying, (1.9, event)) == ()
        refused_once = (START, REFUSED, (31.0, PAUSE_OVER))
        assert asked(*refused_once, (5.0, event)) == (), "a sign-in that was refused is a person's business"


def test_after_two_refused_sign_ins_only_a_person_starts_a_third() -> None:
    (pause,) = asked(START, REFUSED)
    assert pause == Pause(BARRED_PAUSE_S, BARRED_PAUSE_S * 1.2)
    assert BARRED_PAUSE_S >= 30.0
    held = (START, REFUSED, (30.0, PAUSE_OVER), REFUSED)
    assert asked(*held) == ()
    assert after(*held).state is NodeState.REFUSED
    assert asked(*held, PAUSE_OVER) == asked(*held, NETWORK) == asked(*held, Event(Happened.RESUMED)) == ()
    assert asked(*held, RETRY) == asked(*held, PASSWORD) == (Connect(),)


def test_a_network_change_does_not_cut_the_pause_of_a_busy_node_short_but_any_other() -> None:
    assert asked(START, BUSY, (10.0, NETWORK)) == ()
    assert asked(START, NO_ANSWER, (10.0, NETWORK)) == (Connect(),)
    assert asked(START, NO_ANSWER, (0.1, NETWORK)) == ()


def test_a_changed_identity_waits_for_a_person_and_gets_no_password_until_one_is_given_anew() -> None:
    for changed in ((START, CHANGED), (START, CONNECTED, Event(Happened.IDENTITY_DIFFERS))):
        assert after(*changed).state is NodeState.IDENTITY_CHANGED
        for event in EVENTS:
            if event.kind is not Happened.RETRY_ASKED:
                assert not any(isinstance(action, Connect) for action in asked(*changed, event))
        assert asked(*changed, RETRY) == (Connect(is_bare=True),)
        assert asked(*changed, RETRY, NO_ANSWER, PAUSE_OVER) == (Connect(is_bare=True),)
        assert asked(*changed, RETRY, REFUSED, PASSWORD) == (Connect(is_bare=False),)
        confirmed = (*changed, RETRY, CONNECTED, Event(Happened.IDENTITY_CONFIRMED), LOST)
        assert asked(*confirmed, PAUSE_OVER) == (Connect(is_bare=False),)


def test_a_connection_that_falls_at_once_again_and_again_is_not_tried_faster_and_faster() -> None:
    steps: list[Event | tuple[float, Event]] = [START]
    for _ in range(6):
        steps += [CONNECTED, (0.1, LOST)]
        *_, pause = asked(*steps)
        steps.append((2.0, PAUSE_OVER))
    assert pause == Pause(LONGEST_PAUSE_S / 2, LONGEST_PAUSE_S)
    assert asked(*steps, CONNECTED, (60.0, LOST)) == (Pause(0.0, 0.25),)


def test_a_shut_down_from_here_is_sleep_and_is_looked_for_seldom_until_it_is_woken() -> None:
    gone = (START, CONNECTED, SHUT_DOWN, (20.0, LOST))
    assert after(*gone).state is NodeState.ASLEEP
    assert asked(*gone) == (Pause(ASLEEP_PAUSE_S, ASLEEP_PAUSE_S * 1.2),)
    still = (*gone, (12.0, PAUSE_OVER), NO_ANSWER, (86400.0, PAUSE_OVER), NO_ANSWER)
    assert after(*still).state is NodeState.ASLEEP
    woken = (*still, Event(Happened.WOKE))
    assert after(*woken).state is NodeState.RECONNECTING
    assert asked(*woken) == (Connect(),)
    assert after(*woken, CONNECTED).state is NodeState.LIVE
    assert after(*woken, (301.0, NO_ANSWER)).state is NodeState.UNREACHABLE


def test_a_node_that_did_not_shut_down_after_all_and_is_lost_later_is_not_asleep() -> None:
    assert after(START, CONNECTED, SHUT_DOWN, (121.0, LOST)).state is NodeState.RECONNECTING


def test_a_reboot_from_here_is_no_error_for_ten_minutes_and_its_refusals_do_not_count() -> None:
    going = (START, CONNECTED, REBOOT, (5.0, LOST), (31.0, PAUSE_OVER), NO_ANSWER, (60.0, PAUSE_OVER), REFUSED)
    assert after(*going).state is NodeState.RECONNECTING
    assert asked(*going) == (Pause(BARRED_PAUSE_S, BARRED_PAUSE_S * 1.2),)
    assert after(*going).refusals == 0
    assert after(*going, (600.0, PAUSE_OVER), NO_ANSWER).state is NodeState.UNREACHABLE


def test_a_password_that_comes_during_an_attempt_is_used_right_after_it() -> None:
    assert asked(START, PASSWORD) == ()
    assert asked(START, PASSWORD, REFUSED) == (Connect(),)
    assert asked(START, PASSWORD, REFUSED, REFUSED) == (Pause(BARRED_PAUSE_S, BARRED_PAUSE_S * 1.2),)


def test_a_connection_that_nobody_waits_for_any_more_is_dropped_and_the_one_that_stands_is_kept() -> None:
    assert asked(START, Event(Happened.STOPPED)) == (Do.ABORT,)
    assert asked(START, Event(Happened.STOPPED), CONNECTED) == (Do.DROP,)
    session, actions, _ = run(START, CONNECTED, CONNECTED)
    assert (session.state, actions) == (NodeState.LIVE, (Do.DROP,))


def test_samples_move_a_line_that_stands_and_no_other() -> None:
    late, stopped, fine = (
        Event(kind) for kind in (Happened.SAMPLE_LATE, Happened.SAMPLES_STOPPED, Happened.SAMPLE_ON_TIME)
    )
    assert after(START, CONNECTED, late).state is NodeState.SLOW
    assert after(START, CONNECTED, late, stopped).state is NodeState.STALE
    assert after(START, CONNECTED, late, stopped, fine).state is NodeState.LIVE
    assert after(START, CONNECTED, LOST, fine).state is NodeState.RECONNECTING
    assert asked(START, CONNECTED, stopped, NETWORK) == (Do.VERIFY,)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.kind}-{event.failure}")
def test_nothing_is_begun_for_a_node_that_was_removed(event: Event) -> None:
    removed = after(START, CONNECTED, Event(Happened.REMOVED))
    session, actions = advance(removed, event, 5000.0)
    assert session.state is NodeState.IDLE
    assert set(actions) <= {Do.DROP}
