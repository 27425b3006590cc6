"""Every key of every recipe format ends in a field or in a list, and comes back out of an export."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.jobs.recipe.export.recipe import export_recipe
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.recipe.recipe import kind_of, read_recipe

COMMON: dict[str, Any] = {
    "name": "a name", "description": "for people", "env": {"A": "1", "B": "$B", "C": "{launch.model_path}"},
    "command": "vllm serve {model} --port {port}\n",
}  # fmt: skip
EUGR = COMMON | {
    "container": "vllm-node", "build_args": ["--x"], "mods": ["mods/fix"], "solo_only": False, "cluster_only": False,
    "defaults": {"port": 8001, "odd": "x", "dtype": "auto"},
}  # fmt: skip
SPARKRUN = EUGR | {
    "min_sparkrun_version": "1.2", "model_revision": "abc", "runtime": "vllm", "runtime_version": "1",
    "containers": {"spark": "x/y:z"}, "builder": "eugr", "builder_config": {"a": 1}, "min_nodes": 1, "max_nodes": 3,
    "mode": "auto", "layout": {"requires": []}, "scheduler": "x", "cluster_config": {"a": [1]},
    "runtime_config": {"b": None}, "include": ["z.yaml"], "overrides": {"c": 2}, "executor": "docker",
    "executor_config": {"auto_remove": True, "shm_size": "16g"}, "runtime_cache": True,
    "distribution_config": {"models": {"enabled": True}}, "pre_exec": ["echo 1"], "post_exec": [{"copy": "a"}],
    "post_commands": ["echo 2"], "stop_after_post": False, "readiness": {"port_timeout_s": 9}, "capabilities": ["chat"],
    "unsupported_capabilities": ["x"], "benchmark": {"framework": "y"}, "metadata": {"num_layers": 36, "kv_dtype": "z"},
    "brand_new": {"a": [1, {"b": None}]},
}  # fmt: skip
SPARK_PULSE = COMMON | {
    "engine": "vllm", "serves": "chat", "constraints": {"solo_only": True, "min_nodes": 1, "odd": 3},
    "params": {"port": 8001, "max_num_seqs": 2, "odd": "x"}, "brand_new": [1, 2],
    "engines": {"vllm": {"image": "a/b:c", "args": ["--seed", 7], "odd": 1}, "sglang": {"image": "d/e:f"}},
}  # fmt: skip
CASES = {"eugr": EUGR, "sparkrun": SPARKRUN, "spark-pulse": SPARK_PULSE}
FIELD_OF = {
    "container": "image", "containers": "image", "runtime": "engine", "engine": "engine", "command": "engine",
    "model_revision": "extra_flags", "env": "environment",
}  # fmt: skip
"""Keys that one field speaks for. Values (`defaults`, `params`, `engines`) are held against the lists one by one."""


def listed(imported: Imported) -> str:
    """All places that are named beside the fields."""
    parts = (*imported.unknown, *imported.set_aside, *imported.shown_only)
    return " ".join((imported.title and "name", *(each.where for each in parts)))


def read(kind: str, keys: set[str]) -> tuple[dict[str, Any], Imported]:
    """A recipe with these keys, whose values are those of the case."""
    data: dict[str, Any] = {"recipe_version": "1" if kind == "eugr" else "2", "model": "a/b"}
    data |= {key: value for key, value in CASES[kind].items() if key in keys}
    if "defaults" not in keys and "params" not in keys and "command" in data:
        data["command"] = "vllm serve {model}\n"
    return data, read_recipe(data, kind=kind)


@pytest.mark.parametrize("kind", CASES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_key_is_in_a_field_or_a_list_and_in_the_export(kind: str, data: st.DataObject) -> None:
    keys = data.draw(st.sets(st.sampled_from(sorted(CASES[kind]))))
    recipe, imported = read(kind, keys)
    assert not imported.has_errors
    places = listed(imported)
    for key in keys - {"defaults", "params", "engines", "constraints", "executor_config"}:
        assert key in places or FIELD_OF.get(key) in imported.fields, key
    written = yaml.safe_load(export_recipe(imported.request(("n",)), origin=imported))
    assert kind_of(written) == "sparkrun"
    aside = written.get("metadata", {}).get("spark_pulse", {})
    for key in keys - {"engine", "command"}:
        if key == "constraints":
            kept = {**{name: written.get(name) for name in ("solo_only", "min_nodes")}, **aside["constraints"]}
        elif key in ("serves", "engines"):
            kept = aside[key]
        else:
            kept = written["defaults" if key == "params" else key]
        said = recipe[key]
        assert said.items() <= kept.items() if key in ("defaults", "params") else said == kept, key
    again = read_recipe(written)
    assert again.request(("n",)) == imported.request(("n",))


@pytest.mark.parametrize("kind", CASES)
def test_every_value_is_in_a_field_or_a_list(kind: str) -> None:
    _, imported = read(kind, set(CASES[kind]))
    places = listed(imported)
    values = "params" if kind == "spark-pulse" else "defaults"
    assert f"{values.replace('params', 'defaults')}.odd" in places
    assert imported.fields["port"] == 8001
    if kind == "spark-pulse":
        assert {"engines.vllm.odd", "engines.sglang", "constraints.odd"} <= set(places.split())
        assert imported.fields["extra_flags"] == ("--seed", "7")
    else:
        assert "--dtype" in imported.fields["extra_flags"]
    if kind == "sparkrun":
        assert {"executor_config.auto_remove", "executor_config.shm_size"} <= set(places.split())
