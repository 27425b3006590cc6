"""Published training runs (resources/planning/training.toml), read and found by name.

The one rule: a row is what somebody measured, with its source; every case has its single node, which others scale from.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparkdesk.core.errors import SettingsError

MAX_BYTES = 1 << 20
Method = Literal["full", "ddp", "fsdp", "lora", "qlora", "pretrain", "rl"]
Amount = Annotated[float, Field(gt=0.0, lt=1e15, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, lt=1 << 50)]
Word = Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """So many units a second, all nodes together."""

    nodes: int
    unit_per_s: float


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """One job that was measured. `batch` is units (for tokens: sequences) a node and step."""

    key: str
    names: tuple[str, ...]
    title: str
    method: Method
    unit: str
    """samples, tokens or frames."""
    batch: int
    parameters: int
    measured: tuple[MeasuredRun, ...]
    conditions: str
    source: str
    sequence_tokens: int | None = None
    accumulation: int = 1
    """Passes over a node's batch before gradients are exchanged."""
    syncs: int = 1
    """Exchanges of gradients in a step."""
    step_s: float | None = None
    """As the source gives it, of one node."""
    layers: int | None = None
    hidden_size: int | None = None
    working_bytes: int | None = None
    """What it takes beside weights, gradients and optimizer, where no shape tells that."""

    @property
    def single(self) -> float:
        """Units a second of one node."""
        return next(run.unit_per_s for run in self.measured if run.nodes == 1)

    @property
    def compute_s(self) -> float:
        """One step on one node."""
        units = self.batch * (self.sequence_tokens or 1) if self.unit == "tokens" else self.batch
        return units / self.single if self.step_s is None else self.step_s


class _Measured(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nodes: Annotated[int, Field(ge=1, le=64)]
    unit_per_s: Amount


class _Case(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    names: tuple[Word, ...] = ()
    title: Word
    method: Method
    unit: Literal["samples", "tokens", "frames"]
    batch: Count
    parameters: Count
    measured: Annotated[tuple[_Measured, ...], Field(min_length=1, max_length=64)]
    conditions: Word
    source: Word
    sequence_tokens: Count | None = None
    accumulation: Count = 1
    syncs: Count = 1
    step_s: Amount | None = None
    layers: Count | None = None
    hidden_size: Count | None = None
    working_bytes: Count | None = None

    @model_validator(mode="after")
    def _has_a_single_node(self) -> _Case:
        if not any(run.nodes == 1 for run in self.measured):
            raise ValueError("a case needs the figure of one node, which the others scale from")
        if self.unit == "tokens" and self.sequence_tokens is None:
            raise ValueError("a case that counts tokens needs the length of its sequences")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    case: tuple[_Case, ...] = ()


def read_training(text: bytes) -> tuple[TrainingCase, ...]:
    """The cases of the file, in its order. Raises SettingsError that names what is wrong."""
    if len(text) > MAX_BYTES:
        raise SettingsError("The table of training runs is too large", remedy=f"Keep it under {MAX_BYTES >> 20} MiB.")
    try:
        found = _File.model_validate(tomllib.loads(text.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise SettingsError(
            "The table of training runs cannot be read", remedy="Mend the file.", detail=str(error)[:2000]
        ) from error
    return tuple(_case(case) for case in found.case)


def find_cases(cases: tuple[TrainingCase, ...], words: str) -> tuple[TrainingCase, ...]:
    """Those of this model or workload: by key, name, or name without its owner, in any capitalisation."""
    wanted = words.strip().lower()
    return tuple(case for case in cases if wanted in _names(case))


def _names(case: TrainingCase) -> set[str]:
    names = {name.lower() for name in (case.key, *case.names)}
    return names | {name.rpartition("/")[2] for name in names}


def _case(case: _Case) -> TrainingCase:
    fields = case.model_dump(exclude={"measured"})
    runs = tuple(MeasuredRun(run.nodes, run.unit_per_s) for run in case.measured)
    return TrainingCase(**fields, measured=runs)
