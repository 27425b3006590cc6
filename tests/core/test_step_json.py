"""Playbooks and plans survive JSON, and hostile JSON is one typed error."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core import step_json
from sparkdesk.core.command import Command, Exit, Outcome, Refused, Signal, Unknown
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs import plan_json
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, ShownCommand
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.reader import Verdict, judge, read
from sparkdesk.core.step import (
    PUSH_KINDS,
    Confirm,
    Expect,
    Follow,
    Keep,
    Playbook,
    Push,
    PutFile,
    PutSecrets,
    Reconnect,
    Restore,
    Run,
    Serve,
    Stage,
    Step,
    Wait,
)

# A byte that is no UTF-8 reaches Python as one of these half characters; it must survive as well.
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]
)
words = st.text(_CHARACTERS, max_size=12)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
variables = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
references = st.from_regex(r"[a-z_]{1,8}(:[A-Za-z0-9_-]{1,8})?\??", fullmatch=True)
times = st.floats(0.01, 1000.0)
commands = st.builds(
    Command,
    argv=st.lists(words, max_size=4).map(lambda rest: ("p", *rest)),
    env=st.dictionaries(names, words, max_size=3),
    cwd=words,
)
expects = st.builds(Expect, exit_codes=st.lists(st.integers(0, 255), max_size=3).map(tuple), reader=words, equals=words)
actions = st.one_of(
    st.builds(
        Run, command=commands, expect=expects, stdin=st.binary(max_size=20), timeout_s=times, as_root=st.booleans()
    ),
    st.builds(PutFile, path=words, content=st.binary(max_size=40), mode=st.integers(0, 0o777), as_root=st.booleans()),
    st.builds(
        Wait,
        command=commands,
        expect=expects,
        stdin=st.binary(max_size=9),
        every_s=times,
        timeout_s=times,
        give_up=st.none() | expects,
        reader=words,
        on_cancel=st.none() | commands,
    ),
    st.builds(Follow, command=commands, reader=words, expect=expects, timeout_s=times, stdin=st.binary(max_size=9)),
    st.builds(Serve, node=words, server=commands, client=commands, expect=expects, timeout_s=times),
    st.builds(Reconnect, timeout_s=times, comes_back=st.booleans()),
    st.builds(Confirm, question=words),
    st.builds(Keep, path=words, as_root=st.booleans()),
    st.builds(Restore, path=words),
    st.builds(
        PutSecrets,
        path=words,
        names=st.lists(st.tuples(variables, references), max_size=3).map(tuple),
    ),
    st.builds(Push, source=words, path=words, kind=st.sampled_from(PUSH_KINDS), platform=words),
)
EMPTY = Playbook("p", ())
parts = st.lists(actions, max_size=2).map(tuple)


@st.composite
def playbooks(draw: st.DrawFn) -> Playbook:
    """Any playbook with distinct step ids."""
    ids = draw(st.lists(words, unique=True, max_size=4))
    steps = tuple(
        Step(id=i, title=draw(words), node=draw(words), apply=draw(parts), check=draw(parts), undo=draw(parts))
        for i in ids
    )
    stages = (Stage(draw(words), steps, draw(st.integers(1, 8))), Stage("", ()))
    return Playbook(draw(words), stages, needs_lock=draw(st.booleans()))


def make_plan(playbook: Playbook = EMPTY) -> LaunchPlan:
    """A small plan around the playbook."""
    return LaunchPlan(
        job_id="abcdefghijklmnop",
        request=LaunchRequest(engine="llamacpp", model="tiny", nodes=("n1",), served_name="tiny", temperature=0.2),
        title="tiny on spark-1",
        playbook=playbook,
        stop=playbook,
        endpoint=Endpoint("n1", "127.0.0.1", 8000, "tiny", context_tokens=None),
        ledgers=(MemoryLedger("n1", 1, 2, None, 4, 5),),
        commands=(ShownCommand("n1", "server", "llama-server \\\n -c 1"),),
        notes=("a note",),
    )


@given(playbooks())
def test_a_playbook_comes_back_from_json_as_it_was(playbook: Playbook) -> None:
    data = step_json.to_json(playbook)
    assert step_json.from_json(data) == playbook
    assert step_json.to_json(step_json.from_json(data)) == data


def test_a_plan_comes_back_from_json_as_it_was_and_keeps_its_hash() -> None:
    run = Run(Command(("a", "b c"), env={"LC_ALL": "C"}), stdin=b"\xff\x00")
    plan = make_plan(Playbook("start", (Stage("s", (Step("1", "t", "n1", (run,)),)),)))
    again = plan_json.from_json(plan_json.to_json(plan))
    assert again == plan
    assert plan_json.plan_hash(again) == plan_json.plan_hash(plan)
    assert plan_json.plan_hash(make_plan()) != plan_json.plan_hash(plan)


def test_root_and_lock_are_written_only_where_they_are_wanted() -> None:
    """So a plan without them has the bytes, and the hash, that it had before there was sudo."""
    plain = Playbook(
        "p", (Stage("s", (Step("1", "t", "n1", (Run(Command(("a",))), PutFile("f", b""), Reconnect())),)),)
    )
    data = step_json.to_json(plain)
    assert not any(word in data for word in (b"as_root", b"needs_lock", b"comes_back"))
    root = Step("1", "t", "n1", (Run(Command(("a",)), as_root=True), PutFile("/f", b"", as_root=True)))
    locked = Playbook("p", (Stage("s", (root,)),), needs_lock=True)
    assert step_json.to_json(locked).count(b'"as_root":true') == 2
    assert step_json.from_json(step_json.to_json(locked)) == locked


def test_a_flag_that_is_no_truth_value_is_refused() -> None:
    data = json.loads(step_json.to_json(Playbook("p", (), needs_lock=True)))
    for value in ("true", 1, None, []):
        data["needs_lock"] = value
        with pytest.raises(PlanError):
            step_json.from_json(json.dumps(data).encode())


@pytest.mark.parametrize(
    "names", [None, [["a b", "hub_token"]], [["A", "hub token"]], [["A"]], [["A", 1]], [["A", "x"]] * 17]
)
def test_names_of_secrets_that_are_none_are_refused(names: object) -> None:
    action = {"kind": "put_secrets", "path": "~/s", "names": names}
    step = {"id": "1", "title": "t", "node": "n", "check": [], "apply": [action], "verify": [], "undo": []}
    book = {"schema": 1, "title": "p", "stages": [{"title": "s", "steps": [step]}]}
    with pytest.raises(PlanError):
        step_json.from_json(json.dumps(book).encode())


def test_a_journal_shows_text_as_text() -> None:
    data = step_json.bytes_to_data(b"#!/bin/sh\n")
    assert data == {"text": "#!/bin/sh\n"}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_plan_or_a_plan_error(data: bytes) -> None:
    for read_it in (step_json.from_json, plan_json.from_json):
        with pytest.raises(PlanError):
            read_it(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def spoil(value: Any, data: st.DataObject) -> Any:
    """Replace one value somewhere inside by something else, or remove it."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: spoil(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], spoil(value[index], data), *value[index + 1 :]]
    return data.draw(json_values)


@given(playbooks(), st.data())
def test_a_spoilt_plan_is_a_plan_or_a_plan_error(playbook: Playbook, data: st.DataObject) -> None:
    spoilt = json.dumps(spoil(json.loads(plan_json.to_json(make_plan(playbook))), data)).encode()
    try:
        plan = plan_json.from_json(spoilt)
    except PlanError:
        return
    assert plan_json.from_json(plan_json.to_json(plan)) == plan


@pytest.mark.parametrize(
    "text",
    [
        '{"schema":2,"title":"","stages":[]}',
        '{"schema":1,"title":"","stages":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"schema":1,"title":"","stages":[{"title":"","steps":[{"id":"1","title":"","node":"","apply":[{"kind":"eval"}]}]}]}',
        '{"schema":1e999,"title":"","stages":[]}',
        '{"schema":true,"title":"","stages":[]}',
        '{"schema":NaN}',
        '{"schema":' + "9" * 10_000 + "}",
        '"schema"',
        "\ud800".encode("utf-16", "surrogatepass").decode("latin-1"),
    ],
)
def test_what_is_no_playbook_is_refused_with_a_next_step(text: str) -> None:
    with pytest.raises(PlanError) as caught:
        step_json.from_json(text.encode())
    assert caught.value.remedy


def test_two_steps_of_one_id_are_refused() -> None:
    playbook = Playbook("p", (Stage("s", (Step("1", "", "", ()), Step("1", "", "", ()))),))
    with pytest.raises(PlanError, match="same id"):
        step_json.from_json(step_json.to_json(playbook))


def test_a_number_that_json_does_not_know_is_never_written() -> None:
    playbook = Playbook("p", (Stage("s", (Step("1", "", "", (Reconnect(math.inf),)),)),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        step_json.to_json(playbook)


def test_an_unknown_outcome_is_neither_yes_nor_no() -> None:
    for fate in (Unknown("lost"), Refused("no channel")):
        assert judge(Expect(), Outcome(fate)) is Verdict.UNKNOWN
    assert judge(Expect(), Outcome(Exit(0))) is Verdict.YES
    assert judge(Expect(), Outcome(Exit(1))) is Verdict.NO
    assert judge(Expect(), Outcome(Signal("KILL"))) is Verdict.NO


def test_a_reader_finds_its_field_behind_a_greeting() -> None:
    stdout = b'Last login: today\n{"ok": true, "a": {"b": "ready"}}\n'
    assert read("json_field:ok", stdout) == "true"
    assert read("json_field:a.b", stdout) == "ready"
    assert read("json_field:none", stdout) is None
    assert judge(Expect(reader="json_field:a.b", equals="ready"), Outcome(Exit(0), stdout)) is Verdict.YES
    assert judge(Expect(reader="json_field:a.b", equals="dead"), Outcome(Exit(0), stdout)) is Verdict.NO
    assert judge(Expect(reader="no_such_reader"), Outcome(Exit(0), stdout)) is Verdict.NO


@given(st.sampled_from(["json_field:a.b", "text", "last_line", "contains:x", "?"]), st.binary(max_size=200))
def test_readers_are_total(reader: str, stdout: bytes) -> None:
    read(reader, stdout)
