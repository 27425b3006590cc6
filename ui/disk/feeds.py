"""What the page Models on disk reads and asks for.

The one rule: no action changes a disk by itself; each shows its playbook first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.disk.view import DiskKey, DiskView
from sparkdesk.core.feed import Latest


@dataclass(frozen=True, slots=True)
class DiskFeeds:
    """What is read. `users` gives the titles of running servers that use a row on a node."""

    view: Latest[DiskView]
    users: Callable[[DiskKey, str], tuple[str, ...]]
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class DiskActions:
    """What is asked for. Those that change a disk open the dialog with the playbook."""

    fetch: Callable[[DiskKey, tuple[str, ...], str], None]
    """A row to nodes; the last is one file of a model, "" for all."""
    copy: Callable[[DiskKey, str], None]
    verify: Callable[[DiskKey, str], None]
    remove: Callable[[DiskKey, str], None]
    clean: Callable[[str, str], None]
    """A compile cache's name, a node's id."""
    cancel: Callable[[str], None]
    resume: Callable[[str], None]
    enter_token: Callable[[], None]
    look: Callable[[], None]
    watch: Callable[[bool], None]
    """The page is shown, or no more."""
    ask_size: Callable[[str, str, str, Callable[[int | None, str], None]], None]
    """A model's name, one file of it or "", a node that asks the hub; who hears the bytes, or None with why not."""
