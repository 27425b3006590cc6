"""The further fields of the launch form: what is typed becomes a request and comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.app.launch_pane import knows_name
from sparkdesk.core.jobs.backend import BackendInfo
from sparkdesk.core.jobs.request import CustomServer, LaunchRequest
from tests.core.jobs.recipe.requests import requests
from tests.ui.launch.real import catalogue
from ui.launch.choice.default import Around, fill_defaults
from ui.launch.form import FIELDS, LOAD_FIELDS, Form, load_request, read_form
from ui.launch.serving.fields import NEUTRAL, SERVING_FIELDS
from ui.launch.serving.section import SECTIONS, has_place, section_of, summarize
from ui.launch.serving.words import read_environment, read_time, read_words, write_environment, write_time

LETTERS = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
WORD = st.text(LETTERS, min_size=0, max_size=30)
SERVERS = st.builds(
    CustomServer,
    command=st.lists(WORD, min_size=1, max_size=6).map(tuple),
    venv=st.sampled_from(("", "~/venv", "/opt/a b")),
    ready=st.just("http"),
    ready_value=st.text(max_size=20).map(lambda path: f"/{path}"),
    base_path=st.sampled_from(("", "/v1", "/api/openai")),
    stop_command=st.lists(WORD, max_size=4).map(tuple),
)


@st.composite
def every_request(draw: st.DrawFn) -> LaunchRequest:
    """A request with any of its fields said."""
    request = draw(requests())
    custom = draw(st.one_of(st.none(), SERVERS))
    changes = {
        "reach": draw(st.sampled_from(("node", "lan"))),
        "system_prompt": draw(st.text(max_size=40)),
        "temperature": draw(st.one_of(st.none(), st.floats(0.0, 5.0))),
        "custom": custom,
        "environment": tuple(draw(st.dictionaries(st.just("A_B"), st.text().filter(lambda t: "\0" not in t))).items()),
        "stop_after_s": draw(st.one_of(st.none(), st.integers(60, 30 * 86_400))),
    }
    return request.model_copy(update={**changes, "engine": "custom" if custom else request.engine})


@settings(max_examples=50, deadline=None)
@given(every_request())
def test_a_request_goes_through_the_form_and_comes_back_with_every_field(request: LaunchRequest) -> None:
    # A word for "none" is what the form leaves out.
    request = request.model_copy(update={"speculative": request.speculative.replace("none", "")})
    form = load_request(request)
    read, errors = read_form(form)
    assert errors == {}
    assert read == request
    assert load_request(read) == form


def test_every_field_of_a_request_has_a_place_on_the_form() -> None:
    said = {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "custom"}
    assert set(LaunchRequest.model_fields) - said <= set(FIELDS)
    assert {f"custom_{name}" for name in CustomServer.model_fields} <= set(FIELDS)


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("max_batched_tokens", "8", "At least 16"),
        ("speculative_tokens", "65", "At most 64"),
        ("restart_limit", "11", "At most 10"),
        ("restart_limit", "", "A whole number"),
        ("stop_after_s", "8", "A time with its unit"),
        ("stop_after_s", "30 s", "At least 1 min"),
        ("stop_after_s", "31 d", "At most 30 d"),
        ("memory_fraction", "1.5", "A share above 0"),
        ("memory_fraction", "much", "A share above 0"),
        ("temperature", "-1", "From 0 to 5"),
        ("image", "Not An Image", "Not a container image"),
        ("tool_parser", "a b", "Letters, digits"),
        ("threads", "0", "At least 1"),
    ],
)
def test_a_wrong_word_is_an_error_at_its_own_field(name: str, typed: str, words: str) -> None:
    form = Form(engine="vllm", model="a/b", nodes=("n",), served_name="b")
    request, errors = read_form(form.typed(name, typed))
    assert request is None
    assert list(errors) == [name]
    assert errors[name].startswith(words)


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("custom_command", "", "Write the command"),
        ("custom_command", "python 'x", "A quote is not closed"),
        ("custom_ready_value", "health", "A path that begins with /"),
        ("custom_base_path", "v1", "A path such as /v1"),
        ("custom_stop_command", "kill '", "A quote is not closed"),
    ],
)
def test_a_command_of_ones_own_is_checked_field_by_field(name: str, typed: str, words: str) -> None:
    form = Form(engine="custom", model="a/b", nodes=("n",), served_name="b", custom_command="run --port {port}")
    request, errors = read_form(form.typed(name, typed))
    assert request is None
    assert list(errors) == [name]
    assert errors[name].startswith(words)


def test_a_command_may_stand_on_one_line_or_on_many() -> None:
    expected = ("python", "-m", "server", "--name", "two words")
    assert read_words("python -m server --name 'two words'") == expected
    assert read_words("python\n-m\nserver\n--name\n'two words'") == expected
    assert read_words("python -m server \\\n  --name \\\n'two words'") == expected
    assert read_words("echo 'a\\\nb'") == ("echo", "a\\\nb"), "inside quotes a line's end is the person's own"


@given(st.integers(1, 30 * 86_400))
def test_a_time_is_read_as_it_was_written(seconds: int) -> None:
    assert read_time(write_time(seconds)) == seconds


@given(st.text().filter(lambda value: "\0" not in value))
def test_a_value_of_the_environment_is_read_as_it_was_written(value: str) -> None:
    assert read_environment(write_environment((("A", value),))) == ((("A", value),), "")


def test_a_fold_says_what_is_set_inside_and_only_that() -> None:
    serving = next(section for section in SECTIONS if section.key == "serving")
    form = Form(engine="vllm", tool_parser="hermes", reasoning_parser="qwen3", prefix_caching="on")
    assert summarize(serving, form) == "tools hermes, reasoning qwen3, prefix cache on"
    assert summarize(serving, Form(engine="vllm")) == "as the engine does"


@pytest.mark.parametrize("purpose", ["embed", "rerank"])
def test_what_does_not_apply_vanishes_unless_it_says_something(purpose: str) -> None:
    form = Form(engine="vllm", purpose=purpose)
    assert not any(has_place(name, form) for name in ("tool_parser", "reasoning_parser", "speculative", "temperature"))
    assert has_place("tool_parser", replace(form, tool_parser="hermes")), "what is said can be seen and cleared"
    assert not has_place("threads", form)
    assert has_place("threads", replace(form, engine="llamacpp"))
    assert not has_place("image", replace(form, engine="ollama"))


def test_every_further_field_stands_in_a_fold_or_in_the_open() -> None:
    in_the_open = {"purpose", "reach", "speculative_model", "speculative_tokens"}
    in_the_open |= {name for name in SERVING_FIELDS if name.startswith("custom_")}
    assert {name for name in SERVING_FIELDS if not section_of(name)} == in_the_open
    assert set(NEUTRAL) == set(SERVING_FIELDS)
    assert not set(SERVING_FIELDS) & set(LOAD_FIELDS)


def test_a_name_that_the_engine_decides_is_not_asked_for() -> None:
    spec = next(each for each in catalogue() if each.key == "qwen3-8b")
    backends = {"ollama": BackendInfo("ollama", "Ollama", ("chat",), default_port=11434)}
    known: set[str] = {"Q8_0"}

    def filled() -> Form:
        form = Form(engine="ollama", model=spec.name, touched=frozenset(("engine",)))
        return fill_defaults(form, Around(spec, (), backends, knows_name=lambda _engine, _spec, key: key in known))

    form = filled()
    assert (form.quantization, form.served_name, form.weights_path) == ("Q8_0", "qwen3-8b-gguf", "")
    known.clear()
    assert filled().served_name == "", "nobody knows what it is called there: the person does"


@pytest.mark.parametrize(
    ("key", "quantization", "is_known"),
    [("qwen3-8b", "Q8_0", True), ("qwen3-8b", "BF16", False), ("gpt-oss-120b", "MXFP4_GGUF", True),
     ("qwen2.5-32b", "Q4_K_M", False), ("qwen3-8b", "nothing", False)],
)  # fmt: skip
def test_the_page_knows_which_names_ollamas_adapter_says(key: str, quantization: str, *, is_known: bool) -> None:
    spec = next(each for each in catalogue() if each.key == key)
    assert knows_name("ollama", spec, quantization) is is_known
    assert not knows_name("vllm", spec, quantization)
