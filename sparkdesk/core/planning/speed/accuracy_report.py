"""The accuracy report, as Markdown: docs/accuracy.md.

The one rule: it is made from the cases alone, so that a test can say whether the one in the documents is this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.speed.accuracy import Case, fair_mean_error, fitted_cases, mean_error, orders_of
from sparkdesk.core.planning.speed.calibration import Fitted

_HEAD = "| Case | Source | Measured | Predicted | Error | Without this model |\n|---|---|---:|---:|---:|---:|"


_ASSUMPTIONS = (
    (
        "Weights.",
        "A step reads what every token passes (attention, head, shared experts), and of the routed experts those that "
        "its tokens touch together. Real texts choose alike, so n tokens touch as many experts as "
        "ln(1 + cn) / ln(1 + c) tokens would that choose evenly (`token_likeness` c). Two engines of gpt-oss-120b "
        "agree on it.",
    ),
    (
        "Small batches.",
        "Beside what it reads, each layer of a mixture takes `layer_overhead_s` (router, sorting tokens by expert, "
        "small kernels): a quarter of a step of the tuned gpt-oss-120b with one user, a twenty-fifth with 32. "
        "Dense models and llama.cpp do without. Small kernels over the states of linear layers count from the second "
        "user on (in llama.cpp from the first): found by what fits, not explained.",
    ),
    (
        "What stays off.",
        "The stock gpt-oss-120b with one user is said an eighth too fast: its 16 bit attention reads slower than "
        "the one efficiency of mixtures says, and the other mixtures do not bear a second one. NVIDIA's 4 users that "
        "start together get their first token sooner than the planner says by a fifth: fuller tiles of the experts' "
        "products (each expert gets 160 tokens of a step in place of 40) were tried and explain little of it. "
        "Nemotron 3 Super on TensorRT-LLM was measured at nine tenths of the memory's peak, which no other case "
        "reaches.",
    ),
    (
        "Builds.",
        "A tuned build of an MXFP4 model reads attention and head in 4 bit too; that is the whole difference between "
        "stock and tuned here. Without CUDA graphs every layer adds `eager_overhead_s`, known from one model only.",
    ),
    (
        "Users that start together.",
        "A step takes up to 2,048 tokens of each prompt and 8,192 of all (vLLM, SGLang). So users share the reading of "
        "the weights, and the time to the first token grows slower than their number. This explains NVIDIA's 9 and "
        "12 s for 1 and 2 users, not all of its 15 s for 4; that their prompts shared a cached "
        "part would explain it as well.",
    ),
    (
        "Cable.",
        "An all-reduce takes its latency (measured: 8 KiB in 30 to 35 us), 1.69 GB/s up to 128 KiB (measured at 64 "
        "KiB; where it ends is assumed), the cable's rate beyond, and what the engine adds. More than two nodes: as a "
        "tree.",
    ),
    (
        "TP against PP with many users.",
        "gpt-oss-120b on two nodes with 128 users was measured twice as fast with PP as with TP, while up to 32 users "
        "TP gains half. Bytes and cable do not explain that. The planner lets the gain of dividing experts fade as "
        "each expert gets several tokens (`crowded_tokens`): the order is right, the distance is smaller than "
        "measured.",
    ),
    (
        "Not in the model.",
        "Expert parallel, the real acceptance of speculative decoding, prompts that come while others are answered, "
        "power and heat beyond the clock's cap.",
    ),
)
"""What a reader must know to judge the figures."""


def report_of(cases: Sequence[Case], reference: Reference) -> str:
    """The accuracy report, as Markdown."""
    decode, ttft = fitted_cases(cases, "decode"), fitted_cases(cases, "ttft")
    others = [case for case in cases if not case.row.measured.is_fitted]
    parts = [
        "# How accurate the planner is",
        "Made by `python -m sparkdesk accuracy --write`; nobody edits it by hand. Every row is a published measurement "
        'of `resources/planning/measurements.toml`. "Without this model" is what the planner says when the fit never '
        "saw a row of that model: the honest figure for a model that is not in the list.",
        _summary(decode, ttft, orders_of(cases)),
        "## Tokens a second while answering, all users",
        _table(decode, "{:.1f}"),
        "## Seconds to the first token",
        _table(ttft, "{:.2f}"),
        "## Shown, not compared",
        "The source does not say enough about how these were measured, or the planner has no such mode. They fit "
        "nothing and count in no mean.",
        _others(others),
        "## What the model takes for true",
        "\n".join(f"- **{word}** {words}" for word, words in _ASSUMPTIONS),
        "## Parameters",
        "Found by `python -m sparkdesk accuracy --fit` from the rows above; `crowded_tokens` is set by hand so that "
        "the measured order of TP and PP holds. Each model of each source counts once in the fit, however many rows "
        "it has.",
        _parameters(reference.calibration.fitted),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(decode: Sequence[Case], ttft: Sequence[Case], orders: Sequence[tuple[Case, Case]]) -> str:
    right = sum(faster.predicted > slower.predicted for faster, slower in orders)
    rows = [
        ("Decode, mean error", mean_error(case.error for case in decode), 0.10),
        ("Decode, largest error", max(abs(case.error) for case in decode), 0.25),
        ("Decode, mean error on models not seen", mean_error(case.unseen_error for case in decode), 0.16),
        ("Time to the first token, mean error", mean_error(case.error for case in ttft), 0.15),
    ]
    lines = ["| Figure | Value | Wanted | |", "|---|---:|---:|---|"]
    lines += [f"| {name} | {value:.1%} | {bar:.0%} at most | {_met(value <= bar)} |" for name, value, bar in rows]
    lines.append(
        f"| Pairs of TP and PP in the measured order | {right} of {len(orders)} | all | {_met(right == len(orders))} |"
    )
    unseen = mean_error(case.unseen_error for case in ttft)
    fair = fair_mean_error(decode)
    lines.append(f"| Decode, mean error where each model of each source counts once | {fair:.1%} | no bar | |")
    lines.append(f"| Time to the first token, mean error on models not seen | {unseen:.1%} | no bar | |")
    return "\n".join(lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"


def _table(cases: Sequence[Case], form: str) -> str:
    lines = [_HEAD]
    for case in cases:
        figures = " | ".join(form.format(value) for value in (case.measured, case.predicted))
        errors = f"{case.error:+.0%} | {case.unseen_error:+.0%}"
        lines.append(f"| {_conditions(case)} | {case.row.measured.source}{_assumed(case)} | {figures} | {errors} |")
    return "\n".join(lines)


def _others(cases: Sequence[Case]) -> str:
    lines = ["| Case | Source | Measured | Predicted | Why it is not compared |", "|---|---|---:|---:|---|"]
    for case in cases:
        one = case.row.measured
        figures = f"{case.measured:.1f} | {case.predicted:.1f}"
        lines.append(f"| {_conditions(case)} | {one.source}{_assumed(case)} | {figures} | {one.why_not} |")
    return "\n".join(lines)


def _conditions(case: Case) -> str:
    one = case.row.measured
    users = "1 user" if one.users == 1 else f"{one.users} users"
    engine, build = case.row.setup.engine.title, one.build if len(case.row.setup.engine.builds) > 1 else ""
    parts = (
        f"{case.row.setup.spec.title} {one.format}",
        f"{engine} {build}".strip(),
        one.parallelism.label,
        f"{one.prompt_tokens:,}/{one.answer_tokens:,}",
        users,
    )
    return ", ".join(parts)


def _assumed(case: Case) -> str:
    assumed = case.row.measured.assumed
    return f" (assumed: {assumed})" if assumed else ""


def _parameters(fitted: Fitted) -> str:
    lines = ["| Parameter | Value |", "|---|---:|"]
    return "\n".join([*lines, *(f"| `{name}` | {value:.4g} |" for name, value in asdict(fitted).items())])
