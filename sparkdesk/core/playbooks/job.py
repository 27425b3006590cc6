"""Builds the playbooks of a job on one node: start, prove, stop.

The one rule: what is installed on the node is the job's own folder and nothing else, and a person reads both files of
it before they are written. The folder's layout and the subcommands belong to remote/job.py.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, replace
from typing import Any

from sparkdesk.core.command import Command
from sparkdesk.core.jobs.backend import PlanContext
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, ShownCommand
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.step import Expect, Playbook, PutFile, Run, Stage, Step, Wait

SCHEMA = 1
JOBS_FOLDER = "~/.local/state/sparkdesk/jobs"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 90.0
TOKEN_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What runs on one node. `argv` holds no secret; `ready_path` is asked until it answers 200."""

    job_id: str
    node_id: str
    title: str
    engine: str
    owner: str
    argv: tuple[str, ...]
    endpoint: Endpoint
    env: tuple[tuple[str, str], ...] = ()
    stop_argv: tuple[tuple[str, ...], ...] = ()
    """Commands that stop the engine politely, before the process group is signalled (docker stop)."""
    ready_path: str = "/health"
    load_timeout_s: float = 900.0
    memory_floor_bytes: int = 4 << 30
    """When MemAvailable falls below, the job's guard on the node stops it: a full unified memory freezes the box."""
    restart_limit: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The job's folder on the node."""
        return f"{JOBS_FOLDER}/{self.job_id}"

    def to_json(self) -> bytes:
        """spec.json as it is written on the node."""
        endpoint = self.endpoint
        where = {"host": endpoint.host, "port": endpoint.port}
        spec = {
            "schema": SCHEMA,
            "job_id": self.job_id,
            "title": self.title,
            "engine": self.engine,
            "owner": self.owner,
            "argv": list(self.argv),
            "env": dict(self.env),
            "stop_argv": [list(argv) for argv in self.stop_argv],
            "ready": {"kind": "http", **where, "path": self.ready_path},
            "token": {**where, "path": f"{endpoint.base_path}/chat/completions", "model": endpoint.model},
            "memory_floor_bytes": self.memory_floor_bytes,
            "restart_limit": self.restart_limit,
            **self.extra,
        }
        return json.dumps(spec, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def show_command(command: Command) -> str:
    """A command as a person reads it: one option with its value per line, quoted as a shell would need it."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in command.env.items()]
    takes_more = False
    for word in command.argv:
        is_option = word.startswith("-")
        if is_option or not takes_more:
            lines.append(shlex.quote(word))
            takes_more = True
        else:
            lines[-1] += f" {shlex.quote(word)}"
            # An option takes one value; a line that began with a plain word (the program, an image) takes all of them.
            takes_more = not lines[-1].startswith("-")
    return " \\\n  ".join(lines)


def job_command(folder: str, verb: str) -> Command:
    """One subcommand of the job program in a job's folder."""
    # The shell expands ~ here; words of a Command are quoted, so the folder is reached through $HOME by sh.
    relative = folder.removeprefix("~/")
    script = f'exec python3 "$HOME/{relative}/job.py" {verb} "$HOME/{relative}"'
    return Command(("sh", "-c", script))


def start_playbook(spec: JobSpec, job_program: bytes) -> Playbook:
    """Put the folder, start, wait until the engine says it is ready, and prove it by a generated token."""
    folder, node = spec.folder, spec.node_id
    stop = (
        Run(job_command(folder, "stop"), Expect(reader="json_field:stopped", equals="true"), timeout_s=STOP_TIMEOUT_S),
    )
    put = Step(
        id="put",
        title="Write the job's folder",
        node=node,
        phase="put",
        apply=(
            PutFile(f"{folder}/job.py", job_program, 0o700),
            PutFile(f"{folder}/spec.json", spec.to_json(), 0o600),
        ),
        undo=(Run(job_command(folder, "remove"), Expect(exit_codes=(0, 1))),),
    )
    start = Step(
        id="start",
        title=f"Start {spec.engine}",
        node=node,
        phase="start",
        check=(Run(job_command(folder, "status"), Expect(reader="json_field:state", equals="running")),),
        apply=(
            Run(
                job_command(folder, "start"),
                Expect(reader="json_field:started", equals="true"),
                timeout_s=START_TIMEOUT_S,
            ),
        ),
        undo=stop,
    )
    load = Step(
        id="load",
        title="Load the model until the server answers",
        node=node,
        phase="load",
        apply=(
            Wait(
                job_command(folder, "ready"),
                Expect(reader="json_field:ready", equals="true"),
                every_s=0.5,
                timeout_s=spec.load_timeout_s,
                give_up=Expect(reader="json_field:ended", equals="true"),
            ),
        ),
    )
    token = Step(
        id="token",
        title="Generate a first token",
        node=node,
        phase="token",
        apply=(
            Run(job_command(folder, "token"), Expect(reader="json_field:ok", equals="true"), timeout_s=TOKEN_TIMEOUT_S),
        ),
    )
    return Playbook(
        title=f"Launch {spec.title}",
        stages=tuple(Stage(step.title, (step,)) for step in (put, start, load, token)),
    )


def stop_playbook(spec: JobSpec) -> Playbook:
    """End the engine's process group and make sure that nothing of it is left."""
    step = Step(
        id="stop",
        title=f"Stop {spec.title}",
        node=spec.node_id,
        phase="stop",
        apply=(
            Run(
                job_command(spec.folder, "stop"),
                Expect(reader="json_field:stopped", equals="true"),
                timeout_s=STOP_TIMEOUT_S,
            ),
        ),
    )
    return Playbook(title=f"Stop {spec.title}", stages=(Stage(step.title, (step,)),))


def build_plan(
    request: LaunchRequest, context: PlanContext, spec: JobSpec, *, ledger: MemoryLedger, command_title: str
) -> LaunchPlan:
    """The whole plan of a server on one node. The job's folder keeps the request, so that it can be launched again."""
    kept = {"request": request.model_dump(mode="json"), "plan_hash": request.digest}
    spec = replace(spec, extra={**spec.extra, **kept})
    command = show_command(Command(spec.argv, env=dict(spec.env)))
    note = spec.endpoint.note
    return LaunchPlan(
        job_id=spec.job_id,
        request=request,
        title=spec.title,
        playbook=start_playbook(spec, context.job_program),
        stop=stop_playbook(spec),
        endpoint=spec.endpoint,
        ledgers=(ledger,),
        commands=(ShownCommand(spec.node_id, command_title, command),),
        notes=(note,) if note else (),
    )
