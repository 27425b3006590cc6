"""The plan of the SSH mesh: what is missing and nothing else, no private half in it, and a way back for each step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import ChapterPlan
from sparkdesk.core.bringup.chapters.keys import plan_keys
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.reading import SshReading
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Playbook, PutFile, Relay, Restore, Run, Step
from sparkdesk.core.step_json import from_json, to_json
from tests.core.bringup.cases import make_case, make_reading, with_node
from tests.core.bringup.mesh_cases import make_key, with_mesh


def steps(found: ChapterPlan) -> dict[str, Step]:
    """By id."""
    return {step.id: step for stage in found.stages for step in stage.steps}


def with_ssh(case: Case, node_id: str, **changes: object) -> Case:
    """The case where a node's ~/.ssh is otherwise."""
    return with_node(case, node_id, ssh=replace(case.reading(node_id).ssh, **changes))  # type: ignore[arg-type]


def test_out_of_the_box_each_node_makes_a_pair_lets_its_peers_in_and_signs_in_to_them() -> None:
    case = make_case(3, Shape.RING)
    found = plan_keys(
        replace(case, readings={one: replace(case.reading(one), ssh=SshReading()) for one in case.node_ids})
    )
    whats = ("rights", "pair", "let-in", "hosts", "try")
    assert list(steps(found)) == [f"keys-{what}-n{number}" for what in whats for number in (1, 2, 3)]
    assert {step.phase for step in steps(found).values()} == {"keys"}
    assert all(step.check for step in steps(found).values() if step.apply), "nothing is done twice"
    assert all(step.undo for step in steps(found).values() if step.apply)
    for row in found.rows:
        assert {cell.state for cell in row.cells.values()} == {CellState.PLANNED}
        assert all(set(cell.step_ids) <= set(steps(found)) for cell in row.cells.values())


def test_where_the_mesh_stands_nothing_is_planned() -> None:
    found = plan_keys(with_mesh(make_case(4, Shape.SWITCH)))
    assert (found.stages, found.diffs, found.notes) == ((), (), ())
    assert {cell.state for row in found.rows for cell in row.cells.values()} == {CellState.PASS}


def test_public_halves_go_through_a_reader_and_no_private_half_is_ever_named() -> None:
    found = steps(plan_keys(make_case(2, Shape.PAIR)))
    relays = [action for action in found["keys-let-in-n1"].apply if isinstance(action, Relay)]
    assert [(relay.node, relay.reader) for relay in relays] == [("n2", "public_key")]
    assert relays[0].source.argv[-1].endswith('id_ed25519_sparkdesk.pub"')
    for step in found.values():
        for action in (*step.check, *step.apply, *step.verify, *step.undo):
            assert not isinstance(action, Relay) or ".pub" in action.source.argv[-1]


def test_a_new_node_is_let_in_on_the_others_and_their_own_pairs_stay() -> None:
    case = with_mesh(make_case(3, Shape.RING))
    lost = with_node(case, "n3", ssh=SshReading())
    found = steps(plan_keys(lost))
    assert {key for key in found if key.startswith("keys-rights")} == {"keys-rights-n3"}
    assert found["keys-pair-n1"].title == "Bring the program that sets up keys to spark-1"
    assert found["keys-pair-n3"].title == "Make a key pair on spark-3"
    assert found["keys-let-in-n1"].title == "Let spark-3 in on spark-1"
    assert found["keys-let-in-n3"].title == "Let spark-1 and spark-2 in on spark-3"
    assert [key for key in found if key.startswith("keys-hosts")] == ["keys-hosts-n3"]
    assert len([key for key in found if key.startswith("keys-try")]) == 3


def test_a_peer_with_a_new_key_is_let_in_anew() -> None:
    case = with_ssh(with_mesh(make_case(2, Shape.PAIR)), "n2", public_key=make_key(77))
    assert set(steps(plan_keys(case))) == {"keys-pair-n1", "keys-let-in-n1", "keys-try-n1", "keys-try-n2"}


@pytest.mark.parametrize("changes", [{"authorized": None}, {"known_hosts": None}, {"config": None}])
def test_what_could_not_be_read_is_looked_at_by_the_step_itself(changes: dict[str, object]) -> None:
    assert plan_keys(with_ssh(with_mesh(make_case(2, Shape.PAIR)), "n1", **changes)).stages


@pytest.mark.parametrize(
    ("changes", "undo"),
    [
        ({"home_mode": "775"}, 'chmod 775 -- "$HOME/."'),
        ({"folder_mode": "755"}, 'chmod 755 -- "$d"'),
        ({"authorized_mode": "664"}, 'chmod 664 -- "$f"'),
        ({"folder_mode": ""}, 'rmdir -- "$d"'),
    ],
)
def test_rights_that_are_too_wide_are_narrowed_and_given_back(changes: dict[str, object], undo: str) -> None:
    found = steps(plan_keys(with_ssh(with_mesh(make_case(2, Shape.PAIR)), "n1", **changes)))
    step = found["keys-rights-n1"]
    scripts = [action.command.argv[2] for action in step.undo if isinstance(action, Run)]
    assert any(undo in script for script in scripts)


def test_the_program_comes_first_and_goes_last_and_every_undo_carries_its_own() -> None:
    found = steps(plan_keys(make_case(2, Shape.PAIR)))
    pair = found["keys-pair-n1"]
    programs = make_case(2, Shape.PAIR).programs
    source = programs["ssh_mesh"]
    assert pair.apply[1] == PutFile("~/.local/state/sparkdesk/bringup/ssh_mesh.py", source)
    assert isinstance(pair.undo[1], Restore)
    for step_id in ("keys-pair-n1", "keys-let-in-n1", "keys-hosts-n1"):
        first = found[step_id].undo[0]
        assert isinstance(first, Run)
        assert first.stdin == programs["mesh_undo"] + source


def test_the_diffs_show_our_own_part_of_each_file() -> None:
    diffs = {diff.path: diff for diff in plan_keys(make_case(2, Shape.PAIR)).diffs if diff.node_id == "n1"}
    assert diffs["~/.ssh/authorized_keys"].after == (
        "ssh-ed25519 (the key that spark-2 makes) sparkdesk-mesh spark-2 n2\n"
    )
    assert "10.0.20.32 ssh-ed25519 " in (diffs["~/.ssh/known_hosts"].after or "")
    assert (diffs["~/.ssh/config"].after or "").startswith(
        "# >>> sparkdesk-mesh spark-2 n2\nHost spark-2\n    HostName 10.0.20.32\n"
    )
    blank = plan_keys(with_node(make_case(2, Shape.PAIR), "n1", ssh=SshReading())).diffs
    assert not any(diff.is_before_known for diff in blank if diff.node_id == "n1"), "nobody has read it"


def test_one_node_has_nobody_to_sign_in_to() -> None:
    found = plan_keys(make_case(1, Shape.SINGLE))
    assert found.stages == ()
    assert {cell.state for row in found.rows for cell in row.cells.values()} == {CellState.SKIPPED}


def test_a_node_that_takes_no_part_is_named_with_its_reason_and_the_others_go_on() -> None:
    found = plan_keys(with_node(make_case(3, Shape.RING), "n3", user=""))
    assert {step.node for step in steps(found).values()} == {"n1", "n2"}
    assert found.rows[0].cells["n3"].state is CellState.FAIL
    assert found.rows[0].cells["n3"].remedy
    assert found.notes[0].startswith("spark-3 takes no part in the mesh")


def test_a_node_without_a_known_address_is_not_signed_in_to() -> None:
    ends = tuple(HalfAddress(f"n{one}", "P0", "enp1s0f0np0", f"192.168.100.{one}/24") for one in (1, 2))
    scheme = Scheme((Lane("cable", 0, "192.168.100.0/24", ends),))
    found = plan_keys(with_node(make_case(2, Shape.PAIR), "n2", management_address=""), scheme)
    assert steps(found)["keys-try-n1"].verify == ()
    assert any("nobody tries to sign in to it" in note for note in found.notes)


def test_the_plan_of_sixteen_nodes_fits_a_journal_and_comes_back_as_it_was() -> None:
    case = make_case(4, Shape.SWITCH)
    readings = {f"n{number}": make_reading(number) for number in range(1, 17)}
    many = replace(case, node_ids=tuple(readings), readings=readings)
    playbook = Playbook("Bring up 16 nodes", plan_keys(many).stages, needs_lock=True)
    data = to_json(playbook)
    assert from_json(data) == playbook
    assert len(data) < 4 << 20
