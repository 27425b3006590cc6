"""How often what is only watched is looked at again: as planned, or more seldom while nobody looks.

The one rule: going back to the plan is felt at once. Who has waited as long as planned goes on in that moment.
"""

from __future__ import annotations

import asyncio


class Rhythm:
    """Stretches waits by `factor`, 1 or more."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._changed = asyncio.Event()

    def set_factor(self, factor: float) -> None:
        """Wait so many times as long as planned from now on; waits under way as well."""
        if factor != self.factor:
            self.factor = factor
            self._changed.set()
            self._changed = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait for so long, as planned."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while (left_s := begun_s + self.factor * seconds - loop.time()) > 0:
            changed = self._changed
            try:
                async with asyncio.timeout(left_s):
                    await changed.wait()
            except TimeoutError:
                pass
