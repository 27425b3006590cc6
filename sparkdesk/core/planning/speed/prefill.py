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
    tokens = new * users / steps
    stages = terms.parallelism.pipeline_parallel_size
    turns = (steps + stages - 1) * terms.stage_share
    return turns * _computing(terms, workload, users, steps), _sending(terms, tokens, steps, turns)


def _computing(terms: Terms, workload: Workload, users: int, steps: float) -> float:
    """Of one step over all layers, each tensor parallel rank's share."""
    shape, tensor = terms.shape, terms.parallelism.tensor_parallel_size
    new = workload.new_prompt_tokens
    tokens = new * users / steps
    reading = (shape.shared_bytes + shape.routed_read_bytes(max(tokens, 1.0))) / terms.weight_bytes_per_s
    multiplying = 2.0 * shape.active_parameters * tokens / terms.operations_per_s
    attending = shape.attention_operations(workload.prompt_tokens - new, new) * users / steps
    return (reading + multiplying + attending / terms.attention_operations_per_s) / tensor


def _sending(terms: Terms, tokens: float, steps: float, turns: float) -> float:
    message = tokens * terms.shape.hidden_size * SENT_VALUE_BYTES
    fitted, tensor = terms.fitted, terms.parallelism.tensor_parallel_size
    each = all_reduce_s(
        tensor, message, terms.link, overhead_s=fitted.collective_overhead_s, rate_share=fitted.collective_rate_share
    )
    total = turns * 2.0 * terms.shape.layers * each
    stages = terms.parallelism.pipeline_parallel_size
    if stages > 1:
        total += (steps + stages - 1) * hop_s(message, terms.link, rate_share=fitted.collective_rate_share)
    return total
