"""A person adds a node by its address: the key first, then the password; who gives up leaves nothing behind."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.node import NodeState
from tests.app.desk import first_run_page, node_in, play, type_into, until
from tests.infra.ssh_server import SshServer, new_key, running_server
from tests.infra.sshd import free_port
from ui.cluster.view import ClusterPage
from ui.first_run.trust import TrustPanel
from ui.first_run.view import FirstRunPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PASSWORD = "correct horse"


def click(button: object) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)  # type: ignore[call-overload]


async def ask_for(desktop: Desktop, port: int, *, sign_in: str = "password") -> FirstRunPage:
    """Fill the form and press the button."""
    page = await first_run_page(desktop)
    type_into(page.address, "127.0.0.1")
    page.port.setValue(port)
    type_into(page.user, "nvidia")
    page.sign_in.set_key(sign_in)
    click(page.add_button)
    return page


async def panel_at(page: FirstRunPage, stage: str) -> TrustPanel:
    """The dialog, once it is at this stage."""
    await until(lambda: page.trust_dialog() is not None, "the dialog")
    dialog = page.trust_dialog()
    assert dialog is not None
    await until(lambda: dialog.panel.trust().stage == stage, f"{stage}, it is at {dialog.panel.trust()}")
    assert dialog.isVisible()
    return dialog.panel


def field_of(panel: TrustPanel) -> QLineEdit:
    """Where the password is typed."""
    (field,) = [each for each in panel.findChildren(QLineEdit) if each.echoMode() is QLineEdit.EchoMode.Password]
    return field


async def refusal_in(panel: TrustPanel) -> None:
    """Wait until the password was refused and is asked for again."""
    await until(lambda: panel.trust().stage == "password" and panel.trust().error, "the refusal")


def is_untouched(server: SshServer) -> bool:
    """Whether nothing that matters ever reached the server."""
    return not server.seen.passwords and not server.seen.keys and "nvidia" not in server.seen.users


def test_a_node_is_compared_then_signed_in_to_and_live(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            page = await ask_for(desktop, server.port)
            panel = await panel_at(page, "unknown_key")
            assert panel.trust().fingerprint.startswith("SHA256:")
            assert is_untouched(server)
            assert not field_of(panel).isVisible()
            click(panel.trust_button)
            await panel_at(page, "password")
            assert server.seen.passwords == []
            QTest.keyClicks(field_of(panel), "wrong")
            click(panel.sign_in_button)
            await refusal_in(panel)
            assert "127.0.0.1" in panel.trust().error
            assert field_of(panel).text() == ""
            assert desktop.stack.inventory.nodes.value == ()
            QTest.keyClicks(field_of(panel), PASSWORD)
            click(panel.sign_in_button)
            node = await node_in(desktop, 0, NodeState.LIVE)
            assert node.record.host_key == server.host_key
            await until(lambda: isinstance(desktop.window.page("cluster"), ClusterPage), "the cluster page")
            assert not panel.isVisible()
            # The line of its own knew the password from its first try on.
            assert server.seen.passwords == ["wrong", PASSWORD, PASSWORD]
            (known,) = await desktop.stack.known_clusters()
            assert [kept.address for kept in known.nodes] == ["127.0.0.1"]

    assert play(app, story) == 0


def test_a_changed_key_is_refused_without_a_way_to_accept_it(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            page = await ask_for(desktop, server.port)
            click((await panel_at(page, "unknown_key")).trust_button)
            panel = await panel_at(page, "password")
            QTest.keyClicks(field_of(panel), PASSWORD)
            click(panel.sign_in_button)
            await node_in(desktop, 0, NodeState.LIVE)
            port = server.port
        async with running_server(new_key(), password=PASSWORD, port=port) as impostor:
            desktop.stack.inventory.reconnect(desktop.stack.inventory.nodes.value[0].record.id)
            node = await node_in(desktop, 0, NodeState.IDENTITY_CHANGED)
            assert "127.0.0.1" in node.message
            assert node.remedy
            desktop.window.show_page("add_node")
            again = desktop.window.page("add_node")
            assert isinstance(again, FirstRunPage)
            type_into(again.address, f"127.0.0.1:{port}")
            click(again.add_button)
            panel = await panel_at(again, "changed_key")
            assert panel.trust().fingerprint != panel.trust().pinned_fingerprint
            for button in (panel.trust_button, panel.sign_in_button, panel.retry_button):
                assert not button.isVisible()
            click(panel.cancel_button)
            assert is_untouched(impostor)
            assert len(desktop.stack.inventory.nodes.value) == 1

    assert play(app, story) == 0


def test_a_closed_port_is_said_with_what_to_do_and_can_be_tried_again(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        port = free_port()
        page = await ask_for(desktop, port)
        panel = await panel_at(page, "failed")
        assert "127.0.0.1" in panel.trust().message
        assert panel.trust().remedy
        async with running_server(password=PASSWORD, port=port):
            click(panel.retry_button)
            await panel_at(page, "unknown_key")
            click(panel.cancel_button)
        assert desktop.stack.inventory.cluster.value is None

    assert play(app, story) == 0


def test_giving_up_at_any_stage_leaves_no_node(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            for last in ("unknown_key", "password", "refused"):
                page = await ask_for(desktop, server.port)
                panel = await panel_at(page, "unknown_key")
                if last != "unknown_key":
                    click(panel.trust_button)
                    await panel_at(page, "password")
                if last == "refused":
                    QTest.keyClicks(field_of(panel), "wrong")
                    click(panel.sign_in_button)
                    await refusal_in(panel)
                click(panel.cancel_button)
                await until(lambda: not desktop.stack.tasks.is_running("add node"), "the end of the attempt")
                assert not panel.isVisible()
            assert desktop.stack.inventory.nodes.value == ()
            assert await desktop.stack.known_clusters() == ()
            assert server.seen.passwords == ["wrong"]

    assert play(app, story) == 0


def test_without_a_key_that_fits_the_password_is_asked_for(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        async with running_server(password=PASSWORD) as server:
            page = await ask_for(desktop, server.port, sign_in="automatic")
            panel = await panel_at(page, "unknown_key")
            click(panel.trust_button)
            await panel_at(page, "password")
            assert panel.trust().error == ""
            QTest.keyClicks(field_of(panel), PASSWORD)
            click(panel.sign_in_button)
            await node_in(desktop, 0, NodeState.LIVE)

    assert play(app, story) == 0
