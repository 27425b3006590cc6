"""A lab node with the programs of a network's trial on it, and what of its network an undo must bring back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.lab import CAGE_PORTS, LabNode

PORT, TWIN = CAGE_PORTS[1]
REMOTE = Path(__file__).parents[3] / "sparkdesk" / "remote"
LAUNCHER = """for name in ("net_state", "trial_notes", "netplan_units", "sparkdesk_trial"):
    with open("/opt/%s.py" % name) as file:
        exec(compile(file.read(), name, "exec"))
"""
"""As the three come over a channel, one after another in one namespace."""
KEPT, TRIED = "/etc/netplan/90-sparkdesk.yaml", "/run/netplan/90-sparkdesk.yaml"
NOTES, RUN = "/var/lib/sparkdesk", "/run/sparkdesk"
COPY = f"{NOTES}/90-sparkdesk.yaml"
WANTED = {
    PORT: {"addresses": ["192.168.100.11/24"], "mtu": 9000},
    TWIN: {"addresses": ["192.168.101.11/24"], "mtu": 9000},
}
YAML = "network:\n  version: 2\n  ethernets:\n" + "".join(
    f"    {name}:\n      dhcp4: no\n      link-local: [ipv6]\n      mtu: 9000\n      addresses: {want['addresses']}\n"
    for name, want in WANTED.items()
)
FOREIGN = "network:\n  version: 2\n  ethernets:\n    enp1s0f1np1:\n      mtu: 1400\n      addresses: [10.9.8.7/24]\n"
SETTINGS = ("/proc/sys/net/ipv6/conf/%s/accept_ra", "/proc/sys/net/ipv4/conf/%s/promote_secondaries")
WAIT_S = 60.0
"""However slow the machine is."""


class Node:
    """A lab node, our program on it, and what of its network must come back."""

    def __init__(self, node: LabNode) -> None:
        self.lab = node
        (node.root / "opt").mkdir(exist_ok=True)
        for name in ("net_state", "trial_notes", "netplan_units"):
            (node.root / f"opt/{name}.py").write_bytes((REMOTE / f"{name}.py").read_bytes())
        (node.root / "opt/sparkdesk_trial.py").write_bytes((REMOTE / "link_trial.py").read_bytes())
        (node.root / "opt/link_trial.py").write_text(LAUNCHER)

    def do(self, *words: str, stdin: str = "") -> dict[str, Any]:
        """What a verb answers, as root in the node."""
        return self.do_as("X=", *words, stdin=stdin)

    def do_as(self, variable: str, *words: str, stdin: str = "") -> dict[str, Any]:
        """The same in an environment with this variable."""
        argv = ["nsenter", "-t", str(self.lab.holder.pid), "-a", "env", variable, "/usr/bin/python3", "-I", "-S", "-B"]
        done = subprocess.run(
            [*argv, "/opt/link_trial.py", *words], input=stdin.encode(), capture_output=True, timeout=120, check=False
        )
        assert not done.stderr, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def try_it(self, seconds: float = 60, name: str = "a1", yaml: str = YAML, former: str = "") -> dict[str, Any]:
        """Try the pair's addresses."""
        return self.do("try", name, str(seconds), json.dumps(WANTED), *former.split(), stdin=yaml)

    def seen_without_root(self) -> str:
        """Our kept file as a look without root knows it; "" where it does not."""
        script = f'[ "$(stat -c %s.%y {KEPT})" = "$(stat -c %s.%y {COPY})" ] && cat {COPY}; true'
        return self.lab.run("setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", script)

    def look(self, *digest: str) -> dict[str, Any]:
        """Whether it is as wanted."""
        return self.do("look", "a1", json.dumps(WANTED), *digest)

    def state(self) -> dict[str, Any]:
        """Everything that an undo must bring back."""
        ports = json.loads(self.lab.run("ip", "-j", "addr", "show"))
        keys = ("local", "prefixlen", "broadcast", "scope")
        found: dict[str, Any] = {
            one["ifname"]: (
                one["mtu"],
                [{k: a.get(k) for k in keys} for a in one["addr_info"] if a["family"] == "inet"],
            )
            for one in ports
        }
        for path in (KEPT, TRIED, COPY, "/etc/netplan/00-installer-config.yaml"):
            file = self.lab.root / path[1:]
            found[path] = (file.read_bytes(), oct(file.stat().st_mode)) if file.exists() else None
        for path in (NOTES, RUN, "/run/netplan"):
            found[path] = (self.lab.root / path[1:]).exists()
        found["routes"] = self.lab.run("ip", "route", "show", "default")
        return found

    def settings(self) -> list[str]:
        """What networkd sets on a port that it is told to manage, of both ports."""
        return self.lab.run("cat", *(path % port for port in (PORT, TWIN) for path in SETTINGS)).split()

    def let_settings_be(self, *texts: str) -> None:
        """As on ports that networkd was never told of."""
        for port in (PORT, TWIN):
            for path, text in zip(SETTINGS, texts, strict=True):
                self.lab.run("sh", "-c", f"echo {text} > {path % port}")

    def take_away(self, file: Path) -> None:
        """A file of somebody's for the port, and what it gave."""
        file.unlink()
        self.lab.run("netplan", "apply")
        self.lab.run("ip", "addr", "flush", "dev", PORT, "scope", "global")
        self.lab.run("ip", "link", "set", PORT, "mtu", "1500")

    def everything(self) -> set[str]:
        """Rules, routes of all tables and addresses as `ip` shows them, without what changes by itself."""
        found = set()
        for family in ("-4", "-6"):
            for words in (("rule", "show"), ("route", "show", "table", "all")):
                lines = self.lab.run("ip", family, *words).splitlines()
                found |= {" ".join(line.split()) for line in lines if "fe80" not in line and "multicast" not in line}
        for port in json.loads(self.lab.run("ip", "-j", "addr", "show")):
            for one in port["addr_info"]:
                if one["scope"] != "link":
                    found.add(f"{port['ifname']} {one['local']} {one.get('address')} {one['prefixlen']}")
        return found

    def wait_for(self, state: dict[str, Any], *, but: Sequence[str] = ()) -> None:
        """Until everything is as it was and no timer of ours is at it any more."""
        deadline_s, other = time.monotonic() + WAIT_S, dict.fromkeys(but)
        while (now := self.state() | other) != state | other or self.lab.processes("link_trial.py"):
            assert time.monotonic() < deadline_s, now
            time.sleep(0.1)

    def wait_until_back(self, state: dict[str, Any]) -> None:
        """The same but for our own folders: the timer leaves its note for those who ask."""
        self.wait_for(state, but=(NOTES, RUN, "/run/netplan"))

    def wait_until_applied(self, *words: str) -> None:
        """Until `ip addr` says these: netplan returns before it is so."""
        deadline_s = time.monotonic() + WAIT_S
        while any(word not in self.lab.run("ip", "addr") for word in words):
            assert time.monotonic() < deadline_s, words
            time.sleep(0.05)

    def wait_until_rolling_back(self) -> None:
        """Until the timer has begun."""
        deadline_s = time.monotonic() + WAIT_S
        while "rolling back" not in (self.lab.root / RUN[1:] / "trial.json").read_text():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
