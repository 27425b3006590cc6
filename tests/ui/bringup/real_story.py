"""A bring-up of four nodes whose every word the real planner, fold and judge have made, moment by moment, for pictures.

The one rule: what stands in a picture is what a plan has. Only the nodes' readings and what tools print are made up,
and so it says that it is simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.fold import as_undone, follow
from sparkdesk.core.bringup.late_proof import with_later_proof
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix
from sparkdesk.core.bringup.outcome import is_change, node_words
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.judge import judge_all
from sparkdesk.core.bringup.proof.measurement import Measurement, ProofKind
from sparkdesk.core.bringup.state import BringUpState, Phase, Trial
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.playbooks.run_view import INTERRUPTED, RunView, StepView
from sparkdesk.core.step import Step, Wait
from sparkdesk.services.bringup.words import GO_ON, rolled_back_words
from tests.core.bringup.cases import make_case, standing_scheme, with_node
from tests.core.bringup.mesh_cases import with_mesh
from tests.core.bringup.proof.proofs import BANDWIDTH, gather, print_well
from tests.ui import rack
from tests.ui.bringup.story import Desk

NOW_MS = rack.NOW_MS
IDS = ("n1", "n2", "n3", "n4")
NAMES = dict(zip(IDS, rack.NAMES, strict=True))
IMAGES = ("nvcr.io/nvidia/pytorch:26.05-py3", "nvcr.io/nvidia/vllm:26.05-py3")
NO_ANSWER = "The node did not answer within 10 s after its new addresses; it has put the old network back by itself."
"""What a run says of a trial that nothing confirmed."""


def case_of(*, is_ready: bool = False) -> Case:
    """Four nodes on a switch, with names as Sparks have them; one is behind with DGX OS."""
    case = make_case(4, Shape.SWITCH, is_ready=is_ready, is_simulated=True, choices=Choices())
    for node_id, name in NAMES.items():
        case = with_node(case, node_id, name=name, hostname=name, images=IMAGES if is_ready else ())
    case = with_node(case, "n4", dgx_os="DGX OS 7.4.0")
    return with_mesh(case, standing_scheme(case)) if is_ready else case


@cache
def plan() -> BringUpPlan:
    """What is planned for boxes."""
    return make_plan(case_of(), NOW_MS)


@cache
def second_plan() -> BringUpPlan:
    """What is planned for them after a bring-up."""
    return make_plan(case_of(is_ready=True), NOW_MS)


def whole_plan() -> BringUpPlan:
    """The plan with the proof that a look after its run makes."""
    return with_later_proof(plan(), second_plan())


def run_of(states: Callable[[Step], str], **changes: object) -> RunView:
    """A run in which each step stands as `states` says; "" waits."""
    playbook = plan().playbook
    found = {step.id: StepView(state, "apply") for step in playbook.steps() if (state := states(step))}
    begun = frozenset(step_id for step_id, view in found.items() if view.state in ("done", "running", "failed"))
    return replace(RunView("r1", playbook, NOW_MS - 40_000, steps=found, begun=begun), **changes)  # type: ignore[arg-type]


def before_network(step: Step) -> str:
    """All steps ahead of the network's are done; those behind it wait."""
    order = [each.id for each in plan().playbook.steps()]
    first = next(each.id for each in plan().playbook.steps() if each.phase == Chapter.NETWORK.value)
    return "done" if order.index(step.id) < order.index(first) else ""


def network(**states: str) -> Callable[[Step], str]:
    """The trials of these nodes stand so; all ahead of them is done."""
    trials = {trial_id(node_id): state for node_id, state in states.items()}
    return lambda step: trials.get(step.id, "") or before_network(step)


def trial_id(node_id: str) -> str:
    """The step that tries a node's network."""
    return next(step.id for step in plan().playbook.steps() if step.node == node_id and _asks(step))


def _asks(step: Step) -> bool:
    return any(isinstance(action, Wait) and action.ask for action in step.apply)


def question_of(node_id: str) -> str:
    """What a person is asked where the look after the trial could not run."""
    (step,) = [step for step in plan().playbook.steps() if step.id == trial_id(node_id)]
    return next(action.ask for action in step.apply if isinstance(action, Wait) and action.ask)


def trial(node_id: str, left_s: float, *, is_asking: bool = False) -> Trial:
    """What is tried on a node."""
    question = question_of(node_id) if is_asking else ""
    return Trial(node_id, trial_id(node_id), NOW_MS + round(left_s * 1000), 60.0, question)


def planned(**changes: object) -> BringUpState:
    """Read, and nothing changed yet."""
    return replace(BringUpState(Phase.PLANNED, IDS, plan().matrix, plan()), **changes)  # type: ignore[arg-type]


def reading() -> BringUpState:
    """Two nodes have answered; of the others nothing is known yet."""
    waits = Cell(CellState.RUNNING, "reading")
    rows = tuple(
        replace(row, cells={one: row.cells[one] if one in IDS[:2] else waits for one in IDS})
        for row in plan().matrix.rows
    )
    return BringUpState(Phase.READING, IDS, Matrix(IDS, rows))


def running(*trials: Trial) -> BringUpState:
    """The canary is kept, two others are tried, the last one waits."""
    run = run_of(network(n1="done", n2="running", n3="running"))
    asked = {one.step_id: StepView("running", "apply", one.question) for one in trials if one.question}
    run = replace(run, steps={**run.steps, **asked})
    return BringUpState(
        Phase.RUNNING, IDS, follow(plan().matrix, run), plan(), run, trials=trials, started_ms=NOW_MS - 40_000
    )


def asking() -> BringUpState:
    """The look after one of the trials could not run, so that a person is asked; another is decided by itself."""
    return running(trial("n3", 42.0, is_asking=True), trial("n2", 40.0))


def ended() -> RunView:
    """All was done."""
    return run_of(lambda _step: "done", result="done", ended_ms=NOW_MS)


def printed(*, is_bad: bool = False) -> Mapping[str, str]:
    """What the proof's steps print: all well, or a third node whose port came up degraded."""
    found: dict[str, str] = {}
    for item in whole_plan().proof_items:
        for part in item.parts:
            said = print_well(item, part)
            if is_bad and item.kind is ProofKind.ALL_GATHER:
                said = gather(item, part, 3.1, len(item.node_ids))
            elif is_bad and item.kind is ProofKind.RDMA_BANDWIDTH and "n3" in item.node_ids:
                said = BANDWIDTH.format(gbps="13.10")
            found[part.step_id] = found.get(part.step_id, "") + said if item.kind is ProofKind.LINK else said
    return found


def measured(*, is_bad: bool = False) -> tuple[Measurement, ...]:
    """What the judge makes of it."""
    made = whole_plan()
    results = {step.id: "done" for step in made.proof.steps()}
    return judge_all(made.proof_items, printed(is_bad=is_bad), results, True)


def done(*, is_bad: bool = False) -> BringUpState:
    """Applied and proved."""
    return BringUpState(
        Phase.DONE, IDS, follow(plan().matrix, ended()), whole_plan(), ended(), measurements=measured(is_bad=is_bad),
        started_ms=NOW_MS - 58_000, ended_ms=NOW_MS,
        report_paths=("~/SparkDesk/bring-up-rack-4.md", "~/SparkDesk/bring-up-rack-4.json"),
    )  # fmt: skip


def proving() -> BringUpState:
    """The first measurements are there, the next one runs."""
    items, found = whole_plan().proof_items, measured()[:3]
    step_id = next(item.step_ids[0] for item in items[3:] if item.step_ids)
    now = RunView("r2", whole_plan().proof, NOW_MS - 9000, steps={step_id: StepView("running", "apply")})
    return replace(done(), phase=Phase.PROVING, proof_run=now, measurements=found, ended_ms=None, report_paths=())


def _stopped(run: RunView, phase: Phase, lead: str) -> BringUpState:
    words = f"{lead} {node_words(run, IDS, NAMES)}"
    return BringUpState(phase, IDS, follow(plan().matrix, run), plan(), run, message=words, remedy=run.remedy,
                        started_ms=NOW_MS - 90_000, ended_ms=NOW_MS)  # fmt: skip


def rolled_back() -> BringUpState:
    """A person wanted the old network of one node back; the others stand."""
    run = run_of(network(n1="done", n2="done", n3="undone", n4="done"), result="cancelled", remedy=GO_ON)
    words = rolled_back_words((NAMES["n3"],), "").strip()
    return replace(_stopped(run, Phase.FAILED, words), is_wanted=True)


def restored() -> BringUpState:
    """The network of one node restored itself, as nothing confirmed it; the others stand."""
    run = run_of(network(n1="done", n2="done", n3="failed", n4="done"), result="failed", message=NO_ANSWER,
                 remedy="Look at its cables, then continue or undo.")  # fmt: skip
    return _stopped(run, Phase.FAILED, NO_ANSWER)


def interrupted() -> BringUpState:
    """An earlier SparkDesk ended in the middle."""
    run = run_of(network(n1="done"), result=INTERRUPTED, remedy="Continue it, or undo it.")
    return _stopped(run, Phase.INTERRUPTED, "SparkDesk ended in the middle of it.")


def undone() -> BringUpState:
    """All was taken back, and read since."""
    run = run_of(lambda step: "undone" if is_change(step) or not step.check else "unchanged", result="done",
                 is_undo=True)  # fmt: skip
    run = replace(run, begun=frozenset())
    cells = as_undone(follow(plan().matrix, run), plan().matrix)
    return BringUpState(
        Phase.UNDONE, IDS, cells, whole_plan(), run, measurements=measured(), past_proof="before the undo",
        started_ms=NOW_MS - 90_000, ended_ms=NOW_MS,
    )  # fmt: skip


def all_green() -> BringUpState:
    """The second look: nothing to do."""
    return BringUpState(Phase.PLANNED, IDS, second_plan().matrix, second_plan())


def desk() -> Desk:
    """The page over these nodes."""
    made = Desk()
    nodes = (rack.status(i) for i in range(4))
    made.nodes.set(tuple(_named(node, one) for node, one in zip(nodes, IDS, strict=True)))
    return made


def _named(node: NodeStatus, node_id: str) -> NodeStatus:
    return replace(node, record=replace(node.record, id=node_id))
