"""Reads a Hugging Face config.json: a model's shape, from which its size, its cache and its weights are computed.

The one rule: the file is hostile. Whatever is in it, the answer is a spec or a ModelFileError at a field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import MODEL_PATTERN
from sparkdesk.core.models.feed_forward import FeedForward, read_feed_forward
from sparkdesk.core.models.fields import Fields, ModelFileError, show
from sparkdesk.core.models.mixer import Mixers, read_mixers
from sparkdesk.core.models.quantization import Quantization, read_quantization
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.models.weights import ParameterParts, weight_bytes_of

MAX_BYTES = 4 << 20
MOST_PARAMETERS = 10**15
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config")
_TIED: Final = ("gemma", "t5gemma")
"""Families whose embeddings are tied where the file does not say so. Source: transformers' classes."""
KNOWN_FAMILIES: Final = (
    "afmoe", "apertus", "arcee", "bailing", "bamba", "cohere", "command", "dbrx", "deepseek", "diffusion_gemma",
    "ernie", "exaone", "falcon", "gemma", "glm", "gpt_bigcode", "gpt_neox", "gpt_oss", "gpt2", "gptj", "granite",
    "helium", "hunyuan", "internlm", "jamba", "kimi", "lfm2", "llama", "ministral", "minimax", "mistral", "mixtral",
    "mllama", "nemotron", "olmo", "opt", "phi", "pixtral", "qwen", "seed_oss", "smollm", "smolvlm", "solar", "stablelm",
    "starcoder2", "yi", "llava", "internvl",
)  # fmt: skip
"""What names of families begin with whose fields mean what this module takes them for."""


@dataclass(frozen=True, slots=True)
class ConfigReading:
    """What came of a config.json: a spec, or None; and what is wrong or doubtful, each at its field."""

    spec: ModelSpec | None
    problems: tuple[Problem, ...] = ()


def examine_config(config: Mapping[str, object] | bytes, *, name: str) -> ConfigReading:
    """The spec of a config.json, or the problem at its field; never an exception, whatever the file holds."""
    try:
        top = Fields(_parsed(config))
        text = _language_part(top)
        spec, quantization = _spec(top, text, name)
    except ModelFileError as error:
        return ConfigReading(None, (error.problem,))
    return ConfigReading(spec, tuple(_doubts(text, quantization)))


def read_config(config: Mapping[str, object] | bytes, *, name: str) -> ModelSpec:
    """The spec of a config.json, as a mapping or as the file's bytes. Raises ModelFileError (a PlanError) at a field.

    `name` is what the model is called: a hub id, or the name of the folder that it lies in. Parameters and weights are
    computed from the shape, without norms and biases (under 0.2 %).
    """
    top = Fields(_parsed(config))
    return _spec(top, _language_part(top), name)[0]


def _parsed(config: Mapping[str, object] | bytes) -> Mapping[str, object]:
    if isinstance(config, bytes):
        if len(config) > MAX_BYTES:
            raise ModelFileError(f"config.json is larger than {MAX_BYTES >> 20} MiB", field="")
        try:
            config = json.loads(config.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ModelFileError("config.json is not JSON text", field="") from error
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise ModelFileError("config.json is not a JSON object", field="")
    return config


def _language_part(top: Fields) -> Fields:
    """The fields of the language model: models with eyes and ears keep them under a name of their own."""
    for name in _TEXT_PARTS:
        part = top.under(name)
        if part is None:
            continue
        inner = part.under("text_config") or part
        return Fields({**top.values, **inner.values}, inner.path)
    return top


def _spec(top: Fields, text: Fields, name: str) -> tuple[ModelSpec, Quantization]:
    model_type = text.word("model_type")
    mixers = read_mixers(text, model_type)
    feed_forward = read_feed_forward(text, model_type, mixers.hidden_size, mixers.names)
    parts = _parts(top, text, mixers, feed_forward)
    if parts.total > MOST_PARAMETERS:
        raise text.wrong("hidden_size", f"and the other sizes make more than 10^15 parameters: {parts.total:.3g}")
    experts = feed_forward.experts
    active = parts.total - parts.lookup
    if experts is not None:
        active -= parts.experts - parts.experts * experts.active // experts.total
    quantization = read_quantization(top, text)
    weights = _weights(top, parts, quantization, name)
    shown = "".join(char for char in name if char.isprintable())[:128] or "model"
    spec = ModelSpec(
        name=shown,
        title=shown.rstrip("/").rsplit("/", 1)[-1] or shown,
        parameters=parts.total,
        active_parameters=active if experts is not None else None,
        experts=experts,
        hidden_size=mixers.hidden_size,
        attention_heads=mixers.heads,
        context_tokens=text.count("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", most=1 << 32),
        layers=mixers.groups,
        formats=(weights,) if weights else (),
        purposes=("chat", "vision") if top.has("vision_config") else ("chat",),
        speculatives=("mtp",) if text.count("num_nextn_predict_layers", "mtp_num_hidden_layers", least=0) else (),
        sources={"parameters": "computed from config.json", "layers": "config.json"},
    )
    return spec, quantization


def _parts(top: Fields, text: Fields, mixers: Mixers, feed_forward: FeedForward) -> ParameterParts:
    embedding = text.need("vocab_size", most=1 << 32) * mixers.hidden_size
    model_type = text.word("model_type")
    is_tied = text.flag("tie_word_embeddings", default=model_type.startswith(_TIED))
    vision = top.under("vision_config")
    return ParameterParts(
        experts=feed_forward.expert_parameters,
        attention=mixers.parameters,
        output=embedding,
        lookup=(0 if is_tied else embedding) + (_vision_parameters(vision) if vision is not None else 0),
        rest=feed_forward.shared_parameters,
    )


def _vision_parameters(vision: Fields) -> int:
    """Of the part that sees: no step of decoding reads it. 0 where its shape is not told."""
    layers = vision.count("depth", "num_hidden_layers", "num_layers", most=10_000)
    hidden = vision.count("hidden_size", "embed_dim", "width", most=1 << 20)
    if layers is None or hidden is None:
        return 0
    inner = vision.count("intermediate_size", most=1 << 24) or 4 * hidden
    return layers * (4 * hidden * hidden + 2 * hidden * inner)


def _weights(top: Fields, parts: ParameterParts, quantization: Quantization, name: str) -> WeightFormat | None:
    split = weight_bytes_of(parts, quantization.key, is_attention_kept=quantization.is_attention_kept)
    if split is None:
        return None
    return WeightFormat(
        key=quantization.key,
        weight_bytes=split.weight_bytes,
        expert_bytes=split.expert_bytes,
        unread_bytes=split.unread_bytes,
        repo=name if MODEL_PATTERN.match(name) else "",
        engines=("vllm", "sglang"),
        source="computed from config.json",
    )


def _doubts(text: Fields, quantization: Quantization) -> list[Problem]:
    found = []
    family = text.word("model_type").lower()
    if not family.startswith(KNOWN_FAMILIES):
        what = f"The architecture {show(family)} is not known" if family else "The file names no architecture"
        remedy = "It was read as a plain transformer: compare the parameters with what its publisher says."
        found.append(Problem(Severity.WARNING, what, remedy, f"{text.path}model_type"))
    if not quantization.key:
        what = f"The quantization {show(quantization.method)} is not known, so the size of the weights is not"
        remedy = "Choose a checkpoint in FP8, NVFP4, MXFP4, AWQ, GPTQ or 16 bit."
        found.append(Problem(Severity.WARNING, what, remedy, "quantization_config.quant_method"))
    return found
