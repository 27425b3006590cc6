"""An embedding server beside a chat model is one click: a fitting model, engine and port, and a way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from tests.ui import rack
from tests.ui.launch.desk import LaunchDesk, choose_nodes
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.launch.vectors import LARGE, RANKER, SMALL, vector_model
from tests.ui.picture import host_page
from ui.launch.model import LaunchModel
from ui.launch.occasion.embed import embedding_model
from ui.launch.view import LaunchPage

CHAT = next(spec for spec in catalogue() if spec.key == "gpt-oss-120b")
Open = Callable[..., LaunchPage]


@pytest.fixture
def opened(qtbot: QtBot, dressed: object) -> Open:
    """Opens the page with gpt-oss-120b on vLLM, on a node."""

    def open_one(*vectors: ModelSpec, change: Callable[[NodeContext], NodeContext] = lambda node: node) -> LaunchPage:
        desk = LaunchDesk(answer, (CHAT, *vectors), reference().engines)
        desk.contexts.set(tuple(map(change, desk.contexts.value)))
        page = LaunchPage(LaunchModel(desk.feeds()))
        qtbot.addWidget(host_page(page, 1044, 652))
        page.model.pick(CHAT.name)
        choose_nodes(page, 1)
        page.model.set_field("engine", "vllm")
        page.model.recompute()
        return page

    return open_one


def click_beside(page: LaunchPage) -> None:
    """The one visible button."""
    QTest.qWait(30)
    button = page.form.beside
    assert not button.visibleRegion().isEmpty(), "it is seen without scrolling, also in a small window"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    page.model.recompute()


def test_one_click_gives_a_whole_plan_with_a_small_share_on_the_same_node(opened: Open) -> None:
    page = opened(LARGE, SMALL, RANKER)
    page.model.set_field("port", "8000")
    click_beside(page)
    request = page.model.preview.request
    assert request is not None
    assert page.model.preview.errors == {}
    assert (request.model, request.purpose, request.engine, request.nodes) == (SMALL.name, "embed", "vllm", ("node1",))
    assert request.port != 8000, "the chat server has that one, or will"
    assert request.served_name == "vector-0.6b"
    assert (request.tool_parser, request.memory_fraction) == ("", None)
    assert page.model.preview.plan is not None
    (ledger,) = page.model.preview.plan.ledgers
    assert ledger.free_bytes is not None
    assert ledger.free_bytes > 90 * rack.GIB
    assert page.model.blocker() == ""
    assert not page.form.fields["speculative"].isVisible()
    assert not page.form.beside.isVisible(), "it stands beside a chat model, not beside itself"


def test_the_strip_says_beside_what_and_leads_back_to_it(opened: Open) -> None:
    page = opened(SMALL)
    page.model.set_field("context_tokens", "16,384")
    page.model.recompute()
    before = page.model.form
    click_beside(page)
    assert page.beside_strip.isVisible()
    assert page.beside_strip.title() == "An embedding server beside gpt-oss-120b"
    page.beside_strip.action_clicked.emit()
    page.model.recompute()
    assert not page.beside_strip.isVisible()
    assert (page.model.form.model, page.model.form.context_tokens) == (before.model, "16,384")
    assert page.model.form.touched == before.touched


def test_a_server_that_runs_gets_one_beside_it_on_its_own_node(opened: Open) -> None:
    page = opened(SMALL)
    running = rack.request(2, engine="vllm", model=CHAT.name, weights_path="", served_name="chat", port=8000)
    page.add_beside(running)
    page.model.recompute()
    request = page.model.preview.request
    assert request is not None
    assert (request.nodes, request.purpose) == (("node2",), "embed")
    assert request.port != 8000
    assert "beside chat" in page.beside_strip.title()


def test_where_the_catalogue_has_none_nothing_is_made_up(opened: Open) -> None:
    page = opened(RANKER)
    click_beside(page)
    assert (page.model.form.purpose, page.model.form.nodes) == ("embed", ("node1",))
    assert list(page.model.preview.errors) == ["model"], "and that is all that is missing"
    page.model.set_field("model", "example/other-vectors")
    page.model.recompute()
    request = page.model.preview.request
    assert request is not None
    assert (request.purpose, request.tool_parser, request.memory_fraction) == ("embed", "", None)


def test_the_engine_is_one_that_runs_the_model_on_this_node(opened: Open) -> None:
    gguf = replace(
        SMALL, formats=(WeightFormat("Q8_0", 700_000_000, engines=("llamacpp",), file="vector-0.6b-q8_0.gguf"),)
    )
    page = opened(gguf)
    click_beside(page)
    assert page.model.form.engine == "llamacpp"
    both = replace(SMALL, formats=(*SMALL.formats, *gguf.formats))
    page = opened(both, change=lambda node: replace(node, docker_problem="down"))
    click_beside(page)
    assert page.model.form.engine == "llamacpp", "no container starts there"
    assert page.model.form.quantization == "Q8_0"


def test_a_short_model_is_not_asked_for_more_than_it_was_trained_for(opened: Open) -> None:
    page = opened(vector_model("example/Short-0.1B", 100_000_000, context_tokens=512))
    click_beside(page)
    assert page.model.form.context_tokens == "512"
    assert page.model.load_errors == {}
    assert page.model.blocker() == ""


def test_what_lies_on_the_node_goes_before_what_is_smaller(opened: Open) -> None:
    page = opened(LARGE, SMALL)
    node = page.model.feeds.contexts.value[0]
    assert embedding_model((LARGE, SMALL), node) is SMALL
    assert embedding_model((LARGE, SMALL), replace(node, hub_repos={LARGE.name: 16_000_000_000})) is LARGE
    assert embedding_model((CHAT, RANKER), node) is None


def test_an_engine_is_taken_whose_weights_are_there_or_can_be_got(opened: Open) -> None:
    gguf = WeightFormat("Q8_0", 700_000_000, engines=("llamacpp",), file="vector-0.6b-q8_0.gguf")
    nowhere = replace(SMALL, formats=(*SMALL.formats, gguf))
    page = opened(nowhere)
    page.model.set_field("engine", "llamacpp")
    click_beside(page)
    assert page.model.form.engine == "vllm", "no file is there, and nobody knows where to get it; vLLM fetches its own"
    known = replace(SMALL, formats=(*SMALL.formats, replace(gguf, repo="example/vectors-GGUF")))
    page = opened(known)
    page.model.set_field("engine", "llamacpp")
    click_beside(page)
    assert page.model.form.engine == "llamacpp"
    assert page.model.form.weights_path == "~/models/example--vectors-GGUF/vector-0.6b-q8_0.gguf"
    assert page.model.blocker() == "", "the plan fetches it first"
    path = "/home/nvidia/models/vector-0.6b-q8_0.gguf"
    page = opened(known, change=lambda node: replace(node, weight_files={path: 5}, reaches_hub=False))
    page.model.set_field("engine", "vllm")
    click_beside(page)
    assert (page.model.form.engine, page.model.form.weights_path) == ("llamacpp", path), "it lies there already"


def test_a_file_that_is_not_there_is_fetched_after_one_click(opened: Open) -> None:
    gguf = WeightFormat("Q8_0", 700_000_000, "example/vectors-GGUF", engines=("llamacpp",), file="vector-0.6b.gguf")
    page = opened(replace(SMALL, formats=(gguf,)))
    click_beside(page)
    page.model.set_field("weights_path", "~/models/vector-0.6b.gguf")
    page.model.recompute()
    assert list(page.model.preview.errors) == ["weights_path"]
    ((mend,),) = page.model.mends().values()
    assert mend.label == "Fetch it from the hub"
    page.model.mend(mend)
    page.model.recompute()
    assert page.model.form.weights_path == "~/models/example--vectors-GGUF/vector-0.6b.gguf"
    assert page.model.blocker() == ""
