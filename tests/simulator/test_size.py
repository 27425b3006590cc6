"""The largest cluster comes up with the usual limit of open files, works on every node, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import asyncssh

from sparkdesk.simulator.identity import MAX_NODES
from tests.simulator.conftest import StartSimulator

COMMANDS = 6  # at once on each node, which is what SparkDesk allows itself


@contextmanager
def usual_limit() -> Iterator[None]:
    """What is started meanwhile may open 1024 files until it asks for more, as in a sign-in on Ubuntu."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def family(pid: int) -> set[tuple[int, str]]:
    """A process and all that it started, each with when."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return set()
    return {(pid, started)}.union(*(family(int(child)) for child in children))


async def work(connection: asyncssh.SSHClientConnection) -> list[object]:
    """The answers of commands that are all open at a time."""
    processes = [await connection.create_process("cat; ulimit -Sn") for _ in range(COMMANDS)]
    for process in processes:
        process.stdin.write_eof()
    return [(await process.wait(check=True)).stdout for process in processes]


async def test_sixty_four_nodes_work_at_once_and_leave_nothing(start: StartSimulator) -> None:
    with usual_limit():
        cluster = start("--nodes", str(MAX_NODES))
        simulator = cluster.__enter__()
    try:
        async with AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(simulator.connect(index)) for index in range(MAX_NODES)]
            answers = await asyncio.gather(*map(work, lines))
        assert answers == [["1024\n"] * COMMANDS] * MAX_NODES
        before = family(simulator.process.pid)
        assert len(before) > MAX_NODES
    finally:
        cluster.__exit__(None, None, None)
    assert simulator.process.returncode == 0
    assert not {one for one in before if one in family(one[0])}
