"""Makes sure that SparkDesk's own folders are there before anything leans on them.

The one rule: a disk that refuses ends the start with a sentence, not with a traceback.
"""

from __future__ import annotations

from sparkdesk import paths
from sparkdesk.core.errors import SettingsError


def require_folders() -> None:
    """Make data, state and log folder. Raises SettingsError with the reason of the file system."""
    try:
        for make in (paths.data_dir, paths.state_dir, paths.log_dir):
            make()
    except OSError as error:
        raise SettingsError(
            f"SparkDesk cannot make its folder {error.filename}: {error.strerror}",
            remedy=f"Check its rights and the free space, or name another folder in {paths.HOME_VARIABLE}.",
        ) from error
