"""A GPU's clock is judged under load only, and a Spark in its slow state fails with what helps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.proof.judge import measure
from sparkdesk.core.bringup.proof.judge_speed import read_clock
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofKind
from sparkdesk.core.bringup.proof.speed_steps import LOAD_S
from sparkdesk.core.bringup.proof.verdict import open_parts, verdict_words
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.probes.doctor_gpu import SLOW_STATE_REMEDY
from sparkdesk.core.step import Confirm, Run
from tests.core.bringup.cases import IMAGE, make_case, with_node
from tests.core.bringup.proof.proofs import Proof, clock, make_proof

PAIR = make_proof(2, Shape.PAIR)


def judged(*texts: str, proof: Proof = PAIR, results: dict[str, str] | None = None) -> Measurement:
    """What comes of the clocks when the nodes print these."""
    (item,) = proof.of(ProofKind.GPU_CLOCK)
    outputs = dict(zip(item.step_ids, texts, strict=True))
    return measure(item, outputs, proof.results if results is None else results, case_is_simulated=False)


def ask_steps(proof: Proof) -> list[str]:
    """The ids of the steps that ask a person."""
    return [step.id for step in proof.playbook.steps() if any(isinstance(action, Confirm) for action in step.apply)]


def test_full_speed_passes_and_the_slowest_node_is_the_figure() -> None:
    found = judged(clock(2431.0), clock(2411.0))
    assert (found.grade, found.value, found.unit, found.causes) == (Grade.PASS, 2.411, "GHz", ())
    assert found.message == "2.43 on spark-1, 2.41 on spark-2, loaded to 96 % · healthy from 1.4 GHz"


def test_each_node_has_its_own_figure_and_one_that_told_nothing_has_none() -> None:
    found = judged(clock(2431.0), clock(932.0))
    assert [(one.node_id, one.grade, one.value) for one in found.by_node] == [
        ("n1", Grade.PASS, 2.431),
        ("n2", Grade.FAIL, 0.932),
    ]
    assert "the slow state" in found.by_node[1].message
    half = judged(clock(2431.0), "")
    assert [(one.grade, one.value) for one in half.by_node] == [(Grade.PASS, 2.431), (Grade.UNREAD, None)]


def test_where_it_was_left_out_the_verdict_says_so_and_no_node_has_a_figure() -> None:
    rest = (replace(judged(clock(2411.0), clock(2411.0)), item=PAIR.of(ProofKind.ALL_GATHER)[0]),)
    left_out = measure(PAIR.of(ProofKind.GPU_CLOCK)[0], {}, {"proof-ask": "failed"}, case_is_simulated=False)
    assert (left_out.grade, left_out.by_node) == (Grade.SKIPPED, ())
    assert open_parts((*rest, left_out)) == ("full speed",)
    assert verdict_words((*rest, left_out)) == "NCCL proved, full speed not proved"
    assert verdict_words((*rest, judged(clock(2411.0), clock(2411.0)))) == "proved"


@pytest.mark.parametrize(
    ("mhz", "grade"),
    [(500.0, Grade.FAIL), (950.0, Grade.FAIL), (999.0, Grade.FAIL), (1000.0, Grade.WARN), (1399.0, Grade.WARN),
     (1400.0, Grade.PASS)],
)  # fmt: skip
def test_the_marks_are_the_doctors(mhz: float, grade: Grade) -> None:
    found = judged(clock(2411.0), clock(mhz))
    assert (found.grade, found.value) == (grade, mhz / 1000)
    assert found.remedy == ("" if grade is Grade.PASS else SLOW_STATE_REMEDY)


def test_the_slow_state_is_named_with_its_node_and_its_power() -> None:
    found = judged(clock(2411.0), clock(932.0, watts=44.0))
    assert found.causes == (
        "spark-2: 932 MHz at 96 % utilization and 44 W: the slow state, in which everything runs at a third of its "
        "speed",
    )
    assert "pull its power adapter" in found.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (clock(2411.0, percent=12.0), "spark-2: the load was seen in 0 of 9 readings only"),
        (clock(2411.0, percent=None), "spark-2: the load was seen in 0 of 9 readings only"),
        (clock(208.0, percent=3.0), "spark-2: the load was seen in 0 of 9 readings only"),
        (clock(None), "spark-2: nvidia-smi tells no clock"),
        (clock(0.0), "spark-2: nvidia-smi tells no clock"),
        (clock(9e9), "spark-2: nvidia-smi tells no clock"),
        (clock(2411.0, samples=[]), "spark-2: no reading of the GPU came"),
        (clock(1.0, samples=[], trouble="nvidia-smi: No devices"), "spark-2: nvidia-smi: No devices"),
        (clock(1.0, ok=False, message="1.0 GiB are available\n", remedy="Stop it."), "spark-2: 1.0 GiB are"),
        ("", "It printed nothing that can be read"),
        ("{}\n[1]\n", "spark-2: [1]"),
    ],
)  # fmt: skip
def test_what_was_not_seen_under_load_is_unknown_and_never_a_pass(text: str, words: str) -> None:
    found = judged(clock(2411.0), text)
    assert (found.grade, found.value) == (Grade.UNREAD, None)
    assert found.message.startswith(words)
    assert found.remedy


def test_a_slow_node_fails_beside_one_that_told_nothing() -> None:
    assert judged("", clock(800.0)).grade is Grade.FAIL


def test_a_node_without_docker_or_image_leaves_it_out() -> None:
    for words in ("docker: No such file or directory\n", "Unable to find image 'x' locally\n"):
        text = words + json.dumps({"kind": "gpu_load", "ok": False, "samples": [], "message": words.strip()})
        assert judged(clock(2411.0), text).grade is Grade.SKIPPED


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "gpu_load", "samples": 7}', '{"kind": "gpu_load", "samples": [[1, 2], "x", null]}',
        '{"kind": "gpu_load", "samples": [{"mhz": "NaN", "percent": true}, {"percent": 1e999}]}', "{" * 5000,
        '{"kind": "gpu_load", "message": "\\u001b[31mred\\u202e"}', '{"kind": ["gpu_load"]}',
    ],
)  # fmt: skip
def test_whatever_a_node_prints_is_read_as_no_clock(line: str) -> None:
    found = read_clock(line)
    assert found is None or (found.mhz is None and found.message.isprintable())


def test_every_node_is_loaded_at_once_briefly_with_its_memory_bounded_and_without_network() -> None:
    (item,) = PAIR.of(ProofKind.GPU_CLOCK)
    stage = PAIR.playbook.stages[-1]
    assert [step.id for step in stage.steps] == list(item.step_ids)
    assert stage.max_parallel == 2
    assert 3 <= LOAD_S <= 6
    for number, step in enumerate(stage.steps):
        (watch,) = [one.command.argv for one in step.apply if isinstance(one, Run) and "watch" in one.command.argv]
        text = " ".join(watch)
        assert text.startswith(
            "python3 /home/nvidia/.local/state/sparkdesk/bringup/a1b2c3/gpu_load.py watch --limit-s "
        )
        assert f"docker run --rm --pull never --name sparkdesk-proof-a1b2c3-clock-{number} " in text
        assert " --network none --gpus all --memory 8589934592 --memory-swap 8589934592 " in text
        assert text.endswith(f"{IMAGE} -k 10 120 python3 /sparkdesk/gpu_load.py load --seconds {LOAD_S}")
        removal = next(one.command.argv for one in step.undo if isinstance(one, Run))
        assert removal == ("docker", "rm", "--force", f"sparkdesk-proof-a1b2c3-clock-{number}")


def test_jobs_that_run_are_asked_about_once_and_a_no_leaves_the_clock_out() -> None:
    busy = {"n1": ("gpt-oss-120b",)}
    assert ask_steps(make_proof(2, Shape.PAIR, busy=busy)) == ["proof-ask"]
    alone = make_proof(1, Shape.SINGLE, busy=busy)
    assert ask_steps(alone) == ["proof-ask"]
    assert ask_steps(PAIR) == []
    assert judged("", proof=alone, results={"proof-ask": "cancelled"}).grade is Grade.SKIPPED


def test_it_is_left_out_with_the_reason() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    left_out = {
        "No image was chosen.": replace(case, choices=Choices(picks_image=False)),
        f"{IMAGE} is not on spark-2.": with_node(case, "n2", images=("other:1",)),
        "The GPU's driver does not answer on spark-2.": with_node(
            case, "n2", driver="", problems={"driver": "no such file"}
        ),
        "SparkDesk's program for it is missing: install SparkDesk again.": replace(case, programs={}),
        "The home folder of spark-1 is not known.": with_node(case, "n1", home="/home/$(x)"),
    }
    for why, one in left_out.items():
        (item,) = make_proof(2, Shape.PAIR, one).of(ProofKind.GPU_CLOCK)
        assert (item.skipped, item.step_ids) == (why, ())
