"""What our programs do on a node is told beneath the commands that run them, and their text can be read."""

from __future__ import annotations

import re

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.report import plan_markdown
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.playbooks.action_text import describe_action
from sparkdesk.core.playbooks.program_words import programs_text, what_it_does
from sparkdesk.core.program import python_command, sources_of
from sparkdesk.core.step import Action, Relay, Run, Step, Wait
from tests.core.bringup.cases import PROGRAMS, make_case

PLAN = make_plan(make_case(2, Shape.PAIR, choices=Choices(image="nvcr.io/nvidia/vllm:26.05-py3")), 7)
STEPS = (*PLAN.playbook.steps(), *PLAN.proof.steps())


def actions_of(step: Step) -> tuple[Action, ...]:
    return (*step.check, *step.apply, *step.verify, *step.undo)


def test_every_command_that_runs_a_program_of_ours_says_what_it_does() -> None:
    told, verbs = 0, set()
    for action in (each for step in STEPS for each in actions_of(step)):
        argv = action.command.argv if isinstance(action, Run | Wait) else ()
        is_sent = isinstance(action, Run | Wait) and bool(sources_of(argv, action.stdin))
        named = [word for word in argv if word.endswith(("/all_gather.py", "/gpu_load.py")) and "docker" in argv]
        if is_sent or isinstance(action, Relay) or named:
            said = what_it_does(action)
            assert said, argv
            assert describe_action(action).count("\n#   ") >= len(said)
            told, verbs = told + 1, verbs | {said}
    assert told > 20
    assert len(verbs) >= 10, "every verb has its own"


def test_the_trial_of_a_network_tells_of_its_timer_before_netplan_is_applied() -> None:
    (step,) = [step for step in PLAN.playbook.steps() if step.id == "network-trial-n1"]
    text = re.sub(r"\n# {3,}", " ", "\n".join(describe_action(action) for action in step.apply))
    order = ["notes files", "puts all of it back after 60 s", "writes /run/netplan/90-sparkdesk.yaml", "netplan apply",
             "/etc/netplan/90-sparkdesk.yaml, mode 600"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "puts both of our netplan files back" in describe_action(step.undo[0])
    assert "puts both of our netplan files back" in plan_markdown(PLAN)


def test_what_is_told_is_in_the_programs() -> None:
    trial, mesh = PROGRAMS["link_trial"].decode(), PROGRAMS["ssh_mesh"].decode()
    for word in (
        "/var/lib/sparkdesk/link_trial",
        "TRIAL_FILE",
        "KEPT_FILE",
        "refuse_bad_files",
        "be_timer",
        "was changed since",
    ):
        assert word in trial
    for word in ("id_ed25519_sparkdesk", "authorized_keys", "known_hosts", '"config"'):
        assert word in mesh


def test_each_program_of_a_step_can_be_read_once_and_whole() -> None:
    text = programs_text(PLAN.playbook.steps())
    for name in ("ssh_mesh", "net_state", "trial_notes", "link_trial"):
        last = PROGRAMS[name].decode().rstrip().splitlines()[-1]
        assert text.count(PROGRAMS[name].decode().splitlines()[0]) == 1
        assert last in text
    assert programs_text(()) == ""


def test_sources_are_found_again_in_what_is_sent_and_nothing_else_is_taken_for_one() -> None:
    sources = (b"a = 1\n", b"b = 2\n")
    assert sources_of(python_command(sources, "look").argv, b"".join(sources) + b"yaml") == sources
    assert sources_of(("sh", "-c", "true"), b"a = 1\n") == ()
