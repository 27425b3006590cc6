"""A measurement in words: its rows for the screen, and the whole of it as Markdown or CSV.

The one rule: a figure that was not measured is n/a on screen and empty in CSV; no prediction ever stands in its place.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Final

from sparkdesk.core.bench.expectation import Expectation
from sparkdesk.core.bench.run import BenchPoint, BenchRun, BenchState
from ui import text
from ui.jobs.mark import Mark
from ui.widgets.cell_table import Cell, Table

HEADERS: Final = (
    "Users",
    "E2E",
    "TTFT",
    "Prefill tok/s",
    "Output tok/s",
    "Predicted",
    "Published",
    "CPU here",
)
BUSY: Final = 0.8
"""From this share of a core on the figures may be those of this computer."""
MOST_POINTS: Final = 16
MOST_USERS: Final = 1024
ExpectedOf = Callable[[int], Expectation]
_MARKS: Final = {
    BenchState.RUNNING: Mark("Measuring", "accent", "loader"),
    BenchState.DONE: Mark("Done", "ok", "check"),
    BenchState.CANCELLED: Mark("Cancelled", "neutral", "square"),
    BenchState.FAILED: Mark("Failed", "crit", "octagon-alert"),
}


def read_users(words: str) -> tuple[int, ...]:
    """The numbers of users, "1, 2, 4, 8". Raises ValueError with what is wrong."""
    found = []
    for part in words.replace(";", ",").replace(" ", ",").split(","):
        if not part:
            continue
        if not part.isascii() or not part.isdigit() or len(part) > 5:
            raise ValueError(f"{text.one_line(part, 20)} is not a number of users")
        if not 1 <= int(part) <= MOST_USERS:
            raise ValueError(f"A number of users is 1 to {text.grouped(MOST_USERS)}")
        found.append(int(part))
    if not found:
        raise ValueError("At least one number of users is needed")
    if len(set(found)) > MOST_POINTS:
        raise ValueError(f"At most {MOST_POINTS} numbers")
    return tuple(dict.fromkeys(found))


QUICK = "the answers came in one burst, too quick to tell the rate of their tokens"


def mark_of_run(run: BenchRun) -> Mark:
    """The chip of a run."""
    return _MARKS[run.state]


def shape_words(run: BenchRun) -> str:
    """What was sent: "512 in, 128 out"."""
    return f"{text.count(run.shape.prompt_tokens)} in, {text.count(run.shape.answer_tokens)} out"


def rows_of(run: BenchRun, expected: ExpectedOf) -> Table:
    """A row for each number of users: measured, being measured, or to come."""
    measured = {point.concurrency: point for point in run.points}
    upcoming = next((users for users in run.shape.concurrencies if users not in measured), 0)
    rows = []
    for users in run.shape.concurrencies[: MOST_POINTS * 2]:
        point = measured.get(users)
        if point is not None:
            rows.append(_point_row(point, expected(users)))
            continue
        is_now = run.state is BenchState.RUNNING and users == upcoming
        said = "measuring" if is_now else "to come" if run.state is BenchState.RUNNING else "not measured"
        ahead = expected(users)
        rows.append(
            (Cell(str(users), "strong"), Cell(said), *(Cell("") for _ in range(3)), *_expected(ahead), Cell(""))
        )
    return Table(HEADERS, tuple(rows))


def _point_row(point: BenchPoint, expected: Expectation) -> tuple[Cell, ...]:
    if point.failure and not text.is_known(point.output_tok_s):
        failed = Cell("failed", "crit", hint=text.one_line(point.failure, 200))
        return (
            Cell(str(point.concurrency), "strong"),
            failed,
            *(Cell("") for _ in range(3)),
            *_expected(expected),
            Cell(""),
        )
    some_failed = f"{point.failed} of {point.requests} requests failed" if point.failed else ""
    cpu = point.client_cpu_share
    is_busy = text.is_known(cpu) and cpu > BUSY
    return (
        Cell(str(point.concurrency), "warn" if some_failed else "strong", hint=some_failed),
        Cell(str(text.first_token_time(point.e2e_s))),
        Cell(str(text.first_token_time(point.ttft_s))),
        Cell(text.token_rate(point.prefill_tok_s).value),
        Cell(text.token_rate(point.output_tok_s).value, "strong"),
        *_expected(expected),
        Cell(text.percent(cpu), "warn" if is_busy else "plain"),
    )


def _expected(expected: Expectation) -> tuple[Cell, Cell]:
    predicted = text.NOT_KNOWN
    if text.is_known(expected.low_tok_s) and text.is_known(expected.high_tok_s):
        predicted = text.span(text.token_rate(expected.low_tok_s), text.token_rate(expected.high_tok_s))
    elif text.is_known(expected.output_tok_s):
        predicted = f"about {text.token_rate(expected.output_tok_s).value}"
    source = text.one_line(expected.source, 160)
    return Cell(predicted), Cell(text.token_rate(expected.published_tok_s).value, hint=source)


def busy_words(run: BenchRun) -> str:
    """The warning that this computer was what was measured; "" where it was not."""
    busy = [point for point in run.points if text.is_known(point.client_cpu_share) and point.client_cpu_share > BUSY]
    if not busy:
        return ""
    users = ", ".join(str(point.concurrency) for point in busy)
    return f"At {users} users this computer was busy itself: the server may be faster than these figures."


def failure_words(run: BenchRun) -> str:
    """What went wrong, as a sentence; "" for nothing."""
    told = [run.message] if run.message and run.message != mark_of_run(run).text else []
    quick = [p for p in run.points if p.requests > p.failed and text.is_known(p.e2e_s) and not text.is_known(p.tpot_s)]
    told += [f"{_users(point)}: {QUICK}" for point in quick if point.answer_tokens > 1]
    told += [f"{_users(point)}: {point.failure}" for point in run.points if point.failure]
    return text.one_line("; ".join(told), 400)


def _users(point: BenchPoint) -> str:
    return f"{point.concurrency} {'user' if point.concurrency == 1 else 'users'}"


def markdown_of(run: BenchRun, expected: ExpectedOf) -> str:
    """The run as a Markdown table with what must be known beside it."""
    table = rows_of(run, expected)
    lines = [
        f"**{_plain(run.title)}** ({_plain(run.model)} {_plain(run.quantization)}, {_plain(run.engine)}, "
        f"{_plain(', '.join(run.node_names))}), {shape_words(run)}, {text.time_of_day(run.started_ms)}",
        "",
        "| " + " | ".join(table.headers) + " |",
        "|" + " ---: |" * len(table.headers),
    ]
    lines += ["| " + " | ".join(_plain(cell.text) for cell in row) + " |" for row in table.rows]
    notes = [note for note in (run.note, busy_words(run), failure_words(run)) if note]
    lines += ["", *(f"_{_plain(note)}_" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def csv_of(run: BenchRun, expected: ExpectedOf) -> str:
    """The run as CSV in SI units."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("title", "model", "engine", "nodes", "prompt_tokens", "answer_tokens", "concurrency", "e2e_s", "ttft_s",
         "tpot_s", "prefill_tok_s", "output_tok_s", "requests", "failed", "client_cpu_share", "predicted_tok_s",
         "published_tok_s", "note")
    )  # fmt: skip
    for point in run.points:
        ahead = expected(point.concurrency)
        figures = (point.e2e_s, point.ttft_s, point.tpot_s, point.prefill_tok_s, point.output_tok_s)
        writer.writerow(
            (_cell(run.title), _cell(run.model), _cell(run.engine), _cell(" ".join(run.node_names)),
             point.prompt_tokens or run.shape.prompt_tokens, point.answer_tokens or run.shape.answer_tokens,
             point.concurrency, *(_number(figure) for figure in figures), point.requests, point.failed,
             _number(point.client_cpu_share), _number(ahead.output_tok_s), _number(ahead.published_tok_s),
             _cell(run.note))
        )  # fmt: skip
    return out.getvalue()


def _number(value: float) -> str:
    return f"{value:.6g}" if text.is_known(value) else ""


def _cell(words: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    line = text.one_line(words, 200)
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line


def _plain(words: str) -> str:
    return text.one_line(words, 300).replace("|", "\\|").replace("\u202f", " ")
