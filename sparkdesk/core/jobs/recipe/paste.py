"""Reads whatever a person pastes: a hub address, a model's name, a server's command, a recipe, a GGUF's path.

The one rule: the text is data; what kind it is, is told by its own form, and what was not understood is listed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.recipe.command.flag_reader import name_of_file
from sparkdesk.core.jobs.recipe.command.line import read_command
from sparkdesk.core.jobs.recipe.completion import complete
from sparkdesk.core.jobs.recipe.imported import Draft, Imported, digest_of
from sparkdesk.core.jobs.recipe.recipe import take_recipe
from sparkdesk.core.jobs.recipe.risk import check_name
from sparkdesk.core.models.spec import ModelSpec

MAX_CHARS = 256 * 1024
_RECIPE_SUFFIXES = (".yaml", ".yml", ".json", ".toml")
_HUB = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?:models/)?"
    r"([\w.-]{1,128}/[\w.-]{1,128})(?::([\w.-]{1,64}))?(?:/(?:tree|blob|resolve)/([^/?#\s]+)(?:/([^?#\s]*))?)?/?(?:[?#].*)?"
)
_MODEL = re.compile(r"([A-Za-z0-9][\w.-]{0,127}(?:/[A-Za-z0-9][\w.-]{0,127})?)(?::([\w.-]{1,64}))?")
_GGUF_PATH = re.compile(r"(?:~|/|\.|\$HOME/|file:///)\S?.{0,1000}\.gguf", re.IGNORECASE | re.DOTALL)
_QUANTIZED_FILE = re.compile(
    r"[._-]((?:UD-)?(?:I?Q\d[A-Z0-9_]*|BF16|F16|MXFP4[A-Z0-9_]*))(?:-\d{5}-of-\d{5})?\.gguf$", re.I
)
_PERCENT = re.compile(r"%([2-7][0-9A-Fa-f])")  # of a file name in an address
_YAML_LINE = re.compile(r"""(?:---|%YAML|\{|["']?[A-Za-z_][\w.-]*["']?\s*:(?:\s|$))""")
_TOML_LINE = re.compile(r"(?:\[|[\w.-]+\s*=)")

Loader = Callable[[str], Mapping[str, Any]]
"""Reads YAML text as plain data; raises SparkDeskError. The door to it lies outside of the core."""


def read_paste(
    text: str,
    catalogue: Sequence[ModelSpec] = (),
    backends: Collection[str] = (),
    *,
    load_yaml: Loader | None = None,
    is_recipe: bool = False,
) -> Imported:
    """The text as fields of a launch request.

    `catalogue` completes names and formats. `backends`: keys of the engines that have an adapter; empty is not known.
    `is_recipe`: it can be nothing else, e.g. because its file says so.
    Never raises: what is wrong is a problem of the result.
    """
    draft = Draft()
    digest = digest_of(text)
    if len(text) > MAX_CHARS:
        draft.refuse("", f"The text has {len(text)} characters", f"Paste at most {MAX_CHARS}.")
        return draft.settle("", digest)
    stripped = text.strip().strip("\u200b\ufeff")
    is_word = not is_recipe and (not re.search(r"\s", stripped) or _is_path(stripped))
    kind = _read_word(draft, stripped) if is_word else ""
    origin: Mapping[str, Any] | None = None
    if not kind:
        first = _first_line(stripped)
        if is_recipe or _YAML_LINE.match(first) or (_TOML_LINE.match(first) and _load_toml(stripped) is not None):
            kind, origin = _read_recipe(draft, stripped, load_yaml)
        elif read_command(draft, text):
            kind = "command"
    if not kind and not draft.problems:
        _refuse_all(draft, stripped)
    complete(draft, catalogue, backends)
    return draft.settle(kind, digest, origin)


def is_recipe_name(name: str) -> bool:
    """Whether a file of this name can be nothing but a recipe."""
    return name.lower().endswith(_RECIPE_SUFFIXES)


def _is_path(text: str) -> bool:
    return "\n" not in text and bool(_GGUF_PATH.fullmatch(text))


def _first_line(text: str) -> str:
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return next(lines, "")


def _read_word(draft: Draft, text: str) -> str:
    """A text of one word: an address, a path, a model's name. The kind; "" for none of them."""
    if match := _HUB.fullmatch(text):
        _take_hub(draft, match)
        return "hub"
    if _is_path(text):
        _take_path(draft, text)
        return "gguf"
    if match := _MODEL.fullmatch(text):
        draft.fields["model"] = match[1]
        if match[2]:
            draft.fields["quantization"] = match[2]
            draft.fields["engine"] = "llamacpp"
        elif match[1].upper().endswith("GGUF"):
            draft.fields["engine"] = "llamacpp"
        return "hub"
    return ""


def _take_hub(draft: Draft, match: re.Match[str]) -> None:
    draft.fields["model"] = match[1]
    revision, path = match[3], _PERCENT.sub(lambda found: chr(int(found[1], 16)), match[4] or "")
    if revision and revision != "main" and check_name(draft, "extra_flags", revision):
        draft.fields["extra_flags"] = ("--revision", revision)
    if path.lower().endswith(".gguf") or match[2] or match[1].upper().endswith("GGUF"):
        draft.fields["engine"] = "llamacpp"
        found = _QUANTIZED_FILE.search(path)
        if match[2] or found:
            draft.fields["quantization"] = match[2] or (found[1].upper() if found else "")
    if path:
        draft.leave("address", path, "The model is taken as a whole; its format is chosen in the form.")


def _take_path(draft: Draft, text: str) -> None:
    path = text.removeprefix("file://")
    path = f"~{path[5:]}" if path.startswith("$HOME/") else path
    draft.fields["engine"] = "llamacpp"
    if check_name(draft, "weights_path", path):
        draft.fields["weights_path"] = path
        draft.fields["model"] = name_of_file(path)
    if found := _QUANTIZED_FILE.search(path):
        draft.fields["quantization"] = found[1].upper()


def _load_toml(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return None


def _read_recipe(draft: Draft, text: str, load_yaml: Loader | None) -> tuple[str, Mapping[str, Any] | None]:
    data: Mapping[str, Any] | None = _load_toml(text) if _TOML_LINE.match(_first_line(text)) else None
    if data is None and load_yaml is not None:
        try:
            data = load_yaml(text)
        except SparkDeskError as error:
            draft.refuse("", error.message, error.remedy)
            return "", None
    if data is None:
        draft.refuse("", "This is no recipe that can be read here", "Open it as a file.")
        return "", None
    return take_recipe(draft, data), data


def _refuse_all(draft: Draft, text: str) -> None:
    draft.refuse(
        "",
        "This is no model, command or recipe that SparkDesk knows" if text else "The text is empty",
        "Paste a hub address or name, a command of vllm, SGLang, TensorRT-LLM or llama.cpp, a recipe, a GGUF's path.",
    )
    for number, line in enumerate(text.splitlines()[:50], start=1):
        if line.strip() and not any(line.strip() in each.text for each in draft.unknown):
            draft.miss(f"line {number}", line, "Not understood.")
