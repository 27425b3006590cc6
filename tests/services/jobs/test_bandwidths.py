"""A deployment's bandwidth comes from its plan and its engine's word; what is not known gives a reason."""

from __future__ import annotations

import pytest

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_TOKENS, REQUESTS_RUNNING, SPECULATION
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.step import Playbook
from sparkdesk.paths import resources_dir
from sparkdesk.services.jobs.bandwidths import Bandwidths

CATALOGUE = read_catalogue((resources_dir() / "catalogue" / "models.toml").read_bytes())
BF16 = ModelSpec(
    name="Qwen/Qwen3.5-35B-A3B",
    title="Qwen3.5 35B-A3B",
    parameters=35_000_000_000,
    active_parameters=3_000_000_000,
    formats=(WeightFormat("BF16", 70_000_000_000, repo="Qwen/Qwen3.5-35B-A3B"),),
)
REQUEST = LaunchRequest(engine="vllm", model="Qwen/Qwen3.5-35B-A3B", nodes=("n1",), served_name="qwen")
READINGS = {GENERATED_RATE: 30.3, REQUESTS_RUNNING: 1.0, KV_TOKENS: 0.0}


def compute(
    request: LaunchRequest | None = REQUEST,
    state: JobState = JobState.READY,
    catalogue: tuple[ModelSpec, ...] = (BF16, *CATALOGUE),
    seen_bytes: int | None = None,
    **readings: float,
) -> Bandwidth | None:
    told = {key: value for key, value in (READINGS | readings).items() if value == value}
    nodes = request.nodes if request is not None else ("n1",)
    job = JobStatus("j1", "qwen", "vLLM", nodes, state, 0, readings=tuple(told.items()))
    plan = None
    if request is not None:
        endpoint = Endpoint("n1", "127.0.0.1", 8000, "qwen")
        ledger = MemoryLedger("n1", None, None, seen_bytes, None, None)
        plan = LaunchPlan("j1", request, "qwen", Playbook("", ()), Playbook("", ()), endpoint, (ledger,), ())
    return Bandwidths(Latest((job,)), lambda _job_id: plan, catalogue).of("j1")


def reason(**changes: object) -> str:
    found = compute(**changes)  # type: ignore[arg-type]
    assert found is not None
    assert found.gb_per_s != found.gb_per_s
    return found.reason


def test_the_published_row_comes_out_within_a_tenth() -> None:
    found = compute()
    assert found is not None
    assert (found.reason, found.origin) == ("", "computed")
    assert found.gb_per_s == pytest.approx(178, rel=0.1)  # Source: published: 30.3 tok/s, BF16, one node


def test_several_requests_read_more_experts_but_not_as_often() -> None:
    name = "nvidia/Qwen3.6-35B-A3B-NVFP4"
    request = REQUEST.model_copy(update={"model": name})
    alone = compute(request, generated_tokens_per_s=60.0)
    together = compute(request, generated_tokens_per_s=200.0, requests_running=8.0)
    assert alone is not None
    assert together is not None
    assert alone.step_bytes < together.step_bytes < 24e9
    assert together.reason == ""


def test_every_mixture_of_the_catalogue_can_be_computed_for_several_requests() -> None:
    mixtures = [spec for spec in CATALOGUE if spec.active_parameters is not None]
    assert len(mixtures) >= 15
    for spec in mixtures:
        request = REQUEST.model_copy(update={"model": spec.name})
        request = request.model_copy(update={"nodes": tuple(f"n{number}" for number in range(8))})
        found = compute(request, generated_tokens_per_s=2.0, requests_running=4.0)
        assert found is not None
        assert found.reason == ""


def test_what_the_cache_holds_is_read_too_by_its_type() -> None:
    llama = REQUEST.model_copy(update={"model": "meta-llama/Llama-3.1-8B-Instruct"})
    empty = compute(llama, generated_tokens_per_s=10.0)
    full = compute(llama, generated_tokens_per_s=10.0, kv_tokens=20_000.0)
    half = compute(llama.model_copy(update={"kv_dtype": "fp8"}), generated_tokens_per_s=10.0, kv_tokens=20_000.0)
    assert empty is not None
    assert full is not None
    assert half is not None
    per_token = 32 * 2 * 8 * 128
    assert full.step_bytes - empty.step_bytes == pytest.approx(20_000 * per_token * 2)
    assert half.step_bytes - empty.step_bytes == pytest.approx(20_000 * per_token)


def test_weights_of_another_form_are_as_large_as_the_file_that_was_seen() -> None:
    llama = REQUEST.model_copy(update={"model": "meta-llama/Llama-3.1-8B-Instruct", "quantization": "Q3_K_S"})
    assert "weights take is not known" in reason(request=llama)
    found = compute(llama, generated_tokens_per_s=30.0, seen_bytes=5_000_000_000)
    assert found is not None
    assert found.gb_per_s == pytest.approx(150)
    two = llama.model_copy(update={"nodes": ("n1", "n2")})
    assert "weights take is not known" in reason(request=two, seen_bytes=5_000_000_000)


def test_two_nodes_have_twice_the_peak() -> None:
    one, two = compute(), compute(REQUEST.model_copy(update={"nodes": ("n1", "n2")}))
    assert one is not None
    assert two is not None
    assert two.share == pytest.approx(one.share / 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"request": None}, "How this deployment was started is not known"),
        ({"catalogue": ()}, "not in the catalogue"),
        ({"generated_tokens_per_s": float("nan")}, "does not say how many tokens"),
        ({REQUESTS_RUNNING: float("nan")}, "does not say how many tokens"),
        ({REQUESTS_RUNNING: 0.0}, "No request runs"),
        ({KV_TOKENS: float("nan")}, "How many tokens the KV cache holds"),
        ({SPECULATION: 12.0}, "several tokens a step"),
        ({"request": REQUEST.model_copy(update={"kv_dtype": "q6"})}, "KV type q6"),
        ({"generated_tokens_per_s": 900.0}, "do not agree"),
    ],
)
def test_what_is_not_known_gives_a_reason_and_no_figure(changes: dict[str, object], words: str) -> None:
    assert words in reason(**changes)


@pytest.mark.parametrize(
    "flag", ["--speculative-config", "--speculative_config={}", "--spec-type", "-md", "--draft-max", "--model-draft"]
)
def test_a_launch_that_guesses_ahead_gives_a_reason(flag: str) -> None:
    assert "speculative" in reason(request=REQUEST.model_copy(update={"extra_flags": ("--enforce-eager", flag)}))


def test_a_job_that_does_not_run_has_no_bandwidth() -> None:
    for state in JobState:
        assert (compute(state=state) is None) == (state is not JobState.READY)
    assert Bandwidths(Latest(()), lambda _job_id: None, CATALOGUE).of("j1") is None


def test_more_active_experts_than_there_are_is_an_error_of_the_catalogue() -> None:
    text = b'[[model]]\nname = "a"\ntitle = "a"\nexperts = { total = 4, active = 8 }\n'
    with pytest.raises(SettingsError):
        read_catalogue(text)
