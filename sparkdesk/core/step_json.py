"""Playbooks as JSON and back, so that another process, or this one after a crash, can carry one on.

The one rule: both ways lose nothing, and the way back trusts nothing. Bytes are written as text where they are valid
UTF-8 (so that a person can read a journal) and as base64 where they are not.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sparkdesk.core.command import MAX_WORD_BYTES, MAX_WORDS, Command
from sparkdesk.core.errors import PlanError
from sparkdesk.core.step import (
    PUSH_KINDS,
    Action,
    Confirm,
    Expect,
    Follow,
    Keep,
    Playbook,
    Push,
    PutFile,
    PutSecrets,
    Reconnect,
    Relay,
    Restore,
    Run,
    Serve,
    SignInAnew,
    Stage,
    Step,
    Wait,
)
from sparkdesk.core.untrusted import Fields, parse_object

SCHEMA = 1
MAX_BYTES = 16 << 20
"""The longest playbook that is read."""
MAX_STAGES = 256
MAX_STEPS = 1024
MAX_ACTIONS = 64
MAX_CONTENT_CHARS = 8 << 20
MAX_TIMEOUT_S = 7 * 86400.0
MAX_SECRETS = 16
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
REFERENCE = re.compile(r"[a-z_]{1,32}(:[A-Za-z0-9_-]{1,64})?\??")
PARTS = ("check", "apply", "verify", "undo")


def to_json(playbook: Playbook) -> bytes:
    """The playbook as canonical JSON: the same playbook always gives the same bytes."""
    return dump(playbook_to_data(playbook))


def from_json(data: bytes) -> Playbook:
    """A playbook from `to_json`. Raises PlanError for anything else."""
    return playbook_from_data(parse_object(data, max_bytes=MAX_BYTES, what="playbook"))


def dump(data: object) -> bytes:
    """Canonical JSON: sorted keys, no blanks, ASCII only (so a lone surrogate in a word survives)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def playbook_to_data(playbook: Playbook) -> dict[str, Any]:
    """The playbook as plain JSON data."""
    more = {name: True for name in ("needs_lock", "only_measures") if getattr(playbook, name)}
    return {
        **more,
        "schema": playbook.schema,
        "title": playbook.title,
        "stages": [
            {
                "title": stage.title,
                "max_parallel": stage.max_parallel,
                "steps": [_step_to_data(step) for step in stage.steps],
            }
            for stage in playbook.stages
        ],
    }


def playbook_from_data(fields: Fields) -> Playbook:
    """A playbook from plain JSON data. Raises PlanError, also for a newer schema and for two steps of one id."""
    schema = fields.whole("schema", low=1, high=1_000_000)
    if schema > SCHEMA:
        raise PlanError(
            f"This playbook has schema {schema}; this SparkDesk knows {SCHEMA}",
            remedy="Open it with the release of SparkDesk that made it, or a newer one.",
        )
    stages = tuple(_stage_from(stage) for stage in fields.objects("stages", max_items=MAX_STAGES))
    playbook = Playbook(
        fields.text("title"), stages, schema, _flag_from(fields, "needs_lock"), _flag_from(fields, "only_measures")
    )
    ids = [step.id for step in playbook.steps()]
    if len(ids) > MAX_STEPS:
        raise fields.fail("stages", f"has more than {MAX_STEPS} steps")
    if len(set(ids)) != len(ids):
        raise fields.fail("stages", "has two steps of the same id")
    return playbook


def bytes_to_data(content: bytes) -> dict[str, str]:
    """Bytes as {"text": ...} or {"base64": ...}."""
    try:
        return {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def bytes_from(fields: Fields) -> bytes:
    """Bytes from `bytes_to_data`. Raises PlanError."""
    try:
        if fields.has("base64"):
            return base64.b64decode(fields.text("base64", max_chars=MAX_CONTENT_CHARS), validate=True)
        return fields.text("text", max_chars=MAX_CONTENT_CHARS).encode("utf-8")
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise fields.fail("content", "is neither base64 nor text") from None


# To data -------------------------------------------------------------------------------------------------------


def _step_to_data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"id": step.id, "title": step.title, "node": step.node, "phase": step.phase}
    for part in PARTS:
        data[part] = [_action_to_data(action) for action in getattr(step, part)]
    return data


def _command_to_data(command: Command) -> dict[str, Any]:
    return {"argv": list(command.argv), "env": dict(command.env), "cwd": command.cwd}


def _expect_to_data(expect: Expect) -> dict[str, Any]:
    return {"exit_codes": list(expect.exit_codes), "reader": expect.reader, "equals": expect.equals}


def _action_to_data(action: Action) -> dict[str, Any]:
    match action:
        case Run(command, expect, stdin, timeout_s):
            data = {"command": _command_to_data(command), "expect": _expect_to_data(expect), **_root_to_data(action)}
            return {"kind": "run", **data, "stdin": bytes_to_data(stdin), "timeout_s": timeout_s}
        case PutFile(path, content, mode):
            data = {"content": bytes_to_data(content), **_root_to_data(action)}
            return {"kind": "put_file", "path": path, "mode": mode, **data}
        case Wait():
            return _wait_to_data(action)
        case Follow(command, reader, expect, timeout_s):
            data = {"command": _command_to_data(command), "expect": _expect_to_data(expect)}
            fed = {"stdin": bytes_to_data(action.stdin)} if action.stdin else {}
            return {"kind": "follow", **data, "reader": reader, "timeout_s": timeout_s, **fed}
        case Serve(node, server, client, expect, timeout_s):
            data = {"server": _command_to_data(server), "client": _command_to_data(client)}
            return {"kind": "serve", "node": node, **data, "expect": _expect_to_data(expect), "timeout_s": timeout_s}
        case Reconnect(timeout_s, comes_back):
            return {"kind": "reconnect", "timeout_s": timeout_s, **({} if comes_back else {"comes_back": False})}
        case Confirm(question):
            return {"kind": "confirm", "question": question}
        case Keep(path):
            return {"kind": "keep", "path": path, **_root_to_data(action)}
        case Restore(path):
            return {"kind": "restore", "path": path}
        case PutSecrets(path, names):
            return {"kind": "put_secrets", "path": path, "names": [list(pair) for pair in names]}
        case Push(source, path, kind, platform):
            more = {"platform": platform} if platform else {}
            return {"kind": "push", "source": source, "path": path, "what": kind, **more}
        case SignInAnew(timeout_s):
            return {"kind": "sign_in_anew", "timeout_s": timeout_s}
        case Relay(node, source, reader, target, expect, timeout_s):
            data = {"source": _command_to_data(source), "target": _command_to_data(target)}
            data["expect"] = _expect_to_data(expect)
            return {"kind": "relay", "node": node, "reader": reader, **data, "timeout_s": timeout_s}


def _root_to_data(action: Run | PutFile | Keep) -> dict[str, Any]:
    """Written only where it says something: the same plan has the same bytes, and hash, as before there was sudo."""
    return {"as_root": True} if action.as_root else {}


def _wait_to_data(wait: Wait) -> dict[str, Any]:
    more = {} if wait.on_cancel is None else {"on_cancel": _command_to_data(wait.on_cancel)}
    return {
        **more,
        **({"reader": wait.reader} if wait.reader else {}),
        **({"ask": wait.ask} if wait.ask else {}),
        "kind": "wait",
        "command": _command_to_data(wait.command),
        "expect": _expect_to_data(wait.expect),
        "stdin": bytes_to_data(wait.stdin),
        "every_s": wait.every_s,
        "timeout_s": wait.timeout_s,
        "give_up": None if wait.give_up is None else _expect_to_data(wait.give_up),
    }


# From data -----------------------------------------------------------------------------------------------------


def _stage_from(fields: Fields) -> Stage:
    return Stage(
        title=fields.text("title"),
        steps=tuple(_step_from(step) for step in fields.objects("steps", max_items=MAX_STEPS)),
        max_parallel=fields.whole("max_parallel", 4, low=1, high=256),
    )


def _step_from(fields: Fields) -> Step:
    parts = {part: tuple(_action_from(a) for a in fields.objects(part, max_items=MAX_ACTIONS)) for part in PARTS}
    return Step(
        id=fields.text("id", max_chars=256),
        title=fields.text("title"),
        node=fields.text("node", max_chars=256),
        phase=fields.text("phase", "", max_chars=64),
        **parts,
    )


def _action_from(fields: Fields) -> Action:
    kind = fields.text("kind", max_chars=32)
    build = _ACTIONS.get(kind)
    if build is None:
        raise fields.fail("kind", f"is no action that this SparkDesk knows: {kind!r}")
    return build(fields)


def _command_from(fields: Fields) -> Command:
    env = fields.object("env").data if fields.has("env") else {}
    if len(env) > MAX_WORDS or any(not isinstance(value, str) for value in env.values()):
        raise fields.fail("env", "is not a table of texts")
    try:
        return Command(
            argv=fields.texts("argv", max_items=MAX_WORDS, max_chars=MAX_WORD_BYTES),
            env=dict(env),
            cwd=fields.text("cwd", ""),
        )
    except ValueError as error:  # a NUL byte, a bad name, a surrogate that stands for no byte
        raise fields.fail("argv", f"is no command: {str(error)[:200]}") from None


def _expect_from(fields: Fields) -> Expect:
    return Expect(
        exit_codes=fields.wholes("exit_codes", max_items=256, low=0, high=255),
        reader=fields.text("reader", "", max_chars=256),
        equals=fields.text("equals", ""),
    )


def _flag_from(fields: Fields, name: str, default: bool = False) -> bool:
    value = fields.data.get(name, default)
    if not isinstance(value, bool):
        raise fields.fail(name, "is neither true nor false")
    return value


def _timeout_from(fields: Fields) -> float:
    return fields.number("timeout_s", low=0.0, high=MAX_TIMEOUT_S)


def _run_from(fields: Fields) -> Run:
    return Run(
        command=_command_from(fields.object("command")),
        expect=_expect_from(fields.object("expect")),
        stdin=bytes_from(fields.object("stdin")),
        timeout_s=_timeout_from(fields),
        as_root=_flag_from(fields, "as_root"),
    )


def _put_file_from(fields: Fields) -> PutFile:
    content = bytes_from(fields.object("content"))
    mode = fields.whole("mode", low=0, high=0o7777)
    return PutFile(fields.text("path"), content, mode=mode, as_root=_flag_from(fields, "as_root"))


def _wait_from(fields: Fields) -> Wait:
    return Wait(
        command=_command_from(fields.object("command")),
        expect=_expect_from(fields.object("expect")),
        stdin=bytes_from(fields.object("stdin")),
        every_s=fields.number("every_s", low=0.01, high=MAX_TIMEOUT_S),
        timeout_s=_timeout_from(fields),
        give_up=_expect_from(fields.object("give_up")) if fields.has("give_up") else None,
        reader=fields.text("reader", "", max_chars=256),
        on_cancel=_command_from(fields.object("on_cancel")) if fields.has("on_cancel") else None,
        ask=fields.text("ask", ""),
    )


def _follow_from(fields: Fields) -> Follow:
    return Follow(
        command=_command_from(fields.object("command")),
        reader=fields.text("reader", max_chars=256),
        expect=_expect_from(fields.object("expect")),
        timeout_s=_timeout_from(fields),
        stdin=bytes_from(fields.object("stdin")) if fields.has("stdin") else b"",
    )


def _serve_from(fields: Fields) -> Serve:
    return Serve(
        node=fields.text("node", max_chars=256),
        server=_command_from(fields.object("server")),
        client=_command_from(fields.object("client")),
        expect=_expect_from(fields.object("expect")),
        timeout_s=_timeout_from(fields),
    )


def _put_secrets_from(fields: Fields) -> PutSecrets:
    pairs = fields.data.get("names")
    if not isinstance(pairs, list) or len(pairs) > MAX_SECRETS:
        raise fields.fail("names", f"is no list of at most {MAX_SECRETS} pairs")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair)):
            raise fields.fail("names", "holds something else than a variable and a reference")
        if not (VARIABLE.fullmatch(pair[0]) and REFERENCE.fullmatch(pair[1])):
            raise fields.fail("names", f"holds no variable and reference: {pair[0][:40]!r}")
    return PutSecrets(fields.text("path"), tuple((variable, reference) for variable, reference in pairs))


def _push_from(fields: Fields) -> Push:
    what = fields.text("what", max_chars=32)
    if what not in PUSH_KINDS:
        raise fields.fail("what", f"is nothing that can be sent: {what!r}")
    platform = fields.text("platform", "", max_chars=64)
    return Push(fields.text("source"), fields.text("path"), what, platform)


def _relay_from(fields: Fields) -> Relay:
    return Relay(
        node=fields.text("node", max_chars=256),
        source=_command_from(fields.object("source")),
        reader=fields.text("reader", max_chars=256),
        target=_command_from(fields.object("target")),
        expect=_expect_from(fields.object("expect")),
        timeout_s=_timeout_from(fields),
    )


_ACTIONS: Mapping[str, Callable[[Fields], Action]] = {
    "sign_in_anew": lambda fields: SignInAnew(_timeout_from(fields)),
    "relay": _relay_from,
    "run": _run_from,
    "put_file": _put_file_from,
    "wait": _wait_from,
    "follow": _follow_from,
    "serve": _serve_from,
    "reconnect": lambda fields: Reconnect(_timeout_from(fields), _flag_from(fields, "comes_back", default=True)),
    "confirm": lambda fields: Confirm(fields.text("question")),
    "keep": lambda fields: Keep(fields.text("path"), _flag_from(fields, "as_root")),
    "restore": lambda fields: Restore(fields.text("path")),
    "put_secrets": _put_secrets_from,
    "push": _push_from,
}
