"""The small engine of the tests on lab nodes: tests/servers/echo_engine.py, where every account can run it."""

from __future__ import annotations

from sparkdesk.core.jobs.request import LaunchRequest
from tests.fakes.echo_backend import ENGINE, Echo
from tests.lab.lab import LabNode

PLACE = "/usr/local/bin/echo_engine.py"
PORT = 8000


def put_engine(node: LabNode) -> None:
    """Install it on the node."""
    (node.root / PLACE.lstrip("/")).write_bytes(ENGINE.read_bytes())


def make_backend() -> Echo:
    """Its adapter, also as a plug-in's entry point."""
    return Echo(("python3", PLACE))


backend = make_backend()


def request_on(node: LabNode, *flags: str, port: int = PORT) -> LaunchRequest:
    """A server of a small model there."""
    return LaunchRequest(
        engine="echo", model="tiny", nodes=(node.name,), served_name="tiny", port=port, extra_flags=flags
    )
