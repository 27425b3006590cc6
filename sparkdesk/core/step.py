"""Playbooks: what will be changed on nodes, as data that a person reads before it runs.

Everything that changes a node is a Step; everything that reads one is a probe. A Playbook is stages of steps; a step
is check, apply, verify and undo, each a tuple of actions from a closed set. The one rule: a playbook holds no code
and no secret, so that it can be shown, stored, compared, and carried on by another process (`to_json`, `from_json`
in step_json.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sparkdesk.core.command import Command, Outcome


@dataclass(frozen=True, slots=True)
class Expect:
    """What a command's outcome must be. `reader` names a pure reader of standard output (core/playbooks/reader.py)."""

    exit_codes: tuple[int, ...] = (0,)
    reader: str = ""
    """A registered reader's name; "" reads nothing."""
    equals: str = ""
    """When not "": what the reader's result must be."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run a command to its end."""

    command: Command
    expect: Expect = Expect()
    stdin: bytes = b""
    timeout_s: float = 60.0
    as_root: bool = False
    """Through sudo; the runner asks for the password where the node wants one, and no plan holds it."""


@dataclass(frozen=True, slots=True)
class PutFile:
    """Write a file whole with this mode. `~/` is the node user's home."""

    path: str
    content: bytes
    mode: int = 0o600
    as_root: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Run a read-only command again and again until its outcome is as expected; `give_up` ends the waiting early."""

    command: Command
    expect: Expect
    stdin: bytes = b""
    every_s: float = 1.0
    timeout_s: float = 600.0
    give_up: Expect | None = None
    """An outcome that can never become right any more (e.g. the process has ended)."""
    reader: str = ""
    """Reads the last line that each look printed as progress; "" only counts the seconds."""
    on_cancel: Command | None = None
    """Run, with the same input, when the waiting is cancelled: ends what was waited for."""
    ask: str = ""
    """Asked of the person when no look could tell within the time: a yes goes on. "" fails then."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Run a command and hand its output to a named reader as it comes (progress)."""

    command: Command
    reader: str
    expect: Expect = Expect()
    timeout_s: float = 3600.0
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Serve:
    """Run `server` on `node` while `client` runs on the step's node: for tests between a pair."""

    node: str
    server: Command
    client: Command
    expect: Expect = Expect()
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Expect the node to go and come back; or, without `comes_back`, only to go."""

    timeout_s: float = 300.0
    comes_back: bool = True


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask the person; a no stops the playbook."""

    question: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a file as it is now, for a Restore: before a command that will write it. It changes nothing.

    A PutFile keeps by itself. What this playbook kept of a file before stays what is put back.
    """

    path: str
    as_root: bool = False


@dataclass(frozen=True, slots=True)
class Restore:
    """Put a file back as it was before this playbook wrote it (the runner kept its bytes in the journal)."""

    path: str


@dataclass(frozen=True, slots=True)
class PutSecrets:
    """Write a 0600 JSON object {VARIABLE: secret} on the node; only names stand here, never a secret.

    `names` pairs a variable with a reference, which is looked up when the step runs: "hub_token", "api_key:JOB ID". A
    reference that ends in "?" is left out where there is no such secret.
    """

    path: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Push:
    """Send a file or folder of this computer to the node, going on from what is there; it shows up only when whole.

    `kind` "file" and "folder": `source` is a path of this computer. "image": a container image, whose archive is sent;
    `platform` is what it must be for ("linux/arm64"). "repo": OWNER/NAME@REVISION out of this computer's hub cache,
    which lands below `path` in the cache's own layout. `~/` in `path` is the node user's home.
    """

    source: str
    path: str
    kind: str = "file"
    platform: str = ""


PUSH_KINDS = ("file", "folder", "image", "repo")


@dataclass(frozen=True, slots=True)
class SignInAnew:
    """Close our connection to the node and sign in again: new groups count then, and the way there is proved."""

    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand what a command on `node` prints to a command on the step's node, as its input.

    `reader` names the pure reader (core/playbooks/reader.py) that the text must pass; what it gives is handed on,
    never what the node said itself.
    """

    node: str
    source: Command
    reader: str
    target: Command
    expect: Expect = Expect()
    timeout_s: float = 30.0


Action = (
    Run
    | PutFile
    | Wait
    | Follow
    | Serve
    | Reconnect
    | Confirm
    | Keep
    | Restore
    | PutSecrets
    | Push
    | SignInAnew
    | Relay
)


@dataclass(frozen=True, slots=True)
class Step:
    """One change on one node. `check` passing means: nothing to do. `undo` is fixed when the plan is made."""

    id: str
    title: str
    node: str
    """The node's id."""
    apply: tuple[Action, ...]
    check: tuple[Action, ...] = ()
    verify: tuple[Action, ...] = ()
    undo: tuple[Action, ...] = ()
    phase: str = ""
    """The word of the timeline that this step belongs to, e.g. "load"."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps that may run at once, `max_parallel` of them; when one fails the others of the stage still end."""

    title: str
    steps: tuple[Step, ...]
    max_parallel: int = 4


@dataclass(frozen=True, slots=True)
class Playbook:
    """Stages in order. A failed stage stops the playbook."""

    title: str
    stages: tuple[Stage, ...]
    schema: int = 1
    needs_lock: bool = False
    """Whether its nodes are locked against other computers meanwhile: it changes network, packages, docker or power, or
    it measures, which others would spoil."""
    only_measures: bool = False
    """Whether nobody who takes the lock next waits for a command of it that was left behind: its undo is what ends it.
    """

    def steps(self) -> Iterator[Step]:
        """Every step in order."""
        for stage in self.stages:
            yield from stage.steps


# Events of a run, in the order a runner sends them --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began (`part`: check, apply, verify or undo)."""

    step_id: str
    part: str
    t_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is. `fraction` is None when not known."""

    step_id: str
    t_ms: int
    text: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a command of a step printed, bounded."""

    step_id: str
    t_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """How a step ended: "done", "unchanged" (its check passed), "failed", "cancelled", "undone", "unknown"."""

    step_id: str
    t_ms: int
    result: str
    message: str = ""
    remedy: str = ""
    outcome: Outcome | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RunEnded:
    """How a run ended: "done", "failed", "cancelled", "unknown"."""

    t_ms: int
    result: str
    message: str = ""
    remedy: str = ""


StepEvent = StepStarted | Progress | Output | StepEnded | RunEnded
