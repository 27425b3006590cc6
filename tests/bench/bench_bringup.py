"""How long a bring-up takes: two Sparks from the password to the proof, and a look at four that changes nothing; and
what of the pair's is not as it was before once all of it is taken back.

Both in the lab: real sshd, netplan, systemd-networkd, `ip` and `ping`; RDMA and NCCL are answered by stand-ins that
take next to no time, so that the figure is what SparkDesk and the network need. The one rule: the clock runs from the
press of the button, with the password at hand, until the report lies on the disk.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure
from tests.lab.bringup.desk import opened_bring_up
from tests.lab.bringup.snapshot import differences_of, take_snapshot
from tests.lab.bringup.spark_lab import PAIR, SWITCH, spark_lab
from tests.lab.lab import Lab

NAMES = ("bringup.pair_proved", "bringup.left_by_undo", "bringup.four_looked_at")
PAIR_S, LOOK_S = 60.0, 3.0
LOOKS = 3
SETTLE_S = 6.0
"""A look takes cabling that was seen in the last 5 s as it is; a person who asks again later has it looked at anew."""


async def prove_pair(lab: Lab, folder: Path) -> tuple[float, list[str]]:
    """Seconds from the press of the button to the report, and what its undo has left."""
    before = {node.name: take_snapshot(node) for node in lab.nodes}
    async with opened_bring_up(lab, folder) as desk:
        await desk.look()
        begun_s = time.perf_counter()
        await desk.apply()
        taken_s = time.perf_counter() - begun_s
        await desk.undo()
    return taken_s, [f"{node.name}: {one}" for node in lab.nodes for one in differences_of(node, before[node.name])]


async def look_at_four(lab: Lab, folder: Path) -> list[float]:
    """Seconds of each look, cabling included."""
    taken = []
    async with opened_bring_up(lab, folder) as desk:
        for _ in range(LOOKS):
            await asyncio.sleep(SETTLE_S)
            begun_s = time.perf_counter()
            await desk.look()
            taken.append(time.perf_counter() - begun_s)
    return taken


def measure() -> list[Figure]:
    """The pair once; of the looks the slowest.

    Raises:
        `pytest.skip`'s own exception where the lab cannot run: not root, no netplan.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as text:
        folder = Path(text)
        os.environ.update(HOME=text, SPARKDESK_HOME=f"{text}/sparkdesk")
        os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
        os.environ.pop("SSH_AUTH_SOCK", None)
        for name in ("pair", "four", "pair-home", "four-home"):
            (folder / name).mkdir()
        with spark_lab(PAIR, folder / "pair") as (lab, _):
            pair_s, left = asyncio.run(prove_pair(lab, folder / "pair-home"))
        with spark_lab(SWITCH, folder / "four") as (lab, _):
            looks = asyncio.run(look_at_four(lab, folder / "four-home"))
    words = "in the lab; RDMA and NCCL by stand-ins"
    looked = ", ".join(f"{taken_s:.2f}" for taken_s in looks)
    return [
        Figure.at_most("bringup.pair_proved", pair_s, "s", PAIR_S, note=words),
        Figure.at_most(
            "bringup.left_by_undo", len(left), "differences", 0.0,
            note="; ".join(left) or "files, groups, addresses; installed packages stay",
        ),
        Figure.at_most("bringup.four_looked_at", max(looks), "s", LOOK_S, note=f"slowest of {looked} s, {words}"),
    ]  # fmt: skip
