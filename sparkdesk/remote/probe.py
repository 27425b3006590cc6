"""The resident probe: reads one node for as long as its channel lives, and prints one framed JSON line a tick.

Why resident: a command per reading would run the user's login shell and its start-up files each time. Sent by length:

    python3 -u -c 'import sys;exec(compile(sys.stdin.buffer.read(LENGTH),"probe","exec"))' MARKER HZ [HEARTBEAT_S]

Standard input stays open behind the source: any byte is a heartbeat, a line `hz N` changes the rate (0 pauses), and the
end of it ends the probe; so does a silence of HEARTBEAT_S seconds, since a dead link ends nothing by itself.
gpu.py, run before it in the same interpreter, adds the GPU; sent alone it tells everything else.

Prints `MARKER {...}` lines: a hello (facts; again when they change), then readings. Readings are RAW: counters, kB,
jiffies, words of 4 bytes, under short keys (`KEYS`); units, scaling and rates belong to the reader.
The one rule: every cell is optional. What cannot be read is absent; it is never zero, and nothing here fails for it.

Environment: SPARKDESK_ROOT is put before every path (a copy of a node's files). Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

PROTOCOL = 1
ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")

# Every key of a reading. seq, boot, monotonic s, wall s | CPU jiffies, load | memory kB | pressure % | milli-degrees:
# hottest zone, hottest NVMe | disk: root file system bytes, sectors of 512 read and written | interfaces, RDMA ports
# | GPUs, their source, processes on them | troubles in words.
KEYS = ("q", "b", "m", "w", "cpu", "ld", "mem", "psi", "ct", "nt", "df", "io", "net", "ib", "gpu", "gs", "pr", "e")
MEMORY_KEYS = {
    b"MemTotal": "mt", b"MemFree": "mf", b"MemAvailable": "ma", b"Buffers": "bu", b"Cached": "ca",
    b"SReclaimable": "sr", b"Shmem": "sh", b"SwapTotal": "st", b"SwapFree": "sf",
}  # fmt: skip

SETTLE_S = 0.4
SLOW_S = 5.0  # how often lists (interfaces, zones, ...) and slow files are read anew
MAX_PENDING_BYTES = 256 * 1024
MAX_INTERFACES = 24
SKIPPED_INTERFACES = ("lo", "veth", "docker", "br-", "virbr", "tap", "cni", "flannel", "cali")
SKIPPED_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr")


class Files:
    """Small text files below the root, read again and again; kept open where the kernel makes their content."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def read(self, path: str, size: int = 16384) -> bytes:
        """The file's first bytes, stripped; empty when it cannot be read."""
        fd = self._fds.get(path, -1)
        try:
            if fd < 0:
                fd = os.open(ROOT + path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                self._fds[path] = fd
            data = os.pread(fd, size, 0).strip()
        except OSError:
            data = b""
        # A file of a copied root may be replaced behind its descriptor; one that gives nothing may have gone.
        if ROOT or not data:
            self.forget(path)
        return data

    def forget(self, path: str) -> None:
        """Close the file if it is open."""
        fd = self._fds.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def text(self, path: str) -> str:
        """The file as text, at most 256 characters."""
        return self.read(path, 1024).decode("utf-8", "replace")[:256]

    def number(self, path: str) -> int | None:
        """The file as a whole number, or None."""
        try:
            return int(self.read(path, 64))
        except ValueError:
            return None


def listdir(path: str) -> list[str]:
    """The names in a folder below the root, sorted; empty when it cannot be read."""
    try:
        return sorted(os.listdir(ROOT + path))
    except OSError:
        return []


FILES = Files()


# ---- facts, told once -----------------------------------------------------------------------------------------------


def read_dgx_release() -> dict[str, str]:
    """/etc/dgx-release without the serial number, which is world-readable and not ours to pass on. Last OTA wins."""
    facts = {}
    for line in FILES.read("/etc/dgx-release").decode("utf-8", "replace").splitlines()[:200]:
        key, sep, value = line.partition("=")
        if sep and key.startswith("DGX_") and "SERIAL" not in key:
            facts[key[4:].lower()[:32]] = value.strip().strip("\"'")[:128]
    return facts


def read_os_name() -> str:
    """PRETTY_NAME of /etc/os-release."""
    for line in FILES.read("/etc/os-release").decode("utf-8", "replace").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line[12:].strip("\"'")[:128]
    return ""


def read_driver() -> str:
    """The NVIDIA kernel driver's version."""
    for word in FILES.read("/proc/driver/nvidia/version", 1024).split():
        if word[:1].isdigit() and b"." in word:
            return word.decode("ascii", "replace")[:32]
    return ""


def read_interface_facts(name: str) -> dict[str, object]:
    """What seldom changes of an interface."""
    folder = "/sys/class/net/" + name
    facts: dict[str, object] = {"mac": FILES.text(folder + "/address"), "mtu": FILES.number(folder + "/mtu")}
    FILES.forget(folder + "/address")
    FILES.forget(folder + "/mtu")
    return facts


def read_rdma_facts(name: str) -> dict[str, object]:
    """What seldom changes of an RDMA device; its first port is the only one on a Spark."""
    folder = "/sys/class/infiniband/" + name
    port = folder + "/ports/1/"
    facts: dict[str, object] = {key: FILES.text(port + key) for key in ("state", "phys_state", "rate", "link_layer")}
    facts["netdev"] = ",".join(listdir(folder + "/device/net"))[:64]
    return {key: value for key, value in facts.items() if value}


def read_hello(node: Node) -> dict[str, object]:
    """The facts of the hello line."""
    system = os.uname()
    dmi = "/sys/class/dmi/id/"
    names = {"vendor": "sys_vendor", "product": "product_name", "version": "product_version",
             "family": "product_family", "bios": "bios_version"}  # fmt: skip
    return {
        "hello": PROTOCOL,
        "py": ".".join(map(str, sys.version_info[:3])),
        "host": (FILES.text("/etc/hostname") if ROOT else "") or system.nodename,
        "boot": FILES.text("/proc/sys/kernel/random/boot_id"),
        "machine": FILES.text("/etc/machine-id"),
        "kernel": FILES.text("/proc/sys/kernel/osrelease") or system.release,
        "arch": system.machine,
        "os": read_os_name(),
        "cpus": FILES.read("/proc/stat", 65536).count(b"\ncpu"),
        "mem_kb": read_memory().get("mt"),
        "dgx": read_dgx_release(),
        "dmi": {key: FILES.text(dmi + name) for key, name in names.items()},
        "driver": read_driver() or node.gpus.driver,
        "gpus": node.gpus.names,
        "net": {name: read_interface_facts(name) for name in node.interfaces},
        "ib": {name: read_rdma_facts(name) for name in node.rdma},
        "uid": os.getuid(),
        "home": os.path.expanduser("~")[:256],
    }


# ---- readings --------------------------------------------------------------------------------------------------------


def read_memory() -> dict[str, int]:
    """/proc/meminfo, the lines of MEMORY_KEYS, in kB."""
    found = {}
    for line in FILES.read("/proc/meminfo").split(b"\n"):
        key, _, rest = line.partition(b":")
        short = MEMORY_KEYS.get(key)
        words = rest.split()
        if short and words and words[0].isdigit():
            found[short] = int(words[0])
    return found


def read_cpu() -> list[int] | None:
    """user, nice, system, idle, iowait, irq, softirq, steal: jiffies since boot over all cores."""
    words = FILES.read("/proc/stat", 256).split(b"\n", 1)[0].split()[1:9]
    return [int(word) for word in words] if len(words) >= 4 and all(word.isdigit() for word in words) else None


def read_floats(path: str, count: int) -> list[float] | None:
    """The first `count` words of a file as numbers."""
    try:
        found = [float(word) for word in FILES.read(path, 256).split()[:count]]
    except ValueError:
        return None
    return found if len(found) == count else None


def read_pressure() -> dict[str, float]:
    """Share of time (%, mean of 10 s) in which some (ms) or all (mf) tasks waited for memory, some for disk (is)."""
    found = {}
    for path, keys in (("/proc/pressure/memory", ("ms", "mf")), ("/proc/pressure/io", ("is",))):
        for key, line in zip(keys, FILES.read(path, 512).split(b"\n")):
            for word in line.split():
                if word.startswith(b"avg10="):
                    try:
                        found[key] = float(word[6:])
                    except ValueError:
                        pass
    return found


def read_file_system() -> list[int] | None:
    """Root file system: bytes in all, bytes that this user may still write."""
    try:
        found = os.statvfs(ROOT or "/")
    except OSError:
        return None
    return [found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize]


def read_max(paths: list[str]) -> int | None:
    """The largest number in some files."""
    found = [value for value in (FILES.number(path) for path in paths) if value is not None]
    return max(found) if found else None


class NoGpus:
    """Stands in when gpu.py was not sent."""

    source = "none"
    driver = ""
    names: list[str] = []  # noqa: RUF012 - never changed
    is_changed = False

    def read(self) -> tuple[None, None, None]:
        """Nothing is known of GPUs."""
        return None, None, None

    def close(self) -> None:
        """Leave nothing behind."""


class Node:
    """What there is on this node to be read; the lists are made anew every few seconds."""

    def __init__(self) -> None:
        self.gpus = globals().get("open_gpus", NoGpus)()
        self.interfaces: list[str] = []
        self.rdma: list[str] = []
        self._zones: list[str] = []
        self._nvme: list[str] = []
        self._disks: set[bytes] = set()
        self._speeds: dict[str, int | None] = {}
        self._space: list[int] | None = None
        self.scan()

    def scan(self) -> None:
        """Look for what came and went, and read what changes slowly."""
        names = [name for name in listdir("/sys/class/net") if not name.startswith(SKIPPED_INTERFACES)]
        self.interfaces = names[:MAX_INTERFACES]
        self.rdma = listdir("/sys/class/infiniband")[:MAX_INTERFACES]
        self._zones = [f"/sys/class/thermal/{name}/temp" for name in listdir("/sys/class/thermal") if "zone" in name]
        self._nvme = []
        for name in listdir("/sys/class/nvme"):
            for inner in listdir("/sys/class/nvme/" + name):
                if inner.startswith("hwmon"):
                    self._nvme.append(f"/sys/class/nvme/{name}/{inner}/temp1_input")
        self._disks = {name.encode() for name in listdir("/sys/block") if not name.startswith(SKIPPED_DISKS)}
        self._speeds = {name: FILES.number(f"/sys/class/net/{name}/speed") for name in self.interfaces}
        self._space = read_file_system()

    def _read_interfaces(self) -> dict[str, list[object]]:
        """Per interface: bytes received, bytes sent, operstate, carrier, Mb/s (None where not known)."""
        found: dict[str, list[object]] = {}
        for name in self.interfaces:
            folder = f"/sys/class/net/{name}/"
            state = FILES.text(folder + "operstate")
            if state:
                found[name] = [
                    FILES.number(folder + "statistics/rx_bytes"),
                    FILES.number(folder + "statistics/tx_bytes"),
                    state,
                    FILES.number(folder + "carrier"),
                    self._speeds.get(name),
                ]
        return found

    def _read_rdma(self) -> dict[str, list[object]]:
        """Per RDMA device: words of 4 bytes received, sent, port state ("4: ACTIVE")."""
        found: dict[str, list[object]] = {}
        for name in self.rdma:
            port = f"/sys/class/infiniband/{name}/ports/1/"
            received = FILES.number(port + "counters/port_rcv_data")
            sent = FILES.number(port + "counters/port_xmit_data")
            found[name] = [received, sent, FILES.text(port + "state")]
        return found

    def _read_disks(self) -> list[int] | None:
        """Sectors of 512 bytes read and written, over all disks."""
        total = [0, 0]
        is_any = False
        for line in FILES.read("/proc/diskstats", 65536).split(b"\n") if self._disks else ():
            words = line.split()
            if len(words) > 9 and words[2] in self._disks and words[5].isdigit() and words[9].isdigit():
                total[0] += int(words[5])
                total[1] += int(words[9])
                is_any = True
        return total if is_any else None

    def read(self) -> dict[str, object]:
        """One reading, without its sequence number."""
        gpus, processes, troubles = self.gpus.read()
        found = {
            "b": FILES.text("/proc/sys/kernel/random/boot_id"),
            "m": round(time.monotonic(), 4),
            "w": round(time.time(), 4),
            "cpu": read_cpu(),
            "ld": read_floats("/proc/loadavg", 3),
            "mem": read_memory(),
            "psi": read_pressure(),
            "ct": read_max(self._zones),
            "nt": read_max(self._nvme),
            "df": self._space,
            "io": self._read_disks(),
            "net": self._read_interfaces(),
            "ib": self._read_rdma(),
            "gpu": gpus,
            "gs": self.gpus.source,
            "pr": processes,
            "e": troubles,
        }
        return {key: value for key, value in found.items() if value not in (None, {}, "")}


# ---- the loop --------------------------------------------------------------------------------------------------------


class Channel:
    """Standard output that never blocks, and standard input as the sign of life."""

    def __init__(self, marker: str, heartbeat_s: float) -> None:
        self._head = marker.encode() + b" "
        self._heartbeat_s = heartbeat_s
        self._pending = b""
        self._beat_at = 0.0
        self._line = b""
        self.hz: float | None = None
        os.set_blocking(0, False)
        os.set_blocking(1, False)
        self._beat()
        self._take(sys.stdin.buffer.read1(65536) or b"")  # type: ignore[union-attr]  # what came along with the source

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        # Ends us even while a call into the driver hangs; a handler of our own would not run then.
        signal.alarm(int(self._heartbeat_s) + 2)

    def _take(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-256:]
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0] == b"hz":
                try:
                    self.hz = float(words[1])
                except ValueError:
                    pass

    def send(self, value: dict[str, object]) -> None:
        """Queue a line; one that finds the queue full is dropped, which its sequence number tells."""
        if len(self._pending) < MAX_PENDING_BYTES:
            line = json.dumps(value, separators=(",", ":")).encode("ascii")
            self._pending += self._head + line + b"\n"
        self._flush()

    def _flush(self) -> None:
        try:
            self._pending = self._pending[os.write(1, self._pending) :] if self._pending else b""
        except BlockingIOError:
            pass

    def wait(self, until: float) -> bool:
        """Write and listen until a moment of the monotonic clock or a new rate; False when the channel has died."""
        while True:
            now = time.monotonic()
            left = min(until, self._beat_at + self._heartbeat_s) - now
            if now - self._beat_at >= self._heartbeat_s:
                return False
            if left <= 0:
                return True
            readable, writable, _ = select.select([0], [1] if self._pending else [], [], left)
            if writable:
                self._flush()
            if readable:
                data = os.read(0, 4096)
                if not data:
                    return False
                self._beat()
                self._take(data)
                if self.hz is not None:
                    return True


def clamp_hz(hz: float) -> float:
    """A rate between one line in ten seconds and ten a second; 0 pauses."""
    return 0.0 if hz <= 0 else min(max(hz, 0.1), 10.0)


def watch(channel: Channel, node: Node, hz: float) -> None:
    """Print readings until the channel dies."""
    sequence = 0
    next_at = time.monotonic()
    scan_at = next_at + SLOW_S
    channel.send(read_hello(node))
    while True:
        now = time.monotonic()
        if hz > 0 and now >= next_at:
            if now >= scan_at:
                before = (node.interfaces, node.rdma)
                node.scan()
                scan_at = now + SLOW_S
                if before != (node.interfaces, node.rdma):
                    channel.send(read_hello(node))
            channel.send(dict({"q": sequence}, **node.read()))
            if node.gpus.is_changed:
                node.gpus.is_changed = False
                channel.send(read_hello(node))
            # The second reading comes soon: rates need two, and a child that reads the GPU needs a moment.
            step_s = 1.0 / hz if sequence else min(1.0 / hz, SETTLE_S)
            sequence += 1
            next_at = max(next_at + step_s, now)
        if not channel.wait(next_at if hz > 0 else now + 3600.0):
            return
        if channel.hz is not None:  # heartbeats carry the rate; only another one disturbs the beat
            asked, channel.hz = clamp_hz(channel.hz), None
            if asked != hz:
                hz, next_at = asked, time.monotonic()


def main(argv: list[str]) -> None:
    """Run the probe: argv is the marker, the rate, and the longest silence that is borne."""
    os.environ["LC_ALL"] = "C"
    channel = Channel(argv[0], float(argv[2]) if len(argv) > 2 else 8.0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    node = Node()
    try:
        watch(channel, node, clamp_hz(float(argv[1])))
    except (BrokenPipeError, ConnectionError):
        pass
    finally:
        node.gpus.close()


if __name__ == "__main__":
    main(sys.argv[1:])
