"""A chat server in a process of its own whose tokens bear numbers, and a plain reader in another that notes when each
came: `python stamped_server.py serve`, `python stamped_server.py follow PORT`.

The one rule: each token goes to the chat and to every reader in one turn of the loop, in an order that changes with
each token, so that none is always the first. The clock is the machine's monotonic one, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TOKENS = 16
FIRST_WAIT_S, LATER_WAIT_S = (0.1, 0.3), (0.005, 0.05)
PARAGRAPH = 10
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def word(ask: int, token: int) -> str:
    """What a token says: which it is."""
    return f"w{ask}x{token} " + ("\n\n" if token % PARAGRAPH == PARAGRAPH - 1 else "")


def chunk_of(text: str) -> bytes:
    """One token as an event of the stream."""
    body = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], "model": "stamped"}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@dataclass(slots=True)
class Stamped:
    """The server: a GET follows all answers, a POST has one."""

    lot: random.Random = field(default_factory=lambda: random.Random(7))
    readers: list[asyncio.StreamWriter] = field(default_factory=list)
    asks: int = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_HEAD)
            if head.startswith(b"GET"):
                self.readers.append(writer)
                await reader.read()
            else:
                await self.answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if writer in self.readers:
                self.readers.remove(writer)
            writer.close()

    async def answer(self, writer: asyncio.StreamWriter) -> None:
        """One answer, to its chat and to every reader."""
        ask, self.asks = self.asks, self.asks + 1
        for token in range(TOKENS):
            await asyncio.sleep(self.lot.uniform(*(LATER_WAIT_S if token else FIRST_WAIT_S)))
            everyone = [writer, *self.readers]
            self.lot.shuffle(everyone)
            for each in everyone:
                each.write(chunk_of(word(ask, token)))
        writer.write(_STOP)
        await writer.drain()


async def serve() -> None:
    """Listen on a free port, say which, serve until this process is ended."""
    stamped = Stamped()
    server = await asyncio.start_server(stamped.take, "127.0.0.1", 0)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def follow(port: int) -> None:
    """Note when each token comes on a bare socket, and print it; ends with the server."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"GET /follow HTTP/1.1\r\n\r\n")
        print("following", flush=True)
        waiting = b""
        while data := line.recv(65536):
            now_s = time.perf_counter()
            *events, waiting = (waiting + data).split(b"\n\n")
            for event in events:
                if event.startswith(b"data: {"):
                    said = json.loads(event[6:])["choices"][0]["delta"]["content"]
                    print(said.split()[0], now_s, flush=True)


@contextmanager
def stamped_server() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Start both, each in a process of its own; gives the port, and the reader, on whose output the times come."""
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().split()[1])
        reader = subprocess.Popen([sys.executable, __file__, "follow", str(port)], stdout=subprocess.PIPE)
        try:
            assert reader.stdout is not None
            reader.stdout.readline()
            yield port, reader
        finally:
            reader.kill()
            reader.wait(10)
            if reader.stdout is not None:
                reader.stdout.close()
    finally:
        server.kill()
        server.wait(10)
        if server.stdout is not None:
            server.stdout.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        follow(int(sys.argv[2]))
