"""Where the small things that a person chose are kept, as the window and its pages see it.

The one rule: what is read there may be anybody's; whoever asks checks it.
"""

from __future__ import annotations

from typing import Protocol


class Preferences(Protocol):
    """Values are str, int, float or bool."""

    def get(self, key: str, default: object = None) -> object:
        """Return what is stored, or `default`."""

    def set(self, key: str, value: object) -> None:
        """Store a value."""
