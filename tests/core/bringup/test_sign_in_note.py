"""Who is signed in to anew while something is reached there is told so, in the chapter that does it."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.cluster.topology import Shape
from tests.core.bringup.cases import make_case

NOW_MS = 1_780_000_000_000
USED = {"n2": ("vllm gpt-oss", "JupyterLab", "vllm gpt-oss", "Own\nport", "fourth")}


def test_a_fresh_sign_in_to_a_node_that_is_in_use_is_told_in_its_chapter() -> None:
    pair = make_case(2, Shape.PAIR)
    before, plan = make_plan(pair, NOW_MS), make_plan(replace(pair, in_use=USED), NOW_MS)
    assert plan.playbook == before.playbook
    for chapter in (Chapter.DOCKER, Chapter.NETWORK):
        (note,) = set(plan.notes[chapter.value]) - set(before.notes.get(chapter.value, ()))
        assert "signs in to spark-2 anew" in note
        assert "vllm gpt-oss, JupyterLab, Own␊port and 1 more is cut" in note
        assert "spark-1" not in note
    ready = replace(make_case(2, Shape.PAIR, is_ready=True), in_use=USED)
    assert not any("anew" in note for notes in make_plan(ready, NOW_MS).notes.values() for note in notes)
