"""In which image NCCL is proved where nobody named one, and what is said where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.late_proof import STILL_OPEN, awaits_image, with_later_proof
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.proof.image_choice import LATER_IMAGE, choose_image, torch_images, why_no_image
from sparkdesk.core.bringup.proof.wire import IMAGE
from sparkdesk.core.bringup.report import plan_markdown
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.jobs.image import read_images
from tests.core.bringup.cases import make_case, with_node

TABLE = torch_images(read_images((Path(__file__).parents[4] / "resources" / "images.toml").read_bytes()))
SPARK = "nvcr.io/nvidia/vllm:26.05-py3"
NO_DOCKER_YET: dict[str, Any] = {"docker": "", "docker_problem": "denied", "images": ()}


def case_with(*images: tuple[str, ...], **changes: Any) -> Case:
    """A ready pair whose nodes have these images."""
    case = make_case(2, Shape.PAIR, is_ready=True, choices=Choices(), torch_images=TABLE, **changes)
    for node_id, there in zip(case.node_ids, images, strict=True):
        case = with_node(case, node_id, images=there)
    return case


def test_the_table_names_images_of_engines_that_bring_pytorch() -> None:
    assert TABLE[0] == SPARK
    assert not any("llama" in image or "ollama" in image for image in TABLE)


@pytest.mark.parametrize(
    ("images", "chosen"),
    [
        (("hello-world:latest", "vllm/vllm-openai:latest", SPARK), SPARK),
        (("hello-world:latest", "mine/sglang:x", "nvcr.io/nvidia/vllm:25.01-py3"), "nvcr.io/nvidia/vllm:25.01-py3"),
        (("hello-world:latest", "mine/sglang:x"), "mine/sglang:x"),
        (("hello-world:latest",), ""),
        ((), ""),
    ],
)
def test_the_tables_images_come_first_and_what_may_have_no_pytorch_is_not_taken(
    images: tuple[str, ...], chosen: str
) -> None:
    assert choose_image(case_with(images, images)) == chosen


def test_only_an_image_that_every_node_has_is_taken() -> None:
    assert choose_image(case_with((SPARK, "mine/vllm:x"), ("mine/vllm:x",))) == "mine/vllm:x"


def test_a_persons_choice_stands_also_that_of_none() -> None:
    case = case_with((SPARK,), (SPARK,))
    assert choose_image(replace(case, choices=Choices(image="mine:1"))) == "mine:1"
    none = replace(case, choices=Choices(picks_image=False))
    assert (choose_image(none), why_no_image(none)) == ("", "No image was chosen.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"docker": "", "docker_problem": "absent", "images": ()}, "docker is not installed on spark-2"),
        ({"images": ()}, f"Fetch one on each (docker pull {SPARK}), or bring it there by Models on disk"),
    ],
)
def test_without_an_image_it_is_said_why_and_what_to_do(changes: dict[str, Any], words: str) -> None:
    case = with_node(case_with((SPARK,), (SPARK,)), "n2", **changes)
    assert words in why_no_image(case)


def test_images_without_pytorch_leave_the_choice_to_the_person() -> None:
    assert "choose one yourself" in why_no_image(case_with(("hello-world:latest",), ("hello-world:latest",)))


def test_the_proof_of_a_fresh_box_takes_the_image_that_is_read_after_the_run() -> None:
    ready = case_with((SPARK,), (SPARK,))
    fresh = with_node(ready, "n1", **NO_DOCKER_YET)
    before, after = make_plan(fresh, 7), make_plan(ready, 9)
    assert (before.image, awaits_image(before)) == ("", True)
    assert (after.image, awaits_image(after)) == (SPARK, False)
    late = with_later_proof(before, after)
    assert (late.image, late.proof, late.playbook, late.choices) == (SPARK, after.proof, before.playbook, Choices())
    assert late.proof_items == after.proof_items
    assert late.notes["proof"] == (f"The proof runs in {SPARK}; the plan called it IMAGE until docker answered.",)
    assert any("all-gather" in step.id for step in late.proof.steps())
    assert any(SPARK in item.title for item in late.proof_items)


def test_before_docker_answers_all_that_will_be_measured_is_shown_with_a_placeholder_for_the_image() -> None:
    ready = case_with((SPARK,), (SPARK,))
    before, after = make_plan(with_node(ready, "n1", **NO_DOCKER_YET), 7), make_plan(ready, 9)
    assert [step.id for step in before.proof.steps()] == [step.id for step in after.proof.steps()]
    assert [item.title for item in before.proof_items if item.skipped] == ["NCCL on the hosts"]
    told = plan_markdown(before)
    assert told.count(" IMAGE ") >= 6, "of each node: what asks for its NCCL, the all_gather, and the load"
    assert "IMAGE stands for an image that is picked once docker answers on spark-1: the first of these" in told
    assert SPARK in before.notes["proof"][0]
    assert IMAGE.fullmatch(LATER_IMAGE) is None, "no command can run while it has the placeholder"


def test_beside_what_was_shown_only_more_images_are_asked() -> None:
    ready = case_with((SPARK, "mine/vllm:x"), (SPARK, "mine/vllm:x"))
    before, after = make_plan(with_node(ready, "n1", **NO_DOCKER_YET), 7), make_plan(ready, 9)
    late = with_later_proof(before, after)
    assert (late.proof, late.proof_items) == (after.proof, after.proof_items)
    more = {step.id for step in late.proof.steps()} - {step.id for step in before.proof.steps()}
    assert more == {"proof-nccl-2-n1", "proof-nccl-2-n2"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"did_answer": False}, STILL_OPEN),
        (NO_DOCKER_YET, STILL_OPEN),
        ({"images": ()}, f"Fetch one on each (docker pull {SPARK})"),
    ],
)
def test_where_no_image_came_to_light_the_rest_is_measured_and_the_reason_told(
    changes: dict[str, Any], why: str
) -> None:
    ready = case_with((SPARK,), (SPARK,), busy={"n1": ("a job",)})
    before = make_plan(with_node(ready, "n1", **NO_DOCKER_YET), 7)
    late = with_later_proof(before, make_plan(with_node(ready, "n2", **changes), 9))
    left = {item.id: item.skipped for item in late.proof_items if item.skipped}
    assert set(left) == {"nccl-host", "nccl-image", "all-gather", "gpu-clock"}
    assert why in left["all-gather"]
    assert len(late.proof_items) == len(before.proof_items)
    assert late.proof.stages, "cables are measured all the same"
    assert "'IMAGE'" not in repr((late.proof, late.proof_items))
    assert "proof-clock" not in repr(late.proof)


@pytest.mark.parametrize("choices", [Choices(picks_image=False), Choices(chapters=frozenset({"docker"}))])
def test_where_no_proof_wants_an_image_none_is_waited_for(choices: Choices) -> None:
    case = with_node(case_with((), ()), "n1", **NO_DOCKER_YET)
    assert not awaits_image(make_plan(replace(case, choices=choices), 7))
