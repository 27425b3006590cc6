"""Every assumption about a Spark that the code rests on, in one table.

The one rule: whoever marks something "unverified on hardware" names one of these ids in brackets behind it; a test
holds both lists against each other.
"""

from __future__ import annotations

from sparkdesk.core.probes import (
    assumption_gpu,
    assumption_machine,
    assumption_network,
    assumption_planning,
    assumption_software,
)
from sparkdesk.core.probes.assumption import Assumption

ASSUMPTIONS: tuple[Assumption, ...] = (
    *assumption_machine.ASSUMPTIONS,
    *assumption_gpu.ASSUMPTIONS,
    *assumption_network.ASSUMPTIONS,
    *assumption_software.ASSUMPTIONS,
    *assumption_planning.ASSUMPTIONS,
)
