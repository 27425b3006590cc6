"""Reads the catalogue of models (resources/catalogue/models.toml, or a user's own), and finds one by its name.

The file is untrusted text, hence pydantic. The one rule: an exact hub id wins over a short key, a key over a title;
capitals never matter.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.models.spec import (
    Experts,
    LayerGroup,
    LayerKind,
    ModelSpec,
    WeightFormat,
)

MAX_BYTES = 4 << 20
MAX_WORDS = 300
_SEPARATORS = re.compile(r"[\s._-]+")
Count = Annotated[int, Field(gt=0, lt=1 << 50)]
Size = Annotated[int, Field(ge=0, lt=1 << 50)]
Word = Annotated[str, Field(max_length=300)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?$")]


class _Layers(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: LayerKind
    count: Annotated[int, Field(gt=0, lt=10_000)]
    kv_heads: Size = 0
    head_dim: Size = 0
    window_tokens: Size = 0
    latent_dim: Size = 0
    state_bytes: Size = 0
    has_shared_kv: bool = False

    @model_validator(mode="after")
    def _kind_has_its_size(self) -> _Layers:
        needed = {
            LayerKind.FULL: ("kv_heads", "head_dim"),
            LayerKind.SLIDING: ("kv_heads", "head_dim", "window_tokens"),
            LayerKind.LATENT: ("latent_dim",),
            LayerKind.LINEAR: ("state_bytes",),
            LayerKind.NONE: (),
        }[self.kind]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"{self.kind} layers need {' and '.join(missing)}")
        return self


class _Experts(BaseModel):
    model_config = ConfigDict(extra="forbid")
    total: Count
    active: Count

    @model_validator(mode="after")
    def _active_are_among_them(self) -> _Experts:
        if self.active > self.total:
            raise ValueError("more experts active than there are")
        return self


class _Format(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]
    weight_bytes: Count
    expert_bytes: Size = 0
    unread_bytes: Size = 0
    repo: Name | None = None
    repo_source: Word = ""
    engines: tuple[Word, ...] = ()
    file: Word = ""
    loss: Word = ""
    loss_source: Word = ""
    loss_points: Annotated[float, Field(ge=0, le=100)] | None = None
    source: Word = ""

    @model_validator(mode="after")
    def _parts_are_no_more_than_the_whole(self) -> _Format:
        if self.expert_bytes + self.unread_bytes > self.weight_bytes:
            raise ValueError("experts and what is never read are larger than all weights")
        return self


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    title: Word
    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = ""
    purposes: tuple[Word, ...] = ()
    parameters: Count | None = None
    active_parameters: Count | None = None
    experts: _Experts | None = None
    hidden_size: Count | None = None
    attention_heads: Count | None = None
    context_tokens: Count | None = None
    layers: Annotated[tuple[_Layers, ...], Field(max_length=64)] = ()
    formats: Annotated[tuple[_Format, ...], Field(max_length=64)] = ()
    speculatives: tuple[Word, ...] = ()
    system_prompt: Annotated[str, Field(max_length=100_000)] = ""
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    licence: Word = ""
    sources: dict[Word, Word] = {}


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    repo_source: Word = ""
    model: tuple[_Model, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> _Catalogue:
        for kind in ("name", "key"):
            given = [getattr(model, kind).casefold() for model in self.model if getattr(model, kind)]
            twice = next((word for word in given if given.count(word) > 1), "")
            if twice:
                raise ValueError(f"two models have the {kind} {twice}")
        return self


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
    return tuple(_spec(model, catalogue.repo_source) for model in catalogue.model)


def _spec(model: _Model, repo_source: str) -> ModelSpec:
    experts = model.experts
    layers = tuple(LayerGroup(**group.model_dump()) for group in model.layers)
    formats = tuple(_weights(each, repo_source) for each in model.formats)
    return ModelSpec(
        name=model.name,
        title=model.title,
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        experts=Experts(experts.total, experts.active) if experts else None,
        context_tokens=model.context_tokens,
        system_prompt=model.system_prompt,
        temperature=model.temperature,
        licence=model.licence,
        key=model.key,
        purposes=model.purposes,
        hidden_size=model.hidden_size,
        attention_heads=model.attention_heads,
        layers=layers,
        formats=formats,
        speculatives=model.speculatives,
        sources=dict(model.sources),
    )


def _weights(each: _Format, repo_source: str) -> WeightFormat:
    """One checkpoint; without a word of its own on its names, what the file says of all."""
    names = {"repo": each.repo or "", "repo_source": each.repo_source or (repo_source if each.repo else "")}
    return WeightFormat(**(each.model_dump() | names))


@dataclass(frozen=True, slots=True)
class Match:
    """A model, and the checkpoint that the words named: None where they named the model, or its 16-bit release."""

    spec: ModelSpec
    weights: WeightFormat | None = None


def find_model(specs: Sequence[ModelSpec], words: str) -> Match | None:
    """The model of these words: a key, a hub id with or without its owner, a GGUF's file name, or a title.

    Capitals, and dots, dashes and spaces between words, do not matter. `-FP4` and `-NVFP4` are one suffix (NVIDIA's own
    tables use both); `owner/name:Q4_K_M` names one file of a repository; `llama-3.3-70b-nvfp4` a format of a key. The
    first words of a key are enough where only one model's begins so (`nemotron-3-super`).
    """
    asked = words.strip().casefold()[:MAX_WORDS].removeprefix("https://huggingface.co/").rstrip("/")
    if not asked:
        return None
    readings: tuple[Callable[[str], str], ...] = (str.casefold, _without_owner, _loose, _loosest)
    for read in readings:
        wanted = read(asked)
        found = next((match for match, name in _names(specs) if read(name) == wanted), None)
        if found is not None:
            return found
    return None if "/" in asked else _the_only_one_that_begins(specs, asked)


def _the_only_one_that_begins(specs: Sequence[ModelSpec], asked: str) -> Match | None:
    """The model whose key begins with these whole words; None where several do, or none does."""
    begin = f"{_loose(asked)}-"
    found = [spec for spec in specs if _loose(spec.key).startswith(begin)]
    return Match(found[0]) if len(found) == 1 else None


def weights_of(spec: ModelSpec, model: str, quantization: str) -> WeightFormat | None:
    """The checkpoint that a launch of `model` (a hub id or a catalogue name) in this format loads; None: not known.

    An empty `quantization` is the checkpoint as it comes: the one with that hub id.
    """
    own = [each for each in spec.formats if each.repo.casefold() == model.casefold()]
    if quantization:
        keyed = [each for each in (*own, *spec.formats) if each.key == quantization.upper()]
        return keyed[0] if keyed else None
    return own[0] if len(own) == 1 else next((each for each in own if not each.file), None)


def _names(specs: Sequence[ModelSpec]) -> Iterator[tuple[Match, str]]:
    """Every name that a model answers to, the strongest first."""
    for spec in specs:
        for each in spec.formats:
            is_shared = sum(other.repo == each.repo for other in spec.formats) > 1
            match = Match(spec, None if is_shared or each.key == "BF16" else each)
            if each.repo:
                yield match, each.repo
                yield Match(spec, each), f"{each.repo}:{each.key}"
            if each.file:
                yield Match(spec, each), each.file
    for spec in specs:
        if spec.key:
            yield Match(spec), spec.key
        yield Match(spec), spec.name
        yield Match(spec), spec.title
    for spec in specs:
        for each in spec.formats:
            if spec.key:
                yield Match(spec, each), f"{spec.key}-{each.key}"
            yield Match(spec, each), f"{spec.title} {each.key}"


def _without_owner(name: str) -> str:
    return name.casefold().rsplit("/", 1)[-1]


@lru_cache(maxsize=4096)
def _loose(name: str) -> str:
    """One spelling for what differs in separators only, and for NVIDIA's two suffixes."""
    short = _SEPARATORS.sub("-", _without_owner(name)).strip("-")
    return f"{short.removesuffix('-fp4')}-nvfp4" if short.endswith("-fp4") else short


@lru_cache(maxsize=4096)
def _loosest(name: str) -> str:
    """Without any separator, and without the words that hubs add to the name of a family."""
    return re.sub(r"-(instruct|it|chat)(?=-|$)", "", _loose(name)).replace("-", "")
