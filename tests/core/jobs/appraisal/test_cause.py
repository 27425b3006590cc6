"""Each cause of a slow server fires on its evidence, and on nothing less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.jobs.appraisal.cause import Evidence, find_causes
from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.jobs.request import LaunchRequest

REQUEST = LaunchRequest(engine="vllm", model="openai/gpt-oss-120b", nodes=("spark-a",), served_name="gpt-oss")
QUIET = Evidence(
    REQUEST,
    "MXFP4",
    {"version": "0.33.0", "moe_backend": "MARLIN", "attention_backend": "FLASHINFER"},
    clock_mhz=2411.0,
    clock_max_mhz=3003.0,
    power_capped=0.1,
    swap_used_bytes=2.0 * GIB,
    memory_waiting=0.0,
)
"""A server of which nothing is wrong: swap is in use, and nobody waits for it."""


def told(**words: str) -> Evidence:
    return replace(QUIET, words=dict(QUIET.words) | words)


def asked(**fields: object) -> Evidence:
    return replace(QUIET, request=REQUEST.model_copy(update=fields))


FIRING = {
    "processor": told(offloaded="no usable GPU was found"),
    "eager": told(eager="yes"),
    "moe_backend": told(moe_backend="TRITON"),
    "attention_backend": told(attention_backend="TORCH_SDPA"),
    "clock": replace(QUIET, clock_mhz=850.0),
    "power": replace(QUIET, power_capped=0.4),
    "swap": replace(QUIET, memory_waiting=0.12),
    "neighbour": replace(QUIET, neighbours=(("gemma", 40.0),)),
    "build": replace(QUIET, version_before="0.32.0"),
}


@pytest.mark.parametrize("key", FIRING)
def test_each_cause_is_named_by_its_own_evidence(key: str) -> None:
    (cause,) = find_causes(FIRING[key])
    assert cause.key == key
    assert cause.words
    assert cause.evidence
    assert cause.remedy


def test_where_nothing_was_seen_no_cause_is_named() -> None:
    assert find_causes(QUIET) == ()
    assert find_causes(Evidence()) == ()


def test_causes_come_in_the_order_in_which_they_usually_cost_most() -> None:
    seen = Evidence(
        REQUEST,
        "NVFP4",
        {"eager": "yes", "moe_backend": "TRITON", "attention_backend": "TORCH_SDPA", "version": "1.0"},
        clock_mhz=800.0,
        power_capped=0.9,
        swap_used_bytes=9.0 * GIB,
        memory_waiting=0.5,
        neighbours=(("gemma", 4.0),),
        version_before="0.9",
    )
    order = ("eager", "moe_backend", "attention_backend", "clock", "power", "swap", "neighbour", "build")
    assert tuple(cause.key for cause in find_causes(seen)) == order


@pytest.mark.parametrize(
    "seen",
    [
        asked(build="eager", extra_flags=("--enforce-eager",)),  # the plan reckons with it
        told(moe_backend="flashinfer_cutlass"),
        replace(told(moe_backend="TRITON"), weights="BF16"),
        told(attention_backend="Flash Attention enabled"),
        told(offloaded="31/31"),
        replace(QUIET, clock_mhz=2200.0),
        replace(QUIET, neighbours=(("gemma", 0.0), ("qwen", float("nan")))),
        replace(QUIET, version_before="0.33.0"),
        asked(image="nvcr.io/nvidia/vllm:26.05-py3"),
        asked(image="vllm/vllm-openai:v0.33.0"),
    ],
)
def test_what_only_looks_like_a_cause_names_none(seen: Evidence) -> None:
    assert find_causes(seen) == ()


@pytest.mark.parametrize(
    ("seen", "key", "words"),
    [
        (asked(extra_flags=("--enforce-eager",)), "eager", "--enforce-eager"),
        (asked(moe_backend="cutlass"), "moe_backend", "MARLIN"),
        (asked(attention_backend="triton"), "attention_backend", "FLASHINFER"),
        (told(attention_backend="Flash Attention disabled"), "attention_backend", "disabled"),
        (told(offloaded="20/31"), "processor", "20/31"),
        (replace(QUIET, clock_mhz=1800.0), "clock", "1,800 MHz"),
        (asked(image="vllm/vllm-openai:v0.30.1"), "build", "0.33.0"),
    ],
)
def test_the_evidence_has_the_words_of_its_source(seen: Evidence, key: str, words: str) -> None:
    (cause,) = find_causes(seen)
    assert cause.key == key
    assert words in cause.evidence
