"""Ollama: a plan whose job is the keeper of one model, what the service does not take from it, and the keeper's log."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from backends import ollama
from sparkdesk.core.jobs.backend import LoadProgress, LogFailure, PlanContext, Reading, Told
from sparkdesk.core.jobs.plan import Fit, Severity
from sparkdesk.core.jobs.reading import MODEL_BYTES, WEIGHTS_LOAD_S
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import ROOT, context_with, spec_named
from tests.backends.golden import check_golden
from tests.remote.ollama_stand_in import MODEL, ollama_service

SMOL = LaunchRequest(
    engine="ollama",
    model="SmolLM2-135M-Instruct",
    nodes=("node-1",),
    served_name=MODEL,
    port=11434,
    context_tokens=8192,
    concurrency=2,
    quantization="Q4_1",
)
EMBED = SMOL.model_copy(update={"purpose": "embed", "context_tokens": 4096, "concurrency": 1, "weights_from": "desk"})
PORTS = {22: "another user's program", 11434: "another user's program"}


def context_of(request: LaunchRequest, **node: object) -> PlanContext:
    context = context_with(spec_named(request.model), **{"used_ports": PORTS, **node})
    return replace(context, programs={"ollama": b"# ollama.py\n"})


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


def errors_at(request: LaunchRequest, **node: object) -> list[str]:
    problems = ollama.backend.problems(request, context_of(request, **node))
    return [problem.field for problem in problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize(("name", "request_"), [("ollama_chat", SMOL), ("ollama_embed_from_desk", EMBED)])
def test_a_plan_of_ollama_is_the_reviewed_text(name: str, request_: LaunchRequest) -> None:
    check_golden(name, ollama.backend.plan(request_, context_of(request_)))


@pytest.mark.parametrize(
    ("model", "quantization", "name", "tag"),
    [
        ("Qwen/Qwen3-Embedding-0.6B", "Q8_0", "vectors", "hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0"),
        ("openai/gpt-oss-120b", "MXFP4_GGUF", "large", "gpt-oss:120b"),
        ("openai/gpt-oss-120b", "MXFP4_GGUF", "gpt-oss:20b", "gpt-oss:20b"),
        ("openai/gpt-oss-120b", "", "gpt-oss", "gpt-oss"),
        ("SmolLM2-135M-Instruct", "Q4_1", "hf.co/a/b:Q8_0", "hf.co/a/b:Q8_0"),
    ],
)
def test_the_name_that_requests_say_is_the_one_that_the_service_has(
    model: str, quantization: str, name: str, tag: str
) -> None:
    request = changed(SMOL, model=model, quantization=quantization, served_name=name)
    plan = ollama.backend.plan(request, context_of(request))
    assert plan.endpoint.model == tag
    assert f" {tag} --port" in " ".join(plan.commands[0].text.replace("\\\n", " ").split())
    assert any(tag in note for note in plan.notes) == (tag != name)
    assert plan.title == name


def test_the_port_that_the_service_holds_is_no_problem_and_one_without_it_is() -> None:
    assert errors_at(SMOL) == []
    assert errors_at(SMOL, used_ports={22: "sshd"}) == ["port"]
    assert errors_at(SMOL, used_ports={}) == [], "not read is not absent"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reach", "lan"),
        ("kv_dtype", "q8_0"),
        ("environment", [("OLLAMA_NUM_PARALLEL", "4")]),
        ("extra_flags", ["--num-ctx", "5"]),
        ("tool_parser", "hermes"),
        ("speculative", "mtp"),
        ("build", "tuned"),
        ("purpose", "rerank"),
        ("image", "ollama/ollama:latest"),
        ("served_name", "a:b:c"),
        ("served_name", "a/b/c/d"),
    ],
)
def test_what_the_service_does_not_take_is_refused_at_its_field(field: str, value: object) -> None:
    assert errors_at(changed(SMOL, **{field: value})) == [field]


def test_a_setting_of_the_service_is_told_to_be_a_drop_in() -> None:
    (problem,) = [
        one
        for one in ollama.backend.problems(changed(SMOL, kv_dtype="q8_0"), context_of(SMOL))
        if one.field == "kv_dtype"
    ]
    assert "OLLAMA_KV_CACHE_TYPE" in problem.message
    assert "systemctl edit ollama" in problem.remedy
    notes = ollama.backend.plan(SMOL, context_of(SMOL)).notes
    assert any("OLLAMA_NUM_PARALLEL=2" in note for note in notes)
    assert any("shared" in note for note in notes)


def test_memory_is_known_only_where_the_request_names_the_weights() -> None:
    (ledger,) = ollama.backend.plan(SMOL, context_of(SMOL)).ledgers
    assert ledger.weights_bytes
    assert ledger.fit is Fit.FITS
    silent = changed(SMOL, quantization="")
    assert ollama.backend.plan(silent, context_of(silent)).ledgers[0].fit is Fit.UNKNOWN


def test_the_log_of_a_real_keeper_is_understood() -> None:
    with ollama_service() as service:
        program = str(ROOT / "sparkdesk/remote/ollama.py")
        argv = [sys.executable, "-I", program, MODEL, "--port", str(service.port), "--context", "2048"]
        env = {"PATH": os.environ["PATH"], "SPARKDESK_OLLAMA_PACE": "0.004"}
        service.pull_lines, service.pull_wait_s = 12, 0.1
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
            reader, found = ollama.backend.log_reader(), []
            assert process.stdout is not None
            for line in process.stdout:
                found += reader.feed(line.rstrip("\n"))
                if "holding" in line:
                    service.loaded_until_s = 0.0
    told = [item.text for item in found if isinstance(item, Told)]
    shares = [item.fraction for item in found if isinstance(item, LoadProgress) and item.text.startswith("Pulled")]
    loaded = [item for item in found if isinstance(item, Reading)]
    assert told == ["0.12.6"]
    assert shares
    assert 0 < (shares[0] or 0) <= 1
    assert [item.key for item in loaded] == [WEIGHTS_LOAD_S]
    failure = found[-1]
    assert isinstance(failure, LogFailure)
    assert "unloaded by somebody else" in failure.message


@pytest.mark.parametrize(
    ("line", "help_"),
    [
        ("[ollama] error: no Ollama service answers on 127.0.0.1:11434: refused", "systemctl start ollama"),
        ("[ollama] error: pull failed: pull model manifest: file does not exist", "name and tag"),
        ("[ollama] error: pull failed: write /x: no space left on device", "Free disk"),
        ("[ollama] error: pull failed: the download ended before it was whole", "goes on where it was"),
        ("[ollama] error: load failed: model requires more system memory (90 GiB) than is available", "smaller model"),
        ("[ollama] error: the service does not answer any more: refused", "systemctl status"),
    ],
)
def test_each_end_of_the_keeper_has_its_remedy(line: str, help_: str) -> None:
    (failure,) = ollama.backend.log_reader().feed(line)
    assert isinstance(failure, LogFailure)
    assert help_ in failure.remedy


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b'{"error":"model \'x\' not found"}', "model_not_found"),
        (404, b'{"error":{"message":"model \'x\' not found","type":"api_error"}}', "model_not_found"),
        (500, b'{"error":"llama runner process has terminated: exit status 2"}', "engine_dead"),
        (503, b'{"error":"server busy, please try again.  maximum pending requests exceeded"}', "overloaded"),
    ],
)
def test_both_shapes_of_its_errors_are_read(status: int, body: bytes, kind: str) -> None:
    failure = ollama.backend.failure(status, body)
    assert failure is not None
    assert failure.kind == kind


def test_any_body_is_read_without_an_exception() -> None:
    for body in (b"", b"[]", b'{"error":5}', b"\xff\xfe", b"[" * 5000):
        assert ollama.backend.failure(500, body) is None
    assert ollama.backend.readings('{"models":[{"size_vram":5}]}') == {MODEL_BYTES: 5}
