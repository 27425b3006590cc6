"""Against which mark an all_gather is held."""

from __future__ import annotations

import pytest

from sparkdesk.core.bringup.proof.band import gather_band
from sparkdesk.core.cluster.topology import Shape


@pytest.mark.parametrize("shape", [shape for shape in Shape if shape is not Shape.RING])
def test_one_hca_of_two_is_never_passed_but_in_a_ring(shape: Shape) -> None:
    assert gather_band(shape).pass_at == 21.875
    assert gather_band(Shape.RING).pass_at == 10.0
