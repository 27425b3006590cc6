"""Finds the model servers that run on a node by asking; sent over a channel by length, as the probe is, not installed.

    servers [OWN_PORT ...]               one JSON line, within DEADLINE_S; own ports are not asked

listeners (address, port, uid, owner, and program with pid where the account may see it), containers (null when docker
does not answer; containers_problem says why), servers (port, host, answers: path -> status, server, type, body, cut),
left (ports that were not asked for want of room), is_whole (no answer was still awaited at the end).
The one rule: nothing is changed. Only GET is sent, no redirect followed, no proxy used, and a port that does not speak
HTTP is left after one try. Command lines are never read: keys stand in them. Stdlib only, Python 3.8+.

Ports in the kernel's own range are left alone unless a container publishes them or a known server holds them: there lie
the private sockets of NCCL, Ray and Gloo, which a stranger's connection can upset.
Environment: SPARKDESK_LOOPBACK is this node's loopback.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import socket
import subprocess
import sys
import threading
import time

LOOPBACK = os.environ.get("SPARKDESK_LOOPBACK", "127.0.0.1")
DEADLINE_S = 3.6
DOCKER_WAIT_S = 1.5
ASK_WAIT_S = 1.2
MAX_LISTENERS = 400
MAX_CONTAINERS = 100
MAX_ASKED = 32
MAX_BODIES_BYTES = 512 * 1024
MAX_HOLDERS_S = 0.5
LISTEN = "0A"
LIMITS = {
    "/v1/models": 65536,
    "/health": 1024,
    "/metrics": 65536,
    "/api/ps": 16384,
    "/api/version": 1024,
    "/props": 256,
}
"""How much of each answer is read."""
LEFT_ALONE = frozenset(
    {
        *(22, 53, 111, 139, 445, 631, 2049, 2375, 2376, 3306, 3389, 5432, 5672, 5900, 6443, 9100, 9400, 10250, 11000),
        *(2233, 6379, 8265, 13345, 18515, 25000, 50051, 50052),
        *range(29500, 29511),
    }
)
"""Known others: system services and databases; then what engines use among themselves (MPI's sshd, Ray, perftest,
SGLang's and torch's rendezvous, llama.cpp's RPC)."""
USUAL = (8000, 8080, 11434, 30000, 8355, 8356, 1234, 8001, 8888, 5000, 9000, 8123)
"""Asked first: the ports of the engines' own documentation and of NVIDIA's playbooks."""
KNOWN_PROGRAMS = ("llama-server", "ollama", "lms")
METRIC = re.compile(rb"^(?:# (?:HELP|TYPE) )?([A-Za-z_][A-Za-z0-9_]{0,40}):", re.MULTILINE)
PUBLISHED = re.compile(r":(\d{1,5})(?:-(\d{1,5}))?->")

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any

    Record = dict[str, Any]


def decode_address(word: str) -> str:
    """An address as /proc/net/tcp writes it: 4-byte words of the host's byte order."""
    raw = b"".join(bytes.fromhex(word[i : i + 8])[::-1] for i in range(0, len(word), 8))
    text = socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
    return text[7:] if text.startswith("::ffff:") else text


def find_listeners() -> list[Record]:
    """Every listening TCP socket that can be met here."""
    found: list[Record] = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        for row in rows:
            if len(row) < 10 or row[3] != LISTEN or len(found) >= MAX_LISTENERS:
                continue
            word, _, port = row[1].partition(":")
            address = decode_address(word)
            if LOOPBACK in ("127.0.0.1", address):  # else this node shares a computer with others
                found.append({"address": address, "port": int(port, 16), "uid": int(row[7]), "inode": row[9]})
    return found


def name_holders(listeners: list[Record]) -> None:
    """Add owner, and program and pid of the processes that we may look into."""
    wanted = {"socket:[%s]" % listener["inode"]: listener for listener in listeners}
    for listener in listeners:
        try:
            listener["owner"] = pwd.getpwuid(listener["uid"]).pw_name
        except (KeyError, OverflowError):
            listener["owner"] = str(listener["uid"])
    until = time.monotonic() + MAX_HOLDERS_S
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        if time.monotonic() > until:
            break
        try:
            for entry in os.scandir("/proc/" + pid + "/fd"):
                holder = wanted.get(os.readlink(entry.path))
                if holder is not None:
                    with open("/proc/" + pid + "/comm", errors="replace") as file:
                        holder.setdefault("program", file.read(64).strip())
                    holder.setdefault("pid", int(pid))
        except OSError:
            continue  # another user's, or gone
    for listener in listeners:
        del listener["inode"]


def read_container(line: str) -> Record:
    """One line of `docker ps`, with the ports that it publishes."""
    row = json.loads(line)
    texts = {key: str(row.get(key, ""))[:400] for key in ("ID", "Image", "Names", "Networks")}
    ports: set[int] = set()
    for first, last in PUBLISHED.findall(str(row.get("Ports", ""))[:8192]):
        ports.update(range(int(first), min(int(last or first), int(first) + 99) + 1))
    labels = [label.partition("=") for label in str(row.get("Labels", ""))[:16384].split(",")]
    return {
        "id": texts["ID"][:12],
        "image": texts["Image"],
        "name": texts["Names"],
        "is_host": texts["Networks"] == "host",
        "ports": sorted(port for port in ports if 0 < port < 65536)[:100],
        "labels": {name: value[:200] for name, _, value in labels if name.startswith("sparkdesk.")},
    }


def list_containers(found: Record) -> None:
    """Put `containers` into `found`, or `containers_problem`."""
    argv = ["docker", "ps", "--no-trunc", "--format", "{{json .}}"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCKER_WAIT_S, check=False)
        if done.returncode:
            found["containers_problem"] = done.stderr.decode("utf-8", "replace").strip()[-300:] or "docker failed"
            return
        lines = done.stdout.decode("utf-8", "replace").splitlines()[:MAX_CONTAINERS]
        found["containers"] = [read_container(line) for line in lines if line.startswith("{")]
    except FileNotFoundError:
        found["containers_problem"] = "docker is not installed"
    except (OSError, ValueError, AttributeError, subprocess.TimeoutExpired) as error:
        found["containers_problem"] = "docker: %s" % type(error).__name__


def kernel_range() -> tuple[int, int]:
    """The ports that the kernel gives to who asks for any."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low, high = file.read().split()[:2]
        return int(low), int(high)
    except (OSError, ValueError):
        return 32768, 60999


def choose(found: Record, own: set[int]) -> list[tuple[int, list[str]]]:
    """Which ports to ask, the likeliest first, each with the addresses to try."""
    low, high = kernel_range()
    published = {port for container in found["containers"] or () for port in container["ports"]}
    hosts: dict[int, set[str]] = {}
    ranks: dict[int, tuple[int, int]] = {}
    for listener in found["listeners"]:
        port = listener["port"]
        is_ours = listener["uid"] == os.getuid()
        is_known = port in published or listener.get("program") in KNOWN_PROGRAMS
        is_inner = low <= port <= high or (port < 1024 and not is_ours)
        if port in own or port in LEFT_ALONE or (is_inner and not is_known):
            continue
        hosts.setdefault(port, set()).add(listener["address"])
        rank = 0 if is_known else 1 if port in USUAL else 2 if is_ours else 3
        ranks[port] = min((rank, port), ranks.get(port, (9, port)))
    return [(port, addresses_of(hosts[port])) for port in sorted(hosts, key=lambda port: ranks[port])]


def addresses_of(bound: set[str]) -> list[str]:
    """Where a server that is bound so can be asked: by loopback where that leads to it."""
    if LOOPBACK in bound or "0.0.0.0" in bound:
        return [LOOPBACK]
    if "::" in bound:
        return [LOOPBACK, "::1"]
    if "::1" in bound:
        return ["::1"]
    return sorted(bound)[:1]


class Asker:
    """Asks one port after another path; all of them share one bound on what is kept."""

    lock = threading.Lock()
    room = MAX_BODIES_BYTES

    def __init__(self, port: int, hosts: list[str], until: float) -> None:
        self.port = port
        self.hosts = hosts
        self.until = until
        self.answers: Record = {}
        self.is_server = False
        self.is_done = False

    def run(self) -> None:
        """Ask what there is to ask."""
        try:
            first = self.get("/v1/models")
            if first is not None and (first == 404 or first == 405 or self.is_like_api(first)):
                self.ask_more(first)
        finally:
            self.is_done = True

    def is_like_api(self, status: int) -> bool:
        """Whether the answer to /v1/models may be a model server's."""
        head = self.answers["/v1/models"]["body"].lstrip()[:1]
        return status in (200, 401, 403, 500, 503) and head in ("{", "")

    def ask_more(self, first: int) -> None:
        """What tells the engine, its state and what it has loaded."""
        self.is_server = first not in (404, 405)
        if self.is_server:
            self.get("/health")
            self.get("/metrics")
            prefixes = self.answers.get("/metrics", {}).get("prefixes", [])
            if {"vllm", "sglang", "llamacpp"} & set(prefixes):
                return
        if self.get("/api/ps") == 200:
            self.is_server = True
            self.get("/api/version")
        elif self.is_server:
            self.get("/props")

    def get(self, path: str) -> int | None:
        """The status, once; the answer is kept. None: nothing that speaks HTTP in time."""
        while self.hosts:
            left = min(ASK_WAIT_S, self.until - time.monotonic())
            if left <= 0:
                return None
            try:
                return self.read(path, left)
            except ConnectionRefusedError:
                if self.answers:
                    return None
                del self.hosts[0]
            except (OSError, http.client.HTTPException, ValueError):
                return None
        return None

    def read(self, path: str, wait_s: float) -> int:
        """One GET on a connection of its own."""
        connection = http.client.HTTPConnection(self.hosts[0], self.port, timeout=wait_s)
        try:
            connection.request("GET", path, headers={"Accept": "*/*", "User-Agent": "SparkDesk", "Connection": "close"})
            answer = connection.getresponse()
            data = answer.read(LIMITS[path] + 1) if answer.status < 300 or answer.status >= 400 else b""
            kept: Record = {"status": answer.status, "server": (answer.getheader("Server") or "")[:80]}
        finally:
            connection.close()
        if path == "/metrics":
            kept["prefixes"] = sorted({name.decode() for name in METRIC.findall(data)})[:16]
        else:
            kept.update(self.cut(data, LIMITS[path]))
        self.answers[path] = kept
        return int(kept["status"])

    @classmethod
    def cut(cls, data: bytes, limit: int) -> Record:
        """As much of a body as there is room for."""
        with cls.lock:
            size = min(limit, cls.room, len(data))
            cls.room -= size
        return {"body": data[:size].decode("utf-8", "replace"), "cut": size < len(data)}


def main(arguments: list[str]) -> None:
    """Look, ask, print."""
    until = time.monotonic() + DEADLINE_S
    found: Record = {"listeners": find_listeners(), "containers": None}
    docker = threading.Thread(target=list_containers, args=(found,), daemon=True)
    docker.start()
    name_holders(found["listeners"])
    docker.join(DOCKER_WAIT_S + 0.2)
    own = {int(word) for word in arguments if word.isdigit()}
    chosen = choose(found, own)
    askers = [Asker(port, hosts, until - 0.1) for port, hosts in chosen[:MAX_ASKED]]
    threads = [threading.Thread(target=asker.run, daemon=True) for asker in askers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    found["servers"] = [
        {"port": asker.port, "host": asker.hosts[0], "answers": dict(asker.answers)}
        for asker in askers
        if asker.is_server and asker.hosts
    ]
    found["left"] = [port for port, _ in chosen[MAX_ASKED:]][:MAX_LISTENERS]
    found["is_whole"] = all(asker.is_done for asker in askers)
    print(json.dumps(found, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # a thread may still wait for a server that sends a byte at a time
