"""A node that forbids the launch is looked at again until it does not, and the page says how old its look is."""

from __future__ import annotations

from dataclasses import replace

from pytestqt.qtbot import QtBot

from tests.ui.launch.desk import LaunchDesk, choose_nodes
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.picture import host_page
from ui.launch.model import LaunchModel
from ui.launch.node.node_look import LOOK_AGAIN_S
from ui.launch.view import LaunchPage


class Node:
    """What the page asks of a node whose port is held until it is looked at, by a clock of its own."""

    def __init__(self) -> None:
        self.desk = LaunchDesk(answer, [s for s in catalogue() if s.key == "gpt-oss-120b"], reference().engines)
        self.now_s = 1000.0
        self.looked_s = 988.0
        self.asked: list[tuple[str, ...]] = []
        self.set_ports({8000: "python3.11 (pid 155)"})

    def set_ports(self, used: dict[int, str]) -> None:
        """Tell the page who holds ports of the first node."""
        first, *others = self.desk.contexts.value
        self.desk.contexts.set((replace(first, used_ports=used), *others))

    def page(self, qtbot: QtBot) -> LaunchPage:
        """The page on this node, not shown yet."""
        feeds = replace(
            self.desk.feeds(),
            clock_s=lambda: self.now_s,
            look_at_nodes=self.asked.append,
            node_age_s=lambda _node_id: self.now_s - self.looked_s,
        )
        page = LaunchPage(LaunchModel(feeds))
        qtbot.addWidget(host_page(page, 1232, 852))
        choose_nodes(page, 0)
        page.model.set_field("port", "8000")
        page.model.recompute()
        return page


def test_a_refusal_of_the_node_is_looked_at_again_every_ten_seconds(qtbot: QtBot, dressed: object) -> None:
    node = Node()
    page = node.page(qtbot)
    assert page.model.blocker()
    page.node_look.look()
    before = len(node.asked)
    page.node_look.tick()
    node.now_s += LOOK_AGAIN_S / 2
    page.node_look.tick()
    assert len(node.asked) == before, "no sooner"
    node.now_s += LOOK_AGAIN_S
    page.node_look.tick()
    assert node.asked[before:] == [("node0",)]
    node.set_ports({})
    qtbot.waitUntil(lambda: not page.model.preview.errors)
    node.now_s += 2 * LOOK_AGAIN_S
    page.node_look.tick()
    assert len(node.asked) == before + 1, "a node that refuses nothing is left alone"


def test_the_page_looks_when_it_is_shown_and_when_asked_and_says_how_old_its_look_is(
    qtbot: QtBot, dressed: object
) -> None:
    node = Node()
    page = node.page(qtbot)
    assert page.node_look.age.text() == "Node looked at 12 s ago"
    page.hide()
    before = len(node.asked)
    page.show()
    assert len(node.asked) == before + 1
    page.node_look.button.click()
    assert len(node.asked) == before + 2
