"""Training on several nodes: published scaling rows, what physics promises, and what fits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import PlanError, SettingsError
from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec
from sparkdesk.core.planning.figure import total_s
from sparkdesk.core.planning.place import Device, Link, NodeRoom, Place
from sparkdesk.core.planning.training.case import MeasuredRun, TrainingCase, find_cases, read_training
from sparkdesk.core.planning.training.plan import METHODS, TrainingQuestion, TrainingRow, plan_training
from sparkdesk.paths import resources_dir

TABLE = (resources_dir() / "planning" / "training.toml").read_bytes()
CASES = read_training(TABLE)
GB10 = Device("gb10", "DGX Spark", 1 << 37, 273.0, {16: 125.0}, 175.0, is_fitted=True)
DEVICES = {"gb10": GB10}
CABLE = Link(20.0, 3e-5)
SCALED = [(case, run) for case in CASES for run in case.measured]


def llama(billions: float, layers: int, hidden: int) -> ModelSpec:
    group = LayerGroup(LayerKind.FULL, layers, 8, 128)
    return ModelSpec("llama", "Llama", round(billions * 1e9), hidden_size=hidden, layers=(group,))


SMALL, LARGE = llama(8, 32, 4096), llama(70, 80, 8192)


def place(nodes: int, link: Link | None = CABLE, clock: float = 1.0) -> Place:
    rooms = tuple(NodeRoom(f"n{i}", f"n{i}", sm_clock_share=clock if i == 0 else 1.0) for i in range(nodes))
    return Place(rooms, link)


def first(question: TrainingQuestion) -> TrainingRow:
    return plan_training(question, CASES, DEVICES)[0]


@pytest.mark.parametrize(("case", "run"), SCALED, ids=lambda value: getattr(value, "key", None) or f"{value.nodes}")
def test_every_published_row_comes_out_within_a_twentieth(case: TrainingCase, run: MeasuredRun) -> None:
    row = first(TrainingQuestion(case.method, case.key, place(run.nodes)))
    figure = row.tok_s if case.unit == "tokens" else row.samples_s
    assert figure.value == pytest.approx(run.unit_per_s, rel=0.05)
    assert figure.low <= run.unit_per_s <= figure.high
    assert row.leans_on is not None
    assert row.leans_on.title.startswith(case.source)
    assert row.is_fitted
    assert row.fit is Fit.FITS  # it ran there


def test_a_step_is_the_sum_of_its_parts() -> None:
    for method in ("ddp", "fsdp", "lora"):
        row = first(TrainingQuestion(method, "llama", place(4, Link(0.5, 1e-4)), SMALL))
        assert total_s(row.parts) == pytest.approx(row.step_s.value)
        assert {part.key for part in row.parts} == {"compute", "communication"}


def test_a_slow_cable_shows_and_one_node_needs_none() -> None:
    fast = first(TrainingQuestion("ddp", "qwen3-4b", place(3)))
    slow = first(TrainingQuestion("ddp", "qwen3-4b", place(3, Link(0.5, 1e-4))))
    assert {part.key: part.seconds for part in slow.parts}["communication"] > 1.0
    assert {part.key: part.seconds for part in fast.parts}["communication"] == 0.0  # hidden, as the published row says
    assert slow.samples_s.value < fast.samples_s.value
    alone = first(TrainingQuestion("ddp", "qwen3-4b", place(1, Link(0.001, 1.0))))
    assert alone.step_s.value == pytest.approx(15.73)


def test_the_slowest_node_decides() -> None:
    row = first(TrainingQuestion("ddp", "qwen3-4b", place(2, clock=0.5)))
    assert row.step_s.value == pytest.approx(2 * 15.73)


def test_rows_come_for_all_nodes_first_then_for_fewer() -> None:
    rows = plan_training(TrainingQuestion("ddp", "Qwen/Qwen3-4B", place(3)), CASES, DEVICES)
    assert [row.nodes for row in rows] == [3, 2, 1]
    assert [row.batch for row in rows] == [96, 64, 32]
    every = plan_training(TrainingQuestion("", "llama", place(2), SMALL), CASES, DEVICES)
    assert {row.method for row in every} == {"ddp", "fsdp", "lora", "qlora"}
    fits = [row.fit in (Fit.FITS, Fit.TIGHT) for row in every if row.nodes == 2]
    assert fits == sorted(fits, reverse=True)


def test_a_workload_is_found_by_any_of_its_names() -> None:
    for words in ("isaac", "ISAAC-RL", "nanochat", "qwen3-4b", "qwen/qwen3-4b", " Qwen3-4B "):
        assert find_cases(CASES, words), words
    assert not find_cases(CASES, "qwen3-40b")
    assert {case.method for case in find_cases(CASES, "qwen3-4b")} == {"ddp", "lora"}


def test_a_model_without_a_measured_row_is_an_estimate_and_says_so() -> None:
    row = first(TrainingQuestion("lora", "llama", place(1), SMALL))
    assert not row.is_fitted
    assert row.leans_on is None
    assert "not fitted" in row.why
    assert row.step_s.high > 1.5 * row.step_s.low
    # 8B x 6 operations x 4 x 2048 tokens at 40 % of 125 TFLOPS
    assert row.step_s.value == pytest.approx(8e9 * 6 * 8192 / (0.40 * 125e12))
    unknown = plan_training(TrainingQuestion("lora", "llama", place(1), SMALL), CASES, {})[0]
    assert not unknown.step_s.is_known


def test_the_published_fine_tunes_fit_where_they_ran() -> None:
    """NVIDIA's playbook: 3B in full, 8B with LoRA and 70B with QLoRA on one node; 70B with LoRA on two."""
    cases = [("full", llama(3.2, 28, 3072), 1), ("lora", SMALL, 1), ("qlora", LARGE, 1), ("lora", LARGE, 2)]
    for method, spec, nodes in cases:
        row = first(TrainingQuestion(method, "llama", place(nodes), spec, batch=1))
        assert row.fit in (Fit.FITS, Fit.TIGHT), (method, row.fit)
        assert row.is_sharded == (method == "lora" and nodes == 2)
    for method, spec in (("lora", LARGE), ("full", SMALL)):
        row = first(TrainingQuestion(method, "llama", place(1), spec, batch=1))
        assert row.fit is Fit.TOO_BIG
        assert row.problems[-1].remedy


def test_memory_parts_and_what_is_left_sum_to_the_node() -> None:
    (memory,) = first(TrainingQuestion("ddp", "llama", place(1), SMALL)).memory
    parts = (
        memory.weights_bytes, memory.gradients_bytes, memory.optimizer_bytes, memory.activations_bytes,
        memory.runtime_bytes, memory.others_bytes, memory.reserve_bytes, memory.free_bytes,
    )  # fmt: skip
    assert sum(part for part in parts if part is not None) == memory.total_bytes


def test_what_is_not_known_or_absurd_is_refused_with_a_way_on() -> None:
    for question in (
        TrainingQuestion("magic", "qwen3-4b", place(1)),
        TrainingQuestion("ddp", "nobody/knows", place(1)),
        TrainingQuestion("ddp", "qwen3-4b", Place(())),
        TrainingQuestion("ddp", "qwen3-4b", place(1), batch=0),
        TrainingQuestion("ddp", "qwen3-4b", place(1), sequence_tokens=10**12),
        TrainingQuestion("lora", "qwen3-4b", place(1), rank=-1),
        TrainingQuestion("ddp", "llama", place(1), ModelSpec("llama", "Llama")),
    ):
        with pytest.raises(PlanError) as refused:
            plan_training(question, CASES, DEVICES)
        assert refused.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        b"[[case]]\n",
        b"[[case]\n",
        b"\xff",
        TABLE.replace(b"nodes = 1\n", b"nodes = 5\n"),
        TABLE.replace(b"unit_per_s = 630.0", b"unit_per_s = inf"),
        TABLE.replace(b"batch = 32\n", b"batch = 0\n"),
    ],
)
def test_a_damaged_table_is_refused(text: bytes) -> None:
    assert text != TABLE
    with pytest.raises(SettingsError):
        read_training(text)


METHOD = st.sampled_from([method for method in METHODS if method not in ("pretrain", "rl")])


@given(METHOD, st.integers(1, 8), st.floats(0.1, 50.0), st.floats(0.1, 1.0), st.integers(1, 64))
def test_directions_are_what_physics_promises(
    method: str, nodes: int, gb_per_s: float, clock: float, batch: int
) -> None:
    def ask(count: int, rate: float, share: float) -> TrainingRow:
        question = TrainingQuestion(method, "llama", place(count, Link(rate, 3e-5), share), SMALL, batch=batch)
        return first(question)

    row = ask(nodes, gb_per_s, clock)
    assert row.step_s.low <= row.step_s.value <= row.step_s.high
    assert row.samples_s.value * row.step_s.value == pytest.approx(row.batch)
    # Copies never step faster for being more, and all together never make more than one times their number.
    single = ask(1, gb_per_s, clock)
    assert row.step_s.value >= single.step_s.value * (1.0 - 1e-12)
    assert row.samples_s.value <= nodes * single.samples_s.value * (1.0 + 1e-9)
    assert ask(nodes, gb_per_s * 2.0, clock).step_s.value <= row.step_s.value
    assert ask(nodes, gb_per_s, min(1.0, clock * 2.0)).step_s.value <= row.step_s.value * (1.0 + 1e-12)
    # One node more brings no less, unless the cable is what everybody waits for.
    more = ask(nodes + 1, gb_per_s, clock)
    if total_s(tuple(part for part in more.parts if part.key == "communication")) == 0.0:
        assert more.samples_s.value >= row.samples_s.value * (1.0 - 1e-9)
    assert math.isfinite(more.step_s.value)
