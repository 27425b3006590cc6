"""Docker: the daemon runs, the account may use it, and containers can get at the GPU.

The one rule: whether docker can be used is told by the daemon's own answer in a fresh sign-in; groups only say why not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan
from sparkdesk.core.bringup.chapters.fix_step import step_of
from sparkdesk.core.bringup.matrix import Cell
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.row import fail, good, make_row, planned, skipped, unread
from sparkdesk.core.command import Command
from sparkdesk.core.probes.doctor_docker import (
    ACCOUNT,
    DAEMON_FILE,
    KNOWS_SINCE_START,
    NO_CONTAINERS,
    NO_DOCKER,
    RESTARTS,
    SERVER,
    make_daemon_fix,
    make_group_fix,
    make_package_fix,
    make_runtime_fix,
)
from sparkdesk.core.step import Run, SignInAnew, Stage, Step

GROUP_NOTE = "Who is in the group docker can become root on the node: that is what lets an account start containers."
UNDO_RESTARTS = "Undo of the NVIDIA runtime puts docker's configuration back and starts docker anew, too."
PARALLEL = 8
_COUNTS_NOW = Run(Command(("sh", "-c", 'id -Gn | tr " " "\\n" | grep -qx docker')))
"""Whether the group is one of this very sign-in's. Source: id(1) without an operand tells the current process."""
_ANSWERS = Run(Command(SERVER.argv))


def plan_docker(case: Case) -> ChapterPlan:
    """The rows of docker, with the steps that let the accounts use it."""
    rows = (
        make_row(case, Chapter.DOCKER, "daemon", "Docker runs", _judge_daemon),
        make_row(case, Chapter.DOCKER, "group", "Docker without sudo", _judge_group),
        make_row(case, Chapter.DOCKER, "toolkit", "NVIDIA container toolkit", _judge_toolkit),
    )
    readings = [reading for node_id in case.node_ids if (reading := case.reading(node_id)).did_answer]
    wanted = (
        ("Start docker", [_daemon_step(one) for one in readings if _is_down(one)]),
        ("Install the container toolkit", [_toolkit_step(one) for one in readings if _lacks_toolkit(one)]),
        ("Make the toolkit known to docker", [_runtime_step(one) for one in readings if _is_untold(one)]),
        ("Let the accounts use docker", [_group_step(one) for one in readings if _lacks_group(one)]),
    )
    stages = tuple(Stage(title, tuple(steps), PARALLEL) for title, steps in wanted if steps)
    return ChapterPlan(Chapter.DOCKER, rows, stages, notes=_notes(readings))


def _notes(readings: Sequence[NodeReading]) -> tuple[str, ...]:
    started = [one for one in readings if _is_down(one)]
    stops, stays = (", ".join(one.name for one in started if bool(_daemon_step(one).undo) is is_so)
                    for is_so in (True, False))  # fmt: skip
    told = [f"Docker is started on {stops}; undo stops it again, with every container there."] if stops else []
    told += [f"Docker is started on {stays}; undo leaves it running."] if stays else []
    told += [UNDO_RESTARTS] if any(_is_untold(one) for one in readings) else []
    told += [GROUP_NOTE] if any(_lacks_group(one) and not _is_member(one) for one in readings) else []
    return tuple(told)


# What is lacking -----------------------------------------------------------------------------------------------------


def _is_down(reading: NodeReading) -> bool:
    return reading.docker_problem == "down"


def _is_member(reading: NodeReading) -> bool:
    """Whether the system's database has the account in the group, whatever this sign-in has."""
    return reading.user in (reading.docker_members or ())


def _lacks_group(reading: NodeReading) -> bool:
    """Whether a group that is there would let this account in. A daemon that is down cannot say so: its group does."""
    is_kept_out = reading.docker_problem == "denied" or (_is_down(reading) and reading.groups is not None)
    has_group = reading.docker_members is not None and ACCOUNT.match(reading.user) is not None
    return is_kept_out and has_group and reading.user != "root" and "docker" not in (reading.groups or ())


def _lacks_toolkit(reading: NodeReading) -> bool:
    """Whether it is known that there is none: "no program" is what remote/reader.py says of one that is nowhere."""
    why = reading.problems.get("toolkit", "")
    return not reading.toolkit and reading.docker_problem != "absent" and ("no program" in why or "not found" in why)


def _is_untold(reading: NodeReading) -> bool:
    """Whether docker cannot know of the toolkit: it comes with this plan, or came by one that was interrupted."""
    is_left_over = bool(reading.toolkit) and reading.is_toolkit_known is False and reading.docker_problem != "absent"
    return is_left_over or _lacks_toolkit(reading)


# Steps ---------------------------------------------------------------------------------------------------------------


def _daemon_step(reading: NodeReading) -> Step:
    fix = make_daemon_fix(reading.node_id, reading.docker_stopped)
    return step_of(fix, Chapter.DOCKER, "daemon", f"Start docker on {reading.name}")


def _toolkit_step(reading: NodeReading) -> Step:
    title = f"Install the NVIDIA container toolkit on {reading.name}"
    step = step_of(make_package_fix(reading.node_id), Chapter.DOCKER, "toolkit", title)
    return replace(step, apply=(RESTARTS, *step.apply))


def _runtime_step(reading: NodeReading) -> Step:
    """A step of its own: what is known of the package says nothing of docker, when the two were cut apart."""
    title = f"Make the NVIDIA runtime known to docker on {reading.name}"
    step = step_of(make_runtime_fix(reading.node_id), Chapter.DOCKER, "runtime", title)
    asks = () if _lacks_toolkit(reading) else (RESTARTS,)  # asked before the installation otherwise
    return replace(step, check=(KNOWS_SINCE_START,), apply=(*asks, *step.apply))


def _group_step(reading: NodeReading) -> Step:
    """Into the group, and a fresh sign-in for it; the way back takes out only who was not in it before."""
    fix = make_group_fix(reading.user, reading.node_id)
    step = step_of(fix, Chapter.DOCKER, "group", f"Let {reading.user} use docker on {reading.name}")
    if _is_member(reading):
        title = f"Sign in to {reading.name} anew, so that the group docker counts"
        return replace(step, title=title, check=(_COUNTS_NOW,), apply=(SignInAnew(),), verify=(_ANSWERS,), undo=())
    return replace(
        step,
        check=(_COUNTS_NOW,),
        apply=(*step.apply, SignInAnew()),
        verify=(*step.verify, _ANSWERS),
        undo=(*step.undo, SignInAnew()),
    )


# What is shown -------------------------------------------------------------------------------------------------------


def _judge_daemon(reading: NodeReading) -> Cell:
    if reading.docker:
        return good(reading.docker, f"{' '.join(SERVER.argv)}: {reading.docker}")
    if reading.docker_problem == "absent":
        return fail("not installed", NO_DOCKER, NO_CONTAINERS)
    if _is_down(reading):
        return planned("does not run", (_daemon_step(reading).id,), "the docker service does not run", then="runs")
    if reading.docker_problem == "denied":
        return good("runs", "the daemon refuses this account, so it runs")
    return unread(reading, "docker")


def _judge_group(reading: NodeReading) -> Cell:
    evidence = f"id -Gn: {' '.join(reading.groups or ())}"
    if reading.docker:
        return good("yes", evidence)
    if reading.docker_problem == "absent":
        return skipped("no docker")
    if _lacks_group(reading):
        text = "sign in anew" if _is_member(reading) else "not in the group"
        return planned(text, (_group_step(reading).id,), f"{evidence}\n{GROUP_NOTE}", then="in the group docker")
    if reading.docker_problem == "denied" and reading.docker_members is None:
        remedy = "Make the group and start docker anew: sudo groupadd docker && sudo systemctl restart docker"
        return fail("no group docker", remedy, reading.problems.get("docker_members", evidence))
    if reading.docker_problem == "denied":
        remedy = "Look on the node who may open docker's socket: ls -l /run/docker.sock"
        return fail("refused", remedy, evidence)
    if _is_down(reading) and ("docker" in (reading.groups or ()) or reading.user == "root"):
        return good("yes", evidence)
    return unread(reading, "docker")


def _judge_toolkit(reading: NodeReading) -> Cell:
    if reading.toolkit and _is_untold(reading):
        evidence = (
            f"nvidia-ctk --version: {reading.toolkit}\nThe toolkit came after docker's last start, and {DAEMON_FILE} "
            "does not name it. Docker is started anew: every container there stops."
        )
        return planned("unknown to docker", (_runtime_step(reading).id,), evidence, then="known to docker")
    if reading.toolkit:
        return good(reading.toolkit, f"nvidia-ctk --version: {reading.toolkit}")
    if reading.docker_problem == "absent":
        return skipped("no docker")
    if _lacks_toolkit(reading):
        evidence = f"{reading.problems.get('toolkit', '')}\nDocker is started anew: every container there stops."
        steps = (_toolkit_step(reading).id, _runtime_step(reading).id)
        return planned("not installed", steps, evidence, then="installed")
    return unread(reading, "toolkit")
