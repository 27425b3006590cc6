"""Stands for the PyTorch of a simulated image: as much of it as our programs for images and a look at NCCL use.

A tensor is a rule (start + step * index) and no data; what is gathered are the rules. A product of matrices is no work
here: its process declares that it keeps the GPU busy. The one rule: nothing is gathered before all ranks have really
met over the nodes' network, and the time that it takes is that of rdma_rate.py.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from types import ModuleType
from typing import Any

import image_ranks
from spark_state import declare_load

NCCL = (2, 28, 9)
"""Made up for the simulator: what the tags of the simulated registry really hold was never looked at."""
VERSION = "2.9.0+simulated"
_INT32, _FLOAT16 = "int32", "float16"
_BUSY = 0.96
_WORK_BYTES = 3 * 2**29  # a process with a CUDA context and the library for matrices; made up for the simulator
_PRODUCT_S = 0.003  # of two matrices of 4096 by 4096, about; made up for the simulator


class _Difference:
    """What a comparison gives: how many elements differ."""

    def __init__(self, count: int) -> None:
        self._count = count

    def sum(self) -> _Difference:
        """Of all elements."""
        return self

    def item(self) -> int:
        """As a number."""
        return self._count


class Tensor:
    """`count` elements: the n-th is start + step * n. A gathered one is made of parts."""

    def __init__(self, count: int, start: int = 0, step: int = 0) -> None:
        self.count, self.start, self.step = count, start, step
        self.parts: list[Tensor] = []

    def mul_(self, factor: int) -> Tensor:
        """Multiply in place."""
        self.start, self.step = self.start * factor, self.step * factor
        return self

    def add_(self, more: int) -> Tensor:
        """Add in place."""
        self.start += more
        return self

    def __getitem__(self, where: slice) -> Tensor:
        size = self.count // max(1, len(self.parts))
        if not self.parts or where.start % size or where.stop - where.start != size:
            raise RuntimeError("a simulated tensor gives whole parts only")
        part: Tensor = self.parts[where.start // size]
        return part

    def __ne__(self, other: object) -> Any:
        if not isinstance(other, Tensor):
            return NotImplemented
        is_same = (self.count, self.start, self.step) == (other.count, other.start, other.step)
        return _Difference(0 if is_same else self.count)

    __hash__ = None  # type: ignore[assignment]


def _tensor(count: int, step: int, dtype: str, device: str) -> Tensor:
    if device == "cuda" and not has("gpu"):
        raise RuntimeError("No CUDA GPUs are available")
    if dtype != _INT32:
        raise RuntimeError(f"a simulated tensor is of int32, not {dtype}")
    return Tensor(count, 0, step)


def arange(count: int, *, dtype: str, device: str = "cpu") -> Tensor:
    """0, 1, 2 and so on."""
    return _tensor(count, 1, dtype, device)


def empty(count: int, *, dtype: str, device: str = "cpu") -> Tensor:
    """Room for so many."""
    return _tensor(count, 0, dtype, device)


def has(right: str) -> bool:
    """Whether the container was given this: gpu, network, rdma, memlock."""
    return right in os.environ.get("SPARKDESK_CONTAINER", "").split()


def _set_device(index: int) -> None:
    if index != 0:
        raise RuntimeError("CUDA error: invalid device ordinal")


def _all_gather(whole: Tensor, mine: Tensor) -> None:
    rows = image_ranks.gather_data([mine.count, mine.start, mine.step], whole.count * 4)
    if whole.count != mine.count * len(rows):
        raise RuntimeError("output tensor size must be equal to world_size times input tensor size")
    whole.parts = [Tensor(*row) for row in rows]


class _Work:
    """What was asked of the GPU and is not done yet. The first product declares the load, to the end of the process."""

    products = 0
    stack: contextlib.ExitStack | None = None


def rand(rows: int, columns: int, *, dtype: str, device: str = "cpu") -> Tensor:
    """A matrix."""
    if device == "cuda" and not has("gpu"):
        raise RuntimeError("No CUDA GPUs are available")
    if dtype != _FLOAT16:
        raise RuntimeError(f"a simulated matrix is of float16, not {dtype}")
    return Tensor(rows * columns)


def matmul(left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Ask for a product."""
    if left.count != right.count:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    if _Work.stack is None:
        _Work.stack = contextlib.ExitStack()
        _Work.stack.enter_context(declare_load("python3", memory_bytes=_WORK_BYTES, busy=_BUSY))
        atexit.register(_Work.stack.close)
    _Work.products += 1
    return out or Tensor(left.count)


def _synchronize() -> None:
    time.sleep(_Work.products * _PRODUCT_S)
    _Work.products = 0


def install() -> None:
    """Let `import torch` and its parts find this."""
    cuda = _module("torch.cuda", is_available=lambda: has("gpu"), device_count=lambda: int(has("gpu")),
                   set_device=_set_device, synchronize=_synchronize)  # fmt: skip
    nccl = _module("torch.cuda.nccl", version=lambda: NCCL)
    distributed = _module(
        "torch.distributed", init_process_group=image_ranks.begin, destroy_process_group=image_ranks.end,
        get_rank=image_ranks.rank, get_world_size=image_ranks.world, barrier=image_ranks.barrier,
        all_gather_into_tensor=_all_gather,
    )  # fmt: skip
    version = _module("torch.version", cuda="13.0")
    vars(cuda)["nccl"] = nccl
    _module("torch", __version__=VERSION, int32=_INT32, float16=_FLOAT16, arange=arange, empty=empty, rand=rand,
            matmul=matmul, cuda=cuda, distributed=distributed, version=version)  # fmt: skip


def _module(name: str, **values: Any) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []  # a package, so that parts of it may be named
    vars(module).update(values)
    sys.modules[name] = module
    return module
