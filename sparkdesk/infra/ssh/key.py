"""Keys: what this computer signs in with, and how a host key is written and compared.

The one rule: a private key of ours is 0600 from the moment its file exists, and one that others can read is not used.
asyncssh's own `write_private_key` leaves 0644, which OpenSSH refuses.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKeyPair, load_keypairs

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.cluster.node import SignIn as How
from sparkdesk.core.errors import AuthFailed, KeyLocked, SettingsError
from sparkdesk.infra.ssh.error import FOREIGN

MAX_OFFERED_KEYS = 5
"""sshd ends a connection at the sixth refused key (Source: sshd_config.5, MaxAuthTries)."""

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
AGENT_TIMEOUT_S = 3.0
_ANOTHER_KEY = "Sign in with the password, or add the machine again: another key can be chosen or set up there."
_UNUSABLE: tuple[type[Exception], ...] = (AuthFailed, *FOREIGN)


@dataclass
class SignIn:
    """What will be offered to one node, in order, and what became of it (`tried`: for the error's details)."""

    pairs: list[SSHKeyPair] = field(default_factory=list)
    password: str | None = field(default=None, repr=False)
    may_use_usual: bool = False
    """Whether the agent's keys and the user's usual ones are offered after `pairs`."""
    notes: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    """The methods that the node offered."""
    obstacle: AuthFailed | None = None
    """Why the key of this application for the node could not be offered."""
    agent: asyncssh.SSHAgentClient | None = None
    _offered_keys: set[bytes] = field(default_factory=set)

    async def next_pair(self) -> SSHKeyPair | None:
        """The next key to offer, or None. The agent is asked only when what comes first was refused."""
        while True:
            if not self.pairs and self.may_use_usual:
                self.may_use_usual = False
                await _add_usual_keys(self)
            if not self.pairs:
                return None
            pair = self.pairs.pop(0)
            if pair.public_data in self._offered_keys:
                continue
            if len(self._offered_keys) >= MAX_OFFERED_KEYS:
                self.notes.append(f"{len(self.pairs) + 1} more keys were not offered")
                self.pairs.clear()
                return None
            self._offered_keys.add(pair.public_data)
            self.tried.append(f"key {name_pair(pair)}")
            return pair

    def next_password(self, method: str) -> str | None:
        """The password, once: a second try with the same word only counts against us."""
        password, self.password = self.password, None
        if password is not None:
            self.tried.append(method)
        return password

    def explain(self) -> str:
        """What was tried and what the node offers, for the details of an error."""
        lines = [
            f"tried: {', '.join(self.tried) or 'nothing'}",
            f"the node offers: {', '.join(dict.fromkeys(self.offered)) or 'nothing that SparkDesk knows'}",
        ]
        return "\n".join([*lines, *self.notes])

    def close(self) -> None:
        """Let the agent go."""
        if self.agent is not None:
            self.agent.close()
            self.agent = None


async def gather_sign_in(record: NodeRecord, password: str | None, passphrase: str | None) -> SignIn:
    """What one attempt offers, by `record.sign_in`.

    Raises KeyLocked, and AuthFailed when the one chosen key is missing, unreadable, or open to others.
    """
    match record.sign_in:
        case How.PASSWORD:
            return SignIn(password=password)
        case How.KEY:
            if not record.key_path:
                raise AuthFailed("No key file is chosen", remedy="Choose one, or sign in another way.")
            own = await asyncio.to_thread(_read_own_key, record.key_path, passphrase)
            return SignIn(pairs=list(own), password=password)
        case How.AGENT:
            sign_in = SignIn(password=password)
            await _add_agent_keys(sign_in)
            return sign_in
        case How.AUTOMATIC:
            sign_in = SignIn(password=password, may_use_usual=True)
            if record.key_path:
                try:
                    sign_in.pairs += await asyncio.to_thread(_read_own_key, record.key_path, passphrase)
                except AuthFailed as error:
                    sign_in.obstacle = error
                    sign_in.notes.append(error.message)
            return sign_in


async def _add_usual_keys(sign_in: SignIn) -> None:
    await _add_agent_keys(sign_in)
    pairs, notes = await asyncio.to_thread(_read_default_keys, Path.home() / ".ssh")
    sign_in.pairs += pairs
    sign_in.notes += notes


async def _add_agent_keys(sign_in: SignIn) -> None:
    path = os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        sign_in.notes.append("no SSH agent runs on this computer")
        return
    try:
        async with asyncio.timeout(AGENT_TIMEOUT_S):
            sign_in.agent = await asyncssh.connect_agent(path)
            sign_in.pairs += await sign_in.agent.get_keys()
    except FOREIGN as error:
        sign_in.notes.append(f"the SSH agent did not answer: {error}"[:200])


def _read_own_key(key_path: str, passphrase: str | None) -> Sequence[SSHKeyPair]:
    path = Path(key_path).expanduser()
    check_private(path)
    try:
        return load_keypairs(str(path), passphrase)
    except asyncssh.KeyEncryptionError as error:
        raise KeyLocked(
            f"The passphrase does not open the key {path}", remedy="Enter it again, or choose another key."
        ) from error
    except asyncssh.KeyImportError as error:
        if passphrase is None and _is_locked(error):
            raise KeyLocked(f"The key {path} is locked", remedy="Enter its passphrase.") from error
        raise _unreadable(path, error) from error
    except FOREIGN as error:
        raise _unreadable(path, error) from error


def _is_locked(error: asyncssh.KeyImportError) -> bool:
    return str(error).startswith("Passphrase must be specified")


def _unreadable(path: Path, error: Exception) -> AuthFailed:
    return AuthFailed(f"The key {path} cannot be read", remedy=_ANOTHER_KEY, detail=str(error)[:400])


def check_private(path: Path) -> None:
    """Raises AuthFailed when the private key is missing or others may read it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise AuthFailed(
            f"The key {path} is missing on this computer",
            remedy=_ANOTHER_KEY,
            detail=str(error),
        ) from error
    if os.name == "posix" and mode & 0o077:
        raise AuthFailed(f"The key {path} is open to other users", remedy=f"Close it: chmod 600 {path}")


def _read_default_keys(folder: Path) -> tuple[list[SSHKeyPair], list[str]]:
    pairs: list[SSHKeyPair] = []
    notes: list[str] = []
    for name in DEFAULT_KEYS:
        path = folder / name
        try:
            if not path.is_file():
                continue
            check_private(path)
            pairs += load_keypairs(str(path))
        except asyncssh.KeyImportError:
            notes.append(f"{path} needs a passphrase: add it to the SSH agent")
        except _UNUSABLE as error:
            notes.append(f"{path} was not used: {error}"[:200])
    return pairs, notes


def name_pair(pair: SSHKeyPair) -> str:
    """A key pair for messages: its kind, its fingerprint, and its comment."""
    kind = pair.get_algorithm()
    digest = base64.b64encode(hashlib.sha256(pair.public_data).digest()).rstrip(b"=").decode("ascii")
    comment = (pair.get_comment_bytes() or b"").decode("utf-8", "replace")
    return f"{kind} SHA256:{digest} {comment}".strip()


def write_host_key(key: asyncssh.SSHKey) -> str:
    """One OpenSSH public-key line without comment."""
    return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])


def read_host_key(line: str) -> asyncssh.SSHKey:
    """The key of such a line. Raises ValueError (asyncssh's KeyImportError) when it is not one."""
    return asyncssh.import_public_key(line)


def fingerprint_of(line: str) -> str:
    """The SHA256 fingerprint of a host key's line, as ssh-keygen -lf prints it; "not readable" for anything else."""
    try:
        return str(read_host_key(line).get_fingerprint())
    except ValueError:
        return "not readable"


def ensure_key(path: Path, *, comment: str = "sparkdesk") -> str:
    """Make an ed25519 key at `path` unless there is one; gives its public line, for the node's authorized_keys.

    Raises AuthFailed when the key that is there cannot be used, SettingsError when none can be written.
    """
    try:
        if not path.exists():
            _write_new_key(path, comment)
    except OSError as error:
        raise SettingsError(
            f"No key can be written to {path}", remedy="Check the folder and the free space.", detail=str(error)
        ) from error
    check_private(path)
    try:
        key = asyncssh.read_private_key(str(path))
    except FOREIGN as error:
        raise AuthFailed(
            f"The key {path} cannot be read", remedy="Move it away; SparkDesk then makes a new one.", detail=str(error)
        ) from error
    return f"{write_host_key(key)} {comment}"


def _write_new_key(path: Path, comment: str) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another start of this program was quicker: its key counts
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
