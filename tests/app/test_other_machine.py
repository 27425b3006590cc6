"""Machines that are not who they seem: another one at a known address, and a copy of a node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState
from tests.app.adding import (
    add_spark,
    buttons_on,
    click,
    cluster_page,
    fingerprint,
    first_adding,
    later_adding,
    password_of,
    words_on,
)
from tests.app.desk import node_in, play, until
from tests.app.picture import take_pictures
from tests.app.sparks import running_sparks, switch_fault
from tests.simulator.conftest import Simulator, trust

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


@pytest.fixture
def sparks(tmp_path: Path) -> Iterator[Simulator]:
    """Two Sparks that let in by password."""
    with running_sparks(tmp_path, 2, "--sign-in", "both") as simulator:
        yield simulator


def print_of(host_key: str) -> str:
    """The fingerprint alone: "SHA256:..."."""
    return fingerprint(host_key).split()[1]


async def keys_at(simulator: Simulator, index: int, host_key: str) -> str:
    """The public lines that the node's user has installed; the node shows this host key now."""
    async with simulator.connect(index, known_hosts=trust(host_key)) as connection:
        return str((await connection.run("cat ~/.ssh/authorized_keys 2>/dev/null || true")).stdout)


def test_another_machine_at_a_known_address_is_refused_in_the_window(app: QApplication, sparks: Simulator) -> None:
    spark = sparks.node(0)
    name, place = str(spark["name"]), f"{spark['user']}@{spark['address']}:{spark['port']}"

    async def story(desktop: Desktop) -> None:
        desktop.window.resize(1440, 900)
        node = await add_spark(await first_adding(desktop), sparks)
        other_key = await switch_fault(sparks, "on", "other-machine", name)
        changed = await node_in(desktop, 0, NodeState.IDENTITY_CHANGED)
        assert name in changed.message
        page = await cluster_page(desktop)
        page.model.select("node", node.record.id)
        trouble = page.inspector.trouble
        await until(lambda: trouble.compare.isVisible(), "the two keys to compare")
        assert not trouble.reconnect.isVisible()
        assert not trouble.password.isVisible()
        click(trouble.compare)
        assert print_of(spark["host_key"]) in trouble.keys_text()
        assert print_of(other_key) in trouble.keys_text()
        await take_pictures(desktop, "changed-key-on-the-map")
        adding = await later_adding(desktop)
        adding.ask_for(place, sign_in="automatic")
        await adding.reach(EnrolStage.CHANGED_KEY)
        part = adding.page.panel.trust_row.changed_part
        assert part.trusted.text() == print_of(spark["host_key"])
        assert part.offered.text() == print_of(other_key)
        assert buttons_on(adding.page.panel.trust_row) == ["Close"]
        await take_pictures(desktop, "changed-key-refused")
        click(part.close_button)
        await adding.end()
        await switch_fault(sparks, "off", "other-machine", name)
        desktop.stack.inventory.reconnect(node.record.id)
        back = await node_in(desktop, 0, NodeState.LIVE)
        assert back.record.host_key == spark["host_key"]

    assert play(app, story) == 0


def test_a_copy_of_a_known_node_is_not_added_and_keeps_no_key(app: QApplication, sparks: Simulator) -> None:
    first, copy = sparks.node(0), sparks.node(1)

    async def story(desktop: Desktop) -> None:
        await add_spark(await first_adding(desktop), sparks)
        await switch_fault(sparks, "on", "same-identity", str(copy["name"]))
        adding = await later_adding(desktop)
        adding.ask_for(f"{copy['user']}@{copy['address']}:{copy['port']}")
        await adding.reach(EnrolStage.TRUST)
        assert f"{first['name']} has this same key" in words_on(adding.page.panel.trust_row.offer_part)
        await adding.trust(fingerprint(first["host_key"]))
        await adding.give_password(password_of(sparks))
        shown = await adding.reach(EnrolStage.FAILED)
        assert "two machines with the same host key and machine id" in shown.message
        assert "dpkg-reconfigure openssh-server" in words_on(adding.page.panel.sign_in_row.failure_part)
        await take_pictures(desktop, "copy-refused")
        click(adding.page.panel.back_button)
        await adding.end()
        (kept,) = desktop.stack.inventory.nodes.value
        assert (kept.record.address, kept.record.other_addresses) == (first["address"], ())
        assert await keys_at(sparks, 1, first["host_key"]) == ""

    assert play(app, story) == 0
