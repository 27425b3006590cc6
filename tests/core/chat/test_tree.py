"""The tree of turns: nothing is ever taken out, and whatever was stored can be shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import NOT_NUMBERED, Turn
from sparkdesk.core.chat.tree import TurnTree, mend


def said(text: str, *, number: int = NOT_NUMBERED, parent: int | None = NOT_NUMBERED) -> Turn:
    return Turn(Message(Role.USER, (TextPart(text),)), number=number, parent=parent)


def shown(tree: TurnTree) -> list[str]:
    return [turn.text for turn in tree.shown]


@pytest.fixture
def tree() -> TurnTree:
    """Two answers to one question, the second gone on with: q-a1, q-a2-q2-a3."""
    tree = TurnTree()
    for text in ("q", "a1"):
        tree.add(said(text))
    tree.end_at(0)
    for text in ("a2", "q2", "a3"):
        tree.add(said(text))
    return tree


def test_a_turn_follows_the_last_one_that_is_shown_and_has_the_next_number(tree: TurnTree) -> None:
    assert [(turn.number, turn.parent) for turn in tree.all] == [(0, None), (1, 0), (2, 0), (3, 2), (4, 3)]
    assert shown(tree) == ["q", "a2", "q2", "a3"]


def test_turns_beside_each_other_are_told_in_order_of_age(tree: TurnTree) -> None:
    assert tree.siblings(2) == tree.siblings(1) == (1, 2)
    assert tree.siblings(0) == (0,)
    tree.end_at(None)
    tree.add(said("another first question"))
    assert tree.siblings(0) == (0, 5)
    assert shown(tree) == ["another first question"]


def test_choosing_a_turn_shows_its_branch_down_to_where_it_was_left_last(tree: TurnTree) -> None:
    tree.choose(1)
    assert shown(tree) == ["q", "a1"]
    tree.choose(2)
    assert shown(tree) == ["q", "a2", "q2", "a3"]
    tree.end_at(2)
    tree.add(said("q3"))
    tree.choose(3)
    tree.choose(1)
    tree.choose(2)
    assert shown(tree) == ["q", "a2", "q2", "a3"], "left at q2, although q3 is newer"


def test_a_branch_that_was_never_shown_opens_at_its_newest_end(tree: TurnTree) -> None:
    again = TurnTree(tree.all, leaf=0)
    assert shown(again) == ["q", "a2", "q2", "a3"]


def test_the_branch_shown_comes_back_by_its_last_turn(tree: TurnTree) -> None:
    tree.choose(1)
    assert shown(TurnTree(tree.all, tree.leaf)) == ["q", "a1"]
    assert shown(TurnTree(tree.all, None)) == ["q", "a2", "q2", "a3"]
    assert shown(TurnTree(tree.all, 99)) == ["q", "a2", "q2", "a3"]


def test_a_newer_form_of_a_turn_takes_its_place_and_no_other(tree: TurnTree) -> None:
    tree.put(said("A2", number=2, parent=4))
    assert shown(tree) == ["q", "A2", "q2", "a3"]
    assert tree[2].parent == 0
    with pytest.raises(KeyError):
        tree.put(said("nobody", number=77))


def test_turns_of_an_older_release_without_numbers_are_one_line() -> None:
    tree = TurnTree([said("a"), said("b"), said("c")])
    assert [(turn.number, turn.parent) for turn in tree.shown] == [(0, None), (1, 0), (2, 1)]


def test_a_turn_that_cannot_be_read_keeps_the_place_that_the_others_name() -> None:
    tree = TurnTree([said("q", number=0, parent=None), said("?"), said("a", number=2, parent=1)])
    assert [(turn.text, turn.number) for turn in tree.shown] == [("q", 0), ("?", 1), ("a", 2)]


turns = st.lists(
    st.builds(
        said,
        st.text(max_size=2),
        number=st.integers(-1, 12) | st.just(1 << 52),
        parent=st.none() | st.integers(-1, 12),
    ),
    max_size=14,
)


@given(turns=turns, leaf=st.none() | st.integers(-1, 14))
def test_whatever_was_stored_is_kept_whole_and_can_be_shown(turns: list[Turn], leaf: int | None) -> None:
    tree = TurnTree(turns, leaf)
    assert sorted(turn.text for turn in tree.all) == sorted(turn.text for turn in turns)
    numbers = [turn.number for turn in tree.all]
    assert len(set(numbers)) == len(numbers)
    for turn in tree.all:
        assert turn.parent is None or (turn.parent in numbers and turn.parent < turn.number)
        assert turn.number in tree.siblings(turn.number)
        tree.choose(turn.number)
        assert turn in tree.shown
        assert tree.shown[0].parent is None
        assert all(below.parent == above.number for above, below in zip(tree.shown, tree.shown[1:], strict=False))
    assert mend(tree.all) == tree.all, "what is whole stays as it is"
    added = tree.add(said("new"))
    assert added.number not in numbers
    assert tree.shown[-1] == added


def test_ten_thousand_turns_cost_about_as_much_at_the_end_as_at_the_beginning() -> None:
    tree = TurnTree()

    def add(count: int) -> float:
        began_s = time.process_time()
        for _ in range(count):
            tree.put(tree.add(said("x")))
        return time.process_time() - began_s

    first_s = add(1000)
    add(8000)
    # A quadratic tree needs some eighteen times as long for the last thousand.
    assert add(1000) < 6 * first_s
    assert len(tree.shown) == 10_000
