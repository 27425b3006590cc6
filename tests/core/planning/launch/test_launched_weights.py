"""What a launch loads: the checkpoint of its hub id and format, and nothing invented where that is not known."""

from __future__ import annotations

import pytest

from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.request import launched_weights
from tests.core.planning.planner import spec_of

LLAMA = spec_of("llama-3.3-70b")
NVFP4, FP8 = "nvidia/Llama-3.3-70B-Instruct-NVFP4", "nvidia/Llama-3.3-70B-Instruct-FP8"
BF16 = "meta-llama/Llama-3.3-70B-Instruct"


@pytest.mark.parametrize(
    ("model", "quantization", "loaded"),
    [
        (NVFP4, "NVFP4", NVFP4),
        (NVFP4.lower(), "", NVFP4),
        (BF16, "", BF16),
        (BF16, "FP8", FP8),  # the key of another of the model's checkpoints
        (BF16, "fp8", BF16),  # the engine's own word: quantized while it loads, counted as it lies on disk
    ],
)
def test_hub_id_and_format_name_the_checkpoint(model: str, quantization: str, loaded: str) -> None:
    request = LaunchRequest(engine="vllm", model=model, nodes=("n1",), served_name="m", quantization=quantization)
    found = launched_weights(request, LLAMA)
    assert found.repo == loaded
    assert found.weight_bytes > 0


@pytest.mark.parametrize("spec", [LLAMA, None])
def test_what_nobody_knows_has_no_size(spec: object) -> None:
    request = LaunchRequest(engine="vllm", model="own/model", nodes=("n1",), served_name="m", quantization="")
    found = launched_weights(request, LLAMA if spec else None)
    assert (found.repo, found.weight_bytes) == ("own/model", 0)
