"""Find and trust: the host key that the application pinned, the sign-in, root's rights, and that no node is two.

The one rule: it changes nothing; what is wrong here, a person mends before the rest can be done. Where a later step
needs root's rights they are proved first, so that a wrong password is found before anything is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan
from sparkdesk.core.bringup.matrix import Cell, Row
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.row import fail, good, make_row, unread
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.cluster.host_key import describe_host_key
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.command import Command
from sparkdesk.core.step import Run, Stage, Step

NO_ROOT = (SudoMode.NOT_ALLOWED, SudoMode.ABSENT)
SUDO_ROW = f"{Chapter.TRUST.value}-sudo"
ROOT_TIMEOUT_S = 30.0
_NO_MACS = ("", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff")


def plan_trust(case: Case) -> ChapterPlan:
    """The rows of trust. Its only steps are those of `plan_root`, which the steps of the other chapters call for."""
    twins = find_twins(case)
    rows = (
        make_row(case, Chapter.TRUST, "host-key", "Host key pinned", judge_host_key),
        make_row(case, Chapter.TRUST, "identity", "A machine of its own", lambda one: _judge_identity(one, twins)),
        make_row(case, Chapter.TRUST, "sign-in", "Signed in", _judge_sign_in),
        make_row(case, Chapter.TRUST, "sudo", "sudo", judge_sudo),
    )
    return ChapterPlan(Chapter.TRUST, rows, notes=_notes(case))


def plan_root(case: Case, needing: Sequence[str]) -> tuple[Stage, ...]:
    """Proves root's rights on these nodes; on the first of them alone, so that a mistyped password is tried once."""
    asking = [case.reading(one) for one in needing if case.reading(one).sudo is not SudoMode.NO_PASSWORD]
    title = "Prove root's rights"
    steps = tuple(_root_step(reading) for reading in asking)
    return tuple(Stage(title, some) for some in (steps[:1], steps[1:]) if some)


def _root_step(reading: NodeReading) -> Step:
    """A command that does nothing, as root: it passes, or the run ends here. Nothing is applied."""
    proof = (Run(Command(("true",)), timeout_s=ROOT_TIMEOUT_S, as_root=True),)
    step_id = f"{Chapter.TRUST.value}-root-{reading.node_id}"
    title = f"Prove root's rights on {reading.name}"
    return Step(step_id, title, reading.node_id, (), check=proof, verify=proof, phase=Chapter.TRUST.value)


def with_root_steps(row: Row, stages: Sequence[Stage]) -> Row:
    """The row of sudo, whose cells follow the steps that prove it; what was read stands in them until then."""
    if row.id != SUDO_ROW:
        return row
    by_node = {step.node: step.id for stage in stages for step in stage.steps}
    cells = {
        node_id: replace(cell, step_ids=(by_node[node_id],)) if node_id in by_node else cell
        for node_id, cell in row.cells.items()
    }
    return replace(row, cells=MappingProxyType(cells))


def find_twins(case: Case) -> Mapping[str, str]:
    """Node id -> the name of an earlier node that is the same machine: they share a hardware address."""
    owners: dict[str, str] = {}
    found = {}
    for node_id in case.node_ids:
        reading = case.reading(node_id)
        macs = _own_macs(reading) if reading.did_answer else ()
        first = next((owners[mac] for mac in macs if mac in owners), "")
        if first:
            found[node_id] = case.reading(first).name
        for mac in macs:
            owners.setdefault(mac, node_id)
    return found


def _own_macs(reading: NodeReading) -> tuple[str, ...]:
    """Of the cages and the management port: bridges and virtual ports may have the same on many machines."""
    names = [*(netdev for pair in CAGE_NETDEVS.values() for netdev in pair), reading.management]
    ports = (reading.interfaces.get(name) for name in names)
    return tuple(port.mac for port in ports if port is not None and port.mac not in _NO_MACS)


def judge_host_key(reading: NodeReading) -> Cell:
    """Whether the application has pinned the node's host key."""
    remedy = "Connect to the node once and compare its key with the one on the node's own console."
    if not reading.host_key:
        return fail("not pinned", remedy)
    try:
        look = describe_host_key(reading.host_key)
    except ValueError as error:
        return fail("no host key", remedy, f"what is kept as its host key: {error}")
    return good(look.kind, f"{look.kind} {look.fingerprint}")


def _judge_identity(reading: NodeReading, twins: Mapping[str, str]) -> Cell:
    twin = twins.get(reading.node_id)
    if twin is not None:
        return fail(f"is {twin}", "Take one of the two out of the cluster: they are one machine.", _shown_macs(reading))
    if not _own_macs(reading):
        return unread(reading, "interfaces")
    return good("yes", _shown_macs(reading))


def _shown_macs(reading: NodeReading) -> str:
    return "hardware addresses: " + ", ".join(dict.fromkeys(_own_macs(reading)))


def _judge_sign_in(reading: NodeReading) -> Cell:
    """Who signed in, and that there is a home for what is brought."""
    if not reading.user:
        return unread(reading, "user")
    if not reading.home:
        return unread(reading, "home", "Give the account a home on the node; keys and programs are kept there.")
    place = f", by {reading.management} {reading.management_address}" if reading.management else ""
    return good(reading.user, f"id -un: {reading.user}; home {reading.home}{place}")


def judge_sudo(reading: NodeReading) -> Cell:
    """Whether root's steps can be done. Source: sudo's words in the C locale, as `parse_sudo` reads them."""
    mode, evidence = reading.sudo, f"sudo -n true: {reading.sudo.words}"
    if mode in (SudoMode.NO_PASSWORD, SudoMode.PASSWORD):
        return good(mode.words, evidence)
    if mode is SudoMode.ABSENT:
        return fail(mode.words, "Install sudo on the node, as root; steps that need root go by it.", evidence)
    if mode is SudoMode.NOT_ALLOWED:
        remedy = "On the node, as an account that may: sudo usermod -aG sudo ACCOUNT, then connect again."
        return fail(mode.words, remedy, evidence)
    return unread(reading, "sudo", "Run sudo -v on the node and see what it says; a step that needs root tries it.")


def _notes(case: Case) -> tuple[str, ...]:
    readings = (case.reading(node_id) for node_id in case.node_ids)
    users = sorted({reading.user for reading in readings if reading.did_answer and reading.user})
    words = f"The accounts differ ({', '.join(users)}); each node is told as whom it reaches the others."
    return (words,) if len(users) > 1 else ()
