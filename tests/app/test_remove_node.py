"""A person removes a node: with the wish to undo, what SparkDesk installed there is gone on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.forward import ForwardSpec
from tests.app.adding import add_keyed, click, first_adding, keys_on
from tests.app.desk import play, until
from tests.infra.sshd import running_sshd
from ui.clusters.remove_dialog import RemoveDialog
from ui.node.view import NodePage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PASSWORD = "a word of the test"


async def kept(desktop: Desktop) -> dict[str, bytes]:
    """What this computer still knows of any node."""
    found: dict[str, bytes] = {}
    for kind in ("forward", "field_report", "details"):
        found |= await desktop.stack.store.documents(kind)
    return found


def test_a_removed_cluster_takes_back_what_was_installed_on_its_live_nodes(app: QApplication, tmp_path: Path) -> None:
    async def story(desktop: Desktop) -> None:
        with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
            before = keys_on(server.home)
            await add_keyed(await first_adding(desktop), server, PASSWORD)
            opened, switcher = desktop.stack.inventory.cluster.value, desktop.pages.node_pages.switcher
            assert opened is not None
            assert switcher is not None
            switcher.ask_remove(opened.id)
            dialog = switcher.dialog
            assert isinstance(dialog, RemoveDialog)
            click(dialog.undo)
            click(dialog.remove)
            await until(lambda: desktop.stack.inventory.clusters.value == (), "the cluster is gone")
            assert keys_on(server.home) == before
            assert await kept(desktop) == {}

    assert play(app, story) == 0


@pytest.mark.parametrize("is_undone", [True, False])
def test_a_removed_node_is_forgotten_here_and_its_key_goes_where_that_is_wished(
    app: QApplication, tmp_path: Path, is_undone: bool
) -> None:
    async def story(desktop: Desktop) -> None:
        with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
            before = keys_on(server.home)
            node = await add_keyed(await first_adding(desktop), server, PASSWORD)
            assert len(keys_on(server.home)) == len(before) + 1
            stack = desktop.stack
            await stack.fleet.forwards.add(ForwardSpec("", node.record.id, "", "Mine", 8123))
            await stack.fleet.field.run(node.record.id)
            assert await kept(desktop)
            desktop.pages.node_pages.show_node(node.record.id)
            page = desktop.window.page("node")
            assert isinstance(page, NodePage)
            remove = next(each for each in page.head.make_menu().actions() if each.text().startswith("Remove"))
            remove.trigger()
            dialog = page.dialog
            assert isinstance(dialog, RemoveDialog)
            if is_undone:
                click(dialog.undo)
            click(dialog.remove)
            await until(lambda: desktop.stack.inventory.nodes.value == (), "the node is gone")
            assert len(keys_on(server.home)) == len(before) + (0 if is_undone else 1)
            await until(lambda: desktop.window.page_key() == "cluster", "the cluster page")
            assert await kept(desktop) == {}
            assert stack.fleet.field.reports.value == {}
        assert not Path(node.record.key_path).exists()
        assert list((paths.data_dir() / "keys").glob("*")) == []

    assert play(app, story) == 0
