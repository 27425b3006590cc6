"""What the launch form says. Saved as TOML it is a recipe; from outside it is untrusted, hence pydantic."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

MODEL_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?\Z")
"""A catalogue name or a hub id: never a leading dash, a space or a path."""
PATH_PATTERN = re.compile(r"^(~/|/)[^\0\n]{1,1000}\Z")


WORD = r"^[A-Za-z0-9_.-]{0,64}$"
MAX_WORDS_CHARS = 65_536
"""Of one added word, and of all words of a field together: a command line has an end."""

Text = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


def _bounded(words: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, words)) > MAX_WORDS_CHARS:
        raise ValueError(f"together at most {MAX_WORDS_CHARS} characters")
    try:
        "".join(words).encode()
    except UnicodeEncodeError as error:
        raise ValueError("not text") from error
    return words


class CustomServer(BaseModel):
    """A server that no adapter knows: its words may hold {rank} {nodes} {head_ip} {cx7_ifname} {hca} {port}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: Annotated[tuple[Text, ...], Field(min_length=1, max_length=200), AfterValidator(_bounded)]
    """One word each; no shell reads them. In a container they come after the image."""
    venv: Annotated[str, Field(max_length=1000)] = ""
    """A Python environment on the node, whose bin is put before PATH; only without an image."""
    ready: Literal["http", "port", "log"] = "http"
    ready_value: Annotated[str, Field(max_length=400)] = "/health"
    """The path that answers 200, or the words that a line of the log holds; nothing for "port"."""
    base_path: Annotated[str, Field(max_length=200)] = "/v1"
    """Where it speaks OpenAI's protocol; "" where it does not: then it is ready when its check says so."""
    stop_command: Annotated[tuple[Text, ...], Field(max_length=200), AfterValidator(_bounded)] = ()
    """Run before the signals; () is none."""


class LaunchRequest(BaseModel):
    """One model server to start. Every field has a range; what is out of it is an error at its field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    model: str
    """Catalogue name or hub id."""
    weights_path: str = ""
    """A file or folder on the node, for engines that load one (llama.cpp: the GGUF)."""
    nodes: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """Node ids in rank order."""
    served_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
    port: Annotated[int, Field(ge=1024, le=65535)] = 8000
    context_tokens: Annotated[int, Field(ge=128, le=4_194_304)] = 4096
    """The longest prompt plus answer of ONE request."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 1
    quantization: Annotated[str, Field(max_length=32)] = ""
    kv_dtype: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,32}$")] = ""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    pipeline_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    data_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    speculative: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,32}$")] = ""
    """Method of speculative decoding; "" is none."""
    build: Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,32}$")] = ""
    """Which build of the engine its plan was made for; "" is its stock build."""
    memory_fraction: Annotated[float, Field(gt=0.0, le=0.98)] | None = None
    """Share of unified memory the engine may take (vLLM)."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """CPU threads (llama.cpp); None is the adapter's own choice."""
    purpose: Literal["chat", "vision", "embed", "rerank"] = "chat"
    speculative_model: Annotated[str, Field(max_length=256)] = ""
    """The draft's hub id, or its file on the node (llama.cpp); "" where the method needs none."""
    speculative_tokens: Annotated[int, Field(ge=1, le=64)] | None = None
    prefix_caching: bool | None = None
    """None is the engine's own default."""
    tool_parser: Annotated[str, Field(pattern=WORD)] = ""
    """As the engine calls it; "" is none."""
    reasoning_parser: Annotated[str, Field(pattern=WORD)] = ""
    attention_backend: Annotated[str, Field(pattern=WORD)] = ""
    moe_backend: Annotated[str, Field(pattern=WORD)] = ""
    load_format: Annotated[str, Field(pattern=WORD)] = ""
    max_batched_tokens: Annotated[int, Field(ge=16, le=1_048_576)] | None = None
    trust_remote_code: bool = False
    """Whether code that comes with the model may run in the container."""
    reach: Literal["node", "lan"] = "node"
    """Who can reach the server: the node itself (and we, through SSH), or its network, with a key."""
    restart_limit: Annotated[int, Field(ge=0, le=10)] = 3
    """How often the guard on the node starts an engine again that died."""
    stop_after_s: Annotated[int, Field(ge=60, le=30 * 86_400)] | None = None
    """When the guard stops it, counted from its start; None is never."""
    weights_from: Literal["auto", "hub", "desk"] = "auto"
    """Where weights and image come from when the node has none: the network, or this computer."""
    custom: CustomServer | None = None
    """What to run, for the engine "custom"."""
    image: Annotated[str, Field(max_length=256)] = ""
    extra_flags: Annotated[tuple[Text, ...], Field(max_length=64), AfterValidator(_bounded)] = ()
    environment: Annotated[tuple[tuple[str, Text], ...], Field(max_length=64)] = ()
    system_prompt: Annotated[str, Field(max_length=100_000)] = ""
    """What a new chat with this server starts with."""
    temperature: Annotated[float, Field(ge=0.0, le=5.0)] | None = None

    @property
    def digest(self) -> str:
        """16 hex digits that name this request's content, e.g. for a container's label."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @field_validator("model")
    @classmethod
    def _model_is_a_name(cls, value: str) -> str:
        if not MODEL_PATTERN.match(value):
            raise ValueError("a model is a name or owner/name: letters, digits, dot, dash, underscore")
        return value

    @field_validator("weights_path")
    @classmethod
    def _path_is_absolute(cls, value: str) -> str:
        if value and not PATH_PATTERN.match(value):
            raise ValueError("a path on the node starts with / or ~/")
        if ".." in value.split("/"):
            raise ValueError("a path on the node has no .. in it")
        return value

    @field_validator("image")
    @classmethod
    def _image_is_a_reference(cls, value: str) -> str:
        if value and not re.match(r"^[a-z0-9][a-z0-9._:/@-]{0,255}\Z", value):
            raise ValueError("not a container image reference")
        return value

    @field_validator("environment")
    @classmethod
    def _environment_names_are_plain(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for name, text in value:
            is_plain = re.match(r"^[A-Z_][A-Z0-9_]{0,127}\Z", name) and "\0" not in text
            if not is_plain or name in ("LD_PRELOAD", "LD_LIBRARY_PATH"):
                raise ValueError(f"not allowed as a variable: {name[:40]}")
        _bounded(tuple(text for _, text in value))
        return value
