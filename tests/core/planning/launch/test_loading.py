"""A node where a server is still loading is no node to start another one on by what is free there now."""

from __future__ import annotations

import pytest

from backends import sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.plan import Severity
from tests.backends.context import context_with, spec_named
from tests.backends.test_golden_plans import LLAMA


@pytest.mark.parametrize("backend", [vllm.backend, sglang.backend, trtllm.backend], ids=["vllm", "sglang", "trtllm"])
def test_a_server_that_still_loads_is_named_and_waiting_for_it_is_the_remedy(backend: Backend) -> None:
    request = LLAMA.model_copy(update={"engine": backend.info.key, "extra_flags": ()})
    spec = spec_named(LLAMA.model)
    found = backend.problems(request, context_with(spec, loading=("Tiny",)))
    (problem,) = [one for one in found if "loading" in one.message]
    assert (problem.severity, problem.field) == (Severity.WARNING, "nodes")
    assert "Tiny" in problem.message
    assert problem.remedy.startswith("Wait")
    assert not [one for one in backend.problems(request, context_with(spec)) if "loading" in one.message]
