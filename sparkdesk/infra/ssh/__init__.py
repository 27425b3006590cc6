"""Nodes over SSH: fulfils core's Connector, Connection, Shell, Process, KeyFolder and KnownHosts.

The one rule: asyncssh is imported in this package only, and none of its types or exceptions leaves it.
"""

from __future__ import annotations

from sparkdesk.infra.ssh.connector import SshConnector
from sparkdesk.infra.ssh.key import ensure_key, fingerprint_of
from sparkdesk.infra.ssh.key_folder import NodeKeyFolder
from sparkdesk.infra.ssh.known_hosts import UserKnownHosts

__all__ = ["NodeKeyFolder", "SshConnector", "UserKnownHosts", "ensure_key", "fingerprint_of"]
