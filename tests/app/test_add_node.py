"""A person adds a node: the key is compared first, then it is signed in to; who gives up leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState, SignIn
from sparkdesk.services.fleet.credentials import Given
from tests.app.adding import (
    Adding,
    add_keyed,
    buttons_on,
    click,
    cluster_page,
    console_print,
    fingerprint,
    first_adding,
    go_on_keyed,
    keys_on,
    later_adding,
    public_half,
    words_on,
)
from tests.app.desk import all_live, node_in, play, type_into, until
from tests.infra.ssh_server import SshServer, new_key, running_server
from tests.infra.sshd import free_port, running_sshd

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PASSWORD = "correct horse"
CONNECTED = (NodeState.LIVE, NodeState.STALE)
"""How a server stands that lets in and answers "hello" to every program."""


def is_untouched(server: SshServer) -> bool:
    """Whether nothing that matters ever reached the server."""
    return not server.seen.passwords and not server.seen.keys and "nvidia" not in server.seen.users


async def add_with_password(adding: Adding, server: SshServer) -> None:
    """Add a server that lets in by password alone, and go on so."""
    adding.ask_for(f"nvidia@127.0.0.1:{server.port}")
    await adding.trust(fingerprint(server.host_key))
    await adding.give_password(PASSWORD)
    await adding.answer_key(is_wanted=False)
    await adding.open_cluster()
    await node_in(adding.desktop, 0, *CONNECTED)


def test_a_host_name_and_a_password_lead_to_a_live_keyed_node(app: QApplication, tmp_path: Path) -> None:
    host = "localhost"

    with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:

        async def first(desktop: Desktop) -> None:
            adding = await first_adding(desktop)
            node = await add_keyed(adding, server, PASSWORD, host=host)
            record = node.record
            assert (record.address, record.port, record.host_key) == (host, server.port, server.host_key)
            assert (record.name, record.sign_in) == (socket.gethostname(), SignIn.AUTOMATIC)
            own_id = Path("/etc/machine-id")
            assert record.machine_id == (own_id.read_text().strip() if own_id.exists() else "")
            (line,) = keys_on(server.home)
            assert " ".join(line.split()[:2]) == public_half(record.key_path)
            assert Path(record.key_path).is_relative_to(paths.data_dir())
            assert not (server.home / Path(record.key_path).name).exists()
            assert await desktop.stack.fleet.credentials.get(record) == Given()
            assert server.log.count("Accepted password") == 1

        async def second(desktop: Desktop) -> None:
            await node_in(desktop, 0, NodeState.LIVE)
            await cluster_page(desktop)
            assert desktop.window.shell.notices == ()

        assert play(app, first) == 0
        assert play(app, second) == 0
        assert server.log.count("Accepted password") == 1
        assert server.log.count("Accepted publickey") >= 2


def test_a_changed_key_is_refused_and_a_password_typed_for_it_stays_here(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            await add_with_password(await first_adding(desktop), server)
            before, port = fingerprint(server.host_key), server.port
        async with running_server(new_key(), password=PASSWORD, port=port) as impostor:
            desktop.stack.inventory.reconnect(desktop.stack.inventory.nodes.value[0].record.id)
            node = await node_in(desktop, 0, NodeState.IDENTITY_CHANGED)
            assert "127.0.0.1" in node.message
            assert node.remedy
            adding = await later_adding(desktop)
            adding.ask_for(f"nvidia@127.0.0.1:{port}")
            await adding.give_password(PASSWORD)
            await adding.reach(EnrolStage.CHANGED_KEY)
            row = adding.page.panel.trust_row
            assert row.changed_part.trusted.text() in before
            assert row.changed_part.offered.text() in fingerprint(impostor.host_key)
            assert buttons_on(row) == ["Close"]
            desktop.stack.fleet.enroller.trust()
            assert adding.now.stage is EnrolStage.CHANGED_KEY
            click(row.changed_part.close_button)
            await adding.end()
            assert is_untouched(impostor)
            (kept,) = desktop.stack.inventory.nodes.value
            assert kept.record.host_key == server.host_key

    assert play(app, story) == 0


def test_a_closed_port_is_said_with_what_to_do_and_can_be_tried_again(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        port = free_port()
        adding = await first_adding(desktop)
        adding.ask_for(f"nvidia@127.0.0.1:{port}")
        shown = await adding.reach(EnrolStage.FAILED)
        part = adding.page.panel.trust_row.failure_part
        assert "127.0.0.1" in shown.message
        assert shown.remedy in words_on(part)
        async with running_server(password=PASSWORD, port=port) as server:
            click(part.retry_button)
            await adding.reach(EnrolStage.TRUST)
            click(adding.page.panel.trust_row.offer_part.cancel_button)
            await adding.end()
            assert is_untouched(server)
        assert desktop.stack.inventory.cluster.value is None

    assert play(app, story) == 0


def test_a_second_wrong_password_ends_the_attempt_and_says_why(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            adding = await first_adding(desktop)
            adding.ask_for(f"nvidia@127.0.0.1:{server.port}")
            await adding.trust(fingerprint(server.host_key))
            assert server.seen.passwords == []
            await adding.give_password("wrong")
            part = adding.page.panel.sign_in_row.password_part
            await until(lambda: part.isVisible() and part.field.error(), "the refusal at the field")
            await adding.give_password("wrong again")
            shown = await adding.reach(EnrolStage.FAILED)
            assert "stops here" in shown.remedy
            assert server.seen.passwords == ["wrong", "wrong again"]
            assert desktop.stack.inventory.nodes.value == ()
            # The key was compared; going on asks for the password alone.
            click(adding.page.panel.sign_in_row.failure_part.retry_button)
            await adding.give_password(PASSWORD)
            await adding.answer_key(is_wanted=False)
            await adding.open_cluster()
            await node_in(desktop, 0, *CONNECTED)
            assert set(server.seen.passwords[2:]) == {PASSWORD}

    assert play(app, story) == 0


@pytest.mark.parametrize("last", ["trust", "refused", "key"])
def test_giving_up_leaves_nothing_behind(app: QApplication, tmp_path: Path, last: str) -> None:
    async def story(desktop: Desktop) -> None:
        with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
            adding = await first_adding(desktop)
            adding.ask_for(f"{server.user}@127.0.0.1:{server.port}")
            await adding.reach(EnrolStage.TRUST)
            if last != "trust":
                await adding.trust(console_print(server))
                await adding.reach(EnrolStage.NEEDS_PASSWORD)
            if last == "refused":
                await adding.give_password("wrong")
                await until(lambda: adding.now.stage is EnrolStage.NEEDS_PASSWORD and adding.now.message, "refusal")
            if last == "key":
                await adding.give_password(PASSWORD)
                await adding.answer_key(is_wanted=True)
                await until(lambda: keys_on(server.home), "the new key on the node")
            click(adding.page.panel.back_button)
            await adding.end()
            assert adding.page.currentWidget() is adding.page.cards
            assert keys_on(server.home) == []
            assert desktop.stack.inventory.nodes.value == ()
            assert await desktop.stack.known_clusters() == ()
            assert list((paths.data_dir() / "keys").glob("*")) == []
            assert server.log.count("Failed password") == (1 if last == "refused" else 0)

    assert play(app, story) == 0


def test_beside_the_simulated_cluster_the_first_real_node_opens_a_cluster_of_its_own(
    app: QApplication, tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        await all_live(desktop, 1)
        assert desktop.window.shell.is_simulated
        with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
            adding = await later_adding(desktop)
            assert not adding.page.cards.simulate_button.isVisible()
            await add_keyed(adding, server, PASSWORD)
            (node,) = desktop.stack.inventory.nodes.value
            assert node.record.host_key == server.host_key
            await until(lambda: not desktop.window.shell.is_simulated, "the mark is gone")
            (known,) = await desktop.stack.known_clusters()
            assert [kept.id for kept in known.nodes] == [node.record.id]

    options = WindowOptions(is_simulated=True, is_forgetful=True, simulation=("--nodes", "1"))
    assert play(app, story, options) == 0


def test_one_machine_at_two_addresses_is_one_node(app: QApplication, tmp_path: Path) -> None:
    port = free_port()

    async def story(desktop: Desktop) -> None:
        options = [f"ListenAddress 127.0.0.2:{port}"]
        with running_sshd(tmp_path / "sshd", password=PASSWORD, options=options) as server:
            node = await add_keyed(await first_adding(desktop), server, PASSWORD)
            adding = await later_adding(desktop)
            adding.ask_for(f"{server.user}@127.0.0.2:{port}")
            await adding.reach(EnrolStage.TRUST)
            assert f"{node.record.name} has this same key" in words_on(adding.page.panel.trust_row.offer_part)
            await adding.trust(console_print(server))
            await adding.give_password(PASSWORD)
            await adding.reach(EnrolStage.SAME_NODE)
            part = adding.page.panel.sign_in_row.same_part
            assert part.other_button.hasFocus() or not part.isActiveWindow()
            click(part.advised_button)
            await adding.open_cluster()
            (kept,) = desktop.stack.inventory.nodes.value
            assert (kept.record.id, kept.record.address) == (node.record.id, "127.0.0.1")
            assert kept.record.other_addresses == (f"127.0.0.2:{port}",)
            assert kept.is_live
            assert len(keys_on(server.home)) == 1

    assert play(app, story) == 0


def test_a_node_that_is_added_while_another_page_is_looked_at_goes_on(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            adding = await first_adding(desktop)
            adding.ask_for(f"nvidia@127.0.0.1:{server.port}")
            await adding.reach(EnrolStage.TRUST)
            desktop.window.show_page("settings")
            await until(lambda: not adding.page.isVisible(), "another page")
            desktop.window.show_page("cluster")
            await adding.trust(fingerprint(server.host_key))
            await adding.reach(EnrolStage.NEEDS_PASSWORD)
            QTest.keyClick(adding.page.panel.sign_in_row.password_part.input, Qt.Key.Key_Return)
            assert adding.now.stage is EnrolStage.NEEDS_PASSWORD
            assert server.seen.passwords == []

    assert play(app, story) == 0


def test_a_node_behind_a_jump_host_at_another_port_is_added_after_both_keys_were_compared(
    app: QApplication, tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        options = ["ListenAddress 127.0.0.3"]
        with (
            running_sshd(tmp_path / "jump", password="other word", options=options) as jump,
            running_sshd(tmp_path / "node", password=PASSWORD) as server,
        ):
            adding = await first_adding(desktop)
            form = adding.page.cards.form
            click(form.fold_button)
            type_into(form.port, str(server.port))
            type_into(form.jump, f"{jump.user}@127.0.0.3:{jump.port}")
            adding.ask_for("127.0.0.1", user=server.user, sign_in="automatic")
            await adding.reach(EnrolStage.TRUST)
            assert "First the jump host: is this 127.0.0.3?" in words_on(adding.page.panel.trust_row)
            await adding.trust(console_print(jump))
            await adding.give_password("other word")
            await until(lambda: "Is this 127.0.0.1?" in words_on(adding.page.panel.trust_row), "the node's own key")
            assert server.log.count("Accepted") == 0
            node = await go_on_keyed(adding, console_print(server), PASSWORD)
            assert node.record.jump is not None
            assert (node.record.jump.host_key, node.record.port) == (jump.host_key, server.port)
            assert keys_on(jump.home) == []
            assert len(keys_on(server.home)) == 1

    assert play(app, story) == 0


def test_a_password_that_was_kept_for_one_run_is_asked_for_in_the_next(app: QApplication, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:

        async def first(desktop: Desktop) -> None:
            adding = await first_adding(desktop)
            adding.ask_for(f"{server.user}@127.0.0.1:{server.port}")
            await adding.trust(console_print(server))
            await adding.reach(EnrolStage.NEEDS_PASSWORD)
            assert "no keyring on this computer" in adding.page.panel.sign_in_row.password_part.remember.text()
            await adding.give_password(PASSWORD)
            await adding.answer_key(is_wanted=False)
            await adding.open_cluster()
            await node_in(desktop, 0, NodeState.LIVE)

        async def second(desktop: Desktop) -> None:
            refused = await node_in(desktop, 0, NodeState.REFUSED)
            page = await cluster_page(desktop)
            page.model.select("node", refused.record.id)
            trouble = page.inspector.trouble
            await until(lambda: trouble.password.isVisible(), "a field for the password")
            QTest.keyClicks(trouble.password, PASSWORD)
            click(trouble.sign_in)
            assert trouble.password.text() == ""
            await node_in(desktop, 0, NodeState.LIVE)

        assert play(app, first) == 0
        assert play(app, second) == 0
        assert keys_on(server.home) == []
