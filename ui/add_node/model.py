"""Adding nodes one after the other: who, trust, sign in, and which candidate is next.

Rule: QtCore only, and no decision about trust here: each step calls the service, and its feed says where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, Who
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.feed import Latest
from ui.add_node.words import ROW_OF, Row, draft_of, is_of_jump_host
from ui.bridge import watch

OPEN_CLUSTER = "Open the cluster"


class Enrolling(Protocol):
    """The service that adds nodes: plain methods, the work runs as tasks, the feed tells how it stands."""

    def start(self, who: Who) -> object: ...
    def trust(self) -> object: ...
    def give_password(self, password: str, *, remember: bool) -> object: ...
    def give_passphrase(self, text: str, *, remember: bool) -> object: ...
    def set_up_key(self) -> object: ...
    def keep_password(self) -> object: ...
    def take_same(self, *, is_same: bool) -> object: ...
    def retry(self) -> object: ...
    def cancel(self) -> object: ...


@dataclass(frozen=True)
class AddNodeFeeds:
    """What the three rows show, and the service they call. `nodes` are those of the open cluster."""

    enrolment: Latest[Enrolment]
    enroller: Enrolling
    nodes: Latest[tuple[NodeStatus, ...]]
    is_keyring_durable: Latest[bool]


class AddNodeModel(QObject):
    """`changed`: how the attempt stands. `drafted`: the form is to be filled from `draft`.

    `key_file_wanted` carries a function that takes the path of the key file chosen.
    """

    changed = Signal()
    drafted = Signal()
    key_file_wanted = Signal(object)

    def __init__(self, feeds: AddNodeFeeds, *, local_user: str = "", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self._enroller = feeds.enroller
        self._user = local_user
        self._row: Row = "who"
        # What was given for the first node, while the person wants it tried on the others; never kept longer.
        self._shared_password = ""
        self._is_shared_remembered = False
        self._has_tried_shared = False
        self.enrolment = Enrolment()
        self.draft = Who("", user=local_user)
        self.candidate: Candidate | None = None
        self.queue: tuple[Candidate, ...] = ()
        self.done_count = 0
        self.end_words = OPEN_CLUSTER
        """What is pressed once all are added."""
        self.is_keyring_durable = True
        watch(feeds.is_keyring_durable, self, self._take_keyring)
        watch(feeds.nodes, self, lambda _nodes: self.changed.emit())
        watch(feeds.enrolment, self, self._take)

    def _take_keyring(self, is_durable: bool) -> None:
        self.is_keyring_durable = is_durable
        self.changed.emit()

    def _take(self, enrolment: Enrolment) -> None:
        before, self.enrolment = self.enrolment, enrolment
        if enrolment.stage is not EnrolStage.FAILED:
            self._row = ROW_OF.get(enrolment.stage, "sign_in")
        elif self._row == "who":
            self._row = "trust"
        if enrolment.stage is EnrolStage.NEEDS_PASSWORD and before.stage is not enrolment.stage:
            self._offer_shared()
        self.changed.emit()

    @property
    def stage(self) -> EnrolStage:
        """Where the attempt is."""
        return self.enrolment.stage

    @property
    def row(self) -> Row:
        """The row in which something happens now; a failure stays in the row where it happened."""
        return self._row

    @property
    def is_of_jump_host(self) -> bool:
        """Whether the key on offer is the jump host's."""
        offer = self.enrolment.offer
        return offer is not None and is_of_jump_host(offer, self.enrolment.who)

    @property
    def has_tried_shared(self) -> bool:
        """Whether this node was offered the password that was given for another one."""
        return self._has_tried_shared

    def added_node(self) -> NodeStatus | None:
        """The node that was added, as far as it is known yet."""
        found = [each for each in self._feeds.nodes.value if each.record.id == self.enrolment.node_id]
        return found[0] if found and self.enrolment.node_id else None

    def open_form(self, who: Who | None = None) -> None:
        """An empty form, or one filled with what was typed elsewhere; nothing is asked yet."""
        self._leave()
        self.queue = ()
        self.done_count = 0
        self._forget_password()
        self._draft(who or Who("", user=self._user))

    def begin(self, who: Who) -> None:
        """Add this one node."""
        self.open_form(who)
        self.start(who)

    def begin_candidates(self, candidates: tuple[Candidate, ...]) -> None:
        """Add these one after the other."""
        self._leave()
        self._forget_password()
        self.queue = candidates
        self.done_count = 0
        self.take_next()

    def take_next(self) -> None:
        """Go on with the next candidate; one whose user is known is asked for its host key at once."""
        self._leave()
        if not self.queue:
            self._draft(Who("", user=self._user))
            return
        candidate, *rest = self.queue
        self.queue = tuple(rest)
        self._draft(draft_of(candidate, self._user), candidate)
        if candidate.user:
            self.start(self.draft)

    def _draft(self, who: Who, candidate: Candidate | None = None) -> None:
        self.draft = who
        self.candidate = candidate
        self.drafted.emit()
        self.changed.emit()

    def _leave(self) -> None:
        """End what is under way; a node that was added stays added."""
        if self.stage is EnrolStage.DONE:
            self.done_count += 1
        if self.stage is not EnrolStage.IDLE:
            self._enroller.cancel()
        self._has_tried_shared = False

    def start(self, who: Who) -> None:
        """Ask for the host key of who was typed."""
        self._user = who.user or self._user
        self.draft = who
        self._has_tried_shared = False
        self._enroller.start(who)

    def edit(self) -> None:
        """Back to the first row, with what was typed."""
        self._leave()
        self._draft(self.draft, self.candidate)

    def trust(self) -> None:
        """The person compared the key that is on offer and says yes."""
        if self.stage is EnrolStage.TRUST:
            self._enroller.trust()

    def give_password(self, password: str, *, remember: bool, is_for_all: bool) -> None:
        """Sign in with a password; `is_for_all`: try it once on each of the nodes that come after this one."""
        if self.stage is not EnrolStage.NEEDS_PASSWORD or not password:
            return
        if not self.enrolment.asked_for:
            self._shared_password = password if is_for_all and self.queue else ""
            self._is_shared_remembered = remember
        self._enroller.give_password(password, remember=remember)

    def _offer_shared(self) -> None:
        # Never to a jump host: it was given for a node.
        is_wanted = self._shared_password and not self._has_tried_shared
        if not is_wanted or self.enrolment.message or self.enrolment.asked_for:
            return
        self._has_tried_shared = True
        # Not inside the feed's own call: the service is still telling others.
        QTimer.singleShot(0, self, self._give_shared)

    def _give_shared(self) -> None:
        if self.stage is EnrolStage.NEEDS_PASSWORD and self._shared_password:
            self._enroller.give_password(self._shared_password, remember=self._is_shared_remembered)
        if not self.queue:
            self._forget_password()

    def _forget_password(self) -> None:
        self._shared_password = ""
        self._is_shared_remembered = False

    def give_passphrase(self, text: str, *, remember: bool) -> None:
        """Unlock the key file."""
        if self.stage is EnrolStage.NEEDS_PASSPHRASE and text:
            self._enroller.give_passphrase(text, remember=remember)

    def set_up_key(self) -> None:
        """A key pair of this node's own takes the password's place."""
        self._enroller.set_up_key()

    def keep_password(self) -> None:
        """Go on signing in with the password."""
        self._enroller.keep_password()

    def take_same(self, *, is_same: bool) -> None:
        """It is the node that is known already, or the attempt ends."""
        self._enroller.take_same(is_same=is_same)

    def retry(self) -> None:
        """Try the same again."""
        self._enroller.retry()

    def finish(self) -> None:
        """Nothing more to add: end what is under way and forget what was typed."""
        self.open_form()
