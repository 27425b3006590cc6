"""The planner's data: devices, engines, measured cases and the calibration, read from resources/planning/*.toml.

The one rule: these files may be a user's own, so they are checked field by field before anything reads them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Device
from sparkdesk.core.planning.setup import Build, EngineProfile
from sparkdesk.core.planning.speed.calibration import Band, Calibration, EngineSpeed, Fitted, Speculation
from sparkdesk.core.planning.speed.measurement import Measurement

FILES = ("devices", "engines", "measurements", "calibration")
"""Stems of the files that `read_reference` needs."""
MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Everything that a prediction is made from, beside the question itself."""

    devices: Mapping[str, Device]
    engines: Mapping[str, EngineProfile]
    measurements: tuple[Measurement, ...]
    calibration: Calibration


Word = Annotated[str, Field(max_length=120)]
Text = Annotated[str, Field(max_length=1000)]
Positive = Annotated[float, Field(gt=0.0, le=1e18, allow_inf_nan=False)]
Ratio = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
Time = Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1 << 50)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Device(_Strict):
    key: Word
    title: Word
    memory_bytes: Count
    peak_gb_per_s: Positive
    peak_tflops: dict[Word, Positive]
    power_w: Positive
    price: Positive | None = None
    is_unified: bool = True
    is_fitted: bool = False
    source: Text

    @model_validator(mode="after")
    def _has_sixteen_bits(self) -> _Device:
        if not {"16", "8", "4"}.issuperset(self.peak_tflops) or "16" not in self.peak_tflops:
            raise ValueError("peak_tflops has the keys 16, and 8 and 4 where the device has them")
        return self


class _Devices(_Strict):
    device: tuple[_Device, ...]


class _Build(_Strict):
    key: Word
    title: Word
    note: Text = ""
    source: Text = ""


class _Engine(_Strict):
    key: Word
    title: Word
    formats: tuple[Word, ...]
    kv_dtypes: tuple[Word, ...]
    parallelisms: tuple[Word, ...]
    speculatives: tuple[Word, ...]
    build: tuple[_Build, ...]
    runtime_bytes: Count
    memory_fraction: Ratio | None = None
    share_of: Literal["total", "available"] = "total"
    is_launchable: bool = True
    source: Text


class _Engines(_Strict):
    engine: tuple[_Engine, ...]


class _Measurement(_Strict):
    key: Word
    source: Text
    model: Word
    format: Word
    engine: Word
    build: Word
    tensor: Count = 1
    pipeline: Count = 1
    data: Count = 1
    prompt_tokens: Count
    answer_tokens: Count
    users: Count
    kv_dtype: Word = ""
    speculative: Word = "none"
    cached_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    device: Word = "gb10"
    ttft_s: Positive | None = None
    tpot_s: Positive | None = None
    ttft_definition: Text = ""
    tpot_definition: Text = ""
    assumed: Text = ""
    is_fitted: bool = True
    why_not: Text = ""


class _Measurements(_Strict):
    measurement: tuple[_Measurement, ...]


class _Fitted(_Strict):
    dense_efficiency: Ratio
    expert_efficiency: Ratio
    own_efficiency: Ratio
    token_likeness: Annotated[float, Field(ge=0.0, le=100.0)]
    kv_efficiency: Ratio
    layer_overhead_s: Time
    eager_overhead_s: Time
    sequence_overhead_s: Time
    crowded_tokens: Positive
    collective_overhead_s: Time
    dense_utilisation: Ratio
    expert_utilisation: Ratio
    own_utilisation: Ratio
    attention_utilisation: Ratio
    collective_rate_share: Ratio


class _Band(_Strict):
    near: Positive
    far: Positive


class _EngineSpeed(_Strict):
    chunk_tokens: Count
    step_tokens: Count
    has_own_kernels: bool = False
    mixture_bits: Literal[4, 8, 16] = 4
    tuned_mixture_bits: Literal[4, 8, 16] = 4
    source: Text


class _Speculation(_Strict):
    draft_tokens: Count
    acceptance: Ratio
    draft_share: Annotated[float, Field(ge=0.0, le=1.0)]
    source: Text


class _Calibration(_Strict):
    fitted: _Fitted
    decode_band: _Band
    ttft_band: _Band
    roofline_band: Positive
    engines: dict[Word, _EngineSpeed]
    speculations: dict[Word, _Speculation]
    tuned_shared_shares: dict[Word, Ratio]


Schema = TypeVar("Schema", bound=_Strict)


def read_reference(texts: Mapping[str, bytes]) -> Reference:
    """The planner's data from the text of its files, by stem (`FILES`). Raises SettingsError that names what is wrong.

    Measurements of a device or engine that no file names are refused.
    """
    devices = {one.key: _device(one) for one in _parsed(texts, "devices", _Devices).device}
    engines = {one.key: _engine(one) for one in _parsed(texts, "engines", _Engines).engine}
    rows = tuple(_measurement(one) for one in _parsed(texts, "measurements", _Measurements).measurement)
    calibration = _calibration(_parsed(texts, "calibration", _Calibration))
    for row in rows:
        if row.device not in devices or row.engine not in engines:
            raise SettingsError(
                f"Measurement {row.key} names a device or engine that is not there",
                remedy="Name one of devices.toml and engines.toml.",
            )
    return Reference(devices, engines, rows, calibration)


def _parsed(texts: Mapping[str, bytes], stem: str, schema: type[Schema]) -> Schema:
    text = texts.get(stem)
    if text is None or len(text) > MAX_BYTES:
        raise SettingsError(
            f"The planner's file {stem}.toml is missing or too large", remedy="Install SparkDesk again."
        )
    try:
        return schema.model_validate(tomllib.loads(text.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise SettingsError(
            f"The planner's file {stem}.toml cannot be read",
            remedy="Mend the file, or install SparkDesk again.",
            detail=str(error)[:2000],
        ) from error


def _device(row: _Device) -> Device:
    return Device(
        key=row.key,
        title=row.title,
        memory_bytes=row.memory_bytes,
        peak_gb_per_s=row.peak_gb_per_s,
        peak_tflops={int(bits): value for bits, value in row.peak_tflops.items()},
        power_w=row.power_w,
        price=row.price,
        is_unified=row.is_unified,
        is_fitted=row.is_fitted,
        source=row.source,
    )


def _engine(row: _Engine) -> EngineProfile:
    return EngineProfile(
        key=row.key,
        title=row.title,
        formats=row.formats,
        kv_dtypes=row.kv_dtypes,
        parallelisms=row.parallelisms,
        speculatives=row.speculatives,
        builds=tuple(Build(one.key, one.title, one.note, one.source) for one in row.build),
        runtime_bytes=row.runtime_bytes,
        memory_fraction=row.memory_fraction,
        share_of=row.share_of,
        is_launchable=row.is_launchable,
        source=row.source,
    )


def _measurement(row: _Measurement) -> Measurement:
    fields = row.model_dump(exclude={"tensor", "pipeline", "data"})
    return Measurement(parallelism=Parallelism(row.tensor, row.pipeline, row.data), **fields)


def _calibration(row: _Calibration) -> Calibration:
    return Calibration(
        fitted=Fitted(**row.fitted.model_dump()),
        decode_band=Band(row.decode_band.near, row.decode_band.far),
        ttft_band=Band(row.ttft_band.near, row.ttft_band.far),
        roofline_band=row.roofline_band,
        engines={key: EngineSpeed(**one.model_dump()) for key, one in row.engines.items()},
        speculations={key: Speculation(**one.model_dump()) for key, one in row.speculations.items()},
        tuned_shared_shares=dict(row.tuned_shared_shares),
    )
