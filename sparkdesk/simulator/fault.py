"""What can be wrong with a simulated node, by name: the one table that options, control and documents read.

The one rule: a fault changes what a node says and does, never anything of this computer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `is_inside` says that the node's resident brings it about; else its SSH server or its cables do.

    One that `is_of_cage` is at NODE:P0, NODE:P1 or NODE:NETDEV; where none is named, at the cage that is cabled.
    """

    name: str
    words: str
    is_inside: bool = True
    is_of_cage: bool = False


def _of_cage(name: str, words: str) -> Fault:
    return Fault(name, words, is_inside=False, is_of_cage=True)


_ALL = (
    Fault("node-gone", "answers nothing, as without power or cable", is_inside=False),
    Fault("host-key-changed", "answers with another host key", is_inside=False),
    Fault("same-identity", "a clone: host key and machine id of another node", is_inside=False),
    Fault("other-machine", "another machine answers at its address: other host key and machine id", is_inside=False),
    Fault("slow-ssh", "signing in and starting a command take seconds", is_inside=False),
    Fault("slow-state", "SM clock of 500 to 950 MHz under load, until power is removed"),
    Fault("power-capped", "held by its power cap under load"),
    Fault("disk-full", "the disk is told to be full, and no file of its user can grow"),
    Fault("swap-on", "6 GiB of swap in use"),
    Fault("memory-pressure", "1 GiB of memory is left, and tasks wait for it most of the time"),
    Fault("clock-skew", "its reported time is ten minutes ahead and not synchronized"),
    Fault("pcie-width", "the second CX-7 controller has two PCIe lanes"),
    _of_cage("cable-out", "the cable is pulled out of this cage"),
    _of_cage("link-down", "the same, by its older name"),
    _of_cage("half-down", "one half of the cage has no link; the second, where none is named"),
    _of_cage("mtu", "an MTU of 1500 where the others have 9000"),
    _of_cage("wire-mtu", "what is between the ports swallows packets beyond 1500 bytes; only a sized ping finds it"),
    _of_cage("wrong-subnet", "addresses in a subnet that nobody else on the wire is in"),
    _of_cage("slow-line", "a line of 100 Gb/s instead of 200"),
    _of_cage("one-way", "hears nobody on this wire, but is heard"),
    _of_cage("rdma-inactive", "the RDMA device of one half is not active; of the second, where none is named"),
    _of_cage("rdma-degraded", "RDMA came up wrongly here: 13 Gb/s a half on a line that says 200"),
    _of_cage("storage", "a storage machine is plugged in here, in a free cage if there is one: answers a ping, LLDP"),
    _of_cage("stranger", "another machine is plugged in here: answers a ping with a MAC that no node has"),
    _of_cage("silent", "something is plugged in here that never says a word"),
    Fault("no-docker-group", "the user is not in the group docker, as on a fresh system"),
    Fault("docker-down", "the docker daemon does not run"),
    Fault("pull-cut", "an image's download breaks off at nine tenths of its last layer; the next one goes on there"),
    Fault("hub-cut", "weights from the hub break off at nine tenths; the next try goes on there"),
    Fault("hub-slow", "weights from the hub come at 64 kB a second, until it is off"),
    Fault("hub-gated", "the hub gives no file of any model without the token hf_simulated"),
    Fault("engine-gated", "the hub gives engines no file of any model: gated, 401"),
    Fault("engine-unsupported", "engines do not know the model's architecture"),
    Fault("engine-no-kv", "next to nothing is left for the KV cache when an engine starts"),
    Fault("engine-ptxas", "kernels do not compile for this GPU: ptxas fatal"),
    Fault("engine-crash", "engines end after they have loaded, at every start"),
    Fault("engine-crash-twice", "engines end after they have loaded, at the next two starts"),
    Fault("engine-hang", "engines stand still in the middle of a load, until it is off"),
    Fault("engine-oom", "the kernel kills the next container in the middle of its load"),
    Fault("engine-leak", "engines in containers take 8 GiB more a second, and never give it back"),
    Fault("engine-slow", "engines in containers answer at half their speed"),
    Fault("engine-stall", "engines in containers stand still behind an API that answers"),
    Fault("engine-dead", "engines in containers die behind an API that goes on answering"),
    Fault("no-toolkit", "the container toolkit is not installed"),
    Fault("driver-other", "a driver of another branch"),
    Fault("reboot-required", "an update waits for a restart"),
    Fault("failed-unit", "a systemd unit has failed"),
    Fault("no-sudo", "sudo is not installed"),
    Fault("not-in-sudoers", "sudo knows the user not"),
    Fault("sudo-needs-tty", "sudo wants a terminal"),
    Fault("sudo-nopasswd", "sudo asks for no password"),
)
FAULTS = {fault.name: fault for fault in _ALL}
# What is told a node once, by `--control on`; they have no off.
ACTIONS = {
    "wake": "switch on a node that was shut down",
    "reboot": "restart it, as its power button would",
    "power-off": "shut it down, as its power button would",
}
