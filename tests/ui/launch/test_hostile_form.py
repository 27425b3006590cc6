"""Whatever is typed into a field: no plan of an earlier form can be launched, and the form says in plain words why."""

from __future__ import annotations

import re

import pytest
from pytestqt.qtbot import QtBot

from backends.custom import Custom
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from tests.ui.launch.desk import LaunchDesk, open_page
from tests.ui.launch.made import Planner
from tests.ui.launch.real import catalogue, reference
from ui.launch.form import FIELDS, Form, read_form
from ui.launch.model import LaunchModel
from ui.launch.serving.words import MOST_LINE_CHARS

CHAT: ModelSpec = next(spec for spec in catalogue() if spec.key == "gpt-oss-120b")
TYPED = tuple(name for name in FIELDS if isinstance(getattr(Form(), name), str))
"""What a person writes, or chooses by a word."""
HOSTILE = (
    "",
    " ",
    "x" * 5_000,
    "x " * 3_000,
    "'open",
    "\0",
    "\ud800",
    "$(reboot)\n; rm -rf /",
    "-1",
    "nan",
    "1e999",
    "9" * 400,
    "/../..",
    "A=1\n" * 100,
    "x" * (MOST_LINE_CHARS + 1),
    "{nothing}",
    "\u202e٣",
)
LIBRARY = re.compile(r"after validation|should (?:be|have|match)|Input |Tuple|String|pydantic|Value error")
"""Words of the library that checks the types."""


def open_model(engine: str) -> LaunchModel:
    """A form that can be launched, of an engine."""
    desk = LaunchDesk(Planner(()), (CHAT,), reference().engines, more=(Custom(),))
    model = LaunchModel(desk.feeds())
    model.set_field("engine", engine)
    model.set_field("model", CHAT.name)
    if engine == "custom":
        model.set_field("custom_command", "echo HARMLESS_OLD {port}")
        model.set_field("served_name", "mine")
    model.recompute()
    assert model.preview.plan is not None
    assert model.blocker() == ""
    return model


@pytest.mark.parametrize("engine", ["custom", "vllm"])
@pytest.mark.parametrize("name", TYPED)
def test_nothing_that_is_typed_leaves_a_plan_of_another_form_to_launch(
    qapp: object, qtbot: QtBot, engine: str, name: str
) -> None:
    model = open_model(engine)
    first: Form = model.form
    launched: list[LaunchPlan] = []
    model.launch_asked.connect(launched.append)
    for words in HOSTILE:
        model.form = first
        model.set_field(name, words)
        model.launch()
        model.recompute()
        request, errors = read_form(model.form)
        shown = model.preview
        assert (shown.request is None) == (request is None), (name, words[:20])
        if request is None:
            assert shown.plan is None
            assert model.blocker()
            assert not launched
        elif shown.plan is not None:
            said = {each: getattr(request, each) for each in LaunchRequest.model_fields if each != "memory_fraction"}
            assert {each: getattr(shown.plan.request, each) for each in said} == said
        for plan in launched:
            assert request is not None
            assert plan.request.custom == request.custom
            assert plan.request.model == request.model
        assert not [said for said in (*errors.values(), *shown.errors.values()) if LIBRARY.search(said)]
        launched.clear()
        model.is_launching = False


def test_a_word_that_is_too_long_stands_at_its_field_and_the_old_command_is_gone(qapp: object, qtbot: QtBot) -> None:
    model = open_model("custom")
    launched: list[LaunchPlan] = []
    model.launch_asked.connect(launched.append)
    model.set_field("custom_command", "x" * 5_000)
    model.launch()
    model.recompute()
    assert model.preview.errors == {"custom_command": "At most 4,096 characters in one word"}
    assert model.blocker() == "Command: At most 4,096 characters in one word"
    assert launched == []


def test_where_a_plan_cannot_even_be_computed_the_one_before_is_launched_no_more(qtbot: QtBot, dressed: object) -> None:
    planner = Planner(())
    page = open_page(qtbot, LaunchDesk(planner, (CHAT,), reference().engines))
    assert page.model.blocker() == ""
    launched: list[LaunchPlan] = []
    page.model.launch_asked.connect(launched.append)
    clock = page.model.feeds.clock_s

    def fail() -> float:
        raise RuntimeError("made")

    object.__setattr__(page.model.feeds, "clock_s", fail)
    with pytest.raises(RuntimeError):
        page.model.recompute()
    assert page.model.preview.plan is None
    assert (
        page.model.blocker()
        == "What a launch of this would do could not be computed. Change the form, or open it anew."
    )
    assert not page.plan.launch.isEnabled()
    page.model.launch()
    assert launched == []
    object.__setattr__(page.model.feeds, "clock_s", clock)
    page.model.recompute()
    assert page.model.blocker() == ""


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("extra_flags", "x " * 3_000, "At most 64 words"),
        ("extra_flags", "x" * 5_000, "At most 4,096 characters in one word"),
        ("environment", "A=" + "x" * 5_000, "At most 4,096 characters in one value"),
        ("environment", "A=1\n" * 100, "At most 64 variables"),
        ("quantization", "x" * 50, "At most 32 characters"),
        ("custom_command", "x " * 201, "At most 200 words"),
        ("custom_command", "a 'b\0'", "A zero byte is in it"),
        ("custom_stop_command", "x" * 5_000, "At most 4,096 characters in one word"),
        ("custom_venv", "/" * 2_000, "At most 1,000 characters"),
        ("system_prompt", "\ud800", "This cannot be read"),
    ],
)
def test_a_refusal_says_in_plain_words_what_the_field_takes(name: str, typed: str, said: str) -> None:
    form = Form(engine="custom", model="a/b", nodes=("n",), served_name="b", custom_command="run {port}")
    assert read_form(form.typed(name, typed))[1] == {name: said}


@pytest.mark.parametrize(("typed", "share"), [("85%", 0.85), ("85 %", 0.85), (" 29% ", 0.29), ("0.85", 0.85)])
def test_a_share_may_be_written_as_the_hint_writes_it(typed: str, share: float) -> None:
    form = Form(engine="vllm", model="a/b", nodes=("n",), served_name="b")
    request, errors = read_form(form.typed("memory_fraction", typed))
    assert errors == {}
    assert request is not None
    assert request.memory_fraction == share
    assert "memory_fraction" in read_form(form.typed("memory_fraction", "85%%"))[1]
