"""Commands, files and forwards over a real OpenSSH server."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkdesk.core.command import Command, Exit, Refused, Signal, Unknown
from sparkdesk.core.errors import CommandFailed, NodeBusy, Unreachable
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.ssh.error import SILENCE_S
from sparkdesk.infra.ssh.session import MAX_CHANNELS, NodeSession
from tests.infra.sshd import Sshd, running_sshd


def sh(script: str) -> Command:
    return Command(("sh", "-c", script))


async def test_a_command_gives_its_exit_code_and_both_outputs(node: NodeSession) -> None:
    outcome = await node.run(sh("echo out; echo err >&2; exit 3"))
    assert (outcome.fate, outcome.stdout, outcome.stderr) == (Exit(3), b"out\n", b"err\n")
    assert not outcome.is_ok
    assert not outcome.truncated


async def test_a_signal_is_named(node: NodeSession) -> None:
    assert (await node.run(sh("kill -KILL $$"))).fate == Signal("KILL")


async def test_standard_input_arrives_whole(node: NodeSession) -> None:
    data = os.urandom(3_000_000)
    outcome = await node.run(Command(("cat",)), stdin=data, max_bytes=4_000_000)
    assert outcome.stdout == data


async def test_programs_answer_in_english_with_a_decimal_point(node: NodeSession) -> None:
    assert (await node.run(sh("echo $LC_ALL"))).text == "C.UTF-8\n"
    assert (await node.run(Command(("sh", "-c", "echo $LC_ALL"), env={"LC_ALL": "POSIX"}))).text == "POSIX\n"


async def test_a_command_that_never_ends_is_unknown_and_is_ended_on_the_node(node: NodeSession, tmp_path: Path) -> None:
    outcome = await node.run(sh("printf begun; exec sleep 600.125"), timeout_s=0.5)
    assert outcome.fate == Unknown("no end within 0.5 s")
    assert outcome.stdout == b"begun"


async def test_too_much_output_is_cut_and_the_command_stopped(node: NodeSession) -> None:
    outcome = await node.run(Command(("yes",)), max_bytes=1000, timeout_s=20)
    assert outcome.truncated
    assert len(outcome.stdout) == 1000
    assert isinstance(outcome.fate, Unknown)


async def test_a_killed_connection_is_unknown_never_success(sshd: Sshd, node: NodeSession) -> None:
    running = asyncio.ensure_future(node.run(sh("echo begun; sleep 60")))
    await asyncio.sleep(0.3)
    sshd.kill_sessions()
    outcome = await asyncio.wait_for(running, 10)
    assert outcome.fate == Unknown("connection lost")
    assert not outcome.is_ok
    assert "spark-1" in await asyncio.wait_for(node.wait_closed(), 10)


async def test_after_the_loss_a_command_is_refused_and_a_process_unreachable(sshd: Sshd, node: NodeSession) -> None:
    sshd.kill_sessions()
    await asyncio.wait_for(node.wait_closed(), 10)
    assert isinstance((await node.run(Command(("true",)))).fate, Refused)
    with pytest.raises(Unreachable):
        async with node.open(Command(("true",))):
            pass
    with pytest.raises((NodeBusy, Unreachable)):
        await node.put(b"x", "~/x", mode=0o600)


async def test_a_stream_ends_when_the_node_vanishes(sshd: Sshd, node: NodeSession) -> None:
    seen = b""
    async with node.open(sh("while :; do echo tick; sleep 0.05; done")) as process:
        async for chunk in process.chunks():
            if not seen:
                sshd.kill_sessions()
            seen += chunk
        outcome = await asyncio.wait_for(process.outcome(), 10)
    assert seen.startswith(b"tick")
    assert outcome.fate == Unknown("connection lost")


async def test_an_invalid_byte_in_one_command_leaves_the_others_alive(node: NodeSession) -> None:
    async with node.open(sh("while read line; do echo got $line; done")) as process:
        outcome = await node.run(sh(r"printf '\377\376\200'"))
        assert outcome.stdout == b"\xff\xfe\x80"
        await process.write(b"hello\n")
        assert await anext(aiter(process.chunks())) == b"got hello\n"
        await process.close_stdin()
        assert (await process.outcome()).is_ok


async def test_a_line_of_ten_megabytes_comes_in_bounded_pieces(node: NodeSession) -> None:
    total = 0
    async with node.open(sh("head -c 10000000 /dev/zero | tr '\\0' x")) as process:
        async for chunk in process.chunks():
            assert len(chunk) <= 1 << 20
            total += len(chunk)
        assert (await process.outcome()).is_ok
    assert total == 10_000_000


async def test_a_reader_that_pauses_makes_the_node_wait_and_loses_nothing(node: NodeSession) -> None:
    total = 0
    async with node.open(sh("head -c 5000000 /dev/zero")) as process:
        async for chunk in process.chunks():
            if total == 0:
                await asyncio.sleep(0.3)
            total += len(chunk)
    assert total == 5_000_000


async def test_the_end_is_seen_even_if_nobody_reads_the_output(node: NodeSession) -> None:
    async with node.open(sh("head -c 9000000 /dev/zero; exit 4")) as process:
        outcome = await asyncio.wait_for(process.outcome(), 20)
    assert outcome.fate == Exit(4)


async def test_error_output_is_kept_as_a_bounded_tail(node: NodeSession) -> None:
    outcome = await node.run(sh("yes error | head -c 100000 >&2; echo last >&2"))
    assert outcome.stderr.endswith(b"last\n")
    assert len(outcome.stderr) == 8192


async def test_the_channel_beyond_the_limit_waits_for_a_free_one(node: NodeSession) -> None:
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(node.open(Command(("cat",)))) for _ in range(MAX_CHANNELS)]
        waiting = asyncio.ensure_future(node.run(Command(("true",)), timeout_s=20))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await held[0].close_stdin()
        assert (await held[0].outcome()).is_ok
        assert isinstance((await node.run(Command(("true",)), timeout_s=0.2)).fate, Refused)
    assert (await waiting).is_ok


async def test_twenty_commands_at_once_all_succeed(node: NodeSession) -> None:
    outcomes = await asyncio.gather(*(node.run(sh(f"echo {number}")) for number in range(20)))
    assert [outcome.text for outcome in outcomes] == [f"{number}\n" for number in range(20)]


async def test_a_server_with_one_channel_is_busy_in_words(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "small", options=["MaxSessions 1"]) as server:
        session = await SshConnector().connect(server.record())
        async with session.open(Command(("cat",))):
            outcome = await session.run(Command(("true",)), timeout_s=20)
            assert isinstance(outcome.fate, Refused)
            with pytest.raises(NodeBusy) as busy:
                async with session.open(Command(("true",))):
                    pass
            assert busy.value.remedy
        assert (await session.run(Command(("true",)), timeout_s=20)).is_ok
        await session.close()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400])
async def test_a_file_has_exactly_its_mode_whatever_the_umask(sshd: Sshd, node: NodeSession, mode: int) -> None:
    (sshd.home / ".bashrc").write_text("umask 000\necho rc text\n")
    await node.put(b"content", "~/deep/er/file", mode=mode)
    path = sshd.home / "deep/er/file"
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["file"]


async def test_a_secret_file_is_never_open_while_it_is_written(sshd: Sshd, node: NodeSession) -> None:
    modes: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for path in sshd.home.glob("secret*"):
                try:
                    modes.add(stat.S_IMODE(path.stat().st_mode))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        await node.put(os.urandom(2_000_000), "~/secret", mode=0o600)
    finally:
        stop.set()
        watcher.join()
    assert modes <= {0o600}
    assert modes


async def test_put_replaces_a_file_whole_and_fetch_gives_it_back(sshd: Sshd, node: NodeSession) -> None:
    data = os.urandom(500_000)
    await node.put(b"old", "~/a 'b' $(c)", mode=0o600)
    await node.put(data, "~/a 'b' $(c)", mode=0o600)
    assert await node.fetch("~/a 'b' $(c)", max_bytes=len(data)) == data
    assert await node.fetch(str(sshd.home / "a 'b' $(c)"), max_bytes=1 << 20) == data


async def test_put_says_what_the_node_said(node: NodeSession) -> None:
    with pytest.raises(CommandFailed) as failed:
        await node.put(b"x", "/proc/nowhere/file", mode=0o600)
    assert "/proc/nowhere" in failed.value.detail
    assert failed.value.node == "spark-1"


async def test_a_put_that_is_cut_off_leaves_nothing(sshd: Sshd, node: NodeSession) -> None:
    await node.put(b"old", "~/half", mode=0o600)
    putting = asyncio.ensure_future(node.put(bytes(200_000_000), "~/half", mode=0o600))
    while not any(path.stat().st_size for path in sshd.home.glob("half.*")):
        await asyncio.sleep(0.001)
    sshd.kill_sessions()
    with pytest.raises(Unreachable):
        await asyncio.wait_for(putting, 20)
    for _ in range(100):
        if list(sshd.home.iterdir()) == [sshd.home / "half"]:
            break
        await asyncio.sleep(0.05)
    assert os.listdir(sshd.home) == ["half"]
    assert (sshd.home / "half").read_bytes() == b"old"


async def test_fetch_is_bounded_and_says_what_is_missing(node: NodeSession) -> None:
    await node.put(b"x" * 100, "~/file", mode=0o600)
    assert await node.fetch("~/file", max_bytes=100) == b"x" * 100
    with pytest.raises(CommandFailed, match="larger than 99 bytes"):
        await node.fetch("~/file", max_bytes=99)
    with pytest.raises(CommandFailed) as missing:
        await node.fetch("~/none", max_bytes=99)
    assert "no such file" in missing.value.detail
    with pytest.raises(CommandFailed):
        await node.fetch("~/", max_bytes=99)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"served " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def web_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_forward_reaches_a_server_behind_the_node_and_leaves_nothing(node: NodeSession, web_port: int) -> None:
    async with node.forward("127.0.0.1", web_port) as local:
        folder = Path(local.socket_path).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        reader, writer = await asyncio.open_unix_connection(local.socket_path)
        writer.write(b"GET /page HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"served /page")
        writer.close()
        await writer.wait_closed()
    assert not folder.exists()


async def test_a_forward_to_a_closed_port_ends_at_once(node: NodeSession) -> None:
    async with node.forward("127.0.0.1", 1) as local:
        reader, writer = await asyncio.open_unix_connection(local.socket_path)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_a_forward_ends_cleanly_after_the_node_vanished(sshd: Sshd, node: NodeSession, web_port: int) -> None:
    async with node.forward("127.0.0.1", web_port) as local:
        sshd.kill_sessions()
        await asyncio.wait_for(node.wait_closed(), 10)
    assert not Path(local.socket_path).parent.exists()
    with pytest.raises(Unreachable):
        async with node.forward("127.0.0.1", web_port):
            pass


async def test_closing_twice_is_quick_and_gives_a_reason(node: NodeSession) -> None:
    await node.close()
    await node.close()
    assert await node.wait_closed() == "closed by this computer"


async def test_no_agent_and_no_display_reach_the_node(node: NodeSession) -> None:
    assert (await node.run(sh("echo ${SSH_AUTH_SOCK-none} ${DISPLAY-none} ${SSH_TTY-none}"))).text == "none none none\n"


@pytest.mark.timeout(90)
async def test_a_frozen_node_is_noticed_after_fifteen_seconds(sshd: Sshd, node: NodeSession) -> None:
    assert SILENCE_S == 15
    sshd.signal_sessions(signal.SIGSTOP)
    assert "15 s" in await asyncio.wait_for(node.wait_closed(), 60)  # 15 s on a computer that is not busy
    sshd.signal_sessions(signal.SIGCONT)


_WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
    | st.sampled_from(
        ["", "-n", "--", "$IFS", "$(id)", "`id`", "a'b", 'a"b', "\\", "\n", "*", "~", "\u202e", "!!", "{a,b}"]
    ),
    min_size=1,
    max_size=6,
)


async def test_words_arrive_as_they_were_meant(node: NodeSession) -> None:
    # One round trip for many examples: each line prints its words, each ended by a NUL.
    examples: list[list[str]] = []

    @settings(max_examples=200, database=None, suppress_health_check=list(HealthCheck))
    @given(_WORDS)
    def collect(words: list[str]) -> None:
        examples.append(words)

    collect()
    prefix = ("python3", "-c", "import os,sys\nfor w in sys.argv[1:]: sys.stdout.buffer.write(os.fsencode(w)+b'\\0')")
    batches = [examples[start : start + 40] for start in range(0, len(examples), 40)]
    for batch in batches:
        words = [word for example in batch for word in example]
        outcome = await node.run(Command((*prefix, *words)))
        assert outcome.stdout.split(b"\0")[:-1] == [word.encode() for word in words], outcome.explain()


class LateSession(NodeSession):
    """A session whose line ends in the very turn in which the node says yes: the SSH library then trips over itself."""

    async def _create_session(self, line: str, opening: Any) -> Any:
        self.connection.abort()
        await self.connection.wait_closed()
        raise AttributeError("'NoneType' object has no attribute 'session_started'")


async def test_a_line_that_ends_in_the_turn_of_the_nodes_yes_is_gone_and_no_bug(sshd: Sshd) -> None:
    session = await SshConnector().connect(sshd.record())
    late = LateSession(session.connection, "spark-1", session._lost)
    outcome = await late.run(Command(("true",)), timeout_s=10)
    assert isinstance(outcome.fate, Unknown | Refused)


async def test_a_door_on_this_computer_listens_on_loopback_only(node: NodeSession, web_port: int) -> None:
    async with node.forward_port("127.0.0.1", web_port) as port:
        rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        heard = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
        assert heard == [f"0100007F:{port:04X}"]
