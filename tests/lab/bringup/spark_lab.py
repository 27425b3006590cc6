"""Labs of Sparks as they come out of the box, in the shapes that a bring-up knows.

The one rule: a lab is fresh: what one test left on its nodes no other sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.lab import Lab, LabNode
from tests.lab.patchbay import Patchbay, Wire

IMAGE = "nvcr.io/nvidia/vllm:26.01-py3"
"""The image that tier.sh puts on every node."""
DOCKER_SETTING = "etc/docker/daemon.json"
PAIR = (Wire(((0, 1), (1, 1))),)
RING = (Wire(((0, 0), (1, 1))), Wire(((1, 0), (2, 1))), Wire(((2, 0), (0, 1))))
"""P0 to P1 all around. Source: NVIDIA/dgx-spark-playbooks, connect-three-sparks."""
CROSSED = (Wire(((0, 0), (1, 0))), Wire(((1, 1), (2, 1))), Wire(((2, 0), (0, 1))))
"""A ring in which two cables join like cages."""
SWITCH = (Wire(((0, 0), (1, 0), (2, 0), (3, 0)), is_switch=True),)


@contextmanager
def spark_lab(wires: Sequence[Wire], folder: Path, *, sshd_options: str = "") -> Iterator[tuple[Lab, Patchbay]]:
    """As many Sparks as the wires join, plugged together; the caller's thread is in the workstation's network."""
    count = 1 + max(index for wire in wires for index, _cage in wire.plugs)
    with Lab(
        count, folder, marker="bringup", cables=None, with_networkd=True, sshd_options=sshd_options
    ) as lab, lab.workstation():  # fmt: skip
        bay = Patchbay(lab, wires=len(wires))
        try:
            bay.patch(wires)
            for node in lab.nodes:
                follow_links(node)
            yield lab, bay
        finally:
            bay.close()


def follow_links(node: LabNode) -> None:
    """An RDMA port is active where there is a link. Source: public captures of ibdev2netdev."""
    devices = node.root / "sys/class/infiniband"
    for device in node.run("ls", "/sys/class/infiniband").split():
        netdev = node.run("ls", f"/sys/class/infiniband/{device}/device/net").strip()
        is_up = node.run("cat", f"/sys/class/net/{netdev}/carrier").strip() == "1"
        (devices / device / "ports/1/state").write_text("4: ACTIVE\n" if is_up else "1: DOWN\n")
        (devices / device / "ports/1/phys_state").write_text("5: LinkUp\n" if is_up else "3: Disabled\n")


def take_more_away(node: LabNode) -> None:
    """What a Spark has out of its box and may have lost: the container toolkit, and a clock that somebody keeps."""
    node.run("apt-get", "remove", "-y", "nvidia-container-toolkit")
    setting = node.root / DOCKER_SETTING
    setting.write_text('{"log-driver": "local"}')
    if node.index:
        setting.unlink()
    node.run("systemctl", "restart", "docker")
    node.run("timedatectl", "set-ntp", "false")
