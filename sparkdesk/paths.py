"""Where SparkDesk keeps what it owns: one module, so that no other builds such a path by hand.

The one rule: a folder handed out here exists and is for its owner alone (0700). ``SPARKDESK_HOME`` moves everything
below one folder; tests set it, so that they never touch a person's own data.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP_NAME = "sparkdesk"
HOME_VARIABLE = "SPARKDESK_HOME"
_OWNER_ONLY = 0o700


def data_dir() -> Path:
    """Databases, SSH keys, pinned host keys and the state of simulated clusters."""
    return _own_folder("data", platformdirs.user_data_path(APP_NAME, appauthor=False))


def config_dir() -> Path:
    """Settings and recipes: what a person may edit and carry to another computer."""
    return _own_folder("config", platformdirs.user_config_path(APP_NAME, appauthor=False))


def state_dir() -> Path:
    """What is remembered between two starts but is no loss: window sizes, locks."""
    return _own_folder("state", platformdirs.user_state_path(APP_NAME, appauthor=False))


def cache_dir() -> Path:
    """What can be made again at any time."""
    return _own_folder("cache", platformdirs.user_cache_path(APP_NAME, appauthor=False))


def log_dir() -> Path:
    """The application's own logs and crash reports."""
    return _own_folder("logs", platformdirs.user_log_path(APP_NAME, appauthor=False))


def resources_dir() -> Path:
    """Icons, fonts, themes and tables that ship with the program; read-only.

    They lie beside the packages in a clone and in an installed wheel alike.

    Raises:
        FileNotFoundError: the installation is not whole.
    """
    folder = Path(__file__).resolve().parent.parent / "resources"
    if not folder.is_dir():
        raise FileNotFoundError(f"SparkDesk's resources are not at {folder}; install SparkDesk again.")
    return folder


def _own_folder(name: str, usual: Path) -> Path:
    """The folder of this kind, made when it is missing and closed to others when it is open.

    Raises:
        OSError: it cannot be made, for example on a full or read-only disk.
    """
    moved = os.environ.get(HOME_VARIABLE, "")
    folder = Path(moved).expanduser().absolute() / name if moved else usual
    folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        folder.chmod(_OWNER_ONLY)  # mkdir's mode passes the umask, and the folder may be older than this rule
    return folder
