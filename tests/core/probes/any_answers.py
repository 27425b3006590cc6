"""Any answers that remote/reader.py or a stranger in its place can give: for tests that nothing ever raises."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from hypothesis import strategies as st

from sparkdesk.core.probes.read import Answer, Answers, Fault, Read, ReadCommand, ReadFile
from tests.core.probes.spark_answers import Spark

_NUMBERS = st.dictionaries(
    st.sampled_from(["total_bytes", "free_bytes", "t_ms", "offset_ms", "error_ms", "/x"]),
    st.floats(-(2.0**63), 2.0**63, allow_nan=False),
    max_size=5,
)
_FAULTS = st.builds(Answer, fault=st.sampled_from(Fault), problem=st.text(max_size=40))
_LETTERS = st.characters(exclude_categories=["Cs"])


def any_answers(reads: Sequence[Read]) -> st.SearchStrategy[Answers]:
    """Some answers are those of a real Spark, some are bent or cut, some are nonsense, some are missing."""
    spark = Spark().answers(reads)
    return st.fixed_dictionaries({}, optional={read: _any_answer(read, spark[read]) for read in reads})


def _any_answer(read: Read, real: Answer) -> st.SearchStrategy[Answer]:
    plain = st.just(real) | _FAULTS | st.builds(Answer, numbers=_NUMBERS)
    if not isinstance(read, ReadFile | ReadCommand):
        return plain
    paths = [path for path, _ in real.texts] or [getattr(read, "path", "")]
    text = st.text(_LETTERS, max_size=60) | _bent("".join(text for _, text in real.texts))
    texts = st.lists(st.tuples(st.sampled_from(paths) | st.text(_LETTERS, max_size=20), text), min_size=1, max_size=3)
    codes = st.none() if isinstance(read, ReadFile) else st.integers(0, 255)
    errors = st.text(_LETTERS, max_size=60) | st.just(real.errors)
    return plain | st.builds(
        Answer, texts=texts.map(tuple), code=codes, errors=errors, numbers=_NUMBERS, is_cut=st.booleans()
    )


def _bent(text: str) -> st.SearchStrategy[str]:
    """A real text with a piece taken out, and with digits that have grown."""
    cuts = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    cut = cuts.map(lambda ends: text[: ends[0]] + text[ends[1] :])
    grown = st.sampled_from(["9" * 25, "-1", "nan", "1e999", "²", ""]).map(
        lambda word: "".join(chain.from_iterable(word if letter == "0" else letter for letter in text))
    )
    return cut | grown
