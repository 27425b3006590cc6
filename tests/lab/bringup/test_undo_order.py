"""Steps of a bring-up are taken back one by one, in any order: each takes its own effect along, and all is as before.

The one rule: what stands is asked of the nodes themselves, never of the run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.services.bringup.resting import with_resting
from tests.lab.bringup.desk import BringUpDesk, opened_bring_up
from tests.lab.bringup.snapshot import Snapshot, differences_of, take_snapshot
from tests.lab.bringup.spark_lab import PAIR, spark_lab
from tests.lab.lab import USER, Lab, LabNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(420)]

IS_DEEP = bool(os.environ.get("SPARKDESK_DEEP"))
SEEDS = range(10 if IS_DEEP else 2)
CHANGING = (Chapter.HARDWARE, Chapter.KEYS, Chapter.DOCKER, Chapter.NETWORK, Chapter.GUARD)
UNPROVED = Choices(frozenset({Chapter.TRUST.value, Chapter.CABLING.value, *CHANGING}), wants_guard=True)
COPIES = "**/*.????????????-"
"""What an undo keeps of a file that somebody else has changed; the snapshot leaves names ending in "-" out."""
SETTLE_S = 30.0
"""However slow the machine is."""
SIGNS = {
    "hardware-clock": "[ $(timedatectl show -p NTP --value) = yes ]",
    "keys-pair": f"[ -e /home/{USER}/.ssh/id_ed25519_sparkdesk ]",
    "keys-let-in": f"grep sparkdesk-mesh /home/{USER}/.ssh/authorized_keys",
    "keys-hosts": f"grep sparkdesk-mesh /home/{USER}/.ssh/known_hosts",
    "docker-daemon": "systemctl is-active docker",
    "docker-toolkit": "command -v nvidia-ctk",
    "docker-runtime": "grep nvidia /etc/docker/daemon.json",
    "docker-group": f"id -nG {USER} | grep -w docker",
    "network-trial": "[ -e /etc/netplan/90-sparkdesk.yaml ] && ip -4 addr | grep -F 192.168. && ip a | grep 'mtu 9000'",
    "guard-on": "grep 'Written by SparkDesk' /etc/default/earlyoom && systemctl is-active earlyoom",
}
"""What a step brings, by the beginning of its id. Of ~/.ssh's rights nothing can be told while keys are in there, and
of the guard's package that it stays."""
_LOOK = "\n".join(f"{{ {test}; }} > /dev/null 2>&1 && echo {name}" for name, test in SIGNS.items())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two Sparks and a cable; each test leaves them as it found them, and sees that it did."""
    with spark_lab(PAIR, tmp_path_factory.mktemp("pair")) as (lab, _):
        yield lab


@pytest.fixture
def before(pair: Lab) -> dict[str, Snapshot]:
    """How each node stands before it is touched: it lacks what any chapter can bring."""
    for node in pair.nodes:
        node.run("apt-get", "remove", "-y", "perftest", "earlyoom", "nvidia-container-toolkit")
        node.run("timedatectl", "set-ntp", "false")
        setting = node.root / "etc/docker/daemon.json"
        setting.write_text('{"log-driver": "local"}')
        if node.index:
            setting.unlink()
        node.run("systemctl", "stop" if node.index else "restart", "docker")
    return {node.name: take_snapshot(node) for node in pair.nodes}


def standing_on(node: LabNode) -> set[str]:
    """The steps whose effect is there; a docker that ran before counts as well."""
    return {f"{name}-{node.name}" for name in node.run("sh", "-c", f"{_LOOK}\n:").split()}


def assert_standing(lab: Lab, wanted: set[str], what: str) -> None:
    """What these steps bring is there, and of the others nothing, once an address has come or gone."""
    deadline_s = time.monotonic() + SETTLE_S
    while (found := set[str]().union(*map(standing_on, lab.nodes))) != wanted and time.monotonic() < deadline_s:
        time.sleep(0.2)
    assert found == wanted, what


def chosen_of(order: Sequence[str]) -> list[str]:
    """All of them where there is time; else the first of each chapter."""
    firsts = {step_id.partition("-")[0]: step_id for step_id in reversed(order)}
    return [step_id for step_id in order if IS_DEEP or step_id in firsts.values()]


async def bring_up(desk: BringUpDesk) -> list[str]:
    """Bring up without the proof; gives the steps that can be taken back."""
    await desk.look(UNPROVED)
    state = await desk.apply()
    assert state.run is not None
    return [step.id for step in state.run.playbook.steps() if step.id in state.run.undoable]


@pytest.mark.parametrize("seed", SEEDS)
async def test_single_steps_of_all_chapters_are_taken_back_in_any_order_each_with_its_own_effect(
    pair: Lab, before: dict[str, Snapshot], seed: int
) -> None:
    there = set[str]().union(*map(standing_on, pair.nodes))
    async with opened_bring_up(pair) as desk:
        order = await bring_up(desk)
        assert {step_id.partition("-")[0] for step_id in order} == {chapter.value for chapter in CHANGING}
        standing = there | {one for one in order if one.rpartition("-spark-")[0] in SIGNS}
        assert_standing(pair, standing, "all is brought up")
        random.Random(seed).shuffle(order)
        left = set(order)
        for step_id in chosen_of(order):
            if step_id not in left:
                continue  # it rested on one that was taken back
            gone = (with_resting(frozenset({step_id})) or frozenset()) & left
            left, standing = left - gone, standing - gone
            state = await desk.undo(step_id)
            assert state.run is not None
            assert set(state.run.undoable) == left
            assert len(state.undo_words) >= len(gone) - 1, "what goes too is said"
            assert_standing(pair, standing, f"{step_id} of {order}")
        if left:
            await desk.undo()
    assert_standing(pair, there, f"all of {order}")
    found = {node.name: differences_of(node, before[node.name]) for node in pair.nodes}
    assert found == {node.name: [] for node in pair.nodes}, order
    copies = [path for node in pair.nodes for path in (node.root / "etc").glob(COPIES)]
    assert copies == [], "nobody else wrote into what was put back"
