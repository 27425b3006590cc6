"""Every error that SparkDesk expects, and the one rule: no error without a next step.

    SparkDeskError
    ├── NodeError             something between this computer and a node
    │   ├── Unreachable       no answer: closed port, no route, connection lost, time-out
    │   ├── HostKeyUnknown    the first contact: a person must compare the fingerprint
    │   ├── HostKeyChanged    not the machine that was trusted; refused, never asked as if new
    │   ├── AuthFailed        the node refused the sign-in
    │   │   └── KeyLocked     a key file needs its passphrase, or another one; nothing was sent
    │   ├── NodeBusy          the node or this application has no free channel or login slot
    │   └── CommandFailed     a command ran and did not do what it should
    ├── PlanError             a launch request that cannot become a plan
    ├── StepFailed            a step of a playbook failed; the playbook stopped there
    ├── EndpointError         a model server answered wrongly, late, or not at all
    ├── StoreError            the database cannot be read or written
    └── SettingsError         settings or a file of the user's cannot be understood

Foreign exceptions become one of these in infra, one place a library. Anything else that flies is a bug.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkdesk.core.jobs.backend import EndpointFailure


class SparkDeskError(Exception):
    """An expected error: what happened, where (`node`), what to do (`remedy`), and the evidence (`detail`)."""

    def __init__(self, message: str, *, remedy: str, detail: str = "", node: str = "") -> None:
        if not message or not remedy:
            raise ValueError("an error needs a message and a remedy")
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = detail
        self.node = node

    def sentence(self) -> str:
        """What happened, on which node, what to do: as one line for a banner, a log or a terminal."""
        where = f" on {self.node}" if self.node and self.node not in self.message else ""
        return f"{self.message.rstrip('.')}{where}. {self.remedy}"


class NodeError(SparkDeskError):
    """Something between this computer and a node."""


class Unreachable(NodeError):
    """No answer from the node, or the connection was lost. `was_met`: whether something answered at all."""

    was_met = True


class HostKeyUnknown(NodeError):
    """First contact with a node whose key nobody has confirmed yet. Nothing secret was sent."""

    def __init__(self, message: str, *, remedy: str, host_key: str, fingerprint: str, node: str = "") -> None:
        super().__init__(message, remedy=remedy, node=node, detail=fingerprint)
        self.host_key = host_key
        self.fingerprint = fingerprint


class HostKeyChanged(NodeError):
    """The node offers another key than the one that was trusted. Nothing was sent."""

    def __init__(self, message: str, *, remedy: str, trusted: str, offered: str, node: str = "") -> None:
        super().__init__(message, remedy=remedy, node=node, detail=f"trusted {trusted}\noffered {offered}")
        self.trusted = trusted
        self.offered = offered


class AuthFailed(NodeError):
    """The node refused the sign-in.

    `takes_password`: whether it would let itself be given one; `was_login`: whether something was offered, which a node
    may count against this computer.
    """

    takes_password = True
    was_login = False


class KeyLocked(AuthFailed):
    """A key file needs its passphrase, or another one than was given. Nothing was sent."""


class NodeBusy(NodeError):
    """No free channel or login slot on the node."""


NO_CHANNEL_REMEDY = (
    "Wait for a running command to end. If it stays so, set MaxSessions 10 in the node's /etc/ssh/sshd_config."
)
"""Where a node gives no further channel."""


class CommandFailed(NodeError):
    """A command ran on the node and did not do what it should."""


class PlanError(SparkDeskError):
    """A launch request that cannot become a plan."""


class StepFailed(SparkDeskError):
    """A step of a playbook failed; what came before it stands, what comes after it was not begun."""


class EndpointError(SparkDeskError):
    """A model server answered wrongly, late, or not at all.

    `failure` is the answer understood, with its kind and numbers; None where none came, or its kind is not known.
    """

    def __init__(
        self, message: str, *, remedy: str, detail: str = "", node: str = "", failure: EndpointFailure | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, detail=detail, node=node)
        self.failure = failure

    @property
    def kind(self) -> str:
        """The failure's kind (`EndpointFailure.kind`); "" is not known."""
        return "" if self.failure is None else self.failure.kind


class StoreError(SparkDeskError):
    """The database on this computer cannot be read or written."""


class SettingsError(SparkDeskError):
    """Settings or a user's file cannot be understood."""
