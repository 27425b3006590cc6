"""Sessions of a node as an SSH client meets them: bytes, fates, files, forwards, limits."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import asyncssh
import pytest

from tests.simulator.conftest import PROJECT, Simulator, StartSimulator


async def alive(connection: asyncssh.SSHClientConnection, words: str) -> bool:
    """Whether a process with these words in its command line runs on the node."""
    script = f"for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; echo; done | grep -c '^{words}'"
    return (await connection.run(script)).stdout != "0\n"


async def until_gone(connection: asyncssh.SSHClientConnection, words: str) -> None:
    """Wait for the end of a process; the test's own time limit ends a wait in vain."""
    while await alive(connection, words):
        await asyncio.sleep(0.05)


async def test_bytes_pass_untouched_both_ways(cluster: Simulator) -> None:
    data = os.urandom(3_000_000)
    async with cluster.connect() as connection:
        result = await connection.run("cat; printf '\\377\\000' >&2", input=data, encoding=None)
        assert result.stdout == data
        assert result.stderr == b"\xff\x00"
        assert result.exit_status == 0


WINDOW_BYTES = 2 * 2**20
"""So much a node may send before asyncssh's client has read something. Source: asyncssh's create_session."""


class Ending(asyncssh.SSHClientSession[bytes]):
    """Counts a channel's bytes, begins to read them late, and notes what came at its end."""

    def __init__(self) -> None:
        self.count = 0
        self.came: list[object] = []
        self.closed = asyncio.Event()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if not self.count:
            self.channel.pause_reading()
            asyncio.get_running_loop().call_later(0.5, self.channel.resume_reading)
        self.count += len(data)

    def eof_received(self) -> bool:
        self.came.append("end of output")
        return True

    def exit_status_received(self, status: int) -> None:
        self.came.append(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.came.append(exc)
        self.closed.set()


@pytest.mark.parametrize("size_bytes", [0, 1, WINDOW_BYTES + 50_000, 3 * WINDOW_BYTES])
async def test_the_end_of_the_output_is_told_apart_from_a_cut(cluster: Simulator, size_bytes: int) -> None:
    async with cluster.connect() as connection:
        _channel, session = await connection.create_session(Ending, f"head -c {size_bytes} /dev/zero", encoding=None)
        await asyncio.wait_for(session.closed.wait(), 30)
    assert session.count == size_bytes
    assert set(session.came) == {"end of output", 0, None}


async def test_a_slow_reader_gets_everything(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        process = await connection.create_process("head -c 8000000 /dev/zero | tr '\\0' x", encoding=None)
        await asyncio.sleep(0.3)
        total = 0
        while chunk := await process.stdout.read(100_000):
            total += len(chunk)
        assert total == 8_000_000


async def test_exit_codes_and_signals_are_told(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        assert (await connection.run("exit 37")).exit_status == 37
        killed = await connection.run("kill -KILL $$")
        assert killed.exit_signal is not None
        assert killed.exit_signal[0] == "KILL"
        process = await connection.create_process("trap 'echo got; exit 5' USR1; echo up; while :; do sleep 0.05; done")
        assert await process.stdout.readline() == "up\n"
        process.send_signal("USR1")
        result = await process.wait()
        assert (result.stdout, result.exit_status) == ("got\n", 5)


async def test_a_closed_channel_ends_its_group_but_not_what_began_its_own_session(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        process = await connection.create_process("setsid -f sleep 777 >&- 2>&- <&-; sleep 0.5; echo up; sleep 776")
        await process.stdout.readline()
        process.close()
        await until_gone(connection, "sleep 776")
        assert await alive(connection, "sleep 777")
        await connection.run("kill $(grep -l 777 /proc/[0-9]*/cmdline | grep -o '[0-9]*')")


async def test_an_ended_command_leaves_what_it_began_in_the_background(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        for _round in range(5):  # a race between the end and `setsid -f` was lost here once
            await connection.run("setsid -f sleep 774 >&- 2>&-; sleep 773 >&- 2>&- &", check=True)
        await asyncio.sleep(0.2)
        count = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep 77[34]' | sort | uniq -c | tr -s ' '"
        assert (await connection.run(count)).stdout == " 5 sleep 773\n 5 sleep 774\n"
        await connection.run("kill $(grep -l '77[34]' /proc/[0-9]*/cmdline | grep -o '[0-9]*')")


async def test_output_of_a_background_process_holds_the_channel_open(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        process = await connection.create_process("(sleep 0.4; echo late) & echo early")
        assert (await process.wait()).stdout == "early\nlate\n"


async def test_a_lost_connection_ends_its_commands(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        first = await cluster.connect()
        process = await first.create_process("trap '' HUP TERM; echo up; sleep 775")
        await process.stdout.readline()
        first.abort()
        await until_gone(connection, "sleep 775")


async def test_a_user_whose_home_is_gone_starts_in_the_root(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        word = (simulator.state / "password").read_text()
        async with simulator.connect() as connection:
            await connection.run("sudo -S -p '' mv /home/nvidia /home/away", input=word, check=True)
            found = await connection.run("pwd", check=True)
            words = "Could not chdir to home directory /home/nvidia: No such file or directory\n"
            assert (found.stdout, found.stderr) == ("/\n", words)


def test_a_child_that_becomes_no_command_ends() -> None:
    script = """
import os
from sparkdesk.simulator.node.command import Commands
commands = Commands({"confined": False, "index": 1, "root": "/nowhere", "address": "", "program_dir": "", "python": "",
                     "packages": [], "models": {}})
child = os.fork()
if child == 0:
    commands.become({"kind": "exec"}, (0, 1, 2), has_terminal=True)
    print("ran on")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=30)
    assert ended.stdout == "126\n", ended.stderr
    assert "Traceback" in ended.stderr


async def test_a_terminal_is_a_terminal(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        result = await connection.run("stty size; tty; echo $TERM", term_type="xterm", term_size=(100, 30))
        assert result.stdout == "30 100\r\n/dev/pts/0\r\nxterm\r\n"


async def test_files_are_put_and_fetched_as_the_nodes_user(cluster: Simulator) -> None:
    data = os.urandom(700_000)
    async with cluster.connect() as connection, connection.start_sftp_client() as sftp:
        assert await sftp.realpath(".") == "/home/nvidia"
        await sftp.makedirs("deep/er", exist_ok=True)
        async with sftp.open("deep/er/part", "wb", asyncssh.SFTPAttrs(permissions=0o600)) as file:
            await file.write(data)
        await sftp.posix_rename("deep/er/part", "deep/er/whole")
        attributes = await sftp.stat("deep/er/whole")
        assert attributes.permissions is not None
        assert (attributes.size, attributes.permissions & 0o777, attributes.uid) == (len(data), 0o600, 1000)
        async with sftp.open("deep/er/whole", "rb") as file:
            assert await file.read() == data
        assert set(await sftp.listdir("deep/er")) == {".", "..", "whole"}
        await sftp.rmtree("deep")
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await sftp.stat("deep")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.open("/etc/machine-id", "wb")


async def test_forwards_reach_the_nodes_own_loopback_and_nothing_else(cluster: Simulator) -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    outside = server.sockets[0].getsockname()[1]
    async with server, cluster.connect() as connection:
        for host, port, code in (
            ("127.0.0.1", outside, asyncssh.OPEN_CONNECT_FAILED),
            ("127.77.0.2", 22, asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED),
            ("192.0.2.1", 80, asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED),
        ):
            with pytest.raises(asyncssh.ChannelOpenError) as refused:
                await connection.open_connection(host, port)
            assert refused.value.code == code
        serve = "import socket; s=socket.create_server(('127.0.0.1',4998)); print(1,flush=True); c=s.accept()[0]"
        process = await connection.create_process(f'python3 -c "{serve}; c.sendall(c.recv(99)); c.close()"')
        await process.stdout.readline()
        reader, writer = await connection.open_connection("localhost", 4998)
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()


async def test_an_eleventh_session_is_refused_as_by_a_stock_sshd(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        held = [await connection.create_process("sleep 60") for _ in range(10)]
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("true")
        held[0].close()
        await held[0].wait_closed()
        assert (await connection.run("echo free")).stdout == "free\n"
