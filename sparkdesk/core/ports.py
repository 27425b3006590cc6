"""What services need from the outside, as protocols that infra fulfils.

The one rule: only the standard library's and core's types cross these lines; no asyncssh, httpx or sqlite3 type does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from sparkdesk.core.chat.event import ChatEvent
from sparkdesk.core.chat.message import Attachment, ChatRequest
from sparkdesk.core.chat.store.chat_store import ChatStore
from sparkdesk.core.cluster.node import ClusterRecord, JumpHost, NodeRecord
from sparkdesk.core.command import Command, Outcome
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobIntent


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """Where a forward listens on this computer: a unix socket's path that only this user can open."""

    socket_path: str


class Process(Protocol):
    """A command that runs on a node, with its streams as bytes."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Standard output as it comes, in pieces of any size; ends at end of file or when the connection is lost."""
        ...

    def error_tail(self) -> bytes:
        """The last 8 KiB of standard error so far."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes to standard input. Raises Unreachable when the channel is gone."""
        ...

    async def close_stdin(self) -> None:
        """Send end of file."""
        ...

    async def outcome(self) -> Outcome:
        """Wait for the end; the caller sets the time limit. Fate is `Unknown` when the connection was lost."""
        ...


class Shell(Protocol):
    """One node, connected; bytes in, bytes out. Every method raises a NodeError kind, never a library's exception."""

    @property
    def node(self) -> str:
        """The node's name, for messages."""
        ...

    async def run(
        self, command: Command, *, stdin: bytes = b"", timeout_s: float = 30.0, max_bytes: int = 1 << 20
    ) -> Outcome:
        """Run to the end. A lost connection or a time-out is a fate (`Unknown`), not an exception."""
        ...

    def open(self, command: Command) -> AbstractAsyncContextManager[Process]:
        """Start a command and talk to it; leaving the block closes the channel."""
        ...

    async def put(self, data: bytes, path: str, *, mode: int) -> None:
        """Write a file whole (own temporary name, then rename) with this mode. `~/` is the node user's home."""
        ...

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """Read a file, at most `max_bytes` (CommandFailed when it is larger or missing)."""
        ...

    def forward(self, host: str, port: int) -> AbstractAsyncContextManager[LocalAddress]:
        """A local way to a port that the node reaches as host:port; lives as long as the block."""
        ...

    def forward_port(self, host: str, port: int, *, local_port: int = 0) -> AbstractAsyncContextManager[int]:
        """The same on a TCP port of 127.0.0.1, for the user's own programs; gives the port (0 asks for a free one).

        Any program of this computer can use it while the block lives. Raises NodeBusy when `local_port` is taken.
        """
        ...

    async def answers(self, host: str, port: int, *, timeout_s: float = 5.0) -> bool | None:
        """Whether something accepts connections at host:port as the node sees it; None when that is not known in time.

        Nothing is sent. Raises CommandFailed when the node's SSH server forbids forwards, Unreachable.
        """
        ...


class Connection(Shell, Protocol):
    """A shell that can be closed and tells when it is gone."""

    async def close(self) -> None:
        """Close within a bounded time; safe to call twice."""
        ...

    async def wait_closed(self) -> str:
        """Wait until the connection is gone; gives the reason in words."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """The host key that a machine offered before anything secret was sent."""

    host_key: str
    """One OpenSSH public-key line without comment: "ssh-ed25519 AAAA..."."""
    fingerprint: str
    """ "SHA256:..." as ssh-keygen -lf prints it."""


class Connector(Protocol):
    """Opens connections to nodes."""

    async def look(
        self,
        address: str,
        port: int,
        *,
        jump: JumpHost | None = None,
        jump_password: str | None = None,
        timeout_s: float = 8.0,
    ) -> Offer:
        """Fetch the host key that is offered there, sending nothing secret to it.

        The way leads through `jump`, when given, which is signed in to. Raises Unreachable, NodeBusy; of the jump host
        as `connect` does, with its title as the error's node.
        """
        ...

    async def connect(
        self,
        record: NodeRecord,
        *,
        password: str | None = None,
        passphrase: str | None = None,
        jump_password: str | None = None,
        timeout_s: float = 12.0,
    ) -> Connection:
        """Connect to a node whose host key is trusted (record.host_key), offering what `record.sign_in` says.

        `passphrase` opens the key file. Raises HostKeyUnknown (no trusted key), HostKeyChanged (another key is
        offered: nothing was sent), KeyLocked, AuthFailed, NodeBusy, Unreachable; what concerns the jump host carries
        its title as the error's node.
        """
        ...


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key pair of the application: where the private half lies, and the public line for authorized_keys."""

    path: str
    public_line: str


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A private key of the user's that lies on this computer; `title` names kind, fingerprint and comment."""

    path: str
    title: str
    is_locked: bool = False


class KeyFolder(Protocol):
    """The key pairs that the application made for nodes, and the user's own."""

    async def make(self, node_id: str, *, comment: str) -> OwnKey:
        """The pair for this node, made when there is none. Raises AuthFailed, SettingsError."""
        ...

    async def has(self, node_id: str) -> bool:
        """Whether there is a pair for this node. Never raises for an id of ours."""
        ...

    async def remove(self, node_id: str) -> None:
        """Remove the pair for this node; no error when there is none. Raises SettingsError."""
        ...

    async def local_keys(self) -> tuple[LocalKey, ...]:
        """The user's usual keys (~/.ssh). Never raises: one that cannot be read is left out."""
        ...


class KnownHosts(Protocol):
    """The user's own list of trusted hosts (~/.ssh/known_hosts): a hint for a person, never trust by itself."""

    async def has(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list has this key for this address and does not revoke it. Never raises."""
        ...

    async def revokes(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list says that this key must not be trusted there (@revoked). Never raises."""
        ...

    async def others(self, address: str, port: int, host_key: str) -> tuple[str, ...]:
        """The keys (public lines) by which the list knows the address, when this one is not among them; those of its
        own kind first. Never raises."""
        ...


class NetworkWatch(Protocol):
    """Tells when this computer's network is another: a link, an address or a route came or went."""

    @property
    def absence(self) -> str:
        """Why nothing can be told here, in words; "" when it can."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """One item a change, at most one in two seconds; ends at once where nothing can be told. Never raises."""
        ...


class Waker(Protocol):
    """Wakes nodes that were shut down."""

    async def wake(self, macs: Sequence[str], addresses: Sequence[str]) -> None:
        """Send the wake-up to these hardware addresses, on the networks of these addresses ("192.168.1.7").

        That it was sent says nothing of whether it worked. Raises Unreachable when nothing could be sent.
        """
        ...


class EndpointClient(Protocol):
    """Talks to one model server."""

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream an answer. Closing the iterator aborts the request on the server. Raises EndpointError."""
        ...

    async def get(self, path: str, *, timeout_s: float = 5.0, max_bytes: int = 1 << 20) -> tuple[int, bytes]:
        """Status and body of a GET on the server (e.g. /metrics, /v1/models). Raises EndpointError."""
        ...

    async def post(
        self, path: str, body: Mapping[str, object], *, timeout_s: float = 30.0, max_bytes: int = 1 << 24
    ) -> tuple[int, bytes]:
        """Status and body of a POST of this JSON object (e.g. /tokenize, /v1/embeddings). Raises EndpointError."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class EndpointClients(Protocol):
    """Makes clients for endpoints."""

    def open(self, endpoint: Endpoint, via: LocalAddress | None, *, api_key: str = "") -> EndpointClient:
        """A client for the endpoint, through a forward's socket when `via` is given.

        `api_key` goes with every request as a bearer token, and nowhere else.
        """
        ...


class Secrets(Protocol):
    """Passwords and tokens by name: in the system's keyring, else in memory for this run only (and it says so)."""

    is_durable: bool
    """Whether what is kept survives the end of the program."""

    async def get(self, name: str) -> str | None:
        """The secret, or None."""
        ...

    async def set(self, name: str, secret: str) -> None:
        """Keep the secret."""
        ...

    async def forget(self, name: str) -> None:
        """Remove the secret, if there."""
        ...


@dataclass(frozen=True, slots=True)
class LocalItem:
    """A file of this computer that is sent to a node, or a link beside it."""

    path: str
    """Its place below what is sent, "/" between the parts; "" when one file is sent."""
    size_bytes: int
    link: str = ""
    """Where it leads, relative to its own folder, when it is a link; then it has no bytes of its own."""


class LocalFiles(Protocol):
    """Files of this computer that a step sends (core's Push). Every method raises StepFailed, never OSError."""

    async def items(self, kind: str, source: str, platform: str) -> tuple[LocalItem, ...]:
        """What there is to send, links last; brings it here first where that is possible ("image", "repo")."""
        ...

    def read(self, kind: str, source: str, path: str) -> AsyncGenerator[bytes]:
        """The bytes of one item from its start, in pieces of at most 1 MiB."""
        ...

    async def release(self, kind: str, source: str) -> None:
        """It was sent: what was made only for that may go."""
        ...


class TextFolder(Protocol):
    """A folder of small text files that belong to the person, who may edit them with any editor.

    A name is what a person calls it ("Rust reviewer"), not a path. Every method raises SettingsError, never OSError.
    """

    @property
    def path(self) -> str:
        """Where the folder lies."""
        ...

    async def names(self) -> tuple[str, ...]:
        """What there is, in order of the alphabet."""
        ...

    async def read(self, name: str) -> str | None:
        """The text, at most 1 MiB of it; None when there is none."""
        ...

    async def write(self, name: str, text: str) -> None:
        """Write the file whole."""
        ...

    async def remove(self, name: str) -> None:
        """Remove the file; no error when there is none."""
        ...

    async def place(self, name: str) -> str:
        """The path of the file, or of the one that `write` would make; for the person's own editor."""
        ...


@dataclass(frozen=True, slots=True)
class ReadAttachment:
    """A file of this computer as it goes along with a question; `data` is an image's own bytes, not yet decoded."""

    part: Attachment
    data: bytes | None = None


class AttachmentReader(Protocol):
    """Reads files that a person attaches to a question."""

    async def read(self, path: str) -> ReadAttachment:
        """What lies at the path. Raises SettingsError when it cannot go along: too large, no text, not a file."""
        ...


class Store(ChatStore, Protocol):
    """What survives: clusters, nodes with their trusted keys, jobs, journals, chats. Raises StoreError.

    Every method is done (and, for journals, on the disk) when it returns.
    """

    async def clusters(self) -> tuple[ClusterRecord, ...]: ...
    async def save_cluster(self, cluster: ClusterRecord) -> None: ...
    async def remove_cluster(self, cluster_id: str) -> None: ...

    async def job_intents(self) -> tuple[JobIntent, ...]: ...
    async def save_job_intent(self, intent: JobIntent) -> None: ...
    async def remove_job_intent(self, job_id: str) -> None: ...

    async def append_journal(self, run_id: str, entry: bytes) -> None:
        """Append one JSON entry to a run's journal, durably."""
        ...

    async def journal(self, run_id: str) -> tuple[bytes, ...]: ...
    async def unfinished_runs(self) -> tuple[str, ...]:
        """Runs whose journal has no closing entry (`{"kind": "run_ended"...}`), newest first."""
        ...

    async def recent_runs(self, limit: int) -> tuple[str, ...]:
        """The last runs that were journalled, newest first."""
        ...

    async def documents(self, kind: str) -> dict[str, bytes]:
        """Everything that was kept under this kind ("forward", "details", "field_report"), JSON by id."""
        ...

    async def save_document(self, kind: str, document_id: str, data: bytes) -> None:
        """Insert or replace one JSON document."""
        ...

    async def remove_document(self, kind: str, document_id: str) -> None:
        """Forget a document; no error when there is none."""
        ...


class NodeTools(Protocol):
    """The user's own programs, opened on a node. Raises SettingsError: no such program here, or an unusable record."""

    async def open_terminal(self, record: NodeRecord) -> None:
        """Open the user's terminal with an SSH session on the node; the node's pinned host key is the only one."""
        ...

    async def open_vscode(self, record: NodeRecord, folder: str) -> str:
        """Open a folder of the node ("/home/...") in VS Code, which connects by the user's own SSH settings.

        Gives the lines for those settings with which it would accept the pinned key alone; "" when it does.
        """
        ...

    def describe(self, record: NodeRecord) -> str:
        """The SSH command that `open_terminal` runs, as text for a POSIX shell."""
        ...


# Finding machines ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Announcement:
    """A machine that announces SSH on this network. All text is untrusted."""

    name: str
    host: str
    """Its name in the local domain: "spark-5c2d.local"."""
    addresses: tuple[str, ...]
    port: int


class Listener(Protocol):
    """Hears machines announce themselves."""

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[Announcement]]:
        """While the block lives, each announcement as it is heard. Raises Unreachable when this computer cannot."""
        ...


class Greeter(Protocol):
    """Knocks at SSH ports."""

    async def greet(self, address: str, port: int, *, timeout_s: float) -> str:
        """The first line of the SSH server there; "" when there is none. Never raises for what is there."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredHost:
    """A host that the user's own SSH configuration names. `jump` is "[user@]host[:port]" or ""."""

    alias: str
    address: str
    port: int = 22
    user: str = ""
    jump: str = ""
