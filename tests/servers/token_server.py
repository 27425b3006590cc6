"""A chat server in a process of its own that writes Markdown at a steady rate: `token_server.py RATE TEXT_FILE`.

The one rule: it keeps time by the clock and not by sleeping, so that a busy machine gets fewer, larger pieces and the
same number of tokens. It speaks as llama.cpp does; what it says is the file, again and again: a word a token, or with
`pieces` in pieces of about four characters, as a real tokenizer cuts English and code.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_S = 0.005


def chunk_of(text: str) -> bytes:
    """One token as an event of the stream."""
    body = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], "model": "steady"}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def framed(event: bytes) -> bytes:
    """An event as an HTTP chunk of its own, as model servers send it."""
    return b"%x\r\n%s\r\n" % (len(event), event)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float, words: list[str]) -> None:
    """Write until the caller hangs up."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        loop = asyncio.get_running_loop()
        begun_s, sent = loop.time(), 0
        while not writer.is_closing():
            due = int((loop.time() - begun_s) * rate)
            for number in range(sent, due):
                writer.write(framed(chunk_of(words[number % len(words)])))
            sent = max(sent, due)
            await writer.drain()
            await asyncio.sleep(PERIOD_S)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


PIECE = r"\s+(?=\s)|\s?[A-Za-z]{1,7}|\s?\d{1,3}|\s?[^\w\s]{1,3}|\s?\w|\s"


async def serve(rate: float, text: str, pattern: str) -> None:
    """Listen on a free port, say which, serve until this process is ended."""
    words = re.findall(pattern, text)
    server = await asyncio.start_server(lambda r, w: answer(r, w, rate, words), "127.0.0.1", 0)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def token_server(rate: float, text_file: Path, *, in_pieces: bool = False) -> Iterator[int]:
    """Start it in a process of its own; gives the port."""
    command = [sys.executable, __file__, str(rate), str(text_file), *(["pieces"] if in_pieces else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[1])
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    cut = PIECE if sys.argv[3:] == ["pieces"] else r"\S+\s*"
    asyncio.run(serve(float(sys.argv[1]), Path(sys.argv[2]).read_text("utf-8"), cut))
