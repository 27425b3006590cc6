"""A port as a person chooses one for a server: free now, and below those that the kernel gives to who asks for any."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 20000, 24999
"""Below the kernel's range on every Linux, and away from the rendezvous ports that are left alone."""


def chosen_port() -> int:
    """A TCP port that nobody listens on now."""
    for _ in range(200):
        port = random.randint(LOWEST, HIGHEST)
        with socket.socket() as sock:
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {LOWEST} to {HIGHEST}")
