"""Nodes over SSH: fulfils core's Connector, Connection, Shell and Process.

The one rule: asyncssh is imported in this package only, and none of its types or exceptions leaves it.
"""

from __future__ import annotations

from sparkdesk.infra.ssh.connector import SshConnector
from sparkdesk.infra.ssh.key import ensure_key, fingerprint_of

__all__ = ["SshConnector", "ensure_key", "fingerprint_of"]
