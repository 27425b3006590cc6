"""The GPU of a container that has one."""

from __future__ import annotations

import os

from torch.cuda import nccl as nccl


def is_available() -> bool:
    return "gpu" in os.environ["LAB_HAS"].split()


def device_count() -> int:
    return int(is_available())


def set_device(index: int) -> None:
    assert index == 0


def synchronize() -> None:
    return None
