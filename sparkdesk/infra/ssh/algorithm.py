"""What SparkDesk and a node may agree on to prove and to hide.

The one rule: a list of what is allowed. SHA-1, DSA, RSA below 2048 bits and certificates (nobody has told us an
authority) are not on it; Terrapin is met by asyncssh's strict key exchange. What this build of asyncssh lacks is left
out, because it refuses a name that it does not know.
"""

from __future__ import annotations

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.public_key import get_public_key_algs

MIN_RSA_BITS = 2048

HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


def _keep_known(wanted: tuple[str, ...], known: list[bytes]) -> list[str]:
    return [name for name in wanted if name.encode("ascii") in known]


KEY_EXCHANGES = _keep_known(
    (
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    ),
    get_kex_algs(),
)
CIPHERS = _keep_known(
    (
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    ),
    get_encryption_algs(),
)
MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"]
SIGNATURES = _keep_known(
    (*HOST_KEYS, "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"), get_public_key_algs()
)


def is_strong(key: asyncssh.SSHKey) -> bool:
    """Whether the key is of a kind and a length that may prove a node's identity."""
    kind = key.get_algorithm()
    if kind == "ssh-rsa":
        return int(getattr(key.pyca_key, "key_size", 0)) >= MIN_RSA_BITS
    return kind in HOST_KEYS


def order_host_keys(trusted: asyncssh.SSHKey | None) -> list[str]:
    """The host-key algorithms to ask for: the trusted key's own first, so that a node with several keys shows it."""
    if trusted is None:
        return list(HOST_KEYS)
    own = {name.decode("ascii") for name in trusted.sig_algorithms}
    return sorted(HOST_KEYS, key=lambda name: name not in own)
