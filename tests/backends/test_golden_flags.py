"""Every flag of every golden plan is one that its engine's own table has (resources/flags), whichever engine it is."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.jobs.flag_table import check_flags
from tests.backends.context import FLAG_TABLES, ROOT

GOLDEN = sorted((ROOT / "tests/golden").glob("*.txt"))
TABLES = {
    path.name.split("-")[0]: tomllib.loads(path.read_text()) for path in (ROOT / "resources/flags").glob("*.toml")
}
WITHOUT_FLAGS = {"ollama", "custom"}
"""They take no flags of ours: Ollama is asked through its API, and a custom command is the person's own."""
PATCHED = {"sparkarena/spark-vllm-docker:mxfp4": ("--mxfp4-backend", "--mxfp4-layers")}
"""Flags that only a patched image has, each with one value."""
IMAGES = {row["reference"] for row in tomllib.loads((ROOT / "resources/images.toml").read_text())["image"]}
VARIABLES = {"HF_TOKEN", "VLLM_API_KEY", "VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8"}
"""What a plan gives a container unasked. Source: NVIDIA's playbooks and vLLM's own source; the last one is of the
community's recipe for gpt-oss, for its patched image."""


def spec_of(path: Path) -> dict[str, Any]:
    """The job's spec.json out of a golden plan."""
    lines = path.read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if "/spec.json" in line) + 1
    end = next(index for index, line in enumerate(lines) if index > start and not line.startswith("      "))
    spec: dict[str, Any] = json.loads("\n".join(lines[start:end]))
    return spec


def engine_words(spec: dict[str, Any]) -> list[str]:
    """What the engine itself reads of the words: after its program, module or model."""
    argv, engine = list(spec["argv"]), spec["request"]["engine"]
    after = {"llamacpp": argv[0], "sglang": "sglang.launch_server"}.get(engine, spec["request"]["model"])
    words = argv[argv.index(after) + 1 :]
    for image, flags in PATCHED.items():
        for flag in flags:
            if image in argv and flag in words:
                del words[words.index(flag) : words.index(flag) + 2]
    return words


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_every_flag_of_a_golden_plan_is_in_its_engines_own_table(path: Path) -> None:
    spec = spec_of(path)
    engine = spec["request"]["engine"]
    if engine in WITHOUT_FLAGS:
        assert engine not in TABLES
        return
    assert check_flags(engine_words(spec), FLAG_TABLES[engine]) == []


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_an_image_and_a_variable_of_a_golden_plan_have_a_source_or_were_asked_for(path: Path) -> None:
    spec = spec_of(path)
    argv, request = spec["argv"], spec["request"]
    if "run" in argv and "--gpus" in argv:
        assert set(argv) & (IMAGES | ({request["image"]} - {""}))
    given = {argv[at + 1].partition("=")[0] for at, word in enumerate(argv) if word == "--env"}
    assert given <= VARIABLES | {name for name, _ in request["environment"]}


@pytest.mark.parametrize("engine", sorted(TABLES))
def test_a_table_names_its_release_and_counts_its_flags(engine: str) -> None:
    table = TABLES[engine]
    assert table["engine"] == engine
    assert table["version"]
    assert table["count"] == len(table["flag"]) == len({flag["name"] for flag in table["flag"]}) > 10


def test_a_flag_that_no_table_has_is_found() -> None:
    spec = spec_of(ROOT / "tests/golden/vllm_upstream_image.txt")
    words = engine_words(spec)
    assert check_flags([*words, "--max-modle-len", "5"], FLAG_TABLES["vllm"]) == ["--max-modle-len is not known"]


def test_every_engine_with_a_container_or_program_has_golden_plans_and_a_table() -> None:
    engines = {spec_of(path)["request"]["engine"] for path in GOLDEN}
    assert {"vllm", "sglang", "llamacpp"} <= engines
    assert engines - WITHOUT_FLAGS <= set(TABLES)
