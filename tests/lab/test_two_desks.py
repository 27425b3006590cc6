"""Two SparkDesks with configurations of their own at the same nodes, one of them killed: no job lost, none done twice.

Each is a process (tests/lab/desk_process.py) on a computer of its own name; a kill is SIGKILL. What two of them do
while both live is in test_two_computers.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.step import Playbook, Run, Stage, Step
from sparkdesk.core.step_json import to_json
from tests.lab.engine import put_engine
from tests.lab.lab import Lab, LabNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
ENGINE = "echo_engine.py"
ANSWER_S = 60.0
OVER = ("ready", "failed", "stopped", "ended")
JOBS = "home/nvidia/.local/state/sparkdesk/jobs"
MOMENTS: dict[str, Callable[[LabNode], bool]] = {
    "told": lambda node: True,
    "folder": lambda node: any((node.root / JOBS).glob("*/*")),
    "server": lambda node: bool(node.processes(ENGINE)),
}
"""What the node shows of a launch when its desk is killed."""


class DeskProcess:
    """A desk on a computer of this name, with its own configuration; `start` may be done again after a kill."""

    def __init__(self, folder: Path, computer: str, lab: Lab) -> None:
        self.owner = f"anna@{computer}"
        self._folder = folder / computer
        self._computer = computer
        self._lab = lab
        self._process: asyncio.subprocess.Process | None = None

    def _environment(self) -> dict[str, str]:
        info = self._folder / "plugin" / "echo_engine-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-engine\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[sparkdesk.backends]\necho = tests.lab.engine:backend\n")
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return {
            **kept,
            "HOME": str(self._folder),
            "LOGNAME": "anna",
            "SPARKDESK_HOME": str(self._folder / "sparkdesk"),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{info.parent}",
        }

    async def start(self) -> DeskProcess:
        """Start it, and have its nodes looked at."""
        environment = self._environment()
        with (self._folder / "stderr").open("ab") as complaints:
            self._process = await asyncio.create_subprocess_exec(
                "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self._computer,
                sys.executable, "-m", "tests.lab.desk_process",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=complaints,
                cwd=ROOT, env=environment,
            )  # fmt: skip
        await self.ask("open", nodes=[asdict(node.record()) for node in self._lab.nodes])
        return self

    def send(self, do: str, **words: object) -> None:
        """Tell it to do something; nobody waits for the answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")

    async def ask(self, do: str, **words: object) -> Any:
        """Have it do something, and give its answer."""
        self.send(do, **words)
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_S):
            line = await self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": (self._folder / "stderr").read_text()[-4000:]}
        assert "error" not in answer, answer
        return answer["answer"]

    async def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.communicate()

    async def quit(self) -> None:
        """End it as a person does, if it lives."""
        if self._process is not None and self._process.returncode is None:
            async with asyncio.timeout(ANSWER_S):
                await self._process.communicate(b"")  # the end of its requests is its end


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes that can run the engine."""
    with Lab(2, tmp_path_factory.mktemp("desks"), marker="desks") as lab:
        for node in lab.nodes:
            put_engine(node)
        yield lab


MakeDesk = Callable[[str], DeskProcess]


@pytest.fixture
async def make_desk(workstation: Lab, tmp_path: Path) -> AsyncIterator[MakeDesk]:
    made: list[DeskProcess] = []

    def make(computer: str) -> DeskProcess:
        made.append(DeskProcess(tmp_path, computer, workstation))
        return made[-1]

    yield make
    for desk in made:
        await desk.quit()
    for node in workstation.nodes:
        assert not node.processes(ENGINE), "a test left its server running"
        node.run("rm", "-rf", f"/{JOBS}")


def engines(node: LabNode) -> int:
    """How many servers run on the node: the guard's own command line does not name the engine."""
    return len(node.processes(ENGINE))


async def test_a_job_outlives_its_killed_desk_and_the_other_reads_asks_takes_over_and_stops_it(
    make_desk: MakeDesk, lab: Lab
) -> None:
    node = lab.nodes[0]
    laptop, tower = make_desk("laptop"), make_desk("tower")
    await laptop.start()
    job = await laptop.ask("launch", node=node.name, port=8001, flags=[])
    await laptop.ask("until", job=job, states=["ready"])
    await tower.start()
    await laptop.kill()
    seen = await tower.ask("until", job=job, states=["ready"])
    assert (seen["owner"], seen["holder"]) == (laptop.owner, "")
    assert "echo: listening" in await tower.ask("log", job=job, until="echo: listening")
    assert await tower.ask("health", job=job) == 200
    await tower.ask("take_over", job=job)
    assert (await tower.ask("until", job=job, states=["ready"]))["holder"] == tower.owner
    await tower.kill()
    assert engines(node) == 1, "it runs on without either"
    await tower.start()
    assert (await tower.ask("until", job=job, states=["ready"]))["holder"] == tower.owner
    await tower.ask("stop", job=job)
    assert (await tower.ask("until", job=job, states=["stopped"]))["stop_error"] == ""
    assert engines(node) == 0
    await laptop.start()
    over = await laptop.ask("until", job=job, states=["stopped", "ended", "failed"])
    assert over["state"] == "stopped"
    assert engines(node) == 0, "it was started again"


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_launch_whose_desk_is_killed_is_one_server_or_none_and_known_to_both(
    make_desk: MakeDesk, lab: Lab, moment: str
) -> None:
    node = lab.nodes[1]
    laptop, tower = make_desk("laptop"), make_desk("tower")
    await laptop.start()
    laptop.send("launch", node=node.name, port=8002, flags=["--load", "1"])
    async with asyncio.timeout(30):
        while not MOMENTS[moment](node):
            await asyncio.sleep(0.01)
    await laptop.kill()
    await asyncio.gather(laptop.start(), tower.start())
    jobs = [await laptop.ask("until", job=row["job"], states=OVER) for row in await laptop.ask("jobs")]
    assert len(jobs) == 1 or (moment == "told" and not jobs)
    assert engines(node) == sum(job["state"] == "ready" for job in jobs)
    assert moment != "server" or jobs[0]["state"] == "ready", jobs
    for job in jobs:
        assert job["state"] == "ready" or (job["message"] and job["remedy"]), job
        if job["state"] == "ready":
            theirs = await tower.ask("until", job=job["job"], states=["ready"])
            assert theirs["owner"] == laptop.owner
            await tower.ask("stop", job=job["job"])
            await laptop.ask("until", job=job["job"], states=["stopped"])
    assert engines(node) == 0


def locked_playbook(node: LabNode) -> Playbook:
    """Two steps that each append a line, whose checks look for it; the second waits for a sign first.

    What is begun is told apart from what is done: each beginning is a line, too.
    """

    def step(name: str, before: str) -> Step:
        apply = Command(
            ("sh", "-c", f"echo {name} >> ~/begins; touch ~/begun-{name}; {before}echo {name} >> ~/changes")
        )
        check = Command(("grep", "-qx", name, "changes"))
        return Step(name, f"Change {name}", node.name, (Run(apply, timeout_s=60.0),), check=(Run(check),))

    steps = (step("one", ""), step("two", "while [ ! -e ~/go ]; do sleep 0.05; done; "))
    return Playbook("Change packages", tuple(Stage(each.title, (each,)) for each in steps), needs_lock=True)


async def until_file(path: Path) -> None:
    """Until it is there."""
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.02)


def lease_of(node: LabNode, owner: str) -> float | None:
    """When the node's lease was last renewed, if it is this owner's."""
    for path in (*(node.root / "run/lock").glob("sparkdesk-lease-*"), *(node.root / "tmp").glob("sparkdesk-lease-*")):
        lease = json.loads(path.read_text())
        if lease["who"] == owner and not lease.get("released"):
            return float(lease["renewed_s"])
    return None


async def until_it_looked_again(node: LabNode, owner: str) -> None:
    """Until the owner has the lease, and then renewed it twice: it had every chance to begin."""
    seen: set[float | None] = set()
    async with asyncio.timeout(60):
        while len(seen - {None}) < 3:
            seen.add(lease_of(node, owner))
            await asyncio.sleep(0.02)


async def test_a_locked_playbook_is_applied_once_though_its_desk_is_killed_in_the_middle(
    make_desk: MakeDesk, lab: Lab
) -> None:
    node = lab.nodes[0]
    home = node.root / "home/nvidia"
    laptop, tower = make_desk("laptop"), make_desk("tower")
    await asyncio.gather(laptop.start(), tower.start())
    playbook = to_json(locked_playbook(node)).decode()
    runs = {desk: await desk.ask("run", playbook=playbook, breaks=False) for desk in (laptop, tower)}
    await until_file(home / "begun-two")
    first = laptop if not (await laptop.ask("runs"))[runs[laptop]] else tower
    second = tower if first is laptop else laptop
    refused = await second.ask("end", run=runs[second])
    assert refused["result"] == "failed"
    assert f"{first.owner} is at work on {node.name} (Change packages" in refused["message"]
    assert refused["remedy"]
    await first.kill()
    again = await second.ask("end", run=await second.ask("run", playbook=playbook, breaks=False))
    assert again["result"] == "failed", "the lease outlives its holder"
    assert (home / "changes").read_text() == "one\n"
    run = await second.ask("run", playbook=playbook, breaks=True)  # the first one's command still runs on the node
    await until_it_looked_again(node, second.owner)
    assert (home / "begins").read_text() == "one\ntwo\n"
    (home / "go").touch()
    done = await second.ask("end", run=run)
    assert done["result"] == "done"
    assert (home / "begins").read_text() == (home / "changes").read_text() == "one\ntwo\n"
    assert done["holders"][-1] == first.owner, "it was asked about the one whose lock it broke"
    await first.start()
    offered = {run for run, result in (await first.ask("runs")).items() if result == "interrupted"}
    assert offered == {runs[first]}, "it is offered, and not carried on before a person says so"
    await first.ask("resume", run=runs[first])
    assert (await first.ask("end", run=runs[first]))["result"] == "done"
    assert (home / "begins").read_text() == (home / "changes").read_text() == "one\ntwo\n"
