"""Where the files of `resources/` lie for the face.

Rule: one place knows that `resources` stands beside `ui`, in a clone, an installed wheel and a bundle alike.
"""

from __future__ import annotations

import os.path
from typing import Final

# os.path, not pathlib: this runs before the first frame.
_ROOT: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "resources")


def resource_path(*parts: str) -> str:
    """Return the path of a bundled file; whether it exists is for the caller to see."""
    return os.path.join(_ROOT, *parts)
