"""CX-7 addresses and MTU: our netplan file, tried on each node before it is kept, and packets of full size over it.

The one rule: a node's former network comes back by itself unless SparkDesk signed in anew and saw the new one right;
other netplan files, the management port and the default route are never touched. How a Spark with NetworkManager takes
`netplan apply` is unverified on hardware [netplan-renderer].
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan, FileDiff
from sparkdesk.core.bringup.lane_finder import untold_ports
from sparkdesk.core.bringup.matrix import Cell, CellState, Row
from sparkdesk.core.bringup.netplan import (
    NETWORK_MANAGER,
    OUR_FILE,
    TRIAL_FILE,
    OurBlock,
    netplan_text,
    read_edited,
    read_ours,
    rival_of,
)
from sparkdesk.core.bringup.reading import NetplanFile, NodeReading
from sparkdesk.core.bringup.row import fail, good, make_cell, make_row, planned, skipped, unread, warn
from sparkdesk.core.bringup.scheme import HalfAddress, Scheme
from sparkdesk.core.bringup.scheme_choice import make_scheme
from sparkdesk.core.command import Command
from sparkdesk.core.digest import text_digest
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.program import python_command
from sparkdesk.core.step import Expect, Run, SignInAnew, Stage, Step, Wait

TRIAL_S = 60
"""How long a node waits for SparkDesk before it takes its former network back."""
PARALLEL = 4
PROGRAMS = ("net_state", "trial_notes", "netplan_units", "link_trial")
"""They come on standard input, in this order: root runs no file that an account of the node could have changed."""
SIGN_IN_S, LOOK_S, TRY_S, KEEP_S, UNDO_S = 30.0, 20.0, 90.0, 60.0, 180.0
PING_S = 30.0
IP_AND_ICMP_BYTES = 28
"""What a ping adds to its size. Source: RFC 791, RFC 792."""
NO_LINK = "Look at the cable at both ends: the node sets the address by itself when the link comes."
NOT_TOLD = "Look on the node which file has them (sudo grep -rE 'addresses|mtu' /etc/netplan), or whether none has."
SILENT = "Look at the cable, and at a firewall on that node (sudo iptables -S, sudo ufw status)."

NEVER_TRIED = (
    "SparkDesk was never tried with NetworkManager: `netplan apply` may take the management port down for some "
    "seconds, and the new sign-in with it. The node takes its former network back by itself then. To be sure, address "
    "the ports by hand, or leave the network out."
)
_SAYS_YES = Expect(reader="json_field:ok", equals="true")
# 8 s: an entry of the neighbour table that names the peer's other half is put right after 5.
# $1 size, then for each peer: port, address, what to say when only large packets are lost, and when all are.
_PING = r"""s=$1; shift
command -v ping > /dev/null || { printf '{"message": "there is no ping on this node", "remedy": "%s"}\n' \
'Install it there: sudo apt install iputils-ping'; exit 3; }
while [ $# -ge 4 ]; do
ping -n -q -I "$1" -M do -s "$s" -c 3 -i 0.2 -w 8 "$2" > /dev/null 2>&1 || {
if ping -n -q -I "$1" -c 2 -i 0.2 -w 3 "$2" > /dev/null 2>&1; then printf '%s\n' "$3"; else printf '%s\n' "$4"; fi
exit 3; }
shift 4; done; printf '{"ok": true}\n'"""


def plan_network(case: Case, scheme: Scheme | None = None) -> ChapterPlan:
    """The rows and steps of the addresses. `scheme` is `make_scheme(case)`, where that was made already."""
    plan = _Network(case, make_scheme(case) if scheme is None else scheme)
    rows: tuple[Row, ...] = (
        make_row(case, Chapter.NETWORK, "file", "netplan 90-sparkdesk.yaml", plan.judge_file),
        make_row(case, Chapter.NETWORK, "addresses", "Addresses, two subnets", plan.judge_addresses),
        make_row(case, Chapter.NETWORK, "mtu", f"MTU {case.choices.mtu}", plan.judge_mtu),
    )
    if any(case.reading(node_id).renderer == NETWORK_MANAGER for node_id in case.node_ids):
        row = make_row(case, Chapter.NETWORK, "renderer", "netplan's renderer", plan.judge_renderer, is_unverified=True)
        rows = (*rows, row)
    return ChapterPlan(Chapter.NETWORK, rows, plan.stages(), tuple(plan.diffs()), tuple(plan.notes()))


class _Network:
    """The scheme of one case, and what it takes to have it."""

    def __init__(self, case: Case, scheme: Scheme) -> None:
        self.case = case
        self.scheme = scheme
        self.sources = tuple(case.programs[name] for name in PROGRAMS if name in case.programs)
        wanting = [one for one in case.node_ids if any(end.is_to_set for end in scheme.of_node(one))]
        self.former = {one: _ours_of(case.reading(one)) for one in case.node_ids}
        self.blocks: Mapping[str, tuple[OurBlock, ...]] = {
            one: read_ours(text) or read_edited(text) or ()
            for one, file in self.former.items()
            if file is not None and (text := file.content or "")
        }
        self.obstacles: Mapping[str, str] = {one: why for one in wanting if (why := self._obstacle(case.reading(one)))}
        self.texts = {
            one: netplan_text(scheme.of_node(one), self.blocks.get(one, ()))
            for one in wanting
            if one not in self.obstacles
        }
        self.pings = {one: words for one in self.case.node_ids if self.texts and (words := self._ping_words(one))}

    def _obstacle(self, reading: NodeReading) -> str:
        if reading.tools.get("netplan") is False:
            return "there is no netplan on it, which SparkDesk sets addresses with"
        for end in self.scheme.of_node(reading.node_id):
            for file in reading.netplan or ():
                is_ours = file.path in (OUR_FILE, TRIAL_FILE)
                if not is_ours and (rival := rival_of(file.content or "", reading.interfaces[end.netdev])):
                    words = f"{file.path} takes {end.netdev} by a pattern (match:, in {rival})"
                    return f"{make_line(words, max_chars=200)}, and systemd-networkd then never reads ours"
        return ""

    # Steps -----------------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        """The first node alone, then the others; large packets at last. None where all is as it should be."""
        trials = [self._trial_step(one) for one in self.texts]
        if not trials:
            return ()
        checks = tuple(self._link_step(one, words) for one, words in self.pings.items())
        found = (
            Stage(f"Try the new network on {self._name(trials[0].node)}", tuple(trials[:1])),
            Stage("Try it on the other nodes", tuple(trials[1:]), PARALLEL),
            Stage(f"Send packets of {self.case.choices.mtu} bytes over the cables", checks, PARALLEL),
        )
        return tuple(stage for stage in found if stage.steps)

    def _trial_step(self, node_id: str) -> Step:
        """Try, sign in anew, look, keep."""
        name, mark = self._name(node_id), self.case.mark
        text, wanted, former = self.texts[node_id], self._wanted(node_id), self._former_words(node_id)
        program = b"".join(self.sources)

        def run(*words: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Run:
            command = python_command(self.sources, *words)
            return Run(command, _SAYS_YES, stdin=program + stdin, timeout_s=timeout_s, as_root=True)

        is_kept = run("look", mark, wanted, text_digest(text))
        look = python_command(self.sources, "look", mark, wanted)
        ask = f"Nothing told SparkDesk how the ports of {name} are now. Keep the new network on {name}?"
        return Step(
            id=trial_id(node_id),
            title=f"Give {name}'s CX-7 ports their addresses and MTU: tried {TRIAL_S} s, then kept",
            node=node_id,
            check=(is_kept,),
            apply=(
                run("try", mark, str(TRIAL_S), wanted, former, stdin=text.encode(), timeout_s=TRY_S),
                SignInAnew(SIGN_IN_S),
                Wait(look, _SAYS_YES, stdin=program, every_s=0.5, timeout_s=LOOK_S, ask=ask),
                run("keep", mark, timeout_s=KEEP_S),
            ),
            verify=(is_kept,),
            undo=(run("undo", mark, timeout_s=UNDO_S),),
            phase=Chapter.NETWORK.value,
        )

    def _former_words(self, node_id: str) -> str:
        """Which file of ours this plan was made for, as link_trial.py reads it: another one is not replaced."""
        former = self.former[node_id]
        if self.blocks.get(node_id) and former is not None:
            return text_digest(former.content or "")
        return "absent" if former is None and self.case.reading(node_id).netplan is not None else "unknown"

    def _wanted(self, node_id: str) -> str:
        """What the node's ports must be afterwards, as link_trial.py reads it: without a link, no address is asked."""
        interfaces = self.case.reading(node_id).interfaces
        wanted = {
            end.netdev: {
                "addresses": [] if end.is_leased else [end.address],
                "mtu": end.mtu if end.is_to_set else None,
                "carrier": interfaces[end.netdev].carrier is not False,
            }
            for end in self.scheme.of_node(node_id)
        }
        return json.dumps(wanted)

    def _link_step(self, node_id: str, words: tuple[str, ...]) -> Step:
        name = self._name(node_id)
        size = str(self.case.choices.mtu - IP_AND_ICMP_BYTES)
        command = Command(("sh", "-c", _PING, "sh", size, *words))
        ping = Wait(command, _SAYS_YES, timeout_s=PING_S, give_up=Expect(exit_codes=(3,)))
        return Step(
            id=f"{Chapter.NETWORK.value}-ping-{node_id}",
            title=f"Ping {name}'s peers with packets of {self.case.choices.mtu} bytes",
            node=node_id,
            apply=(ping,),
            phase=Chapter.NETWORK.value,
        )

    def _ping_words(self, node_id: str) -> tuple[str, ...]:
        """For every peer in every lane whose two ends will be set: port, address, and what a loss means."""
        words: list[str] = []
        for lane in self.scheme.lanes:
            mine = next((end for end in lane.ends if end.node_id == node_id), None)
            for end in lane.ends if mine is not None else ():
                if mine is None or end is mine or not self._is_linked(mine) or not self._is_linked(end):
                    continue
                words += [
                    mine.netdev,
                    end.host,
                    self._loss(mine, end, is_all=False),
                    self._loss(mine, end, is_all=True),
                ]
        return tuple(words)

    def _is_linked(self, end: HalfAddress) -> bool:
        port = self.case.reading(end.node_id).interfaces[end.netdev]
        return port.carrier is not False and end.node_id not in self.obstacles

    def _loss(self, mine: HalfAddress, end: HalfAddress, *, is_all: bool) -> str:
        mtu = self.case.choices.mtu
        peer = f"{end.host} ({self._name(end.node_id)})"
        if is_all:
            message, remedy = f"{peer} does not answer over {mine.netdev}", SILENT
        else:
            message = (
                f"{peer} answers over {mine.netdev}, but not packets of {mtu} bytes: "
                "the other end or a port of a switch between has MTU 1500"
            )
            remedy = f"Look at the MTU there (ip link), set the switch's ports to {mtu} or more (9216), then go on."
        return json.dumps({"message": message, "remedy": remedy})

    # Rows ------------------------------------------------------------------------------------------------------------

    def judge_file(self, reading: NodeReading) -> Cell:
        """Whether our file is needed, and will be written."""
        if cell := self._out_of_it(reading):
            return cell
        former, ends = self.former[reading.node_id], self.scheme.of_node(reading.node_id)
        if reading.node_id in self.texts:
            now = "no file of ours" if former is None else "our former file"
            now = now if reading.netplan is not None else "not read"
            return planned(now, self._step_ids(reading), self.texts[reading.node_id], then="tried, then kept")
        untold = ", ".join(
            words
            for end in ends
            for words, is_known in (
                (end.address, end.is_lasting is not None),
                (f"MTU of {end.netdev}", end.needs_mtu or end.is_mtu_lasting is not None),
            )
            if not is_known
        )
        if untold:
            evidence = f"{untold}: netplan's files are root's, so whether a restart keeps them is not known."
            return make_cell(CellState.UNREAD, "kept; a restart may not", evidence=evidence, remedy=NOT_TOLD)
        return good("kept as is" if former is not None else "not needed", "What stands is a valid scheme.")

    def judge_addresses(self, reading: NodeReading) -> Cell:
        """The last two numbers of each address, as a cluster's picture has them; whole where it is unusual."""
        if cell := self._out_of_it(reading):
            return cell
        ends = self.scheme.of_node(reading.node_id)
        evidence = "\n".join(f"{end.netdev}: {end.address} ({_origin(end)})" for end in ends)
        standing = [one for end in ends for one in reading.interfaces[end.netdev].addresses]
        now = " ".join(map(_short, standing)) or "no address"
        linked = " ".join(_short(end.address) for end in ends if not end.waits)
        waiting = " ".join(_short(end.address) for end in ends if end.waits)
        if any(end.origin == "chosen" for end in ends):
            then = f"{linked}{', ' if linked else ''}{waiting} with its link" if waiting else linked
            return planned(now, self._step_ids(reading), evidence, then=then)
        if any(end.is_lasting is False for end in ends):
            return planned(f"{now}, by hand", self._step_ids(reading), evidence, then=f"{now}, in the file")
        if waiting and all(end.is_lasting for end in ends):
            return warn(f"{linked or now} · no link; {waiting} set in the file", NO_LINK, evidence)
        if waiting or (untold := untold_ports(reading)):
            words = "" if waiting else f"\n{', '.join(untold)}: no link, and what {OUR_FILE} gives there was not read"
            return warn(f"{now} · no link at one half", NO_LINK, f"{evidence}{words}")
        return good(now, evidence)

    def judge_mtu(self, reading: NodeReading) -> Cell:
        """The smallest MTU of the ports that get addresses."""
        if cell := self._out_of_it(reading):
            return cell
        ends = self.scheme.of_node(reading.node_id)
        known = {end.netdev: reading.interfaces[end.netdev].mtu for end in ends}
        evidence = "\n".join(f"{netdev}: {'not read' if mtu is None else mtu}" for netdev, mtu in known.items())
        now = ", ".join(sorted({"not read" if mtu is None else str(mtu) for mtu in known.values()}))
        by_hand = {end.netdev for end in ends if end.is_mtu_lasting is False}
        if by_hand:
            words = ", ".join(sorted(by_hand))
            evidence += f"\n{words}: set by hand, which no file keeps: gone after a restart"
        if not any(end.needs_mtu for end in ends):
            if by_hand:
                return planned(f"{now}, by hand", self._step_ids(reading), evidence, then=f"{now}, in the file")
            return good(now, evidence)
        return planned(now, self._step_ids(reading), evidence, then=str(self.case.choices.mtu))

    def judge_renderer(self, reading: NodeReading) -> Cell:
        """Whether what SparkDesk was tried with sets the ports."""
        evidence = "\n".join(file.path for file in reading.netplan or ())
        if not reading.renderer:
            return unread(reading, "renderer", "Look on the node: sudo netplan get renderer")
        if reading.renderer != NETWORK_MANAGER:
            return good(reading.renderer, evidence)
        if reading.node_id not in self.texts:
            return skipped(f"{NETWORK_MANAGER}, not touched", evidence)
        return warn(f"{NETWORK_MANAGER}: never tried", NEVER_TRIED, evidence)

    def _out_of_it(self, reading: NodeReading) -> Cell | None:
        """The cell of a node that gets no addresses, or not all; None for one that does."""
        node_id, name = reading.node_id, self._name(reading.node_id)
        if node_id in self.obstacles:
            return fail("cannot be set", f"Set them by hand: {self.obstacles[node_id]}.", self.obstacles[node_id])
        about = [words for words in self.scheme.problems if words.startswith(f"{name} ")]
        ends = self.scheme.of_node(node_id)
        if about or (self.scheme.problems and not ends and self._is_cabled(node_id)):
            reason = "\n".join(about or self.scheme.problems)
            return fail("not all ports" if ends else "no addresses", reason, reason)
        return None if ends else skipped("no cable", "No cable of its leads to another node of these.")

    def _is_cabled(self, node_id: str) -> bool:
        cables = self.case.topology.cables
        return any(node_id in (cable.a[0], (cable.b or ("", ""))[0]) for cable in cables if cable.stranger is None)

    def _step_ids(self, reading: NodeReading) -> tuple[str, ...]:
        return (trial_id(reading.node_id),) if reading.node_id in self.texts else ()

    # Files and notes -------------------------------------------------------------------------------------------------

    def diffs(self) -> Iterator[FileDiff]:
        """Our file on each node that gets one."""
        for node_id, text in self.texts.items():
            reading, former = self.case.reading(node_id), self.former[node_id]
            is_known = reading.netplan is not None and (former is None or former.content is not None)
            untouched = make_line(f"{reading.management} {reading.management_address}".strip(), max_chars=80)
            note = f"{untouched or 'The management port'} stays untouched."
            if any(end.origin == "chosen" for end in self.scheme.of_node(node_id)):
                note = f"Subnets chosen free on all nodes. {note}"
            ours = {end.netdev for end in self.scheme.of_node(node_id)}
            if others := [one.netdev for one in self.blocks.get(node_id, ()) if one.netdev not in ours]:
                note = f"What it gives to {', '.join(others)} stays in it. {note}"
            before = former.content if former is not None else None
            yield FileDiff(node_id, OUR_FILE, before, text, is_known, note)

    def notes(self) -> Iterator[str]:
        """What a person should read before applying."""
        if self.scheme.lanes and self.scheme.is_kept:
            yield "Kept as is: every cable has valid addresses, and nothing is written."
            if untold := [self._name(one) for one in self.case.node_ids if self._is_untold(one)]:
                where = ", ".join(untold)
                yield f"Whether they last over a restart of {where} is not known: netplan's files there are root's."
        elif any(end.origin == "kept" for lane in self.scheme.lanes for end in lane.ends):
            yield "What stands and is valid is kept; our file adds what is missing."
        elif not self.scheme.lanes and not self.scheme.problems:
            yield "No cable joins these nodes, so there is nothing to address."
        yield from self._file_notes()
        yield from self.scheme.notes
        yield from (f"{words.rstrip('.')}." for words in self.scheme.problems)
        if tried := [one for one in self.texts if self.case.reading(one).renderer == NETWORK_MANAGER]:
            yield f"{NETWORK_MANAGER} stands behind netplan on {', '.join(map(self._name, tried))}. {NEVER_TRIED}"
        for node_id, why in self.obstacles.items():
            yield f"{self._name(node_id)} is left as it is: {why}."

    def _file_notes(self) -> Iterator[str]:
        """What becomes of our former file, which half waits, and what was set by hand."""
        for node_id in self.case.node_ids:
            name, ends, former = self._name(node_id), self.scheme.of_node(node_id), self.former[node_id]
            if node_id in self.texts and former is not None:
                yield from self._former_notes(node_id, former.content)
            for end in (end for end in ends if end.waits):
                yield f"{end.netdev} of {name} has no link: {end.address} comes with it, and the file is all it needs."
            for port in untold_ports(self.case.reading(node_id)):
                yield f"{port} of {name} has no link, and what {OUR_FILE} gives it was not read: it stays as it is."
            for end in (end for end in ends if end.is_lasting is False):
                yield f"{end.address} on {end.netdev} of {name} was set by hand, and stands in no file: ours keeps it."
            if by_hand := ", ".join(end.netdev for end in ends if end.is_mtu_lasting is False):
                yield f"The MTU of {by_hand} of {name} was set by hand, and is gone after a restart: our file keeps it."

    def _former_notes(self, node_id: str, content: str | None) -> Iterator[str]:
        """What goes of our former file, where somebody else has changed it or nobody here could read it."""
        file, blocks = f"{OUR_FILE} of {self._name(node_id)}", self.blocks.get(node_id, ())
        ours = {end.netdev for end in self.scheme.of_node(node_id) if end.is_to_set}
        if content is None:
            yield (
                f"What {file} says so far is root's and was not read. What it says of ports that are not in this plan "
                "is added to the new one while that is tried, if the node understands it; comments, and what it says "
                "of ports that are in this plan, go. Undo puts it back."
            )
        elif not blocks:
            yield f"{file} was changed by hand: this plan replaces it whole. Undo puts it back."
        elif gone := ", ".join(block.netdev for block in blocks if block.edited and block.netdev in ours):
            yield f"{file} was changed by hand: what it says of {gone} is replaced, and comments go. Undo puts it back."
        elif any(block.edited for block in blocks):
            yield f"{file} was changed by hand: its lines stay, and comments go. Undo puts it back."

    def _is_untold(self, node_id: str) -> bool:
        return any(None in (end.is_lasting, end.is_mtu_lasting) for end in self.scheme.of_node(node_id))

    def _name(self, node_id: str) -> str:
        return make_line(self.case.reading(node_id).name, max_chars=80)


def trial_id(node_id: str) -> str:
    """The step that tries and keeps the network of a node."""
    return f"{Chapter.NETWORK.value}-trial-{node_id}"


def _ours_of(reading: NodeReading) -> NetplanFile | None:
    return next((file for file in reading.netplan or () if file.path == OUR_FILE), None)


def _origin(end: HalfAddress) -> str:
    words: str = "kept, by DHCP" if end.is_leased else end.origin
    words = "set by hand: gone after a restart" if end.is_lasting is False else words
    return f"{words}; set when its link comes" if end.waits else words


def _short(address: str) -> str:
    """As ".100.31" for 192.168.100.31/24, the range that is chosen first; any other one in full."""
    is_usual = address.startswith("192.168.") and address.endswith("/24")
    return address.removesuffix("/24").removeprefix("192.168") if is_usual else address
