"""Reads llama-server's log: weights and buffers one by one, slots, warm-up, and what ended the start.

The one rule: total. Source of the lines: builds b11434 and b11549, run and captured (tests/data/captures).
"""

from __future__ import annotations

import re

from sparkdesk.core.jobs.backend import Finding, LoadProgress, LogFailure, Reading, Told
from sparkdesk.core.jobs.reading import (
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    START_S,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)

BUFFER_KEYS = {"model": WEIGHTS_BYTES, "KV": KV_CAPACITY_BYTES, "compute": GRAPH_BYTES}
"""The words of its log for the parts of its memory."""


class LlamaCppLog:
    """Reads llama-server's log. Buffers are told one by one; each reading is the sum of those told so far."""

    _SLOTS = re.compile(r"n_slots = (\d{1,6}), n_ctx_slot = (\d{1,9})")
    _BUFFER = re.compile(r"(\S{1,40}) +(model|KV|compute) buffer size = +(\d{1,9}(?:\.\d{1,3})?) MiB")
    _CELLS = re.compile(r"size = +[\d.]+ MiB \( *(\d{1,10}) cells, .{1,60}?/ *(\d{1,5}) seqs\), K \((\w{1,16})\)")
    _CLOCK = re.compile(r"^(\d{1,6})\.(\d\d)\.(\d{3})\.(\d{3}) ")
    _TOLD = (
        ("version", re.compile(r"common_params_print_info: build (\d{1,9} \([\w.-]{1,40}\))")),
        ("quantization", re.compile(r"print_info: file type += ([\w .,-]{1,60})")),
        ("offloaded", re.compile(r"offloaded (\d{1,5}/\d{1,5}) layers to GPU")),
        ("attention_backend", re.compile(r"resolve_fused_ops: (Flash Attention (?:enabled|disabled))")),
    )
    _FAILURES = (
        ("invalid argument", "Remove the flag that this build of llama.cpp does not know."),
        ("error while handling argument", "Correct the value of that flag."),
        ("unknown model architecture", "Update llama.cpp on the node: this build is older than the model."),
        ("model is corrupted or incomplete", "Fetch the file again: it is not whole."),
        ("failed to open gguf", "Check the path of the file."),
        ("expected 'gguf'", "Choose a GGUF file: this is none, or it is damaged."),
        ("couldn't bind", "Take another port."),
        ("address already in use", "Take another port."),
        ("out of memory", "Lower the context or the number of users."),
        ("unable to allocate", "Lower the context or the number of users, or take smaller weights."),
        ("failed to allocate", "Lower the context or the number of users."),
        ("quantized v cache was requested", "Choose the attention backend on, or no KV type."),
        ("error loading model", "Check that the file is a whole GGUF and that this build knows it."),
        ("failed to load model", "Check that the file is a whole GGUF and that this build knows it."),
    )
    """In the words of b11434's source. The general ones come last: the first failure of a log is its cause."""

    def __init__(self) -> None:
        self._bytes: dict[tuple[str, str, int], float] = {}
        self._tokens = 0
        self._loading_s: float | None = None
        self._has_failed = False

    def feed(self, line: str) -> list[Finding | LogFailure]:
        """What this line tells."""
        line = line[:4096]
        if match := self._BUFFER.search(line):
            return self._buffer(match[2], match[1], float(match[3]))
        if match := self._CELLS.search(line):
            self._tokens = max(self._tokens, int(match[1]) * int(match[2]))
            return [Reading(KV_CAPACITY_TOKENS, float(self._tokens)), Told("kv_dtype", match[3])]
        for key, pattern in self._TOLD:
            if match := pattern.search(line):
                return [Told(key, match[1].strip())]
        return self._phases(line) or self._failures(line)

    def _phases(self, line: str) -> list[Finding | LogFailure]:
        if "listening on http" in line:
            at_s = self._seconds(line)
            told: list[Finding | LogFailure] = [] if at_s is None else [Reading(START_S, at_s)]
            return [LoadProgress("token", "Server listens"), *told]
        if "model loaded" in line:
            return [LoadProgress("load", "Model loaded", 1.0)]
        if "warming up the model" in line:
            return [LoadProgress("warmup", "Warm-up run")]
        if match := self._SLOTS.search(line):
            return [LoadProgress("load", f"{match[1]} slots of {int(match[2]):,} tokens", is_result=True)]
        if "no usable GPU found" in line:
            return [Told("offloaded", "no usable GPU was found")]
        if "loading model tensors" in line:
            self._loading_s = self._seconds(line)
            return [LoadProgress("load", "Loading weights")]
        if "constructing llama_context" in line and self._loading_s is not None:
            at_s, since_s, self._loading_s = self._seconds(line), self._loading_s, None
            return [] if at_s is None or at_s < since_s else [Reading(WEIGHTS_LOAD_S, at_s - since_s)]
        return [LoadProgress("load", "Loading the model")] if "load_model: loading model" in line else []

    def _buffer(self, kind: str, name: str, mib: float) -> list[Finding | LogFailure]:
        """A compute buffer is told again when it is laid out anew; the others are one more each time."""
        number = 0 if kind == "compute" else sum(key[0] == kind for key in self._bytes)
        if number < 1000:
            self._bytes[kind, name, number] = mib * 2**20
        total = sum(size for key, size in self._bytes.items() if key[0] == kind)
        return [Reading(BUFFER_KEYS[kind], total)]

    def _seconds(self, line: str) -> float | None:
        """The time since the start, that each line begins with."""
        match = self._CLOCK.match(line)
        return None if match is None else int(match[1]) * 60 + int(match[2]) + int(match[3]) / 1e3 + int(match[4]) / 1e6

    def _failures(self, line: str) -> list[Finding | LogFailure]:
        lower = line.lower()
        for words, remedy in self._FAILURES:
            if words in lower and not self._has_failed:
                self._has_failed = True
                return [LogFailure(line.strip()[:400], remedy)]
        return []
