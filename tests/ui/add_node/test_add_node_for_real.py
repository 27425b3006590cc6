"""A host name and a password become a keyed node: the page, the service, and a real OpenSSH server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.feed import Latest
from tests.infra.sshd import running_sshd
from tests.services.fleet.enrol_desk import EnrolDesk
from tests.ui.add_desk import Desk
from tests.ui.picture import host_page
from ui.add_node.model import AddNodeFeeds, AddNodeModel
from ui.add_node.page import AddNodePage
from ui.add_node.trust_row import SETTLE_MS
from ui.first_run.model import FirstRunModel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PASSWORD = "correct horse"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[EnrolDesk]:
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    yield desk
    await desk.close()


@pytest.fixture
def page(dressed: QApplication, desk: EnrolDesk) -> AddNodePage:
    feeds = AddNodeFeeds(desk.enroller.enrolment, desk.enroller, desk.inventory.nodes, Latest(False))
    page = AddNodePage(FirstRunModel(local_user="hartmut"), Desk().search_model(), AddNodeModel(feeds))
    host_page(page, 1044, 652)
    return page


def click(button: QWidget) -> None:
    assert button.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


async def test_a_name_and_a_password_lead_to_a_live_keyed_node(
    page: AddNodePage, desk: EnrolDesk, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
        QTest.keyClicks(page.cards.form.address, f"{server.user}@127.0.0.1:{server.port}")
        page.cards.form.sign_in.set_key("password")
        click(page.cards.add_button)
        shown = await desk.reach(EnrolStage.TRUST)
        assert shown.offer is not None
        trust = page.panel.trust_row.offer_part
        assert trust.fingerprint.text() == shown.offer.fingerprint
        assert trust.command.text() == "ssh-keygen -lvf /etc/ssh/ssh_host_ed25519_key.pub"
        QTest.qWait(SETTLE_MS + 60)
        click(trust.trust_button)
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
        part = page.panel.sign_in_row.password_part
        QTest.keyClicks(part.input, PASSWORD)
        click(part.give_button)
        await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
        click(page.panel.sign_in_row.key_part.advised_button)
        await desk.reach(EnrolStage.DONE)
        await desk.inventory_is(NodeState.LIVE)
        assert page.panel.sign_in_row.done_part.isVisible()
        assert PASSWORD not in page.panel.log.text.toPlainText()
        assert "you confirmed the host key" in page.panel.log.text.toPlainText()
        asked: list[None] = []
        page.cluster_wanted.connect(lambda: asked.append(None))
        click(page.panel.sign_in_row.done_part.advised_button)
        assert asked == [None]
        (record,) = desk.records
        assert record.key_path
