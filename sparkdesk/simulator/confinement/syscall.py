"""The few Linux calls that Python has no name for before 3.12: namespaces, mounts, Landlock.

The one rule: every call here raises OSError with the kernel's errno; none decides anything.
Numbers and flags. Source: linux/sched.h, linux/mount.h, linux/prctl.h, linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
AT_FDCWD = -100
AT_RECURSIVE = 0x8000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522  # Source: linux/capability.h

# These three numbers are the same on x86_64 and aarch64. Source: asm-generic/unistd.h.
_SYS_MOUNT_SETATTR = 442
_SYS_LANDLOCK_CREATE_RULESET = 444
_SYS_LANDLOCK_ADD_RULE = 445
_SYS_LANDLOCK_RESTRICT_SELF = 446
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _LandlockPath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _check(result: int, what: str) -> int:
    """The result of a call, or the error it left behind."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter_namespace(number: int, kind: int) -> None:
    """Enter the namespace behind this open file of /proc/PID/ns."""
    _check(_libc.setns(ctypes.c_int(number), ctypes.c_int(kind)), "setns")


def set_process_option(option: int, value: int) -> None:
    """prctl with one argument."""
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def drop_capabilities() -> None:
    """No effective, permitted or inheritable capability is left to this process."""
    keep_capabilities(0)


def keep_capabilities(mask: int) -> None:
    """capset(2): only these are left, as effective and permitted; bit n is capability n (below 32)."""
    head = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask)
    _check(_libc.capset(ctypes.byref(head), ctypes.byref(sets)), "capset")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    )
    _check(result, f"mount {kind or source} on {target}")


def unmount(target: str, flags: int) -> None:
    """umount2(2)."""
    _check(_libc.umount2(target.encode(), ctypes.c_int(flags)), f"unmount {target}")


def set_mount_attributes(target: str, attributes: int) -> None:
    """Add these attributes to a mount and to all below it, leaving the others as they are (Linux 5.12)."""
    wanted = _MountAttr(attr_set=attributes)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(AT_FDCWD),
        target.encode(),
        ctypes.c_uint(AT_RECURSIVE),
        ctypes.byref(wanted),
        ctypes.c_size_t(ctypes.sizeof(wanted)),
    )
    _check(int(result), f"mount_setattr {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root and keep the old one at `old`."""
    machine = os.uname().machine
    if machine not in _SYS_PIVOT_ROOT:
        raise OSError(38, f"pivot_root: its number on {machine} is not known here")
    result = _libc.syscall(ctypes.c_long(_SYS_PIVOT_ROOT[machine]), new.encode(), old.encode())
    _check(int(result), "pivot_root")


def set_host_name(name: str) -> None:
    """sethostname(2): the name in this UTS namespace."""
    data = name.encode()
    _check(_libc.sethostname(data, ctypes.c_size_t(len(data))), "sethostname")


def landlock_version() -> int:
    """Which version of Landlock the kernel offers. Raises OSError when it offers none."""
    number = ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET)
    return _check(int(_libc.syscall(number, None, ctypes.c_size_t(0), ctypes.c_uint(1))), "landlock")


def landlock_ruleset(handled_access: int) -> int:
    """A new set of rules that denies these accesses to files; an open file."""
    handled = ctypes.c_uint64(handled_access)
    number = ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET)
    result = _libc.syscall(number, ctypes.byref(handled), ctypes.c_size_t(8), ctypes.c_uint(0))
    return _check(int(result), "landlock_create_ruleset")


def landlock_allow(ruleset: int, path: str, access: int) -> None:
    """Allow these accesses below this path."""
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _LandlockPath(allowed_access=access, parent_fd=parent)
        number = ctypes.c_long(_SYS_LANDLOCK_ADD_RULE)
        result = _libc.syscall(number, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint(0))
        _check(int(result), f"landlock_add_rule {path}")
    finally:
        os.close(parent)


def landlock_restrict(ruleset: int) -> None:
    """Put this process and all it starts under the rules, for good. Needs PR_SET_NO_NEW_PRIVS first."""
    number = ctypes.c_long(_SYS_LANDLOCK_RESTRICT_SELF)
    _check(int(_libc.syscall(number, ctypes.c_int(ruleset), ctypes.c_uint(0))), "landlock_restrict_self")
