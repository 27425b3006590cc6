"""Each assumption can hold, can differ, and is "not seen" when nothing could be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import llamacpp, vllm
from sparkdesk.core.planning.memory.need import NCCL_BYTES
from sparkdesk.core.probes.assumption import Assumption, FieldReport, Hold
from sparkdesk.core.probes.assumption_software import LLAMACPP_ALLOWED_BYTES, NCCL_ALLOWED_BYTES, VLLM_ALLOWED_BYTES
from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from sparkdesk.core.probes.read import Answer, Fault, ReadCommand

TABLE = {assumption.probe.id: assumption for assumption in ASSUMPTIONS}

# id -> (what a Spark would say, something else). Texts are (path, text); a path is "" for a command.
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "dgx-name": ({"": 'DGX_NAME="DGX Spark"\n'}, {"": 'DGX_NAME="DGX GB300WS"\n'}),
    "dgx-version": ({"": 'DGX_SWBUILD_VERSION="7.2.3"\n'}, {"": "DGX_SWBUILD_VERSION=next\n"}),
    "trial-scope": ({"": "systemd\n"}, {"": "bash\n"}),
    "ota-version": ({"": 'DGX_OTA_VERSION="7.5.0"\n'}, {"": 'DGX_NAME="DGX Spark"\n'}),
    "netplan-generator": ({"": "generate\nnetplan-dbus\n"}, {"": "netplan-dbus\n"}),
    "netplan-renderer": ({"": "inactive\n"}, {"": "active\n"}),
    "product-name": (
        {"/sys/class/dmi/id/sys_vendor": "HP\n", "/sys/class/dmi/id/product_name": "HP ZGX Nano G1n AI Station\n"},
        {"/sys/class/dmi/id/sys_vendor": "HP\n", "/sys/class/dmi/id/product_name": "HP Z8 G5\n"},
    ),
    "disk-size": ({"": "2000409264\n"}, {"": "500118192\n"}),
    "memory-total": ({"": "MemTotal:       127535084 kB\n"}, {"": "MemTotal:       32000000 kB\n"}),
    "memory-uncounted": ({"": "CmaTotal: 65536 kB\nCmaFree: 60000 kB\n"}, {"": "CmaTotal: 0 kB\nCmaFree: 9000 kB\n"}),
    "swap-size": ({"": "SwapTotal:      16777212 kB\n"}, {"": "SwapTotal:      33554428 kB\n"}),
    "kernel-flavour": ({"": "6.17.0-1014-nvidia\n"}, {"": "6.8.0-45-generic\n"}),
    "not-a-jetson": ({"": "/etc\n"}, {"": "/etc\n/etc/nv_tegra_release\n"}),
    "thermal-zones": (
        {f"/sys/class/thermal/thermal_zone{zone}/type": "acpitz\n" for zone in range(7)},
        {"/sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n"},
    ),
    "cpu-parts": (
        {"": "CPU part\t: 0xd87\n" * 10 + "CPU part\t: 0xd85\n" * 10},
        {"": "CPU part\t: 0xd87\n" * 20},
    ),
    "gpu-name": ({"": "NVIDIA GB10\n"}, {"": "NVIDIA GeForce RTX 5090\n"}),
    "gpu-memory-absent": ({"": "[N/A]\n"}, {"": "24564\n"}),
    "gpu-power": ({"": "11.17\n"}, {"": "[N/A]\n"}),
    "gpu-clock-under-load": ({"": "2418, 96\n"}, {"": "611, 96\n"}),
    "gpu-slow-power": ({"": "611, 96, 24.10"}, {"": "611, 96, 80.00"}),
    "gpu-information": (
        {"": "Model: \t\t NVIDIA GB10\nVideo BIOS: \t 9a.0b.17.00.00\n"},
        {"": "Model: \t NVIDIA GB10\n"},
    ),
    "gpu-capped-counters": (
        {"": "        SW Power Capping                  : 123456 us\n"},
        {"": "    Clocks Event Reasons\n"},
    ),
    "gpu-processes": ({"": "3454041, 58450\n"}, {"": "3454041, [N/A]\n"}),
    "nvml-memory": (
        {"": "init 0\ndevice 0\nmemory 3\npower 0 11170\n"},
        {"": "init 0\ndevice 0\nmemory 999\npower 0 11170\n"},
    ),
    "driver-branch": (
        {"": "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.142  Release Build\n"},
        {"": "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  595.10  Release Build\n"},
    ),
    "cage-netdevs": ({"/sys/class/net/enp1s0f1np1/address": "aa"}, {"/sys/class/net/enp9s0f1np1/address": "aa"}),
    "cage-pairs": (
        {"": "rocep1s0f1 port 1 ==> enp1s0f1np1 (Up)\nroceP2p1s0f1 port 1 ==> enP2p1s0f1np1 (Up)\n"},
        {"": "rocep1s0f1 port 1 ==> enp1s0f0np0 (Up)\n"},
    ),
    "cx7-width": (
        {"/sys/bus/pci/devices/0002:01:00.0/current_link_width": "4\n"},
        {"/sys/bus/pci/devices/0002:01:00.0/current_link_width": "2\n"},
    ),
    "rdma-words": (
        {
            "/sys/class/infiniband/rocep1s0f1/ports/1/counters/port_rcv_data": "1000000",
            "/sys/class/infiniband/rocep1s0f1/ports/1/counters/port_rcv_packets": "4000",
        },
        {
            "/sys/class/infiniband/rocep1s0f1/ports/1/counters/port_rcv_data": "16000000",
            "/sys/class/infiniband/rocep1s0f1/ports/1/counters/port_rcv_packets": "4000",
        },
    ),
    "rdma-state-words": (
        {"/sys/class/infiniband/rocep1s0f1/ports/1/state": "4: ACTIVE\n"},
        {"/sys/class/infiniband/rocep1s0f1/ports/1/state": "ACTIVE\n"},
    ),
    "management-pci": (
        {"/sys/bus/pci/devices/0007:01:00.0/net/enP7s7/address": "aa"},
        {"/sys/bus/pci/devices/0007:01:00.0/net/eth0/address": "aa"},
    ),
    "link-speed": (
        {"/sys/class/net/enp1s0f1np1/speed": "200000\n", "/sys/class/net/enP7s7/speed": "10000\n"},
        {"/sys/class/net/enp1s0f1np1/speed": "25000\n"},
    ),
    "dashboard-port": (
        {"": "LISTEN 0 4096 127.0.0.1:11000 0.0.0.0:*\n"},
        {"": "LISTEN 0 4096 0.0.0.0:11000 0.0.0.0:*\n"},
    ),
    "docker-version": ({"": "Docker version 29.2.1, build a5c7197\n"}, {"": "Docker version 26.0.0, build 1\n"}),
    "llamacpp-buffers": (
        {"a/log": "sched_reserve:      CUDA0 compute buffer size =   254.50 MiB\n"},
        {"a/log": "sched_reserve:      CUDA0 compute buffer size =   900.50 MiB\n"},
    ),
    "nccl-buffers": (
        {"a/log": "vLLM is using nccl==2.27.3\nmodel weights take 20.10GiB; non_torch_memory takes 0.31GiB; rest\n"},
        {"a/log": "vLLM is using nccl==2.27.3\nmodel weights take 20.10GiB; non_torch_memory takes 1.31GiB; rest\n"},
    ),
    "system-reserve": (
        {"": "MemTotal: 127535084 kB\nMemAvailable: 124535084 kB\n\nprograms 0\n"},
        {"": "MemTotal: 127535084 kB\nMemAvailable: 120535084 kB\n\nprograms 0\n"},
    ),
    "work-power": ({"": "11.40, 0, P0\n"}, {"": "31.40, 0, P0\n"}),
    "trtllm-on-gb10": (
        {"a/log": "[TRT-LLM] [I] x\n[MemUsageChange] Allocated 1.56 GiB for max tokens in paged KV cache (12800).\n"},
        {"a/log": "[TRT-LLM] [E] Failed to initialize executor\n"},
    ),
    "ollama-on-gb10": (
        {"a/log": "[ollama] loading m\n[ollama] loaded 500 bytes, 500 of them for the GPU, context 4096, in 1.0 s\n"},
        {"a/log": "[ollama] loading m\n[ollama] loaded 500 bytes, 0 of them for the GPU, context 4096, in 1.0 s\n"},
    ),
    "moe-backend": (
        {"a/log": "INFO [nvfp4.py:242] Using 'MARLIN' NvFp4 MoE backend out of potential backends: [].\n"},
        {"a/log": "INFO [mxfp4.py:120] Using 'TRITON' Mxfp4 MoE backend.\n"},
    ),
    "llamacpp-on-gb10": (
        {"a/log": "ggml_cuda_init: found 1 CUDA devices:\n  Device 0: NVIDIA GB10, compute capability 12.1\n"},
        {"a/log": "ggml_cuda_init: no CUDA-capable device is detected\n"},
    ),
}


def judge(assumption: Assumption, texts: dict[str, str]) -> Hold:
    """How the assumption fares when its read gives these texts."""
    (read,) = assumption.probe.reads
    code = 0 if isinstance(read, ReadCommand) else None
    hold, seen = assumption.judge({read: Answer(texts=tuple(texts.items()), code=code)})
    assert seen, "a judgement shows what it saw"
    return hold


def test_every_assumption_has_an_id_of_its_own_a_claim_and_a_source() -> None:
    assert len(TABLE) == len(ASSUMPTIONS) >= 40
    for assumption in ASSUMPTIONS:
        assert assumption.claim[0].isupper() or assumption.claim.startswith(("nvidia-smi", "llama.cpp", "vLLM", "/"))
        assert assumption.probe.source
        assert assumption.where


@pytest.mark.parametrize("assumption_id", sorted(CASES))
def test_it_holds_on_what_a_spark_says_and_differs_on_something_else(assumption_id: str) -> None:
    right, wrong = CASES[assumption_id]
    assert judge(TABLE[assumption_id], right) is Hold.HELD
    assert judge(TABLE[assumption_id], wrong) is Hold.DIFFERS


@pytest.mark.parametrize("assumption_id", sorted(TABLE))
@pytest.mark.parametrize("fault", list(Fault))
def test_what_could_not_be_read_is_not_seen(assumption_id: str, fault: Fault) -> None:
    (read,) = TABLE[assumption_id].probe.reads
    assert TABLE[assumption_id].judge({read: Answer(fault=fault, problem="why")})[0] is Hold.NOT_SEEN
    assert TABLE[assumption_id].judge({})[0] is Hold.NOT_SEEN


@given(
    assumption_id=st.sampled_from(sorted(TABLE)),
    texts=st.lists(st.tuples(st.text(max_size=60), st.text(max_size=200)), max_size=4),
    code=st.one_of(st.none(), st.integers(-1, 300)),
)
def test_no_text_of_a_node_breaks_a_judgement(
    assumption_id: str, texts: list[tuple[str, str]], code: int | None
) -> None:
    assumption = TABLE[assumption_id]
    hold, seen = assumption.judge({assumption.probe.reads[0]: Answer(texts=tuple(texts), code=code)})
    assert isinstance(hold, Hold)
    assert len(seen) <= 400


def test_the_allowances_are_those_that_the_backends_plan_with() -> None:
    assert LLAMACPP_ALLOWED_BYTES == llamacpp.BUFFER_BYTES
    assert VLLM_ALLOWED_BYTES == vllm.RUNTIME_BYTES
    assert NCCL_ALLOWED_BYTES == NCCL_BYTES


def test_what_is_no_known_vendors_or_not_slow_is_not_seen() -> None:
    assert judge(TABLE["product-name"], {"/sys/class/dmi/id/sys_vendor": "Someone\n"}) is Hold.NOT_SEEN
    assert judge(TABLE["gpu-slow-power"], {"": "2418, 96, 80.00"}) is Hold.NOT_SEEN


def test_an_allowance_of_the_planner_is_judged_only_where_the_node_tells_it() -> None:
    busy = {"": "MemTotal: 127535084 kB\nMemAvailable: 20535084 kB\n\nprograms 1\n"}
    assert judge(TABLE["system-reserve"], busy) is Hold.NOT_SEEN
    assert judge(TABLE["work-power"], {"": "62.00, 96, P0\n"}) is Hold.HELD
    assert judge(TABLE["work-power"], {"": "95.00, 96, P0\n"}) is Hold.DIFFERS
    assert judge(TABLE["work-power"], {"": "4.00, 0, P8\n"}) is Hold.NOT_SEEN, "asleep"
    one_node = {"a/log": "model weights take 20.10GiB; non_torch_memory takes 1.31GiB\n"}
    assert judge(TABLE["nccl-buffers"], one_node) is Hold.NOT_SEEN
    for untold in ("draft-weights", "memory-sharing", "training-overlap", "training-memory"):
        assert judge(TABLE[untold], {"a/log": "anything\n"}) is Hold.NOT_SEEN


def test_a_neighbour_by_lldp_shows_that_frames_for_the_nearest_bridge_come_in() -> None:
    bridge = TABLE["nearest-bridge"]
    assert judge(bridge, {"": "lldp.enp1s0f1np1.via=LLDP\nlldp.enp1s0f1np1.chassis.name=sn3700\n"}) is Hold.HELD
    assert judge(bridge, {"": "lldp.enP7s7.via=LLDP\n"}) is Hold.NOT_SEEN, "the RJ45 port is another card's"
    assert judge(bridge, {"": "lldp.enp1s0f1np1.via=CDPv2\n"}) is Hold.NOT_SEEN, "CDP has another address"
    assert judge(bridge, {"": ""}) is Hold.NOT_SEEN


def test_only_read_only_programs_are_run() -> None:
    allowed = {"nvidia-smi", "python3", "docker", "nvidia-ctk", "/usr/local/cuda/bin/nvcc", "ss", "ls"}
    allowed |= {"ibdev2netdev", "lldpctl", "systemctl"}
    for assumption in ASSUMPTIONS:
        for read in assumption.probe.reads:
            if isinstance(read, ReadCommand):
                assert read.argv[0] in allowed
                assert read.argv[0] != "systemctl" or read.argv[1] == "is-active"
                assert not {"-r", "-pm", "-lgc", "-pl", "--gpu-reset", "run", "exec", "rm"} & set(read.argv)


def test_the_summary_counts() -> None:
    assert FieldReport("a").summary() == "held 0, differ 0, not seen 0"
