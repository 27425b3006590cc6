"""However long a conversation is, a bounded part of it has rows, and every part can be come to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import Turn
from ui.chat.row import PLAIN, EarlierRow, LaterRow, Row, UserRow
from ui.chat.state.row_list import MOST_SHOWN, STEP, TURNS_SHOWN, RowList


def asked(count: int) -> tuple[Turn, ...]:
    return tuple(Turn(Message(Role.USER, (TextPart(f"q{i}"),)), number=i) for i in range(count))


def rows_of(rows: RowList, turns: tuple[Turn, ...]) -> list[Row]:
    return rows.rows(turns, None, lambda _turn: PLAIN)


@given(
    count=st.integers(0, 3000),
    steps=st.lists(st.one_of(st.sampled_from(["earlier", "later", "newest"]), st.integers(0, 2999)), max_size=12),
)
def test_what_has_rows_is_one_run_of_turns_and_the_rest_is_counted(count: int, steps: list[str | int]) -> None:
    rows = RowList()
    for step in steps:
        if step == "earlier":
            rows.show_earlier(count)
        elif step == "later":
            rows.show_later(count)
        elif step == "newest":
            rows.show_newest()
        elif isinstance(step, int) and step < count:
            rows.show_around(step, count)
            first, end = rows.span(count)
            assert first <= step < end
        first, end = rows.span(count)
        assert 0 <= first <= end <= count
        assert end - first <= MOST_SHOWN
        assert rows.is_at_newest == (end == count) or count == 0


def test_the_rest_above_and_below_is_said_with_its_number() -> None:
    rows, turns = RowList(), asked(2000)
    assert rows_of(rows, turns)[0] == EarlierRow(2000 - TURNS_SHOWN)
    rows.show_around(700, 2000)
    shown = rows_of(rows, turns)
    assert (shown[0], shown[-1]) == (EarlierRow(650), LaterRow(1250))
    rows.show_later(2000)
    assert rows_of(rows, turns)[-1] == LaterRow(1250 - STEP)
    rows.show_newest()
    assert rows_of(rows, turns)[-1] == UserRow(1999, "q1999")


def test_going_up_all_the_way_lets_go_of_what_is_below() -> None:
    rows, turns = RowList(), asked(5000)
    for _ in range(30):
        rows.show_earlier(5000)
        assert len(rows_of(rows, turns)) <= MOST_SHOWN + 2
    assert rows_of(rows, turns)[0] == UserRow(0, "q0")
    assert not rows.is_at_newest


def test_a_turn_that_stays_the_same_is_not_made_again() -> None:
    rows, turns = RowList(), asked(10)
    before = rows_of(rows, turns)
    changed = (*turns[:9], *asked(11)[9:10])
    after = rows_of(rows, changed)
    assert all(a is b for a, b in zip(before[:9], after[:9], strict=True))
    assert after[9] is not before[9]
