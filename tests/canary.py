"""Looks for secrets where none may be: in command lines, environments, files, databases, logs and reports.

The one rule: a search counts only if it finds what is planted; the tests that use this one plant in every place.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncssh

MAX_FILE_BYTES = 32 << 20
LOOK_EVERY_S = 0.02
MIN_LINE_CHARS = 24


def new_secret() -> str:
    """Random, and with signs in it that change when they are written another way."""
    return f'{secrets.token_hex(8)}&/"=é {secrets.token_hex(4)}'


def new_word() -> str:
    """Random, one word of plain letters: what a key for a server is."""
    return f"sk-{secrets.token_hex(16)}+/="


def new_serial() -> str:
    """A serial number as a maker writes it."""
    return f"1983{secrets.randbelow(10**12):012}"


def forms_of(secret: str | bytes) -> set[bytes]:
    """How the secret may be written. Base64 is cut to what does not depend on its place in a longer text."""
    raw = secret.encode() if isinstance(secret, str) else secret
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            text = encode(b"\0" * shift + raw)
            forms.add(text[4 if shift else 0 : len(text) - 4])
    if isinstance(secret, str):
        forms |= {urllib.parse.quote(secret, safe=safe).encode() for safe in ("", "/")}
        forms |= {urllib.parse.quote_plus(secret).encode(), secret.encode("utf-16-le"), secret.split()[0].encode()}
        forms |= {json.dumps(secret)[1:-1].encode(), repr(secret)[1:-1].encode()}
    return forms


def forms_of_key(path: Path, passphrase: str | None = None) -> set[bytes]:
    """How an ed25519 private key may be written: its 32 secret bytes, and the lines of its file behind the header."""
    key = asyncssh.read_private_key(str(path), passphrase)
    seed: bytes = key.pyca_key.private_bytes_raw()
    assert len(seed) == 32
    lines = path.read_bytes().splitlines()[2:-1]
    return forms_of(seed) | {line for line in lines if len(line) >= MIN_LINE_CHARS}


class Search:
    """Looks for secrets, by name. `hits` tells which was found where, without the secret itself."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._forms = {name: forms_of(secret) for name, secret in given.items()}
        self.hits: set[tuple[str, str]] = set()
        self.looked_at = 0

    def add(self, name: str, forms: set[bytes]) -> None:
        """A secret that came to be only now."""
        self._forms[name] = forms

    def look(self, where: str, data: bytes) -> None:
        """In these bytes."""
        self.looked_at += 1
        for name, forms in tuple(self._forms.items()):
            if any(form in data for form in forms):
                self.hits.add((name, where))

    def look_in_processes(self) -> None:
        """The command line and the environment of every process that we may look into, those of nodes in namespaces
        of their own among them."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            for name in ("cmdline", "environ"):
                try:
                    self.look(f"{name} of a process", (folder / name).read_bytes())
                except OSError:
                    continue  # gone, or another user's

    def look_in_files(self, *folders: Path, but: Collection[Path] = (), since_s: float = 0.0) -> None:
        """Every file below, `but` these; `since_s`: not those that were last written before (Unix time)."""
        for folder in folders:
            for path in folder.rglob("*"):
                try:
                    found = path.lstat()
                    if path.is_symlink() or not path.is_file() or path in but or found.st_mtime < since_s:
                        continue
                    if found.st_size < MAX_FILE_BYTES:
                        self.look(str(path), path.read_bytes())
                except FileNotFoundError:
                    continue

    @contextmanager
    def watching_processes(self) -> Iterator[None]:
        """Look at the processes again and again, by a thread of its own."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.is_set():
                self.look_in_processes()
                time.sleep(LOOK_EVERY_S)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
