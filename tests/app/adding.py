"""A person adds a node: what they type, compare and press, in the window of the whole application.

The one rule: nothing is trusted that was not compared with what the machine's own console prints.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import first_run_page, node_in, type_into, until
from tests.infra.sshd import Sshd
from tests.simulator.conftest import Simulator
from ui.add_node.page import AddNodePage
from ui.cluster.view import ClusterPage
from ui.widgets.button import Button

TIMEOUT_S = 30.0


def click(button: QWidget) -> None:
    """Press a button that can be seen."""
    assert button.isVisible(), "the button cannot be seen"
    assert button.isEnabled(), "the button cannot be pressed"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def words_on(part: QWidget) -> str:
    """What a person reads there."""
    return "\n".join(label.text() for label in part.findChildren(QLabel) if label.isVisible())


def buttons_on(part: QWidget) -> list[str]:
    """What can be pressed there, by its words."""
    return [each.text() for each in part.findChildren(Button) if each.isVisible() and each.text()]


def console_print(server: Sshd) -> str:
    """What `ssh-keygen -lvf` prints at the machine itself: the fingerprint and its picture."""
    return fingerprint(server.host_key)


def fingerprint(host_key: str) -> str:
    """What ssh-keygen prints of a public line: the fingerprint and its picture."""
    command = ["ssh-keygen", "-lvf", "-"]
    done = subprocess.run(command, input=host_key, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


def public_half(key_path: str) -> str:
    """The public line of a private key on this computer."""
    command = ["ssh-keygen", "-y", "-f", key_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return " ".join(done.stdout.split()[:2])


def keys_on(home: Path) -> list[str]:
    """The public lines that let in at a home."""
    path = home / ".ssh" / "authorized_keys"
    return path.read_text().splitlines() if path.exists() else []


@dataclass
class Adding:
    """The page that adds nodes and the window it is in."""

    desktop: Desktop
    page: AddNodePage

    @property
    def now(self) -> Enrolment:
        """How the attempt stands."""
        return self.desktop.stack.fleet.enroller.enrolment.value

    def ask_for(self, address: str, *, sign_in: str = "password", user: str = "") -> None:
        """Fill the form of the middle card and press its button."""
        form = self.page.cards.form
        type_into(form.address, address)
        if user:
            type_into(form.user, user)
        form.sign_in.set_key(sign_in)
        click(self.page.cards.add_button)

    async def reach(self, stage: EnrolStage, *, has_choice: bool | None = None) -> Enrolment:
        """Until the attempt is at this stage; an end that is not wanted fails at once, with its words."""

        def is_there(now: Enrolment) -> bool:
            if now.stage in (EnrolStage.FAILED, EnrolStage.CHANGED_KEY) and now.stage is not stage:
                raise AssertionError(f"{now.message} | {now.remedy} | {now.detail}\n" + "\n".join(now.log))
            return now.stage is stage and (has_choice is None or now.can_set_up_key is has_choice)

        enrolment = self.desktop.stack.fleet.enroller.enrolment
        try:
            return await wait_for_value(enrolment, is_there, timeout_s=TIMEOUT_S)
        except TimeoutError:
            raise AssertionError(f"never {stage}: {self.now}") from None

    async def trust(self, console: str) -> None:
        """Compare the key on the page with what the console prints, then say yes."""
        await self.reach(EnrolStage.TRUST)
        part = self.page.panel.trust_row.offer_part
        assert not self.page.panel.sign_in_row.password_part.isVisible()
        assert part.fingerprint.text() in console.split()
        await until(part.is_settled, "the question has stood long enough")
        click(part.trust_button)

    async def give_password(self, password: str) -> None:
        """Type the password once it is asked for."""
        await self.reach(EnrolStage.NEEDS_PASSWORD)
        part = self.page.panel.sign_in_row.password_part
        QTest.keyClicks(part.input, password)
        click(part.give_button)
        assert part.input.text() == ""

    async def answer_key(self, *, is_wanted: bool) -> None:
        """Set up a key, or keep the password."""
        await self.reach(EnrolStage.IDENTIFYING, has_choice=True)
        part = self.page.panel.sign_in_row.key_part
        click(part.advised_button if is_wanted else part.other_button)

    async def open_cluster(self) -> ClusterPage:
        """Press "Open the cluster" after the node was added."""
        await self.reach(EnrolStage.DONE)
        click(self.page.panel.sign_in_row.done_part.advised_button)
        return await cluster_page(self.desktop)

    async def end(self) -> None:
        """Until nothing of the attempt is under way."""
        await until(lambda: "add node" not in self.desktop.stack.tasks.names, "the end of the attempt")
        await self.reach(EnrolStage.IDLE)


async def first_adding(desktop: Desktop) -> Adding:
    """The page of a new user."""
    return Adding(desktop, await first_run_page(desktop))


async def later_adding(desktop: Desktop) -> Adding:
    """The page that a person comes to from a cluster that is open."""
    page = await cluster_page(desktop)
    page.add_node_asked.emit()
    await until(lambda: isinstance(desktop.window.page("add_node"), AddNodePage), "the page that adds nodes")
    adding = desktop.window.page("add_node")
    assert isinstance(adding, AddNodePage)
    return Adding(desktop, adding)


async def cluster_page(desktop: Desktop) -> ClusterPage:
    """The map, once it is there."""
    await until(lambda: isinstance(desktop.window.page("cluster"), ClusterPage), "the cluster page")
    page = desktop.window.page("cluster")
    assert isinstance(page, ClusterPage)
    return page


async def add_keyed(adding: Adding, server: Sshd, password: str, *, host: str = "127.0.0.1") -> NodeStatus:
    """The whole way of a person with a host name and a password, up to the live node on the map."""
    adding.ask_for(f"{server.user}@{host}:{server.port}")
    return await go_on_keyed(adding, console_print(server), password)


async def add_spark(adding: Adding, simulator: Simulator, index: int = 0) -> NodeStatus:
    """The same way to a simulated Spark, as the form stands when it comes up: sign-in is automatic."""
    spark = simulator.node(index)
    adding.ask_for(f"{spark['user']}@{spark['address']}:{spark['port']}", sign_in="automatic")
    return await go_on_keyed(adding, fingerprint(spark["host_key"]), password_of(simulator), index=index)


async def go_on_keyed(adding: Adding, console: str, password: str, *, index: int = 0) -> NodeStatus:
    """Compare, type the password, take the key, open the cluster; the node is at this place in it."""
    await adding.trust(console)
    await adding.give_password(password)
    await adding.answer_key(is_wanted=True)
    await adding.reach(EnrolStage.DONE)
    assert password not in adding.page.panel.log.text.toPlainText()
    await adding.open_cluster()
    return await node_in(adding.desktop, index, NodeState.LIVE)


def password_of(simulator: Simulator) -> str:
    """The password of its nodes, as its file has it."""
    return Path(simulator.line["password_file"]).read_text().strip()
