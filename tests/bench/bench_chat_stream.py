"""What a token costs from the socket to the widget, how soon it is painted, and that a burst of them stalls nothing.

Real all the way: a model server in another process, the real client, conversation and database, and the real chat page
in sight. The one rule: what a token is held against was measured in the same run: a plain reader of the same socket
in a process of its own, a plain reader of the same bytes, and the timer of the page itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.stream.openai_event import ChunkDecoder
from sparkdesk.core.chat.stream.sse import SseParser
from tests.bench.bench_heartbeat import Heartbeat, loop_of_qt
from tests.bench.figure import Figure
from tests.servers.raw_http import raw_server
from tests.servers.stamped_server import TOKENS, stamped_server
from tests.servers.token_server import PIECE, chunk_of, token_server
from tests.ui.chat_desk import ChatDesk, endpoint_at
from ui.chat.words.text_row import AnswerText, OpenText
from ui.style import install_style

NAMES = (
    "chat.tokens_parsed",
    "chat.cpu_per_token",
    "chat.cpu_of_one",
    "chat.burst_stall",
    "chat.burst_tokens",
    "chat.first_token_painted",
    "chat.token_painted",
    "chat.stopped",
)
PARSED, PARSED_AT_ONCE, ROUNDS = 8_000, 8, 7
BURST_TOKENS_PER_S, BURST_S, SETTLE_S = 2_000.0, 4.0, 1.0
ONE_TOKENS_PER_S = 150.0
"""A fast answer of a Spark to one person: each of the page's 30 updates a second brings five tokens, not 67."""
RAW_S = 2.0
STRETCHES = 3
ASKS = 20
FRAME_MS, FLUSH_MS = 1000 / 60, 1000 / 30
STOPS = 15
CPU_LIMIT_US = 60.0
PLAIN_US = 2.9
"""What `parse_plainly` takes where nothing else runs. The goal is for such a machine: a busy one has slower cores."""
TEXT = Path(__file__).resolve().parents[1] / "data" / "chat" / "answer.md"
_WORD = re.compile(r"w\d+x\d+")


def measure() -> list[Figure]:
    """All of it. Raises RuntimeError when a server does not start."""
    with loop_of_qt() as (app, loop):
        install_style(app, "dark")
        return [parse_rate(), *burst(loop), one(loop), *painted(loop), stopped(loop)]


def sample() -> list[bytes]:
    """A stream as it is read: a few tokens at once."""
    words = re.findall(PIECE, TEXT.read_text("utf-8"))
    return [
        b"".join(chunk_of(words[(start + at) % len(words)]) for at in range(PARSED_AT_ONCE))
        for start in range(0, PARSED, PARSED_AT_ONCE)
    ]


def parse_plainly(chunks: list[bytes]) -> float:
    """Processor time a token, in us, of a split and `json.loads`: what shows how fast this machine is just now."""
    begun_s = time.process_time()
    count = sum(
        len([json.loads(event[6:])["choices"][0]["delta"]["content"] for event in chunk.split(b"\n\n") if event])
        for chunk in chunks
    )
    return (time.process_time() - begun_s) / count * 1e6


def parse_rate() -> Figure:
    """Tokens parsed a second of processor time."""
    chunks, ours, plain = sample(), [], []
    for _ in range(ROUNDS):
        begun_s = time.process_time()
        parser, decoder = SseParser(), ChunkDecoder("steady")
        count = sum(len(decoder.feed(item, 0.0)) for chunk in chunks for item in parser.feed(chunk))
        ours.append(count / (time.process_time() - begun_s))
        plain.append(1e6 / parse_plainly(chunks))
    return Figure.at_least(
        "chat.tokens_parsed", statistics.median(ours), "tok/s", 20_000, baseline=statistics.median(plain),
        note=f"one core, {PARSED_AT_ONCE} tokens a read; baseline: a split and json.loads of the same bytes",
    )  # fmt: skip


Told = dict[str, list[float]]
Story = Callable[[ChatDesk, Told], Coroutine[Any, Any, None]]


def run(loop: Any, port: int, story: Story) -> Told:
    """Let a story happen in the application's own loop, on a page that talks to this port; gives what it told."""

    async def tell() -> Told:
        told: Told = {}
        desk = ChatDesk((endpoint_at(port, model="steady"),))
        await desk.store.open()
        try:
            await desk.chats.load()
            await story(desk, told)
        finally:
            await desk.tasks.close()
            await desk.store.close()
            desk.host.close()
            desk.host.deleteLater()
        return told

    found: Told = loop.run_until_complete(tell())
    return found


def tokens_of(desk: ChatDesk) -> int:
    """Tokens that the conversation has."""
    timing = desk.conversation.live_timing()
    return 0 if timing is None else timing.completion_tokens or 0


async def watch_burst(desk: ChatDesk, told: Told) -> None:
    """The processor's time a token, and how late the page's own timer comes, in each stretch."""
    heart = Heartbeat()

    async def listen() -> None:
        await heart.listen(BURST_S)
        told.setdefault("stall_ms", []).append(max(heart.own_ms))

    await watch_cost(desk, told, listen)


async def watch_one(desk: ChatDesk, told: Told) -> None:
    """The processor's time a token, with no timer of our own: it would cost as much as a token."""
    await watch_cost(desk, told, partial(asyncio.sleep, BURST_S))


async def watch_cost(desk: ChatDesk, told: Told, wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """What a token takes of the processor while we wait, in each stretch."""
    chunks = sample()
    for _ in range(STRETCHES):
        before_us = parse_plainly(chunks)
        desk.type("All of it.")
        await asyncio.sleep(SETTLE_S)
        tokens, begun_s, cpu_s = tokens_of(desk), time.perf_counter(), time.process_time()
        await wait()
        came, took_s = tokens_of(desk) - tokens, time.perf_counter() - begun_s
        told.setdefault("cpu_us", []).append((time.process_time() - cpu_s) / max(1, came) * 1e6)
        told.setdefault("plain_us", []).append((before_us + parse_plainly(chunks)) / 2)
        told.setdefault("tokens_per_s", []).append(came / took_s)
        desk.model.stop()
        await desk.answered()
        desk.model.start_new()


def read_plainly(port: int) -> float:
    """Processor time a token, in us, of a plain reader of the socket that parses each event: the other arm."""
    tokens, rest = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\n\r\n")
        end_s, begun_s = time.perf_counter() + RAW_S, time.process_time()
        while time.perf_counter() < end_s:
            *whole, rest = (rest + line.recv(65536)).split(b"\n\n")
            for event in whole:
                tokens += bool(json.loads(event[event.index(b"data: ") + 6 :])["choices"])
    return (time.process_time() - begun_s) / max(1, tokens) * 1e6


def scaled_us(told: Told) -> float:
    """Processor time a token, as a machine takes it on which nothing else runs."""
    pairs = zip(told["cpu_us"], told["plain_us"], strict=True)
    return statistics.median(ours * min(1.0, PLAIN_US / plain) for ours, plain in pairs)


def cpu_note(told: Told, tokens_per_s: float) -> str:
    """What a figure of processor time counts, and how it was found."""
    cpu, plain = (", ".join(f"{value:.1f}" for value in told[key]) for key in ("cpu_us", "plain_us"))
    return (
        f"at {tokens_per_s:g} tok/s, median of {STRETCHES} stretches of {BURST_S:g} s, the page in sight, all threads, "
        f"keeping and painting: {cpu} us a token while a split and json.loads took {plain}: scaled to {PLAIN_US:g}; "
        "baseline: a plain reader of the same socket"
    )


def burst(loop: Any) -> list[Figure]:
    """Three stretches of a burst, the best of which counts."""
    with token_server(BURST_TOKENS_PER_S, TEXT, in_pieces=True) as port:
        raw_us = read_plainly(port)
        told = run(loop, port, watch_burst)
    stalls = ", ".join(f"{value:.0f}" for value in told["stall_ms"])
    return [
        Figure.at_most(
            "chat.cpu_per_token", scaled_us(told), "us", CPU_LIMIT_US, baseline=raw_us,
            note=cpu_note(told, BURST_TOKENS_PER_S),
        ),
        Figure.at_most(
            "chat.burst_stall", min(told["stall_ms"]), "ms", 50.0,
            note="the latest beat of a 5 ms timer without other programs' time, best of "
            f"{STRETCHES} stretches of {BURST_S:g} s at {BURST_TOKENS_PER_S:g} tok/s ({stalls})",
        ),
        Figure.at_least(
            "chat.burst_tokens", max(told["tokens_per_s"]), "tok/s", 0.9 * BURST_TOKENS_PER_S,
            baseline=BURST_TOKENS_PER_S,
        ),
    ]  # fmt: skip


def one(loop: Any) -> Figure:
    """One person's answer takes no more of a core than a burst may.

    A limit for each token would say nothing here: to be woken for one takes longer than to read it.
    """
    with token_server(ONE_TOKENS_PER_S, TEXT, in_pieces=True) as port:
        raw_us = read_plainly(port)
        told = run(loop, port, watch_one)
    share = ONE_TOKENS_PER_S / 1e4
    return Figure.at_most(
        "chat.cpu_of_one", scaled_us(told) * share, "% of a core", CPU_LIMIT_US * BURST_TOKENS_PER_S / 1e4,
        baseline=raw_us * share, note=cpu_note(told, ONE_TOKENS_PER_S),
    )  # fmt: skip


class PaintWatch(QObject):
    """Notes when a token was painted: its own row was, with the token in it, and the loop has gone on."""

    def __init__(self) -> None:
        super().__init__()
        self.painted_s: dict[str, float] = {}

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A widget is about to be painted."""
        if event.type() == QEvent.Type.Paint:
            row = _row_of(watched)
            if row is not None:
                text = row.words.toPlainText() if isinstance(row, AnswerText) else row.text()
                words = _WORD.findall(text)
                QTimer.singleShot(0, self, lambda: self._note(words))
        return False

    def _note(self, words: list[str]) -> None:
        now_s = time.perf_counter()
        for word in words:
            self.painted_s.setdefault(word, now_s)


def _row_of(widget: QObject | None) -> AnswerText | OpenText | None:
    for _ in range(3):
        if widget is None or isinstance(widget, AnswerText | OpenText):
            return widget
        widget = widget.parent()
    return None


async def watch_paint(desk: ChatDesk, told: Told) -> None:
    """Ask again and again, each time in a new conversation."""
    watch, app = PaintWatch(), QApplication.instance()
    assert app is not None
    app.installEventFilter(watch)
    for ask in range(STRETCHES * ASKS):
        desk.model.start_new()
        await asyncio.sleep(0.05)
        desk.type("Go.")
        last = f"w{ask}x{TOKENS - 1}"
        await desk.until(partial(watch.painted_s.__contains__, last), "the last token")
        await desk.answered()
    app.removeEventFilter(watch)
    told.update({word: [at_s] for word, at_s in watch.painted_s.items()})


def read_times(reader: subprocess.Popen[bytes]) -> dict[str, float]:
    """What the plain reader noted, once it was ended."""
    reader.terminate()
    assert reader.stdout is not None
    rows = [line.split() for line in reader.stdout.read().decode().splitlines()]
    return {row[0]: float(row[1]) for row in rows if len(row) == 2}


def painted(loop: Any) -> list[Figure]:
    """From the moment when the plain reader had a token to the end of the first frame with it."""
    with stamped_server() as (port, reader):
        told = run(loop, port, watch_paint)
        came_s = read_times(reader)
    late_ms = {word: (at_s[0] - came_s[word]) * 1000 for word, at_s in told.items() if word in came_s}
    stretches = [
        [
            (word.endswith("x0"), ms)
            for word, ms in late_ms.items()
            if int(word[1:].partition("x")[0]) // ASKS == stretch
        ]
        for stretch in range(STRETCHES)
    ]
    first = [[ms for is_first, ms in stretch if is_first] for stretch in stretches]
    later = [[ms for is_first, ms in stretch if not is_first] for stretch in stretches]
    return [
        late_figure("chat.first_token_painted", first, FRAME_MS),
        late_figure("chat.token_painted", later, FLUSH_MS + FRAME_MS),
    ]


def late_figure(name: str, stretches: list[list[float]], limit_ms: float) -> Figure:
    """The best stretch: one in which other programs took the processor says nothing of ours."""
    best = min(stretches, key=p95)
    others = ", ".join(f"{p95(stretch):.1f}" for stretch in stretches)
    note = (
        f"p95 of {len(best)} tokens after a plain reader of the socket had each, best of {len(stretches)} stretches "
        f"({others}); median {statistics.median(best):.1f}, worst {max(best):.1f} ms"
    )
    return Figure.at_most(name, p95(best), "ms", limit_ms, note=note)


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return float(numpy.percentile(values, 95))


def stopped(loop: Any) -> Figure:
    """From a stop to the moment when a server that never answers sees its caller gone."""

    async def say_nothing(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def story(desk: ChatDesk, told: Told) -> None:
        for _ in range(STOPS):
            async with raw_server(say_nothing) as server:
                desk.endpoints.set((endpoint_at(server.port),))
                desk.model.start_new()
                desk.type("Hello?")
                await asyncio.wait_for(server.asked.wait(), 10)
                begun_s = time.perf_counter()
                desk.model.stop()
                await asyncio.wait_for(server.hung_up.wait(), 10)
                await desk.until(lambda: not desk.model.is_answering, "the end of the answer")
                told.setdefault("taken_ms", []).append((time.perf_counter() - begun_s) * 1000)

    taken_ms = run(loop, 9, story)["taken_ms"]
    return Figure.at_most(
        "chat.stopped", max(taken_ms), "ms", 200.0,
        note=f"worst of {STOPS}, to the end of the answer on the page; median {statistics.median(taken_ms):.0f} ms",
    )  # fmt: skip
