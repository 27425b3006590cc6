"""Reads the two QSFP cages out of a sample. The one rule: a cage that nothing was said about is unknown, not down."""

from __future__ import annotations

from sparkdesk.core.cluster.port import CAGES, Port, PortState
from sparkdesk.core.telemetry.sample import Sample

CABLE_GBPS = 200.0
"""What a cable between two Sparks carries when both halves are up. Source: NVIDIA's connect-two-sparks playbook."""


def ports_of(sample: Sample) -> tuple[Port, ...]:
    """Both cages as this sample shows them. DEGRADED: one half only, or a slower line."""
    return tuple(_port(sample, cage) for cage in CAGES)


def _port(sample: Sample, cage: str) -> Port:
    up, speed = sample.value(f"cage_up.{cage}"), sample.value(f"cage_speed_gbps.{cage}")
    if up != up:
        state = PortState.UNKNOWN
    elif up == 0:
        state = PortState.DOWN
    elif up == 1 or speed < CABLE_GBPS:
        state = PortState.DEGRADED
    else:
        state = PortState.UP
    return Port(
        cage=cage,
        state=state,
        speed_gbps=speed,
        rx_gbps=sample.value(f"cage_rx_gbps.{cage}"),
        tx_gbps=sample.value(f"cage_tx_gbps.{cage}"),
    )
