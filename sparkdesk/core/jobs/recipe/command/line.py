"""Reads shell text with a model server's command in it: alone, in a container, in a script, with variables before.

The one rule: the server's command is read, every other command is listed; none is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.command.container import read_container
from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES, EngineFlags, spell
from sparkdesk.core.jobs.recipe.command.flag_reader import read_flags
from sparkdesk.core.jobs.recipe.command.words import ShellCommand, Word, clean, split_script
from sparkdesk.core.jobs.recipe.imported import Draft
from sparkdesk.core.jobs.recipe.risk import SECRET_NAME, SUBSTITUTION, check_name, check_variable

NOTE_MARK = "# sparkdesk: "
"""Begins the comment in which SparkDesk's own commands say what no flag can."""
# Not who may reach it, whether its code may run, and a command of its own: those a person says, no comment does.
NOTE_FIELDS = frozenset({
    "engine", "model", "weights_path", "served_name", "port", "context_tokens", "concurrency", "quantization",
    "kv_dtype", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "speculative",
    "build", "memory_fraction", "threads", "purpose", "speculative_model", "speculative_tokens", "prefix_caching",
    "tool_parser", "reasoning_parser", "attention_backend", "moe_backend", "load_format", "max_batched_tokens",
    "restart_limit", "stop_after_s", "weights_from",
})  # fmt: skip
MAX_DEPTH = 3
_NOT_RUN = "Another command: SparkDesk runs none but the server's, and that one its own way."
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_WRAPPERS = {
    "sudo": 0,
    "env": 0,
    "nohup": 0,
    "exec": 0,
    "time": 0,
    "trtllm-llmapi-launch": 0,
    "timeout": 1,
    "then": 0,
    "uvx": 0,
    "uv": 1,
}
"""Programs that start the next one, with how many words of their own come first."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,127}/[A-Za-z0-9][\w.-]{0,127}")
_UNKNOWN_SERVERS = {"ollama": "Ollama", "lms": "LM Studio", "mlx_lm.server": "MLX", "text-generation-launcher": "TGI"}


def read_command(draft: Draft, text: str) -> bool:
    """Take the first model server of the text into the draft; whether there was one."""
    text = clean(text)
    _read_note(draft, text)
    try:
        return _Reader(draft).script(text, {}, 0)
    except PlanError as error:
        draft.refuse("command", error.message, error.remedy)
        return False


def server_of(words: Sequence[str]) -> tuple[EngineFlags, int] | None:
    """The engine that these words start, and how many of them are its name; None: no server."""
    names = [word.rsplit("/", 1)[-1] for word in words[:4]]
    if not names:
        return None
    if names[0] == "vllm" and "serve" in names[1:2]:
        return ENGINES["vllm"], 2
    if names[0] == "sglang" and "serve" in names[1:2]:
        return ENGINES["sglang"], 2
    if names[0] in ("trtllm-serve", "llama-server"):
        return ENGINES["trtllm" if names[0] == "trtllm-serve" else "llamacpp"], 1
    if re.fullmatch(r"python3?(\.\d+)?", names[0]) and names[1:2] == ["-m"] and len(names) > 2:
        module = names[2]
        if module == "vllm.entrypoints.openai.api_server":
            return ENGINES["vllm"], 3
        if module == "sglang.launch_server":
            return ENGINES["sglang"], 3
    return None


class _Reader:
    """Walks commands, and the commands inside their quotes, until it finds a server."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._is_found = False

    def script(self, text: str, known: dict[str, str], depth: int) -> bool:
        """All commands of a script."""
        for command in split_script(text, known):
            self._command(command, depth)
        return self._is_found

    def _command(self, command: ShellCommand, depth: int) -> None:
        words, variables = self._unwrap(command.words)
        if not words:
            return
        for redirect in command.redirects:
            self._draft.miss("command", redirect, "SparkDesk writes no file but the log that it keeps itself.")
        server = server_of([word.text for word in words])
        name = words[0].text.rsplit("/", 1)[-1]
        if server is not None and not self._is_found:
            self._take_variables(variables)
            self._serve(server[0], words[server[1] :])
        elif name in ("docker", "podman") and [word.text for word in words[1:2]] in (["run"], ["exec"]):
            self._container(words, depth)
        elif name in ("bash", "sh") and depth < MAX_DEPTH and (inner := _script_of(words)) is not None:
            self._script_word(inner, {}, depth)
        elif _is_bare(words) and not self._is_found:
            self._bare(words)
        else:
            self._other(command, name)

    def _unwrap(self, words: Sequence[Word]) -> tuple[list[Word], list[tuple[str, str, Word]]]:
        """The words without what only starts or prepares them, and the variables that are set for them."""
        rest = list(words)
        variables: list[tuple[str, str, Word]] = []
        while rest:
            match = _ASSIGNMENT.fullmatch(rest[0].text)
            name = rest[0].text.rsplit("/", 1)[-1]
            if match:
                variables.append((match[1], match[2], rest[0]))
                del rest[0]
            elif name in _WRAPPERS and len(rest) > 1:
                self._draft.leave("command", name, "SparkDesk starts the server its own way.")
                del rest[: 1 + _WRAPPERS[name]]
            elif name == "mpirun" or (name == "export" and len(rest) > 1):
                rest = self._unwrap_mpi(rest) if name == "mpirun" else rest[1:]
            else:
                break
        if not rest:
            for key, value, _ in variables:
                shown = "(not shown)" if SECRET_NAME.search(key.upper()) else value
                self._draft.leave(key, shown, "Set for what follows in the text.")
        return rest, variables

    def _unwrap_mpi(self, words: list[Word]) -> list[Word]:
        at = 1
        while at < len(words) and words[at].text.startswith("-"):
            at += 2
        shown = " ".join(word.text for word in words[:at])
        self._draft.leave("command", shown, "SparkDesk starts the ranks its own way.")
        return words[at:]

    def _take_variables(self, variables: list[tuple[str, str, Word]]) -> None:
        for name, value, word in variables:
            if check_variable(self._draft, "environment", name, value, word.asks):
                known = self._draft.fields.get("environment", ())
                self._draft.fields["environment"] = (*known, (name, value))

    def _serve(self, engine: EngineFlags, words: Sequence[Word]) -> None:
        self._is_found = True
        read_flags(self._draft, engine, words)

    def _container(self, words: Sequence[Word], depth: int) -> None:
        if self._is_found:
            self._draft.miss("command", " ".join(word.text for word in words), "A second server: launch it by itself.")
            return
        found = read_container(self._draft, words[2:], is_exec=words[1].text == "exec")
        if found.image and check_name(self._draft, "image", found.image):
            self._draft.fields["image"] = found.image
        inner, variables = self._unwrap(found.words)
        self._take_variables(variables)
        server = server_of([word.text for word in inner])
        name = inner[0].text.rsplit("/", 1)[-1] if inner else ""
        if server is not None:
            self._serve(server[0], inner[server[1] :])
        elif name in ("bash", "sh") and depth < MAX_DEPTH and (script := _script_of(inner)) is not None:
            self._script_word(script, found.variables, depth)
        elif (engine := _engine_of_image(found.image)) is not None:
            self._serve(engine, inner)
        elif inner:
            self._draft.miss("command", " ".join(word.text for word in inner), _NOT_RUN)
        self._move_path(found.mounts)

    def _move_path(self, mounts: dict[str, str]) -> None:
        """A file's place inside the container is said as its place on the node."""
        path = self._draft.fields.get("weights_path")
        for target, source in mounts.items():
            if isinstance(path, str) and target and path.startswith(f"{target.rstrip('/')}/"):
                moved = source.rstrip("/") + path[len(target.rstrip("/")) :]
                self._draft.fields["weights_path"] = moved
                self._draft.fields.setdefault("model", moved.rsplit("/", 1)[-1])

    def _script_word(self, word: Word, known: dict[str, str], depth: int) -> None:
        self._draft.leave("command", "sh -c", "SparkDesk starts the server without a shell.")
        self.script(word.text, known, depth + 1)

    def _bare(self, words: Sequence[Word]) -> None:
        """A model and flags without the program, as tables of recipes print them."""
        names = {spell(word.text.partition("=")[0]) for word in words if word.text.startswith("--")}
        scores = {
            key: sum(engine.find(name) is not None or name in engine.valued | engine.switches for name in names)
            for key, engine in ENGINES.items()
        }
        engine = ENGINES[max(scores, key=lambda key: scores[key])]
        self._draft.note("engine", f"The text names no program; its flags are {engine.title}'s", "Check the engine.")
        self._serve(engine, words)

    def _other(self, command: ShellCommand, name: str) -> None:
        if name in _UNKNOWN_SERVERS and not self._is_found:
            self._draft.refuse(
                "engine", f"SparkDesk has no engine {_UNKNOWN_SERVERS[name]}", "Serve the model with vLLM or llama.cpp."
            )
        self._draft.miss("command", command.line, _NOT_RUN)
        if command.document:
            where = f"the text for {command.target or name}"
            self._draft.miss(where, command.document, "SparkDesk writes no files that a text brings along.")
            self._draft.documents[command.target] = command.document


def _script_of(words: Sequence[Word]) -> Word | None:
    """The script of `sh -c SCRIPT`."""
    for at, word in enumerate(words[1:-1], start=1):
        if re.fullmatch(r"-[a-z]*c", word.text):
            return words[at + 1]
    return None


def _engine_of_image(image: str) -> EngineFlags | None:
    """The engine that an image starts when only its flags are given."""
    if re.match(r"(?:[a-z0-9.-]+/)?vllm/vllm-openai(?::|@|$)", image):
        return ENGINES["vllm"]
    return ENGINES["llamacpp"] if re.search(r"llama\.cpp:(?:server|full)", image) else None


def _is_bare(words: Sequence[Word]) -> bool:
    return len(words) > 1 and bool(_HUB_ID.fullmatch(words[0].text)) and words[1].text.startswith("-")


def _read_note(draft: Draft, text: str) -> None:
    """What one of SparkDesk's own commands says in its comment; anybody may have written it, so it is checked too."""
    for line in text.splitlines():
        if not line.startswith(NOTE_MARK) or len(line) > 8192:
            continue
        try:
            values = json.loads(line.removeprefix(NOTE_MARK))
        except (ValueError, RecursionError):
            values = None
        for name, value in values.items() if isinstance(values, dict) else ():
            if name in NOTE_FIELDS and not (isinstance(value, str) and SUBSTITUTION.search(value)):
                draft.noted[name] = value
            else:
                draft.miss(NOTE_MARK.strip(), f"{name}: {value}", "No field that a comment may set.")
