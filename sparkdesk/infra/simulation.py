"""Starts the simulated cluster as a child process and reads the one JSON line that it prints.

The one rule: after that line the child is reached by SSH only, exactly as Sparks on a desk are. It ends when this
process ends, because its standard input ends then.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.plain_text import make_line
from sparkdesk.services.tasks import Tasks

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 10.0
LAST_WORDS_TIMEOUT_S = 2.0
CONTROL_TIMEOUT_S = 20.0
MAX_LINE_BYTES = 256 * 1024
MAX_NODES = 64
SIMULATED_ENGINES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM", "ollama": "Ollama"}
"""Whose programs the simulator plays; llama.cpp is the real one."""
REAL_ENGINE = {"llamacpp": "real llama.cpp, simulated node"}
"""It answers really, as fast as this computer's processor: of a Spark's speed that says nothing."""
_ROOT = str(Path(__file__).resolve().parents[2])


class SimulationFailed(SparkDeskError):
    """The simulated cluster did not start."""


class Simulation:
    """One child process with a simulated cluster in it."""

    def __init__(self, state_dir: Path, *, client_key: Path, tasks: Tasks) -> None:
        self._state_dir = state_dir
        self._client_key = client_key
        self._tasks = tasks
        self._process: asyncio.subprocess.Process | None = None
        self._errors: deque[str] = deque(maxlen=60)
        self._has_said_all = asyncio.Event()
        """Its standard error was read to the end."""
        self.needs_model = False
        """Whether no model is there that its nodes could serve."""
        self.password_file = ""
        """Where the password of its nodes' user lies; "" until it has started."""
        self.is_read_only = False
        """Whether its nodes can only be read, because this computer allows no namespaces."""

    @property
    def is_running(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self, options: Sequence[str] = ()) -> ClusterRecord:
        """Start and wait for the line. Raises SimulationFailed with what the child said."""
        self._process = await self._spawn(["--until-eof", "--authorized-keys", f"{self._client_key}.pub", *options])
        self._has_said_all.clear()
        self._tasks.start(self._collect_errors, self._process)
        try:
            line = await asyncio.wait_for(self._read_line(), START_TIMEOUT_S)
            cluster = read_cluster(line, key_path=str(self._client_key))
        except (TimeoutError, ValueError, KeyError, TypeError) as error:
            reason = await self._last_words()
            await self.stop()
            raise SimulationFailed(
                f"The simulated cluster did not start{f': {reason}' if reason else ''}",
                remedy="Run python -m sparkdesk simulate in a terminal to see more.",
                detail="\n".join(self._errors) or f"{type(error).__name__}: {error}",
            ) from error
        except asyncio.CancelledError:
            await self.stop()
            raise
        data = json.loads(line)
        self.password_file = make_line(str(data.get("password_file", "")), max_chars=300)
        self.needs_model = bool(data.get("model_missing"))
        self.is_read_only = not data.get("confined", True)
        return cluster

    async def _spawn(self, words: Sequence[str]) -> asyncio.subprocess.Process:
        path = os.pathsep.join(part for part in (_ROOT, os.environ.get("PYTHONPATH", "")) if part)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sparkdesk", "simulate", "--state", str(self._state_dir), *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            env={**os.environ, "PYTHONPATH": path},
        )

    async def control(self, fault: str, place: str, *, is_on: bool) -> None:
        """Switch a fault of a node, or of a place of it ("spark-5c2d:P1"). Raises SimulationFailed with the reason."""
        process = await self._spawn(["--control", "on" if is_on else "off", fault, place])
        try:
            async with asyncio.timeout(CONTROL_TIMEOUT_S):
                _, errors = await process.communicate()
            reason = make_line(errors.decode("utf-8", "replace").strip().removeprefix("simulate: "), max_chars=300)
        except TimeoutError:
            reason = f"no answer within {CONTROL_TIMEOUT_S:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise SimulationFailed(
                f"The simulated cluster did not take {fault} of {place}{f': {reason}' if reason else ''}",
                remedy="Start the simulated cluster again if it goes on.",
            )

    async def watch(self) -> None:
        """Return when it was stopped. Raises SimulationFailed when it ended by itself."""
        process = self._process
        if process is None:
            return
        code = await process.wait()
        if self._process is process:
            raise SimulationFailed(
                f"The simulated cluster has ended ({f'signal {-code}' if code < 0 else f'exit code {code}'})",
                remedy="Start it again: Add node, then Start the simulation.",
                detail="\n".join(self._errors),
            )

    async def _last_words(self) -> str:
        """Its last line on standard error, once it has ended."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_TIMEOUT_S):
                    await self._process.wait()
                    await self._has_said_all.wait()
        return make_line(self._errors[-1].removeprefix("simulate: "), max_chars=300) if self._errors else ""

    async def _read_line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise ValueError("the child ended without a word")
        return line

    async def _collect_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        rest = b""
        while chunk := await process.stderr.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")  # a line may come in pieces
            self._errors.extend(line.decode("utf-8", "replace") for line in lines)
            rest = rest[:MAX_LINE_BYTES]
        if rest:
            self._errors.append(rest.decode("utf-8", "replace"))
        self._has_said_all.set()

    @property
    def hints(self) -> tuple[str, ...]:
        """What the child told people on its standard error, e.g. how to ssh in."""
        return tuple(self._errors)

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid if self._process is not None else None

    async def stop(self) -> None:
        """End the child and everything in it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def read_cluster(line: bytes, *, key_path: str) -> ClusterRecord:
    """The child's line as a cluster. Raises KeyError, TypeError or ValueError for anything else."""
    data: dict[str, Any] = json.loads(line)
    nodes = data["nodes"]
    if data["schema"] != 1 or not 0 < len(nodes) <= MAX_NODES:
        raise ValueError("not a simulated cluster's line")
    return ClusterRecord(
        id=stable_id(str(data["name"])),
        name=str(data["name"]),
        nodes=tuple(
            NodeRecord(
                id=stable_id(str(node["host_key"])),
                name=str(node["name"]),
                address=str(node["address"]),
                port=int(node["port"]),
                user=str(node["user"]),
                host_key=str(node["host_key"]),
                key_path=key_path,
            )
            for node in nodes
        ),
        is_simulated=True,
        shape=str(data.get("shape", "")),
        note=_note(data),
        engine_notes={key: f"simulated {title}, real llama.cpp" for key, title in SIMULATED_ENGINES.items()}
        | REAL_ENGINE,
    )


def _note(data: dict[str, Any]) -> str:
    """What this simulation cannot do on this computer, with a way out; "" when all is there."""
    parts: list[str] = []
    if not data.get("confined", True):
        parts.append(f"The nodes can only be read: {data.get('reason', 'namespaces are not allowed here')}.")
    elif not data.get("packets", True):
        parts.append(f"No packets run over their cables: {data.get('packets_reason', 'it is not allowed here')}.")
    if data.get("engine_missing"):
        parts.append(
            f"No model server can start: {data['engine_missing']}. Connect to a server of yours in Chat instead."
        )
    if data.get("model_missing"):
        parts.append(f"No model is on the nodes: {data['model_missing']}.")
    return " ".join(parts)[:1000]


def stable_id(text: str) -> str:
    """An id that the same text always gives, in the form that all ids have."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode("ascii").lower()
