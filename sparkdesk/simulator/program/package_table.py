"""The packages of a node that somebody asks for, and the updates that wait.

The one rule: names and kinds are those of DGX OS 7 on Ubuntu 24.04; versions not named in a capture are unverified on
hardware. Nothing is ever fetched.
"""

from __future__ import annotations

from typing import NamedTuple

import package_shelf
from spark_state import conditions, read_json

TOOLKIT_VERSION = "1.20.0"


class Update(NamedTuple):
    """A newer version of an installed package, in these suites."""

    package: str
    suites: str
    available: str
    installed: str


UPDATES = (
    Update("libssl3t64", "noble-updates,noble-security", "3.0.13-0ubuntu3.7", "3.0.13-0ubuntu3.6"),
    Update("linux-firmware", "noble-updates", "20240318.git3b128b60-0ubuntu2.20", "20240318.git3b128b60-0ubuntu2.19"),
    Update("openssl", "noble-updates", "3.0.13-0ubuntu3.7", "3.0.13-0ubuntu3.6"),
)


def installed() -> dict[str, str]:
    """Package -> version, as of now."""
    driver = str(read_json("gpu")["driver"])
    branch = driver.partition(".")[0]
    versions = {
        "docker-ce": "5:28.3.3-1~ubuntu.24.04~noble",
        "docker-ce-cli": "5:28.3.3-1~ubuntu.24.04~noble",
        "containerd.io": "1.7.27-1",
        "libnccl2": "2.28.9-1+cuda13.0",
        f"nvidia-driver-{branch}-open": f"{driver}-0ubuntu0.24.04.1",
        f"nvidia-utils-{branch}": f"{driver}-0ubuntu0.24.04.1",
        "cuda-toolkit-13-0": "13.0.2-1",
        "openssh-server": "1:9.6p1-3ubuntu13.14",
        "python3": "3.12.3-0ubuntu2",
        "rdma-core": "50.0-2ubuntu0.2",
        "sudo": "1.9.15p5-3ubuntu5.24.04.1",
    }
    if "no-toolkit" not in conditions():
        for name in ("nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container1"):
            versions[name] = f"{TOOLKIT_VERSION}-1"
    if "no-sudo" in conditions():
        del versions["sudo"]
    versions |= {name: package_shelf.PACKAGES[name].version for name in package_shelf.read()}
    return versions | {update.package: update.installed for update in UPDATES}
