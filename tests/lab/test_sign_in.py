"""From a host name and a password to a live, keyed, identified node, on real machines; one of them by a cable alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import EnrolStage, Who
from sparkdesk.core.cluster.node import JumpHost, NodeState, SignIn
from sparkdesk.core.command import Command
from tests.lab.lab import CAGE_PORTS, PASSWORD, USER, Cable, Lab
from tests.services.fleet.enrol_desk import EnrolDesk

pytestmark = pytest.mark.lab

PORT = CAGE_PORTS[0][0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes with a cable between them."""
    cables = (Cable(0, 0, 1, 0),)
    with Lab(2, tmp_path_factory.mktemp("pair"), marker="enrolment", cables=cables) as lab, lab.workstation():
        yield lab


@pytest.fixture
async def desk(tmp_path: Path, pair: Lab) -> AsyncIterator[EnrolDesk]:
    way = JumpHost(pair.nodes[0].address, 22, USER, pair.nodes[0].host_key, str(pair.key_path))
    far = Candidate("far", "spark-2", link_local(pair), jump=way)
    desk = EnrolDesk(tmp_path / "data", candidates={"far": far})
    await desk.open()
    yield desk
    await desk.close()


def link_local(lab: Lab) -> str:
    """The far node's own address on the cable, as the near node names it; once both are sure of their addresses."""
    shown: list[str] = []
    for _ in range(300):
        shown = [node.run("ip", "-6", "-o", "addr", "show", "dev", PORT, "scope", "link") for node in lab.nodes]
        if all("inet6" in each and "tentative" not in each for each in shown):
            return shown[1].split("inet6 ")[1].split("/")[0] + "%" + PORT
        time.sleep(0.1)
    raise AssertionError(f"no link-local address: {shown}")


async def add(desk: EnrolDesk, who: Who) -> None:
    """Confirm the key, give the password, set up a key."""
    desk.enroller.start(who)
    await desk.reach(EnrolStage.TRUST)
    desk.enroller.trust()
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(PASSWORD, remember=False)
    await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)
    await desk.inventory_is(NodeState.LIVE)


async def test_a_name_and_a_password_lead_to_a_live_node_with_its_own_key(desk: EnrolDesk, pair: Lab) -> None:
    node = pair.nodes[0]
    before = node.run("cat", f"/home/{USER}/.ssh/authorized_keys")
    await add(desk, Who(node.address, 22, USER, SignIn.PASSWORD))
    (record,) = desk.records
    assert record.name == node.run("hostname").strip()
    assert record.machine_id == node.run("cat", "/etc/machine-id").strip()
    now = node.run("cat", f"/home/{USER}/.ssh/authorized_keys")
    assert now.startswith(before)
    assert "SparkDesk on ana@laptop" in now
    assert node.run("stat", "-c", "%U %a", f"/home/{USER}/.ssh/authorized_keys").strip() == f"{USER} 600"


async def test_a_node_without_an_address_is_added_through_its_neighbours_cable(desk: EnrolDesk, pair: Lab) -> None:
    near, far = pair.nodes
    far.set_link(False)
    try:
        await add(desk, Who(link_local(pair), 22, USER, SignIn.PASSWORD, candidate_id="far"))
        (record,) = desk.records
        assert record.address.startswith("fe80::")
        assert record.machine_id == far.run("cat", "/etc/machine-id").strip()
        outcome = await desk.inventory.shell(record.id).run(Command(("sh", "-c", "echo $SSH_CONNECTION")))
        assert outcome.text.startswith("fe80::")  # the near node's end of the cable
        assert far.host_key != near.host_key
    finally:
        far.set_link(True)
