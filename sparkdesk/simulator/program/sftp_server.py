"""File transfer on a node: an SFTP server (version 3) on standard input and output, run inside the node as its user.

Why not the host's sftp-server: it is not always installed. The one rule: it does what the user of the node may do, by
the kernel's own checks, and nothing else. Source: draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL file.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
import time
from collections.abc import Callable

_VERSION = 3
_MAX_PACKET_BYTES = 256 * 1024
_MAX_HANDLES = 100
_READ, _WRITE, _APPEND, _CREATE, _TRUNCATE, _EXCLUSIVE = 1, 2, 4, 8, 16, 32
_SIZE, _OWNER, _MODE, _TIMES = 1, 2, 4, 8
_OK, _EOF, _NO_FILE, _DENIED, _FAILURE, _BAD, _UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_EXTENSIONS = ((b"posix-rename@openssh.com", b"1"), (b"fsync@openssh.com", b"1"), (b"hardlink@openssh.com", b"1"))


class Fields:
    """Takes the parts of a packet one after another; raises ValueError where it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise ValueError("a packet is too short")
        self._at += count
        return part

    def number(self) -> int:
        """Four bytes."""
        return int.from_bytes(self.take(4), "big")

    def long(self) -> int:
        """Eight bytes."""
        return int.from_bytes(self.take(8), "big")

    def text(self) -> bytes:
        """A string with its length before it."""
        return self.take(self.number())

    def attributes(self) -> dict[str, int]:
        """Those attributes of a file that are given."""
        flags = self.number()
        found: dict[str, int] = {}
        if flags & _SIZE:
            found["size"] = self.long()
        if flags & _OWNER:
            found["user"], found["group"] = self.number(), self.number()
        if flags & _MODE:
            found["mode"] = stat.S_IMODE(self.number())
        if flags & _TIMES:
            found["accessed"], found["changed"] = self.number(), self.number()
        return found


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _pack_attributes(info: os.stat_result) -> bytes:
    return struct.pack(
        ">IQIIIII",
        _SIZE | _OWNER | _MODE | _TIMES,
        info.st_size,
        info.st_uid,
        info.st_gid,
        info.st_mode,
        int(info.st_atime) & 0xFFFFFFFF,
        int(info.st_mtime) & 0xFFFFFFFF,
    )


def _long_name(name: bytes, info: os.stat_result) -> bytes:
    """A line as `ls -l` shows it; version 3 has no other place for it."""
    when = time.strftime("%b %e %H:%M", time.localtime(info.st_mtime))
    owner = f"{info.st_uid:<8} {info.st_gid:<8}"
    head = f"{stat.filemode(info.st_mode)} {info.st_nlink:>4} {owner} {info.st_size:>8} {when} "
    return head.encode() + name


class Server:
    """One session. Each method of the table takes the fields of a request and gives (kind, body) of the answer."""

    def __init__(self) -> None:
        self._files: dict[bytes, int] = {}
        self._folders: dict[bytes, list[bytes]] = {}
        self._paths: dict[bytes, bytes] = {}
        self._count = 0
        self._table: dict[int, Callable[[Fields], tuple[int, bytes]]] = {
            3: self._open,
            4: self._close,
            5: self._read,
            6: self._write,
            7: lambda fields: (_ATTRS, _pack_attributes(os.lstat(fields.text()))),
            8: lambda fields: (_ATTRS, _pack_attributes(os.fstat(self._file(fields)))),
            9: lambda fields: self._set(fields.text(), fields),
            10: lambda fields: self._set(self._file(fields), fields),
            11: self._open_folder,
            12: self._read_folder,
            13: lambda fields: _done(os.unlink, fields.text()),
            14: self._make_folder,
            15: lambda fields: _done(os.rmdir, fields.text()),
            16: self._real_path,
            17: lambda fields: (_ATTRS, _pack_attributes(os.stat(fields.text()))),
            18: self._rename,
            19: lambda fields: _name(os.readlink(fields.text())),
            20: self._symlink,
            200: self._extended,
        }

    def answer(self, kind: int, body: bytes) -> bytes:
        """The answer to one packet."""
        fields = Fields(body)
        if kind == 1:
            return struct.pack(">BI", 2, _VERSION) + b"".join(_text(a) + _text(b) for a, b in _EXTENSIONS)
        number = fields.number()
        try:
            action = self._table.get(kind)
            reply = action(fields) if action else _status(_UNSUPPORTED, "not supported")
        except FileNotFoundError as error:
            reply = _status(_NO_FILE, error.strerror or "no such file")
        except EOFError:
            reply = _status(_EOF, "end of file")
        except OSError as error:
            code = _DENIED if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else _FAILURE
            reply = _status(code, error.strerror or "failure")
        except ValueError as error:
            reply = _status(_BAD, str(error))
        return struct.pack(">BI", reply[0], number) + reply[1]

    def _file(self, fields: Fields) -> int:
        number = self._files.get(fields.text())
        if number is None:
            raise ValueError("no such handle")
        return number

    def _new_handle(self) -> bytes:
        if len(self._files) + len(self._folders) >= _MAX_HANDLES:
            raise OSError(errno.EMFILE, "too many open files")
        self._count += 1
        return struct.pack(">I", self._count)

    def _open(self, fields: Fields) -> tuple[int, bytes]:
        path, flags, attributes = fields.text(), fields.number(), fields.attributes()
        ways = {_READ: os.O_RDONLY, _WRITE: os.O_WRONLY, _READ | _WRITE: os.O_RDWR}
        mode = ways.get(flags & (_READ | _WRITE), os.O_RDONLY) | os.O_CLOEXEC
        for flag, bit in ((_CREATE, os.O_CREAT), (_TRUNCATE, os.O_TRUNC), (_EXCLUSIVE, os.O_EXCL)):
            mode |= bit if flags & flag else 0
        mode |= os.O_APPEND if flags & _APPEND else 0
        handle = self._new_handle()
        self._files[handle] = os.open(path, mode, attributes.get("mode", 0o666))
        return _HANDLE, _text(handle)

    def _close(self, fields: Fields) -> tuple[int, bytes]:
        handle = fields.text()
        if handle in self._files:
            os.close(self._files.pop(handle))
        elif handle in self._folders:
            del self._folders[handle], self._paths[handle]
        else:
            raise ValueError("no such handle")
        return _status(_OK, "")

    def _read(self, fields: Fields) -> tuple[int, bytes]:
        number, offset, count = self._file(fields), fields.long(), fields.number()
        data = os.pread(number, min(count, _MAX_PACKET_BYTES - 1024), offset)
        if not data and count:
            raise EOFError
        return _DATA, _text(data)

    def _write(self, fields: Fields) -> tuple[int, bytes]:
        number, offset, data = self._file(fields), fields.long(), fields.text()
        while data:
            count = os.pwrite(number, data, offset)
            data, offset = data[count:], offset + count
        return _status(_OK, "")

    def _set(self, target: bytes | int, fields: Fields) -> tuple[int, bytes]:
        wanted = fields.attributes()
        if "size" in wanted:
            os.truncate(target, wanted["size"])
        if "mode" in wanted:
            os.chmod(target, wanted["mode"])
        if "changed" in wanted:
            os.utime(target, (wanted["accessed"], wanted["changed"]))
        if "user" in wanted:
            os.chown(target, wanted["user"], wanted["group"])
        return _status(_OK, "")

    def _open_folder(self, fields: Fields) -> tuple[int, bytes]:
        path = fields.text()
        names = [b".", b"..", *sorted(os.listdir(path))]
        handle = self._new_handle()
        self._folders[handle], self._paths[handle] = names, path
        return _HANDLE, _text(handle)

    def _read_folder(self, fields: Fields) -> tuple[int, bytes]:
        handle = fields.text()
        if handle not in self._folders:
            raise ValueError("no such handle")
        names, self._folders[handle] = self._folders[handle][:100], self._folders[handle][100:]
        if not names:
            raise EOFError
        rows = []
        for name in names:
            try:
                info = os.lstat(os.path.join(self._paths[handle], name))
            except FileNotFoundError:
                continue
            rows.append(_text(name) + _text(_long_name(name, info)) + _pack_attributes(info))
        return _NAME, struct.pack(">I", len(rows)) + b"".join(rows)

    def _make_folder(self, fields: Fields) -> tuple[int, bytes]:
        path, attributes = fields.text(), fields.attributes()
        return _done(os.mkdir, path, attributes.get("mode", 0o777))

    def _real_path(self, fields: Fields) -> tuple[int, bytes]:
        return _name(os.path.realpath(fields.text() or b"."))

    def _rename(self, fields: Fields) -> tuple[int, bytes]:
        """As OpenSSH: never over a file that is there; for that there is posix-rename."""
        old, new = fields.text(), fields.text()
        if os.path.lexists(new):
            raise OSError(errno.EEXIST, "the target exists")
        return _done(os.rename, old, new)

    def _symlink(self, fields: Fields) -> tuple[int, bytes]:
        """OpenSSH and all who follow it send the target first."""
        target, link = fields.text(), fields.text()
        return _done(os.symlink, target, link)

    def _extended(self, fields: Fields) -> tuple[int, bytes]:
        name = fields.text()
        if name == b"posix-rename@openssh.com":
            old, new = fields.text(), fields.text()
            return _done(os.replace, old, new)
        if name == b"hardlink@openssh.com":
            old, new = fields.text(), fields.text()
            return _done(os.link, old, new)
        if name == b"fsync@openssh.com":
            return _done(os.fsync, self._file(fields))
        return _status(_UNSUPPORTED, "not supported")


def _status(code: int, words: str) -> tuple[int, bytes]:
    return _STATUS, struct.pack(">I", code) + _text(words.encode("utf-8", "replace")) + _text(b"")


def _done(action: Callable[..., None], *arguments: bytes | int) -> tuple[int, bytes]:
    """Do it; the answer when it raised nothing."""
    action(*arguments)
    return _status(_OK, "")


def _name(path: bytes) -> tuple[int, bytes]:
    return _NAME, struct.pack(">I", 1) + _text(path) + _text(path) + struct.pack(">I", 0)


def main(arguments: list[str]) -> int:
    """Answer packets until the end of input."""
    server = Server()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while len(head := stdin.read(4)) == 4:
        size = int.from_bytes(head, "big")
        if not 0 < size <= _MAX_PACKET_BYTES + 1024:
            return 1
        packet = stdin.read(size)
        if len(packet) < size:
            return 1
        answer = server.answer(packet[0], packet[1:])
        stdout.write(struct.pack(">I", len(answer)) + answer)
        stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
