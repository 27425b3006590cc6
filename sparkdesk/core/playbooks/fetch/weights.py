"""Builds the steps that bring a model's files to a node: from the hub, or from this computer's own hub cache.

The one rule: the step passes only when every file that is wanted is whole in the node's hub cache.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparkdesk.core.playbooks.fetch.transfer import Download, download_step, run_program, source_of
from sparkdesk.core.step import Action, Expect, Push, Run, Step

REVISION = "main"
HUB_FOLDER = "~/.cache/huggingface/hub"
FILES_FOLDER = "~/models"
"""Where single files get names that stay, as links into the cache: ~/models/OWNER--NAME/FILE."""
IS_WHOLE = Expect(reader="json_field:whole", equals="true")


def repo_folder(repo: str) -> str:
    """The node's cache folder of a repository. Source: huggingface_hub, repo_folder_name."""
    return f"{HUB_FOLDER}/models--{repo.replace('/', '--')}"


def file_folder(repo: str) -> str:
    """Where single files of a repository get names that stay."""
    return f"{FILES_FOLDER}/{repo.replace('/', '--')}"


def file_path(repo: str, file: str) -> str:
    """Where one file of a repository lies on the node once its weights step is done (for engines that load a file)."""
    return f"{file_folder(repo)}/{file}"


def weights_step(
    node_id: str,
    repo: str,
    programs: Mapping[str, bytes],
    *,
    files: tuple[str, ...] = (),
    is_from_desk: bool = False,
    revision: str = REVISION,
) -> Step:
    """Bring a model. `files`: only these of it, which then also lie under `file_path`. Raises PlanError."""
    cache = source_of(programs, "hub_cache")
    check = run_program(cache, "check", repo, revision, *files, expect=IS_WHOLE)
    place: tuple[Run, ...] = ()
    if files:
        is_ok = Expect(reader="json_field:ok", equals="true")
        place = (run_program(cache, "expose", repo, revision, file_folder(repo), *files, expect=is_ok),)
    what = repo if not files else f"{files[0]} of {repo}"
    step = Step(
        id=f"weights:{repo}",
        title=f"Fetch {what}" if not is_from_desk else f"Copy {what} from this computer",
        node=node_id,
        phase="weights",
        check=(check, *place),  # whole already: the names that stay are made anew, which costs nothing
        apply=(),
    )
    if is_from_desk:
        return _copied(step, repo, revision, check, place)
    download = Download("fetch", (repo, revision, *files), needs_token=True)
    return download_step(step, download, programs, after=place)


def _copied(step: Step, repo: str, revision: str, check: Run, place: tuple[Action, ...]) -> Step:
    return Step(
        id=step.id,
        title=step.title,
        node=step.node,
        phase=step.phase,
        check=step.check,
        apply=(Push(f"{repo}@{revision}", repo_folder(repo), "repo"), *place),
        verify=(check,),
    )
