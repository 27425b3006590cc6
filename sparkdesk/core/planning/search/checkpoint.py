"""Which weights a question means: known checkpoints by hub id or format, else one whose size is computed.

The one rule: a planner answers for a format that nobody published too, and every such answer says so; without a word
only known checkpoints are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.models.catalogue import MAX_WORDS, Match, find_model
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.models.weights import BYTES_PER_PARAMETER, GGUF_KEYS, compute_format
from sparkdesk.core.planning.setup import EngineProfile

GGUF: Final = "GGUF"
USUAL_GGUF: Final = "Q4_K_M"
"""The type that is computed for the word GGUF, of a model without a known one: what most people fetch."""
_SPELLINGS: Final[Mapping[str, str]] = {
    "FP4": "NVFP4", "MODELOPT_FP4": "NVFP4", "MODELOPT": "NVFP4", "W4A4": "NVFP4",
    "FP8_E4M3": "FP8", "FP8_DYNAMIC": "FP8", "W8A8_FP8": "FP8",
    "W8A8": "INT8", "W8A16": "INT8",
    "W4A16": "INT4", "INT4_AUTOROUND": "INT4", "AUTOROUND": "INT4", "AUTO_ROUND": "INT4",
    "AWQ_MARLIN": "AWQ", "AWQ_INT4": "AWQ", "AWQ_4BIT": "AWQ",
    "GPTQ_MARLIN": "GPTQ", "GPTQ_INT4": "GPTQ", "GPTQ_4BIT": "GPTQ",
    "FP16": "BF16", "BFLOAT16": "BF16", "FLOAT16": "BF16", "NONE": "BF16", "4BIT": "INT4", "8BIT": "INT8",
}  # fmt: skip
"""What people and engines write -> the catalogue's word. FP16 has BF16's size, and the makers publish BF16."""
_SAME_BITS: Final[Mapping[str, tuple[str, ...]]] = {
    "INT4": ("AWQ", "GPTQ"),
    "AWQ": ("GPTQ", "INT4"),
    "GPTQ": ("AWQ", "INT4"),
    "MXFP4": ("MXFP4_GGUF",),
    "MXFP4_GGUF": ("MXFP4",),
}
"""Formats of one size and quality that differ in how they were made, or in the file that holds them."""
_FORMAT_NAME = re.compile(
    r"[-_.: ](?:bf16|fp16|(?:nv|mx)?fp[48]|int[48]|w[48]a(?:4|8|16)|awq|gptq|auto-?round|gguf|[48]-?bits?|i?q\d\w*)"
    r"(?=[-_.: ]|$)",
    re.IGNORECASE,
)
"""What in a name says a format of weights."""
_BEFORE_FORMAT = re.compile(r"[-_. ](?:quantized|quant|bnb|unsloth|ud|i1)$", re.IGNORECASE)


def key_of(word: str) -> str:
    """The catalogue's word for a format, of what a person wrote."""
    key = word.strip().upper().replace("-", "_")
    return _SPELLINGS.get(key, key)


def checkpoints_of(spec: ModelSpec, wanted: str, engines: Sequence[EngineProfile]) -> list[WeightFormat]:
    """The weights that `wanted` (a format or hub id, "" for all known ones) means, as these engines run them.

    A format that none of the model's checkpoints has is that of another one of the same bits, else it is computed;
    [] is a word that is no format at all.
    """
    if not wanted.strip():
        return list(spec.formats)
    named = [one for one in spec.formats if one.repo and one.repo.lower() == wanted.strip().lower()]
    if named:
        return named
    key = key_of(wanted)
    if key == GGUF:
        files = [one for one in spec.formats if one.file or one.key in GGUF_KEYS]
        return files or _known(compute_format(spec, USUAL_GGUF))
    keys = (key, *_SAME_BITS.get(key, ()))
    groups = [[one for one in spec.formats if one.key == each] for each in keys]
    known = [group for group in groups if group]
    computed = [group for each in keys if (group := _known(compute_format(spec, each)))]
    for group in known or computed:
        if any(engine.can_run(one) for engine in engines for one in group):
            return group
    return next(iter(known or computed), [])


def _known(weights: WeightFormat | None) -> list[WeightFormat]:
    return [] if weights is None else [weights]


def checkpoint_note(spec: ModelSpec, wanted: str, weights: WeightFormat) -> Problem | None:
    """What to say of weights that are not quite what was asked for; None where they are."""
    if weights.is_computed:
        return _note(
            f"No {weights.key} checkpoint of {spec.title} is known: size computed",
            "Make one, or leave the format open to plan with those that are known.",
        )
    word = wanted.strip()
    if not word or word.lower() == weights.repo.lower() or key_of(word) in (GGUF, weights.key):
        return None
    known = any(one.key == key_of(word) for one in spec.formats)
    why = "is not for this engine" if known else "is not known"
    return _note(
        f"A {key_of(word)} checkpoint of {spec.title} {why}: its {weights.key} one, of the same bits, is planned",
        "Leave the format open to see all that are known.",
    )


def format_of(match: Match, words: str, wanted: str) -> tuple[str, tuple[Problem, ...]]:
    """The format that a model's name (`words`) and `wanted` fix together, "" for none, and what to say of it.

    A name that says its quantization (...-NVFP4, ...-GGUF:Q4_K_M) fixes it, unless another one is wanted; the name of
    a main checkpoint (openai/gpt-oss-20b) is that of the model.
    """
    said = _format_in(words)
    if not said:
        return wanted, ()
    weights = match.weights
    if weights is None:  # a repository of several files, or one that is not of the catalogue
        is_known = any(one.repo.lower() == words.strip().lower() for one in match.spec.formats)
        title = f"{match.spec.title} in {said}"
        remedy = "Its size may differ: a repository that the catalogue has tells more."
        return wanted or said, () if is_known else (_note(f"A name that nobody looked up: planned as {title}", remedy),)
    if not wanted or key_of(wanted) == weights.key:
        return weights.key, ()
    note = _note(
        f"The name is that of the {weights.key} checkpoint; {key_of(wanted)} is planned, as asked",
        f"Leave the format open for {weights.key}.",
    )
    return wanted, (note,)


def find_unlisted(specs: Sequence[ModelSpec], words: str) -> Match | None:
    """The model whose name a quantized checkpoint that is not of the catalogue has before its format; None: none has.

    `someone/Llama-3.1-8B-Instruct-quantized.w4a16` is Llama 3.1 8B.
    """
    name = words.strip().rsplit("/", 1)[-1][:MAX_WORDS]
    found = _FORMAT_NAME.search(name)
    if found is None or not _format_in(name):
        return None
    match = find_model(specs, _BEFORE_FORMAT.sub("", name[: found.start()]))
    return Match(match.spec) if match is not None else None


def _format_in(words: str) -> str:
    """The format that a name says; "" where it says none."""
    name = words.strip().rsplit("/", 1)[-1][:MAX_WORDS]
    found = _FORMAT_NAME.search(name[name.rfind(":") :] if ":" in name else name)
    key = key_of(found[0][1:]) if found is not None else ""
    return key if key == GGUF or key in BYTES_PER_PARAMETER else ""


def _note(message: str, remedy: str) -> Problem:
    return Problem(Severity.NOTE, message, remedy, "quantization")
