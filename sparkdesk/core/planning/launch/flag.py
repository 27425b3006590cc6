"""Words that a person adds to an engine's command line and environment, held against what the plan promises.

The one rule: the plan says where the server listens, under which name and behind which key; no added word may change
that, however it is written, and no secret stands in a plan. What the engine's own table of flags does not have is
only warned of: another image may know more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice, takewhile
from types import MappingProxyType

from sparkdesk.core.cluster.server_report import ENGINE_TITLES
from sparkdesk.core.jobs.flag_table import (
    MOST_NAME_CHARS,
    ONE_WORD,
    STRAY,
    Fault,
    FlagTable,
    FlagTables,
    find_faults,
)
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.recipe.risk import SECRET_VALUE, looks_secret
from sparkdesk.core.jobs.request import LaunchRequest

_REACH = "Choose who reaches the server in the form (Reachable from)."
_KEY = "Choose in the form who reaches it: SparkDesk makes the server's key and keeps it."
_PORT = "Use the form's port."
_NAME = "Use the form's served name."
_PLAIN = "Leave it out: SparkDesk reaches the server in plain HTTP, at the form's port."
_FILE = "Write the flags themselves: a file could set address and key unseen."
PROMISED: Mapping[str, str] = MappingProxyType({
    "--host": _REACH, "--listen": _REACH, "--uds": _REACH, "--fd": _REACH, "--port": _PORT, "--api-key": _KEY,
    "--api-key-file": _KEY, "--admin-api-key": _KEY, "--served-model-name": _NAME, "--alias": _NAME, "-a": _NAME,
    "--config": _FILE, "--grpc": _PLAIN, "--grpc-mode": _PLAIN, "--grpc-port": _PLAIN, "--ssl-keyfile": _PLAIN,
    "--ssl-certfile": _PLAIN, "--ssl-key-file": _PLAIN, "--ssl-cert-file": _PLAIN, "--root-path": _PLAIN,
    "--fastapi-root-path": _PLAIN, "--api-prefix": _PLAIN,
})  # fmt: skip
"""Flag -> what to use instead. Source: the tables in resources/flags, which were read from the engines' own source."""
PROMISED_VARIABLES: Mapping[str, str] = MappingProxyType({
    "HOST": _REACH, "PORT": _PORT, "VLLM_HOST_IP": _REACH, "OLLAMA_HOST": _REACH, "UVICORN_HOST": _REACH,
    "UVICORN_PORT": _PORT, "UVICORN_UDS": _REACH, "LLAMA_ARG_HOST": _REACH, "LLAMA_ARG_PORT": _PORT,
    "LLAMA_ARG_ALIAS": _NAME, "LLAMA_ARG_API_PREFIX": _PLAIN, "LLAMA_API_KEY": _KEY, "LLAMA_ARG_API_KEY": _KEY,
    "LLAMA_ARG_API_KEY_FILE": _KEY, "LLAMA_ARG_SSL_KEY_FILE": _PLAIN, "LLAMA_ARG_SSL_CERT_FILE": _PLAIN,
    "VLLM_API_KEY": _KEY, "HF_ENDPOINT": "Leave it out: weights come from the hub that the plan names.",
})  # fmt: skip
MOST_FAULTS = 8
"""Flags that are warned of; who has more of them has pasted something else."""
_SECRET_FLAG = re.compile(r"(?:^|_)(?:TOKEN|SECRET|PASSWORD)$")
_OPEN = re.compile(r"(?:^|=|//)(?:0\.0\.0\.0|\[?::\]?)(?::\d{1,5})?$")
_TWICE: Mapping[str, str] = MappingProxyType({
    "--max-model-len": "context", "--context-length": "context", "--ctx-size": "context", "-c": "context",
    "--max-seq-len": "context", "--max-num-seqs": "concurrency", "--max-running-requests": "concurrency",
    "--parallel": "concurrency", "-np": "concurrency", "--max-batch-size": "concurrency",
    "--gpu-memory-utilization": "memory share", "--mem-fraction-static": "memory share",
})  # fmt: skip
"""What the form tells an engine in any case -> its field."""


def word_and_variable_problems(request: LaunchRequest) -> list[Problem]:
    """What speaks against the request's added words and variables. No message holds a value."""
    found = [problem for word in request.extra_flags for problem in _flag_problems(request, word)]
    for name, text in request.environment:
        is_own = request.engine == "custom" and name in ("HOST", "PORT") and not _OPEN.search(text)
        if name in PROMISED_VARIABLES and not is_own:
            found.append(_error(f"{name} changes what the plan says", PROMISED_VARIABLES[name], "environment"))
        elif looks_secret(name, text):
            found.append(_secret(name, "environment"))
    return found


def table_problems(request: LaunchRequest, tables: FlagTables) -> list[Problem]:
    """Added flags that the engine's own table does not have, or not so. No message holds a flag's value."""
    table = tables.get(request.engine)
    if table is None:
        return []
    faults = (fault for fault in find_faults(request.extra_flags, table) if not promised_flag(fault.name))
    return [_table_problem(fault, table) for fault in islice(faults, MOST_FAULTS)]


def _table_problem(fault: Fault, table: FlagTable) -> Problem:
    name = _shown(fault.name)
    if fault.message == STRAY:
        name = "A word"  # it may be a secret: it is not shown
    release = f"{ENGINE_TITLES.get(table.engine, table.engine)} {table.version}"
    if fault.message == ONE_WORD:
        words, remedy = f"{name} and its value are one word", "Write flag and value as two words."
    elif fault.message == STRAY:
        words, remedy = f"A word of the extra flags {STRAY}", f"Write the flag before it; its release is {release}."
    else:
        words = f"{name} {fault.message} in {release}"
        remedy = "Check that the image has it, or leave it out."
    if fault.near:
        remedy = f"{name}: did you mean {fault.near}? Else check that the image has it."
    return Problem(Severity.WARNING, words[:300], remedy, "extra_flags")


def promised_flag(word: str) -> str:
    """The promised flag that a word sets, in any spelling that an engine's parser takes; "" is none.

    Underscores count as dashes, and the beginning of a name as the name (argparse).
    """
    name = _name(word)
    if name in PROMISED:
        return name
    if len(name) > len("--") and name.startswith("--"):
        return next((flag for flag in PROMISED if flag.startswith(name)), "")
    return ""


def _shown(name: str) -> str:
    """The part of a flag's name that may be shown: behind a space or a letter that cannot be seen stands a value."""
    is_of_name = takewhile(lambda letter: letter.isprintable() and not letter.isspace(), name.strip())
    return "".join(islice(is_of_name, MOST_NAME_CHARS))


def _name(word: str) -> str:
    return word.partition("=")[0].strip().replace("_", "-")


def _flag_problems(request: LaunchRequest, word: str) -> list[Problem]:
    name, is_custom = _name(word), request.engine == "custom"
    if (promised := promised_flag(word)) and not is_custom:
        return [_error(f"{promised} is not for the extra flags: the plan sets it", PROMISED[promised], "extra_flags")]
    is_given = name.startswith("--") and not name.startswith("--no-")
    is_secret_flag = is_given and _SECRET_FLAG.search(name[2:].replace("-", "_").upper())
    if is_secret_flag or SECRET_VALUE.search(word):
        return [_secret(_shown(name) if is_secret_flag else "the value of a flag", "extra_flags")]
    if _OPEN.search(word):
        return [_error("An extra flag listens on all networks", _REACH, "extra_flags")]
    if name in _TWICE and not is_custom:
        words, remedy = f"{name} comes twice: the last one counts", f"Use the form's field instead: {_TWICE[name]}."
        return [Problem(Severity.WARNING, words, remedy, "extra_flags")]
    return []


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)


def _secret(name: str, field: str) -> Problem:
    remedy = "Give the hub's token in Settings; for other secrets a launch has no place: leave it out."
    return _error(f"Secrets do not go here: {name}", remedy, field)
