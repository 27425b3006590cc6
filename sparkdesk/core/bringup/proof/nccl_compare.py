"""The versions of NCCL of a proof beside each other: the host's and those in the images, where the difference matters.

The one rule: it adds words and changes no grade. Unequal versions are no fault where nothing joins them: a job runs in
one image on all its nodes, and the host's NCCL is used only by what runs outside of images.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from sparkdesk.core.bringup.proof import read_output as read
from sparkdesk.core.bringup.proof.measurement import Measurement, ProofKind

_NUMBER = re.compile(r"\d{1,3}\.\d{1,3}(?:\.\d{1,4})?")


def compare_nccl(found: Iterable[Measurement], outputs: Mapping[str, str]) -> tuple[Measurement, ...]:
    """All measurements, with what the host's NCCL and the other images' are beside the one of the all_gather."""
    measured = tuple(found)
    images = {one.item.image: _versions(one, outputs) for one in measured if one.item.kind is ProofKind.NCCL_IMAGE}
    proved = next((one.item.image for one in measured if _is_gathered(one)), "")
    return tuple(_beside(one, images, proved) for one in measured)


def _is_gathered(one: Measurement) -> bool:
    return one.item.kind is ProofKind.ALL_GATHER and one.value is not None


def _beside(one: Measurement, images: Mapping[str, frozenset[str]], proved: str) -> Measurement:
    words = ""
    if one.item.kind is ProofKind.NCCL_HOST:
        inside = frozenset[str]().union(*images.values())
        hosts = {_number(version) for _, version in one.item.facts if version}
        if hosts and inside and not hosts <= inside:
            words = f"In the images: {_join(inside)}; what runs in one uses its own NCCL, not the host's."
    elif one.item.kind is ProofKind.NCCL_IMAGE:
        own, of_proved = images[one.item.image], images.get(proved, frozenset())
        if own and of_proved and not own <= of_proved:
            words = f"The all_gather ran in another image, with {_join(of_proved)}: it does not prove this one."
    return replace(one, message=f"{one.message.rstrip('.')}. {words}") if words else one


def _join(versions: Iterable[str]) -> str:
    return ", ".join(sorted(versions))


def _versions(one: Measurement, outputs: Mapping[str, str]) -> frozenset[str]:
    told = (read.read_version(outputs.get(part.step_id, "")) for part in one.item.parts)
    return frozenset(version for version in told if version)


def _number(version: str) -> str:
    """The release of a package's or a file's version: "2.28.9" of "2.28.9-1+cuda13.0"; else the text itself."""
    match = _NUMBER.match(version)
    return match[0] if match is not None else version
