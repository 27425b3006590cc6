"""What a deployment takes of its machine at one moment: memory bandwidth and energy, as rows of the metric table.

The one rule: what is not known has no row; nothing here is measured, it is reckoned from what was.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparkdesk.core.telemetry.metric import BANDWIDTH, ENERGY, TOKEN_ENERGY
from sparkdesk.services.jobs.bandwidths import Bandwidths
from sparkdesk.services.records.energies import Energies


class Efforts:
    """Asks the two services that know. `energies` must have taken the job's readings before it is asked."""

    def __init__(self, energies: Energies, bandwidths: Bandwidths) -> None:
        self._energies = energies
        self._bandwidths = bandwidths

    def of(self, job_id: str) -> Mapping[str, float]:
        """By key of the metric table, in code units."""
        found = {TOKEN_ENERGY: self._energies.newest_j_per_token(job_id)}
        bandwidth, energy = self._bandwidths.of(job_id), self._energies.energy(job_id)
        if bandwidth is not None:
            found[BANDWIDTH] = bandwidth.gb_per_s * 1e9
        if energy is not None:
            found[ENERGY] = energy.joule
        return {key: value for key, value in found.items() if value == value}
