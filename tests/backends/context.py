"""One node as the backends see it, for plans that are compared to reviewed text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord
from sparkdesk.core.jobs.backend import NodeContext, PlanContext
from sparkdesk.core.jobs.flag_table import read_flag_table
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.step import Action, PutFile, Run, Wait

ROOT = Path(__file__).resolve().parents[2]
FLAG_TABLES = {
    table.engine: table
    for table in (read_flag_table(path.read_bytes()) for path in sorted((ROOT / "resources/flags").glob("*.toml")))
}
JOB_ID = "abcdefghijklmnop"
GGUF = "/home/nvidia/models/SmolLM2-135M-Instruct.Q4_1.gguf"
MTP_GGUF = "/home/nvidia/models/Qwen3.6-35B-A3B-Q4_K_M.gguf"

NODE = NodeContext(
    record=NodeRecord(id="node-1", name="spark-5c2d", address="127.77.0.1", port=22, user="nvidia"),
    facts=NodeFacts(hostname="spark-5c2d"),
    mem_total_bytes=127_535_084 * 1024,
    mem_available_bytes=124_000_000 * 1024,
    cpu_count=20,
    images=("nvcr.io/nvidia/vllm:26.05-py3",),
    weight_files={GGUF: 98_362_432, MTP_GGUF: 21_340_000_000},
    programs={"docker": "/usr/bin/docker", "llama-server": "/usr/local/bin/llama-server"},
    home="/home/nvidia",
)


def spec_named(name: str) -> ModelSpec:
    """A model of the shipped catalogue."""
    catalogue = read_catalogue((ROOT / "resources/catalogue/models.toml").read_bytes())
    return next(spec for spec in catalogue if spec.name == name)


def context_with(spec: ModelSpec | None, **changes: object) -> PlanContext:
    """A context of the one node, with some of its facts changed."""
    node = replace(NODE, **changes)  # type: ignore[arg-type]
    return PlanContext(
        job_id=JOB_ID,
        owner="ada@desk",
        nodes=(node,),
        spec=spec,
        job_program=b"# job.py\n",
        flag_tables=FLAG_TABLES,
    )


def show_plan(plan: LaunchPlan) -> str:
    """The whole plan as text: what a reviewer reads in tests/golden."""
    ledger = plan.ledgers[0]
    lines = [f"plan {plan.title}", f"endpoint {plan.endpoint.host}:{plan.endpoint.port} {plan.endpoint.model}"]
    lines.append(
        f"ledger total {ledger.total_bytes} others {ledger.others_bytes} weights {ledger.weights_bytes}"
        f" kv {ledger.kv_bytes} runtime {ledger.runtime_bytes} undivided {ledger.undivided_bytes}"
        f" reserve {ledger.reserve_bytes} free {ledger.free_bytes} {ledger.fit}"
    )
    lines += [f"note {note}" for note in plan.notes]
    for command in plan.commands:
        lines += ["", f"command on {command.node_id}: {command.title}", command.text]
    for playbook in (plan.playbook, plan.stop):
        lines += ["", f"playbook {playbook.title}"]
        for step in playbook.steps():
            lines.append(f"  step {step.id} ({step.phase}) on {step.node}: {step.title}")
            for part in ("check", "apply", "verify", "undo"):
                lines += [f"    {part}: {_show(action)}" for action in getattr(step, part)]
    return "\n".join(lines) + "\n"


def _show(action: Action) -> str:
    match action:
        case PutFile(path=path, content=content, mode=mode):
            text = content.decode() if path.endswith((".json", ".yaml")) else f"({len(content)} bytes)\n"
            return f"put {path} {mode:o}\n" + "".join(f"      {line}\n" for line in text.splitlines())[:-1]
        case Run(command=command, expect=expect, timeout_s=timeout_s):
            return f"run {command.to_shell()} -> {expect.exit_codes} {expect.reader}={expect.equals} in {timeout_s:g} s"
        case Wait(command=command, expect=expect, timeout_s=timeout_s):
            return f"wait {command.to_shell()} -> {expect.reader}={expect.equals} in {timeout_s:g} s"
        case _:
            return repr(action)
