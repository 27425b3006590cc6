"""Which engine a container's words start: what each image has as its entry point, and which programs are in it.

The one rule: a simulated image has its one engine, and its Python for a line of code, a script or torchrun; another
word is docker's "not found".
"""

from __future__ import annotations

import shlex

VLLM, SGLANG, TRTLLM, PYTHON = "vllm", "sglang", "trtllm", "python"
PROGRAMS = {
    VLLM: "vllm_server.py", SGLANG: "sglang_server.py", TRTLLM: "trtllm_server.py", PYTHON: "image_python.py",
}  # fmt: skip
_ENTRY = ("vllm/vllm-openai",)  # their entry point is the server already
_VLLM_MODULES = ("vllm.entrypoints.openai.api_server",)


class NoProgram(Exception):
    """The image has no program of this name."""


def engine_of(repository: str) -> str:
    """The engine in an image, by the last parts of its name."""
    if "sglang" in repository:
        return SGLANG
    return TRTLLM if "tensorrt-llm" in repository else VLLM


def engine_words(repository: str, words: list[str], entrypoint: str | None) -> tuple[str, list[str]]:
    """(engine, the words that reach it). Raises NoProgram."""
    engine = engine_of(repository)
    if entrypoint is not None:
        words = [entrypoint, *words]
    elif repository in _ENTRY:
        return engine, words
    words = _without_shell(words)
    inner = _without_timeout(words)
    if inner[:2] in (["python3", "-c"], ["python", "-c"]) and len(inner) > 2:
        return PYTHON, inner[1:]
    if inner[:1] in (["python3"], ["python"]) and inner[1:2] and inner[1].endswith(".py"):
        return PYTHON, inner[1:]
    if _is_module(inner, ("torch.distributed.run",)) or inner[:1] == ["torchrun"]:
        return PYTHON, ["-m", "torch.distributed.run", *inner[1 if inner[0] == "torchrun" else 3 :]]
    if engine == VLLM:
        if words[:2] == ["vllm", "serve"]:
            return engine, words[2:]
        if _is_module(words, _VLLM_MODULES):
            return engine, words[3:]
    elif engine == SGLANG and _is_module(words, ("sglang.launch_server",)):
        return engine, words[3:]
    elif engine == SGLANG and words[:2] == ["sglang", "serve"]:
        return engine, words[2:]
    elif engine == TRTLLM and words[:1] == ["trtllm-serve"]:
        return engine, words[2:] if words[1:2] == ["serve"] else words[1:]
    raise NoProgram(words[0] if words else "bash")


def _is_module(words: list[str], modules: tuple[str, ...]) -> bool:
    return len(words) >= 3 and words[0] in ("python3", "python") and words[1] == "-m" and words[2] in modules


def _without_timeout(words: list[str]) -> list[str]:
    """`timeout [-k S] S PROGRAM ...` is that program: a simulated one ends in time, or is ended with its container."""
    if words[:1] != ["timeout"]:
        return words
    rest = words[3:] if words[1:2] == ["-k"] else words[1:]
    return rest[1:] if rest[:1] and rest[0].removesuffix("s").isdecimal() else words


def _without_shell(words: list[str]) -> list[str]:
    """`bash -c 'exec PROGRAM ...'` of one plain command is that command; a real script has nothing to run in."""
    if len(words) == 3 and words[0] in ("bash", "sh", "/bin/bash", "/bin/sh") and words[1] in ("-c", "-lc"):
        try:
            inner = shlex.split(words[2])
        except ValueError:
            return words
        if not set("|&;<>$`\n(") & set(words[2]):
            return inner[1:] if inner[:1] == ["exec"] else inner
    return words
