"""Hardware and OS: what does not fit, what is not alike, and what nobody knows, each with what a person does."""

from __future__ import annotations

import pytest

from sparkdesk.core.bringup.chapters.hardware import plan_hardware, usual_version, version_key
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.probes.doctor_system import BAD_KERNELS
from tests.core.bringup.cases import cell, make_case, with_node

READY = make_case(4, Shape.SWITCH, is_ready=True)


def test_nodes_that_are_alike_pass() -> None:
    found = cell(plan_hardware(READY), "hardware-system", "n3")
    assert (found.state, found.text) == (CellState.PASS, "7.5.0 · 580.142")
    assert "6.17.0-1014-nvidia" in found.evidence


@pytest.mark.parametrize(
    ("changes", "state", "text"),
    [
        ({"dgx_os": "DGX OS 7.4.0"}, CellState.WARN, "7.4.0, update advised"),
        ({"dgx_os": "DGX OS 7.10.0"}, CellState.PASS, "7.10.0 · 580.142"),
        ({"driver": "580.95.05"}, CellState.WARN, "driver 580.95.05, others 580.142"),
        ({"driver": "575.57.08"}, CellState.WARN, "driver 575.57.08"),
        ({"kernel": "6.14.0-1015-nvidia"}, CellState.WARN, "kernel 6.14.0-1015-nvidia, others 6.17.0-1014-nvidia"),
        ({"kernel": "6.8.0-31-generic"}, CellState.WARN, "kernel 6.8.0-31-generic"),
        ({"kernel": BAD_KERNELS[0]}, CellState.FAIL, f"kernel {BAD_KERNELS[0]}"),
        ({"dgx_os": ""}, CellState.UNREAD, "not read"),
        ({"driver": ""}, CellState.UNREAD, "not read"),
    ],
)
def test_a_node_that_is_unlike_the_others_is_told_apart(changes: dict[str, str], state: CellState, text: str) -> None:
    plan = plan_hardware(with_node(READY, "n4", **changes))
    found = cell(plan, "hardware-system", "n4")
    assert (found.state, found.text) == (state, text)
    assert bool(found.remedy) == (state is not CellState.PASS)


def test_when_one_is_newer_the_others_are_behind() -> None:
    plan = plan_hardware(with_node(READY, "n4", dgx_os="DGX OS 7.10.0"))
    assert {cell(plan, "hardware-system", one).text for one in ("n1", "n2", "n3")} == {"7.5.0, update advised"}


def test_no_nccl_on_the_host_is_no_fault_and_unlike_ones_are() -> None:
    assert cell(plan_hardware(READY), "hardware-nccl", "n1").state is CellState.SKIPPED
    case = READY
    for node_id in case.node_ids:
        case = with_node(case, node_id, nccl="2.28.9-1+cuda13.0", problems={})
    assert cell(plan_hardware(case), "hardware-nccl", "n1").state is CellState.PASS
    odd = cell(plan_hardware(with_node(case, "n2", nccl="2.27.3")), "hardware-nccl", "n2")
    assert (odd.state, odd.text) == (CellState.WARN, "2.27.3, others 2.28.9-1+cuda13.0")
    unknown = with_node(case, "n2", nccl="", problems={"nccl": "it took too long"})
    assert cell(plan_hardware(unknown), "hardware-nccl", "n2").state is CellState.UNREAD


def test_versions_are_ordered_by_their_numbers() -> None:
    assert version_key("DGX OS 7.10.0") > version_key("DGX OS 7.9.9")
    assert usual_version(["1.2", "", "1.10", "1.2"]) == "1.2"
    assert usual_version(["1.2", "1.10"]) == "1.10"
    assert usual_version([]) == ""
