"""One SparkDesk without a face that brings Sparks up, in a process of its own that ends by SIGKILL when it is told to.

It is told what to do by lines of JSON (tests/lab/desk_process.py has the verbs for jobs). The one rule: each verb is
what a button of the page does, or the kill: at the n-th event of the runs, as if the power had gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparkdesk import paths
from sparkdesk.app.stack import Stack
from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.step import Step, StepEnded, StepEvent, StepStarted
from tests.lab.bringup.desk import CHOICES, OVER, BringUpDesk

Words = Mapping[str, Any]
MOST_EVENTS = 4096
"""Of these a place in a run is told as a share, before anybody knows how many it has."""


@dataclass(frozen=True)
class Names:
    """As much of a node of a lab as a desk asks for."""

    name: str


@dataclass(frozen=True)
class FarLab:
    """The nodes of a lab that another process holds."""

    nodes: tuple[Names, ...]


class Door:
    """The verbs."""

    def __init__(self) -> None:
        self._stack = Stack(folder=paths.data_dir())
        self._desk: BringUpDesk | None = None
        self._doing = "apply"
        self._events = {"apply": 0, "undo": 0, "proof": 0}
        self._kill_in, self._kill_at = "", 0
        self._kill_after_s = 0.0
        self._stack.runs.on_step.append(self._count)
        self._append = self._stack.store.append_journal
        vars(self._stack.store)["append_journal"] = self._append_and_count

    def _count(self, step: Step, event: StepEvent) -> None:
        """The beginning of each part of each step, and its end, are boundaries."""
        if isinstance(event, StepStarted | StepEnded):
            self._pass("proof" if step.phase == "proof" else self._doing)

    async def _append_and_count(self, run_id: str, entry: bytes) -> None:
        """So are both sides of each line of the journal: what it tells is done and not told, or told and not done."""
        run = self._stack.runs.runs.value.get(run_id)
        is_proof = run is not None and any(step.phase == "proof" for step in run.playbook.steps())
        if not is_proof:
            self._pass(self._doing)
        await self._append(run_id, entry)
        if not is_proof:
            self._pass(self._doing)

    def _pass(self, part: str) -> None:
        if (part, self._events[part]) == (self._kill_in, self._place()):
            self._end_soon()
        self._events[part] += 1

    def _place(self) -> int:
        """The event to end at; in the proof, of which a step has two, it is told as a share of MOST_EVENTS."""
        plan = self.desk.state.plan
        if self._kill_in != "proof" or plan is None:
            return self._kill_at
        return self._kill_at * 2 * len(list(plan.proof.steps())) // MOST_EVENTS

    def _begin(self, doing: str, words: Words) -> None:
        self._doing, self._events[doing] = doing, 0
        self._kill_in, self._kill_at = words.get("kill_in", ""), words.get("kill_at", 0)
        self._kill_after_s = words.get("kill_after_s", 0.0)

    def _end_soon(self) -> None:
        if self._kill_after_s:
            asyncio.get_running_loop().call_later(self._kill_after_s, os.kill, os.getpid(), signal.SIGKILL)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    async def answer(self, request: Words) -> Words:
        """What the verb gives, or why it was refused."""
        try:
            return {"answer": await getattr(self, f"do_{request['do']}")(request)}
        except SparkDeskError as error:
            return {"error": error.sentence()}
        except (AssertionError, TimeoutError) as error:
            return {"error": str(error)}

    @property
    def desk(self) -> BringUpDesk:
        """Once it is open."""
        assert self._desk is not None
        return self._desk

    async def do_open(self, words: Words) -> str:
        """Open it; gives the phase that an earlier process has left."""
        records = tuple(NodeRecord(**node) for node in words["nodes"])
        lab: Any = FarLab(tuple(Names(record.name) for record in records))
        self._desk = BringUpDesk(self._stack, lab)
        await self._desk.open(records)
        return self._desk.state.phase.value

    async def do_look(self, _words: Words) -> int:
        """How many steps would change something."""
        return (await self.desk.look(replace(CHOICES, wants_guard=True))).change_count

    async def do_apply(self, words: Words) -> Words:
        """Apply until all steps are done, and leave the proof; or until this event of it or of its proof."""
        self._begin("apply", words)
        self.desk.bring_up.start()
        return await self._until_done()

    async def do_resume(self, _words: Words) -> Words:
        """Continue until all steps are done, and leave the proof."""
        self.desk.bring_up.resume()
        return await self._until_done()

    async def _until_done(self) -> Words:
        """How the run ended; its proof is stopped, since it changes nothing."""
        state = await self.desk.until(Phase.PROVING, Phase.DONE, Phase.FAILED, Phase.PAUSED)
        events, run = self._events["apply"], state.run
        assert run is not None
        if self._kill_in == "proof":
            await self.desk.until(*OVER)
        await self.desk.until(
            *Phase, is_so=lambda now: now.phase in OVER or (now.proof_run is not None and not now.proof_run.is_over)
        )
        self.desk.bring_up.cancel()
        await self.desk.until(*OVER)
        return {"events": events, "result": run.result, "words": self.desk.words()}

    async def do_offers(self, _words: Words) -> list[str]:
        """What can be done with what an earlier process left."""
        run = self.desk.state.run
        is_unproved = run is not None and run.result == "done" and not run.is_undo
        return ["resume"] * bool(run and (run.can_resume or is_unproved)) + ["undo"] * bool(run and run.can_undo)

    async def do_undo(self, words: Words) -> Words:
        """Take everything back, or until this event of it."""
        self._begin("undo", words)
        phase = (await self.desk.undo()).phase.value
        return {"phase": phase, "events": self._events["undo"]}

    async def close(self) -> None:
        """As a person closes the window."""
        await self._stack.close()


async def serve() -> None:
    """Until the requests end."""
    door = Door()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            print(json.dumps(await door.answer(json.loads(line))), flush=True)
    finally:
        await door.close()


class BringUpProcess:
    """Such a process, from the side of the test. `start` may be done again after it has ended."""

    def __init__(self, folder: Path, records: list[Words]) -> None:
        self._folder = folder
        self._records = records
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start it and open its cluster; gives the phase that it was left in."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        own = {
            "HOME": str(self._folder),
            "SPARKDESK_HOME": str(self._folder / "sparkdesk"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PYTHONPATH": str(ROOT),
        }
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "stderr").open("ab") as complaints:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.lab.bringup.process", stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=complaints, cwd=ROOT, env=kept | own,
            )  # fmt: skip
        return str(await self.ask("open", nodes=self._records))

    async def ask(self, do: str, **words: object) -> Any:
        """Have it do something, and give its answer."""
        line = await self._send(do, words)
        answer = json.loads(line) if line else {"error": (self._folder / "stderr").read_text()[-4000:]}
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    async def ask_and_die(self, do: str, **words: object) -> bool:
        """Have it do something in the middle of which it ends itself; whether it came to that."""
        if await self._send(do, words):
            return False
        assert self._process is not None
        return await self._process.wait() == -signal.SIGKILL

    async def _send(self, do: str, words: Words) -> bytes:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            return await self._process.stdout.readline()

    async def quit(self) -> None:
        """End it as a person does, if it lives."""
        if self._process is not None and self._process.returncode is None:
            try:
                async with asyncio.timeout(QUIT_S):
                    await self._process.communicate(b"")
            except TimeoutError:  # or it would be at the nodes while the next test is
                self._process.kill()
                await self._process.wait()
                raise


ROOT = Path(__file__).resolve().parents[3]
ANSWER_S, QUIT_S = 220.0, 60.0

if __name__ == "__main__":
    asyncio.run(serve())
