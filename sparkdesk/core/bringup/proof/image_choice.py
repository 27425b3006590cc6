"""Which container image the proof of NCCL runs in where nobody named one, and which others are asked for their NCCL.

The one rule: it runs only in one that every node has and that is known to carry PyTorch; nothing is fetched for it, and
where there is none the reason says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.proof.wire import IMAGE
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.jobs.image import Images

TORCH_ENGINES = ("vllm", "sglang", "trtllm")
"""Engines whose images carry PyTorch. Source: their own pages; llama.cpp and Ollama are programs of C++."""
_TORCH_WORDS = ("pytorch", "vllm", "sglang", "tensorrt-llm")
"""In a name, these tell of PyTorch too: "ours/vllm:test"."""
MOST_ASKED = 4
"""So many images are asked, one after another: each start of PyTorch takes seconds. Own choice."""
LATER_IMAGE = "IMAGE"
"""Stands in a plan for the image that is known once docker answers. docker takes no name with capitals in it, so what
still has it can start nothing."""
_NAMED = 3
"""So many of the images that may be taken are named."""


def torch_images(images: Images) -> tuple[str, ...]:
    """The images of the table that carry PyTorch, the best first."""
    return tuple(pin.reference for engine in TORCH_ENGINES for pin in images.get(engine, ()))


def common_images(case: Case) -> tuple[str, ...]:
    """The images that every node has which answered."""
    found = [case.reading(node_id).images for node_id in case.node_ids if case.reading(node_id).did_answer]
    return tuple(image for image in found[0] if all(image in images for images in found)) if found else ()


def has_image(reading: NodeReading, image: str) -> bool | None:
    """Whether the node has this image; None where its docker did not tell of its images."""
    if image == LATER_IMAGE:
        return None
    if image in reading.images:
        return True
    is_known = reading.images or (reading.docker and "images" not in reading.problems)
    return False if is_known else None


def choose_image(case: Case) -> str:
    """The image that was named, else the best that can carry the proof; "" where there is none, or none is wanted."""
    if case.choices.image or not case.choices.picks_image:
        return case.choices.image
    known = case.torch_images
    ranked = sorted(
        common_images(case), key=lambda image: _rank(image, known)
    )  # of equals, the one that was read first
    return next((image for image in ranked if _rank(image, known) < _RANK_OF_NONE), "")


def other_images(case: Case) -> tuple[str, ...]:
    """The images beside the chosen one that can serve on at least one node: those that most nodes have first, since
    they serve over several, then by rank. llama.cpp's and Ollama's are not among them: they have no PyTorch to ask.
    While the chosen one is not known, nobody can say which are others."""
    if case.choices.image == LATER_IMAGE:
        return ()
    counts: dict[str, int] = {}
    for node_id in case.node_ids:
        for image in dict.fromkeys(case.reading(node_id).images):
            counts[image] = counts.get(image, 0) + 1
    ranked = sorted((-count, _rank(image, case.torch_images), image) for image, count in counts.items())
    return tuple(
        image for _, rank, image in ranked
        if rank < _RANK_OF_NONE and image != case.choices.image and IMAGE.fullmatch(image)
    )  # fmt: skip


def with_image(case: Case) -> Case:
    """The case as if that image had been named, or what stands for it while docker does not answer."""
    image = choose_image(case) or (LATER_IMAGE if silent_nodes(case) else "")
    return replace(case, choices=replace(case.choices, image=image))


def silent_nodes(case: Case) -> tuple[str, ...]:
    """The names of those whose docker must answer before an image can be picked; none where none is to be picked, or
    docker is not there at all."""
    readings = [case.reading(node_id) for node_id in case.node_ids]
    is_open = case.choices.picks_image and not case.choices.image
    if not is_open or any(one.docker_problem == "absent" for one in readings):
        return ()
    return tuple(one.name for one in readings if not one.docker)


def later_words(case: Case) -> str:
    """What the placeholder in the plan's commands stands for; "" where there is none."""
    if not (silent := silent_nodes(case)):
        return ""
    named, left = case.torch_images[:_NAMED], len(case.torch_images[_NAMED:])
    more = f" and {left} more" if left else ""
    listed = f"the first of these that all nodes have: {', '.join(named)}{more}; else " if named else ""
    return (
        f"{LATER_IMAGE} stands for an image that is picked once docker answers on {_names(silent)}: {listed}one whose "
        f"name tells of PyTorch. Up to {MOST_ASKED - 1} others are asked for their NCCL in the same way."
    )


def why_no_image(case: Case) -> str:
    """Why there is no image to prove NCCL in, and what to do."""
    if not case.choices.picks_image:
        return "No image was chosen."
    readings = [case.reading(node_id) for node_id in case.node_ids]
    if absent := [one.name for one in readings if one.docker_problem == "absent"]:
        return f"docker is not installed on {_names(absent)}, so there is no image to prove NCCL in."
    if common_images(case):
        return "No image that all nodes have is known to carry PyTorch: choose one yourself, then prove again."
    example = case.torch_images[0] if case.torch_images else "IMAGE"
    return (
        f"No image is on all nodes. Fetch one on each (docker pull {example}), or bring it there by Models on disk; "
        "then prove again."
    )


_RANK_OF_NONE = 1 << 20


def _rank(image: str, known: tuple[str, ...]) -> int:
    """The table's own order, then other tags of its images, then names that tell of PyTorch."""
    if image in known:
        return known.index(image)
    repository = image.rpartition(":")[0]
    if repository in {one.rpartition(":")[0] for one in known}:
        return len(known)
    return len(known) + 1 if any(word in repository for word in _TORCH_WORDS) else _RANK_OF_NONE


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
