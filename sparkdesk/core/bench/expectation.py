"""What a point of a measurement should give: the plan's prediction, and what others published.

The one rule: a published figure stands beside a measured one only where it is of the very same case; a near one is
named in words with what is not the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.planning.prediction import Prediction

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Expectation:
    """Rates are of all requests together, tokens a second; NaN: not known."""

    output_tok_s: float = NAN
    low_tok_s: float = NAN
    high_tok_s: float = NAN
    ttft_s: float = NAN
    published_tok_s: float = NAN
    source: str = ""
    """Who published it, for what; of a near case also its figures and what is not the same."""


NOTHING = Expectation()


def expectation_of(prediction: Prediction | None, concurrency: int) -> Expectation:
    """From what the planner says of this load, and the nearest case that it leans on."""
    if prediction is None:
        return NOTHING
    figure, nearest = prediction.output_tok_s, next(iter(prediction.leans_on), None)
    published, source = NAN, ""
    if nearest is not None:
        source = nearest.title
        if nearest.distance:
            source = f"{nearest.title}: {nearest.figures} ({nearest.distance})"
        elif nearest.tpot_s:
            published = concurrency / nearest.tpot_s
    return Expectation(figure.value, figure.low, figure.high, prediction.ttft_s.value, published, source)
