"""The doctor's table: every check, in the order in which a person reads them.

The one rule: a check is judged when all of its reads are answered, never before.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparkdesk.core.probes import doctor_docker, doctor_gpu, doctor_memory, doctor_system
from sparkdesk.core.probes.check import Check, Finding
from sparkdesk.core.probes.read import Answers, Read, ReadCommand

CHECKS: tuple[Check, ...] = (
    *doctor_gpu.CHECKS,
    *doctor_memory.CHECKS,
    *doctor_docker.CHECKS,
    *doctor_system.CHECKS,
)


def batches(checks: Sequence[Check] = CHECKS) -> tuple[tuple[Read, ...], ...]:
    """The reads without repeats: first what costs no program on the node, then the programs."""
    reads = list(dict.fromkeys(read for check in checks for read in check.probe.reads))
    quick = tuple(read for read in reads if not isinstance(read, ReadCommand))
    return quick, tuple(read for read in reads if isinstance(read, ReadCommand))


def judge(answers: Answers, node_id: str, checks: Sequence[Check] = CHECKS) -> tuple[Finding, ...]:
    """The findings of the checks whose reads are all answered, in the table's order. Total."""
    ready = (check for check in checks if all(read in answers for read in check.probe.reads))
    return tuple(check.judge(answers, node_id) for check in ready)
