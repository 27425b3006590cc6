"""`LocalShell`: a node that is a folder of this computer. It fulfils `Connection` with real processes and real sockets.

The one rule: it keeps the port's promises as the SSH one does (a lost line is the fate Unknown, not an exception), so
that what passes here means something there. `cut()` loses the line; `mend()` brings it back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Signal, Unknown
from sparkdesk.core.errors import CommandFailed, NodeBusy, Unreachable
from sparkdesk.core.ports import LocalAddress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_LOST = "the line was cut"


class LocalShell:
    """Commands run under `sh` with `home` as HOME and working folder."""

    def __init__(self, home: Path, *, node: str = "spark-1", env: dict[str, str] | None = None) -> None:
        self._home = home
        self._node = node
        self._env = {"HOME": str(home), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
        self._env.update(env or {})
        self._gone = asyncio.Event()
        self.is_full = False
        """No channel is free: what is asked for is refused, as sshd does at MaxSessions."""
        self.lines: list[str] = []
        """Every command that was sent, as the shell line it was."""

    @property
    def node(self) -> str:
        """The node's name."""
        return self._node

    @property
    def is_cut(self) -> bool:
        """Whether the line is lost."""
        return self._gone.is_set()

    def cut(self) -> None:
        """Lose the line: everything open ends Unknown, nothing new begins."""
        self._gone.set()

    def mend(self) -> None:
        """Bring the line back."""
        self._gone = asyncio.Event()

    async def close(self) -> None:
        """Close the connection."""
        self.cut()

    async def wait_closed(self) -> str:
        """Wait until the line is lost."""
        await self._gone.wait()
        return _LOST

    async def run(
        self, command: Command, *, stdin: bytes = b"", timeout_s: float = 30.0, max_bytes: int = 1 << 20
    ) -> Outcome:
        """Run to the end, the line's loss, or the time-out."""
        if self.is_full:
            return Outcome(Refused("no free channel"))
        process = await self._start(command)
        gone = asyncio.ensure_future(self._gone.wait())
        talk = asyncio.ensure_future(process.process.communicate(stdin))
        try:
            await asyncio.wait({gone, talk}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if talk.done():
                out, err = talk.result()
                fate = _fate_of(process.process.returncode)
                return Outcome(fate, out[:max_bytes], err[:max_bytes], truncated=len(out) > max_bytes)
            return Outcome(Unknown(_LOST if gone.done() else f"no end after {timeout_s} s"))
        finally:
            gone.cancel()
            process.kill()
            try:
                with suppress(asyncio.CancelledError):
                    await talk
            finally:
                process.forget()

    @asynccontextmanager
    async def open(self, command: Command) -> AsyncIterator[LocalProcess]:
        """Start a command; leaving the block ends it."""
        process = await self._start(command)
        try:
            yield process
        finally:
            process.kill()
            try:
                await process.process.wait()
            finally:
                process.forget()

    async def put(self, data: bytes, path: str, *, mode: int) -> None:
        """Write a file whole: own temporary name, then rename; missing folders are made, 0700."""
        self._raise_if_cut()
        target = self._local(path)
        try:
            for folder in reversed(target.parents):
                folder.mkdir(mode=0o700, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(name, mode)
            os.replace(name, target)
        except OSError as error:
            raise CommandFailed(str(error), remedy="Look at the path.", node=self._node) from error

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """Read a file."""
        self._raise_if_cut()
        try:
            data = self._local(path).read_bytes()
        except OSError as error:
            raise CommandFailed(str(error), remedy="Look at the path.", node=self._node) from error
        if len(data) > max_bytes:
            raise CommandFailed(f"{path} is too large", remedy="Look at the path.", node=self._node)
        return data

    @asynccontextmanager
    async def forward(self, host: str, port: int) -> AsyncIterator[LocalAddress]:
        """A unix socket whose connections end at host:port."""
        self._raise_if_cut()
        with tempfile.TemporaryDirectory(prefix="sd") as folder:
            path = os.path.join(folder, "s")
            async with self._serving(host, port) as serve:
                server = await asyncio.start_unix_server(serve, path)
                try:
                    yield LocalAddress(path)
                finally:
                    server.close()

    @asynccontextmanager
    async def forward_port(self, host: str, port: int, *, local_port: int = 0) -> AsyncIterator[int]:
        """A port of 127.0.0.1 whose connections end at host:port."""
        self._raise_if_cut()
        async with self._serving(host, port) as serve:
            try:
                server = await asyncio.start_server(serve, "127.0.0.1", local_port)
            except OSError as error:
                raise NodeBusy(f"Port {local_port} is taken", remedy="Use another.", node=self._node) from error
            try:
                yield int(server.sockets[0].getsockname()[1])
            finally:
                server.close()

    async def answers(self, host: str, port: int, *, timeout_s: float = 5.0) -> bool | None:
        """Whether something accepts connections at host:port."""
        self._raise_if_cut()
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return None
        except OSError:
            return False
        writer.close()
        return True

    @asynccontextmanager
    async def _serving(self, host: str, port: int) -> AsyncIterator[Serve]:
        """What a forward's listener calls for each connection; leaving the block ends them all."""
        serving: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            serving.add(task)
            gone = asyncio.ensure_future(self._gone.wait())
            gone.add_done_callback(lambda _: task.cancel())
            try:
                await _join(reader, writer, host, port)
            except asyncio.CancelledError:
                pass  # the line or the forward is gone; asyncio would report a cancelled server task as a bug
            finally:
                gone.cancel()
                serving.discard(task)

        try:
            yield serve
        finally:
            for _ in range(3):  # one that was just accepted begins to be served only now
                await asyncio.sleep(0)
                for task in tuple(serving):
                    task.cancel()
                await asyncio.gather(*serving, return_exceptions=True)

    def _local(self, path: str) -> Path:
        return self._home / path[2:] if path.startswith("~/") else Path(path)

    def _raise_if_cut(self) -> None:
        if self.is_cut:
            raise Unreachable(f"{self._node} does not answer", remedy="Wait.", node=self._node)

    async def _start(self, command: Command) -> LocalProcess:
        self._raise_if_cut()
        self.lines.append(command.to_shell())
        starting = asyncio.ensure_future(self._spawn(command))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            process = await starting  # asyncio leaks the pipes of a start that is cancelled half way
            process.kill()
            try:
                await process.process.wait()  # else the loop may be closed before it hears of the end
            finally:
                process.forget()
            raise

    async def _spawn(self, command: Command) -> LocalProcess:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", command.to_shell(), stdin=pipe, stdout=pipe, stderr=pipe, cwd=self._home, env=self._env,
            start_new_session=True,
        )  # fmt: skip
        return LocalProcess(process, self._gone, self._node)


class LocalProcess:
    """A command that runs, with its streams."""

    def __init__(self, process: asyncio.subprocess.Process, gone: asyncio.Event, node: str) -> None:
        self.process = process
        self._gone = gone
        self._node = node
        self._errors = b""
        self._reading: asyncio.Future[None] | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Standard output as it comes; ends with it or with the line."""
        assert self.process.stdout is not None
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read_errors())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            while not self._gone.is_set():
                read = asyncio.ensure_future(self.process.stdout.read(65536))
                await asyncio.wait({gone, read}, return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    read.cancel()
                    return
                if not read.result():
                    return
                yield read.result()
        finally:
            gone.cancel()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while data := await self.process.stderr.read(8192):
            self._errors = (self._errors + data)[-8192:]

    def error_tail(self) -> bytes:
        """The last of standard error."""
        return self._errors

    async def write(self, data: bytes) -> None:
        """Send to standard input."""
        assert self.process.stdin is not None
        if self._gone.is_set() or self.process.stdin.is_closing():
            raise Unreachable(f"{self._node} does not answer", remedy="Wait.", node=self._node)
        try:
            self.process.stdin.write(data)
            await self.process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Unreachable("the channel is gone", remedy="Wait.", node=self._node) from error

    async def close_stdin(self) -> None:
        """Send end of file."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def outcome(self) -> Outcome:
        """Wait for the end."""
        gone = asyncio.ensure_future(self._gone.wait())
        ended = asyncio.ensure_future(self.process.wait())
        await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            ended.cancel()
            return Outcome(Unknown(_LOST))
        gone.cancel()
        return Outcome(_fate_of(ended.result()), b"", self._errors)

    def kill(self) -> None:
        """End the command and its process group; what made its own session lives on, as under sshd."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Stop reading, and let go of the pipes, which a grandchild may hold open."""
        if self._reading is not None:
            self._reading.cancel()
        self.process._transport.close()  # type: ignore[attr-defined]  # asyncio offers no other way


def _fate_of(code: int | None) -> Exit | Signal | Unknown:
    if code is None:
        return Unknown("no exit code")
    return Exit(code) if code >= 0 else Signal(signal.Signals(-code).name.removeprefix("SIG"))


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Copy both ways until both sides have ended."""
    far_writer: asyncio.StreamWriter | None = None

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
            target.write_eof()

    try:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
    except OSError:
        pass  # nobody listens there: the caller sees its connection closed, as through SSH
    finally:
        for end in (writer, far_writer):
            if end is not None:
                end.close()
        await asyncio.sleep(0)
