"""The deployments page, joined with the launcher, with what is measured of servers, and with their logs on the nodes.

The one rule: the page gets plain callables; what it asks for is started here, and what fails is told by the bridge.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sparkdesk.app.remote import read_remote
from sparkdesk.core.bench.expectation import NOTHING, Expectation, expectation_of
from sparkdesk.core.bench.run import BenchShape
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import LogLine
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.workload import Workload
from sparkdesk.services.jobs.log_archive import LogArchive, LogSearch
from ui.jobs.feeds import DeploymentFeeds
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.pages import Pages


class DeploymentsPane:
    """Makes the deployments page and answers it."""

    def __init__(self, desktop: Desktop, pages: Pages) -> None:
        self._desktop = desktop
        self._pages = pages
        self._launcher = desktop.stack.launcher
        self._assessment = desktop.stack.assessment
        self._archive = LogArchive(desktop.stack.inventory.shell, read_remote("log_search"))

    def make(self) -> DeploymentsPage:
        """The page."""
        launcher, pages, start = self._launcher, self._pages, self._desktop.bridge.start
        page = DeploymentsPage(DeploymentsModel(self._feeds()))
        page.stop_confirmed.connect(lambda job_id: start(launcher.stop, job_id))
        page.remove_confirmed.connect(lambda job_id: start(launcher.remove, job_id))
        page.takeover_confirmed.connect(lambda job_id: start(launcher.take_over, job_id))
        page.relaunch_asked.connect(pages.relaunch)
        page.fix_asked.connect(lambda job_id: start(self._open_fix, job_id))
        page.token_asked.connect(lambda: self._desktop.window.show_page("settings"))
        page.launch_asked.connect(lambda: self._desktop.window.show_page("launch"))
        page.chat_asked.connect(pages.chat_with)
        page.explain_confirmed.connect(pages.chat_pane.explain)
        return page

    def _feeds(self) -> DeploymentFeeds:
        stack, launcher, assessment = self._desktop.stack, self._launcher, self._assessment
        appraisals, corrections, start = assessment.appraisals, assessment.corrections, self._desktop.bridge.start
        return DeploymentFeeds(
            jobs=launcher.jobs,
            nodes=stack.inventory.nodes,
            traces=self._pages.traces,
            now_ms=stack.clock.now_ms,
            log=launcher.log,
            plan_of=launcher.plan_of,
            stop_plan=launcher.stop_plan,
            engine_titles={info.key: info.title for info in launcher.backends},
            takeover_plan=launcher.takeover_plan,
            owner=launcher.owner,
            tunnel_command=self._pages.node_pages.tunnel_command,
            bandwidth=stack.records.bandwidths.of,
            energy=stack.records.energies.energy,
            changed=assessment.changed,
            verdict=appraisals.verdict,
            first_verdict=appraisals.first_verdict,
            check_again=lambda job_id: start(appraisals.check_again, job_id),
            truth=corrections.truth,
            correction=corrections.correction,
            set_correction=lambda job_id, is_applied: start(corrections.set_correction, job_id, is_applied),
            next_change=assessment.next_changes.next_change,
            dismiss_change=assessment.next_changes.dismiss_change,
            expected=self._expected,
            runs=assessment.bench.runs,
            measure=assessment.bench.start,
            cancel_measure=assessment.bench.cancel,
            fix_of=launcher.fix_of,
            switch=self._pages.open_switch,
            embed_beside=self._pages.open_beside,
            restart=lambda job_id: start(self._restart, job_id),
            last_plan=self._last_plan,
            launch_again=lambda request: start(self._launch, request),
            start=start,
            older_lines=self._older_lines,
            search_lines=self._search_lines,
            save_log=self._save_log,
            open_door=launcher.open_door,
            is_open=self._is_open,
            doors=launcher.doors,
            close_door=launcher.close_door,
            api_key=launcher.api_key,
            evidence=self._pages.chat_pane.evidence,
            talkers=self._pages.endpoints,
        )

    def _expected(self, job_id: str, shape: BenchShape, concurrency: int) -> Expectation:
        plan = self._launcher.plan_of(job_id)
        if plan is None:
            return NOTHING
        load = Workload("measure", "Measurement", shape.prompt_tokens, shape.answer_tokens, concurrency)
        return expectation_of(self._assessment.forecaster.predict(plan.request, load, job_id), concurrency)

    def _is_open(self, job_id: str) -> bool | None:
        """Whether its port listens beyond the node's loopback, by the last look at the node; None is not known."""
        status = self._launcher.status(job_id)
        if status is None or status.endpoint is None:
            return None
        contexts = {one.record.id: one for one in self._launcher.node_contexts.value}
        node = contexts.get(status.endpoint.node_id)
        return None if node is None or node.open_ports is None else status.endpoint.port in node.open_ports

    async def _open_fix(self, job_id: str) -> None:
        """The form with the failed job's request and what mends it; nothing runs before the person launches."""
        fix = self._launcher.fix_of(job_id)
        if fix is not None:
            request = self._launcher.request_after(job_id, fix)
            self._pages.open_fix(request, fix)

    async def _restart(self, job_id: str) -> None:
        plan = self._launcher.plan_of(job_id)
        if plan is None:
            raise PlanError("SparkDesk has no plan of this job", remedy="Launch its model from the launch page.")
        await self._desktop.launch(self._launcher.switch_plan(job_id, plan.request))

    def _last_plan(self) -> LaunchPlan | None:
        """What one click would launch: the newest launch, planned for the nodes as they are now."""
        request = self._launcher.last_request()
        try:
            return self._launcher.plan(request) if request else None
        except PlanError:
            return None

    async def _launch(self, request: LaunchRequest) -> None:
        await self._desktop.launch(self._launcher.plan(request))

    # Logs ---------------------------------------------------------------------------------------------------------

    def _node_of(self, job_id: str) -> str:
        status = self._launcher.status(job_id)
        if status is None:
            raise PlanError("This job is gone", remedy="Its log went with its folder.")
        return status.node_ids[0]

    async def _older_lines(self, job_id: str, before_offset: int) -> tuple[LogLine, ...]:
        return await self._archive.older(job_id, self._node_of(job_id), before_offset)

    async def _search_lines(
        self, job_id: str, pattern: str, level: str, before_offset: int, on_part: Callable[[LogSearch], bool]
    ) -> LogSearch:
        return await self._archive.search(
            job_id, self._node_of(job_id), pattern, level=level, before_offset=before_offset, on_part=on_part
        )

    async def _save_log(self, job_id: str, path: str) -> int:
        return await self._archive.save(job_id, self._node_of(job_id), Path(path))
