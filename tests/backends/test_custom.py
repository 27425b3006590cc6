"""A custom server: placeholders, ready checks, environments and containers, and words that mean harm."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backends import custom
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Fit, LaunchPlan, Severity
from sparkdesk.core.jobs.request import CustomServer, LaunchRequest
from sparkdesk.core.step import PutFile
from tests.backends.context import context_with
from tests.backends.golden import check_golden

IMAGE = LaunchRequest(
    engine="custom",
    model="someone/own-model",
    nodes=("node-1",),
    served_name="own-model",
    port=9000,
    image="ghcr.io/someone/own-server:1.2",
    custom=CustomServer(
        command=("own-server", "--port", "{port}", "--config", '{{"rank": {rank}, "of": {nodes}}}'),
        ready="log",
        ready_value="server is up",
        stop_command=("curl", "-X", "POST", "http://127.0.0.1:{port}/quit"),
    ),
    environment=(("MASTER_ADDR", "{head_ip}"), ("NCCL_SOCKET_IFNAME", "{cx7_ifname}"), ("NCCL_IB_HCA", "{hca}")),
    extra_flags=("--slots", "4"),
)
VENV = IMAGE.model_copy(
    update={
        "image": "",
        "environment": (("HF_HUB_OFFLINE", "1"),),
        "custom": CustomServer(
            command=("python", "-m", "own.server", "--listen", "127.0.0.1:{port}"),
            venv="~/own/venv/",
            ready="port",
            base_path="",
        ),
    }
)


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


def with_server(request: LaunchRequest, **fields: object) -> LaunchRequest:
    assert request.custom is not None
    return changed(request, custom={**request.custom.model_dump(), **fields})


def errors_at(request: LaunchRequest, **node: object) -> list[str]:
    problems = custom.backend.problems(request, context_with(None, **node))
    return [problem.field for problem in problems if problem.severity is Severity.ERROR]


def spec_of(plan: LaunchPlan) -> dict[str, object]:
    (content,) = [
        action.content
        for step in plan.playbook.steps()
        for action in step.apply
        if isinstance(action, PutFile) and action.path.endswith("spec.json")
    ]
    found: dict[str, object] = json.loads(content)
    return found


@pytest.mark.parametrize(("name", "request_"), [("custom_image", IMAGE), ("custom_venv", VENV)])
def test_a_plan_of_a_custom_server_is_the_reviewed_text(name: str, request_: LaunchRequest) -> None:
    check_golden(name, custom.backend.plan(request_, context_with(None)))


def test_placeholders_are_filled_and_doubled_braces_are_braces() -> None:
    text = custom.backend.plan(IMAGE, context_with(None)).commands[0].text
    assert "--port 9000" in text
    assert """--config '{"rank": 0, "of": 1}'""" in text
    assert "--env MASTER_ADDR=127.0.0.1" in text
    spec = spec_of(custom.backend.plan(IMAGE, context_with(None)))
    assert spec["stop_argv"] == [["curl", "-X", "POST", "http://127.0.0.1:9000/quit"]]


@pytest.mark.parametrize("word", ["{prot}", "{}", "{port", "port}", "{port }", '{"a": 1}', "{folder}", "{0}"])
def test_a_placeholder_that_is_not_known_is_refused_at_its_field(word: str) -> None:
    assert errors_at(with_server(IMAGE, command=["own-server", word])) == ["custom"]
    assert errors_at(with_server(IMAGE, stop_command=["stop", word])) == ["custom"]
    assert errors_at(changed(IMAGE, extra_flags=[word])) == ["extra_flags"]
    assert errors_at(changed(IMAGE, environment=[("A", word)])) == ["environment"]


def test_the_word_that_the_guard_fills_in_cannot_be_smuggled_in() -> None:
    assert errors_at(with_server(IMAGE, command=["own-server", "{{folder}}"])) == ["custom"]


@pytest.mark.parametrize("word", ["'; rm -rf ~ #", "$(reboot)", "`id`", "a\nb", '"', "--", "\\", "\u202e"])
def test_hostile_words_stay_one_word_each(word: str) -> None:
    spec = spec_of(custom.backend.plan(with_server(VENV, command=["own-server", word]), context_with(None)))
    argv = spec["argv"]
    assert isinstance(argv, list)
    assert argv[:2] == ["own-server", word]


def test_a_zero_byte_and_an_endless_word_are_refused() -> None:
    for word in ("a\0b", "x" * 20_000):
        with pytest.raises(ValidationError):
            with_server(VENV, command=["own-server", word])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ["-c", "x"]),
        ("command", [" "]),
        ("ready_value", "health"),
        ("ready_value", "/a b"),
        ("base_path", "v1"),
        ("base_path", "/v1?x"),
    ],
)
def test_a_check_or_path_that_cannot_be_is_refused(field: str, value: object) -> None:
    assert errors_at(with_server(with_server(IMAGE, ready="http", ready_value="/ok"), **{field: value})) == ["custom"]


def test_a_ready_check_by_the_log_needs_words() -> None:
    assert errors_at(with_server(IMAGE, ready_value=" ")) == ["custom"]


@pytest.mark.parametrize("venv", ["venv", "/a/../b", "/a:/b", "~other/venv"])
def test_an_environment_that_is_no_folder_is_refused(venv: str) -> None:
    assert errors_at(with_server(VENV, venv=venv)) == ["custom"]


def test_an_environment_goes_before_the_path_and_not_into_a_container() -> None:
    spec = spec_of(custom.backend.plan(VENV, context_with(None)))
    env = spec["env"]
    assert isinstance(env, dict)
    assert env["PATH"].startswith("/home/nvidia/own/venv/bin:/usr/local/sbin:")
    assert env["VIRTUAL_ENV"] == "/home/nvidia/own/venv"
    assert errors_at(changed(VENV, image="a/b:1")) == ["custom"]
    assert errors_at(VENV, home="") == ["custom"]


def test_a_server_without_openais_protocol_is_proved_by_its_own_check() -> None:
    plan = custom.backend.plan(VENV, context_with(None))
    spec = spec_of(plan)
    assert isinstance(spec["token"], dict)
    assert spec["token"]["proof"] == "none"
    assert plan.endpoint.base_path == ""
    assert any("no token is asked" in note for note in plan.notes)


def test_memory_is_not_known_and_the_floor_holds() -> None:
    plan = custom.backend.plan(IMAGE, context_with(None))
    assert plan.ledgers[0].fit is Fit.UNKNOWN
    assert spec_of(plan)["memory_floor_bytes"] == 4 << 30
    limit = int(plan.commands[0].text.partition("--memory ")[2].split()[0])
    total = plan.ledgers[0].total_bytes
    assert total is not None
    assert limit <= total - (4 << 30)


def test_no_command_and_the_network_are_refused() -> None:
    assert errors_at(changed(IMAGE, custom=None)) == ["custom"]
    assert errors_at(changed(IMAGE, reach="lan")) == ["reach"]
    with pytest.raises(PlanError, match="needs a command"):
        custom.backend.plan(changed(IMAGE, custom=None), context_with(None))


def test_a_command_that_listens_everywhere_and_fields_that_it_is_not_told_are_warned_of() -> None:
    request = changed(with_server(IMAGE, command=["own-server", "--host=0.0.0.0"]), kv_dtype="fp8")
    problems = custom.backend.problems(request, context_with(None))
    warned = {problem.field for problem in problems if problem.severity is Severity.WARNING}
    assert {"custom", "kv_dtype"} <= warned


@pytest.mark.parametrize(
    ("words", "is_open"),
    [
        (["--host", "::"], True), (["--host=::"], True), (["tcp://[::]:80"], True), (["--host", "0.0.0.0:80"], True),
        (["--host", "::1"], False), (["--host", "127.0.0.1"], False), (["a::b"], False),
    ],
)  # fmt: skip
def test_an_address_of_all_networks_in_the_command_is_warned_of(words: list[str], is_open: bool) -> None:
    request = with_server(IMAGE, command=["own-server", *words])
    said = [problem.message for problem in custom.backend.problems(request, context_with(None))]
    assert any("every network" in one for one in said) == is_open


@given(st.text(max_size=200))
def test_expanding_any_word_fills_it_or_says_what_is_unknown(word: str) -> None:
    values = custom.placeholder_values(IMAGE)
    pieces = custom._PLACEHOLDER.findall(word)
    unknown = [piece for piece in pieces if piece not in ("{{", "}}") and piece[1:-1] not in values]
    if unknown:
        with pytest.raises(custom.UnknownPlaceholder, match=re.escape(unknown[0])):
            custom.expand(word, values)
    else:
        assert custom.expand(word, values).count("{") <= word.count("{")


VALUES = {"rank": "0", "nodes": "1", "head_ip": "127.0.0.1", "cx7_ifname": "lo", "hca": "rocep1s0f0", "port": "9000"}
HOSTILE = st.sampled_from(
    ["'", '"', "$(reboot)", "`id`", "\n", "; rm -rf ~", "$HOME", "\\", "{{", "}}", " ", "*", "--"]
)
LITERAL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), max_size=12)
PIECES = st.lists(
    st.one_of(HOSTILE, LITERAL, st.sampled_from(sorted(VALUES)).map(lambda name: f"{{{name}}}")), max_size=5
)


def as_a_shell_reads(command: str) -> list[str]:
    """The words of a shown command, as they would run where a person copies it."""
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, timeout=20, check=True)
    return done.stdout.decode().split("\0")[:-1]


def filled(word: str) -> str:
    """By hand, other than the adapter does it: what each word must become."""
    for name, value in VALUES.items():
        word = word.replace(f"{{{name}}}", value)
    return word.replace("{{", "{").replace("}}", "}")


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.lists(PIECES.map("".join), max_size=4), PIECES.map("".join), PIECES.map("".join))
def test_words_variables_and_the_stop_stay_what_they_are_whatever_they_hold(
    has_image: bool, words: list[str], text: str, stop: str
) -> None:
    request = with_server(IMAGE if has_image else VENV, command=["own-server", *words], stop_command=["stop", stop])
    request = changed(request, environment=[("A", text)], extra_flags=[], port=9000)
    plan = custom.backend.plan(request, context_with(None))
    spec = spec_of(plan)
    argv, wanted = spec["argv"], ["own-server", *map(filled, words)]
    assert isinstance(argv, list)
    assert argv[len(argv) - len(wanted) :] == wanted
    assert spec["stop_argv"] == [["stop", filled(stop)]]
    if has_image:
        assert argv[argv.index("--env", argv.index("--oom-score-adj")) :].count(f"A={filled(text)}") == 1
    else:
        assert isinstance(spec["env"], dict)
        assert spec["env"]["A"] == filled(text)
        assert argv == wanted
    assert as_a_shell_reads(plan.commands[0].text)[-len(wanted) :] == wanted


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["http", "port", "log"]), st.text(max_size=60))
def test_a_ready_check_is_taken_as_it_is_or_refused_at_its_field(kind: str, value: str) -> None:
    try:
        request = with_server(VENV, ready=kind, ready_value=value)
    except ValidationError:
        return
    if errors_at(request):
        assert errors_at(request) == ["custom"]
        return
    ready = spec_of(custom.backend.plan(request, context_with(None)))["ready"]
    assert isinstance(ready, dict)
    assert ready["kind"] == kind
    assert kind == "port" or value in (ready.get("path"), ready.get("words"))


def test_a_ready_check_may_name_the_port_and_other_braces_stay() -> None:
    for kind, value, wanted in (
        ("log", "listening on {port}", "listening on 9000"),
        ("log", '{"up": true}', '{"up": true}'),
        ("http", "/up?port={port}", "/up?port=9000"),
    ):
        request = changed(with_server(VENV, ready=kind, ready_value=value), port=9000)
        ready = spec_of(custom.backend.plan(request, context_with(None)))["ready"]
        assert isinstance(ready, dict)
        assert wanted in (ready.get("path"), ready.get("words"))


def test_a_program_that_was_looked_for_and_is_not_there_is_refused_before_the_launch() -> None:
    plain = with_server(VENV, command=["vllm", "serve"], venv="")
    found = custom.backend.problems(plain, context_with(None))
    (problem,) = [one for one in found if one.severity is Severity.ERROR]
    assert (problem.message, problem.field) == ("vllm is not on spark-5c2d", "custom")
    assert problem.remedy == "Install it there, or write the whole path of the program."
    assert errors_at(with_server(plain, command=["llama-server"])) == [], "it is there"
    assert errors_at(with_server(plain, command=["own-server"])) == [], "nobody looked for it"
    assert errors_at(with_server(plain, venv="~/venv")) == [], "the environment has programs of its own"
    assert errors_at(changed(plain, environment=[("PATH", "/opt/bin")])) == []
    assert custom.backend.problems(plain, context_with(None, programs={})) == custom.backend.problems(
        with_server(plain, command=["own-server", "serve"]), context_with(None)
    ), "a node that was not looked at is blamed for nothing"
