"""The hub is asked about the form's model while a person stands on the form: seldom, and never in vain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.request import LaunchRequest
from tests.ui.launch.desk import LaunchDesk, choose_nodes
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.picture import host_page
from ui.launch.model import LaunchModel
from ui.launch.node import hub_look
from ui.launch.view import LaunchPage

MODEL = "openai/gpt-oss-120b"
ANSWERED = "meta-llama/Llama-3.1-8B-Instruct"


class Hub:
    """What the page asks of the hub, by a clock of its own."""

    def __init__(self) -> None:
        self.desk = LaunchDesk(answer, [s for s in catalogue() if s.key == "gpt-oss-120b"], reference().engines)
        self.now_s = 1000.0
        self.asked: list[LaunchRequest] = []
        self.forgotten = 0

    def answer(self, repo: str, words: str) -> None:
        """Tell what the hub answered the first node."""
        first, *others = self.desk.contexts.value
        self.desk.contexts.set((replace(first, hub_answers={repo: words}), *others))

    def forget(self) -> None:
        self.forgotten += 1

    def page(self, qtbot: QtBot) -> LaunchPage:
        """The page on the first node."""
        feeds = replace(
            self.desk.feeds(), clock_s=lambda: self.now_s, ask_hub=self.asked.append, forget_hub=self.forget
        )
        page = LaunchPage(LaunchModel(feeds))
        qtbot.addWidget(host_page(page, 1232, 852))
        choose_nodes(page, 0)
        page.model.set_field("engine", "vllm")
        self.name(page, ANSWERED)
        return page

    def name(self, page: LaunchPage, model: str) -> None:
        """A person writes a model's name."""
        page.model.set_field("model", model)
        page.model.recompute()


@pytest.fixture(autouse=True)
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed rests sooner in a test."""
    monkeypatch.setattr(hub_look, "REST_MS", 30)


def test_a_gated_model_is_said_at_its_field_before_anybody_launches(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    page = hub.page(qtbot)
    assert hub.asked == [], "what is typed must rest first"
    qtbot.waitUntil(lambda: len(hub.asked) == 1)
    assert (hub.asked[0].model, hub.asked[0].nodes) == (ANSWERED, ("node0",))
    hub.answer(ANSWERED, "not_accepted")
    page.model.recompute()
    said = page.form.fields["model"].error()
    assert "(403)" in said
    assert "accept its terms" in said
    hub.answer(ANSWERED, "missing")
    page.model.recompute()
    assert "(404)" in page.form.fields["model"].error()


def test_what_is_still_being_typed_is_asked_about_once(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    page = hub.page(qtbot)
    for name in ("a/b", "a/bc", "a/bcd"):
        hub.name(page, name)
    qtbot.waitUntil(lambda: len(hub.asked) == 1)
    qtbot.wait(80)
    assert [request.model for request in hub.asked] == ["a/bcd"]


def test_another_model_lets_the_question_before_go(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    page = hub.page(qtbot)
    qtbot.waitUntil(lambda: len(hub.asked) == 1)
    before = hub.forgotten
    hub.name(page, "a/other")
    assert hub.forgotten == before + 1
    page.hide()
    assert hub.forgotten == before + 2
    qtbot.wait(80)
    assert len(hub.asked) == 1, "nobody sees the page"


def test_the_same_model_is_not_asked_about_twice_within_seconds(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    page = hub.page(qtbot)
    qtbot.waitUntil(lambda: len(hub.asked) == 1)
    page.hide()
    page.show()
    page.hub_look.tick()
    qtbot.wait(80)
    assert len(hub.asked) == 1
    hub.now_s += hub_look.LEAST_S
    page.hide()
    page.show()
    qtbot.waitUntil(lambda: len(hub.asked) == 2)


def test_a_no_is_asked_again_after_a_while_and_a_yes_is_not(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    page = hub.page(qtbot)
    qtbot.waitUntil(lambda: len(hub.asked) == 1)
    hub.answer(ANSWERED, "no_token")
    page.model.recompute()
    hub.now_s += hub_look.AGAIN_S
    page.hub_look.tick()
    assert len(hub.asked) == 2
    hub.answer(ANSWERED, "ok")
    page.model.recompute()
    assert page.form.fields["model"].error() == ""
    hub.now_s += hub_look.AGAIN_S
    page.hub_look.tick()
    assert len(hub.asked) == 2


def test_where_there_is_no_way_to_the_hub_nothing_is_said(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    page = hub.page(qtbot)
    for words in ("offline", "unknown"):
        hub.answer(ANSWERED, words)
        page.model.recompute()
        assert page.form.fields["model"].error() == ""
        assert page.form.fields["model"].remark() == ""


def test_what_lies_on_the_node_is_not_asked_about(qtbot: QtBot, dressed: object) -> None:
    hub = Hub()
    first, *others = hub.desk.contexts.value
    hub.desk.contexts.set((replace(first, hub_repos={ANSWERED: 1}), *others))
    hub.page(qtbot)
    qtbot.wait(80)
    assert hub.asked == []
