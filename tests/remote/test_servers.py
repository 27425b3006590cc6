"""The program that finds model servers: what it asks, what it never asks, and how long it takes at most."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.cluster.server_report import read_server_report
from sparkdesk.core.program import python_command
from tests.infra.sshd import free_port
from tests.remote.python_version import PYTHONS
from tests.servers.chosen_port import chosen_port
from tests.servers.llamacpp import LlamaServer, llama_server

PROGRAM = Path(__file__).parents[2] / "sparkdesk" / "remote" / "servers.py"
_CLONE_NEWNET = 0x40000000
MODELS = b'{"object":"list","data":[{"id":"m"}]}'


@pytest.fixture(scope="module", autouse=True)
def _network() -> Iterator[None]:
    """A network of these tests' own, where root can make one: whoever looks for servers meanwhile would ask ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    is_own = os.geteuid() == 0 and shutil.which("ip") is not None and libc.unshare(_CLONE_NEWNET) == 0
    try:
        if is_own:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=30)
        yield
    finally:
        if is_own and libc.setns(home, _CLONE_NEWNET) != 0:
            pytest.exit("this thread cannot go back to the network that it came from", 1)
        os.close(home)


def run(*own: int, python: str = "", path: str = "", env: dict[str, str] | None = None) -> dict[str, Any]:
    """What the program prints, sent as it is sent to a node."""
    source = PROGRAM.read_bytes()
    command = python_command([source], *(str(port) for port in own))
    argv = [python or shutil.which("python3") or "python3", *command.argv[1:]]
    environment = {"PATH": path or os.environ["PATH"], "LC_ALL": "C", **(env or {})}
    done = subprocess.run(argv, input=source, capture_output=True, timeout=30, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b"\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def asked(found: dict[str, Any], port: int) -> dict[str, Any] | None:
    """The answers of the server on this port."""
    return next((row["answers"] for row in found["servers"] if row["port"] == port), None)


@contextmanager
def listening(serve: Callable[[socket.socket], None], *, port: int = 0, host: str = "127.0.0.1") -> Iterator[int]:
    """A server of our own making: each connection is given to `serve`, in a thread."""
    port = port or chosen_port()
    with socket.create_server((host, port)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=guarded, args=(connection,), daemon=True).start()

        def guarded(connection: socket.socket) -> None:
            with connection:
                try:
                    serve(connection)
                except OSError:
                    pass

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield port
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def replying(answer: bytes, requests: list[bytes]) -> Callable[[socket.socket], None]:
    """Gives the same answer to everything, and notes what was asked."""

    def serve(connection: socket.socket) -> None:
        requests.append(connection.recv(65536))
        connection.sendall(answer)

    return serve


def http(body: bytes, status: str = "200 OK", head: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status.encode(), len(body), head, body)


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(port=chosen_port()) as server:
        yield server


@pytest.mark.parametrize("python", PYTHONS)
def test_a_real_server_is_found_and_told_by_its_metrics(llama: LlamaServer, python: str) -> None:
    found = run(python=python)
    answers = asked(found, llama.port)
    assert answers is not None
    assert answers["/metrics"]["prefixes"] == ["llamacpp"]
    server = next(s for s in read_server_report(found, node_id="n", t_ms=0).servers if s.port == llama.port)
    assert (server.engine, server.is_healthy, server.is_exposed) == ("llamacpp", True, False)
    assert server.models
    assert server.process.startswith("python")


def test_only_plain_gets_are_sent() -> None:
    requests: list[bytes] = []
    with listening(replying(http(MODELS), requests)) as port:
        assert asked(run(), port) is not None
    assert {request.split(b" ")[0] for request in requests} == {b"GET"}
    assert requests[0].startswith(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
    assert not any(b"\r\n\r\n" not in request or request.split(b"\r\n\r\n", 1)[1] for request in requests)


def test_a_redirect_is_not_followed() -> None:
    there: list[bytes] = []
    here: list[bytes] = []
    with listening(replying(http(MODELS), there)) as target:
        head = b"Location: http://127.0.0.1:%d/v1/models\r\n" % target
        with listening(replying(http(b"", "302 Found", head), here)) as port:
            assert asked(run(target), port) is None
    assert (len(here), there) == (1, [])


def test_a_proxy_is_not_used() -> None:
    seen: list[bytes] = []
    with listening(replying(http(MODELS), seen)) as proxy, listening(replying(http(MODELS), [])) as port:
        address = f"http://127.0.0.1:{proxy}"
        found = run(proxy, env={"http_proxy": address, "HTTP_PROXY": address, "all_proxy": address})
        assert asked(found, port) is not None
    assert seen == []


def test_own_ports_and_inner_sockets_are_left_alone() -> None:
    requests: list[bytes] = []
    with (
        listening(replying(http(MODELS), requests)) as own,
        listening(replying(http(MODELS), requests), port=free_port()) as inner,
    ):
        found = run(own)
        assert {own, inner} <= {row["port"] for row in found["listeners"]}
    assert requests == []


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\x01\x02", b""])
def test_what_does_not_speak_http_is_left_after_one_try(greeting: bytes) -> None:
    requests: list[bytes] = []
    with listening(replying(greeting, requests)) as port:
        assert asked(run(), port) is None
    assert len(requests) == 1


def test_servers_that_hang_drip_or_flood_cost_no_more_than_the_deadline() -> None:
    def hang(connection: socket.socket) -> None:
        connection.recv(65536)
        time.sleep(20)

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{")
        for _ in range(200):
            time.sleep(0.1)
            connection.sendall(b" ")

    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{")
        while True:
            connection.sendall(b"x" * 65536)

    with (
        listening(hang) as hanging,
        listening(drip) as dripping,
        listening(flood) as flooding,
        listening(replying(http(MODELS), [])) as good,
    ):
        began_s = time.monotonic()
        found = run()
        took_s = time.monotonic() - began_s
    assert asked(found, good) is not None
    assert asked(found, hanging) is None
    assert asked(found, dripping) is None
    assert found["is_whole"] is False
    assert took_s < 15  # its deadline is 3.6 s; the machine may be busy
    flooded = asked(found, flooding)
    assert flooded is None or flooded["/v1/models"]["cut"]
    assert len(json.dumps(found)) < 1 << 20


def docker_that(folder: Path, script: str) -> str:
    """A PATH whose docker is this script."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_container_that_publishes_a_port_is_named(tmp_path: Path) -> None:
    requests: list[bytes] = []
    inner = free_port()  # where the kernel puts private sockets: asked only because a container publishes it
    row = {
        "ID": "0123456789abcdef",
        "Image": "vllm/vllm-openai:v0.32.0",
        "Names": "my-vllm",
        "Ports": f"0.0.0.0:{inner}->8000/tcp, [::]:{inner}->8000/tcp, 127.0.0.1:9000-9002->9000-9002/tcp",
        "Labels": "maintainer=x,sparkdesk.note=y",
        "Networks": "bridge",
    }
    (tmp_path / "row").write_text(json.dumps(row))
    path = docker_that(tmp_path, f'echo "$@" > {tmp_path}/argv; cat {tmp_path}/row')
    with listening(replying(http(MODELS), requests), port=inner):
        found = run(path=path)
    assert (tmp_path / "argv").read_text().split() == ["ps", "--no-trunc", "--format", "{{json", ".}}"]
    assert found["containers"] == [
        {
            "id": "0123456789ab",
            "image": "vllm/vllm-openai:v0.32.0",
            "name": "my-vllm",
            "is_host": False,
            "ports": sorted([inner, 9000, 9001, 9002]),
            "labels": {"sparkdesk.note": "y"},
        }
    ]
    server = next(s for s in read_server_report(found, node_id="n", t_ms=0).servers if s.port == inner)
    assert (server.container, server.models) == ("my-vllm", ("m",))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'permission denied while trying to connect' >&2; exit 1", "permission denied"),
        ("sleep 20", "TimeoutExpired"),
        ("echo '{nonsense'", "docker: "),
    ],
)
def test_a_docker_that_cannot_be_asked_stops_nothing(tmp_path: Path, script: str, words: str) -> None:
    with listening(replying(http(MODELS), [])) as port:
        found = run(path=docker_that(tmp_path, script))
        assert asked(found, port) is not None
    assert found["containers"] is None
    assert words in found["containers_problem"]


def test_a_server_that_listens_on_one_address_only_is_asked_there() -> None:
    port = chosen_port()
    with listening(replying(http(MODELS), []), port=port, host="127.0.0.9"):
        found = run()
    assert [row["host"] for row in found["servers"] if row["port"] == port] == ["127.0.0.9"]


def test_a_server_that_anyone_can_reach_is_said_to_be_exposed() -> None:
    with listening(replying(http(MODELS), []), host="0.0.0.0") as port:
        found = run()
    server = next(s for s in read_server_report(found, node_id="n", t_ms=0).servers if s.port == port)
    assert (server.is_exposed, server.host) == (True, "127.0.0.1")


def test_a_node_that_shares_a_computer_sees_its_own_loopback_only() -> None:
    with listening(replying(http(MODELS), [])) as port:
        found = run(env={"SPARKDESK_LOOPBACK": "127.77.0.9"})
    assert port not in {row["port"] for row in found["listeners"]}
