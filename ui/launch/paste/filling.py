"""Puts what an outside text says into the launch form. Pure.

The one rule: this is the only door from a text to the form, and it opens for approved bytes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.jobs.backend import BackendInfo
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from ui.launch.choice.default import leave_model, match_model, pick_model
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import SILENT, Form, take_fields


def fill_form(form: Form, imported: Imported, feeds: LaunchFeeds, backends: Mapping[str, BackendInfo]) -> Form | None:
    """The form with what the text says, on as many nodes as it takes, those with most room first.

    None when the text needs an approval that it does not have.
    """
    if not feeds.approvals.value.may_fill(imported):
        return None
    fields = dict(imported.fields)
    if "model" in fields:
        fields["model"] = catalogue_name(fields, feeds.catalogue)
        spec, _ = match_model(feeds.catalogue, fields["model"])
        form = leave_model(form) if spec is None else pick_model(form, spec, backends)
    nodes = form.nodes
    if len(nodes) != imported.nodes_wanted:
        contexts = sorted(feeds.contexts.value, key=lambda node: -(node.mem_available_bytes or -1))
        roomiest = [context.record.id for context in contexts[: imported.nodes_wanted]]
        nodes = ranked(roomiest, feeds.topology.value.rank_order) or nodes
    is_whole = imported.source_kind not in ("hub", "gguf")
    return take_fields(form, {**(SILENT if is_whole else {}), **fields}, nodes)


def catalogue_name(fields: Mapping[str, Any], catalogue: Sequence[ModelSpec]) -> str:
    """The text's model as the catalogue has it, under an older suffix or in other capitals too; else as it came.

    A model of another owner is another model, and a file's name is none of the hub.
    """
    words = str(fields["model"])
    found = find_model(catalogue, words) if match_model(catalogue, words)[0] is None else None
    if found is None or fields.get("weights_path"):
        return words
    repos = [found.weights.repo] if found.weights is not None else []
    repos += [each.repo for each in found.spec.formats if each.repo.casefold() == words.casefold()]
    name = next(filter(None, repos), found.spec.name)
    owner, has_owner, _ = words.casefold().rpartition("/")
    return name if not has_owner or name.casefold().rpartition("/")[0] == owner else words
