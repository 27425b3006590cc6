"""The hub's token reaches an engine only where it may ask the hub itself, and never as a word of a plan."""

from __future__ import annotations

import pytest

from backends import sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.step import PutFile, PutSecrets
from tests.backends.context import context_with, spec_named
from tests.backends.test_golden_plans import LLAMA

ENGINES = [vllm.backend, sglang.backend, trtllm.backend]
IDS = [backend.info.key for backend in ENGINES]


def secrets_of(backend: Backend, **changes: object) -> tuple[tuple[tuple[str, str], ...], str]:
    changes = {"extra_flags": (), "engine": backend.info.key, **changes}
    plan = backend.plan(LLAMA.model_copy(update=changes), context_with(spec_named(LLAMA.model)))
    put = [act for step in plan.playbook.steps() for act in step.apply if isinstance(act, PutSecrets)]
    return tuple(name for one in put for name in one.names), plan.commands[0].text


@pytest.mark.parametrize("backend", ENGINES, ids=IDS)
def test_code_that_comes_with_a_model_may_need_the_token_of_the_hub(backend: Backend) -> None:
    secrets, command = secrets_of(backend, trust_remote_code=True)
    assert secrets == (("HF_TOKEN", "hub_token?"),)
    assert "--env HF_TOKEN \\" in command, "its value is in the environment of docker alone"


@pytest.mark.parametrize("backend", ENGINES, ids=IDS)
def test_without_such_code_or_a_way_to_the_hub_no_engine_gets_the_token(backend: Backend) -> None:
    for changes in ({}, {"trust_remote_code": True, "weights_from": "desk"}):
        secrets, command = secrets_of(backend, **changes)
        assert secrets == ()
        assert "HF_TOKEN" not in command


def test_a_servers_own_key_stands_beside_the_token() -> None:
    secrets, _ = secrets_of(vllm.backend, trust_remote_code=True, reach="lan")
    assert secrets == (("HF_TOKEN", "hub_token?"), ("VLLM_API_KEY", "api_key:abcdefghijklmnop"))
    request = LLAMA.model_copy(update={"trust_remote_code": True})
    plan = vllm.backend.plan(request, context_with(spec_named(LLAMA.model)))
    files = [act for step in plan.playbook.steps() for act in step.apply if isinstance(act, PutFile)]
    assert not [one for one in files if b'"key_env"' in one.content], "it is no key of the server"
