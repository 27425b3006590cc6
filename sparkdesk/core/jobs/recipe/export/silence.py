"""Which fields of a request nobody said: the text that it came from left them open, and the form did not change them.

The one rule: what a text was silent about stays silent in what is written; the server's own default then counts.
"""

from __future__ import annotations

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.request import LaunchRequest

_ALWAYS = ("served_name", "port", "context_tokens", "concurrency")
"""Fields that have a value in every request, so that the value alone does not tell whether somebody said it."""


def silent_fields(request: LaunchRequest, origin: Imported | None) -> frozenset[str]:
    """Names of fields that `origin` left open and that stand as they do where nobody says anything.

    None of them for an address or a file's path (they are about a model only), and for another engine's text.
    """
    if origin is None or origin.source_kind in ("", "hub", "gguf") or origin.fields.get("engine") != request.engine:
        return frozenset()
    standing: dict[str, tuple[object, ...]] = {
        name: (LaunchRequest.model_fields[name].default,) for name in ("context_tokens", "concurrency")
    }
    standing["served_name"] = (request.model, origin.fields.get("model"))
    standing["port"] = (LaunchRequest.model_fields["port"].default, ENGINES[request.engine].default_port)
    return frozenset(name for name in _ALWAYS if name not in origin.fields and getattr(request, name) in standing[name])


def port_of(request: LaunchRequest, silent: frozenset[str]) -> int:
    """Where the written server answers: without a flag it is its own default."""
    return ENGINES[request.engine].default_port if "port" in silent else request.port
