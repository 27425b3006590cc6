"""Puts SparkDesk of this clone into the desktop's menu, and takes it out again.

    python packaging/desktop_entry.py install|uninstall

Its one rule: it writes two files below XDG_DATA_HOME and removes exactly those, and only when this clone wrote them.
Stdlib only, so that uninstalling works without the virtual environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent
CLONE = PACKAGING.parent


def data_home() -> Path:
    """The user's own share folder. Source: XDG Base Directory Specification 0.8."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share"


def entry_path() -> Path:
    """The desktop entry; its name is the app's desktop file name, so that Wayland finds the icon of the window."""
    return data_home() / "applications" / "sparkdesk.desktop"


def icon_path() -> Path:
    """The icon, in the theme every desktop falls back to."""
    return data_home() / "icons" / "hicolor" / "scalable" / "apps" / "sparkdesk.svg"


def quote_argument(argument: str) -> str:
    """One argument of an Exec line, quoted. Source: Desktop Entry Specification 1.5, "The Exec key".

    Raises:
        ValueError: the argument holds a control character, which no desktop entry can carry.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in argument):
        raise ValueError(f"a desktop entry cannot name the path {argument!r}: it holds a control character")
    escaped = "".join("\\" + character if character in '"`$\\' else character for character in argument)
    return '"' + escaped.replace("%", "%%") + '"'


def escape_value(value: str) -> str:
    """A value of type string: a backslash is written twice. Source: as above, "Possible value types"."""
    return value.replace("\\", "\\\\")


def entry_text(clone: Path, icon: Path) -> str:
    """The whole desktop entry of this clone.

    Raises:
        ValueError: a path cannot be written in a desktop entry.
    """
    command = f"{quote_argument(str(clone / '.venv' / 'bin' / 'python'))} -m sparkdesk run"
    text = (PACKAGING / "sparkdesk.desktop.in").read_text("utf-8")
    for name, value in {"EXEC": command, "ICON": str(icon), "CLONE": str(clone)}.items():
        text = text.replace(f"@{name}@", escape_value(value))
    return text


def install() -> None:
    """Writes both files.

    Raises:
        OSError: the share folder cannot be written.
        ValueError: the clone lies at a path that a desktop entry cannot name.
    """
    text = entry_text(CLONE, icon_path())
    for path, content in ((icon_path(), (PACKAGING / "sparkdesk.svg").read_text("utf-8")), (entry_path(), text)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        print(f"wrote {path}")
    refresh_menu()


def uninstall() -> None:
    """Removes both files, unless another clone owns them now.

    Raises:
        OSError: a file cannot be removed.
    """
    entry = entry_path()
    owner = f"X-SparkDesk-Clone={escape_value(str(CLONE))}\n"
    if entry.is_file() and owner not in entry.read_text("utf-8"):
        print(f"{entry} belongs to another clone of SparkDesk; left as it is")
        return
    for path in (entry, icon_path()):
        if path.is_file():
            path.unlink()
            print(f"removed {path}")
    refresh_menu()


def refresh_menu() -> None:
    """Tells the desktop at once; without the program the desktop finds out by itself, later."""
    program = shutil.which("update-desktop-database")
    if program is not None:
        subprocess.run([program, "-q", str(entry_path().parent)], check=False, timeout=30)


def main() -> int:
    """Runs the verb on the command line; 0 when it was done."""
    verbs = {"install": install, "uninstall": uninstall}
    verb = verbs.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if verb is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verb()
    except (OSError, ValueError) as error:
        print(f"SparkDesk: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
