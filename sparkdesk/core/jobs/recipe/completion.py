"""What the catalogue and the adapters add to the fields that a text gave.

The one rule: a field that the text gave stays; what it left open is filled from the catalogue or said to be open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.recipe.imported import Draft
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec


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
    engine = str(draft.fields.get("engine", ""))
    if backends and engine and engine not in backends:
        title = ENGINES[engine].title if engine in ENGINES else engine
        draft.warn("engine", f"SparkDesk cannot launch {title} yet", "Export it as a script, or choose another engine.")
    if model and "context_tokens" not in fields:
        draft.note("context_tokens", "The text names no longest context", "Choose one; the form's own stands now.")
    if model and "concurrency" not in fields:
        draft.note("concurrency", "The text does not say for how many users", "Choose; the form's own stands now.")
