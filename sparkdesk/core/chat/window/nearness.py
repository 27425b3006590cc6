"""Which pieces are nearest to a question, by the angle between vectors.

The one rule: vectors come from a server and a database: one that is empty, not finite or of another length is left
out, never an error. Imports numpy: import this module only after the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sparkdesk.core.chat.window.exchange import Count
from sparkdesk.core.chat.window.piece import Piece

MAX_DIMENSIONS = 16_384
MAX_TAKEN = 32
"""Pieces that are sent at most: what is less near than so many others would cost the server's time for little."""
Vector = NDArray[np.float32]


def to_vector(numbers: object) -> Vector | None:
    """A list of numbers as a vector of length one; None when it is not one."""
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_DIMENSIONS:
        return None
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        return None
    return _unit(np.array(numbers, dtype=np.float64))


def to_bytes(vector: Vector) -> bytes:
    """As the store keeps it: 32-bit floats, the lowest byte first."""
    return vector.astype("<f4").tobytes()


def from_bytes(data: bytes) -> Vector | None:
    """What the store kept; None when it is not a vector."""
    if not data or len(data) % 4 or len(data) > 4 * MAX_DIMENSIONS:
        return None
    return _unit(np.frombuffer(data, dtype="<f4").astype(np.float64))


def _unit(vector: NDArray[np.float64]) -> Vector | None:
    with np.errstate(all="ignore"):
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length <= 0:
            return None
        return (vector / length).astype(np.float32)


def nearest(
    question: Vector, pieces: Sequence[Piece], vectors: Mapping[str, Vector], *, budget: int, count: Count
) -> tuple[tuple[Piece, float], ...]:
    """The pieces nearest to the question, MAX_TAKEN of at most `budget` tokens together, in their own order.

    Each with its cosine. The same text twice is taken once: where it stands last.
    """
    places = {piece.key: at for at, piece in enumerate(pieces)}
    known = [
        (at, vector)
        for key, at in places.items()
        if (vector := vectors.get(key)) is not None and _fits(vector, question)
    ]
    if not known:
        return ()
    cosines = np.stack([vector for _, vector in known]) @ question
    chosen: list[tuple[int, float]] = []
    left = budget
    for index in np.argsort(-cosines, kind="stable"):
        at, takes = known[index][0], count(pieces[known[index][0]].text)
        if takes > left or len(chosen) >= MAX_TAKEN:
            break  # what is less near does not jump the line
        left -= takes
        chosen.append((at, float(cosines[index])))
    return tuple((pieces[at], cosine) for at, cosine in sorted(chosen))


def _fits(vector: Vector, question: Vector) -> bool:
    return vector.shape == question.shape
