"""Builds the steps that bring a container image to a node: pulled there, or saved here, sent and loaded.

The one rule: an image passes only when the node's docker has it for the node's own processor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sparkdesk.core.playbooks.fetch.transfer import (
    FOLDERS,
    SPARK_ARCHITECTURE,
    Download,
    download_step,
    run_program,
    source_of,
)
from sparkdesk.core.step import Expect, Push, Step

IS_WHOLE = Expect(reader="json_field:whole", equals="true")
LOAD_TIMEOUT_S = 3600.0


def image_step(
    node_id: str,
    image: str,
    programs: Mapping[str, bytes],
    *,
    is_from_desk: bool = False,
    architecture: str = SPARK_ARCHITECTURE,
) -> Step:
    """Bring an image. Raises PlanError."""
    program = source_of(programs, "pull")
    check = run_program(program, "look", image, architecture, expect=IS_WHOLE)
    step = Step(
        id=f"image:{image}",
        title=f"Pull {image}" if not is_from_desk else f"Copy {image} from this computer",
        node=node_id,
        phase="image",
        check=(check,),
        apply=(),
    )
    if not is_from_desk:
        return download_step(step, Download("pull", ("get", image, architecture)), programs)
    archive = f"{FOLDERS}/{hashlib.sha256(image.encode()).hexdigest()[:24]}.tar"
    is_ok = Expect(reader="json_field:ok", equals="true")
    load = run_program(program, "load", archive, image, architecture, expect=is_ok, timeout_s=LOAD_TIMEOUT_S)
    push = Push(image, archive, "image", f"linux/{architecture}")
    return Step(step.id, step.title, node_id, (push, load), step.check, (check,), phase="image")
