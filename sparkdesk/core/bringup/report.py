"""The report of a bring-up and its plan, as Markdown for people and as JSON for programs.

The one rule: it says what was read, done and measured, and no more: what was simulated, what is not known, and what
undo leaves behind stands there too. No secret and no serial number is in it.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sparkdesk.core.bringup.chapter import Chapter, FileDiff
from sparkdesk.core.bringup.left_behind import left_behind
from sparkdesk.core.bringup.markdown import block, bullets, sentence, table, words
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.outcome import is_for_good, node_words
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.band import GPUDIRECT
from sparkdesk.core.bringup.proof.measurement import Band, Grade, Measurement, ProofItem
from sparkdesk.core.bringup.proof.verdict import verdict_words
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.playbooks.action_text import describe_action
from sparkdesk.core.playbooks.program_words import what_it_does
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.probes.redaction import hide_secrets
from sparkdesk.core.step import Action, Keep, Playbook, PutFile, Run, Step
from sparkdesk.core.step_json import playbook_to_data

SCHEMA = 1
_STATE_WORDS = {
    CellState.PASS: "pass",
    CellState.WARN: "WARNING",
    CellState.FAIL: "FAILED",
    CellState.UNREAD: "not read",
    CellState.SKIPPED: "left out",
    CellState.PLANNED: "to be changed",
    CellState.WAITING: "not begun",
    CellState.RUNNING: "under way",
    CellState.DONE: "changed",
    CellState.UNDONE: "taken back",
}
_END_WORDS = {
    "done": "done",
    "unchanged": "was so already",
    "failed": "FAILED",
    "cancelled": "cancelled",
    "unknown": "END NOT KNOWN",
    "undone": "taken back",
    "waiting": "not begun",
    "running": "END NOT KNOWN",
    "interrupted": "END NOT KNOWN",
}
_GRADE_WORDS = {
    Grade.PASS: "pass",
    Grade.WARN: "WARNING",
    Grade.FAIL: "FAILED",
    Grade.UNREAD: "not measured",
    Grade.SKIPPED: "left out",
}
_PHASE_WORDS = {
    Phase.DONE: "Done",
    Phase.FAILED: "Failed",
    Phase.UNDONE: "Taken back",
    Phase.PAUSED: "Held between two steps",
    Phase.INTERRUPTED: "Interrupted",
    Phase.PLANNED: "Planned; nothing was changed",
}
_BAD = (CellState.WARN, CellState.FAIL, CellState.UNREAD)


def report_markdown(state: BringUpState, cluster_name: str) -> str:
    """A bring-up as it ended, for people."""
    plan = state.plan
    lines = [f"# Bring-up of {words(cluster_name)}", "", *_head(state), ""]
    undone = ["## What nodes said at the undo", "", *bullets(state.undo_words)] if state.undo_words else []
    if plan is None:
        return "\n".join([*lines, *undone, GPUDIRECT, ""])
    lines += ["## Nodes", "", *_nodes(plan, state.matrix)]
    lines += _chapters(plan, state.matrix)
    lines += ["## Steps", "", *_steps(plan, state.run)]
    if state.run is not None and plan.change_count:
        lines += bullets(node_words(state.run, (one,), plan.names) for one in plan.node_ids)
    lines += [*undone, *_files(plan)]
    lines += ["## Proof", "", *_image(plan), *_proof(state.measurements)]
    lines += ["## Simulated", "", *_simulated(plan, state.measurements)]
    lines += ["## What undo leaves behind", "", *bullets(left_behind(plan.playbook, state.run, plan.names))]
    return "\n".join([*lines, "## To know", "", GPUDIRECT, ""])


def plan_markdown(plan: BringUpPlan) -> str:
    """A plan before it runs: what would be changed by which commands, and what would be measured."""
    lines = [f"# {words(plan.playbook.title)}: the plan", "", f"Made {_time(plan.made_ms)}. Nothing was changed.", ""]
    if plan.obstacles:
        lines += ["## What stands against it", "", *bullets(plan.obstacles)]
    lines += ["## Nodes", "", *_nodes(plan, plan.matrix), *_chapters(plan, plan.matrix)]
    lines += [f"## Steps ({len(list(plan.playbook.steps()))})", "", *_commands(plan.playbook, plan.names)]
    lines += _files(plan)
    lines += ["## Measured then", "", *_items(plan.proof_items), *_commands(plan.proof, plan.names)]
    lines += ["## What undo leaves behind", "", *bullets(left_behind(plan.playbook, None))]
    return "\n".join([*lines, "## To know", "", GPUDIRECT, ""])


def report_json(state: BringUpState, cluster_name: str) -> bytes:
    """A bring-up as it ended, for programs; free texts without secrets."""
    plan = state.plan
    data = {
        "schema": SCHEMA,
        "kind": "bring-up report",
        "cluster": cluster_name,
        "phase": state.phase,
        "message": state.message,
        "remedy": state.remedy,
        "started_ms": state.started_ms,
        "ended_ms": state.ended_ms,
        "matrix": state.matrix,
        "run": _run_data(state.run),
        "proof_run": _run_data(state.proof_run),
        "measurements": state.measurements,
        "undo_words": state.undo_words,
        "left_behind": left_behind(plan.playbook, state.run, plan.names) if plan is not None else (),
        "gpudirect_rdma": GPUDIRECT,
        "plan": None if plan is None else {name: value for name, value in _plan_data(plan).items() if name in _BRIEF},
    }
    return _dump(data, is_hiding=True)


def plan_json(plan: BringUpPlan) -> bytes:
    """The plan with its playbooks as they run, byte for byte (core/step_json.py has the format of these)."""
    return _dump({"schema": SCHEMA, "kind": "bring-up plan", **_plan_data(plan)}, is_hiding=False)


# Markdown ------------------------------------------------------------------------------------------------------------


def _head(state: BringUpState) -> list[str]:
    """How it ended and when, in one paragraph."""
    graded = [one for one in state.measurements if one.grade in (Grade.PASS, Grade.WARN, Grade.FAIL)]
    passed = sum(one.grade is Grade.PASS for one in graded)
    left = sum(one.grade is Grade.SKIPPED for one in state.measurements)
    count = state.matrix.count
    checks = f"{count(CellState.PASS, CellState.DONE)} checks pass, {count(CellState.WARN)} warn, "
    checks += f"{count(CellState.FAIL)} failed, {count(CellState.UNREAD)} were not read"
    proof = f"{passed} of {len(graded)} measurements pass" + (f", {left} were left out" if left else "")
    lines = [_course(state), "", f"{checks}; {proof}."]
    if state.measurements:
        lines += ["", sentence(f"The proof: {verdict_words(state.measurements)}.")]
    if state.past_proof:
        lines += ["", sentence(f"It was measured {state.past_proof}, so it does not tell of what stands now.")]
    for text in (state.message, state.remedy):
        lines += ["", sentence(text)] if text else []
    return lines


def _course(state: BringUpState) -> str:
    """How it stands and since when. A look starts nothing, so that a run which is still in sight tells its own time."""
    begun_ms = state.started_ms or (state.run.started_ms if state.run is not None else 0)
    begun = f"started {_time(begun_ms)}" if begun_ms else ""
    if state.phase is Phase.PLANNED:
        words = _PHASE_WORDS[state.phase] if state.run is None else "Read again; nothing was changed since"
        read = f"read {_time(state.plan.made_ms)}" if state.plan is not None else ""
        times = [read, f"the steps are those of the run before, {begun}" if begun else ""]
    else:
        words = _PHASE_WORDS.get(state.phase, "Under way")
        times = [begun, f"ended {_time(state.ended_ms)}" if state.ended_ms else ""]
    told = ", ".join(word for word in times if word)
    return f"{words}. {told[:1].upper()}{told[1:]}." if told else f"{words}."


def _time(t_ms: int) -> str:
    """Unix ms as a person reads it."""
    try:
        return datetime.fromtimestamp(t_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"


def _nodes(plan: BringUpPlan, matrix: Matrix) -> list[str]:
    """Names with what they run, the shape, and the addresses of the cables."""
    system = next((row for row in matrix.rows if row.id == "hardware-system"), None)
    rows = []
    for node_id in plan.node_ids:
        cell = system.cells.get(node_id) if system is not None else None
        rows.append((plan.names.get(node_id, node_id), cell.text if cell is not None else "not read"))
    lines = [*table(("Node", "DGX OS and driver"), rows), f"Cabling: {plan.shape.value}.", ""]
    return [*lines, *_scheme(plan.scheme, plan.names)]


def _scheme(scheme: Scheme, names: Mapping[str, str]) -> list[str]:
    rows = [
        (lane.subnet, _cable_words(lane.cable, names), names.get(end.node_id, end.node_id), end.netdev, end.host,
         str(end.mtu), "stood already" if end.origin == "kept" and not end.needs_mtu else "set by SparkDesk")
        for lane in scheme.lanes for end in lane.ends
    ]  # fmt: skip
    lines = table(("Network", "Cable", "Node", "Interface", "Address", "MTU", "Origin"), rows) if rows else []
    return [*lines, *bullets(scheme.problems)]


def _cable_words(key: str, names: Mapping[str, str]) -> str:
    """The key of a cable ("n1:P0-n2:P1", "n1:P0-switch") with the names of its nodes."""
    for node_id in sorted(names, key=len, reverse=True):
        key = key.replace(f"{node_id}:P", f"{names[node_id]} P")
    return re.sub(r"( P[01])-", r"\1 to ", key)


def _chapters(plan: BringUpPlan, matrix: Matrix) -> list[str]:
    """Each chapter's checks over the nodes, what a person should do, and what the chapter says."""
    lines: list[str] = []
    for chapter in Chapter:
        rows = [row for row in matrix.rows if row.chapter == chapter.value]
        notes = plan.notes.get(chapter.value, ())
        if not rows and not notes:
            continue
        lines += [f"## {chapter.words}", ""]
        if rows:
            names = [plan.names.get(node_id, node_id) for node_id in matrix.node_ids]
            lines += table(("Check", *names), [_check(row, matrix.node_ids) for row in rows])
        lines += bullets(_remedies(rows, plan.names))
        lines += bullets(notes)
    return lines


def _check(row: Row, node_ids: Iterable[str]) -> list[str]:
    cells = [row.cells.get(node_id) for node_id in node_ids]
    return [row.title, *(_cell_words(cell) if cell is not None else "" for cell in cells)]


def _cell_words(cell: Cell) -> str:
    if cell.state is CellState.PASS:
        return cell.text
    will_be = f" → {cell.then}" if cell.then and cell.state is CellState.PLANNED else ""
    return f"{_STATE_WORDS[cell.state]}: {cell.text}{will_be}"


def _remedies(rows: Iterable[Row], names: Mapping[str, str]) -> Iterator[str]:
    for row in rows:
        for node_id, cell in row.cells.items():
            if cell.state in _BAD:
                yield f"{names.get(node_id, node_id)}, {row.title}: {cell.text}. {cell.remedy}"


def _steps(plan: BringUpPlan, run: RunView | None) -> list[str]:
    """Every step with its end; a run that was begun has its own playbook, which may be a part of the plan's."""
    playbook = run.playbook if run is not None else plan.playbook
    steps = list(playbook.steps())
    if not steps:
        return ["No change was needed.", ""]
    rows = []
    for number, step in enumerate(steps, start=1):
        view = run.step(step.id) if run is not None else None
        end = _end_words(step, view.state) if view is not None else "not begun"
        is_bad = view is not None and view.state not in ("done", "unchanged", "undone")
        said = f"{view.text} {view.remedy}".strip() if view is not None and is_bad else ""
        rows.append((str(number), step.title, plan.names.get(step.node, step.node), end, said))
    return table(("No.", "Step", "Node", "End", "What it said"), rows)


def _end_words(step: Step, state: str) -> str:
    """How a step ended; an undo passes by what it takes nothing back of."""
    if state == "undone" and not step.undo:
        return "done; stays, by design" if is_for_good(step) else "done; nothing to take back"
    return _END_WORDS.get(state, state)


def _commands(playbook: Playbook, names: Mapping[str, str]) -> list[str]:
    """Every step with what it runs and how it is taken back; the bytes of files are in the JSON."""
    lines: list[str] = []
    for step in playbook.steps():
        lines += [f"### {words(step.title)} ({words(names.get(step.node, step.node))})", ""]
        parts = (("check", step.check), ("apply", step.apply), ("verify", step.verify), ("undo", step.undo))
        told = [
            f"## {name}\n" + "\n".join(_action_words(action, names) for action in part) for name, part in parts if part
        ]
        lines += block("\n".join(told), "sh")
    return lines


def _action_words(action: Action, names: Mapping[str, str]) -> str:
    root = "# as root, through sudo:\n" if isinstance(action, Run | PutFile | Keep) and action.as_root else ""
    return root + describe_action(action, lambda node_id: names.get(node_id, node_id))


def _files(plan: BringUpPlan) -> list[str]:
    lines: list[str] = []
    for diff in plan.diffs:
        name = plan.names.get(diff.node_id, diff.node_id)
        lines += [f"### {words(diff.path)} on {words(name)}", "", *block(_unified(diff), "diff")]
        lines += [sentence(diff.note), ""] if diff.note else []
    return ["## Files", "", *lines] if lines else []


def _unified(diff: FileDiff) -> str:
    if not diff.is_before_known:
        return "# what stands there now may not be read by the account\n" + _plus(diff.after)
    before, after = (diff.before or "").splitlines(), (diff.after or "").splitlines()
    return "\n".join(difflib.unified_diff(before, after, "before", "after", lineterm="")) or "# no change"


def _plus(text: str | None) -> str:
    return "\n".join(f"+{line}" for line in (text or "").splitlines())


def _image(plan: BringUpPlan) -> list[str]:
    """In which image NCCL was to be proved, and who chose it."""
    if not plan.image:
        return []
    how = "as it was chosen" if plan.choices.image else "picked of the images that all nodes have"
    return [sentence(f"The image of the proof of NCCL: {plan.image}, {how}"), ""]


def _proof(measurements: Iterable[Measurement]) -> list[str]:
    """The figures with their bands, then what lies behind those that are outside of theirs."""
    found = list(measurements)
    if not found:
        return ["Nothing was measured.", ""]
    rows = [
        (one.item.title, _value(one), _band_words(one.item.band), _GRADE_WORDS[one.grade],
         f"{one.message}{' (simulated)' if one.is_simulated else ''}")
        for one in found
    ]  # fmt: skip
    lines = table(("Measured", "Value", "Band", "Grade", "Remarks"), rows)
    for one in found:
        if one.causes or one.remedy:
            lines += [f"### {words(one.item.title)}", ""]
            lines += [f"{number}. {sentence(cause)}" for number, cause in enumerate(one.causes, start=1)]
            lines += ["", sentence(one.remedy), ""] if one.remedy else [""]
    return lines


def _items(items: Iterable[ProofItem]) -> list[str]:
    rows = [(one.title, _band_words(one.band), one.skipped or one.note) for one in items]
    return table(("Measured", "Band", "Remarks"), rows) if rows else ["Nothing is measured.", ""]


def _value(one: Measurement) -> str:
    return f"{one.value:.4g} {one.unit}".strip() if one.value is not None and math.isfinite(one.value) else ""


def _band_words(band: Band | None) -> str:
    """ "passes at 185 Gb/s, warns at 150" as far as there are such limits."""
    if band is None:
        return ""
    side = "up to" if band.is_lower_better else "from"
    told = [f"passes {side} {band.pass_at:g} {band.unit}" if math.isfinite(band.pass_at) else ""]
    told += [f"warns {side} {band.warn_at:g}" if math.isfinite(band.warn_at) else ""]
    told += ["not seen on hardware by SparkDesk's makers" if band.is_unverified else ""]
    return ", ".join(word for word in told if word)


def _simulated(plan: BringUpPlan, measurements: Iterable[Measurement]) -> list[str]:
    found = [one.item.title for one in measurements if one.is_simulated]
    lines = ["The nodes are simulated: nothing here was measured on a Spark.", ""] if plan.is_simulated else []
    if found:
        return [*lines, "Answered by stand-ins, not by hardware:", "", *bullets(found)]
    return lines or ["Nothing.", ""]


# JSON ----------------------------------------------------------------------------------------------------------------

_BRIEF = ("mark", "made_ms", "nodes", "shape", "scheme", "diffs", "notes", "obstacles", "choices", "image",
          "is_simulated", "playbook_title", "steps")  # fmt: skip


def _plan_data(plan: BringUpPlan) -> dict[str, Any]:
    steps = [
        {"id": step.id, "title": step.title, "node": step.node, "phase": step.phase} for step in plan.playbook.steps()
    ]
    return {
        "mark": plan.mark,
        "made_ms": plan.made_ms,
        "nodes": [{"id": one, "name": plan.names.get(one, one)} for one in plan.node_ids],
        "shape": plan.shape,
        "matrix": plan.matrix,
        "playbook_title": plan.playbook.title,
        "steps": steps,
        "playbook": playbook_to_data(plan.playbook),
        "proof": playbook_to_data(plan.proof),
        "what_programs_do": {
            step.id: told for step in (*plan.playbook.steps(), *plan.proof.steps()) if (told := _told_by_part(step))
        },
        "proof_items": plan.proof_items,
        "scheme": plan.scheme,
        "diffs": plan.diffs,
        "notes": plan.notes,
        "obstacles": plan.obstacles,
        "choices": plan.choices,
        "image": plan.image,
        "is_simulated": plan.is_simulated,
    }


def _told_by_part(step: Step) -> dict[str, list[list[str]]]:
    """What our programs do, beside their bytes: for each action of a part its sentences, none where none is known."""
    parts = {"check": step.check, "apply": step.apply, "verify": step.verify, "undo": step.undo}
    told = {name: [list(what_it_does(action)) for action in part] for name, part in parts.items()}
    return {name: sentences for name, sentences in told.items() if any(sentences)}


def _run_data(run: RunView | None) -> dict[str, Any] | None:
    """A run without what was printed: each step with its end."""
    if run is None:
        return None
    steps = [
        {
            "id": step.id,
            "title": step.title,
            "node": step.node,
            "end": view.state,
            "text": view.text,
            "remedy": view.remedy,
        }
        for step in run.playbook.steps()
        for view in (run.step(step.id),)
    ]
    names = ("run_id", "started_ms", "ended_ms", "result", "message", "remedy", "is_undo")
    return {**{name: getattr(run, name) for name in names}, "steps": steps}


def _dump(data: Mapping[str, Any], *, is_hiding: bool) -> bytes:
    plain = _plain(data, is_hiding=is_hiding)
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def _plain(value: Any, *, is_hiding: bool) -> Any:
    """Plain JSON data of our nouns; a number that is none is null."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return hide_secrets(value) if is_hiding else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), is_hiding=is_hiding) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one, is_hiding=is_hiding) for name, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(_plain(one, is_hiding=is_hiding) for one in value)
    if isinstance(value, list | tuple):
        return [_plain(one, is_hiding=is_hiding) for one in value]
    return value
