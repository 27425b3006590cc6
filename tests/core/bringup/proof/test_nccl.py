"""Each image that can serve is asked for its NCCL on every node that has it, and the versions are compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.proof.image_choice import MOST_ASKED, other_images, torch_images, with_image
from sparkdesk.core.bringup.proof.judge import judge_all
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofKind
from sparkdesk.core.bringup.report import plan_json, plan_markdown
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.jobs.image import read_images
from sparkdesk.core.step import Run
from tests.core.bringup.cases import make_case, with_node
from tests.core.bringup.proof.proofs import Proof, gather, make_proof

TABLE = torch_images(read_images((Path(__file__).parents[4] / "resources" / "images.toml").read_bytes()))
VLLM, SGLANG, TRTLLM = TABLE[0], "lmsysorg/sglang:latest-cu130", "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13"
LLAMA, OLLAMA = "ghcr.io/ggml-org/llama.cpp:server-cuda", "ollama/ollama:latest"


def case_with(*images: tuple[str, ...], choices: Choices = Choices()) -> Case:  # noqa: B008 - a frozen value
    """Ready nodes on a switch, each with these images."""
    case = make_case(len(images), Shape.SWITCH, is_ready=True, choices=choices, torch_images=TABLE)
    for node_id, there in zip(case.node_ids, images, strict=True):
        case = with_node(case, node_id, images=there)
    return case


def proof_of(*images: tuple[str, ...], choices: Choices = Choices()) -> Proof:  # noqa: B008 - a frozen value
    """The proof of such nodes."""
    case = case_with(*images, choices=choices)
    return make_proof(len(images), Shape.SWITCH, case)


def asked(proof: Proof) -> list[tuple[str, str]]:
    """(image, node) in the order in which they are asked."""
    found = []
    for step in proof.playbook.steps():
        if step.id.startswith("proof-nccl-"):
            (run,) = step.apply
            assert isinstance(run, Run)
            argv = run.command.argv
            assert argv[argv.index("--pull") + 1] == "never"
            found.append((argv[argv.index("--entrypoint") + 2], step.node))
    return found


def judged(proof: Proof, versions: Mapping[tuple[str, str], str], *, busbw: float = 23.74) -> dict[str, Measurement]:
    """What each item comes to where these (image, node) print something else than 2.28.9; by image, or by kind."""
    outputs = dict(proof.outputs)
    for item in proof.of(ProofKind.ALL_GATHER):
        outputs |= {part.step_id: gather(item, part, busbw, len(item.node_ids)) for part in item.parts}
    for item in proof.of(ProofKind.NCCL_IMAGE):
        for part in item.parts:
            outputs[part.step_id] = versions.get((item.image, part.source.node_id), "(2, 28, 9)")
    found = judge_all(proof.items, outputs, proof.results, False)
    return {one.item.image if one.item.kind is ProofKind.NCCL_IMAGE else one.item.kind.value: one for one in found}


def test_every_image_that_can_serve_is_asked_where_it_is_the_chosen_one_first() -> None:
    proof = proof_of((SGLANG, VLLM, LLAMA), (VLLM, TRTLLM, OLLAMA), (VLLM, SGLANG))
    assert asked(proof) == [
        (VLLM, "n1"), (VLLM, "n2"), (VLLM, "n3"), (SGLANG, "n1"), (SGLANG, "n3"), (TRTLLM, "n2"),
    ]  # fmt: skip
    items = proof.of(ProofKind.NCCL_IMAGE)
    assert [item.title for item in items] == [f"NCCL in {VLLM}", f"NCCL in {SGLANG}", f"NCCL in {TRTLLM}"]
    assert [item.note for item in items] == ["", "Not on spark-2.", "Not on spark-1, spark-3."]
    stages = [stage for stage in proof.playbook.stages if stage.steps[0].id.startswith("proof-nccl")]
    assert [len(stage.steps) for stage in stages] == [stage.max_parallel for stage in stages] == [3, 2, 1]


def test_an_image_that_only_some_nodes_have_fails_nothing() -> None:
    found = judged(proof_of((VLLM, SGLANG), (VLLM,), (VLLM, SGLANG)), {})
    assert found[SGLANG].grade is Grade.PASS
    assert found[SGLANG].message.startswith("2.28.9 on spark-1, spark-3, with which others measured")
    assert found[SGLANG].message.endswith("Not on spark-2.")
    assert found[VLLM].message.startswith("2.28.9 on all 3 nodes")


def test_an_image_that_went_meanwhile_is_named_beside_what_the_others_told() -> None:
    gone = "docker: Error response from daemon: No such image: x"
    found = judged(proof_of((VLLM, SGLANG), (VLLM, SGLANG)), {(SGLANG, "n2"): gone})
    assert (found[SGLANG].grade, found[SGLANG].message[-15:]) == (Grade.PASS, "Not on spark-2.")
    assert judged(proof_of((VLLM,), (VLLM,)), {(VLLM, "n1"): gone, (VLLM, "n2"): gone})[VLLM].grade is Grade.SKIPPED


def test_unequal_versions_of_another_image_stand_out_and_do_not_explain_the_all_gather() -> None:
    found = judged(proof_of((VLLM, SGLANG), (VLLM, SGLANG)), {(SGLANG, "n2"): "(2, 27, 3)"})
    assert (found[VLLM].grade, found[SGLANG].grade) == (Grade.PASS, Grade.WARN)
    assert found[SGLANG].message.startswith("2.28.9 on spark-1, 2.27.3 on spark-2")
    assert found[SGLANG].remedy == "Put the same image, by its digest, on every node."
    assert found["all_gather"].grade is Grade.PASS
    slow = judged(proof_of((VLLM, SGLANG), (VLLM, SGLANG)), {(SGLANG, "n2"): "(2, 27, 3)"}, busbw=3.0)
    assert not any("NCCL in the nodes' images" in cause for cause in slow["all_gather"].causes)
    assert not any("does not fit the GB10" in cause for cause in slow["all_gather"].causes), "the chosen one's is good"
    assert judged(proof_of((VLLM, SGLANG), (VLLM, SGLANG)), {(VLLM, "n2"): "(2, 27, 3)"})[VLLM].grade is Grade.FAIL


def test_an_all_gather_does_not_prove_an_image_with_another_nccl() -> None:
    found = judged(
        proof_of((VLLM, SGLANG), (VLLM, SGLANG)), {(SGLANG, "n1"): "(2, 27, 3)", (SGLANG, "n2"): "(2, 27, 3)"}
    )
    assert found[SGLANG].grade is Grade.PASS
    assert found[SGLANG].message == (
        "2.27.3 on all 2 nodes. The all_gather ran in another image, with 2.28.9: it does not prove this one."
    )
    assert "another image" not in found[VLLM].message


@pytest.mark.parametrize(("host", "is_said"), [("2.28.9-1+cuda13.0", False), ("2.27.7-1+cuda12.9", True)])
def test_a_hosts_nccl_that_no_image_has_is_told_beside_theirs(host: str, is_said: bool) -> None:
    case = case_with((VLLM,), (VLLM,))
    for node_id in case.node_ids:
        case = with_node(case, node_id, nccl=host)
    found = judged(make_proof(2, Shape.SWITCH, case), {})["nccl_host"]
    assert found.grade is Grade.PASS
    assert ("In the images: 2.28.9; what runs in one uses its own NCCL, not the host's." in found.message) is is_said


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'",
        'docker: Error response from daemon: exec: "python3": executable file not found in $PATH: unknown.',
        "AttributeError: module 'torch._C' has no attribute '_nccl_version'",
    ],
)
def test_an_image_without_pytorch_is_left_out_and_no_fault(text: str) -> None:
    odd = "mine/vllm-proxy:1"
    found = judged(proof_of((VLLM, odd), (VLLM, odd)), {(odd, "n1"): text, (odd, "n2"): text})
    assert (found[odd].grade, found[odd].remedy) == (Grade.SKIPPED, "")
    assert "It has no PyTorch with NCCL, by what it says on spark-1" in found[odd].message


def test_some_images_are_asked_and_the_others_are_named() -> None:
    many = tuple(TABLE[:9])
    proof = proof_of(many, many)
    assert len({image for image, _ in asked(proof)}) == MOST_ASKED
    *_, rest = proof.of(ProofKind.NCCL_IMAGE)
    assert rest.title == "NCCL in 5 more images"
    assert rest.skipped == f"Not asked, so that the proof stays short: {', '.join(TABLE[4:9])}."
    assert rest.step_ids == ()


def test_what_most_nodes_have_comes_first_and_of_equals_the_best() -> None:
    case = with_image(case_with(("mine/vllm:a", "mine/vllm:b", VLLM), (VLLM, "mine/vllm:b", SGLANG)))
    assert other_images(case) == ("mine/vllm:b", SGLANG, "mine/vllm:a")
    assert other_images(case_with((LLAMA, OLLAMA, "-v/:/x-vllm"), ())) == ()


def test_where_no_image_is_on_all_nodes_each_is_asked_and_the_all_gather_says_why_not() -> None:
    proof = proof_of((VLLM,), (SGLANG,))
    assert asked(proof) == [(VLLM, "n1"), (SGLANG, "n2")]
    first, *others = proof.of(ProofKind.NCCL_IMAGE)
    assert "No image is on all nodes" in first.skipped
    assert [item.image for item in others] == [VLLM, SGLANG]
    (gather,) = proof.of(ProofKind.ALL_GATHER)
    assert gather.skipped == first.skipped


def test_who_wants_no_image_is_asked_for_none() -> None:
    proof = proof_of((VLLM,), (VLLM,), choices=Choices(picks_image=False))
    assert asked(proof) == []
    assert [item.skipped for item in proof.of(ProofKind.NCCL_IMAGE)] == ["No image was chosen."]


def test_a_persons_image_is_asked_where_nobody_knows_what_there_is_and_of_the_others_that_is_said() -> None:
    case = case_with((VLLM, SGLANG), (), (), choices=Choices(image=VLLM))
    case = with_node(case, "n2", docker="", docker_problem="denied")
    proof = make_proof(3, Shape.SWITCH, case)
    assert asked(proof) == [(VLLM, "n1"), (VLLM, "n2"), (SGLANG, "n1")]
    assert [item.note for item in proof.of(ProofKind.NCCL_IMAGE)] == [
        "Not on spark-3.", "Not on spark-3. Whether it is on spark-2 is not known.",
    ]  # fmt: skip
    (gather_item,) = proof.of(ProofKind.ALL_GATHER)
    assert gather_item.skipped == f"{VLLM} is not on spark-3."


def test_the_plan_names_each_image_in_both_its_forms() -> None:
    plan = make_plan(case_with((VLLM, SGLANG), (VLLM,)), 7)
    said, data = plan_markdown(plan), plan_json(plan).decode()
    for image in (VLLM, SGLANG):
        assert f"NCCL in {image}" in said
        assert f'"image": "{image}"' in data
    assert "Not on spark-2." in said
