"""Puts what an outside text says into the launch form. Pure.

The one rule: this is the only door from a text to the form, and it opens for approved bytes alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.jobs.backend import BackendInfo
from sparkdesk.core.jobs.recipe.imported import Imported
from ui.launch.default import match_model, pick_model
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import SILENT, Form, take_fields


def fill_form(form: Form, imported: Imported, feeds: LaunchFeeds, backends: Mapping[str, BackendInfo]) -> Form | None:
    """The form with what the text says, on as many nodes as it takes, those with most room first.

    None when the text needs an approval that it does not have.
    """
    if not feeds.approvals.value.may_fill(imported):
        return None
    spec, _ = match_model(feeds.catalogue, str(imported.fields.get("model", form.model)))
    if spec is not None and "model" in imported.fields:
        form = pick_model(form, spec, backends)
    nodes = form.nodes
    if len(nodes) != imported.nodes_wanted:
        contexts = sorted(feeds.contexts.value, key=lambda node: -(node.mem_available_bytes or -1))
        roomiest = [context.record.id for context in contexts[: imported.nodes_wanted]]
        nodes = ranked(roomiest, feeds.topology.value.rank_order) or nodes
    is_whole = imported.source_kind not in ("hub", "gguf")
    return take_fields(form, {**(SILENT if is_whole else {}), **imported.fields}, nodes)
