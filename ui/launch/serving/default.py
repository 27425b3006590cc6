"""What the further fields of the form say by themselves. Pure.

The one rule: a parser is proposed only where it is known to fit; all else is left to the engine.
"""

from __future__ import annotations

from sparkdesk.core.jobs.parsers import suggested_parsers
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.request import SMALL_PURPOSES
from ui.launch.form import Form
from ui.launch.serving.fields import CHAT_PURPOSES, NEUTRAL, write_number


def serving_defaults(form: Form, spec: ModelSpec | None) -> dict[str, object]:
    """Each further field as it is while nobody touches it."""
    values = dict(NEUTRAL)
    values["purpose"] = purpose_of(spec)
    if (form.purpose if "purpose" in form.touched else values["purpose"]) in CHAT_PURPOSES:
        values["tool_parser"], values["reasoning_parser"] = suggestion_of(form.engine, form.model, spec)
    if spec is not None:
        values["system_prompt"], values["temperature"] = spec.system_prompt, write_number(spec.temperature)
    return values


def purpose_of(spec: ModelSpec | None) -> str:
    """What a model is for where nobody says otherwise: chat, unless it can only embed or rank."""
    purposes = spec.purposes if spec is not None else ()
    if not purposes or "chat" in purposes:
        return "chat"
    return next((purpose for purpose in SMALL_PURPOSES if purpose in purposes), "chat")


def suggestion_of(engine: str, model: str, spec: ModelSpec | None) -> tuple[str, str]:
    """(tool parser, reasoning parser) that are known to fit; "" where none is."""
    found = suggested_parsers(model, engine)
    return found if any(found) or spec is None else suggested_parsers(spec, engine)
