"""Builds the playbooks of a job on one node: start, prove, stop.

The one rule: what is installed on the node is the job's own folder and nothing else, and a person reads every file of
it before it is written; secrets alone are not in the plan. The folder's layout and the subcommands belong to
remote/job.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sparkdesk.core.command import Command
from sparkdesk.core.jobs.backend import PlanContext
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, ShownCommand
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.timeline import READY
from sparkdesk.core.playbooks.memory_floor import floor_bytes, guard_words, say_gib
from sparkdesk.core.step import Expect, Playbook, PutFile, PutSecrets, Run, Stage, Step, Wait

SCHEMA = 1
JOBS_FOLDER = "~/.local/state/sparkdesk/jobs"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 90.0
JOB_PARTS = ("guard", "gauge", "proof")
"""Programs that lie beside job.py in the job's folder, by their names in remote/."""
TIDY_TIMEOUT_S = 60.0
TOKEN_TIMEOUT_S = 180.0


FOLDER_WORD = "{folder}"
"""In words of argv, stop_argv and values of env: the guard puts the absolute path of the job's folder in its place."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What runs on one node. `argv` holds no secret; FOLDER_WORD in it is the job's folder on the node."""

    job_id: str
    node_id: str
    title: str
    engine: str
    owner: str
    argv: tuple[str, ...]
    endpoint: Endpoint
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    """Where it is started; "" is the home folder."""
    files: tuple[tuple[str, bytes, int], ...] = ()
    """More files of the job's folder: name, content, mode."""
    before: tuple[Stage, ...] = ()
    """What comes before the folder is written: image and weights."""
    container: str = ""
    """The container's name; "" when the engine is a plain process. The argv carries the label sparkdesk.job=JOB_ID by
    which it is found again; stopping and removing it is the job program's, not `stop_argv`'s."""
    secrets: tuple[tuple[str, str], ...] = ()
    """(variable of the engine's, reference), as PutSecrets names them."""
    key_env: str = ""
    """The variable that holds the server's API key, for our own requests on the node."""
    stop_argv: tuple[tuple[str, ...], ...] = ()
    """Commands that stop the engine politely, before the process group is signalled."""
    ready_kind: Literal["http", "port", "log"] = "http"
    ready_value: str = "/health"
    """http: the path that answers 200; log: words that a line of the log holds; port: nothing."""
    proof: Literal["", "chat", "vision", "embed", "rerank", "none"] = ""
    """What the server must do before it counts as ready; "" is what the request's purpose says."""
    load_timeout_s: float = 900.0
    memory_floor_bytes: int | None = None
    """When MemAvailable falls below, the job's guard on the node stops it: a full unified memory freezes the box. None
    is what the plan's ledger says."""
    restart_limit: int | None = None
    """How often the guard starts it again when it died after it had been ready; None is what the request says."""
    stop_after_s: int | None = None
    """When the guard stops it, counted from its start; None is what the request says."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The job's folder on the node."""
        return f"{JOBS_FOLDER}/{self.job_id}"

    def to_json(self) -> bytes:
        """spec.json as it is written on the node."""
        endpoint = self.endpoint
        where = {"host": endpoint.host, "port": endpoint.port, **({"key_env": self.key_env} if self.key_env else {})}
        spec = {
            "schema": SCHEMA,
            "job_id": self.job_id,
            "title": self.title,
            "engine": self.engine,
            "owner": self.owner,
            "argv": list(self.argv),
            "env": dict(self.env),
            "cwd": self.cwd,
            "container": self.container,
            "files": [name for name, _, _ in self.files],
            "secrets": [name for name, _ in self.secrets],
            "stop_argv": [list(argv) for argv in self.stop_argv],
            "ready": {
                "kind": self.ready_kind,
                **where,
                **({"words": self.ready_value} if self.ready_kind == "log" else {"path": self.ready_value}),
            },
            "token": {
                **where,
                "proof": self.proof or "chat",
                "path": f"{endpoint.base_path}/chat/completions",
                "model": endpoint.model,
            },
            "memory_floor_bytes": self.memory_floor_bytes or 0,
            "restart_limit": self.restart_limit or 0,
            "stop_after_s": self.stop_after_s,
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


def start_playbook(spec: JobSpec, job_program: bytes, programs: Mapping[str, bytes]) -> Playbook:
    """What comes before, then put the folder, start, wait until the engine says it is ready, and prove that it is."""
    steps = (_put_step(spec, job_program, programs), _start_step(spec), _load_step(spec), _proof_step(spec))
    return Playbook(
        title=f"Launch {spec.title}",
        stages=(*spec.before, *(Stage(step.title, (step,)) for step in steps)),
    )


def _put_step(spec: JobSpec, job_program: bytes, programs: Mapping[str, bytes]) -> Step:
    parts = [(f"{name}.py", programs[name], 0o700) for name in JOB_PARTS if name in programs]
    files = (("job.py", job_program, 0o700), *parts, *spec.files, ("spec.json", spec.to_json(), 0o600))
    return Step(
        id="put",
        title="Write the job's folder",
        node=spec.node_id,
        phase="put",
        apply=(
            *(PutFile(f"{spec.folder}/{name}", content, mode) for name, content, mode in files),
            *((PutSecrets(f"{spec.folder}/secrets.json", spec.secrets),) if spec.secrets else ()),
        ),
        undo=(Run(job_command(spec.folder, "remove"), Expect(exit_codes=(0, 1))),),
    )


def _start_step(spec: JobSpec) -> Step:
    started = Expect(reader="json_field:started", equals="true")
    return Step(
        id="start",
        title=f"Start {spec.engine}{_floor_words(spec)}",
        node=spec.node_id,
        phase="start",
        check=(Run(job_command(spec.folder, "status"), Expect(reader="json_field:state", equals="running")),),
        apply=(Run(job_command(spec.folder, "start"), started, timeout_s=START_TIMEOUT_S),),
        undo=(_stop_run(spec),),
    )


def _floor_words(spec: JobSpec) -> str:
    floor = spec.memory_floor_bytes
    return f"; its guard ends it below {say_gib(floor)} of available memory" if floor else ""


def _load_step(spec: JobSpec) -> Step:
    ready = Wait(
        job_command(spec.folder, "ready"),
        Expect(reader="json_field:ready", equals="true"),
        every_s=0.5,
        timeout_s=spec.load_timeout_s,
        give_up=Expect(reader="json_field:ended", equals="true"),
        reader="ready",
    )
    return Step("load", "Load the model until the server answers", spec.node_id, (ready,), phase="load")


PROOF_TITLES = {
    "chat": "Generate a first token",
    "vision": "Have a picture described",
    "embed": "Embed a first text",
    "rerank": "Rank two first texts",
    "none": "Note that it is ready",
}


def _proof_step(spec: JobSpec) -> Step:
    proved = Expect(reader="json_field:ok", equals="true")
    proof = Run(job_command(spec.folder, "token"), proved, timeout_s=TOKEN_TIMEOUT_S)
    # Where no token can be asked for there is no such phase, and nothing that could be taken for its time.
    phase = READY if spec.proof == "none" else "token"
    return Step("token", PROOF_TITLES[spec.proof or "chat"], spec.node_id, (proof,), phase=phase)


def _stop_run(spec: JobSpec) -> Run:
    stopped = Expect(reader="json_field:stopped", equals="true")
    return Run(job_command(spec.folder, "stop"), stopped, timeout_s=STOP_TIMEOUT_S)


def stop_playbook(spec: JobSpec) -> Playbook:
    """End the engine's process group, make sure that nothing of it is left, and remove its container."""
    stop = Step(id="stop", title=f"Stop {spec.title}", node=spec.node_id, phase="stop", apply=(_stop_run(spec),))
    steps = [stop]
    if spec.container or not spec.argv:  # without an argv: found on the node, so whether it has one is not known
        steps.append(tidy_step(spec.job_id, spec.node_id))
    return Playbook(title=f"Stop {spec.title}", stages=tuple(Stage(step.title, (step,)) for step in steps))


def tidy_step(job_id: str, node_id: str) -> Step:
    """Fetch how the job's container ended and the end of its log into the folder, then remove the container.

    Jobs of the release before have no guard.py, and their stop has removed the container.
    """
    folder = f"{JOBS_FOLDER}/{job_id}"
    without_guard = Command(("sh", "-c", f'test ! -e "$HOME/{folder.removeprefix("~/")}/guard.py"'))
    tidied = Expect(reader="json_field:tidied", equals="true")
    return Step(
        id="tidy",
        title="Remove the container",
        node=node_id,
        phase="stop",
        check=(Run(without_guard),),
        apply=(Run(job_command(folder, "tidy"), tidied, timeout_s=TIDY_TIMEOUT_S),),
    )


def build_plan(
    request: LaunchRequest, context: PlanContext, spec: JobSpec, *, ledger: MemoryLedger, command_title: str
) -> LaunchPlan:
    """The whole plan of a server on one node. The job's folder keeps the request, so that it can be launched again."""
    kept = {"request": request.model_dump(mode="json"), "plan_hash": request.digest}
    spec = replace(
        spec,
        extra={**spec.extra, **kept},
        proof=spec.proof or request.purpose,
        restart_limit=request.restart_limit if spec.restart_limit is None else spec.restart_limit,
        stop_after_s=request.stop_after_s if spec.stop_after_s is None else spec.stop_after_s,
        memory_floor_bytes=floor_bytes(ledger) if spec.memory_floor_bytes is None else spec.memory_floor_bytes,
    )
    ledger = replace(ledger, floor_bytes=spec.memory_floor_bytes or 0)
    guard = guard_words(ledger, spec.restart_limit or 0, spec.stop_after_s)
    shown = {name: value.replace(FOLDER_WORD, spec.folder) for name, value in spec.env}
    command = show_command(Command(tuple(word.replace(FOLDER_WORD, spec.folder) for word in spec.argv), env=shown))
    note = spec.endpoint.note
    return LaunchPlan(
        job_id=spec.job_id,
        request=request,
        title=spec.title,
        playbook=start_playbook(spec, context.job_program, context.programs),
        stop=stop_playbook(spec),
        endpoint=spec.endpoint,
        ledgers=(ledger,),
        commands=(ShownCommand(spec.node_id, command_title, command),),
        notes=(note, guard) if note else (guard,),
    )
