"""SSH keys: each node gets a pair of its own, and every node may sign in to every other one as its person does.

The one rule: private halves stay where they were made; a public half reaches a peer only through a reader that knows
nothing but one ed25519 key, and host keys are those that the application has pinned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan, FileDiff
from sparkdesk.core.bringup.matrix import Cell, Row
from sparkdesk.core.bringup.mesh import (
    AUTHORIZED,
    CONFIG,
    KEY_FILE,
    KNOWN_HOSTS,
    Member,
    find_members,
    plain_word,
    why_not,
)
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.row import LOOK_AGAIN, fail, good, make_row, planned, skipped
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.command import Command
from sparkdesk.core.digest import digest
from sparkdesk.core.playbooks.keys import (
    OWN_FOLDER,
    FormerRights,
    is_writable_by_others,
    leave_own_folder,
    make_own_folder,
    rights_step,
)
from sparkdesk.core.program import python_command
from sparkdesk.core.step import PutFile, Relay, Restore, Run, Stage, Step

PROGRAM = f"~/{OWN_FOLDER}/ssh_mesh.py"
MAX_NODES = 64
"""Each node has one action for each of its peers, and a step has room for so many."""
PARALLEL = 8
RUN_S = 60.0
TRY_S = 30.0

# Words of a Command are quoted, so the home is reached through $HOME by sh.
_SCRIPT = f'exec python3 -I -S "$HOME/{OWN_FOLDER}/ssh_mesh.py" "$@"'
_IS_THERE = f'[ "$(sha256sum < "$HOME/{OWN_FOLDER}/ssh_mesh.py")" = "$1  -" ]'
_SHOW_KEY = 'exec head -c 4096 -- "$HOME/.ssh/id_ed25519_sparkdesk.pub"'
# $1 the peer's name, $2 its address. It fails in the runner's language: message and remedy.
_TRY = r"""e=$(timeout 25 ssh -n -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no \
-o ConnectTimeout=10 -o ConnectionAttempts=1 -o ControlMaster=no -o ControlPath=none -o ClearAllForwardings=yes \
-o ForwardAgent=no -o LogLevel=ERROR -- "$2" true 2>&1 < /dev/null)
c=$?; [ $c -eq 0 ] && exit 0
case $e in
*'ermission denied'*) m='takes no key from this node'; r='Look there at AuthorizedKeysFile, AllowUsers: sshd -T' ;;
*'ost key'*) m='shows another host key than the one that was confirmed'; r='Add that node to SparkDesk anew.' ;;
*refused*) m='has no SSH server at this port'; r='Look there: systemctl status ssh' ;;
*'ad owner'*|*'onfiguration option'*) m='is not tried: ssh refuses ~/.ssh/config'; r='Mend that file on this node.' ;;
*) m='is not reached'; r='Try on this node: ssh -v' ;;
esac
printf '%s\n' "$e" >&2
printf '{"message": "%s %s", "remedy": "%s"}\n' "$1" "$m" "$r"; exit 1"""


def plan_keys(case: Case, scheme: Scheme | None = None) -> ChapterPlan:
    """The mesh between the nodes of the case. `scheme` has the addresses of their cables, as they will be."""
    members = find_members(case, scheme or Scheme())
    if len(case.node_ids) < 2 or len(case.node_ids) > MAX_NODES:
        words = "one node" if len(case.node_ids) < 2 else "too many nodes"
        row = Row("keys-mesh", Chapter.KEYS.value, "SSH to all peers", {one: skipped(words) for one in case.node_ids})
        return ChapterPlan(Chapter.KEYS, (row,))
    mesh = _Mesh(case, members)
    rows = (
        make_row(case, Chapter.KEYS, "rights", "Home and ~/.ssh closed to others", mesh.judge_rights),
        make_row(case, Chapter.KEYS, "pair", "Key pair of its own", mesh.judge_pair),
        make_row(case, Chapter.KEYS, "mesh", "SSH to all peers", mesh.judge_mesh),
    )
    return ChapterPlan(Chapter.KEYS, rows, mesh.stages(), tuple(mesh.diffs()), tuple(mesh.notes()))


class _Mesh:
    """What the members of one case have, and lack."""

    def __init__(self, case: Case, members: tuple[Member, ...]) -> None:
        self.case = case
        self.members = members
        self._source = case.programs["ssh_mesh"]
        self._undo_source = case.programs["mesh_undo"]
        self.lacks_pair = {one.node_id for one in members if not case.reading(one.node_id).ssh.public_key}
        self.lacks_rights = {one.node_id for one in members if _lacks_rights(case.reading(one.node_id))}
        self.lacks_keys = {one.node_id: self._missing_keys(one) for one in members}
        self.lacks_hosts = {one.node_id for one in members if self._missing_hosts(one)}
        lacks = (self.lacks_pair, self.lacks_rights, self.lacks_hosts, *self.lacks_keys.values())
        self.is_whole = not any(lacks)

    def peers(self, one: Member) -> tuple[Member, ...]:
        """All others."""
        return tuple(other for other in self.members if other is not one)

    def _missing_keys(self, one: Member) -> tuple[Member, ...]:
        """The peers whose keys are not let in, as far as is known."""
        lines = self.case.reading(one.node_id).ssh.authorized or ()
        there = {" ".join(line.split()[:2]) for line in lines}
        return tuple(peer for peer in self.peers(one) if self.case.reading(peer.node_id).ssh.public_key not in there)

    def _missing_hosts(self, one: Member) -> bool:
        return not all(self._knows_host(one, peer) for peer in self.peers(one))

    def _knows_host(self, one: Member, peer: Member) -> bool:
        ssh = self.case.reading(one.node_id).ssh
        return peer.known_line in (ssh.known_hosts or ()) and peer.block in (ssh.config or "")

    def _is_ready(self, one: Member, peer: Member) -> bool:
        """Whether `one` has what it needs to sign in to the peer, and lets the peer in."""
        has_pair = one.node_id not in self.lacks_pair
        return has_pair and peer not in self.lacks_keys[one.node_id] and self._knows_host(one, peer)

    # Steps -----------------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        """What is missing, as steps; none where nothing is."""
        if self.is_whole or len(self.members) < 2:
            return ()
        rights = [self._rights_step(one) for one in self.members if one.node_id in self.lacks_rights]
        pairs = [self._pair_step(one) for one in self.members if self._needs_program(one)]
        keys = [self._let_in_step(one) for one in self.members if self.lacks_keys[one.node_id]]
        hosts = [self._hosts_step(one) for one in self.members if one.node_id in self.lacks_hosts]
        tries = [self._try_step(one) for one in self.members]
        found = (
            Stage("Close home folders and ~/.ssh to others", tuple(rights), PARALLEL),
            Stage("Make a key pair on each node", tuple(pairs), PARALLEL),
            Stage("Let each node's key in on its peers", tuple(keys), PARALLEL),
            Stage("Tell each node its peers' host keys and users", tuple(hosts), PARALLEL),
            Stage("Sign in from each node to its peers", tuple(tries), PARALLEL),
        )
        return tuple(stage for stage in found if stage.steps)

    def _needs_program(self, one: Member) -> bool:
        """Whether a step of this node runs the program that the step of its pair brings."""
        return one.node_id in self.lacks_pair or bool(self.lacks_keys[one.node_id]) or one.node_id in self.lacks_hosts

    def _undo(self, part: str) -> Run:
        """By the program as it was when the plan was made: it need not lie there any more."""
        sources = [self._undo_source, self._source]
        return Run(python_command(sources, "undo", self.case.mark, part), stdin=b"".join(sources), timeout_s=RUN_S)

    def _rights_step(self, one: Member) -> Step:
        ssh = self.case.reading(one.node_id).ssh
        former = FormerRights(ssh.folder_mode, ssh.authorized_mode)
        title = f"Let nobody else write to home and ~/.ssh on {one.name}"
        step = rights_step(_id("rights", one), title, one.node_id, former, home=ssh.home_mode)
        return replace(step, phase=Chapter.KEYS.value)

    def _pair_step(self, one: Member) -> Step:
        """The pair, and before it the program by which this and the next steps are done."""
        is_new = one.node_id in self.lacks_pair
        title = f"Make a key pair on {one.name}" if is_new else f"Bring the program that sets up keys to {one.name}"
        is_there = Run(Command(("sh", "-c", _IS_THERE, "sh", digest(self._source))))
        key = ("key", self.case.mark, one.comment)
        check = (is_there, _run("check", *key))
        return Step(
            _id("pair", one), title, one.node_id,
            check=check,
            apply=(make_own_folder(), PutFile(PROGRAM, self._source), _run(*key)),
            verify=check,
            undo=(self._undo("key"), Restore(PROGRAM), leave_own_folder()),
            phase=Chapter.KEYS.value,
        )  # fmt: skip

    def _let_in_step(self, one: Member) -> Step:
        peers = self.lacks_keys[one.node_id]

        def relay(*words: str) -> tuple[Relay, ...]:
            return tuple(self._relay(peer, *words, "let-in", self.case.mark, peer.comment) for peer in peers)

        title = f"Let {_listed(peers)} in on {one.name}"
        return Step(
            _id("let-in", one), title, one.node_id, check=relay("check"), apply=relay(), verify=relay("check"),
            undo=(self._undo("let-in"), leave_own_folder()), phase=Chapter.KEYS.value,
        )  # fmt: skip

    def _relay(self, peer: Member, *words: str) -> Relay:
        return Relay(peer.node_id, Command(("sh", "-c", _SHOW_KEY)), "public_key", _command(*words), timeout_s=RUN_S)

    def _hosts_step(self, one: Member) -> Step:
        peers = self.peers(one)
        words = ("hosts", self.case.mark, *(peer.known_line for peer in peers), *(peer.block for peer in peers))
        check = (_run("check", *words),)
        title = f"Tell {one.name} the host keys and users of {_listed(peers)}"
        return Step(
            _id("hosts", one), title, one.node_id, check=check, apply=(_run(*words),), verify=check,
            undo=(self._undo("hosts"), leave_own_folder()), phase=Chapter.KEYS.value,
        )  # fmt: skip

    def _try_step(self, one: Member) -> Step:
        """It changes nothing, so that it is simply done again after an interruption."""
        peers = tuple(peer for peer in self.peers(one) if peer.address)
        tries = tuple(
            Run(Command(("sh", "-c", _TRY, "sh", plain_word(peer.name), peer.address)), timeout_s=TRY_S)
            for peer in peers
        )
        title = f"Sign in from {one.name} to {_listed(peers)}"
        return Step(_id("try", one), title, one.node_id, apply=(), verify=tries, phase=Chapter.KEYS.value)

    # What is shown ---------------------------------------------------------------------------------------------------

    def _of(self, reading: NodeReading) -> Member | None:
        return next((one for one in self.members if one.node_id == reading.node_id), None)

    def _judge_not_member(self, reading: NodeReading) -> Cell:
        why = why_not(reading) or f"no address of {reading.name} is known that is its own"
        return fail("left out", f"It takes no part in the mesh: {why}. Mend that, then look again.")

    def judge_rights(self, reading: NodeReading) -> Cell:
        """Whether the SSH server takes keys from there. Source: sshd_config(5), StrictModes."""
        ssh, one = reading.ssh, self._of(reading)
        said = f"home {ssh.home_mode or '?'}, ~/.ssh {ssh.folder_mode or 'not there'}"
        if one is None:
            return self._judge_not_member(reading)
        if one.node_id in self.lacks_rights:
            return planned(_open_words(reading), (_id("rights", one),), said, then="closed to others")
        return good("closed to others", said)

    def judge_pair(self, reading: NodeReading) -> Cell:
        """Whether it has the pair whose private half never leaves it."""
        one = self._of(reading)
        if one is None:
            return self._judge_not_member(reading)
        if one.node_id in self.lacks_pair:
            return planned("no key pair", (_id("pair", one),), f"{KEY_FILE} is not there", then="ed25519")
        return good("ed25519", reading.ssh.public_key)

    def judge_mesh(self, reading: NodeReading) -> Cell:
        """Whether every peer's key, host key and user are there; the last step signs in to all of them."""
        one = self._of(reading)
        if one is None:
            return self._judge_not_member(reading)
        peers = self.peers(one)
        if not peers:
            return fail("no peer", f"No other node can be a member of the mesh. {LOOK_AGAIN}")
        steps = {_id("let-in", one): bool(self.lacks_keys[one.node_id]), _id("hosts", one): one.node_id in
                 self.lacks_hosts, _id("try", one): not self.is_whole}  # fmt: skip
        words = f"{len(peers)} of {len(peers)} peers"
        missing = len(self.lacks_keys[one.node_id])
        evidence = f"{len(peers) - missing} of {len(peers)} peers' keys are let in"
        if not self.is_whole:
            ready = sum(self._is_ready(one, peer) for peer in peers)
            now = f"{ready} of {len(peers)} peers{', not tried' if ready == len(peers) else ''}"
            return planned(now, tuple(step for step, is_planned in steps.items() if is_planned), evidence, then=words)
        return good(words, evidence)

    def diffs(self) -> Iterator[FileDiff]:
        """Our own part of each file, before and after."""
        for one in self.members if self.stages() else ():
            ssh, peers = self.case.reading(one.node_id).ssh, self.peers(one)
            note = "Only SparkDesk's own lines are shown; all others stay as they are."
            if self.lacks_keys[one.node_id]:
                before = ssh.authorized or ()
                lines = [f"{self._public(peer)} {peer.comment}" for peer in self.lacks_keys[one.node_id]]
                yield _diff(one, AUTHORIZED, before, [*before, *lines], ssh.authorized is not None, note)
            if one.node_id in self.lacks_hosts:
                before = ssh.known_hosts or ()
                kept = [line for line in before if not _is_about(line, peers)]
                after = [*kept, *(peer.known_line for peer in peers)]
                yield _diff(one, KNOWN_HOSTS, before, after, ssh.known_hosts is not None, note)
                config = (ssh.config or "").splitlines()
                blocks = "".join(peer.block for peer in peers if peer.block not in (ssh.config or "")).splitlines()
                above = f"{note} They stand above the others: ssh takes the first value that it finds."
                yield _diff(one, CONFIG, config, [*blocks, *config], ssh.config is not None, above)

    def _public(self, peer: Member) -> str:
        return self.case.reading(peer.node_id).ssh.public_key or f"ssh-ed25519 (the key that {peer.name} makes)"

    def notes(self) -> Iterator[str]:
        """What a person should know before."""
        for one in (self.case.reading(node_id) for node_id in self.case.node_ids):
            if self._of(one) is None and one.did_answer:
                yield f"{one.name} takes no part in the mesh: {why_not(one) or 'no address of it is known'}."
        for member in self.members:
            if not member.address:
                yield f"{member.name} has no management address that is known: nobody tries to sign in to it."


def _lacks_rights(reading: NodeReading) -> bool:
    ssh = reading.ssh
    is_open = is_writable_by_others(ssh.home_mode) is not False
    return is_open or ssh.folder_mode != "700" or ssh.authorized_mode not in ("", "600")


def _open_words(reading: NodeReading) -> str:
    """In which of its parts a node's home is not closed to others, in a few words."""
    ssh = reading.ssh
    if is_writable_by_others(ssh.home_mode) is not False:
        return f"home {ssh.home_mode or 'not read'}"
    if ssh.folder_mode != "700":
        return f"~/.ssh {ssh.folder_mode}" if ssh.folder_mode else "no ~/.ssh"
    return f"its keys {ssh.authorized_mode}"


def _is_about(line: str, peers: tuple[Member, ...]) -> bool:
    return any(line.rpartition(" ")[2] == peer.comment.rpartition(" ")[2] for peer in peers)


def _diff(
    one: Member, path: str, before: list[str] | tuple[str, ...], after: list[str], is_known: bool, note: str
) -> FileDiff:
    return FileDiff(one.node_id, path, _text(before) or None, _text(after), is_known, note)


def _text(lines: list[str] | tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _id(what: str, one: Member) -> str:
    return f"{Chapter.KEYS.value}-{what}-{one.node_id}"


def _listed(members: tuple[Member, ...]) -> str:
    """Names as a sentence has them; many are counted."""
    names = [one.name for one in members]
    if len(names) > 4:
        return f"{len(names)} peers"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nobody"


def _command(*words: str) -> Command:
    return Command(("sh", "-c", _SCRIPT, "sh", *words), env={"LC_ALL": "C"})


def _run(*words: str) -> Run:
    return Run(_command(*words), timeout_s=RUN_S)
