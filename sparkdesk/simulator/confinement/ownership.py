"""Give the folder of a node to the ids that the node's users have on this computer.

The one rule: only what lies in that folder is changed, links themselves and never what they point to.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparkdesk.simulator.confinement.namespace import ID_COUNT


def give_tree(folder: Path, first_id: int) -> None:
    """Make the folder; what is in it belongs to `first_id` + the id that the node knows. As root, outside.

    A folder of an earlier version, or of a node that had another range, is changed over. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder.lstat().st_uid == first_id:
        return
    for _path, folders, files, number in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            found = os.stat(name, dir_fd=number, follow_symlinks=False)
            user, group = first_id + found.st_uid % ID_COUNT, first_id + found.st_gid % ID_COUNT
            os.chown(name, user, group, dir_fd=number, follow_symlinks=False)
    os.chown(folder, first_id, first_id, follow_symlinks=False)  # last: whoever was cut off begins again
