"""Pictures of the whole window, for people to look at: build/shots/app-NAME-THEME-WIDTHxHEIGHT.png.

Two each: light in the smallest window, dark in the usual one; the pages' own tests make every pair.

The one rule: a picture is evidence, not a test; what is asserted is only that no label is cut.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sparkdesk.app.desktop import Desktop
from tests.ui.picture import SHOTS, SIZES, cut_labels
from ui import theme

CHOICES: Final[tuple[theme.ThemeName, ...]] = ("light", "dark")
SETTLE_S = 0.15
"""Until layouts, charts and the change of theme have come to rest."""
TRIES = 20
"""On a busy machine they take longer."""


async def take_pictures(desktop: Desktop, name: str) -> None:
    """Light and small, then dark and large, as which the window is left."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for choice, (width, height) in zip(CHOICES, SIZES, strict=True):
        theme.set_theme(choice)
        desktop.window.resize(width, height)
        await asyncio.sleep(SETTLE_S)
        for _ in range(TRIES):
            if not cut_labels(desktop.window):
                break
            await asyncio.sleep(SETTLE_S)
        assert not cut_labels(desktop.window)
        assert desktop.window.grab().save(str(SHOTS / f"app-{name}-{choice}-{width}x{height}.png"))
