"""How full a window is: parts that add up to the server's count, and no share without a source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.context import ContextParts, ContextUse, PoolUse, reconcile

COUNTS = st.none() | st.integers(0, 10_000)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 50_000))
def test_the_parts_add_up_to_the_servers_own_count(
    system: int | None, memory: int | None, files: int | None, messages: int | None, prompt: int
) -> None:
    for is_counted in (True, False):
        parts = ContextParts(system, memory, files, messages, is_counted)
        found = reconcile(parts, prompt)
        if parts.total is None:
            assert found == parts
            continue
        assert found.total == prompt
        assert min(n for n in (found.system, found.files, found.messages, found.template, 0) if n is not None) >= 0


def test_counted_parts_stay_and_the_rest_is_the_templates() -> None:
    found = reconcile(ContextParts(100, 0, 50, 200, is_counted=True), 380)
    assert (found.system, found.files, found.messages, found.template) == (100, 50, 200, 30)
    assert found.is_counted


def test_estimated_parts_share_the_servers_count() -> None:
    found = reconcile(ContextParts(100, 0, 0, 300), 800)
    assert (found.system, found.messages, found.template) == (200, 600, None)


def test_what_images_took_is_not_laid_to_the_words() -> None:
    found = reconcile(ContextParts(10, 0, 0, 90), 1100, has_images=True)
    assert (found.system, found.messages, found.template) == (10, 90, 1000)


def test_a_share_of_the_cache_needs_its_size() -> None:
    assert ContextUse(prompt=900, answer=100, limit=4000).own_share is None
    assert ContextUse(prompt=900, answer=100, pool=PoolUse(used_fraction=0.5)).own_share is None
    use = ContextUse(prompt=900, answer=100, limit=4000, pool=PoolUse(capacity_tokens=10_000))
    assert use.own_share == 0.1
    assert use.fraction == 0.25
    assert ContextUse(limit=4000).fraction is None
