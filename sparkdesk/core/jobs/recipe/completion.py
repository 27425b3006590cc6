"""What the catalogue and the adapters add to the fields that a text gave.

The one rule: a field that the text gave stays; what it left open is filled from the catalogue or said to be open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES, SIZE_FIELDS
from sparkdesk.core.jobs.recipe.export.coverage import is_covered, uncovered_words
from sparkdesk.core.jobs.recipe.imported import Draft
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.division import tensor_problem

_TUNED_IMAGE = re.compile(r"(?:.*/)?(?:spark-vllm-docker:mxfp4|vllm-node-mxfp4)(?:[:@-].*)?")
"""vLLM's community build for gpt-oss: pulled, or by the tag that its own build script gives. Source: the recipes of
both; its speed is the tuned row of the measurements."""
_TUNED_MODEL = re.compile(r"(?:openai/)?gpt-oss-\d+b", re.IGNORECASE)


def complete(draft: Draft, catalogue: Sequence[ModelSpec], backends: Collection[str]) -> None:
    """What the catalogue and the adapters know about the fields, and what the text left open."""
    fields = draft.fields | draft.noted
    model = fields.get("model")
    match = find_model(catalogue, model) if isinstance(model, str) else None
    if match is not None:
        if "/" not in str(model) and not fields.get("weights_path"):
            draft.fields["model"] = match.weights.repo if match.weights and match.weights.repo else match.spec.name
        if match.weights is not None:
            draft.fields.setdefault("quantization", match.weights.key)
            if "engine" not in fields and match.weights.engines:
                draft.fields["engine"] = match.weights.engines[0]
        _check_tensor(draft, match.spec)
    _take_build(draft, str(model))
    engine = str(draft.fields.get("engine", ""))
    if backends and engine and engine not in backends:
        title = ENGINES[engine].title if engine in ENGINES else engine
        remedy = "Export it as a script, or choose another engine."
        if not _has_script(draft, engine):
            remedy = f"Choose another engine. {uncovered_words(engine)}"
        draft.warn("engine", f"SparkDesk cannot launch {title} yet", remedy)
    if model and "context_tokens" not in fields:
        draft.note("context_tokens", "The text names no longest context", "Choose one; the form's own stands now.")
    if model and "concurrency" not in fields:
        draft.note("concurrency", "The text does not say for how many users", "Choose; the form's own stands now.")


def _check_tensor(draft: Draft, spec: ModelSpec) -> None:
    """Whether the model can be divided as the text says; llama.cpp splits rows of any number."""
    size = draft.fields.get("tensor_parallel_size", 1)
    if not isinstance(size, int) or not 1 <= size <= 64 or draft.fields.get("engine") == "llamacpp":
        return
    if reason := tensor_problem(spec, size):
        draft.refuse("tensor_parallel_size", reason, "Divide it by pipeline or data parallel.")


def _take_build(draft: Draft, model: str) -> None:
    """The image names the build: a plan of it is then made for what will run."""
    image = draft.fields.get("image")
    is_tuned = isinstance(image, str) and _TUNED_IMAGE.fullmatch(image) and _TUNED_MODEL.fullmatch(model)
    if is_tuned and draft.fields.get("engine") == "vllm":
        draft.fields.setdefault("build", "tuned")


def _has_script(draft: Draft, engine: str) -> bool:
    tensor, pipeline, copies = (draft.fields.get(name, 1) for name in SIZE_FIELDS)
    if not all(isinstance(size, int) for size in (tensor, pipeline, copies)):
        return False
    return is_covered(engine, replica=tensor * pipeline, copies=copies, nodes=tensor * pipeline * copies)
