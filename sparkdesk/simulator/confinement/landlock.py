"""Where namespaces are not allowed: commands may write only into the node's own folder and read only the system.

The one rule: an allow-list, put on each command before it starts and never taken off (Landlock, Linux 5.13). A kernel
without it runs no commands at all: a simulated node never gets a free hand on this computer. /proc is open as a whole,
for its folders come and go with processes; what is in them the kernel guards by user (see privilege.py).
Source of the numbers: linux/landlock.h.
"""

from __future__ import annotations

import os

from sparkdesk.simulator.confinement import syscall as sc

_READ = 0x1 | 0x4 | 0x8  # execute, read a file, read a folder
_WRITE = 0x2
_ALL_V1 = 0x1FFF  # the thirteen rights of version 1
_FILE_ONLY = _READ & ~0x8 | _WRITE
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc")
_ETC = (
    "alternatives", "bash.bashrc", "group", "host.conf", "hosts", "inputrc", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "locale.alias", "localtime", "nsswitch.conf", "passwd", "profile", "protocols", "resolv.conf",
    "services", "ssl/openssl.cnf", "terminfo",
)  # fmt: skip
_DEVICES = ("/dev/random", "/dev/urandom")
_WRITABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/shm", "/dev/ptmx", "/dev/pts")


def check() -> None:
    """Raise OSError when this kernel has no Landlock."""
    sc.landlock_version()


def restrict(writable: list[str], readable: list[str]) -> None:
    """Put this process under the rules: read and run the system and `readable`, write below `writable`."""
    rules = sc.landlock_ruleset(_ALL_V1)
    for path in (*_SYSTEM, *(f"/etc/{name}" for name in _ETC), *_DEVICES, *readable):
        _allow(rules, path, _READ)
    for path in (*writable, *_WRITABLE_DEVICES):
        _allow(rules, path, _ALL_V1)
    sc.landlock_restrict(rules)
    os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    if os.path.exists(path):
        sc.landlock_allow(rules, path, access if os.path.isdir(path) else access & _FILE_ONLY)
