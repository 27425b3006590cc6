"""Trouble for many nodes at once, drawn by lot: the same for the same seed.

The one rule: whatever is broken here is mended here, at the end of its time, also when a test fails meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from sparkdesk.core.command import Command
from sparkdesk.core.errors import NodeError
from sparkdesk.core.ports import Shell
from tests.lab.lab import LabNode

BYSTANDERS = 2
READ_PAUSE_S = 0.1
LATEST_S = 0.5
"""A blow begins at most so long after the one before it."""
SIGN_IN = "userauth-request"
"""In sshd's log at DEBUG1, whenever somebody begins to sign in."""


class Fault(StrEnum):
    """What can happen to a node."""

    LINK_DOWN = "link down"
    SSHD_KILLED = "sshd killed"
    SSHD_FROZEN = "sshd frozen"
    RESTARTED = "restarted"
    KEY_SWAPPED = "host key swapped"
    HOME_FULL = "home full"
    ONE_SESSION = "one session a connection"
    NO_LOGIN = "no free login"
    SLOW_READER = "slow reader"


HARMLESS = frozenset({Fault.HOME_FULL, Fault.SLOW_READER})
"""The line to the node stands all the time."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault: how long after the one before it begins, and how long it lasts."""

    fault: Fault
    after_s: float
    length_s: float


Schedule = tuple[tuple[Blow, ...], ...]
"""The blows of each node, one after another; none for a bystander."""


def make_schedule(seed: int, count: int, *, longest_s: float) -> Schedule:
    """Every fault at least once, at random nodes and times."""
    lot = random.Random(seed)
    hit = lot.sample(range(count), count - BYSTANDERS)
    faults = [*Fault, *lot.choices(list(Fault), k=len(hit) // 2)]
    lot.shuffle(faults)
    blows: list[list[Blow]] = [[] for _ in range(count)]
    for number, fault in enumerate(faults):
        blow = Blow(fault, lot.uniform(0.0, LATEST_S), lot.uniform(0.3, longest_s))
        blows[hit[number % len(hit)]].append(blow)
    return tuple(tuple(each) for each in blows)


@dataclass
class Heard:
    """What a machine with another host key got to hear: the part of its log that was written meanwhile."""

    log: list[str] = field(default_factory=list)


def broken(fault: Fault, node: LabNode, heard: Heard) -> AbstractContextManager[None]:
    """For the length of the block. Not for SLOW_READER, which is nothing that happens to the node itself."""
    return _FAULTS[fault](node, heard)


async def strike(node: LabNode, blow: Blow, shell: Callable[[], Shell], heard: Heard) -> None:
    """Break, wait, mend."""
    await asyncio.sleep(blow.after_s)
    if blow.fault is Fault.SLOW_READER:
        await _read_slowly(shell, blow.length_s)
        return
    trouble = broken(blow.fault, node, heard)
    await asyncio.to_thread(trouble.__enter__)
    try:
        await asyncio.sleep(blow.length_s)
    finally:
        await asyncio.to_thread(trouble.__exit__, None, None, None)


async def _read_slowly(shell: Callable[[], Shell], length_s: float) -> None:
    """Ask for more than is ever taken."""
    try:
        async with asyncio.timeout(length_s), shell().open(Command(("cat", "/dev/zero"))) as process:
            async for _ in process.chunks():
                await asyncio.sleep(READ_PAUSE_S)
    except (NodeError, TimeoutError):
        pass  # it goes on until somebody, or another fault, ends it


@contextmanager
def _link_down(node: LabNode, _: Heard) -> Iterator[None]:
    node.set_link(False)
    try:
        yield
    finally:
        node.set_link(True)


@contextmanager
def _sshd_killed(node: LabNode, _: Heard) -> Iterator[None]:
    node.kill_sshd()
    try:
        yield
    finally:
        node.start_sshd()


@contextmanager
def _sshd_frozen(node: LabNode, _: Heard) -> Iterator[None]:
    node.freeze_sshd()
    try:
        yield
    finally:
        node.thaw_sshd()


@contextmanager
def _restarted(node: LabNode, _: Heard) -> Iterator[None]:
    node.restart(0.3)
    yield


@contextmanager
def _key_swapped(node: LabNode, heard: Heard) -> Iterator[None]:
    node.kill_sshd()  # before the log is marked: what the old machine still hears is its own
    begin = len(node.sshd_log)
    node.swap_host_key()
    try:
        yield
    finally:
        node.kill_sshd()
        heard.log.append(node.sshd_log[begin:])
        node.restore_host_key()


@contextmanager
def _home_full(node: LabNode, _: Heard) -> Iterator[None]:
    node.fill_home()
    try:
        yield
    finally:
        node.free_home()


@contextmanager
def _one_session(node: LabNode, _: Heard) -> Iterator[None]:
    node.set_sshd_options("MaxSessions 1")
    try:
        yield
    finally:
        node.set_sshd_options()


@contextmanager
def _no_login(node: LabNode, _: Heard) -> Iterator[None]:
    """One login may be under way at a time, and somebody who never ends it has that one."""
    node.set_sshd_options("MaxStartups 1:100:1")
    try:
        with node.network():
            loiterer = socket.create_connection(("127.0.0.1", 22), timeout=10)
        with loiterer:
            loiterer.recv(64)
            yield
    finally:
        node.set_sshd_options()


_FAULTS: Mapping[Fault, Callable[[LabNode, Heard], AbstractContextManager[None]]] = {
    Fault.LINK_DOWN: _link_down,
    Fault.SSHD_KILLED: _sshd_killed,
    Fault.SSHD_FROZEN: _sshd_frozen,
    Fault.RESTARTED: _restarted,
    Fault.KEY_SWAPPED: _key_swapped,
    Fault.HOME_FULL: _home_full,
    Fault.ONE_SESSION: _one_session,
    Fault.NO_LOGIN: _no_login,
}
