"""What the tests of a real vLLM share: where it is, a model, a server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm.server import Server, planned_words, serving

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def python() -> str:
    """The Python that vLLM is installed in."""
    found = os.environ.get("SPARKDESK_VLLM_PYTHON", "")
    if not found:
        pytest.skip("there is no vLLM here; `make test-vllm` installs it")
    return found


@pytest.fixture(scope="session")
def model(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random model."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    subprocess.run([python, str(HERE / "make_model.py"), str(folder)], check=True, timeout=120.0)
    return folder


@pytest.fixture(scope="module")
def server(python: str, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that serves with prefix caching and n-gram guesses, shared by the tests of a file."""
    log = tmp_path_factory.mktemp("vllm") / "log"
    words = planned_words(prefix_caching=True, build="eager")
    with serving(python, model, log, words) as found:
        yield found
