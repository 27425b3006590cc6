"""The launch page, joined with the planner, with recipes and pasted text, and with the files that a person chooses.

The one rule: a recipe is read and shown here, and approved by a person; nothing of it ever runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from backends import ollama, sglang, trtllm, vllm
from sparkdesk.app.plan_data import load_images
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.command.text import command_of
from sparkdesk.core.jobs.recipe.export.compose import export_compose
from sparkdesk.core.jobs.recipe.export.kubernetes import export_kubernetes
from sparkdesk.core.jobs.recipe.export.recipe import export_recipe
from sparkdesk.core.jobs.recipe.export.script import export_script
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.recipe.paste import MAX_CHARS, read_paste
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.infra.yaml_text import read_yaml
from ui.launch.feeds import LaunchFeeds
from ui.launch.model import LaunchModel
from ui.launch.occasion.occasion import RunningJob
from ui.launch.view import LaunchPage
from ui.playbook.model import Proposal

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop


class Export(Protocol):
    """Writes a request; what its origin left open stays open."""

    def __call__(self, request: LaunchRequest, *, origin: Imported | None = None) -> str: ...


WORDS = {words.profile.key: words for words in (vllm.WORDS, sglang.WORDS, trtllm.WORDS)}
"""The words that engines have of their own for backends and loaders."""
HUB_QUESTION = "the launch form's question to the hub"
"""One at a time: a form that says something else now waits for no old answer."""
READ_TIMEOUT_S = 10.0
"""A file on a network that is gone never comes."""
EXPORTS: dict[str, tuple[str, Export]] = {
    "sparkrun": ("Recipe for sparkrun", export_recipe),
    "script": ("Shell script", export_script),
    "compose": ("Docker Compose file", export_compose),
    "kubernetes": ("Kubernetes manifest", export_kubernetes),
}


class LaunchPane:
    """Makes the launch page and answers it."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._launcher = desktop.stack.launcher
        self.planner = desktop.stack.planner

    def make(self) -> LaunchPage:
        """The page."""
        page = LaunchPage(LaunchModel(self._feeds()))
        page.launch_asked.connect(lambda plan: self._desktop.bridge.start(self._desktop.launch, plan))
        return page

    def _feeds(self) -> LaunchFeeds:
        stack, launcher, planner = self._desktop.stack, self._launcher, self.planner
        return LaunchFeeds(
            backends=launcher.backends,
            catalogue=launcher.catalogue,
            contexts=launcher.node_contexts,
            problems=launcher.problems,
            plan=launcher.plan,
            clock_s=stack.clock.monotonic_s,
            broken_backends=launcher.broken_backends,
            refresh_memory=launcher.refresh_memory,
            look_at_nodes=launcher.looks.start,
            node_age_s=launcher.looks.age_s,
            ask_hub=lambda request: self._desktop.bridge.start_exclusive(HUB_QUESTION, launcher.ask_hub, request),
            forget_hub=lambda: self._desktop.bridge.cancel(HUB_QUESTION),
            show_settings=lambda: self._desktop.window.show_page("settings"),
            topology=stack.fleet.topology.topology,
            engines=planner.reference.engines,
            place=planner.place,
            plan_rows=planner.rows,
            best_cell=planner.best_cell,
            currency=planner.currency,
            agent_run=planner.agent_run,
            read_paste=self._read_paste,
            approvals=self._desktop.settings.approvals,
            approve=self._approve,
            read_file=lambda path, tell: self._desktop.bridge.start(self._read_file, Path(path), tell),
            knows_name=knows_name,
            words=WORDS,
            images=load_images(),
            jobs_to_replace=self._jobs_to_replace,
            problems_without=lambda request, job_id: launcher.problems(request, stop_first=job_id),
            switch_plan=launcher.switch_plan,
            show_playbook=lambda playbook: self._desktop.pages.node_pages.propose(Proposal(playbook)),
            export=export_request,
            export_kinds=tuple((key, title) for key, (title, _) in EXPORTS.items()),
        )

    def _jobs_to_replace(self) -> tuple[RunningJob, ...]:
        """Servers of ours that another launch could take the place of."""
        return tuple(
            RunningJob(job.job_id, job.title, job.node_ids)
            for job in self._launcher.jobs.value
            if not job.state.is_over and self._launcher.stop_plan(job.job_id) is not None
        )

    def _read_paste(self, text: str, *, is_recipe: bool = False) -> Imported:
        backends = {info.key for info in self._launcher.backends}
        return read_paste(text, self._launcher.catalogue, backends, load_yaml=read_yaml, is_recipe=is_recipe)

    def _approve(self, digest: str) -> None:
        now_s = self._desktop.stack.clock.now_ms() / 1000
        self._desktop.settings.approve_recipe(digest, datetime.fromtimestamp(now_s).date().isoformat())

    async def _read_file(self, path: Path, tell: Callable[[str, str], None]) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                tell(await asyncio.to_thread(_text_of, path), "")
        except TimeoutError:
            tell("", f"{path.name} did not come within {READ_TIMEOUT_S:g} s")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            tell("", str(error))


def _text_of(path: Path) -> str:
    """A plain file's text, bounded: a pipe or a device has no end. Raises OSError, ValueError."""
    if not path.is_file():
        raise ValueError(f"{path.name} is not a file")
    with path.open("rb") as stream:
        read = stream.read(4 * MAX_CHARS + 1)
    if len(read) > 4 * MAX_CHARS:
        raise ValueError(f"{path.name} is larger than a recipe may be")
    return read.decode("utf-8")


def knows_name(engine: str, spec: ModelSpec, key: str) -> bool:
    """Whether Ollama's adapter says by itself what its service has this format of the model as."""
    if engine != ollama.INFO.key:
        return False
    plain = "model"
    weights = next((each for each in spec.formats if each.key == key), None)
    name = weights.repo if weights is not None and weights.repo else spec.name
    try:
        asked = LaunchRequest(engine=engine, model=name, nodes=(plain,), served_name=plain, quantization=key)
    except ValidationError:
        return False
    return ollama.tag_of(asked, spec) != plain


def export_request(kind: str, request: LaunchRequest, origin: Imported | None = None) -> str:
    """The request as `command` or one of `EXPORTS`. Raises PlanError where it cannot be written so.

    It is what the form shows, and so what a launch does. A recipe keeps what only its `origin` says.
    """
    try:
        if kind == "command":
            return command_of(request)
        return EXPORTS[kind][1](request, origin=origin if kind == "sparkrun" else None)
    except KeyError as error:
        raise PlanError(
            f"SparkDesk has no command line of {request.engine}", remedy="Choose another engine."
        ) from error
