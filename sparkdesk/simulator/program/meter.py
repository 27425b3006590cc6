"""What a simulated server counts of the answers that pass through it: times to tokens as histograms, and sums.

The one rule: only what really passed is counted; a kind of event that never came stays at zero.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any


class Histogram:
    """Counts by upper bound, as Prometheus keeps them."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """So many events of this value."""
        at = sum(value > bound for bound in self.bounds)
        self._counts[at] += count
        self.total += value * count

    @property
    def count(self) -> int:
        """All events."""
        return sum(self._counts)

    def lines(self, name: str, labels: str) -> list[str]:
        """As a metrics page has it; `labels` without braces."""
        rows, so_far = [f"# TYPE {name} histogram"], 0
        for bound, count in zip((*map(_number, self.bounds), "+Inf"), self._counts, strict=True):
            so_far += count
            rows.append(f'{name}_bucket{{{labels},le="{bound}"}} {float(so_far)}')
        return [*rows, f"{name}_count{{{labels}}} {float(self.count)}", f"{name}_sum{{{labels}}} {self.total}"]


def _number(value: float) -> str:
    return str(float(value))


@dataclass
class Meter:
    """One server's counts. Bounds in seconds; whole server, all engines together."""

    first: Histogram
    between: Histogram
    whole: Histogram
    per_output: Histogram
    prompts: Histogram
    answers: Histogram
    finished: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def make_meter(first: tuple[float, ...], between: tuple[float, ...], whole: tuple[float, ...]) -> Meter:
    """A meter with these bounds."""
    sizes = tuple(float(1 << power) for power in range(18))
    return Meter(
        Histogram(first), Histogram(between), Histogram(whole), Histogram(between), Histogram(sizes), Histogram(sizes)
    )


class Call:
    """One request that is under way."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._start_s = time.monotonic()
        self._last_s = 0.0
        self._first_s = 0.0
        self._tokens = 0
        self._rest = b""
        self._reason = ""
        self._usage: dict[str, Any] = {}

    def feed(self, data: bytes) -> None:
        """A piece of a stream of events, as it is passed on."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:") and b"[DONE]" not in line:
                try:
                    self._take(json.loads(line[5:]))
                except (ValueError, AttributeError, TypeError, IndexError):
                    continue

    def _take(self, event: dict[str, Any]) -> None:
        choice = (event.get("choices") or [{}])[0]
        self._usage = event.get("usage") or self._usage
        self._reason = choice.get("finish_reason") or self._reason
        delta = choice.get("delta") or {}
        if any(delta.get(name) for name in ("content", "reasoning_content", "tool_calls")) or choice.get("text"):
            self._token()

    def _token(self) -> None:
        now_s = time.monotonic()
        with self._meter.lock:
            if self._tokens == 0:
                self._first_s = now_s
                self._meter.first.observe(now_s - self._start_s)
            else:
                self._meter.between.observe(now_s - self._last_s)
        self._last_s, self._tokens = now_s, self._tokens + 1

    def take_whole(self, body: bytes) -> None:
        """An answer that came in one piece: its times are llama.cpp's own."""
        try:
            answer = json.loads(body)
            timings = answer.get("timings") or {}
            choice = (answer.get("choices") or [{}])[0]
        except (ValueError, AttributeError, IndexError):
            return
        self._usage = answer.get("usage") or {}
        self._reason = choice.get("finish_reason") or ""
        count = int(timings.get("predicted_n", 0))
        if count:
            with self._meter.lock:
                self._meter.first.observe(float(timings.get("prompt_ms", 0.0)) / 1000)
                if count > 1:
                    self._meter.between.observe(float(timings.get("predicted_per_token_ms", 0.0)) / 1000, count - 1)
                    self._meter.per_output.observe(float(timings.get("predicted_per_token_ms", 0.0)) / 1000)

    def end(self, *, is_whole: bool) -> None:
        """The request is over: whole, or cut."""
        reason = (self._reason or "stop") if is_whole else "abort"
        with self._meter.lock:
            self._meter.requests += 1
            self._meter.finished[reason] = self._meter.finished.get(reason, 0) + 1
            if is_whole:
                self._meter.whole.observe(time.monotonic() - self._start_s)
                self._meter.prompts.observe(float(self._usage.get("prompt_tokens", 0)))
                self._meter.answers.observe(float(self._usage.get("completion_tokens", 0)))
            if self._tokens > 1:
                self._meter.per_output.observe((self._last_s - self._first_s) / (self._tokens - 1))
