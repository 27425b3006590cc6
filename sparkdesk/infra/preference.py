"""Small things that are remembered between two starts: the window's size, the theme, the last page.

A flat JSON file, read before the first frame, hence the standard library's cheapest reader. The one rule: nothing in
it can stop the program; what cannot be read is kept aside under another name, and the last good copy is used. Keys
that this version does not know stay as they are. Until the program knows that it is the only one, nothing is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

Value = str | int | float | bool
MAX_BYTES = 1 << 20


class PreferenceFile:
    """Values by dotted key. `problem` says in words why the file could not be read or written; "" is fine.

    With `is_held` changes stay in memory until `allow_writes`. `on_problem` is told when writing begins to fail.
    """

    def __init__(self, path: Path, *, is_held: bool = False) -> None:
        self._path = path
        self._last_good = path.with_suffix(".last.json")
        self._is_held = is_held
        self.problem = ""
        self.on_problem: Callable[[str], None] | None = None
        self._values = self._read()
        self._written = dict(self._values)

    def get(self, key: str, default: object = None) -> object:
        """What is stored, or `default`."""
        return self._values.get(key, default)

    def set(self, key: str, value: object) -> None:
        """Store a value and write the file. Raises TypeError for what is not a plain value."""
        if not isinstance(value, Value):
            raise TypeError(f"{key}: a preference is a text, a number or a yes or no")
        if self._values.get(key) != value:
            self._values[key] = value
            if not self._is_held:
                self._write()

    def allow_writes(self) -> None:
        """From now on every change is written, and first what has changed already."""
        self._is_held = False
        if self._values != self._written:
            self._write()

    def _read(self) -> dict[str, object]:
        for path in (self._path, self._last_good):
            try:
                text = path.read_bytes()
                values = json.loads(text) if len(text) <= MAX_BYTES else None
                if not isinstance(values, dict):
                    raise ValueError("not an object, or too large")
                return values
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problem = f"{path} cannot be read: {error.strerror}"
            except (ValueError, RecursionError) as error:
                self._keep_aside(path, str(error))
        return {}

    def _keep_aside(self, path: Path, reason: str) -> None:
        kept = path.with_suffix(f".broken-{os.urandom(3).hex()}.json")
        self.problem = f"{path.name} could not be understood ({reason[:200]}); it is kept as {kept.name}"
        try:
            path.replace(kept)
        except OSError as error:
            self.problem = f"{path.name} could not be understood and cannot be kept aside: {error.strerror}"

    def _write(self) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.urandom(4).hex()}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._values, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            if self._path.exists():
                os.replace(self._path, self._last_good)
            os.replace(draft, self._path)
            self.problem = ""
            self._written = dict(self._values)
        except OSError as error:
            was_fine = not self.problem
            self.problem = f"{self._path} cannot be written: {error.strerror}"
            if was_fine and self.on_problem is not None:
                self.on_problem(self.problem)
