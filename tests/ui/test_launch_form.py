"""What is typed into the launch form becomes a request, or an error at its own field."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec, WeightFormat
from tests.ui import rack
from ui.launch.choice.default import Around, choose_path, fill_defaults, name_for, pick_model
from ui.launch.form import Form, load_request, read_form

SPEC = ModelSpec(
    name="SmolLM2-135M-Instruct",
    title="SmolLM2 135M Instruct",
    layers=(LayerGroup(LayerKind.FULL, 30, kv_heads=3, head_dim=64),),
    context_tokens=8192,
    formats=(WeightFormat("Q4_1", 98_362_432, engines=("llamacpp",), file="SmolLM2-135M-Instruct.Q4_1.gguf"),),
    system_prompt="You are a helpful assistant.",
    temperature=0.2,
)
BACKENDS = {
    "llamacpp": BackendInfo("llamacpp", "llama.cpp", ("chat",), default_port=8080, needs_weights_path=True),
    "vllm": BackendInfo("vllm", "vLLM", ("chat",)),
}


def context(i: int, free_gib: float, **more: object) -> NodeContext:
    found = NodeContext(rack.record(i), mem_total_bytes=rack.TOTAL, mem_available_bytes=round(free_gib * rack.GIB))
    return replace(found, **more) if more else found  # type: ignore[arg-type]


def filled(*contexts: NodeContext) -> Form:
    form = pick_model(Form(engine="vllm"), SPEC, BACKENDS)
    return fill_defaults(form, Around(SPEC, contexts, BACKENDS))


def test_a_model_from_the_catalogue_fills_the_form() -> None:
    form = filled(context(0, 28), context(1, 115))
    request, errors = read_form(form)
    assert not errors
    assert request is not None
    assert (request.engine, request.nodes, request.port) == ("llamacpp", ("node1",), 8080)
    assert request.served_name == "smollm2-135m-instruct"
    assert (request.system_prompt, request.temperature) == ("You are a helpful assistant.", 0.2)


def test_the_file_that_was_seen_on_the_node_is_taken() -> None:
    seen = context(0, 28, weight_files={"/data/SmolLM2-135M-Instruct.Q4_1.gguf": 98_362_432, "/data/other.gguf": 1})
    assert choose_path(SPEC, "Q4_1", seen) == "/data/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert choose_path(SPEC, "Q4_1", None) == "~/models/SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_file_that_is_not_there_is_named_as_a_launch_fetches_it() -> None:
    name = "Q8_0/x-Q8_0-00001-of-00002.gguf"
    spec = replace(SPEC, formats=(replace(SPEC.formats[0], key="Q8_0", repo="example/x-GGUF", file=name),))
    assert choose_path(spec, "Q8_0", None) == f"~/models/example--x-GGUF/{name}"
    half = context(0, 28, weight_files={"/data/x-Q8_0-00001-of-00002.gguf": 1})
    assert choose_path(spec, "Q8_0", half) == f"~/models/example--x-GGUF/{name}", "a part is not the model"
    whole = context(0, 28, weight_files={f"/data/x-Q8_0-0000{part}-of-00002.gguf": 1 for part in (1, 2)})
    assert choose_path(spec, "Q8_0", whole) == "/data/x-Q8_0-00001-of-00002.gguf"


def test_a_port_that_is_held_is_passed_over() -> None:
    assert filled(context(0, 28, used_ports={8080: "a", 8081: "b"})).port == "8082"


def test_what_the_person_typed_is_not_overwritten() -> None:
    form = filled(context(0, 28)).typed("port", "9000").typed("nodes", ("node0",))
    form = fill_defaults(form, Around(SPEC, (context(1, 115), context(0, 28)), BACKENDS))
    assert (form.port, form.nodes) == ("9000", ("node0",))


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("port", "80", "At least 1,024"),
        ("port", "-1", "At least 1,024"),
        ("port", "70000", "At most 65,535"),
        ("port", "eighty", "A whole number"),
        ("port", "", "A whole number"),
        ("context_tokens", "4,194,305", "At most 4,194,304"),
        ("context_tokens", "１２", "A whole number"),
        ("served_name", "a b", "Letters, digits"),
        ("model", "", "Choose a model"),
        ("model", "--help", "A model is a name"),
        ("weights_path", "relative.gguf", "A path on the node starts with"),
        ("weights_path", "~/../etc/passwd", "A path on the node has no .."),
        ("extra_flags", "--x 'open", "A quote is not closed"),
        ("environment", "FOO", "NAME=value"),
        ("environment", "LD_PRELOAD=x", "Not allowed as a variable"),
        ("nodes", (), "Choose a node"),
    ],
)
def test_each_error_stands_at_its_own_field(name: str, typed: object, words: str) -> None:
    request, errors = read_form(filled(context(0, 28)).typed(name, typed))
    assert request is None
    assert list(errors) == [name]
    assert errors[name].startswith(words)


def test_all_errors_are_told_at_once() -> None:
    form = filled(context(0, 28)).typed("port", "80").typed("context_tokens", "x").typed("environment", "FOO")
    assert set(read_form(form)[1]) == {"port", "context_tokens", "environment"}


def test_flags_are_split_as_a_shell_would() -> None:
    request, _ = read_form(filled(context(0, 28)).typed("extra_flags", "--a 1 --b 'two words'"))
    assert request is not None
    assert request.extra_flags == ("--a", "1", "--b", "two words")


def test_a_loaded_request_comes_back_unchanged() -> None:
    request = rack.request(2, extra_flags=("--b", "two words"), environment=(("A", "x=y"),), kv_dtype="q8_0", threads=2)
    read, errors = read_form(load_request(request))
    assert not errors
    assert read == request


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_the_form(port: str, flags: str, environment: str) -> None:
    form = filled(context(0, 28)).typed("port", port).typed("extra_flags", flags).typed("environment", environment)
    request, errors = read_form(form)
    assert (request is None) == bool(errors)


@given(st.text(max_size=200))
def test_a_served_name_is_always_one_that_is_allowed_or_an_error(model: str) -> None:
    assert len(name_for(model)) <= 64
