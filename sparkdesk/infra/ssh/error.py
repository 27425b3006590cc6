"""Every failure of asyncssh and of the sockets under it, in SparkDesk's own words.

The one rule: this is the only place where such an exception becomes one of ours, and `FOREIGN` is everything that can
fly; tests/infra/ssh/test_error.py walks asyncssh's exception classes to prove that none is missing.
"""

from __future__ import annotations

import errno
import socket

import asyncssh
from asyncssh import misc

from sparkdesk.core.errors import NO_CHANNEL_REMEDY, AuthFailed, CommandFailed, NodeBusy, NodeError, Unreachable

FOREIGN: tuple[type[Exception], ...] = (
    asyncssh.Error,
    asyncssh.ChannelListenError,
    misc.PasswordChangeRequired,
    misc.BreakReceived,
    misc.SignalReceived,
    misc.SoftEOFReceived,
    misc.TerminalSizeChanged,
    OSError,  # with TimeoutError, socket.gaierror, ConnectionError
    EOFError,
    ValueError,  # keys, certificates, packets and names that cannot be decoded
)

KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 2
SILENCE_S = KEEPALIVE_INTERVAL_S * (KEEPALIVE_COUNT + 1)
"""After this long without an answer a connection is closed (measured: interval x (count + 1))."""

_TOO_MANY_KEYS = "authentication failures"  # sshd's words when MaxAuthTries is spent; sent as a protocol error

_CHECK_NETWORK = "Check that the node is switched on and in the same network."
_OS_WORDS: dict[int, tuple[str, str]] = {
    errno.ECONNREFUSED: (
        "Nothing answers on port {port} of {address}",
        "Check the port, and that the SSH server runs on the node.",
    ),
    errno.EHOSTUNREACH: ("{address} does not answer in this network", _CHECK_NETWORK),
    errno.ENETUNREACH: ("This computer has no way to {address}", "Check this computer's network, then try again."),
    errno.ENETDOWN: ("This computer's network is down", "Check this computer's network, then try again."),
    errno.ECONNRESET: ("{address} broke off the connection", "SparkDesk tries again."),
    errno.EPIPE: ("{address} broke off the connection", "SparkDesk tries again."),
    errno.EACCES: ("This computer does not allow the connection", "Check a firewall or the file's permissions."),
    errno.EMFILE: ("This program has too many open connections", "Close other work, then try again."),
}


def map_error(error: BaseException, *, node: str, address: str = "", port: int = 22) -> NodeError:
    """The one of SparkDesk's errors that says what `error` means for this node."""
    if isinstance(error, NodeError):
        return error
    detail = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, TimeoutError):
        return Unreachable(f"{node} did not answer in time", remedy=_CHECK_NETWORK, detail=detail, node=node)
    if isinstance(error, OSError):
        return _map_os_error(error, node, address or node, port)
    if isinstance(error, asyncssh.ChannelOpenError):
        message = f"{node} gives no further channel"
        return NodeBusy(message, remedy=NO_CHANNEL_REMEDY, detail=detail, node=node)
    if isinstance(error, asyncssh.SFTPError):
        message = f"{node} could not do the file transfer"
        return CommandFailed(message, remedy="Read the details.", detail=detail, node=node)
    if isinstance(error, asyncssh.PermissionDenied | misc.PasswordChangeRequired) or _TOO_MANY_KEYS in str(error):
        return AuthFailed(
            f"{node} refused the sign-in",
            remedy="Check the user name, then enter the password or add your public key on the node.",
            detail=detail,
            node=node,
        )
    if isinstance(error, asyncssh.IllegalUserName):
        return AuthFailed(f"The user name for {node} cannot be used", remedy="Correct it.", detail=detail, node=node)
    return _map_protocol_error(error, node, detail)


def _map_protocol_error(error: BaseException, node: str, detail: str) -> NodeError:
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return Unreachable(
            f"{node} speaks only encryption that is no longer safe",
            remedy="Update the SSH server on the node.",
            detail=detail,
            node=node,
        )
    if "keepalive" in str(error):
        message = f"{node} has not answered for {SILENCE_S} s"
        return Unreachable(message, remedy=f"{_CHECK_NETWORK} SparkDesk tries again.", detail=detail, node=node)
    return Unreachable(f"The connection to {node} was lost", remedy="SparkDesk tries again.", detail=detail, node=node)


def _map_os_error(error: OSError, node: str, address: str, port: int) -> NodeError:
    detail = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"The name {address} was not found",
            remedy="Check the spelling, or enter the IP address.",
            detail=detail,
            node=node,
        )
    words, remedy = _OS_WORDS.get(error.errno or 0, (f"{node} cannot be reached", _CHECK_NETWORK))
    return Unreachable(words.format(address=address, port=port), remedy=remedy, detail=detail, node=node)
