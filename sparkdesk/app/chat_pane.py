"""The chat page, joined with its conversations, with what it can talk to, and with files of the person's.

The one rule: the page gets plain feeds; what it asks for is started here, and what fails is told by the bridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from sparkdesk.app.chat_files import ChatFiles
from sparkdesk.app.chat_targets import ChatTargets
from sparkdesk.core.chat.message import FilePart
from sparkdesk.core.chat.window.overflow import OVERFLOW_KIND, Server
from sparkdesk.core.errors import SettingsError, SparkDeskError
from sparkdesk.core.jobs.evidence import TASK, FailedJob, caution_of, evidence_of
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine
from sparkdesk.services.chat.attaching import Attaching, Draft
from sparkdesk.services.chat.context.token_count import TokenCount
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui.chat.compare.model import CompareModel
from ui.chat.compare.page import ComparePage
from ui.chat.compose.composer import Composer
from ui.chat.compose.model import ComposeModel
from ui.chat.compose.page_command import FileCommands
from ui.chat.compose.picture import make_picture
from ui.chat.model import ChatModel
from ui.chat.panel.model import PanelModel
from ui.chat.view import ChatPage
from ui.text import one_line

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.pages import Pages

EVIDENCE_NAME = "failure.txt"


class ChatPane:
    """Makes the chat page and answers it."""

    def __init__(self, desktop: Desktop, pages: Pages) -> None:
        self._desktop = desktop
        self._pages = pages
        self._stack = desktop.stack
        self._chat = desktop.stack.chat
        self._asked_limit = ""
        self._names: tuple[str, ...] = ()
        self.targets = ChatTargets(desktop.stack)
        self.page: ChatPage | None = None
        self._watches = [
            self._chat.links.links.subscribe(lambda _links: self._show_links()),
            desktop.stack.launcher.jobs.subscribe(self._show_waiting),
        ]

    def close(self) -> None:
        """Stop listening."""
        self.targets.close()
        for watch in self._watches:
            watch.close()

    # Making it ---------------------------------------------------------------------------------------------------

    def make(self) -> ChatPage:
        """The page."""
        bridge, window, chat = self._desktop.bridge, self._desktop.window, self._chat
        model = ChatModel(chat.conversations, self.targets.endpoints, bridge)
        model.context_of = chat.meter.use
        model.server_of = self._server_of
        model.load_image = self._stack.store.attachment
        attaching = Attaching(chat.attachments, make_picture=make_picture, count=self._count)
        page = ChatPage(model, ComposeModel(attaching, bridge, chat.drafts))
        self.page = page
        model.state_changed.connect(self._learn_limit)
        page.launch_asked.connect(lambda: window.show_page("launch"))
        page.server_asked.connect(
            lambda url, key: bridge.start_exclusive("connect server", self._connect, page, url, key)
        )
        page.raise_asked.connect(self._raise_context)
        page.settings.attach(PanelModel(bridge, chat.presets, chat.memory, page))
        page.settings.again_asked.connect(lambda link_id: bridge.start(chat.links.ask, link_id))
        page.settings.forget_asked.connect(lambda link_id: bridge.start(chat.links.forget, link_id))
        page.settings.file_asked.connect(lambda path: QDesktopServices.openUrl(QUrl.fromLocalFile(path)))
        compared = CompareModel(chat.conversations, self.targets.endpoints, bridge, page)
        page.add_comparison(ComparePage(compared, Composer(ComposeModel(attaching, bridge))))
        page.list_model.removed.connect(lambda session_id: chat.drafts.keep(session_id, Draft()))
        ChatFiles(self._desktop, page)
        page.slash.connect_files(FileCommands(lambda: self._names, self._use_preset, self._remember))
        bridge.start(self._list_presets)
        page.add_commands(window.actions_registry, lambda: window.show_page("chat"))
        self._show_links()
        self._show_waiting(self._stack.launcher.jobs.value)
        self._learn_limit()
        return page

    def chat_with(self, job_id: str) -> None:
        """Show the chat, talking to this deployment."""
        self._desktop.window.show_page("chat")
        if self.page is not None:
            self.page.model.choose_endpoint(job_id)

    # Servers -----------------------------------------------------------------------------------------------------

    async def _connect(self, page: ChatPage, url: str, key: str) -> None:
        try:
            endpoint = await self._chat.links.connect(url, key)
        except SparkDeskError as error:
            page.model.failed.emit(error)
        else:
            page.show_server(endpoint.id)

    def _show_links(self) -> None:
        if self.page is not None:
            self.page.settings.show_servers(self._chat.links.links.value)

    def _show_waiting(self, jobs: tuple[JobStatus, ...]) -> None:
        """Say which model is on its way while none is ready."""
        if self.page is None:
            return
        coming = [job for job in jobs if job.state in (JobState.STARTING, JobState.LOADING)]
        names = self._stack.inventory.names()
        words = ""
        if coming:
            job = coming[-1]
            where = ", ".join(names.get(node_id, "") for node_id in job.node_ids)
            words = f"{job.title} is {job.state.words.lower()} on {where}"
        self.page.model.set_waiting(words)

    def _learn_limit(self) -> None:
        """Ask a server for its real limit when it is chosen, and again when it refused what should have fitted."""
        model = self.page.model if self.page is not None else None
        target = model.target if model is not None else None
        last = model.turns[-1] if model is not None and model.turns else None
        is_refused = last is not None and last.failure is not None and last.failure.kind == OVERFLOW_KIND
        refused = last.number if last is not None and is_refused else ""
        key = f"{target.id} {target.endpoint.model} {refused}" if target is not None else ""
        if target is not None and key != self._asked_limit:
            self._desktop.bridge.start(self._learn, target)
        self._asked_limit = key

    async def _learn(self, target: ChatEndpoint) -> None:
        await self._chat.meter.learn(target)
        if self.page is not None:
            self.page.model.state_changed.emit()

    async def _count(self, text: str) -> TokenCount | None:
        conversation = self.page.model.conversation if self.page is not None else None
        return None if conversation is None else await self._chat.meter.count(conversation, text)

    def _server_of(self, target: ChatEndpoint) -> Server:
        """What bears on launching it again with a longer context: only our own deployments can be."""
        plan = self._stack.launcher.plan_of(target.id)
        if plan is None:
            return Server()
        longest = self.targets.longest_context(plan)
        return Server(can_relaunch=True, max_context_tokens=longest)

    def _raise_context(self, job_id: str, context_tokens: int) -> None:
        """Show the launch form with a longer context, in the place of the server that is too small."""
        plan = self._stack.launcher.plan_of(job_id)
        if plan is None:
            return
        wanted = context_tokens or 2 * plan.request.context_tokens
        words = f"Ask for {wanted:,} tokens of context instead of {plan.request.context_tokens:,}"
        fix = Fix(words, (("context_tokens", wanted),), stop_job_id=job_id)
        self._pages.open_fix(plan.request.model_copy(update={"context_tokens": wanted}), fix)

    # Texts of the person's ---------------------------------------------------------------------------------------

    async def _list_presets(self) -> None:
        self._names = await self._chat.presets.names()

    def _use_preset(self, name: str) -> None:
        self._desktop.bridge.start(self._read_preset, name)

    async def _read_preset(self, name: str) -> None:
        try:
            prompt = await self._chat.presets.read(name)
            await self._list_presets()
        except SettingsError as error:
            self._say(error.sentence(), is_warning=True)
            return
        if self.page is not None:
            self.page.model.change_settings({"system_prompt": prompt})

    def _remember(self, text: str) -> None:
        conversation = self.page.model.conversation if self.page is not None else None
        if conversation is not None:
            self._desktop.bridge.start(self._add_to_memory, conversation.settings.value.folder, text)

    async def _add_to_memory(self, folder: str, text: str) -> None:
        try:
            await self._chat.memory.remember(folder, text)
        except SettingsError as error:
            self._say(error.sentence(), is_warning=True)
            return
        self._say(f"Added to the memory of “{one_line(folder, 60)}”")
        if self.page is not None:
            self.page.settings.memory.look()

    def _say(self, words: str, *, is_warning: bool = False) -> None:
        """Where the command was typed."""
        if self.page is not None:
            self.page.composer.say(words, is_warning=is_warning)

    # Explain this failure ----------------------------------------------------------------------------------------

    def evidence(self, job_id: str) -> str:
        """What is known of a failed deployment, redacted, as a person reads it before it is sent."""
        launcher = self._stack.launcher
        job = launcher.status(job_id)
        if job is None:
            return ""
        fix = launcher.fix_of(job_id)
        return evidence_of(
            FailedJob(
                job,
                launcher.plan_of(job_id),
                self._log_lines(job_id),
                advice=fix.words if fix is not None else "",
                words=self._own_words(),
            )
        )

    def _own_words(self) -> tuple[str, ...]:
        """Names that leave no machine of the person's."""
        records = [status.record for status in self._stack.inventory.nodes.value]
        own_words = [word for record in records for word in (record.name, record.address, record.user)]
        return (*own_words, *self._stack.launcher.owner.split("@"))

    def _log_lines(self, job_id: str) -> tuple[LogLine, ...]:
        """What of its log has come here."""
        reader = self._stack.launcher.log(job_id).read(lambda: None)
        try:
            return tuple(item for item in reader.drain() if isinstance(item, LogLine))
        finally:
            reader.close()

    def explain(self, job_id: str, endpoint_id: str, evidence: str) -> None:
        """Ask a model, in a chat of its own, what the evidence says; its answers are marked as its opinion."""
        self._desktop.window.show_page("chat")
        target = next((each for each in self.targets.endpoints.value if each.id == endpoint_id), None)
        job = self._stack.launcher.status(job_id)
        if self.page is None or target is None or job is None:
            return
        self.page.show_chat()
        caution = caution_of(job, self._own_words())
        conversation = self._chat.conversations.new(target, caution=caution, system_prompt=TASK)
        self.page.model.show_conversation(conversation)
        attached = FilePart(EVIDENCE_NAME, evidence, size_bytes=len(evidence.encode()))
        self.page.model.ask(f"Why did {job.title} fail?", (attached,))
