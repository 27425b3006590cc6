"""Small things that are remembered between two starts: the window's size, the theme, the last page.

A flat TOML file that a person may edit. The one rule: nothing in it can stop the program; what cannot be read is kept
aside under another name, and the last good copy is used. Keys that this version does not know stay as they are.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path

Value = str | int | float | bool
MAX_BYTES = 1 << 20


class PreferenceFile:
    """Values by dotted key. `problem` says in words why the file could not be read or written; "" is fine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problem = ""
        self._values = self._read()

    def get(self, key: str, default: object = None) -> object:
        """What is stored, or `default`."""
        return self._values.get(key, default)

    def set(self, key: str, value: object) -> None:
        """Store a value and write the file. What is not a plain value is refused with TypeError."""
        if not isinstance(value, Value):
            raise TypeError(f"{key}: a preference is a text, a number or a yes or no")
        if self._values.get(key) != value:
            self._values[key] = value
            self._write()

    def _read(self) -> dict[str, object]:
        good_copy = self._path.with_suffix(".last.toml")
        for path in (self._path, good_copy):
            try:
                text = path.read_bytes()
                if len(text) > MAX_BYTES:
                    raise ValueError("too large")
                return dict(tomllib.loads(text.decode("utf-8")))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problem = f"{path} cannot be read: {error.strerror}"
            except ValueError as error:
                kept = path.with_suffix(f".broken-{secrets.token_hex(3)}.toml")
                self.problem = f"{path.name} could not be understood ({error}); it is kept as {kept.name}"
                path.replace(kept)
        return {}

    def _write(self) -> None:
        import tomli_w

        text = tomli_w.dumps(self._values).encode()
        try:
            if self._path.exists():
                os.replace(self._path, self._path.with_suffix(".last.toml"))
            draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._path)
            self.problem = ""
        except OSError as error:
            self.problem = f"{self._path} cannot be written: {error.strerror}"
