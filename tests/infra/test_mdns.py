"""Announcements of SSH servers are heard over real multicast on loopback; nothing of this computer is announced."""

from __future__ import annotations

import asyncio
import socket

from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from sparkdesk.core.ports import Announcement
from sparkdesk.infra.mdns import SERVICE, MdnsListener
from sparkdesk.infra.ssh_greeting import SshGreeter
from tests.infra.ssh_server import running_server


async def test_a_machine_that_announces_ssh_is_heard() -> None:
    announcer = AsyncZeroconf(interfaces=["127.0.0.1"])
    info = ServiceInfo(
        SERVICE,
        f"spark-5c2d.{SERVICE}",
        addresses=[socket.inet_aton("10.0.20.31")],
        port=22,
        server="spark-5c2d.local.",
    )
    await (await announcer.async_register_service(info))
    try:
        async with asyncio.timeout(20), MdnsListener(["127.0.0.1"]).listen() as announcements:
            async for heard in announcements:
                if heard.name == "spark-5c2d":
                    break
    finally:
        await announcer.async_close()
    assert heard == Announcement("spark-5c2d", "spark-5c2d.local", ("10.0.20.31",), 22)


async def test_an_ssh_server_is_told_from_nothing_and_from_something_else() -> None:
    greeter = SshGreeter()
    async with running_server() as server:
        assert (await greeter.greet("127.0.0.1", server.port, timeout_s=5)).startswith("SSH-2.0-")
        port = server.port
    assert await greeter.greet("127.0.0.1", port, timeout_s=5) == ""

    async def answer_as_web(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n")
        writer.close()

    web = await asyncio.start_server(answer_as_web, "127.0.0.1", 0)
    assert await greeter.greet("127.0.0.1", web.sockets[0].getsockname()[1], timeout_s=5) == ""
    web.close()
    await web.wait_closed()


async def test_a_flood_or_a_silence_instead_of_a_greeting_ends() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"x" * 100_000)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()

    for behave in (flood, be_silent):
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        assert await SshGreeter().greet("127.0.0.1", server.sockets[0].getsockname()[1], timeout_s=0.5) == ""
        server.close()
        await server.wait_closed()
