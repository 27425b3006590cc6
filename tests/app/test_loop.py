"""The application's event loop: calls that are due later come in time, and what is cancelled is gone at once."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading

from PySide6.QtCore import QThread, QTimer
from PySide6.QtWidgets import QApplication

from sparkdesk.app.loop import Loop, run_in_loop


def test_a_limit_that_was_not_reached_leaves_no_timer(app: QApplication) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        before = len(loop.waits)
        for _ in range(50):
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
        assert len(loop.waits) == before
        return 3

    assert run_in_loop(app, main) == 3


def test_calls_come_in_their_order_and_a_cancelled_one_never(app: QApplication) -> None:
    async def main() -> int:
        loop, came = asyncio.get_running_loop(), list[str]()
        late = loop.call_later(0.05, came.append, "late")
        loop.call_later(0.01, came.append, "soon")
        never = loop.call_later(0.02, came.append, "never")
        never.cancel()
        never.cancel()
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            came.append("limit")
        while "late" not in came:
            await asyncio.sleep(0.005)
        late.cancel()
        assert came == ["limit", "soon", "late"]
        return 0

    assert run_in_loop(app, main) == 0


def test_calls_that_are_due_at_once_keep_their_order_and_leave_qt_its_turns(app: QApplication) -> None:
    async def main() -> int:
        loop, came = asyncio.get_running_loop(), list[str]()

        def again() -> None:
            came.append("again")
            if "painted" not in came:
                loop.call_soon(again)

        loop.call_soon(came.append, "first")
        never = loop.call_soon(came.append, "never")
        loop.call_soon(came.append, "second")
        never.cancel()
        # Qt's own timers stand for all that it does between two turns.
        QTimer.singleShot(0, lambda: came.append("painted"))
        loop.call_soon(again)
        while "painted" not in came:
            await asyncio.sleep(0)
        assert came[:3] == ["first", "second", "again"]
        assert "never" not in came
        return 0

    assert run_in_loop(app, main) == 0


def test_a_call_that_is_due_at_once_and_raises_keeps_the_next_from_nothing(app: QApplication) -> None:
    async def main() -> int:
        loop, came = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _loop, context: came.append(str(context["exception"])))
        loop.call_soon(int, "no number")
        loop.call_soon(came.append, "next")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert came[-1] == "next"
        assert "invalid literal" in came[0]
        return 0

    assert run_in_loop(app, main) == 0


def test_a_call_that_raises_is_told_and_ends_nothing(app: QApplication) -> None:
    told = list[str]()

    def fail() -> None:
        raise ValueError("a bug")

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(str(context["exception"])))
        loop.call_later(0.005, fail)
        await asyncio.sleep(0.02)
        return 0

    assert run_in_loop(app, main) == 0
    assert told == ["a bug"]


def test_a_connection_that_pauses_reads_on_and_its_number_serves_the_next(app: QApplication) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            ours, theirs = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=ours)
            for word in (b"one\n", b"two\n"):
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                theirs.send(word)
                await asyncio.sleep(0.01)
                assert not reader._buffer  # type: ignore[attr-defined]
                writer.transport.resume_reading()  # type: ignore[attr-defined]
                assert await asyncio.wait_for(reader.readline(), 5) == word
            theirs.close()
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await writer.wait_closed()
        ours, theirs = socket.socketpair()
        loop.add_reader(ours, print)
        assert loop.remove_reader(ours)
        assert not loop.remove_reader(ours)
        ours.close()
        theirs.close()
        return 0

    assert run_in_loop(app, main) == 0


def test_who_waits_for_a_byte_is_called_once(app: QApplication) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        for _ in range(20):
            came: asyncio.Future[None] = loop.create_future()
            calls = list[bool]()

            def take(came: asyncio.Future[None] = came, calls: list[bool] = calls) -> None:
                calls.append(came.done())
                if not came.done():
                    came.set_result(None)

            loop.add_reader(ours, take)
            theirs.send(b"x")
            async with asyncio.timeout(5):
                await came  # it can still be read while this task waits for its turn
            loop.remove_reader(ours)
            assert calls == [False]
            ours.recv(10)
        ours.close()
        theirs.close()
        return 0

    assert run_in_loop(app, main) == 0


def test_a_wait_that_was_cancelled_in_the_turn_of_its_byte_is_no_bug(app: QApplication) -> None:
    told = list[object]()

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        here, there = socket.socketpair()
        for end in (here, there):
            end.setblocking(False)
        waiting = loop.create_future()
        loop.add_reader(here, waiting.set_result, None)
        waiting.cancel()
        there.send(b"x")
        await asyncio.sleep(0.05)
        loop.remove_reader(here)
        here.close()
        there.close()
        return 0

    assert run_in_loop(app, main) == 0
    assert told == []


def test_a_connection_whose_closing_takes_some_turns_is_closed_at_the_end(app: QApplication) -> None:
    here: socket.socket | None = None

    async def main() -> int:
        nonlocal here
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        there.close()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        transport.pause_reading()

        def close_later(turns: int) -> None:
            loop.call_soon(close_later, turns - 1) if turns else transport.abort()

        close_later(12)
        return 0

    assert run_in_loop(app, main) == 0
    assert here is not None
    assert here.fileno() == -1


def test_work_in_a_thread_leaves_no_thread_behind_and_none_of_it_is_an_object_of_qt(app: QApplication) -> None:
    def count() -> int:
        return sum(isinstance(each, QThread) for each in gc.get_objects())

    before, threads = count(), list[threading.Thread]()

    async def main() -> int:
        for _ in range(3):
            threads.append(await asyncio.to_thread(threading.current_thread))
        assert count() == before
        return 0

    assert run_in_loop(app, main) == 0
    assert threading.main_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)
