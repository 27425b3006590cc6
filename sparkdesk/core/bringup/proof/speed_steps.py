"""The look of a proof at every GPU's clock under load: a Spark may be stuck far below its speed; idle, none shows it.

The one rule: the load is short and small, runs in the chosen image with nothing pulled, and never beside jobs that
nobody was asked about; the clock is read on the node, while the load says that it is under way.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.proof.link_steps import ANY_END, PHASE, Part, busy_jobs
from sparkdesk.core.bringup.proof.measurement import Band, ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.proof.nccl_steps import image_obstacle, leaving, place_of
from sparkdesk.core.bringup.proof.wire import HOME
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.container import HEADROOM_BYTES, OOM_SCORE
from sparkdesk.core.probes.doctor_gpu import HEALTHY_MHZ, SLOW_MHZ
from sparkdesk.core.step import Confirm, PutFile, Run, Stage, Step

ITEM_ID = "gpu-clock"
TITLE = "Full speed under load"
PROGRAM = "gpu_load.py"
INSIDE = f"/sparkdesk/{PROGRAM}"
LOAD_S = 5
"""Long enough for some readings: nvidia-smi's utilization is the mean of up to a second. Own choice."""
CONTAINER_S, WATCH_S, STEP_S = 120, 150, 180.0
"""How long the container, its watch and the step may take: a first start reads the image from the disk."""
CLOCK = Band(
    "GHz", HEALTHY_MHZ / 1000, SLOW_MHZ / 1000, 3.0,
    source="sparkview and owners' reports: 1400 MHz and more under load is healthy, the slow state is 500 to 950 MHz",
)  # fmt: skip
"""The highest clock that a GB10 tells is 3003 MHz: the end of the scale;
unverified on hardware [gpu-clock-under-load, gpu-highest-clock]."""


def speed_part(case: Case, earlier: Sequence[Stage] = ()) -> Part:
    """The clock of every node's GPU, all at once. `earlier`: stages of this proof, one of which may ask already."""
    if why := _obstacle(case):
        return (ProofItem(ITEM_ID, ProofKind.GPU_CLOCK, TITLE, case.node_ids, band=CLOCK, skipped=why),), ()
    steps = tuple(_load_step(case, node_id) for node_id in case.node_ids)
    names = case.names()
    parts = tuple(ProofPart(step.id, ProofEnd(step.node, names[step.node])) for step in steps)
    ids = tuple(step.id for step in steps)
    item = ProofItem(ITEM_ID, ProofKind.GPU_CLOCK, TITLE, case.node_ids, ids, band=CLOCK, parts=parts,
                     image=case.choices.image)  # fmt: skip
    is_asked = any(isinstance(action, Confirm) for stage in earlier for step in stage.steps for action in step.apply)
    ask = () if is_asked else _ask_stages(case)
    return (item,), (*ask, Stage("Load every GPU for some seconds, and read its clock", steps, len(steps)))


def _obstacle(case: Case) -> str:
    if why := image_obstacle(case):
        return why
    if not case.programs.get("gpu_load"):
        return "SparkDesk's program for it is missing: install SparkDesk again."
    readings = [case.reading(node_id) for node_id in case.node_ids]
    if silent := [one.name for one in readings if not one.driver and one.problems.get("driver")]:
        return f"The GPU's driver does not answer on {', '.join(silent)}."
    if odd := [one.name for one in readings if HOME.fullmatch(one.home) is None]:
        return f"The home folder of {', '.join(odd)} is not known."
    return ""


def _ask_stages(case: Case) -> tuple[Stage, ...]:
    """The question before GPUs are loaded beside jobs that run, where nothing of the proof has asked it."""
    jobs = busy_jobs(case, case.node_ids)
    if not jobs:
        return ()
    question = (
        f"{', '.join(jobs[:4])} runs. Reading the clock loads the GPU of every node for {LOAD_S} seconds; SparkDesk "
        "pauses no job. Measure all the same?"
    )
    title = "Ask whether to measure beside running jobs"
    step = Step("proof-ask", title, case.node_ids[0], (Confirm(question),), phase=PHASE)
    return (Stage("Ask before GPUs that work are loaded", (step,)),)


def _load_step(case: Case, node_id: str) -> Step:
    name, home = case.reading(node_id).name, case.reading(node_id).home
    container, place = container_name(case, node_id), place_of(case, PROGRAM)
    watch = ("python3", f"{home}/{place}", "watch", "--limit-s", str(WATCH_S), "--", *load_argv(case, node_id))
    leave = leaving(place)
    end = Run(Command(("docker", "rm", "--force", container)), ANY_END, timeout_s=30.0)
    return Step(
        f"proof-clock-{node_id}",
        f"Load the GPU of {name} for {LOAD_S} seconds and read its clock",
        node_id,
        apply=(
            # 0644: the container's root may be another user of the node.
            PutFile(f"~/{place}", case.programs["gpu_load"], mode=0o644),
            Run(Command(watch), ANY_END, timeout_s=STEP_S),
            *leave,
        ),
        undo=(end, *leave),
        phase=PHASE,
    )


def container_name(case: Case, node_id: str) -> str:
    """What docker calls the container of a node."""
    return f"sparkdesk-proof-{case.mark}-clock-{case.node_ids.index(node_id)}"


def load_argv(case: Case, node_id: str) -> tuple[str, ...]:
    """`docker run` of the load: without network, in the foreground, ended by `timeout` inside, removed at its end."""
    argv = ["docker", "run", "--rm", "--pull", "never", "--name", container_name(case, node_id)]
    argv += ["--label", f"sparkdesk.proof={case.mark}", "--network", "none", "--gpus", "all"]
    argv += ["--memory", str(HEADROOM_BYTES), "--memory-swap", str(HEADROOM_BYTES), "--oom-score-adj", str(OOM_SCORE)]
    argv += ["--volume", f"{case.reading(node_id).home}/{place_of(case, PROGRAM)}:{INSIDE}:ro"]
    argv += ["--entrypoint", "timeout", case.choices.image, "-k", "10", str(CONTAINER_S)]
    argv += ["python3", INSIDE, "load", "--seconds", str(LOAD_S)]
    return tuple(argv)
