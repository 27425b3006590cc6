"""HTTP/1.1 over a bare asyncio stream, as a transport of httpx: what came in one read is given on in one piece.

The one rule: a connection serves one request and is cut when its answer is let go. httpx's own transport gives on each
HTTP chunk by itself, which for a model server is each token, at several times the cost of parsing it.
Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

MAX_HEAD_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
MAX_SIZE_CHARS = 16
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_UNSENDABLE = re.compile(rb"[\r\n\0]")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
BODILESS = (204, 304)
_LINE = "sparkdesk_line"


class StreamTransport(httpx.AsyncBaseTransport):
    """Opens a connection for each request: to the URL's host, or to a unix socket where a path is given.

    `line_of` gives what the body of an answer can be read from without httpx, with the time at which each piece came.
    """

    def __init__(
        self,
        *,
        socket_path: str | None,
        tls: ssl.SSLContext | None,
        max_connections: int,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._socket_path = socket_path
        self._tls = tls
        self._free = asyncio.Semaphore(max_connections)
        self._open: set[_Answer] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the head of its answer. Raises httpx.TransportError."""
        limits = request.extensions.get("timeout", {})
        data = _written(request) + await request.aread()
        try:
            async with asyncio.timeout(limits.get("pool")):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no free connection") from None
        try:
            reader, writer = await self._connect(request.url, limits.get("connect"))
        except BaseException:
            self._free.release()
            raise
        answer = _Answer(reader, writer, self._let_go)
        self._open.add(answer)
        try:
            await answer.send(data, limits.get("write"))
            status, headers = await answer.read_head(request.method)
        except BaseException:
            await answer.aclose()
            raise
        return httpx.Response(status, headers=headers, stream=answer, extensions={_LINE: answer})

    async def aclose(self) -> None:
        """Cut every connection."""
        for answer in tuple(self._open):
            await answer.aclose()

    def _let_go(self, answer: _Answer) -> None:
        self._open.discard(answer)
        self._free.release()

    async def _connect(self, url: httpx.URL, timeout_s: float | None) -> tuple[_TimedReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = _TimedReader(loop, self._monotonic_s)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        host = url.raw_host.decode("ascii").strip("[]")
        name = host if self._tls is not None else None
        try:
            async with asyncio.timeout(timeout_s):
                if self._socket_path is not None:
                    transport, _ = await loop.create_unix_connection(
                        lambda: protocol, self._socket_path, ssl=self._tls, server_hostname=name
                    )
                else:
                    transport, _ = await loop.create_connection(
                        lambda: protocol, host, url.port or 80, ssl=self._tls, server_hostname=name
                    )
                return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, ValueError) as error:
            raise httpx.ConnectError(str(error)) from error


def _written(request: httpx.Request) -> bytes:
    """The head of a request. Raises httpx.LocalProtocolError, without a word of what cannot be sent."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"connection"]
    lines += [name + b": " + value for name, value in (*headers, (b"Connection", b"close"))]
    if any(_UNSENDABLE.search(line) for line in lines):
        raise httpx.LocalProtocolError("a header has a character that none may have")
    return b"\r\n".join((*lines, b"", b""))


class _TimedReader(asyncio.StreamReader):
    """Knows when what is read came, also where nobody waited for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic_s: Callable[[], float]) -> None:
        super().__init__(limit=MAX_HEAD_BYTES, loop=loop)
        self._monotonic_s = monotonic_s
        self._came: deque[tuple[float, int]] = deque()
        """When, and how many bytes, of what was not taken yet."""

    def feed_data(self, data: Any) -> None:
        """asyncio's own hook: the connection calls it, with bytes."""
        self._came.append((self._monotonic_s(), len(data)))
        super().feed_data(data)

    async def read_line(self) -> bytes:
        """A line of the head, with its end."""
        line = await self.readuntil(b"\n")
        self.take(line)
        return line

    def take(self, data: bytes) -> list[tuple[float, bytes]]:
        """What was just read, in the pieces in which it came, each with its time."""
        pieces: list[tuple[float, bytes]] = []
        at = 0
        while at < len(data):
            came_s, size_bytes = self._came.popleft()
            piece = data[at : at + size_bytes]
            at += len(piece)
            pieces.append((came_s, piece))
            if len(piece) < size_bytes:
                self._came.appendleft((came_s, size_bytes - len(piece)))
        return pieces


def line_of(response: httpx.Response) -> Line:
    """What the body of this transport's response is read from, in place of httpx's own ways. Raises KeyError."""
    line: Line = response.extensions[_LINE]
    return line


class Line(Protocol):
    """A body that is read as it comes."""

    async def read(self) -> list[tuple[float, bytes]]:
        """What came since, each piece with its time; nothing is the end. Raises httpx.TransportError."""
        ...


class _Answer(httpx.AsyncByteStream):
    """One connection: its request, then its answer as it comes."""

    def __init__(self, reader: _TimedReader, writer: asyncio.StreamWriter, let_go: Callable[[_Answer], None]) -> None:
        self._reader = reader
        self._writer = writer
        self._let_go: Callable[[_Answer], None] | None = let_go
        self._body = Framing()
        self._trouble: httpx.DecodingError | None = None

    async def send(self, data: bytes, timeout_s: float | None) -> None:
        """Send all of the request."""
        try:
            async with asyncio.timeout(timeout_s):
                self._writer.write(data)
                await self._writer.drain()
        except TimeoutError:
            raise httpx.WriteTimeout("not taken in time") from None
        except OSError as error:
            raise httpx.WriteError(str(error)) from error

    async def read_head(self, method: str) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers of the answer."""
        try:
            while True:
                first = await self._reader.read_line()
                found = _STATUS.fullmatch(first)
                if found is None:
                    raise httpx.DecodingError("it begins as no HTTP answer does")
                headers = await self._read_headers()
                status = int(found[1])
                if status >= 200:
                    self._body = framing_of(headers, has_body=method != "HEAD" and status not in BODILESS)
                    return status, headers
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise httpx.DecodingError("its head has no end") from None
            raise httpx.RemoteProtocolError("closed without an answer") from None
        except (asyncio.LimitOverrunError, ValueError):
            raise httpx.DecodingError("a line of its head is too long") from None
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    async def _read_headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = []
        left_bytes = MAX_HEAD_BYTES
        while (line := await self._reader.read_line()) not in (b"\r\n", b"\n"):
            left_bytes -= len(line)
            name, colon, value = line.partition(b":")
            if left_bytes < 0 or not colon:
                raise httpx.DecodingError("its head is none")
            headers.append((name.strip(), value.strip()))
        return headers

    async def read(self) -> list[tuple[float, bytes]]:
        """What came since, each piece with its time; nothing is the end. Raises httpx.TransportError."""
        body = self._body
        while not body.is_over:
            if self._trouble is not None:
                raise self._trouble
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as error:
                raise httpx.ReadError(str(error)) from error
            if not data:
                body.end()
                return []
            pieces = self._unframed(self._reader.take(data))
            if pieces:
                return pieces
        return []

    def _unframed(self, raw_pieces: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
        """What of them is body. What is wrong with a later one is told at the next read: the earlier ones are good."""
        pieces: list[tuple[float, bytes]] = []
        for came_s, raw in raw_pieces:
            try:
                piece = self._body.feed(raw)
            except httpx.DecodingError as error:
                if not pieces:
                    raise
                self._trouble = error
                break
            if piece:
                pieces.append((came_s, piece))
        return pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while pieces := await self.read():
            yield b"".join(piece for _, piece in pieces)

    async def aclose(self) -> None:
        """Cut the connection: that is how a server learns that nobody waits any more."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            self._writer.transport.abort()
            let_go(self)


@dataclass(slots=True)
class Framing:
    """Where a body ends. Here: with the connection."""

    is_over: bool = False

    def feed(self, data: bytes) -> bytes:
        """What of the data belongs to the body."""
        return data

    def end(self) -> None:
        """The connection has ended. Raises httpx.RemoteProtocolError when the body had not."""


@dataclass(slots=True)
class Counted(Framing):
    """A body of a told length."""

    left_bytes: int = 0

    def feed(self, data: bytes) -> bytes:
        """What of the data belongs to the body."""
        piece = data[: self.left_bytes]
        self.left_bytes -= len(piece)
        self.is_over = self.left_bytes == 0
        return piece

    def end(self) -> None:
        """It ended before its length."""
        raise httpx.RemoteProtocolError("closed in the middle of the answer")


@dataclass(slots=True)
class Chunked(Framing):
    """A body in chunks, each after its size; a size of 0 ends it."""

    _waiting: bytes = b""
    _left_bytes: int = 0
    """Of the open chunk, with the line end behind it."""

    def feed(self, data: bytes) -> bytes:
        """The contents of all chunks in the data, joined. Raises httpx.DecodingError."""
        pieces: list[bytes] = []
        data = self._waiting + data
        at, end = 0, len(data)
        while at < end and not self.is_over:
            if self._left_bytes:
                taken = data[at : at + self._left_bytes]
                at += len(taken)
                # The last two bytes of what is left are the line end.
                pieces.append(taken[: max(0, self._left_bytes - 2)])
                self._left_bytes -= len(taken)
                continue
            line_end = data.find(b"\n", at)
            if line_end < 0:
                break
            self._begin(data[at:line_end].rstrip(b"\r"))
            at = line_end + 1
        self._waiting = data[at:]
        if len(self._waiting) > MAX_HEAD_BYTES:
            raise httpx.DecodingError("a chunk's size has no end")
        return b"".join(pieces)

    def _begin(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise httpx.DecodingError("a chunk has no size")
        size_bytes = int(found[1], 16)
        self.is_over = size_bytes == 0
        self._left_bytes = size_bytes + 2 if size_bytes else 0

    def end(self) -> None:
        """It ended before its last chunk."""
        raise httpx.RemoteProtocolError("closed in the middle of the answer")


def framing_of(headers: list[tuple[bytes, bytes]], *, has_body: bool) -> Framing:
    """Where the body of an answer with these headers ends."""
    told = {name.lower(): value.lower() for name, value in headers}
    if not has_body:
        return Framing(is_over=True)
    if b"chunked" in told.get(b"transfer-encoding", b""):
        return Chunked()
    length = told.get(b"content-length", b"")
    if length.isdigit() and len(length) <= MAX_SIZE_CHARS:
        return Counted(is_over=int(length) == 0, left_bytes=int(length))
    return Framing()
