"""What the hub said about a launch's models, asked before the launch: each of its noes has its own words and remedy.

The one rule: only a no that was heard is a problem; what was not asked or not answered speaks against nothing.
"""

from __future__ import annotations

from typing import Final

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import MODEL_PATTERN, LaunchRequest
from sparkdesk.core.planning.launch.gguf_file import hub_files

OK: Final = "ok"
UNKNOWN: Final = "unknown"
ANSWERS: Final = {
    "no_token": (
        "{repo} is gated, and no token of the hub was given (401)",
        "Accept its terms on the model's page, and give a token of that account in Settings.",
    ),
    "bad_token": (
        "The hub does not take the token (401)",
        "Give a token that is valid in Settings; an old one on {node} is used where none is given.",
    ),
    "not_accepted": (
        "{repo} is gated, and this token's account was not let in (403)",
        "Open the model's page on the hub and accept its terms with that account; some owners then let people in by "
        "hand.",
    ),
    "missing": ("The hub has no model {repo} (404)", "Check its name: owner/name."),
    "hidden": (
        "The hub shows no model {repo} to somebody without a token (401): it is private, or does not exist",
        "Check its name; for a private one give a token in Settings.",
    ),
    "offline": (
        "{node} found no way to the model hub",
        "Connect it to the internet, or let this computer bring the weights.",
    ),
}
"""What remote/hub_look.py answers -> what it means for a launch, and what helps."""


def asked_repos(request: LaunchRequest, node: NodeContext) -> tuple[str, ...]:
    """Whose files this launch would fetch from the hub, so that it is worth asking: those that do not lie there."""
    if request.weights_from == "desk" or request.engine in ("ollama", "custom"):
        return ()
    if request.weights_path:  # a draft of such an engine is a file too
        paths = (request.weights_path, request.speculative_model)
        return tuple(dict.fromkeys(repo for path in paths if (repo := hub_files(path, node)[0])))
    repos = dict.fromkeys((request.model, request.speculative_model))
    return tuple(repo for repo in repos if "/" in repo and MODEL_PATTERN.match(repo) and repo not in node.hub_repos)


def hub_problems(request: LaunchRequest, node: NodeContext, repo: str) -> list[Problem]:
    """What the hub has against fetching this repository to this node, where it was asked."""
    answer = node.hub_answers.get(repo, UNKNOWN)
    if answer not in ANSWERS or repo not in asked_repos(request, node):
        return []
    if answer == "offline" and request.weights_from == "auto":
        return []  # this computer brings it then
    message, remedy = (words.format(repo=repo, node=node.record.name) for words in ANSWERS[answer])
    fields = {request.model: "model", hub_files(request.weights_path, node)[0]: "weights_path"}
    field = "weights_from" if answer == "offline" else fields.get(repo, "speculative_model")
    return [Problem(Severity.ERROR, message, remedy, field)]
