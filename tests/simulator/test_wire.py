"""What comes out of a node is taken as from a stranger, and a command holds nothing that could speak for the node."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sparkdesk.simulator.identity import load
from sparkdesk.simulator.node import wire
from sparkdesk.simulator.node.node import Command, Engine, Node
from tests.simulator.conftest import Simulator, StartSimulator


@pytest.mark.parametrize("terminal", [None, "xterm"])
async def test_a_command_holds_only_its_three_streams(cluster: Simulator, terminal: str | None) -> None:
    async with cluster.connect() as connection:
        shown = (await connection.run("ls -l /proc/self/fd", check=True, term_type=terminal)).stdout
    rows = [row.rpartition(" -> ") for row in str(shown).splitlines() if " -> " in row]
    assert [row[0].split()[-1] for row in rows] == ["0", "1", "2", "3"]
    assert rows[3][2].startswith("/proc/")
    assert "socket:" not in str(shown)


async def test_an_unconfined_command_holds_only_its_three_streams(start: StartSimulator) -> None:
    if os.geteuid() == 0:
        pytest.skip("root's temporary folders are closed to an unconfined node")
    with start("--nodes", "1", "--unconfined") as simulator:
        async with simulator.connect() as connection:
            shown = str((await connection.run("ls -l /proc/self/fd", check=True)).stdout)
    assert shown.count(" -> ") == 4
    assert "socket:" not in shown


@pytest.mark.parametrize(
    "packet",
    [b"nope", b"\xff\xfe", b"[]", b"7", b"null", b"{}", b'{"op":1}', b"[" * 100_000, b'{"op":"x","id":' + b"9" * 9000],
    ids=["word", "bytes", "list", "number", "null", "empty", "op", "deep", "long"],
)
def test_a_packet_that_is_no_message_is_an_error_of_its_own(packet: bytes) -> None:
    ours, theirs = wire.pair()
    with ours, theirs:
        theirs.send(packet)
        with pytest.raises(wire.PacketError):
            wire.receive(ours)
        wire.send(theirs, {"op": "ready"})
        assert wire.receive(ours) == ({"op": "ready"}, [])


def test_the_files_of_a_packet_that_is_no_message_are_closed() -> None:
    ours, theirs = wire.pair()
    with ours, theirs:
        before = len(os.listdir("/proc/self/fd"))
        socket.send_fds(theirs, [b"nope"], [0, 0])
        with pytest.raises(wire.PacketError):
            wire.receive(ours)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "message",
    [
        {"op": "nope"},
        {"op": "started"},
        {"op": "started", "id": 1, "pid": "1"},
        {"op": "started", "id": 1, "pid": -1},
        {"op": "started", "id": 2, "pid": 5},
        {"op": "ended", "id": 1, "code": 256},
        {"op": "ended", "id": 1, "signal": 2**70},
        {"op": "ended", "id": [], "code": 0},
        {"op": "ended", "id": True},
        {"op": "socket", "id": 1},
    ],
)
def test_a_message_of_a_wrong_shape_does_nothing(tmp_path: Path, message: wire.Message) -> None:
    heard: list[str] = []
    node = node_with_a_command(tmp_path, heard)
    with pytest.raises(wire.PacketError):
        node.take(message, [])
    assert heard == []
    node.take({"op": "started", "id": 1, "pid": 5}, [])
    with pytest.raises(wire.PacketError):
        node.take({"op": "started", "id": 1, "pid": 5}, [])
    node.take({"op": "ended", "id": 1, "code": 3}, [])
    assert heard == ["started 5 -1", "ended 3 0"]


def test_a_file_that_is_no_terminal_is_not_taken_for_one(tmp_path: Path) -> None:
    heard: list[str] = []
    node = node_with_a_command(tmp_path, heard)
    with open("/dev/null", "rb") as stream, pytest.raises(wire.PacketError):
        node.take({"op": "started", "id": 1, "pid": 5}, [stream.fileno()])
    assert heard == []


def node_with_a_command(folder: Path, heard: list[str]) -> Node:
    """A node whose command 1 is on its way; nothing runs."""

    class Started(Node):
        """Its messages go nowhere: only what it takes is looked at."""

        def _send(self, message: wire.Message, files: tuple[int, ...] = ()) -> None:
            return

    node = Started(load(folder, 1)[0], folder, folder, Engine())
    node.execute(
        {},
        (),
        Command(
            started=lambda pid, terminal: heard.append(f"started {pid} {terminal}"),
            ended=lambda code, which: heard.append(f"ended {code} {which}"),
        ),
    )
    return node
