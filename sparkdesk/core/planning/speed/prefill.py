"""Reading the prompts: from the moment when all users ask until the last of them gets a first token.

The one rule: a step's time is the sum of reading the weights that its tokens touch, computing, attending and sending;
what others' prompts add to one's own is the queue.

How steps are filled: a step takes at most a chunk of each prompt and so many tokens of all prompts together. Users that
start together share steps, and so share the reading of the weights: a mixture's experts are nearly all touched by a
chunk, so its time to the first token grows slower than the number of users. Pipeline stages work on one chunk after
the other, so they fill but for the first and last.
"""

from __future__ import annotations

import math

from sparkdesk.core.planning.figure import Part, Parts
from sparkdesk.core.planning.speed.cable import all_reduce_s, hop_s
from sparkdesk.core.planning.speed.decode import SENT_VALUE_BYTES
from sparkdesk.core.planning.speed.terms import Terms
from sparkdesk.core.planning.workload import Workload


def prefill_parts(terms: Terms, workload: Workload) -> Parts:
    """compute, communication and queue, in seconds."""
    users = math.ceil(workload.users / terms.parallelism.data_parallel_size)
    compute, communication = _seconds(terms, workload, 1)
    all_compute, all_communication = (compute, communication) if users == 1 else _seconds(terms, workload, users)
    queue = max(0.0, all_compute + all_communication - compute - communication)
    return (Part("compute", compute), Part("communication", communication), Part("queue", queue))


def _seconds(terms: Terms, workload: Workload, users: int) -> tuple[float, float]:
    """Of so many prompts on one replica: reading and computing, then sending."""
    new = workload.new_prompt_tokens
    chunk = min(new, float(terms.engine.chunk_tokens))
    together = min(float(users), max(1.0, terms.engine.step_tokens / chunk))
    steps = math.ceil(new / chunk) * users / together
    tokens, fullest = new * users / steps, min(new * users, chunk * together)
    # The stages fill and drain at the pace of the fullest step, so one chunk more is never a gain.
    filling = terms.parallelism.pipeline_parallel_size - 1
    compute = steps * _computing(terms, workload, tokens) + filling * _computing(terms, workload, fullest)
    sending = steps * _reducing(terms, tokens) + filling * _reducing(terms, fullest)
    hops = steps * _hopping(terms, tokens) + filling * _hopping(terms, fullest)
    return terms.stage_share * compute, terms.stage_share * sending + hops


def _computing(terms: Terms, workload: Workload, tokens: float) -> float:
    """Of one step of so many tokens over all layers, each tensor parallel rank's share."""
    shape, new = terms.shape, workload.new_prompt_tokens
    reading = (shape.shared_bytes + shape.routed_read_bytes(max(tokens, 1.0))) / terms.weight_bytes_per_s
    multiplying = 2.0 * shape.active_parameters * tokens / terms.operations_per_s
    attending = shape.attention_operations(workload.prompt_tokens - new, new) * tokens / new
    return (
        reading + multiplying + attending / terms.attention_operations_per_s
    ) / terms.parallelism.tensor_parallel_size


def _reducing(terms: Terms, tokens: float) -> float:
    """All-reduces of one step over all layers."""
    fitted = terms.fitted
    each = all_reduce_s(
        terms.parallelism.tensor_parallel_size,
        tokens * terms.shape.hidden_size * SENT_VALUE_BYTES,
        terms.link,
        overhead_s=fitted.collective_overhead_s,
        rate_share=fitted.collective_rate_share,
    )
    return 2.0 * terms.shape.layers * each


def _hopping(terms: Terms, tokens: float) -> float:
    """One step from a pipeline stage to the next; 0 without stages."""
    if terms.parallelism.pipeline_parallel_size == 1:
        return 0.0
    message = tokens * terms.shape.hidden_size * SENT_VALUE_BYTES
    return hop_s(message, terms.link, rate_share=terms.fitted.collective_rate_share)
