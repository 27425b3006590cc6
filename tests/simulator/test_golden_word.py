"""Every reviewed plan's command line, word by word through what the simulated docker and engines take.

The one rule: no machine is needed: the programs are put into a folder as on a node, and only their parsers run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparkdesk.simulator import program_set
from tests.simulator.conftest import PROJECT

GOLDEN = PROJECT / "tests" / "golden"
READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
import docker_entry, docker_image_store, docker_limit, docker_options, engine_flags, llama_flags
words = json.loads(sys.argv[2])
program = words[0].rpartition("/")[2]
if program == "docker":
    command, rest = docker_options.split(words[1:])
    options, rest = docker_options.parse(command, rest)
    docker_limit.check_limits(options)
    assert docker_image_store.whole_name(rest[0]) in docker_image_store.registry(), rest[0]
    repository = docker_image_store.whole_name(rest[0]).rpartition(":")[0]
    entry = options["entrypoint"][-1] if "entrypoint" in options else None
    engine, arguments = docker_entry.engine_words(repository, rest[1:], entry)
    grammar = getattr(engine_flags, engine.upper())
    version, table = engine_flags.load_table(grammar, docker_image_store.whole_name(rest[0]))
    assert table, engine
    engine_flags.parse(grammar, arguments, table)
elif program == "llama-server":
    llama_flags.parse(words[1:])
print(program)
"""
# A custom server's image and program are its owner's.
PLANS = sorted(path for path in GOLDEN.glob("*.txt") if not path.stem.startswith("custom"))


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's programs with the tables that they read."""
    folder = tmp_path_factory.mktemp("programs") / "program"
    resources = PROJECT / "resources"
    files = [*(resources / "flags").glob("*.toml"), resources / "images.toml", resources / "catalogue" / "models.toml"]
    program_set.install(folder, {file.name: file for file in files})
    return folder


def argv_of(plan: Path) -> list[str]:
    """The words of the job, from the plan's own spec."""
    match = re.search(r'"argv": (\[.*?\n *\])', plan.read_text("utf-8"), re.DOTALL)
    assert match, plan
    words: list[str] = json.loads(match[1])
    return words


@pytest.mark.parametrize("plan", PLANS, ids=[path.stem for path in PLANS])
def test_a_reviewed_plans_words_are_taken(programs: Path, plan: Path) -> None:
    words = json.dumps(argv_of(plan))
    result = subprocess.run(
        [sys.executable, "-IS", "-c", READ, str(programs), words], capture_output=True, timeout=30, check=False
    )
    assert result.returncode == 0, result.stderr.decode()[-600:]


def test_a_word_too_many_is_not_taken(programs: Path) -> None:
    plan = next(path for path in PLANS if path.stem.startswith("vllm"))
    words = json.dumps([*argv_of(plan), "--not-a-flag"])
    result = subprocess.run([sys.executable, "-IS", "-c", READ, str(programs), words], capture_output=True, timeout=30)
    assert (result.returncode, b"unrecognized arguments: --not-a-flag" in result.stderr) == (2, True)
