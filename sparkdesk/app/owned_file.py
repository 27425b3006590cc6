"""Files that a person asks for: reports, charts' values and pictures.

The one rule: they are for the person's own eyes first; nobody else of this computer may read them.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparkdesk.core.errors import SettingsError


def write_for_owner(path: Path, data: bytes) -> None:
    """Write or overwrite the file. Raises SettingsError."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            # A file that was there keeps the rights it had.
            path.chmod(0o600)
            file.write(data)
    except OSError as error:
        raise SettingsError(
            f"{path} could not be written", remedy="Choose another folder.", detail=str(error)
        ) from error
