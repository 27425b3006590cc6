"""Reads an engine's log by a table of rules: what a line says of the start, of the engine itself, of its failure.

The one rule: total. A line of any size and content is fine; the first rule that knows it reads it, and a line that no
rule knows tells nothing. Failures come after all else, so that a warning in passing is not taken for the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparkdesk.core.jobs.backend import Finding, LoadProgress, LogFailure, Reading, Told
from sparkdesk.core.jobs.log_level import drop_prefix

MAX_CHARS = 16_384
"""Of a line; an engine's own line of configuration has about 4,000."""
MAX_MESSAGE = 400
GIB = 1 << 30
_TOKENS = re.compile(r"\b(\d{4,12}) tokens")
ANSI = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")

Findings = Sequence[Finding]
Read = Callable[[re.Match[str]], Findings]


@dataclass(frozen=True, slots=True)
class LogRule:
    """What a line that matches tells."""

    pattern: re.Pattern[str]
    read: Read


@dataclass(frozen=True, slots=True)
class FailureRule:
    """Words of a line that ends the start, and what helps. `{1}` in the remedy is the pattern's first group."""

    pattern: re.Pattern[str]
    remedy: str


class RuledLog:
    """One rank's log, read by tables; the start-up lines of an engine need no state."""

    def __init__(self, rules: Sequence[LogRule], failures: Sequence[FailureRule]) -> None:
        self._rules = tuple(rules)
        self._failures = tuple(failures)

    def feed(self, line: str) -> Sequence[Finding | LogFailure]:
        """What this line tells."""
        line = ANSI.sub("", line[:MAX_CHARS])
        for rule in self._rules:
            match = rule.pattern.search(line)
            if match is not None:
                return rule.read(match)
        for failure in self._failures:
            match = failure.pattern.search(line)
            if match is not None:
                return (LogFailure(_message(line, match), _fill(failure.remedy, match)),)
        return ()


def say(phase: str, text: str, fraction: float | None = None, *, is_result: bool = False) -> Read:
    """A rule's reader that tells how far the start is; `{1}` in the text is the first group of the match."""
    return lambda match: (LoadProgress(phase, _group_tokens(_fill(text, match)), fraction, is_result),)


def _group_tokens(words: str) -> str:
    """ "31227 tokens" as a person reads it: "31,227 tokens"."""
    return _TOKENS.sub(lambda found: f"{int(found[1]):,} tokens", words)


def say_share(phase: str, text: str) -> Read:
    """The same, where the first group is a percentage."""
    return lambda match: (LoadProgress(phase, _fill(text, match), min(1.0, int(match[1]) / 100)),)


def tell(key: str, text: str = "{1}") -> Read:
    """A rule's reader that tells a fact of the engine in words."""
    return lambda match: (Told(key, _fill(text, match)[:200]),)


def number(text: str) -> float:
    """A number as engines write it (1,234.5); NaN for none."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return float("nan")


def gib(key: str, text: str) -> Reading:
    """A reading of so many GiB, in bytes."""
    return Reading(key, number(text) * GIB)


def _fill(text: str, match: re.Match[str]) -> str:
    for index, group in enumerate(match.groups(), start=1):
        text = text.replace(f"{{{index}}}", group or "")
    return text


def _message(line: str, match: re.Match[str]) -> str:
    """The line's words, cut at their end; from the known ones on where these stand too far behind."""
    words = drop_prefix(line)
    known = match[0][: MAX_MESSAGE // 2]
    if len(words) > MAX_MESSAGE and known not in words[:MAX_MESSAGE]:
        words = f"…{line[match.start() :].strip()}"
    return words if len(words) <= MAX_MESSAGE else f"{words[: MAX_MESSAGE - 1]}…"


DOCKER_FAILURES = tuple(
    FailureRule(re.compile(pattern), remedy)
    for pattern, remedy in (
        (r"unknown flag: |unknown shorthand flag", "Remove the option that docker does not know."),
        (r"Cannot connect to the Docker daemon", "Start docker on the node: sudo systemctl start docker."),
        (r"permission denied while trying to connect to the (?:D|d)ocker",
         "Add the user to the docker group (sudo usermod -aG docker NAME) and sign in again."),
        (r"could not select device driver", "Install the NVIDIA container toolkit on the node and restart docker."),
        (r"No such image|manifest unknown|manifest for .{1,200} not found", "Choose an image that exists."),
        (r"no matching manifest for linux/arm64|exec format error",
         "Choose an image that is built for arm64: a DGX Spark runs no other."),
        (r"pull access denied|unauthorized: authentication required",
         "Sign in to the image's registry on the node (docker login), or choose another image."),
        (r"no space left on device", "Free disk space on the node (Models on disk), then launch it again."),
        (r"Conflict\. The container name", "Remove the older container of this name, then launch it again."),
    )
)  # fmt: skip
"""What docker itself says before an engine of it begins. Source: docker's own messages, recalled."""

GPU_FAILURES = tuple(
    FailureRule(re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (r"CUDA out of memory|torch\.OutOfMemoryError|CUDA error: out of memory",
         "Lower the memory share or the context, or stop what runs on the node."),
        (r"libcudart\.so\.12", "Use an image made for CUDA 13: this one holds packages for CUDA 12."),
        (r"no kernel image is available", "Use an image whose kernels are built for sm_121 (DGX Spark)."),
        (r"ptxas fatal", "Set TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas in the launch's environment."),
        (r"gated repo|GatedRepoError|awaiting a review from the repo authors",
         "Accept the model's licence on its page and give your token in Settings."),
        (r"401 Client Error|Invalid user token|Invalid username or password",
         "Give a token of the hub that is valid in Settings."),
        (r"403 Client Error", "Accept the model's licence on its page, and check what your token may read."),
        (r"RepositoryNotFoundError|404 Client Error|is not a valid model identifier|is not a local folder and is not",
         "Check the model's name, and whether it needs a token."),
        (r"trust_remote_code=True|--trust-remote-code", "Allow code that comes with the model, after reading it."),
        (r"address already in use", "Take another port."),
        (r"Model architectures .{1,200} are not supported",
         "Take another engine or a newer image: this release does not know the model's kind."),
        (r"illegal memory access was encountered",
         "Launch it again; if it comes back, choose another attention or MoE backend, or another image."),
        (r"couldn't connect to .{1,100} to load the files, and couldn't find them in the cached",
         "Fetch the model under Models on disk: this server was told not to ask the hub."),
        (r"Failed to infer device type|No accelerator \(CUDA",
         "The container sees no GPU: look at docker's NVIDIA runtime on the node."),
        (r"SafetensorError|incomplete metadata, file not fully covered",
         "Verify the weights under Models on disk and fetch them again."),
    )
)  # fmt: skip
"""What every engine on PyTorch can say. Source: PyTorch, huggingface_hub, transformers and uvicorn, recalled; GB10's
own from reports of its users."""
