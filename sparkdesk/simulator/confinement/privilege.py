"""Where namespaces are not allowed: a node's processes are never root, whoever starts the simulator.

The one rule: Landlock governs files by path only. The clock, the host name, signals to processes, and the modes and
owners of files are kept safe by being an ordinary user without one capability; so root is left before anything else.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from sparkdesk.simulator.confinement import syscall as sc

NOBODY_ID = 65534  # Source: linux/highuid.h DEFAULT_OVERFLOWUID
REMEDY = "run it as an ordinary user"
_MAX_ID = 2**32 - 2  # the largest is "no change" for setresuid
_MAX_CAPABILITIES = 64
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, NET_ADMIN, NET_RAW (all of the node's own
# user and network namespaces). Source: linux/capability.h
_CAP_NET_ADMIN = 12
_ROOT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 10, 12, 13)


def plain_user() -> tuple[int, int] | None:
    """(user, group) that root must become for a node's processes; None for one who is not root.

    Who came by sudo becomes themselves again, for their files are theirs to read; else it is `nobody`.
    """
    if os.geteuid() != 0 and os.getuid() != 0:
        return None
    user = _id_of("SUDO_UID")
    if user is None:
        return NOBODY_ID, NOBODY_ID
    return user, _id_of("SUDO_GID") or user


def _id_of(name: str) -> int | None:
    """An id of the environment; None for root's and for what is no id."""
    text = os.environ.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return number if 0 < (number := int(text)) <= _MAX_ID else None


def give(folder: str, user: int, group: int) -> None:
    """Make a folder that belongs to this user. One that is there must be theirs: nothing below it is ever changed.

    Raises OSError otherwise.
    """
    try:
        os.mkdir(folder, 0o755)
    except FileExistsError:
        if os.lstat(folder).st_uid != user or os.path.islink(folder):
            raise OSError(f"{folder} is not user {user}'s; remove it") from None
        return
    os.chown(folder, user, group, follow_symlinks=False)


def leave_root(user: int, group: int) -> None:
    """Become this user for good, with no group and no capability. Raises OSError with a remedy when that fails."""
    if user == 0 or group == 0:
        raise OSError(f"commands of a node must not be root; {REMEDY}")
    try:
        _empty_bounding_set()
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    except OSError as error:
        raise OSError(f"root cannot be left ({error.strerror}); {REMEDY}") from error
    leave_capabilities()


def leave_capabilities() -> None:
    """Give up every capability, and any way to gain one by starting a program.

    Raises OSError when this process is root or keeps a right all the same.
    """
    sc.set_process_option(sc.PR_SET_NO_NEW_PRIVS, 1)
    sc.set_process_option(sc.PR_CAP_AMBIENT, sc.PR_CAP_AMBIENT_CLEAR_ALL)
    sc.drop_capabilities()
    if 0 in os.getresuid():
        raise OSError(f"commands of a node must not be root; {REMEDY}")


def become_small_root() -> None:
    """What `sudo` gives in a confined node: root of the node, but for what could undo its confinement.

    Without CAP_SYS_ADMIN no read-only mount can be made writable and no namespace entered, without CAP_SYS_PTRACE the
    resident cannot be looked into, and clock, host name and power stay out of reach in any case. The caller is root of
    the node. Raises OSError.
    """
    sc.set_process_option(sc.PR_SET_NO_NEW_PRIVS, 1)
    _empty_bounding_set(but=_ROOT_CAPABILITIES)
    sc.keep_capabilities(sum(1 << number for number in _ROOT_CAPABILITIES))


def keep_network_rights() -> None:
    """Of root's rights keep the one to set up networks. Raises OSError."""
    sc.set_process_option(sc.PR_SET_NO_NEW_PRIVS, 1)
    sc.keep_capabilities(1 << _CAP_NET_ADMIN)


def _empty_bounding_set(but: tuple[int, ...] = ()) -> None:
    for number in range(_MAX_CAPABILITIES):
        if number in but:
            continue
        try:
            sc.set_process_option(sc.PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the kernel has no more of them
                raise
            return


def check_reach(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Raise OSError, with what to do, when this user cannot use what the node's commands need."""
    for mode, paths in ((os.R_OK, readable), (os.R_OK | os.W_OK | os.X_OK, writable)):
        for path in paths:
            if not os.access(path, mode):
                raise OSError(
                    f"unconfined commands are not root but user {os.getuid()}, who may not use {path}; {REMEDY}, or "
                    "use a Python and a --state folder that every user may enter"
                )


def hide() -> None:
    """No command may look into this process, take its open files or steer it, though the user is the same."""
    with contextlib.suppress(OSError):
        sc.set_process_option(sc.PR_SET_DUMPABLE, 0)
