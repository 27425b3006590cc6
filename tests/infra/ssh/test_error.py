"""Nothing of asyncssh's flies out of its package."""

from __future__ import annotations

import errno
import importlib
import inspect
import pkgutil
import socket

import asyncssh
import pytest

from sparkdesk.core.errors import AuthFailed, NodeBusy, NodeError, Unreachable
from sparkdesk.infra.ssh.error import FOREIGN, map_error

# Kerberos and Windows: they need libraries that are not installed, and are switched off.
_UNUSED = {"asyncssh.gss_unix", "asyncssh.gss_win32", "asyncssh.agent_win32"}


def every_exception_class() -> list[type[Exception]]:
    found: dict[str, type[Exception]] = {}
    for info in pkgutil.iter_modules(asyncssh.__path__, "asyncssh."):
        if info.name in _UNUSED:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, Exception) and value.__module__.startswith("asyncssh"):
                found[f"{value.__module__}.{name}"] = value
    return list(found.values())


@pytest.mark.parametrize("kind", every_exception_class(), ids=lambda kind: str(kind.__name__))
def test_every_exception_of_asyncssh_becomes_one_of_ours(kind: type[Exception]) -> None:
    assert issubclass(kind, FOREIGN)
    error = kind.__new__(kind)
    Exception.__init__(error, "words of the library")
    mapped = map_error(error, node="spark-1", address="10.0.0.1")
    assert isinstance(mapped, NodeError)
    assert mapped.remedy
    assert "words of the library" in mapped.detail
    assert mapped.node == "spark-1"


def test_the_walk_finds_the_classes_that_matter() -> None:
    names = {kind.__name__ for kind in every_exception_class()}
    assert {"PermissionDenied", "ConnectionLost", "ChannelOpenError", "KeyImportError", "ConfigParseError"} <= names
    assert len(names) > 40


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "Nothing answers on port 2222 of 10.0.0.1"),
        (OSError(errno.EHOSTUNREACH, "no route"), "10.0.0.1 does not answer in this network"),
        (OSError(errno.ENETUNREACH, "no network"), "This computer has no way to 10.0.0.1"),
        (socket.gaierror(-2, "unknown"), "The name 10.0.0.1 was not found"),
        (TimeoutError(), "spark-1 did not answer in time"),
        (OSError(99999, "strange"), "spark-1 cannot be reached"),
    ],
)
def test_failures_of_the_network_are_told_apart(error: OSError, words: str) -> None:
    mapped = map_error(error, node="spark-1", address="10.0.0.1", port=2222)
    assert isinstance(mapped, Unreachable)
    assert mapped.message == words


def test_sign_in_and_busy_are_told_apart() -> None:
    too_many = asyncssh.ProtocolError("Too many authentication failures")
    assert isinstance(map_error(too_many, node="n"), AuthFailed)
    assert isinstance(map_error(asyncssh.PermissionDenied("no"), node="n"), AuthFailed)
    assert isinstance(map_error(asyncssh.ChannelOpenError(2, "open failed"), node="n"), NodeBusy)
    lost = map_error(asyncssh.ConnectionLost("Server not responding to keepalive"), node="n")
    assert lost.message == "n has not answered for 15 s"
