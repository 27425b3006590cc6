"""An engine's counters under made-up traffic: what its metrics page would tell every two seconds.

The one rule: it knows nothing of what is judged; requests slow each other down, prompts take time, and a queue waits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

STEP_S = 0.05
BEAT_S = 2.0
SLOTS = 4
SLOWER_BESIDE = 0.45
"""How much longer a token takes for each other request that is answered at the same time."""
SLOWER_BY_PROMPT = 0.6
"""And while another one's prompt is read."""


@dataclass(frozen=True)
class Asked:
    """A request: when it comes, how long its prompt takes to read and how many tokens that is, and its answer."""

    at_s: float
    answer: float
    prefill_s: float = 0.3
    prompt: int = 500


@dataclass
class _Running:
    asked: Asked
    prefill_s: float
    left: float
    decode_s: float = 0.0
    made: float = 0.0


class Engine:
    """`kind`: "vllm" counts all of it as it happens, "llamacpp" counts seconds when an answer ends and no requests,
    "plain" counts no seconds of decoding. `speed`: tokens a second of one request alone, by the time."""

    def __init__(self, kind: str, speed: Callable[[float], float]) -> None:
        self._kind = kind
        self._speed = speed
        self._running: list[_Running] = []
        self._waiting: list[Asked] = []
        self._generated = self._decoded_s = self._prompts = self._firsts = 0.0

    def pages(self, requests: list[Asked], until_s: float, seed: int = 0) -> Iterator[tuple[float, dict[str, float]]]:
        """(time, page) about every two seconds."""
        chance, to_come = random.Random(seed), sorted(requests, key=lambda one: one.at_s)
        next_page_s = now_s = 0.0
        while now_s < until_s:
            while to_come and to_come[0].at_s <= now_s:
                self._waiting.append(to_come.pop(0))
            self._step(now_s)
            now_s += STEP_S
            if now_s >= next_page_s:
                yield now_s, self._page()
                next_page_s = now_s + BEAT_S + chance.uniform(0.0, 0.3)

    def _step(self, now_s: float) -> None:
        while self._waiting and len(self._running) < SLOTS:
            asked = self._waiting.pop(0)
            self._running.append(_Running(asked, asked.prefill_s, asked.answer))
        answering = [one for one in self._running if one.prefill_s <= 0.0]
        slowed = 1.0 + SLOWER_BESIDE * max(0, len(answering) - 1)
        slowed += SLOWER_BY_PROMPT * (len(self._running) > len(answering))
        for one in list(self._running):
            if one.prefill_s > 0.0:
                one.prefill_s -= STEP_S
                if one.prefill_s <= 0.0:
                    self._firsts, self._prompts = self._firsts + 1, self._prompts + one.asked.prompt
                continue
            made = min(one.left, STEP_S * self._speed(now_s) / slowed)
            one.left, one.made, one.decode_s = one.left - made, one.made + made, one.decode_s + STEP_S
            if self._kind != "llamacpp":
                self._generated, self._decoded_s = self._generated + made, self._decoded_s + STEP_S
            if one.left <= 0.0:
                self._running.remove(one)
                if self._kind == "llamacpp":
                    self._generated, self._decoded_s = self._generated + one.made, self._decoded_s + one.decode_s

    def _page(self) -> dict[str, float]:
        page = {
            "requests_running": float(len(self._running)),
            "requests_waiting": float(len(self._waiting)),
            "prompt_tokens_total": self._prompts,
            "generated_tokens_total": self._generated,
        }
        if self._kind != "plain":
            page["decode_seconds_sum"] = self._decoded_s
        if self._kind != "llamacpp":
            return page | {"ttft_seconds_count": self._firsts}
        # What the slots are making is added, as core/jobs/engine_page.py does.
        page["generated_tokens_total"] += sum(one.made for one in self._running)
        return page


# Traffic -------------------------------------------------------------------------------------------------------------


def chat(seed: int, until_s: float) -> list[Asked]:
    """One person who reads each answer before the next question."""
    chance, found, at_s = random.Random(seed), [], 2.0
    while at_s < until_s:
        answer = chance.uniform(120, 600)
        found.append(Asked(at_s, answer, chance.uniform(0.1, 0.8)))
        at_s += answer / 25.0 + chance.uniform(4.0, 30.0)
    return found


def agent(seed: int, until_s: float) -> list[Asked]:
    """A program that asks at once when an answer is there, with long prompts; sometimes a slow tool is between."""
    chance, found, at_s = random.Random(seed), [], 1.0
    while at_s < until_s:
        found.append(Asked(at_s, chance.uniform(20, 800), chance.uniform(0.5, 8.0), 4000))
        at_s += found[-1].prefill_s + found[-1].answer / 40.0 + chance.choice((0.0, 0.0, 0.1, 3.0))
    return found


def crowd(seed: int, until_s: float) -> list[Asked]:
    """Several people at once, with queues."""
    chance = random.Random(seed)
    pause_s = chance.choice((1.0, 4.0, 10.0))
    found, at_s = [], 0.0
    while at_s < until_s:
        at_s += chance.expovariate(1.0 / pause_s)
        found.append(Asked(at_s, chance.uniform(5, 400), chance.uniform(0.1, 3.0)))
    return found


def bursts(seed: int, until_s: float) -> list[Asked]:
    """A program that sends a few short requests together, and then is silent."""
    chance, found, at_s = random.Random(seed), [], 1.0
    size, answer = chance.randint(2, 4), chance.uniform(3, 120)
    while at_s < until_s:
        found += [Asked(at_s + chance.uniform(0.0, 0.5), answer, chance.uniform(0.05, 0.4)) for _ in range(size)]
        at_s += chance.uniform(3.0, 9.0)
    return found


def with_titles(seed: int, until_s: float) -> list[Asked]:
    """A chat program that asks for a title and keywords as soon as an answer began."""
    asked = chat(seed, until_s)
    return asked + [replace(one, at_s=one.at_s + 1.0, answer=15.0) for one in asked]


def long_answers(seed: int, until_s: float) -> list[Asked]:
    """A person who lets it write long texts, one at a time."""
    chance, found, at_s = random.Random(seed), [], 1.0
    while at_s < until_s:
        found.append(Asked(at_s, chance.uniform(1500, 4000)))
        at_s += found[-1].answer / 25.0 + 5.0
    return found
