"""Reads the catalogue of models (resources/catalogue/models.toml, or a user's own): untrusted text, hence pydantic."""

from __future__ import annotations

import tomllib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.models.spec import Experts, KvGeometry, ModelSpec

MAX_BYTES = 4 << 20
Count = Annotated[int, Field(gt=0, lt=1 << 50)]
Word = Annotated[str, Field(max_length=300)]


class _Kv(BaseModel):
    model_config = ConfigDict(extra="forbid")
    layers: Count
    kv_heads: Count
    head_dim: Count


class _Experts(BaseModel):
    model_config = ConfigDict(extra="forbid")
    total: Count
    active: Count

    @model_validator(mode="after")
    def _active_are_among_them(self) -> _Experts:
        if self.active > self.total:
            raise ValueError("more experts active than there are")
        return self


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?$")]
    title: Word
    parameters: Count | None = None
    active_parameters: Count | None = None
    context_tokens: Count | None = None
    kv: _Kv | None = None
    experts: _Experts | None = None
    weight_bytes: dict[Word, Count] = {}
    files: dict[Word, Word] = {}
    engines: tuple[Word, ...] = ()
    system_prompt: Annotated[str, Field(max_length=100_000)] = ""
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    licence: Word = ""
    source: Word = ""


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: tuple[_Model, ...] = ()


def read_catalogue(text: bytes) -> tuple[ModelSpec, ...]:
    """The models of a catalogue file, in its order. Raises SettingsError that names what is wrong."""
    if len(text) > MAX_BYTES:
        raise SettingsError("The catalogue is too large", remedy=f"Keep it under {MAX_BYTES >> 20} MiB.")
    try:
        catalogue = _Catalogue.model_validate(tomllib.loads(text.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise SettingsError(
            "The catalogue of models cannot be read", remedy="Mend the file, or remove it.", detail=str(error)[:2000]
        ) from error
    return tuple(_spec(model) for model in catalogue.model)


def _spec(model: _Model) -> ModelSpec:
    kv, experts = model.kv, model.experts
    return ModelSpec(
        name=model.name,
        title=model.title,
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        kv=KvGeometry(kv.layers, kv.kv_heads, kv.head_dim) if kv else None,
        experts=Experts(experts.total, experts.active) if experts else None,
        context_tokens=model.context_tokens,
        weight_bytes=dict(model.weight_bytes),
        files=dict(model.files),
        engines=model.engines,
        system_prompt=model.system_prompt,
        temperature=model.temperature,
        licence=model.licence,
        source=model.source,
    )
