"""Pictures of the whole window, for people to look at: build/shots/app-NAME-THEME-WIDTHxHEIGHT.png.

The one rule: a picture is evidence, not a test; what is asserted is only that no label is cut.
"""

from __future__ import annotations

import asyncio

from sparkdesk.app.desktop import Desktop
from tests.ui.picture import SHOTS, SIZES, cut_labels
from ui import theme

SETTLE_S = 0.15
"""Until layouts, charts and the change of theme have come to rest."""


async def take_pictures(desktop: Desktop, name: str) -> None:
    """Both themes at both sizes; the window is left dark and large."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for choice in ("light", "dark"):
        theme.set_theme("dark" if choice == "dark" else "light")
        for width, height in SIZES:
            desktop.window.resize(width, height)
            await asyncio.sleep(SETTLE_S)
            assert not cut_labels(desktop.window)
            assert desktop.window.grab().save(str(SHOTS / f"app-{name}-{choice}-{width}x{height}.png"))
